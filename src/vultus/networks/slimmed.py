"""Networks with channels cut out: the same architecture, with layers of the widths that a state dict has.

Pruning changes the shapes of tensors and nothing else, so the tensors say all there is to know. A pruned
network carries a mark in its state dict (the buffer `pruned`: the share of parameters that is left), so that
weights of the wrong network are still an error and not taken for a pruned one.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

MARK: Final = "pruned"


def mark_pruned(network: nn.Module, share_left: float) -> None:
    """Let the network's state dict say that it was pruned."""
    network.register_buffer(MARK, torch.tensor(float(share_left)))


def take_widths(network: nn.Module, state: Mapping[str, Any]) -> None:
    """Give each layer of a full network the width of the pruned one's, and the mark; weights are not loaded.

    Args:
        network: freshly built.
        state: of the pruned network: its mark is there.
    """
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        own = {*dict(module.named_parameters(recurse=False)), *dict(module.named_buffers(recurse=False))}
        for name in own:
            tensor, present = state.get(prefix + name), getattr(module, name)
            if isinstance(tensor, Tensor) and isinstance(present, Tensor) and tensor.shape != present.shape:
                _replace(module, name, torch.empty_like(tensor, dtype=present.dtype))
        _count_anew(module)
    mark_pruned(network, float(state[MARK]))


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    if name in dict(module.named_parameters(recurse=False)):
        setattr(module, name, nn.Parameter(tensor))
    else:
        module.register_buffer(name, tensor)


def _count_anew(module: nn.Module) -> None:
    """Let the module's own numbers say what its tensors are."""
    if isinstance(module, nn.Conv2d):
        is_depthwise = module.groups == module.in_channels == module.out_channels
        module.out_channels = len(module.weight)
        module.groups = module.out_channels if is_depthwise else module.groups
        module.in_channels = module.weight.shape[1] * module.groups
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        module.num_features = len(module.weight)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)
