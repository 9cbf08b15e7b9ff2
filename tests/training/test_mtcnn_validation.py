"""Each stage of MTCNN is judged in the cascade: by what it lets through, and what it misses."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vultus.image import save_image
from vultus.networks.torch_session import TorchSession
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.mtcnn_validation import MtcnnValidation

FACE = [40, 30, 70, 60]


class BrightProposals(nn.Module):
    """A P-Net for which the score is how bright a window is: 30 pixels wide, as the face is."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        means = nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 12, 2)
        rows, columns = ((side - 10 + 1) // 2 for side in images.shape[2:])
        grid = nn.functional.pad(means, (0, columns - means.shape[3], 0, rows - means.shape[2]), value=-1.0)
        logits = torch.cat([-grid, grid], dim=1) * self.gain
        return logits, torch.zeros(len(images), 4, rows, columns)


class BrightCrops(nn.Module):
    """An R-Net or O-Net of the same kind."""

    def __init__(self, *, has_landmarks: bool, least: float = 0.3) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(6.0))
        self.least = least
        self.has_landmarks = has_landmarks

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        means = crops.mean(dim=(1, 2, 3))[:, None] - self.least
        answers = torch.cat([-means, means], dim=1) * self.gain, torch.zeros(len(crops), 4)
        return (*answers, torch.full((len(crops), 10), 0.5)) if self.has_landmarks else answers


@pytest.fixture
def images(tmp_path: Path) -> list[AnnotatedImage]:
    """Two pictures of a bright face, and one of nobody."""
    lit = np.zeros((100, 120, 3), np.uint8)
    lit[30:60, 40:70] = 255
    save_image(lit, tmp_path / "lit.png")
    save_image(np.zeros((60, 60, 3), np.uint8), tmp_path / "dark.png")
    boxes = np.array([FACE], np.float32)
    landmarks = np.full((1, 5, 2), [55, 45], np.float32)
    none = AnnotatedImage(tmp_path / "dark.png", boxes[:0], landmarks[:0], np.zeros(0, np.bool_))
    return [AnnotatedImage(tmp_path / "lit.png", boxes, landmarks, np.zeros(1, np.bool_))] * 2 + [none]


def figures(images: list[AnnotatedImage], stages: int) -> Mapping[str, float]:
    networks = [BrightProposals(), BrightCrops(has_landmarks=False), BrightCrops(has_landmarks=True)]
    before = [TorchSession(network) for network in networks[:stages]]
    return MtcnnValidation(images, before, min_face_px=30, proposal_counts=(1, 20))(networks[stages])


def test_p_net_is_judged_by_what_its_first_proposals_cover(images: list[AnnotatedImage]) -> None:
    told = figures(images, 0)
    assert list(told) == ["recall_1", "recall_20", "proposals"]
    assert told["recall_20"] == 1
    assert told["proposals"] > 0


def test_r_net_is_judged_by_the_precision_of_its_boxes(images: list[AnnotatedImage]) -> None:
    told = figures(images, 1)
    assert list(told) == ["ap", "recall"]
    assert 0.4 < told["ap"] <= 1
    assert told["recall"] == 1


def test_o_net_is_judged_by_the_detector_and_by_its_landmarks(images: list[AnnotatedImage]) -> None:
    told = figures(images, 2)
    assert list(told) == ["ap", "recall", "nme"]
    assert told["recall"] == 1
    assert (
        0 <= told["nme"] < 0.25
    )  # it answers the middle of its window, where all five points of the face are


def test_faces_that_are_too_small_do_not_count(images: list[AnnotatedImage]) -> None:
    validation = MtcnnValidation(images, min_face_px=31, proposal_counts=(5,))
    assert validation(BrightProposals())["recall_5"] == 0  # of no face at all
    assert validation.best == "recall_5"


def test_a_network_that_finds_nothing_has_no_precision(images: list[AnnotatedImage]) -> None:
    blind = BrightCrops(has_landmarks=False, least=50)
    validation = MtcnnValidation(images, [TorchSession(BrightProposals())], min_face_px=30)
    told = validation(blind)
    assert told == {"ap": 0, "recall": 0}
    assert validation.best == "ap"
