"""State dicts from files: nothing in them is executed."""

import pickle
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from vultus.errors import WeightsError
from vultus.networks.slimmed import MARK, take_widths

Network = TypeVar("Network", bound=nn.Module)


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
        state = read_state(path)
        named = {key.removeprefix("module."): value for key, value in state.items()}
        if MARK in named:
            take_widths(network, named)
        network.load_state_dict(named)
    except (OSError, EOFError, RuntimeError, AttributeError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} must hold the state dict of {what}; {error}") from error
    return network.eval()


def read_state(path: Path) -> dict[str, Any]:
    """The tensors of a file, by name.

    Raises:
        OSError, ValueError, RuntimeError, pickle.UnpicklingError: it cannot be read.
    """
    if path.suffix != ".safetensors":
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
