"""Muon against PyTorch's own, which takes matrices only, and against AdamW for all else."""

import copy

import pytest
import torch
from torch import nn

from vultus.networks.compact_resnet import CompactResNet
from vultus.training.muon import Muon, evened, matrices_of
from vultus.training.optimizers import make_optimizer
from vultus.training.settings import TrainSettings


def some_gradients(*shapes: tuple[int, ...], steps: int = 4) -> list[list[torch.Tensor]]:
    chance = torch.manual_seed(1)
    return [[torch.randn(shape, generator=chance) for shape in shapes] for _ in range(steps)]


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (7, 7)])
def test_matrices_step_as_pytorchs_own_muon_does(shape: tuple[int, int]) -> None:
    ours = nn.Parameter(torch.randn(shape, generator=torch.manual_seed(0)))
    theirs = copy.deepcopy(ours)
    mine = Muon([{"params": [ours], "weight_decay": 0.1, "is_matrix": True}], lr=0.01)
    reference = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for (gradient,) in some_gradients(shape):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_kernel_is_a_matrix_of_its_outputs() -> None:
    kernel = nn.Parameter(torch.randn((4, 3, 3, 3), generator=torch.manual_seed(0)))
    flat = nn.Parameter(kernel.detach().flatten(1).clone())
    mine = Muon([{"params": [kernel, flat], "is_matrix": True}], lr=0.02)
    for (gradient,) in some_gradients((4, 3, 3, 3)):
        kernel.grad, flat.grad = gradient.clone(), gradient.flatten(1).clone()
        mine.step()
    torch.testing.assert_close(kernel.flatten(1), flat)


def test_all_else_steps_as_adamw_does() -> None:
    ours = [nn.Parameter(torch.ones(5)), nn.Parameter(torch.full((2, 1, 3, 3), 0.5))]
    theirs = copy.deepcopy(ours)
    mine = Muon([{"params": ours, "weight_decay": 0.1, "is_matrix": False}], lr=0.01)
    reference = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1)
    for gradients in some_gradients((5,), (2, 1, 3, 3)):
        for one, other, gradient in zip(ours, theirs, gradients, strict=True):
            one.grad, other.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 40), (40, 8)])
def test_every_direction_counts_alike(shape: tuple[int, int]) -> None:
    left = torch.linalg.qr(torch.randn((shape[0], 8), generator=torch.manual_seed(0))).Q
    right = torch.linalg.qr(torch.randn((shape[1], 8), generator=torch.manual_seed(1))).Q
    steep = left @ torch.diag(torch.logspace(0, -1.3, 8)) @ right.T
    after = torch.linalg.svdvals(evened(steep))  # they were 20 times apart
    assert after.max() < 1.3
    assert after.min() > 0.5


def test_depthwise_kernels_norms_and_biases_are_no_matrices() -> None:
    network = CompactResNet(embedding_size=16, stem_channels=4, channels=(4, 8, 8), blocks=(1, 1, 1))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names[id(matrix)] for matrix in matrices_of(network)}
    assert "project.weight" in found
    assert not any("gdconv" in name or "bn" in name or name.endswith("bias") for name in found)
    optimizer = make_optimizer(network, TrainSettings(optimizer="muon", lr=0.01, weight_decay=0.05))
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in held} == set(names)
    assert len(held) == len(names)
    decay = {
        names[id(one)]: group["weight_decay"] for group in optimizer.param_groups for one in group["params"]
    }
    assert decay["project.weight"] == decay["gdconv.0.weight"] == 0.05
    assert decay["bn.weight"] == 0


def test_a_restored_optimiser_goes_on_to_the_bit() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    images = torch.randn((5, 3, 6, 6), generator=torch.manual_seed(0))
    module(images)
    settings = TrainSettings(optimizer="muon", lr=0.01)
    optimizer = make_optimizer(module, settings)

    def learn(network: nn.Module, how: torch.optim.Optimizer) -> None:
        for _ in range(3):
            how.zero_grad()
            network(images).square().sum().backward()
            how.step()

    learn(module, optimizer)
    twin = copy.deepcopy(module)
    restored = make_optimizer(twin, settings)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    learn(module, optimizer)
    learn(twin, restored)
    for one, other in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)
