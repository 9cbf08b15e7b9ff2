"""WIDER FACE during training: the images that are there, through the detector made of the network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vultus.errors import InputError
from vultus.evaluate.widerface import read_widerface_truth
from vultus.image import load_image
from vultus.training.detection_validation import WiderValidation
from vultus.types import Detections, Image


@pytest.fixture
def three(shared: Path, tmp_path: Path) -> Path:
    """A folder with the official truth and three of the validation images."""
    dev = shared / "data" / "widerface-dev"
    (tmp_path / "ground_truth").symlink_to(dev / "ground_truth")
    (tmp_path / "images").mkdir()
    for file in sorted((dev / "images").rglob("*.jpg"))[:3]:
        (tmp_path / "images" / file.parent.name).mkdir(exist_ok=True)
        (tmp_path / "images" / file.parent.name / file.name).symlink_to(file)
    return tmp_path


class Knowing:
    """A detector that knows every image's faces, as long as its network says so."""

    def __init__(self, folder: Path, network: nn.Module) -> None:
        truth = read_widerface_truth(folder / "ground_truth")
        self.found: dict[bytes, Detections] = {}
        self.is_right = bool(next(network.parameters()).sum() > 0)
        for number, name in enumerate(truth.images):
            if (folder / "images" / name).exists():
                boxes = truth.boxes[truth.faces_of(number)].astype(np.float32)
                boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
                scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
                landmarks = np.zeros((len(boxes), 5, 2), np.float32)
                pixels = load_image(folder / "images" / name).tobytes()
                self.found[pixels] = Detections(boxes, scores, landmarks)

    def detect(self, image: Image) -> Detections:
        found = self.found[image.tobytes()]
        return found if self.is_right else found[:0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 1.0), (-1.0, 0.0)])
def test_it_is_the_average_precision_of_the_networks_detector(
    weight: float, expected: float, three: Path
) -> None:
    network = nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, weight)
    figures = WiderValidation(three, lambda given: Knowing(three, given))(network)
    assert set(figures) == {"easy", "medium", "hard", "mean_ap"}
    assert figures["hard"] == pytest.approx(expected, abs=1e-3)
    assert figures["mean_ap"] == pytest.approx(
        np.mean([figures[name] for name in ("easy", "medium", "hard")])
    )


def test_without_an_image_there_is_nothing_to_measure(three: Path) -> None:
    for link in (three / "images").rglob("*.jpg"):
        link.unlink()
    with pytest.raises(InputError, match="none of the 3,226 validation images of WIDER FACE"):
        WiderValidation(three, lambda given: Knowing(three, given))
