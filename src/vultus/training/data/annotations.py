"""What is known about the faces of a set of images, and what of it could not be used."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError, ShapeError
from vultus.types import FloatArray

SIZE_EDGES_PX: Final = (8, 16, 32, 64, 128, 256)  # between the sizes in which `counts` counts faces


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """The faces that somebody has marked in one image; there may be none. Immutable.

    Attributes:
        path: the image's file. Whether it exists is up to the reader that made this.
        boxes: (N, 4) float32, corners x1 y1 x2 y2 in pixels of the image, x2 > x1, y2 > y1. A box may stick
            out of the image.
        landmarks: (N, 5, 2) float32, x y in pixels, ordered as in `Detections`; NaN where not labelled.
        is_ignored: (N,) bool, neither a face to learn nor background.
        attributes: by name ("blur", "occlusion", "pose", ...) a grade per face, (N,) int8, -1 unknown.

    Raises:
        ShapeError: a field has another shape, or the lengths disagree.
        InputError: a box without area or not finite, or half a landmark.
    """

    path: Path
    boxes: FloatArray
    landmarks: FloatArray
    is_ignored: NDArray[np.bool_]
    attributes: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boxes = _frozen("boxes", self.boxes, np.float32, shape=(len(self.boxes), 4))
        count = len(boxes)
        landmarks = _frozen("landmarks", self.landmarks, np.float32, shape=(count, 5, 2))
        if not (np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()):
            raise InputError(
                f"boxes of {self.path} must be finite with x2 > x1 and y2 > y1, got {boxes.tolist()}"
            )
        unknown = np.isnan(landmarks)
        if np.isinf(landmarks).any() or (unknown[..., 0] != unknown[..., 1]).any():
            raise InputError(f"each landmark of {self.path} must be two finite numbers or two NaN")
        attributes = {
            name: _frozen(name, values, np.int8, shape=(count,)) for name, values in self.attributes.items()
        }
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "landmarks", landmarks)
        object.__setattr__(
            self, "is_ignored", _frozen("is_ignored", self.is_ignored, np.bool_, shape=(count,))
        )
        object.__setattr__(self, "attributes", MappingProxyType(attributes))

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: made anew there, since a read-only mapping cannot be pickled."""
        fields = (self.path, self.boxes, self.landmarks, self.is_ignored, dict(self.attributes))
        return AnnotatedImage, fields

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def has_landmarks(self) -> NDArray[np.bool_]:
        """(N,) whether all five landmarks of a face are labelled."""
        return np.asarray(~np.isnan(self.landmarks).any(axis=(1, 2)))


def folder_of(images: Sequence[AnnotatedImage]) -> Path:
    """The innermost folder that holds the files of all images.

    Raises:
        InputError: there are no images.
    """
    if not images:
        raise InputError("there is no image with a face to learn from")
    return Path(os.path.commonpath([image.path.parent for image in images]))


class RejectedRow(NamedTuple):
    """A row of a label file that was not used, or not entirely: `reason` says so.

    Attributes:
        line: counted from 1.
        text: the row as it stands in the file.
        reason: what is wrong with it, and what became of it.
        file: the label file in which it stands.
    """

    line: int
    text: str
    reason: str
    file: Path


@dataclass(frozen=True, slots=True)
class AnnotationCounts:
    """How much there is.

    Attributes:
        images: all of them.
        images_without_faces: those in which nothing is marked: all of such an image is background.
        faces: all that are marked, also the ignored ones.
        ignored: faces that are neither to be learned nor background.
        with_landmarks: faces of which all five landmarks are known.
        by_size_px: faces by the shorter side of their box, "8-16" for 8 <= side < 16.
        rejected: rows that were not, or not entirely, used.
    """

    images: int
    images_without_faces: int
    faces: int
    ignored: int
    with_landmarks: int
    by_size_px: Mapping[str, int]
    rejected: int


class Annotations(NamedTuple):
    """What a label file says.

    Attributes:
        images: in the order of the file.
        rejected: every row that is not, or not entirely, in `images`, in the order of the file.
    """

    images: tuple[AnnotatedImage, ...]
    rejected: tuple[RejectedRow, ...]

    def counts(self) -> AnnotationCounts:
        """How many images and faces there are, and how large the faces are."""
        sides = [(image.boxes[:, 2:] - image.boxes[:, :2]).min(axis=1) for image in self.images]
        edges = [0, *SIZE_EDGES_PX, np.inf]
        frequencies = np.histogram(np.concatenate([*sides, np.zeros(0)]), edges)[0].tolist()
        names = [f"{low}-{high}" for low, high in pairwise((0, *SIZE_EDGES_PX))] + [f"{SIZE_EDGES_PX[-1]}+"]
        return AnnotationCounts(
            images=len(self.images),
            images_without_faces=sum(len(image) == 0 for image in self.images),
            faces=sum(len(image) for image in self.images),
            ignored=sum(int(image.is_ignored.sum()) for image in self.images),
            with_landmarks=sum(int(image.has_landmarks.sum()) for image in self.images),
            by_size_px=dict(zip(names, frequencies, strict=True)),
            rejected=len(self.rejected),
        )


def _frozen(name: str, values: ArrayLike, dtype: type[np.generic], *, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.array(values, dtype=dtype)  # a copy: the caller keeps theirs
    if array.shape != shape:
        raise ShapeError(f"{name} must have shape {shape}, got {array.shape}")
    array.flags.writeable = False
    return array
