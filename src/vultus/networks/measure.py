"""What a network costs: parameters, multiply-adds, milliseconds on this CPU."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vultus.networks.variant import Variant


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one network at its own input size.

    Attributes:
        params_m: parameters, in millions.
        gflops: multiply-adds of the convolutions and linear layers for one input, in 10^9: one multiply-add
            counts once, as papers count. Batch norms and activations are left out.
    """

    params_m: float
    gflops: float


def cost(variant: Variant) -> Cost:
    """Parameters and multiply-adds, counted on the meta device: nothing is computed, no memory is taken."""
    with torch.device("meta"):
        network = variant.build().eval()
        images = example_images(variant, batch=1)
    return cost_of(network, images)


def cost_of(network: nn.Module, images: Sequence[Tensor]) -> Cost:
    """Parameters and multiply-adds of a network in evaluation mode, for one input of this shape."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*images)
    return Cost(parameter_count(network) / 1e6, counter.get_total_flops() / 2e9)


def parameter_count(network: nn.Module) -> int:
    """How many numbers learn, or once learned: frozen ones count, batch statistics do not."""
    return sum(parameter.numel() for parameter in network.parameters())


def cpu_ms(
    variant: Variant, *, batches: Sequence[int], repeats: int = 5, max_seconds: float = 3.0
) -> list[float]:
    """The median time of a call at each batch size, in milliseconds.

    Eager float32, fresh weights, torch's own thread count. Only worth something on an idle machine.

    Args:
        variant: what to time, at its own input size.
        batches: images in one call (pairs of images for a Siamese network).
        repeats: how many calls to time, after one that is not timed.
        max_seconds: begin no further call after this long: the largest networks get fewer calls.
    """
    network = variant.build().eval()
    medians = []
    for batch in batches:
        images = example_images(variant, batch=batch)
        times_ms: list[float] = []
        with torch.inference_mode():
            network(*images)
            while not times_ms or (len(times_ms) < repeats and sum(times_ms) < 1e3 * max_seconds):
                start = time.perf_counter()
                network(*images)
                times_ms.append(1e3 * (time.perf_counter() - start))
        medians.append(statistics.median(times_ms))
    return medians


def example_images(variant: Variant, *, batch: int) -> tuple[Tensor, ...]:
    """Random inputs of the right shape: one (batch, 3, H, W) tensor for each image that the network takes."""
    return tuple(torch.randn(batch, 3, *variant.size_hw) for _ in range(variant.image_count))


def deviation(measured: float, published: float | None) -> float | None:
    """How far our figure is from the published one, relative to that; None where none is published."""
    return None if published is None else (measured - published) / published
