"""From the images of WIDER FACE's validation set to the predictions that are judged."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from vultus.errors import InputError
from vultus.evaluate.widerface import WiderTruth
from vultus.image import load_image
from vultus.interfaces import Detector
from vultus.types import Detections

MIN_SCORE: Final = 0.02  # the precision at high recall is measured on faint detections
MAX_BOXES: Final = 750  # per image, the best ones; the fullest image has 709 faces


def find_widerface_images(folder: Path, truth: WiderTruth, *, only_present: bool = False) -> dict[str, Path]:
    """The files of the validation images, by name, in the order of the ground truth.

    Args:
        folder: holds a folder per event.
        truth: says which images there are.
        only_present: leave out those that are not there, rather than refuse.

    Raises:
        InputError: an image is missing, or with `only_present` all of them.
    """
    paths = {name: folder / name for name in truth.images}
    present = {name: path for name, path in paths.items() if path.is_file()}
    if not present:
        raise InputError(f"none of the {len(paths):,} validation images of WIDER FACE is in {folder}")
    if len(present) < len(paths) and not only_present:
        raise InputError(
            f"{len(paths) - len(present):,} of the {len(paths):,} validation images are missing in {folder}; "
            "to judge a subset, ask for the present images only"
        )
    return present


def detect_images(
    paths: Mapping[str, Path],
    detector: Detector,
    *,
    max_boxes: int = MAX_BOXES,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Detections]:
    """The faces of each image, one image at a time.

    Args:
        paths: files by name.
        detector: should keep scores from `MIN_SCORE` on, and at least `max_boxes` faces.
        max_boxes: per image this many are kept, the best.
        on_progress: told how many images were just finished.

    Raises:
        ImageError: a file that is no image.
    """
    found = {}
    for name, path in paths.items():
        found[name] = detector.detect(load_image(path))[:max_boxes]
        if on_progress is not None:
            on_progress(1)
    return found
