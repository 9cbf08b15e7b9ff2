"""What the rooms promise each other. Promises, not base classes: anything with these methods will do."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vultus.types import (
    Calibration,
    Candidate,
    Crops,
    Detections,
    Embeddings,
    FloatArray,
    Identity,
    Image,
    Template,
)


@runtime_checkable
class Session(Protocol):
    """A network that is ready to run, whichever library runs it. Safe to call from several threads."""

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        """The network's outputs for one input batch, in the order of the network's output list."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds faces. Safe to call from several threads."""

    def detect(self, image: Image) -> Detections:
        """The faces of one image, best score first.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
        """
        ...

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        """The faces of each image, which may differ in size; equal to `detect` on each of them."""
        ...


@runtime_checkable
class FrugalDetector(Protocol):
    """A detector that knows how much of an image it needs to see."""

    @property
    def needed_px(self) -> int | None:
        """From which longer side on a larger image shows it nothing more; None where every pixel counts."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns aligned faces into unit vectors. Safe to call from several threads."""

    @property
    def contract(self) -> str:
        """The hash of all that decides the numbers: embeddings compare only within one contract."""
        ...

    @property
    def min_similarity(self) -> float | None:
        """The threshold recorded for these weights, or None where none is."""
        ...

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        """(N,) whether each face can be cut out: a face whose landmarks are no face's cannot."""
        ...

    def align(self, image: Image, faces: Detections) -> Crops:
        """The (N, H, W, 3) crops that `embed` wants of these faces: how to cut belongs to the weights.

        Raises:
            InputError: a face is not `alignable`.
        """
        ...

    def embed(self, crops: Crops) -> Embeddings:
        """(N, D) float32, each row of length 1.

        Raises:
            ShapeError: the crops are not of the size that `align` cuts.
        """
        ...


@runtime_checkable
class Gallery(Protocol):
    """Holds enrolled people durably. An acknowledged write survives a crash; a failed one leaves no trace."""

    @property
    def contract(self) -> str:
        """The contract of every embedding in this gallery."""
        ...

    def enrol(
        self, name: str, templates: Sequence[Template], *, metadata: Mapping[str, Any] | None = None
    ) -> Identity:
        """Add templates to the person of this name, who is created if new: all in one transaction."""
        ...

    def remove(self, identity_id: str) -> None:
        """Delete a person and every template of theirs."""
        ...

    def rename(self, identity_id: str, name: str) -> Identity:
        """Give a person another display name.

        Raises:
            GalleryError: no such person, or the name is taken.
        """
        ...

    def search(self, probes: Embeddings, *, top_k: int = 5) -> list[tuple[Candidate, ...]]:
        """For each probe the `top_k` closest people, best first: exact, one entry per person."""
        ...

    def people(self) -> list[Identity]:
        """Everyone, by name."""
        ...

    def template_count(self) -> int:
        """How many templates a probe is compared with; cheap, for it is asked at every search."""
        ...

    def calibration(self) -> Calibration | None:
        """What similarities mean here, as stored for the contract of this gallery; None where nothing is."""
        ...

    def set_calibration(self, calibration: Calibration) -> None:
        """Store a calibration, durably, in place of an earlier one of the same contract.

        One of another contract than the gallery's may be stored ahead of a migration; it is not given out
        before the gallery has that contract.
        """
        ...

    def templates(self, identity_id: str) -> list[Template]:
        """The enrolled faces of one person, oldest first.

        Raises:
            GalleryError: no such person.
        """
        ...

    def find(self, name_or_id: str) -> Identity:
        """The person of this name or id.

        Raises:
            GalleryError: no such person.
        """
        ...

    def close(self) -> None:
        """Release the file or connection; closing twice is no mistake."""
        ...
