"""A loss that is built without arguments is the published one."""

import pytest
from torch import nn

from vultus.training.losses import (
    CenterLoss,
    LogitDistillationLoss,
    MoCoInfoNCELoss,
    MTCNNMultitaskLoss,
    MultiBoxLoss,
    NTXentLoss,
    RelationalDistillationLoss,
    SoftmaxCenterLoss,
    TripletLoss,
    YOLOv5FaceLoss,
)
from vultus.training.mining import semi_hard_triplets


@pytest.mark.parametrize(
    ("loss", "published"),
    [
        (CenterLoss(2, 2), {"centre_rate": 0.5}),
        (SoftmaxCenterLoss(2, 2), {"centre_weight": 0.003}),
        (TripletLoss(), {"margin_squared_l2": 0.2, "miner": semi_hard_triplets}),
        (MTCNNMultitaskLoss(), {"weights": (1, 0.5, 0.5), "hard_share": 0.7}),
        (
            MultiBoxLoss(),
            {"negative_ratio": 7, "class_weight": 1, "box_weight": 2, "landmark_weight": 1},
        ),
        (YOLOv5FaceLoss(), {"weights": (0.05, 1, 0.5, 0.005)}),
        (NTXentLoss(), {"temperature": 0.5}),
        (MoCoInfoNCELoss(2), {"temperature": 0.07}),
        (LogitDistillationLoss(), {"temperature": 4}),
        (RelationalDistillationLoss(), {"distance_weight": 25, "angle_weight": 50}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_loss_without_arguments_is_the_published_one(loss: nn.Module, published: dict[str, object]) -> None:
    assert {name: getattr(loss, name) for name in published} == published


def test_mocos_queue_holds_as_many_keys_as_the_papers() -> None:
    assert MoCoInfoNCELoss(2).queue.shape == (65_536, 2)
