"""Does this machine compute what ours computed? One real face, and the embedding that it has to give.

The face is scikit-image's portrait of Eileen Collins (NASA, public domain), cut to 112 px. Other processors
and other versions of ONNX Runtime move the sixth digit of a cosine, or the fourth where a network in int8
rounds the other way: the last bit of its input does that (0.9994). Damaged weights, a wrong order of channels
(0.95) or a provider that computes nonsense move the first or second.

    python -m vultus.embed.self_check        # writes the embeddings anew, after a change that means to
    change them
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from vultus.embed.embedder import SessionEmbedder
from vultus.embed.loading import load_embedder
from vultus.errors import InputError
from vultus.image import decode_png
from vultus.types import Image

MIN_AGREEMENT: Final = {"sface-int8bq": 0.9999, "slim-sface-vultus": 0.998}  # the latter computes in int8
REFERENCE: Final = files("vultus.embed") / "reference"


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What a self-check found.

    Attributes:
        agreement: cosine between the embedding made here and the stored one.
        min_agreement: what it has to reach.
    """

    agreement: float
    min_agreement: float

    @property
    def is_passed(self) -> bool:
        """Whether this machine computes the same."""
        return self.agreement >= self.min_agreement


def reference_face() -> Image:
    """(112, 112, 3) the aligned face."""
    return decode_png((REFERENCE / "face.png").read_bytes())


def check_against_reference(embedder: SessionEmbedder) -> SelfCheck:
    """Compare what the embedder makes of the reference face with what is stored.

    Raises:
        InputError: nothing is stored for this embedder's contract.
    """
    stored = json.loads((REFERENCE / "embeddings.json").read_text(encoding="utf-8"))
    if embedder.contract not in stored:
        raise InputError(
            f"no reference is stored for {embedder.weights.name} (contract {embedder.contract}); "
            f"there is one for {', '.join(stored)}"
        )
    made = embedder.embed(reference_face()[np.newaxis])[0]
    reference = stored[embedder.contract]
    agreement = float(made @ np.asarray(reference["embedding"], np.float32))
    return SelfCheck(agreement, min_agreement=reference["min_agreement"])


def write_reference(folder: Path) -> None:
    """Store what these embedders make of the face, plain and flipped, and how close one has to come."""
    made = {}
    for (name, least), flip in product(MIN_AGREEMENT.items(), (False, True)):
        embedder = load_embedder(name, flip=flip)
        embedding = embedder.embed(reference_face()[np.newaxis])[0]
        values = [round(float(value), 6) for value in embedding]
        made[embedder.contract] = {"min_agreement": least, "embedding": values}
    (folder / "embeddings.json").write_text(json.dumps(made) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_reference(Path(str(REFERENCE)))
