"""The mean of several networks' weights: often better than each of them, and as fast as one.

    w = 1/K sum_k w_k

They must have one beginning: runs that went on from the same weights, or from each other, lie in one valley
of the loss, and so does their mean. Of networks that were begun apart the mean is good for nothing. The batch
norms' statistics are averaged too; their counters are those of the first.

Izmailov, Podoprikhin, Garipov, Vetrov, Wilson: Averaging weights leads to wider optima and better
generalization. UAI 2018. https://arxiv.org/abs/1803.05407
Wortsman et al.: Model soups. ICML 2022. https://arxiv.org/abs/2203.05482
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vultus.errors import InputError


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of state dicts, tensor by tensor, computed in fp64.

    Args:
        states: two or more, with the same names and shapes.

    Returns:
        Tensors of the first one's types; what counts in whole numbers is the first one's.

    Raises:
        InputError: fewer than two, or they are not of one network.
    """
    if len(states) < 2:
        raise InputError("a mean takes the weights of two networks or more")
    first = states[0]
    for number, state in enumerate(states[1:], start=2):
        if differing := [
            name for name in first.keys() | state.keys() if _shape(first, name) != _shape(state, name)
        ]:
            raise InputError(
                f"the weights number {number} are of another network than the first: {min(differing)} is "
                f"{_shape(state, min(differing))}, not {_shape(first, min(differing))}"
            )
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor.clone()
        for name, tensor in first.items()
    }


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...] | str:
    return tuple(state[name].shape) if name in state else "missing"
