"""Structured pruning: whole channels go, so the network that is left is a smaller plain one.

A channel is not one layer's: what a residual adds up, what a batch norm scales and a depthwise convolution
filters has to go together. torch-pruning traces the network and finds these groups; a measure of importance
says which channel of each group is missed least:

    l1, l2      the size of the weights that make and read it
    bn-scale    |gamma| of its batch norm
    fpgm        its distance from the geometric median of the others: what others can replace
    lamp        its weights relative to those of more important ones
    taylor      |gradient times weight|: how much the loss moves; here 1 - cos(f(x), f(mirrored x)), at whose
                minimum no trained network is
    random      none, to compare with

What goes is a share of each layer's channels (`ratio`), or as little as reaches a share of the multiply-adds
(`flops`, by bisection). Widths stay multiples of `round_to`, which vector units like. The last layer keeps
its outputs: they are the embedding. Afterwards the network has to learn again: `vultus train distil` with the
pruned weights as `start`.

Fang, Ma, Song, Mi, Wang: DepGraph: towards any structural pruning. CVPR 2023. https://arxiv.org/abs/2301.12900
"""

import copy
import statistics
import time
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
import torch_pruning
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.measure import Cost, cost_of
from vultus.networks.state import mark_pruned
from vultus.types import FloatArray

Importance: TypeAlias = Literal["l1", "l2", "bn-scale", "fpgm", "lamp", "taylor", "random"]
BISECTIONS: Final = 8
MAX_RATIO: Final = 0.95
TIMED_CALLS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What is cut.

    Attributes:
        ratio: share of each layer's channels that goes; None where `flops` is given.
        flops: share of the multiply-adds that may stay; None where `ratio` is given.
        importance: which channels are missed least.
        is_global: compare channels over all layers, not within each: some layers lose more.
        round_to: widths are multiples of this.

    Raises:
        InputError: not exactly one of ratio and flops, or a value out of range.
    """

    ratio: float | None = None
    flops: float | None = None
    importance: Importance = "l2"
    is_global: bool = False
    round_to: int = 8

    def __post_init__(self) -> None:
        if (self.ratio is None) == (self.flops is None):
            raise InputError(
                "say what goes: either a ratio of the channels, or the share of FLOPs that stays"
            )
        for name, share in (("ratio", self.ratio), ("flops", self.flops)):
            if share is not None and not 0 < share < 1:
                raise InputError(f"{name} must lie between 0 and 1, got {share}")
        if self.importance not in get_args(Importance):
            raise InputError(
                f"importance must be one of {', '.join(get_args(Importance))}, got {self.importance!r}"
            )
        if self.round_to < 1:
            raise InputError(f"round_to must be at least 1, got {self.round_to}")


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruned network, and what it costs.

    Attributes:
        network: in evaluation mode; its state dict says that it is pruned.
        before: cost of the whole network.
        after: cost of this one.
        ratio: of the channels that was asked of each layer in the end.
    """

    network: nn.Module
    before: Cost
    after: Cost
    ratio: float


def prune(network: nn.Module, images: Tensor | FloatArray, how: Pruning) -> Pruned:
    """A smaller copy of an embedding network.

    Args:
        network: answers one tensor (N, D); it is left as it is.
        images: (N, 3, H, W) faces as it takes them, at least two: `taylor` learns from them, for the rest
            only their shape matters.
        how: what goes.

    Raises:
        InputError: no ratio reaches the asked share of multiply-adds.
    """
    images = torch.as_tensor(images)
    before = cost_of(network.eval(), (images[:1],))
    ratio = how.ratio if how.ratio is not None else _ratio_for(network, images, how, before=before)
    slim = _cut(network, images, how, ratio=ratio)
    after = cost_of(slim, (images[:1],))
    mark_pruned(slim, after.params_m / before.params_m)
    return Pruned(slim, before, after, ratio)


def _ratio_for(network: nn.Module, images: Tensor, how: Pruning, *, before: Cost) -> float:
    """The least ratio, to a 256th, that leaves at most `how.flops` of the multiply-adds."""
    target = (how.flops or 0) * before.gflops
    low, high = 0.0, MAX_RATIO

    def left(ratio: float) -> float:
        return cost_of(_cut(network, images, how, ratio=ratio), (images[:1],)).gflops

    if left(high) > target:
        raise InputError(
            f"even {MAX_RATIO:.0%} of the channels cut leave {left(high) / before.gflops:.1%} of the "
            f"multiply-adds, more than {how.flops:.1%}: choose a smaller network (`vultus models`)"
        )
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) > target else (low, middle)
    return high


def _cut(network: nn.Module, images: Tensor, how: Pruning, *, ratio: float) -> nn.Module:
    """A copy without this share of the channels."""
    slim = copy.deepcopy(network).eval()
    if how.importance == "taylor":
        _leave_gradients(slim, images)
    torch_pruning.pruner.BasePruner(
        slim,
        images[:2],
        importance=_measure(how.importance),
        global_pruning=how.is_global,
        pruning_ratio=ratio,
        max_pruning_ratio=MAX_RATIO,
        ignored_layers=[_last_layer(slim)],
        round_to=how.round_to,
    ).step()
    slim.zero_grad(set_to_none=True)
    return slim


def _measure(importance: Importance) -> Any:
    known = torch_pruning.importance
    measures = {
        "l1": lambda: known.GroupMagnitudeImportance(p=1),
        "l2": lambda: known.GroupMagnitudeImportance(p=2),
        "bn-scale": known.BNScaleImportance,
        "fpgm": known.FPGMImportance,
        "lamp": known.LAMPImportance,
        "taylor": known.GroupTaylorImportance,
        "random": known.RandomImportance,
    }
    return measures[importance]()


def _leave_gradients(network: nn.Module, images: Tensor) -> None:
    """Gradients of 1 - cos(f(x), f(mirrored x)), mean over the images."""
    network.zero_grad()
    with torch.enable_grad():
        cosines = F.cosine_similarity(network(images), network(images.flip(3)))
        (1 - cosines).mean().backward()  # type: ignore[no-untyped-call]  # unknown to torch's stubs


def _last_layer(network: nn.Module) -> nn.Module:
    """The layer whose outputs are the embedding: the last one with weights, in the order of definition."""
    layers = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    return layers[-1]


def milliseconds(network: nn.Module, images: Tensor | FloatArray) -> float:
    """The median time of one image in eager PyTorch, after a call that is not timed."""
    times = []
    image = torch.as_tensor(images[:1])
    with torch.inference_mode():
        for _ in range(TIMED_CALLS + 1):
            start = time.perf_counter()
            network(image)
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])
