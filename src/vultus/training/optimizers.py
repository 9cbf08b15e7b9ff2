"""Optimisers whose weight decay leaves normalisations, PReLU slopes and biases alone."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from vultus.training.muon import Muon, matrices_of
from vultus.training.settings import TrainSettings

# Decayed, a slope or a scale is drawn to zero without being any simpler for it.
UNDECAYED = (
    nn.modules.batchnorm._BatchNorm,  # noqa: SLF001  # torch's own common parent of BatchNorm1d, 2d and SyncBatchNorm
    nn.LayerNorm,
    nn.GroupNorm,
    nn.PReLU,
)


def parameter_groups(module: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters in two groups: decayed kernels, and all that is left alone.

    A parameter that stands outside any layer, as the class weights of a margin head, is decayed unless it is
    a vector. No parameter is in both, and none is forgotten.
    """
    decayed: list[nn.Parameter] = []
    left_alone: list[nn.Parameter] = []
    for parent in module.modules():
        for name, parameter in parent.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            is_left_alone = isinstance(parent, UNDECAYED) or name.endswith("bias") or parameter.ndim < 2
            (left_alone if is_left_alone else decayed).append(parameter)
    groups = [
        {"params": unique(decayed), "weight_decay": weight_decay},
        {"params": unique(left_alone), "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(module: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name, over all trainable parameters."""
    groups = parameter_groups(module, weight_decay=settings.weight_decay)
    if settings.optimizer == "sgd":
        is_nesterov = settings.momentum > 0
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=is_nesterov)
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, lr=settings.lr)
    if settings.optimizer == "muon":
        return Muon(_with_matrices_apart(groups, module), lr=settings.lr)
    return torch.optim.AdamW(groups, lr=settings.lr)


def _with_matrices_apart(groups: list[dict[str, Any]], module: nn.Module) -> list[dict[str, Any]]:
    """Each group in two: kernels that mix channels, and the rest."""
    matrices = set(matrices_of(module))
    parts = [
        {
            **group,
            "is_matrix": is_matrix,
            "params": [one for one in group["params"] if (one in matrices) == is_matrix],
        }
        for group in groups
        for is_matrix in (True, False)
    ]
    return [part for part in parts if part["params"]]


def unique(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """In order, each once: a shared parameter has several parents."""
    return list(dict.fromkeys(parameters))
