"""Average precision on WIDER FACE while a detector is trained, through the detector that ships."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import nn

from vultus.evaluate.detection_ap import widerface_ap
from vultus.evaluate.widerface import read_widerface_truth
from vultus.evaluate.widerface_images import find_widerface_images
from vultus.image import load_image
from vultus.interfaces import Detector


class WiderValidation:
    """Measures a network on the validation images of WIDER FACE that are there.

    Args:
        folder: with images/ (a folder for each event) and ground_truth/ (the official four files).
        make_detector: the detector around a network, with the `MIN_SCORE` of `evaluate.widerface_images`.

    Raises:
        InputError: no image, or no ground truth.
    """

    def __init__(self, folder: Path, make_detector: Callable[[nn.Module], Detector]) -> None:
        self._make_detector = make_detector
        self._truth = read_widerface_truth(folder / "ground_truth")
        self._files = find_widerface_images(folder / "images", self._truth, only_present=True)

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        """AP at the three difficulties in 0..1, and their mean."""
        detector = self._make_detector(network)
        found = {name: detector.detect(load_image(file)) for name, file in self._files.items()}
        result = widerface_ap(found, self._truth, only_present=True)
        figures = {"easy": result.easy, "medium": result.medium, "hard": result.hard}
        return figures | {"mean_ap": float(np.mean(list(figures.values())))}
