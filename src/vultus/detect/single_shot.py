"""Faces from one look at the whole image: what RetinaFace and YOLOv5-Face have in common.

1. *Look*: fit the images into the network's input, run those of one input size together, and decode what
   reaches `min_score`. Scores are compared as logits before anything is decoded: few anchors reach it.
2. *Close up*: anchors end at about 500 px, so a face that fills a large photo is found only once the photo is
   small. Where the input was large, the network looks again at `CLOSE_UP_PX`. What the first look took for
   faces inside such a face (an eye, a mouth) goes.
3. *Choose*: one non-maximum suppression over both, then `min_face_px` and `max_faces`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from vultus.detect.explanation import Explained, checked_floor, near_misses
from vultus.detect.fitting import Fit, fit, network_input
from vultus.detect.search import Candidates, Search, best, choose, joined, sizes_px
from vultus.geometry.boxes import overlaps
from vultus.interfaces import Session
from vultus.types import Detections, FloatArray, Image, checked_image
from vultus.weights.description import Preprocessing

CLOSE_UP_PX: Final = 320
ENOUGH_PX: Final = 640  # an input whose longer side is at most this needs no close-up: anchors reach that far
CLOSE_UP_MIN_PX: Final = 400  # in pixels of the first input; smaller faces are better seen there
CLOSE_UP_MAX_SHARE: Final = 0.7  # of a lesser box, that may lie inside a face found in the close-up
MAX_CANDIDATES: Final = 5000  # the best ones per image and look; as in the published evaluations
PIXELS_PER_RUN: Final = 2_000_000  # of the network's input: bounds the memory of a long batch

Decode: TypeAlias = Callable[[Sequence[FloatArray], tuple[int, int], float], list[Candidates]]
"""From a network's outputs, the height and width of its input and the least score, what it found in each
image of the batch, in pixels of the input."""


@dataclass(frozen=True, slots=True)
class Look:
    """A network, and how to feed and read it.

    Attributes:
        session: the network.
        preprocessing: its colours; and its input's size, where that is fixed.
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
        input_hw = self.preprocessing.size_hw
        fits = [
            fit(image.shape[:2], longest_px, multiple=self.multiple, input_hw=input_hw) for image in images
        ]
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
                found[i] = to_image(best(candidates, MAX_CANDIDATES), fits[i])
        return [found[i] for i in range(len(images))]


def find(images: Sequence[Image], look: Look, search: Search) -> list[Detections]:
    """The faces of each image, which may differ in size.

    Raises:
        ShapeError: one of them is not an (H, W, 3) uint8 array.
    """
    return [
        faces_of(candidates, search)
        for candidates in look_at([checked_image(image) for image in images], look, search)
    ]


def explain(image: Image, look: Look, search: Search, *, floor: float) -> Explained:
    """The faces of one image, and what scored at least `floor` without becoming one.

    Raises:
        ShapeError: not an (H, W, 3) uint8 array.
        InputError: `floor` does not lie between 0 and 1.
    """
    lenient = replace(search, min_score=checked_floor(floor, min_score=search.min_score))
    (candidates,) = look_at([checked_image(image)], look, lenient)
    return Explained(faces_of(candidates, search), near_misses(candidates, search))


def faces_of(candidates: Candidates, search: Search) -> Detections:
    """The faces among the candidates of an image, best score first."""
    faces = candidates.at(choose(candidates, search))
    return Detections(*(part.astype(np.float32) for part in faces))


def look_at(images: Sequence[Image], look: Look, search: Search) -> list[Candidates]:
    """What the network finds in each image, close-ups included."""
    found = look.at(images, longest_px=search.longest_px, min_score=search.min_score)
    if not search.close_up:
        return found
    inputs_px = [search.longest_px or max(image.shape) for image in images]
    large = [i for i, input_px in enumerate(inputs_px) if input_px > ENOUGH_PX]
    seen = look.at([images[i] for i in large], longest_px=CLOSE_UP_PX, min_score=search.min_score)
    for i, close_up in zip(large, seen, strict=True):
        least_px = CLOSE_UP_MIN_PX * max(images[i].shape) / inputs_px[i]  # in pixels of the image
        found[i] = merged(found[i], close_up.at(sizes_px(close_up.boxes) >= least_px))
    return found


def merged(first: Candidates, close_up: Candidates) -> Candidates:
    """Both, without what lies inside a better face of the close-up."""
    shares = overlaps(first.boxes, close_up.boxes, overlap="minimum")  # (F, C)
    is_part = (shares > CLOSE_UP_MAX_SHARE) & (close_up.scores > first.scores[:, None])
    return joined([first.at(~np.asarray(is_part.any(axis=1))), close_up])


def groups(sizes_hw: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """The positions of equal sizes, in portions of about `PIXELS_PER_RUN`; a larger image stands alone."""
    for size_hw in dict.fromkeys(sizes_hw):
        same = [i for i, other in enumerate(sizes_hw) if other == size_hw]
        count = max(1, PIXELS_PER_RUN // math.prod(size_hw))
        yield from (same[start : start + count] for start in range(0, len(same), count))


def to_image(candidates: Candidates, how: Fit) -> Candidates:
    """The same in pixels of the image that was fitted."""
    boxes = how.to_image(candidates.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    return Candidates(boxes, candidates.scores, how.to_image(candidates.landmarks))
