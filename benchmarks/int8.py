"""Where int8 pays: the same network in fp32, bf16 and int8, by runtime.

    python -m benchmarks.int8 iresnet50 inception-resnet-v1 sface-int8bq compact-resnet-vultus --faces FACES

A name in the catalogue has trained weights; a network of `vultus models` gets random ones, as in
`benchmarks/exports.py`, since no trained ones of the large networks are at hand: their times are right, and
nothing is said about their accuracy. All layers are quantised, none kept in float: this is the most that
int8 can gain. What it costs trained weights says `vultus quantize --lfw`. Times are medians, the candidates
in turn in one process; int8 gains the best float time of that runtime over its own.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from benchmarks.exports import medians_ms, random_subject

from vultus.cli.export import read_gate_faces, sized
from vultus.export.files import OnnxFile, read_file
from vultus.export.quantize import Int8, batches_of, calibrate, name_nodes, with_ranges
from vultus.interfaces import Session
from vultus.networks.catalog import NETWORKS
from vultus.runtime.onnx import OnnxSession
from vultus.runtime.openvino import OpenVinoSession
from vultus.types import Crops

CALIBRATION_FACES = 32
HOW = Int8(method="minmax")
BITS = ("fp32", "bf16", "int8")


def float_network(name: str) -> OnnxFile:
    """The float32 graph of a network with random weights, or of an entry in the catalogue."""
    if name not in NETWORKS:
        return read_file(name)
    subject = random_subject(name)
    return OnnxFile(subject.export(), subject.preprocessing, subject.facts)


def in_int8(source: OnnxFile, faces: Crops) -> bytes:
    """The graph with every layer quantised."""
    named = name_nodes(source.model)
    ranges = calibrate(named, [source.feed(some) for some in batches_of(faces)], how=HOW)
    return with_ranges(named, ranges, how=HOW)


def sessions(model: bytes, int8: bytes, *, threads: int) -> Iterator[tuple[str, Session]]:
    """Each candidate by its runtime and its numbers."""
    yield "ONNX Runtime fp32", OnnxSession(model, threads=threads)
    yield "ONNX Runtime int8", OnnxSession(int8, threads=threads)
    yield "OpenVINO fp32", OpenVinoSession(model, threads=threads, precision="f32")
    yield "OpenVINO bf16", OpenVinoSession(model, threads=threads, precision="bf16")
    yield "OpenVINO int8", OpenVinoSession(int8, threads=threads, precision="f32")


def cells(times: dict[str, float], runtime: str) -> list[str]:
    """The times of one runtime, and what int8 gains."""
    ms = {bits: times[f"{runtime} {bits}"] for bits in BITS if f"{runtime} {bits}" in times}
    gain = min(taken for bits, taken in ms.items() if bits != "int8") / ms["int8"]
    return [" / ".join(f"{ms[bits]:.1f}" if bits in ms else "-" for bits in BITS), f"{gain:.2f}"]


def main(
    networks: Annotated[list[str], typer.Argument()],
    faces: Annotated[Path, typer.Option(help="Aligned faces: ranges are taken from them.")],
    batch: Annotated[list[int], typer.Option()] = [1, 8],  # noqa: B006  # Typer reads it, nobody writes it
    rounds: int = 30,
    threads: int = 1,  # with more, the idle threads of the other candidates spin on the same cores
) -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    crops, _ = read_gate_faces(faces, split="heldout", with_people=False, count=CALIBRATION_FACES)
    heads = " | ".join(f"batch {count}, ms: {' / '.join(BITS)} | int8 gains" for count in batch)
    print(f"| network | on | {heads} |\n|---|---|{'---|---|' * len(batch)}")
    for name in networks:
        source = float_network(name)
        seen = sized(crops, source)
        candidates = dict(sessions(source.model, in_int8(source, seen), threads=threads))
        taken = [medians_ms(candidates, source.feed(seen[:count]), rounds=rounds) for count in batch]
        for runtime in ("ONNX Runtime", "OpenVINO"):
            row = " | ".join(cell for times in taken for cell in cells(times, runtime))
            print(f"| {name} | {runtime} | {row} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
