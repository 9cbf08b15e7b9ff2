"""Faces from one look at the whole image: what RetinaFace and YOLOv5-Face have in common.

1. *Look*: fit the images into the network's input, run those of one input size together, and decode what
   reaches `min_score`. Scores are compared as logits before anything is decoded: few anchors reach it.
   Where only large faces are wanted, a large image is reduced until the smallest has `SURE_PX`.
2. *Close up*: look again at a reduced image, if the first was large (`vultus.detect.close_up`).
3. *Choose*: one non-maximum suppression over both, then `min_face_px` and `max_faces`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from vultus.detect import close_up
from vultus.detect.explanation import Explained, checked_floor, near_misses
from vultus.detect.fitting import Fit, fit, network_input
from vultus.detect.search import Candidates, Search, best, choose
from vultus.interfaces import Session
from vultus.types import Detections, FloatArray, Image, checked_image
from vultus.weights.description import Preprocessing

MAX_CANDIDATES: Final = 5000  # the best ones per image and look; as in the published evaluations
SURE_PX: Final = 26  # shorter side; a face this large is found as surely as a larger one
PIXELS_PER_RUN: Final = 2_000_000  # of the network's input: bounds the memory of a long batch

Decode: TypeAlias = Callable[[Sequence[FloatArray], tuple[int, int], float], list[Candidates]]
"""From a network's outputs, the height and width of its input and the least score, what it found in each
image of the batch, in pixels of the input; weaker finds are dropped later."""


@dataclass(frozen=True, slots=True)
class Look:
    """A network, and how to feed and read it.

    Attributes:
        session: the network.
        preprocessing: its colours; and its input's size, where that is fixed.
        decode: reads its outputs.
        multiple: the sides of its input are multiples of this.
        pad_value: gray level of what is added to images to that end, 0..255.
        full_face_px: in an input whose longer side is at most this it finds a face that fills it.
    """

    session: Session
    preprocessing: Preprocessing
    decode: Decode
    multiple: int = 1
    pad_value: int = 0
    full_face_px: int = 640

    def fit(self, image: Image, longest_px: int | None) -> Fit:
        """How it is fed with an image."""
        input_hw = self.preprocessing.size_hw
        return fit(image.shape[:2], longest_px, multiple=self.multiple, input_hw=input_hw)

    def at(
        self, images: Sequence[Image], *, longest_px: Sequence[int | None], min_score: float
    ) -> list[Candidates]:
        """What the network finds in each image, in pixels of the image; each at its own `longest_px`."""
        fits = [self.fit(image, longest) for image, longest in zip(images, longest_px, strict=True)]
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
                strong = candidates.at(candidates.scores >= min_score)
                found[i] = to_image(best(strong, MAX_CANDIDATES), fits[i])
        return [found[i] for i in range(len(images))]


def needed_px(look: Look, search: Search) -> int | None:
    """The longer side from which on a larger image shows the network nothing more; None where it does.

    An image is reduced to the same input then, be it reduced in part already or not. A least size of faces
    is in pixels of the image, and so needs the image itself.
    """
    if search.min_face_px > 1:
        return None
    input_hw = look.preprocessing.size_hw
    return search.longest_px or (max(input_hw) if input_hw else None)


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
    longest_px = [asked_px(image, look, search) for image in images]
    found = look.at(images, longest_px=longest_px, min_score=search.min_score)
    if not search.close_up:
        return found
    inputs_px = [max(look.fit(*each).resized_hw) for each in zip(images, longest_px, strict=True)]
    large = [i for i, input_px in enumerate(inputs_px) if input_px > look.full_face_px]
    again = look.at(
        [images[i] for i in large], longest_px=[close_up.SIZE_PX] * len(large), min_score=search.min_score
    )
    for i, candidates in zip(large, again, strict=True):
        found[i] = close_up.merged(found[i], candidates, input_px=inputs_px[i], image_px=max(images[i].shape))
    return found


def asked_px(image: Image, look: Look, search: Search) -> int | None:
    """The longer side with which the network sees an image: as asked, else as the smallest face allows."""
    if search.longest_px is not None:
        return search.longest_px
    image_px = max(image.shape)
    enough_px = max(look.full_face_px, math.ceil(image_px * SURE_PX / search.min_face_px))
    return enough_px if enough_px < image_px else None


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
