"""State dicts from files: nothing in them is executed. Those of pruned networks make layers narrower.

Pruning changes the shapes of tensors and nothing else, so the tensors say all there is to know. A pruned
network carries a mark in its state dict (the buffer `pruned`: the share of parameters that is left), so that
weights of the wrong network are still an error and not taken for a pruned one.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from vultus.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)
MARK: Final = "pruned"


def load_state(network: Network, path: Path, *, what: str) -> Network:
    """The network with the weights of a file, in evaluation mode.

    Args:
        network: takes all of the weights, and has no others. Those of a pruned one make its layers narrower.
        path: of a state dict, in PyTorch's format or as .safetensors; `module.` prefixes of keys are dropped.
        what: the network in words, for the error.

    Raises:
        WeightsError: not readable, or not the weights of this network.
    """
    try:
        named = {key.removeprefix("module."): value for key, value in read_state(path).items()}
        if MARK in named:
            take_widths(network, named)
        network.load_state_dict(named)
    except (WeightsError, RuntimeError, AttributeError) as error:
        raise WeightsError(f"{path} must hold the state dict of {what}; {error}") from error
    return network.eval()


def read_state(path: Path) -> dict[str, Any]:
    """The tensors of a file, by name.

    Raises:
        WeightsError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise WeightsError(f"cannot read {path}: {error}") from error
    return state


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
