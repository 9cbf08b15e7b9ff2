"""A second look at the whole image, reduced: for faces too large for the first.

Anchors end at about 500 px. In a photo of 3000 px a face that fills it is found by none of them; instead an
eye is taken for a face, or a blurred background is. At `SIZE_PX` the same face is an ordinary one.

Each look answers for the faces it is good at. In pixels of the first input, f times as large as the second:

    least = min(`LEAST_PX` f, `REACH_PX`)    the second look tells faces from here on
    1.1 least                                the first look tells faces up to here

What both tell is left to the suppression that follows. What the first look found inside a better face of the
second one (most of the smaller box, which the union would not show) goes.
"""

from typing import Final

import numpy as np

from vultus.detect.search import Candidates, joined, sizes_px
from vultus.geometry.boxes import overlaps

SIZE_PX: Final = 320  # the longer side of the second input
LEAST_PX: Final = 56  # shorter side, in pixels of the second input
REACH_PX: Final = 400  # the first look finds all faces up to here
OVERLAP: Final = 1.1
MAX_SHARE: Final = 0.7


def merged(first: Candidates, second: Candidates, *, input_px: int, image_px: int) -> Candidates:
    """What both looks found, each at the faces it is good at.

    Args:
        first: candidates of the first look, in pixels of the image.
        second: those of the second look, likewise.
        input_px: the longer side of the first input.
        image_px: that of the image.
    """
    least_px = min(LEAST_PX * input_px / SIZE_PX, REACH_PX) * image_px / input_px
    second = second.at(sizes_px(second.boxes) >= least_px)
    first = first.at(sizes_px(first.boxes) < OVERLAP * least_px)
    shares = overlaps(first.boxes, second.boxes, overlap="minimum")  # (F, S)
    is_part = (shares > MAX_SHARE) & (second.scores > first.scores[:, None])
    return joined([first.at(~np.asarray(is_part.any(axis=1))), second])
