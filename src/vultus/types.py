"""The values that travel between the rooms. All are immutable; every shape is checked once, here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.choices import Answer
from vultus.errors import InputError, ShapeError

FloatArray: TypeAlias = NDArray[np.float32]
Image: TypeAlias = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255
Crops: TypeAlias = NDArray[np.uint8]  # (N, H, W, 3), RGB, one aligned face each
Embeddings: TypeAlias = NDArray[np.float32]  # (N, D), each row of length 1


def checked_image(image: NDArray[Any], *, what: str = "image") -> Image:
    """The same array, once it is known to be an `Image`.

    Raises:
        ShapeError: not (H, W, 3), not uint8, or without pixels.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ShapeError(
            f"{what} must have shape (H, W, 3) with at least one pixel, got {array.shape}; "
            "vultus.load_image reads any file or array into that form"
        )
    if array.dtype != np.uint8:
        raise ShapeError(f"{what} must be uint8 (0..255), got {array.dtype}")
    return array


@dataclass(frozen=True, eq=False, slots=True)
class Detections:
    """The faces found in one image, best score first. Immutable.

    Select like an array: `detections[detections.scores > 0.9]`, `detections[:3]`, `detections[[0, 2]]`.

    Attributes:
        boxes: (N, 4) float32, corners x1 y1 x2 y2 in pixels of the original (upright) image.
        scores: (N,) float32 in [0, 1].
        landmarks: (N, 5, 2) float32, x y in pixels, as seen in the image: left eye, right eye,
            nose tip, left mouth corner, right mouth corner.

    Raises:
        ShapeError: a field has another shape, or the lengths disagree.
    """

    boxes: FloatArray
    scores: FloatArray
    landmarks: FloatArray

    def __post_init__(self) -> None:
        count = len(np.atleast_1d(np.asarray(self.scores)))
        for name, shape in (("boxes", (count, 4)), ("scores", (count,)), ("landmarks", (count, 5, 2))):
            array = np.array(getattr(self, name), dtype=np.float32)  # a copy: the caller keeps theirs
            if array.shape != shape:
                raise ShapeError(f"{name} must have shape {shape}, got {array.shape}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def empty(cls) -> Self:
        """No faces: an answer, not an error."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: ArrayLike | slice) -> "Detections":
        """The faces that `index` (an int, slice, mask or list of positions) selects."""
        chosen = index if isinstance(index, slice) else np.atleast_1d(np.asarray(index))
        if not isinstance(chosen, slice) and chosen.size == 0:
            chosen = chosen.astype(np.intp)  # an empty list arrives as float64
        return Detections(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])

    def __iter__(self) -> Iterator["Detections"]:
        return (self[i] for i in range(len(self)))

    @property
    def sizes_px(self) -> FloatArray:
        """(N,) the shorter side of each box, in pixels."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]  # (N, 2)
        return np.asarray(sides.min(axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person in the gallery.

    Attributes:
        id: stable; survives a rename.
        name: unique display name.
        metadata: what the caller stored with the person (JSON values), read-only.
        created: ISO 8601, UTC.
        template_count: how many faces of this person are enrolled.
    """

    id: str
    name: str
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    created: str = ""
    template_count: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """One enrolled face: what a gallery stores.

    Attributes:
        embedding: (D,) float32 of length 1.
        crop: (H, W, 3) the aligned face that was embedded, or None where crops are not kept.
        quality: 0 (useless) to 1 (good), as `vultus.quality` judged the face.
        source: where the face came from (a path, a URL, a camera), for people to read.

    Raises:
        ShapeError: the embedding is not one vector of length 1, or the crop is no image.
    """

    embedding: FloatArray
    crop: Image | None = None
    quality: float = 1.0
    source: str = ""

    def __post_init__(self) -> None:
        vector = np.array(self.embedding, dtype=np.float32)
        if vector.ndim != 1 or vector.size == 0:
            raise ShapeError(f"embedding must have shape (D,), got {vector.shape}")
        length = float(np.linalg.norm(vector))
        if not abs(length - 1.0) <= 1e-3:  # also refuses NaN
            raise ShapeError(f"embedding must have length 1, got {length:.6g}")
        vector.flags.writeable = False
        object.__setattr__(self, "embedding", vector)
        if self.crop is not None:
            crop = checked_image(self.crop, what="crop").copy()
            crop.flags.writeable = False
            object.__setattr__(self, "crop", crop)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of the gallery, and how close the probe is to them.

    Attributes:
        id: the identity's stable id.
        name: the identity's display name.
        similarity: cosine, -1..1, larger is closer.
    """

    id: str
    name: str
    similarity: float


class Interval(NamedTuple):
    """A two-sided confidence interval of a rate: the rate lies in [low, high] with the stated confidence."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ThresholdRates:
    """The error rates of one threshold.

    Attributes:
        threshold: a pair is accepted if its similarity >= this.
        fmr: accepted impostor pairs / impostor pairs.
        fmr_interval: 95 %, people resampled.
        fnmr: rejected genuine pairs / genuine pairs.
        n_false_matches: accepted impostor pairs.
        n_impostors: impostor pairs.
        n_genuine: genuine pairs.
    """

    threshold: float
    fmr: float
    fmr_interval: Interval
    fnmr: float
    n_false_matches: int
    n_impostors: int
    n_genuine: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What similarities mean under one contract: error rates that were measured, and which are wanted.

    `vultus.match` makes it, and takes thresholds from it.

    Attributes:
        contract: of the embeddings; the figures say nothing about any other.
        rates: at rising thresholds, down to the lowest false match rate that the pairs can show.
        fmr: false match rate wanted where one face is compared with one.
        fpir: share of strangers that may be named where one face is compared with a gallery.
        about: data, protocol, date, commit and the like, in words.

    Raises:
        InputError: no rates, or not at rising thresholds, or a wanted rate outside (0, 1).
    """

    contract: str
    rates: tuple[ThresholdRates, ...]
    fmr: float
    fpir: float
    about: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        thresholds = [one.threshold for one in self.rates]
        if not thresholds or any(low >= high for low, high in pairwise(thresholds)):
            raise InputError(f"a calibration has rates at rising thresholds, got {thresholds}")
        if not (0 < self.fmr < 1 and 0 < self.fpir < 1):
            raise InputError(f"fmr and fpir must lie in (0, 1), got {self.fmr} and {self.fpir}")
        object.__setattr__(self, "about", MappingProxyType(dict(self.about)))


@dataclass(frozen=True, slots=True)
class Match:
    """Who one face is.

    Attributes:
        candidates: the closest people, best first; empty where the gallery is.
        min_similarity: the threshold: the best candidate is a match if its similarity is >= this.
        doubtful_from: from here up to the threshold there is not enough evidence either way; None where
            no grey zone is known.
        fmr: false match rate of one comparison at the best similarity, measured, rounded upwards; None
            without a calibration.
        fpir: the share of strangers that the threshold is expected to name in this gallery, likewise.
    """

    candidates: tuple[Candidate, ...]
    min_similarity: float
    doubtful_from: float | None = None
    fmr: float | None = None
    fpir: float | None = None

    @property
    def best(self) -> Candidate | None:
        """The closest person, matching or not; None where the gallery is empty."""
        return self.candidates[0] if self.candidates else None

    @property
    def is_known(self) -> bool:
        """Whether the closest person is close enough."""
        return self.answer is Answer.KNOWN

    @property
    def answer(self) -> Answer:
        """`Answer.KNOWN`, `Answer.UNCERTAIN` or `Answer.UNKNOWN`."""
        if not self.candidates:
            return Answer.UNKNOWN
        return answer_at(self.candidates[0].similarity, self.min_similarity, self.doubtful_from)

    @property
    def name(self) -> str | None:
        """The name, if the face is known."""
        return self.candidates[0].name if self.is_known else None


def answer_at(similarity: float, min_similarity: float, doubtful_from: float | None) -> Answer:
    """`Answer.KNOWN` from the threshold on, `UNCERTAIN` in the grey zone below it, else `UNKNOWN`."""
    if similarity >= min_similarity:
        return Answer.KNOWN
    is_doubtful = doubtful_from is not None and similarity >= doubtful_from
    return Answer.UNCERTAIN if is_doubtful else Answer.UNKNOWN


@dataclass(frozen=True, slots=True)
class Recognition:
    """Who is in one image: the faces, and one match for each of them, side by side.

    Raises:
        ShapeError: there are not as many matches as faces.
    """

    faces: Detections
    matches: tuple[Match, ...]

    def __post_init__(self) -> None:
        if len(self.faces) != len(self.matches):
            raise ShapeError(f"expected {len(self.faces)} matches, one per face, got {len(self.matches)}")

    @property
    def answer(self) -> Answer:
        """`NO_FACE`, or `KNOWN` if any face is known, else `UNCERTAIN` if one may be, else `UNKNOWN`."""
        answers = {match.answer for match in self.matches}
        ranked = (Answer.KNOWN, Answer.UNCERTAIN, Answer.UNKNOWN)
        return next((answer for answer in ranked if answer in answers), Answer.NO_FACE)

    @property
    def names(self) -> tuple[str | None, ...]:
        """One entry per face, best detection first; None where the face is unknown."""
        return tuple(match.name for match in self.matches)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether two images show the same person.

    Attributes:
        similarity: cosine, -1..1, larger is closer.
        min_similarity: the threshold.
        faces: the detection used from each image (one face each).
        doubtful_from: from here up to the threshold there is not enough evidence either way; None where
            no grey zone is known.
        fmr: false match rate at this similarity, measured, rounded upwards; None without a calibration.
    """

    similarity: float
    min_similarity: float
    faces: tuple[Detections, Detections]
    doubtful_from: float | None = None
    fmr: float | None = None

    @property
    def answer(self) -> Answer:
        """`KNOWN` for the same person, `UNCERTAIN` in the grey zone, `UNKNOWN` for different people."""
        return answer_at(self.similarity, self.min_similarity, self.doubtful_from)

    @property
    def is_same(self) -> bool:
        """Whether the similarity reaches the threshold."""
        return self.answer is Answer.KNOWN
