"""Five landmarks onto the ArcFace template: faces upright, of one size, eyes and mouth always in place.

The template is where left eye, right eye, nose tip and mouth corners of a frontal face lie in a 112 x 112
crop. Other sizes scale it by size / 112. The least-squares similarity
(`vultus.geometry.similarity_transform`) takes the landmarks there; never an affine transform of three
points, which shears faces, never a rotation by the eyes alone, which leaves the scale to chance.

**Left and right are as seen in the image.** A face drawn with its own left and right has its landmarks
mirrored, and no rotation brings them to the template: the fit shrinks towards a point. Faces turned by any
angle, upside down too, are brought upright.

**Pixel centres.** Landmarks and template go to the warp as they are, and there whole numbers are the
centres of pixels. The template's own axis of symmetry is x = 56.03: half a pixel right of the middle of the
crop (55.5), and a mirrored crop is shifted by 1.05 px. That is the field's convention; the public networks
were trained with it, so it stays.

**Residual.** What the fit leaves, root mean square over the five points, in pixels of the 112 template.
Median 3.1 over 53,075 detected faces, 99 % below 7.2; full profiles, whose eyes coincide, 14 to 16;
landmarks with the eyes swapped 15.7 to 22.0 (17.5 at least where the face looked into the camera).
`MAX_RESIDUAL_PX` stands between.

Deng, Guo, Xue, Zafeiriou: ArcFace. CVPR 2019. https://arxiv.org/abs/1801.07698
"""

from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.geometry.similarity_transform import fit_similarity
from vultus.types import Crops, Image, checked_image

Landmarks: TypeAlias = NDArray[np.floating[Any]]

TEMPLATE_PX: Final = 112
MAX_RESIDUAL_PX: Final = 16.5
MIN_SPREAD_PX: Final = 1.0  # root mean square distance from their mean: that of a face 4 px wide

# Left eye, right eye, nose tip, left mouth corner, right mouth corner: x y in a crop of 112 px.
ARCFACE_TEMPLATE: Final = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
ARCFACE_TEMPLATE.flags.writeable = False


def template(size_px: int = TEMPLATE_PX, *, margin_px: int = 0) -> NDArray[np.float64]:
    """(5, 2) where the landmarks lie in a crop of `size_px` with a margin of `margin_px` on each side.

    Raises:
        InputError: the margins leave nothing of the crop.
    """
    inner_px = size_px - 2 * margin_px
    if inner_px < 1 or margin_px < 0:
        raise InputError(f"a crop of {size_px} px has no room for margins of {margin_px} px on each side")
    return ARCFACE_TEMPLATE * (inner_px / TEMPLATE_PX) + margin_px


def crop_faces(
    image: Image, landmarks: Landmarks, *, size_px: int = TEMPLATE_PX, margin_px: int = 0
) -> Crops:
    """Cut the faces out, upright and of one size.

    Bilinear interpolation; what lies beyond the border of the image is black.

    Args:
        image: (H, W, 3), RGB.
        landmarks: (N, 5, 2) x y in pixels of the image, left and right as seen in it.
        size_px: side of the crops.
        margin_px: how much of it, on each side, lies around the template's own crop: 128 with a margin of 8
            is the 112 crop in the middle of a larger one.

    Returns:
        (N, size_px, size_px, 3), RGB, in the order of the landmarks.

    Raises:
        ShapeError: image or landmarks have another shape.
        InputError: a face is not alignable; the message says which and why.
    """
    checked_image(image)
    landmarks = _checked(landmarks)
    _check_alignable(landmarks)
    matrices = fit_similarity(landmarks, template(size_px, margin_px=margin_px)).matrices
    crops = np.empty((len(matrices), size_px, size_px, 3), np.uint8)
    for matrix, crop in zip(matrices, crops, strict=True):
        cv2.warpAffine(
            image,
            matrix,
            (size_px, size_px),
            dst=crop,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
    return crops


def residuals(landmarks: Landmarks, *, size_px: int = TEMPLATE_PX) -> NDArray[np.float64]:
    """(N,) what the best fit to the template leaves: rms over the five points, in pixels of the crop.

    NaN where a landmark is not finite.

    Raises:
        ShapeError: the landmarks are not (N, 5, 2).
    """
    return fit_similarity(_checked(landmarks), template(size_px)).residuals_px


def alignable(landmarks: Landmarks) -> NDArray[np.bool_]:
    """(N,) whether the landmarks are a face's: finite, not in one place, left and right not swapped.

    Raises:
        ShapeError: the landmarks are not (N, 5, 2).
    """
    fits = residuals(landmarks) <= MAX_RESIDUAL_PX  # false for NaN too
    is_alignable: NDArray[np.bool_] = fits & (_spreads_px(landmarks) >= MIN_SPREAD_PX)
    return is_alignable


def _check_alignable(landmarks: Landmarks) -> None:
    """Say of the first face that is not alignable what is wrong with it."""
    unusable = np.flatnonzero(~alignable(landmarks))
    if not unusable.size:
        return
    i = unusable[0]
    if not np.isfinite(landmarks[i]).all():
        reason = "a landmark is not a finite number."
    elif _spreads_px(landmarks)[i] < MIN_SPREAD_PX:
        reason = f"the landmarks lie in one place, within {MIN_SPREAD_PX:g} px of each other."
    else:
        reason = (
            f"the landmarks are {residuals(landmarks)[i]:.1f} px from the template, more than "
            f"{MAX_RESIDUAL_PX}; are left and right as seen in the image, and the five points in order?"
        )
    raise InputError(
        f"face {i} of {len(landmarks)} cannot be aligned: {reason} Leave it out with `alignable(landmarks)`."
    )


def _spreads_px(landmarks: Landmarks) -> NDArray[np.float64]:
    """(N,) root mean square distance of the five points from their mean, in pixels of the image."""
    points = np.asarray(landmarks, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # an infinite landmark: its spread is NaN
        centred = points - points.mean(axis=1, keepdims=True)
        spreads: NDArray[np.float64] = np.sqrt(np.mean(np.sum(centred**2, axis=2), axis=1))
    return spreads


def _checked(landmarks: Landmarks) -> Landmarks:
    """The same landmarks, once their shape is known to be right."""
    points = np.asarray(landmarks)
    if points.ndim != 3 or points.shape[1:] != (5, 2):
        raise ShapeError(f"landmarks must have shape (N, 5, 2), got {points.shape}")
    return points
