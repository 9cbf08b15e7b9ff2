"""From the name of weights, or a file, to a network that runs and is known how to feed and to read."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, NamedTuple

from vultus.errors import WeightsError
from vultus.runtime.opening import AnySession, Runtime, open_session
from vultus.weights import store
from vultus.weights.catalog import CATALOG, find
from vultus.weights.description import Preprocessing, WeightsEntry
from vultus.weights.environment import compiled_folder
from vultus.weights.metadata import FamilyDecoding, from_metadata


class Opened(NamedTuple, Generic[FamilyDecoding]):
    """A network that is ready to run, and what its weights do not show."""

    session: AnySession
    preprocessing: Preprocessing
    decoding: FamilyDecoding


def open_weights(
    weights: str | Path,
    decoding: type[FamilyDecoding],
    *,
    threads: int | None,
    providers: Sequence[str],
    runtime: Runtime = "onnx",
) -> Opened[FamilyDecoding]:
    """The network of these weights.

    Args:
        weights: a name in the catalogue, or an ONNX file: one that the catalogue knows by its SHA-256, or one
            that says about itself what Vultus writes into its exports.
        decoding: of the family whose answers the detector reads.
        threads: threads inside one call; None leaves it to the runtime.
        providers: execution providers in order of preference.
        runtime: which library runs the network; bfloat16 is for weights that the catalogue says bear it.

    Raises:
        WeightsError: no such name or file, not here, another family's, or no ONNX file that can be read.
        ChecksumError: a file of the catalogue is damaged.
        DeviceError: a provider does not run here.
        MissingExtraError: the runtime is not installed.
    """

    def opened(model: bytes, known: WeightsEntry | None = None) -> AnySession:
        return open_session(
            model,
            runtime=runtime,
            providers=providers,
            threads=threads,
            is_bf16_faithful=known is not None and known.is_bf16_faithful,
            compiled=compiled_folder(),
        )

    named = find(weights)
    if named is not None:
        facts = _facts(named, decoding)  # before anything is fetched
        return Opened(opened(store.read(named), named), named.preprocessing, facts)
    data = _read(Path(weights), decoding)
    for known in CATALOG.values():
        if known.files[0].sha256 == hashlib.sha256(data).hexdigest():
            return Opened(opened(data, known), known.preprocessing, _facts(known, decoding))
    session = opened(data)
    return Opened(session, *from_metadata(session.metadata, decoding))


def weights_names(decoding: type[FamilyDecoding]) -> tuple[str, ...]:
    """The names in the catalogue that a detector of this family takes."""
    return tuple(
        known.name
        for known in CATALOG.values()
        if isinstance(known.decoding, decoding) and known.files[0].name.endswith(".onnx")
    )


def _facts(known: WeightsEntry, decoding: type[FamilyDecoding]) -> FamilyDecoding:
    if not isinstance(known.decoding, decoding) or known.name not in weights_names(decoding):
        raise WeightsError(
            f"{known.name} is {known.architecture}; this detector takes an ONNX file, or one of "
            f"{', '.join(weights_names(decoding))}"
        )
    return known.decoding


def _read(path: Path, decoding: type[FamilyDecoding]) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(
            f"there are no weights named {str(path)!r}, and no such file; this detector takes an ONNX file, "
            f"or one of {', '.join(weights_names(decoding))}"
        ) from None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
