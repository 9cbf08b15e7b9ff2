"""Faces from one look at the whole image: what RetinaFace and YOLOv5-Face have in common.

look     fit the images into the network's input, run those of one input size together, decode what
         reaches `min_score`: filtered by logits first, so that only a few anchors are decoded at all
close up the same at `CLOSE_UP_PX`, if wanted: anchors end at about 500 px, so a face that fills a large
         photo is found only once the photo is small
choose   one non-maximum suppression over both, then `min_face_px` and `max_faces`
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from vultus.detect.fitting import Fit, fit, network_input
from vultus.errors import InputError
from vultus.geometry.boxes import Floats, nms
from vultus.interfaces import Session
from vultus.types import Detections, FloatArray, Image, checked_image
from vultus.weights.description import Preprocessing

CLOSE_UP_PX: Final = 256
MAX_CANDIDATES: Final = 5000  # the best ones per image and look; as in the published evaluations
PIXELS_PER_RUN: Final = 2_000_000  # of the network's input: bounds the memory of a long batch


class SingleShotOptions(TypedDict, total=False):
    """What can be chosen about a search; see `Search`."""

    min_score: float
    max_iou: float
    max_faces: int | None
    min_face_px: float
    longest_px: int | None
    close_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for, and how.

    Attributes:
        min_score: a face is kept if its score is >= this.
        max_iou: of two boxes that overlap by more than this, only the better one is kept.
        max_faces: of more faces than this, only those with the best scores are kept; None keeps all.
        min_face_px: faces whose shorter side is smaller, in pixels of the image, are dropped.
        longest_px: images are resized so that the longer side is this, be it larger or smaller; None leaves
            them as they are.
        close_up: whether to look a second time, at a reduced image, for faces that fill a large photo.

    Raises:
        InputError: one of them is out of its range.
    """

    min_score: float = 0.5
    max_iou: float = 0.4
    max_faces: int | None = None
    min_face_px: float = 1
    longest_px: int | None = None
    close_up: bool = False

    def __post_init__(self) -> None:
        for name in ("min_score", "max_iou"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        for name in ("max_faces", "longest_px"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, or None, got {getattr(self, name)}")
        if not self.min_face_px >= 1:
            raise InputError(f"min_face_px must be at least 1, got {self.min_face_px}")


class Candidates(NamedTuple):
    """N boxes of one image that a network takes for faces.

    Attributes:
        boxes: (N, 4) corners x1 y1 x2 y2 in pixels.
        scores: (N,) in [0, 1].
        landmarks: (N, 5, 2) x y in pixels.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Candidates":
        """Those at these positions, or under this mask."""
        return Candidates(*(part[chosen] for part in self))


Decode: TypeAlias = Callable[[Sequence[FloatArray], tuple[int, int], float], list[Candidates]]
"""From a network's outputs, the height and width of its input and the least score, what it found in each
image of the batch, in pixels of the input."""


@dataclass(frozen=True, slots=True)
class Look:
    """A network, and how to feed and read it.

    Attributes:
        session: the network.
        preprocessing: its colours.
        decode: reads its outputs.
        multiple: the sides of its input are multiples of this.
        pad_value: gray level of what is added to images to that end, 0..255.
    """

    session: Session
    preprocessing: Preprocessing
    decode: Decode
    multiple: int = 1
    pad_value: int = 0

    def at(self, images: Sequence[Image], *, longest_px: int | None, min_score: float) -> list[Candidates]:
        """What the network finds in each image, in pixels of the image."""
        fits = [fit(image.shape[:2], longest_px, multiple=self.multiple) for image in images]
        found: dict[int, Candidates] = {}
        for group in groups([one.input_hw for one in fits]):
            batch = network_input(
                [images[i] for i in group],
                [fits[i] for i in group],
                preprocessing=self.preprocessing,
                pad_value=self.pad_value,
            )
            decoded = self.decode(self.session.run(batch), fits[group[0]].input_hw, min_score)
            for i, candidates in zip(group, decoded, strict=True):
                found[i] = to_image(best(candidates), fits[i])
        return [found[i] for i in range(len(images))]


def find(images: Sequence[Image], look: Look, *, search: Search) -> list[Detections]:
    """The faces of each image, which may differ in size.

    Raises:
        ShapeError: one of them is not an (H, W, 3) uint8 array.
    """
    candidates = look_at([checked_image(image) for image in images], look, search=search)
    return [choose(each, search=search) for each in candidates]


def look_at(images: Sequence[Image], look: Look, *, search: Search) -> list[Candidates]:
    """What the network finds in each image, close-ups included."""
    found = look.at(images, longest_px=search.longest_px, min_score=search.min_score)
    if not search.close_up:
        return found
    far = [i for i, image in enumerate(images) if (search.longest_px or max(image.shape)) > CLOSE_UP_PX]
    near = look.at([images[i] for i in far], longest_px=CLOSE_UP_PX, min_score=search.min_score)
    for i, close in zip(far, near, strict=True):
        found[i] = joined([found[i], close])
    return found


def choose(candidates: Candidates, *, search: Search) -> Detections:
    """The faces among the candidates of an image, best score first."""
    kept = candidates.at(nms(candidates.boxes, candidates.scores, max_iou=search.max_iou))
    faces = Detections(*kept)
    return faces[faces.sizes_px >= search.min_face_px][: search.max_faces]


def groups(sizes_hw: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """The positions of equal sizes, in portions of about `PIXELS_PER_RUN`; a larger image stands alone."""
    for size_hw in dict.fromkeys(sizes_hw):
        same = [i for i, other in enumerate(sizes_hw) if other == size_hw]
        count = max(1, PIXELS_PER_RUN // math.prod(size_hw))
        yield from (same[start : start + count] for start in range(0, len(same), count))


def best(candidates: Candidates) -> Candidates:
    """At most `MAX_CANDIDATES`, the best; of equal ones the earlier."""
    if len(candidates.scores) <= MAX_CANDIDATES:
        return candidates
    return candidates.at(np.argsort(-candidates.scores, kind="stable")[:MAX_CANDIDATES])


def to_image(candidates: Candidates, how: Fit) -> Candidates:
    """The same in pixels of the image that was fitted."""
    boxes = how.to_image(candidates.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    return Candidates(boxes, candidates.scores, how.to_image(candidates.landmarks))


def joined(parts: Sequence[Candidates]) -> Candidates:
    """All candidates in one."""
    return Candidates(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def logit(score: float) -> float:
    """The number whose sigmoid the score is."""
    return math.log(score / (1 - score))


def sigmoid(logits: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits)), np.float32)
