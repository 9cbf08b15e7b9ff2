"""`vultus prune`: fewer channels; what is left has to learn again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vultus.cli import options
from vultus.cli.export import CROP_COUNT, Split, State, What, needs_torch, read_gate_faces
from vultus.cli.output import print_json, print_table
from vultus.cli.side_by_side import lfw_accuracies
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.export.prune import Pruned
    from vultus.export.subjects import Subject


def prune(
    what: What,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="The pruned state dict, .pt or .safetensors.", show_default=False
        ),
    ],
    *,
    weights: State = None,
    ratio: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of each layer's channels that goes.", show_default=False),
    ] = None,
    flops: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the multiply-adds that stays.", show_default=False),
    ] = None,
    importance: Annotated[
        Literal["l1", "l2", "bn-scale", "fpgm", "lamp", "taylor", "random"],
        typer.Option(help="By what a channel is judged."),
    ] = "l2",
    is_global: Annotated[
        bool, typer.Option("--global/--each-layer", help="Compare channels over all layers, or within each.")
    ] = False,
    round_to: Annotated[int, typer.Option(min=1, help="Widths are multiples of this.")] = 8,
    faces: Annotated[
        Path | None,
        typer.Option(
            "--faces", metavar="DIR", help="Aligned faces, for the importance taylor.", show_default=False
        ),
    ] = None,
    split: Split = "heldout",
    count: Annotated[
        int, typer.Option("--count", min=1, help="How many of those faces, spread over them.")
    ] = CROP_COUNT,
    lfw: Annotated[
        Path | None,
        typer.Option(
            "--lfw",
            metavar="DIR",
            help="Measure accuracy on these pairs before and after.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Cut whole channels out of an embedding network, and say what it costs then.

    The pruned network answers badly until it has learnt again: the command for that is printed.

    Example: vultus prune runs/distil --ratio 0.2 --out pruned.pt --lfw LFW

    Example: vultus prune runs/distil --flops 0.5 --importance taylor --faces FACES --out pruned.pt
    """
    needs_torch()
    from vultus.export.crops import default_crops, resized
    from vultus.export.prune import Pruning
    from vultus.export.prune import prune as cut
    from vultus.export.state import write_state
    from vultus.export.subjects import load_subject

    subject = load_subject(what, weights=weights)
    if subject.facts is None:
        raise InputError(f"{subject.name} is no embedding network: only those can be pruned")
    how = Pruning(ratio=ratio, flops=flops, importance=importance, is_global=is_global, round_to=round_to)
    crops, _ = read_gate_faces(faces, split=split, with_people=False, count=count)
    chosen = default_crops(subject.gate_hw) if crops is None else resized(crops, subject.gate_hw)
    images = subject.feed(chosen)
    pruned = cut(subject.network, images, how)
    write_state(pruned.network, out)
    _show(subject, pruned, images, lfw=lfw, out=out, as_json=as_json)


def _show(
    subject: Subject, pruned: Pruned, images: Any, *, lfw: Path | None, out: Path, as_json: bool
) -> None:
    """What it cost, what it costs, and how to go on."""
    from vultus.export.prune import milliseconds

    rows: list[dict[str, Any]] = [
        {
            "network": name,
            "params_m": round(cost.params_m, 4),
            "gflops": round(cost.gflops, 4),
            "ms": round(milliseconds(network, images), 2),
        }
        for name, network, cost in (
            ("before", subject.network, pruned.before),
            ("after", pruned.network, pruned.after),
        )
    ]
    if lfw is not None:
        both = {"before": subject, "after": replace(subject, network=pruned.network)}
        accuracies = lfw_accuracies(both, lfw, title="Accuracy before and after")
        for row, accuracy in zip(rows, accuracies, strict=True):
            row["accuracy"] = round(100 * accuracy, 3)
    if as_json:
        print_json({"ratio": pruned.ratio, "file": str(out), "networks": rows})
        return
    headings = {"network": subject.name, "params_m": "parameters, M", "gflops": "multiply-adds, G"}
    headings |= {"ms": "ms a face, eager"} | ({"accuracy": "accuracy, %"} if lfw is not None else {})
    print_table(rows, columns=headings)
    typer.echo(f"wrote {out}. Let it learn again:")
    knobs = f"--set network={subject.name} --set start={out} --set lr=0.001"
    typer.echo(f"  vultus train distil --run runs/pruned {knobs}")
