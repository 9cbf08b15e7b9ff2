"""Our export against PyTorch's plain one: the same network, the same weights, by runtime.

    python -m benchmarks.exports iresnet50 inception-resnet-v1 mobilefacenet --batch 1 --batch 8

Weights are random, but with statistics, scales and slopes that all differ, as training leaves them: equal
slopes would be merged into shared constants, which OpenVINO does not fuse. Times are medians, the candidates
in turn in one process; differences are to PyTorch, over the length of its answer.
"""

import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
import typer
from torch import nn

from vultus.export.subjects import Subject, subject_of
from vultus.interfaces import Session
from vultus.networks.catalog import NETWORKS
from vultus.runtime.onnx import OnnxSession
from vultus.runtime.openvino import OpenVinoSession
from vultus.types import FloatArray


def trained_looking(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.05, 0.35)
    return network.eval()


def settle(subject: Subject) -> None:
    """Let the norms count what really comes: noise that grows from layer to layer ends in no number."""
    norms = [each for each in subject.network.modules() if isinstance(each, nn.BatchNorm2d | nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        subject.network.train()(torch.randn(16, 3, *subject.gate_hw))
    subject.network.eval()
    for norm in norms:  # no two alike, as training leaves them
        mean, variance = norm.running_mean, norm.running_var
        mean += torch.randn_like(mean) * variance.sqrt() / 10  # type: ignore[arg-type,operator,union-attr]


def random_subject(name: str) -> Subject:
    """A network with random weights that look trained."""
    subject = subject_of(name, trained_looking(NETWORKS[name].build()))
    settle(subject)
    return subject


def plain_export(subject: Subject) -> bytes:
    """What `torch.onnx.export` gives by itself."""
    program = torch.onnx.export(
        subject.network,
        (torch.zeros(3, 3, *subject.gate_hw),),
        input_names=["images"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError(f"no graph of {subject.name}")
    return bytes(program.model_proto.SerializeToString())


def sessions(plain: bytes, ours: bytes, *, threads: int) -> Iterator[tuple[str, Session]]:
    for name, model in (("plain", plain), ("ours", ours)):
        yield f"ONNX Runtime, {name}", OnnxSession(model, threads=threads)
        yield f"OpenVINO f32, {name}", OpenVinoSession(model, threads=threads, precision="f32")
        yield f"OpenVINO bf16, {name}", OpenVinoSession(model, threads=threads, precision="bf16")


def medians_ms(candidates: dict[str, Session], batch: FloatArray, *, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 2):
        for name, session in candidates.items():
            start = time.perf_counter()
            session.run(batch)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(taken[2:]) for name, taken in times.items()}


def main(
    networks: Annotated[list[str], typer.Argument()],
    batch: Annotated[list[int], typer.Option()] = [1, 8],  # noqa: B006  # Typer reads it, nobody writes it
    rounds: int = 30,
    threads: int = 1,  # with more, the idle threads of the other candidates spin on the same cores
) -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    print(f"| network | candidate | {' | '.join(f'ms, batch {count}' for count in batch)} | difference |")
    print(f"|---|---|{'---|' * (len(batch) + 1)}")
    for name in networks:
        subject = random_subject(name)
        candidates = dict(sessions(plain_export(subject), subject.export(), threads=threads))
        images = np.random.default_rng(0).normal(0, 0.5, (max(batch), 3, *subject.gate_hw)).astype(np.float32)
        with torch.no_grad():
            truth = subject.network(torch.from_numpy(images)).numpy()
        times = [medians_ms(candidates, images[:count], rounds=rounds) for count in batch]
        for label, session in candidates.items():
            difference = np.linalg.norm(session.run(images)[0] - truth) / np.linalg.norm(truth)
            cells = " | ".join(f"{taken[label]:.2f}" for taken in times)
            print(f"| {name} | {label} | {cells} | {difference:.1e} |")


if __name__ == "__main__":
    typer.run(main)
