"""Why a face should not be trusted: too small, too blurred, turned away.

A poor face is not only missed. Poor faces resemble *each other*, because what is left of them is blur: a
few of them in a gallery draw every other poor face to themselves. Measured with SFace on 194 LFW faces of
different people, made worse on purpose; false match rate (FMR) at the threshold 0.363, among faces of the
same kind:

| made worse by | cosine to the good version | FMR |
|---|---|---|
| nothing | 1.00 | 0.13 % |
| face box of 40 px | 0.98 | 0.15 % |
| 24 px | 0.89 | 0.20 % |
| 16 px | 0.73 | 0.34 % |
| 12 px | 0.57 | 0.54 % |
| Gaussian blur, sigma 1 px of the 112 px crop | 0.98 | 0.17 % |
| 2 px (sharpness 0.26) | 0.87 | 0.41 % |
| 3 px (0.17) | 0.71 | 1.06 % |
| 5 px | 0.40 | 6.95 % |
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vultus.defaults import MAX_TURN, MIN_FACE_PX, MIN_SHARPNESS
from vultus.errors import ShapeError
from vultus.quality.pose import turns
from vultus.quality.sharpness import sharpnesses
from vultus.types import Crops, Detections

# What is as good as it gets: more of it does not bring an embedding closer to its person.
_AMPLE_PX: Final = 80.0  # a box of this size fills a crop of 112 px without being enlarged
_AMPLE_SHARPNESS: Final = 0.5  # the median of real faces


@dataclass(frozen=True, slots=True)
class Quality:
    """How good one face is.

    Attributes:
        score: 0 (useless) to 1 (good): as good as the weakest of size, sharpness and pose.
        size_px: the shorter side of the face box, in pixels of the image.
        sharpness: 0..1, see `vultus.quality.sharpness`.
        turn: how far the face is turned sideways: 0 frontal, beyond 1 (either way) a profile.
        reasons: why it should not be trusted, in words; empty for a good face.
    """

    score: float
    size_px: float
    sharpness: float
    turn: float
    reasons: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the face."""
        return not self.reasons


def assess(
    crops: Crops,
    faces: Detections,
    *,
    min_face_px: float = MIN_FACE_PX,
    min_sharpness: float = MIN_SHARPNESS,
    max_turn: float = MAX_TURN,
) -> list[Quality]:
    """Judge faces, each with its aligned crop.

    Args:
        crops: (N, H, W, 3), RGB, as an embedder's `align` cuts them.
        faces: the N detections that the crops were cut from.
        min_face_px: the least shorter side of the face box, in pixels of the image.
        min_sharpness: the least sharpness, 0..1.
        max_turn: the largest turn to either side.

    Returns:
        One `Quality` per face.

    Raises:
        ShapeError: there are not as many crops as faces, or they are no crops.
    """
    if len(crops) != len(faces):
        raise ShapeError(f"expected {len(faces)} crops, one per face, got {len(crops)}")
    qualities = []
    measured = zip(faces.sizes_px, sharpnesses(crops), turns(faces.landmarks), strict=True)
    for size_px, sharp, turn in measured:
        score = min(size_px / _AMPLE_PX, sharp / _AMPLE_SHARPNESS, 1 - abs(turn), 1)
        reasons = []
        if size_px < min_face_px:
            reasons.append(f"the face is too small: {size_px:.0f} px, needed {min_face_px:.0f}")
        if sharp < min_sharpness:
            reasons.append(f"the face is blurred: sharpness {sharp:.2f}, needed {min_sharpness:.2f}")
        if abs(turn) > max_turn:
            reasons.append(f"the face is turned away: {abs(turn):.2f}, allowed {max_turn:.2f}")
        qualities.append(
            Quality(
                score=float(np.clip(score, 0, 1)),
                size_px=float(size_px),
                sharpness=float(sharp),
                turn=float(turn),
                reasons=tuple(reasons),
            )
        )
    return qualities
