"""The embedding contract: one short hash of all that decides the numbers.

Two embeddings compare only if the same weights saw faces cut and fed in the same way. The hash is taken
over a JSON text with sorted keys and no spaces: the SHA-256 of the weights, and every field of the
catalogue's `Preprocessing` (size, channel order, mean and std, interpolation, alignment, flip,
normalisation). What only decides speed (threads, batch, execution provider) is left out: it moves the sixth
digit.
"""

import hashlib
import json
from dataclasses import asdict, replace
from typing import Final, NamedTuple

from vultus.errors import WeightsError
from vultus.weights.catalog import CATALOG, Preprocessing, WeightsEntry

CONTRACT_DIGITS: Final = 16  # 64 bits: two of the world's networks will not meet by chance


def contract_of(entry: WeightsEntry, preprocessing: Preprocessing) -> str:
    """The contract of these weights, fed in this way: 16 hexadecimal digits.

    Raises:
        WeightsError: the weights have no published SHA-256.
    """
    hashes = [file.sha256 for file in entry.files]
    if None in hashes:
        raise WeightsError(f"weights {entry.name!r} have no published SHA-256, so no contract can name them")
    decisive = {"weights": hashes, "preprocessing": asdict(preprocessing)}
    text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:CONTRACT_DIGITS]


class Maker(NamedTuple):
    """Who makes the embeddings of a contract.

    Attributes:
        name: of the weights, in the catalogue.
        flip: whether the mirrored crop's embedding is added.
    """

    name: str
    flip: bool


def maker_of(contract: str) -> Maker | None:
    """Which of the catalogue's weights makes the embeddings of this contract; None if none does."""
    for weights in CATALOG.values():
        if weights.task != "recognition" or None in (file.sha256 for file in weights.files):
            continue
        if contract == contract_of(weights, weights.preprocessing):
            return Maker(weights.name, flip=False)
        if contract == contract_of(weights, replace(weights.preprocessing, flip="sum")):
            return Maker(weights.name, flip=True)
    return None


def with_owner(contract: str) -> str:
    """The contract, and in brackets whose it is, where the catalogue knows."""
    maker = maker_of(contract)
    if maker is None:
        return contract
    return f"{contract} ({maker.name}{' with the flip test' if maker.flip else ''})"
