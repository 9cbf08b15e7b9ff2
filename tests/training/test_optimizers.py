"""Weight decay is for kernels: normalisations, PReLU slopes and biases are left alone."""

from typing import Any

import pytest
import torch
from torch import nn

from vultus.networks.blocks import GlobalDepthwise, StridedDepthwise
from vultus.networks.mobilefacenet import MobileFaceNet
from vultus.networks.retinaface import retinaface
from vultus.training.losses import ArcFaceLoss
from vultus.training.optimizers import make_optimizer, parameter_groups
from vultus.training.settings import TrainSettings


def names(module: nn.Module, *, decay: float = 0.1) -> tuple[set[str], set[str]]:
    """The parameters that are decayed, and the others."""
    found: dict[float, set[str]] = {decay: set(), 0.0: set()}
    name_of = {id(parameter): name for name, parameter in module.named_parameters()}
    for group in parameter_groups(module, weight_decay=decay):
        found[group["weight_decay"]] |= {name_of[id(parameter)] for parameter in group["params"]}
    return found[decay], found[0.0]


def test_only_kernels_are_decayed() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(4, 2))
    assert names(module) == ({"0.weight", "4.weight"}, {"0.bias", "1.weight", "1.bias", "2.weight", "4.bias"})


def test_a_layer_norm_of_any_shape_is_left_alone() -> None:
    assert names(nn.Sequential(nn.LayerNorm((2, 3)), nn.GroupNorm(1, 2))) == (
        set(),
        {"0.weight", "0.bias", "1.weight", "1.bias"},
    )


@pytest.mark.parametrize("network", [retinaface(), MobileFaceNet()], ids=["retinaface", "mobilefacenet"])
def test_a_real_network_has_each_parameter_in_one_group(network: nn.Module) -> None:
    decayed, left_alone = names(network)
    assert decayed | left_alone == {name for name, _ in network.named_parameters()}
    assert not decayed & left_alone
    layers = dict(network.named_modules())
    kinds = {type(layers[name.rpartition(".")[0]]) for name in decayed}
    assert kinds <= {nn.Conv2d, StridedDepthwise, GlobalDepthwise, nn.Linear}
    assert any(
        "PReLU" in type(layers[name.rpartition(".")[0]]).__name__ for name in left_alone
    ) or isinstance(network, type(retinaface()))


def test_the_class_weights_of_a_margin_loss_are_decayed() -> None:
    assert names(ArcFaceLoss(8, 5)) == ({"weight"}, set())


def test_a_shared_parameter_stands_in_one_group_once() -> None:
    module = nn.ModuleList([nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)])
    module[1].weight = module[0].weight
    groups = parameter_groups(module, weight_decay=0.1)
    assert [len(group["params"]) for group in groups] == [1]


def test_what_is_frozen_is_not_optimised() -> None:
    module = nn.Linear(2, 2).requires_grad_(False)
    assert parameter_groups(module, weight_decay=0.1) == []


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_named_optimiser_is_made(name: Any, kind: type) -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), TrainSettings(optimizer=name, lr=0.25, weight_decay=0.5))
    assert type(optimizer) is kind
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [
        (0.25, 0.5),
        (0.25, 0),
    ]


def test_sgd_has_nesterovs_momentum() -> None:
    group = make_optimizer(nn.Linear(2, 2), TrainSettings(momentum=0.8)).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.8, True)
    assert not make_optimizer(nn.Linear(2, 2), TrainSettings(momentum=0)).param_groups[0]["nesterov"]
