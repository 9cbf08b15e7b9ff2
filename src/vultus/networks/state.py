"""State dicts from files: nothing in them is executed."""

import pickle
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from vultus.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)


def load_state(network: Network, path: Path, *, what: str) -> Network:
    """The network with the weights of a file, in evaluation mode.

    Args:
        network: takes all of the weights, and has no others.
        path: of a state dict; `module.` prefixes of its keys are dropped.
        what: the network in words, for the error.

    Raises:
        WeightsError: not readable, or not the weights of this network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    except (OSError, EOFError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} must hold the state dict of {what}; {error}") from error
    return network.eval()
