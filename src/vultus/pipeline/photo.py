"""From a file to boxes: a photo far larger than the detector's input is not decoded whole.

A JPEG can be decoded at a half, a quarter or an eighth of its size, which skips most of the work; and a
detector that reduces every image to the same input sees the same faces in it. Boxes and landmarks come back
in pixels of the whole photo. Embedding is another matter: crops are cut from the whole photo, always.
"""

import numpy as np

from vultus.image import DEFAULT_MAX_PIXELS, ImageSource, load_reduced
from vultus.interfaces import Detector, FrugalDetector
from vultus.types import Detections


def detect_photo(
    source: ImageSource, detector: Detector, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Detections:
    """The faces of a photo, best score first, in pixels of the whole upright photo.

    Args:
        source: as `vultus.load_image` takes it.
        detector: finds them; of a `FrugalDetector` it is known how much it needs to see.
        max_pixels: a file of more pixels is refused.

    Raises:
        ImageError: missing, unreadable, empty, no image, truncated, damaged, or over the cap.
    """
    least_px = detector.needed_px if isinstance(detector, FrugalDetector) else None
    reduced = load_reduced(source, least_px=least_px, max_pixels=max_pixels)
    faces = detector.detect(reduced.image)
    if reduced.factor == 1:
        return faces
    corner = np.array(reduced.corner_xy, np.float32)
    return Detections(
        faces.boxes * reduced.factor + np.tile(corner, 2),
        faces.scores,
        faces.landmarks * reduced.factor + corner,
    )
