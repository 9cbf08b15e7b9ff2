"""Why a face should not be trusted: its size, its sharpness, its pose."""

from vultus.defaults import MAX_TURN, MIN_FACE_PX, MIN_SHARPNESS
from vultus.quality.assessment import Quality, assess
from vultus.quality.pose import turns
from vultus.quality.sharpness import sharpnesses

__all__ = ["MAX_TURN", "MIN_FACE_PX", "MIN_SHARPNESS", "Quality", "assess", "sharpnesses", "turns"]
