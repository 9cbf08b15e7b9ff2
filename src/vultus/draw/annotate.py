"""Boxes, landmarks and names on a copy of the image, sized to it so that they read well at any resolution."""

from collections.abc import Sequence

import numpy as np

from vultus.draw.plates import place_plates
from vultus.draw.shapes import Colour, paint_box
from vultus.errors import ShapeError
from vultus.types import Detections, FloatArray, Image, Match, Recognition, checked_image

DETECTED: Colour = (37, 110, 245)  # blue: a face
KNOWN: Colour = (34, 197, 94)  # green: a face with a name
UNKNOWN: Colour = (251, 176, 36)  # amber: a face without one

LANDMARK_COLOURS: tuple[Colour, ...] = (
    (34, 211, 238),  # left eye, as seen by the viewer: cyan
    (232, 121, 249),  # right eye: magenta
    (253, 224, 71),  # nose tip: yellow
    (74, 222, 128),  # left mouth corner: green
    (251, 113, 133),  # right mouth corner: rose
)
_SHADOW: Colour = (0, 0, 0)
_SHADOW_OPACITY = 0.4


def annotate(
    image: Image,
    faces: Detections,
    *,
    labels: Sequence[str] | None = None,
    colours: Sequence[Colour] | None = None,
) -> Image:
    """A copy of the image with each face framed, its five landmarks dotted and its label on a plate.

    Args:
        image: (H, W, 3) RGB; it is not changed.
        faces: in pixels of this image. A box that leaves it is framed up to the border; one that lies outside
            is left out.
        labels: one line of text for each face, "" for none; by default the detection scores.
        colours: one RGB colour for each face; by default `DETECTED`. `KNOWN` and `UNKNOWN` go with names.

    Raises:
        ShapeError: the image is none, labels or colours are not as many as the faces, or a coordinate is NaN.
    """
    canvas = checked_image(image).copy()
    texts = [f"{score:.2f}" for score in faces.scores] if labels is None else list(labels)
    paints = [DETECTED] * len(faces) if colours is None else list(colours)
    _check(faces, texts, paints)
    height, width = canvas.shape[:2]
    line_px = float(np.clip(min(height, width) / 320, 2, 12))
    frames = np.clip(faces.boxes, line_px / 2, np.array([width, height, width, height]) - line_px / 2)
    visible = np.flatnonzero((frames[:, 2:] > frames[:, :2]).all(axis=1))
    for i in visible[::-1]:  # the best face ends on top
        _paint_frame(canvas, frames[i], line_px=line_px, colour=paints[i])
        _paint_landmarks(canvas, faces.landmarks[i], face_px=float(faces.sizes_px[i]), line_px=line_px)
    for plate in place_plates([texts[i] for i in visible], frames[visible], size_hw=(height, width)):
        plate.paint(canvas, paints[visible[plate.face]])
    return canvas


def annotate_recognition(image: Image, recognition: Recognition) -> Image:
    """A copy of the image with each face named: green where it is known, amber where it is not."""
    matches = recognition.matches
    return annotate(
        image,
        recognition.faces,
        labels=[f"{match.name or 'unknown'}{_similarity(match)}" for match in matches],
        colours=[KNOWN if match.is_known else UNKNOWN for match in matches],
    )


def _similarity(match: Match) -> str:
    return f" {match.best.similarity:.2f}" if match.best else ""


def _check(faces: Detections, labels: Sequence[str], colours: Sequence[Colour]) -> None:
    for what, given in (("label", labels), ("colour", colours)):
        if len(given) != len(faces):
            raise ShapeError(f"expected {len(faces)} {what}s, one for each face, got {len(given)}")
    if not (np.isfinite(faces.boxes).all() and np.isfinite(faces.landmarks).all()):
        raise ShapeError("cannot draw boxes or landmarks whose coordinates are NaN or infinite")


def _paint_frame(canvas: Image, frame: FloatArray, *, line_px: float, colour: Colour) -> None:
    """Rounded corners, and a soft dark edge that keeps the line visible on any background."""
    x1, y1, x2, y2 = (float(edge) for edge in frame)
    side = min(x2 - x1, y2 - y1)
    stroke = min(line_px, max(side / 20, 1.0))
    edges, radius = (x1, y1, x2, y2), 0.08 * side
    paint_box(canvas, edges, radius=radius, stroke=1.8 * stroke + 1, colour=_SHADOW, opacity=_SHADOW_OPACITY)
    paint_box(canvas, edges, radius=radius, stroke=stroke, colour=colour)


def _paint_landmarks(canvas: Image, points: FloatArray, *, face_px: float, line_px: float) -> None:
    radius = min(2.5 * line_px, max(0.025 * face_px, 0.8))
    for (x, y), colour in zip(points.tolist(), LANDMARK_COLOURS, strict=True):
        for r, paint, opacity in ((1.3 * radius + 0.3, _SHADOW, _SHADOW_OPACITY), (radius, colour, 1.0)):
            paint_box(canvas, (x - r, y - r, x + r, y + r), radius=r, colour=paint, opacity=opacity)
