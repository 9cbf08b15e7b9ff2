"""How many faces a second an embedding network learns from, and what two choices are worth.

    python -m benchmarks.train_embedder
    python -m benchmarks.train_embedder --network mobilefacenet --batch-size 64

A step is forward, a cosine loss, and backward in bfloat16, on random crops, turn about in one process:

    plain       strided depthwise convolutions in bfloat16, as PyTorch computes them
    as it is    those in float32 (`StridedDepthwise`)
    frozen      besides, norms that keep their statistics (`freeze_norms=true`)

Medians, and the ratio to `plain`. No optimiser and no reading of crops are in there.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from vultus.networks.blocks import StridedDepthwise
from vultus.networks.catalog import NETWORKS
from vultus.networks.frozen_norms import freeze_norms


def plainly_strided(network: nn.Module) -> None:
    """Let PyTorch's own kernels compute the strided depthwise layers."""
    for layer in network.modules():
        if isinstance(layer, StridedDepthwise):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]  # its parent, on purpose


EMBEDDERS = [name for name, variant in NETWORKS.items() if variant.embedding_size is not None]
WAYS: dict[str, Callable[[nn.Module], None]] = {
    "plain": plainly_strided,
    "as it is": lambda _: None,
    "frozen": freeze_norms,
}


def stepper(name: str, change: Callable[[nn.Module], None], *, batch_size: int) -> Callable[[], None]:
    """One step of a network of its own."""
    torch.manual_seed(0)
    variant = NETWORKS[name]
    network = variant.build().train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    change(network)
    images = torch.randn(batch_size, 3, *variant.size_hw).to(memory_format=torch.channels_last)
    targets = torch.randn(batch_size, variant.embedding_size or 1)

    def step() -> None:
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answers = network(images)
        loss = 1 - nn.functional.cosine_similarity(answers.float(), targets).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no type

    return step


def seconds_of(step: Callable[[], None]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", default="slim-sface", choices=EMBEDDERS)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    steps = {
        name: stepper(given.network, change, batch_size=given.batch_size) for name, change in WAYS.items()
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()  # warm
    for _ in range(given.rounds):
        for name, step in steps.items():
            times[name].append(seconds_of(step))
    told = {
        name: {
            "faces_per_second": round(given.batch_size / median(seconds), 1),
            "times_as_fast_as_plain": round(median(times["plain"]) / median(seconds), 2),
        }
        for name, seconds in times.items()
    }
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    print(json.dumps(told | machine | {"threads": torch.get_num_threads()}, indent=2))


if __name__ == "__main__":
    main()
