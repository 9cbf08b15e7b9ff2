"""Where the labels go: each on a plate beside its face, inside the image, over as little else as possible."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.draw.lettering import BASELINE, CAP_HEIGHT, lettering
from vultus.draw.shapes import Colour, Edges, paint_box, paint_mask
from vultus.types import FloatArray, Image

_HEIGHT = 1.4  # of a plate, in text sizes, as are the next three
_MARGIN = 0.4  # left and right of the text
_GAP = 0.2  # between plate and frame
_CORNER = 0.28
_DARK: Colour = (15, 23, 42)
_LIGHT: Colour = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Plate:
    """A label that has its place.

    Attributes:
        face: whose label it is, as a position in the detections.
        edges: x1 y1 x2 y2, whole pixels.
        ink: (h, w) the text, 0..255.
        size_px: of the text.
    """

    face: int
    edges: Edges
    ink: NDArray[np.uint8]
    size_px: int

    def paint(self, canvas: Image, colour: Colour) -> None:
        """Paint the plate in this colour, and the text black or white, whichever reads better on it."""
        x1, y1, _, y2 = self.edges
        paint_box(canvas, self.edges, radius=_CORNER * self.size_px, colour=colour, opacity=0.94)
        baseline = (y1 + y2 + CAP_HEIGHT * self.size_px) / 2  # capitals and digits stand in the middle
        left, top = round(x1 + _MARGIN * self.size_px), round(baseline - BASELINE * self.size_px)
        paint_mask(canvas, self.ink, left=left, top=top, colour=_DARK if _luminance(colour) > 0.3 else _LIGHT)


def place_plates(texts: Sequence[str], frames: FloatArray, *, size_hw: tuple[int, int]) -> Iterator[Plate]:
    """A plate for each text that is not blank, where the image is large enough to hold one.

    Args:
        texts: one for each frame; the earlier choose first.
        frames: (N, 4) x1 y1 x2 y2, inside the image.
        size_hw: of the image.
    """
    taken: list[Edges] = []
    for face, (text, frame) in enumerate(zip(texts, frames, strict=True)):
        line = " ".join(text.split())
        size_px = _text_size(frame, size_hw)
        room_px = size_hw[1] - round(2 * _MARGIN * size_px)
        height = round(_HEIGHT * size_px)
        if not line or room_px < size_px or height > size_hw[0]:
            continue
        ink = _fitted(line, size_px=size_px, room_px=room_px)
        size_wh = ink.shape[1] + round(2 * _MARGIN * size_px), height
        places = _places(frame, size_wh=size_wh, gap=_GAP * size_px, size_hw=size_hw)
        hidden = [4 * _shared(place, taken) + _shared(place, frames) for place in places]
        best = places[int(np.argmin(hidden))]  # the first of equals
        taken.append(best)
        yield Plate(face, best, ink, size_px)


def _text_size(frame: FloatArray, size_hw: tuple[int, int]) -> int:
    """Follows the image, and gives way to small faces so that a crowd stays visible; never below 10 px."""
    largest = float(np.clip(min(size_hw) / 38, 12, 160))
    face_px = float(min(frame[2] - frame[0], frame[3] - frame[1]))
    return round(float(np.clip(0.26 * face_px, max(0.5 * largest, 10), largest)))


def _fitted(text: str, *, size_px: int, room_px: int) -> NDArray[np.uint8]:
    """The text, cut to "text..." where it is wider than the room."""
    ink = lettering(text, size_px=size_px)
    while ink.shape[1] > room_px and text:
        kept = min(len(text) - 1, len(text) * room_px // ink.shape[1])
        text = text[:kept]
        ink = lettering(text + "...", size_px=size_px)
    return ink[:, :room_px]


def _places(
    frame: FloatArray, *, size_wh: tuple[int, int], gap: float, size_hw: tuple[int, int]
) -> list[Edges]:
    """Above the frame, below, beside and within, in order of preference, each moved into the image."""
    x1, y1, x2, y2 = (float(edge) for edge in frame)
    width, height = size_wh
    above, below = y1 - gap - height, y2 + gap
    corners = [
        *[(x1, above), (x2 - width, above), (x1, below), (x2 - width, below)],
        *[(x2 + gap, y1), (x1 - gap - width, y1), (x2 + gap, y2 - height), (x1 - gap - width, y2 - height)],
        *[(x1 + gap, y2 - gap - height), (x1 + gap, y1 + gap)],
    ]
    lefts = [round(min(max(left, 0), size_hw[1] - width)) for left, _ in corners]
    tops = [round(min(max(top, 0), size_hw[0] - height)) for _, top in corners]
    return [(left, top, left + width, top + height) for left, top in zip(lefts, tops, strict=True)]


def _shared(edges: Edges, others: ArrayLike) -> float:
    """The area that the box shares with others, in square pixels."""
    boxes = np.asarray(others, dtype=np.float32).reshape(-1, 4)
    sides = np.minimum(boxes[:, 2:], edges[2:]) - np.maximum(boxes[:, :2], edges[:2])  # (N, 2)
    return float(np.prod(np.maximum(sides, 0), axis=1).sum())


def _luminance(colour: Colour) -> float:
    """Relative luminance as in WCAG 2, 0..1, with a gamma of 2.2."""
    red, green, blue = (math.pow(channel / 255, 2.2) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
