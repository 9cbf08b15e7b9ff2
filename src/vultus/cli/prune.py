"""`vultus prune`: fewer channels; what is left has to learn again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import typer

from vultus.cli import options
from vultus.cli.export import CROP_COUNT, Split, State, What, needs_torch, read_gate_faces
from vultus.cli.output import print_json, print_table
from vultus.cli.reporting import counted
from vultus.cli.side_by_side import lfw_accuracies
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.export.subjects import Subject
    from vultus.networks.measure import Cost
    from vultus.types import FloatArray

NARROW_COUNT: Final = 4096
CUT_BY: Final = frozenset({"ratio", "flops", "importance", "is_global", "round_to"})  # not read with --into


def prune(
    context: typer.Context,
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
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="NETWORK",
            help="Of sface: fill this narrower form, and solve its layers for what is gone.",
            show_default=False,
        ),
    ] = None,
    stem_steps: Annotated[
        int, typer.Option("--stem-steps", min=2, help="Of --into: in which its stem learns.")
    ] = 350,
    faces: Annotated[
        Path | None,
        typer.Option(
            "--faces",
            metavar="DIR",
            help="Aligned faces, for the importance taylor and for --into.",
            show_default=False,
        ),
    ] = None,
    split: Split = "heldout",
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            min=1,
            help=f"How many of those faces, spread over them: {CROP_COUNT}, of --into {NARROW_COUNT}.",
            show_default=False,
        ),
    ] = None,
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

    Example: vultus prune sface --into slim-sface --faces FACES --split train --out start.pt
    """
    needs_torch()
    from vultus.export.crops import default_crops, resized
    from vultus.export.prune import Pruning
    from vultus.export.prune import prune as cut_channels
    from vultus.export.state import write_state
    from vultus.export.subjects import load_subject

    subject = load_subject(what, weights=weights)
    if subject.facts is None:
        raise InputError(f"{subject.name} is no embedding network: only those can be pruned")
    if into is not None:
        if not CUT_BY.isdisjoint(options.given(context)):
            raise InputError(
                "--into says how narrow every layer becomes, and solves for it: leave --ratio, --flops, "
                "--importance, --global and --round-to out"
            )
        if faces is None:
            raise InputError("--into solves layers for real faces: name thousands of aligned ones (--faces)")
    crops, _ = read_gate_faces(
        faces, split=split, with_people=False, count=count or (NARROW_COUNT if into else CROP_COUNT)
    )
    chosen = default_crops(subject.gate_hw) if crops is None else resized(crops, subject.gate_hw)
    images = subject.feed(chosen)
    if into is not None:
        told = _narrowed(subject, into, images, stem_steps=stem_steps)
    else:
        how = Pruning(ratio=ratio, flops=flops, importance=importance, is_global=is_global, round_to=round_to)
        cut = cut_channels(subject.network, images, how)
        told = _Told(replace(subject, network=cut.network), cut.before, cut.after, {"ratio": cut.ratio})
    write_state(told.after.network, out)
    _show(subject, told, images, lfw=lfw, out=out, as_json=as_json)


class _Told(NamedTuple):
    """The network that was cut, the costs, and what else is to be said."""

    after: Subject
    cost_before: Cost
    cost_after: Cost
    facts: Mapping[str, Any]


def _narrowed(subject: Subject, name: str, images: FloatArray, *, stem_steps: int) -> _Told:
    """SFace's narrower form, filled from it.

    Raises:
        InputError: another network, or another form.
    """
    from vultus.export.narrow import STEM_BLOCKS, narrow
    from vultus.networks.sface import STRIDES, VARIANTS, SFace

    others = [other for other in VARIANTS if other != subject.name]
    wide, slim = subject.network, VARIANTS[name].build() if name in VARIANTS else None
    if not isinstance(wide, SFace) or not isinstance(slim, SFace):
        raise InputError(
            f"--into knows the forms of sface ({', '.join(others)}), got {name!r} for {subject.name}"
        )
    total = stem_steps + len(STRIDES) - STEM_BLOCKS
    with counted("Filling the narrow network", total=total) as on_progress:
        filled = narrow(wide, slim, images, steps=stem_steps, on_progress=on_progress)
    cosines = {step: round(cosine, 4) for step, cosine in filled.cosines.items()}
    after = replace(subject, name=name, network=filled.network)
    return _Told(after, filled.before, filled.after, {"cosines": cosines})


def _show(
    subject: Subject, told: _Told, images: FloatArray, *, lfw: Path | None, out: Path, as_json: bool
) -> None:
    """What it cost, what it costs, and how to go on."""
    from vultus.export.prune import milliseconds

    both = {"before": (subject, told.cost_before), "after": (told.after, told.cost_after)}
    rows: list[dict[str, Any]] = [
        {
            "network": name,
            "params_m": round(cost.params_m, 4),
            "gflops": round(cost.gflops, 4),
            "ms": round(milliseconds(of.network, images), 2),
        }
        for name, (of, cost) in both.items()
    ]
    if lfw is not None:
        subjects = {name: of for name, (of, _) in both.items()}
        accuracies = lfw_accuracies(subjects, lfw, title="Accuracy before and after")
        for row, accuracy in zip(rows, accuracies, strict=True):
            row["accuracy"] = round(100 * accuracy, 3)
    if as_json:
        print_json({**told.facts, "file": str(out), "networks": rows})
        return
    headings = {"network": subject.name, "params_m": "parameters, M", "gflops": "multiply-adds, G"}
    headings |= {"ms": "ms a face, eager"} | ({"accuracy": "accuracy, %"} if lfw is not None else {})
    print_table(rows, columns=headings)
    for step, cosine in told.facts.get("cosines", {}).items():
        typer.echo(f"mean cosine to {subject.name}, {step}: {cosine:.3f}")
    typer.echo(f"wrote {out}. Let it learn again:")
    knobs = f"--set network={told.after.name} --set start={out} --set lr=0.001"
    typer.echo(f"  vultus train distil --run runs/pruned {knobs}")
