"""`vultus average`: the mean of several runs' weights."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.export import needs_torch
from vultus.cli.output import print_json, print_table
from vultus.cli.side_by_side import lfw_accuracies
from vultus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vultus.export.subjects import Subject


def average(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|FILE...",
            help="Folders of training runs (their best.pt), or state dicts; two or more.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="The mean's state dict, .pt or .safetensors.", show_default=False
        ),
    ],
    *,
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            metavar="NAME",
            help="Of `vultus models`; not needed where a run is among them.",
            show_default=False,
        ),
    ] = None,
    lfw: Annotated[
        Path | None,
        typer.Option(
            "--lfw",
            metavar="DIR",
            help="Measure the accuracy of each and of the mean on these pairs.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Take the mean of the weights of runs that had one beginning: often better than each of them.

    Go on from the weights that you have, each time with another seed or from the last run's end, and average.
    The mean is one network and no slower. That of runs which were begun apart is good for nothing.

    Example: vultus average runs/distil runs/distil2 --out mean.pt --lfw LFW

    Example: vultus average a.pt b.pt c.pt --network compact-resnet --out mean.safetensors
    """
    needs_torch()
    from vultus.export.state import write_state
    from vultus.networks.average import mean_state

    name = network or _network_of(sources)
    subjects = [_read(source, name) for source in sources]
    mean = replace(subjects[0], network=deepcopy(subjects[0].network))
    mean.network.load_state_dict(mean_state([subject.network.state_dict() for subject in subjects]))
    compared = {**dict(zip(map(str, sources), subjects, strict=True)), "the mean": mean}
    rows: list[dict[str, Any]] = [{"weights": each} for each in compared]
    if lfw is not None:
        figures = lfw_accuracies(compared, lfw, title="Accuracy of each")
        for row, accuracy in zip(rows, figures, strict=True):
            row["accuracy"] = round(100 * accuracy, 3)
    write_state(mean.network, out)
    if as_json:
        print_json({"network": name, "file": str(out), "weights": rows})
        return
    if lfw is not None:
        print_table(rows, columns={"weights": name, "accuracy": "accuracy, %"})
    typer.echo(f"wrote {out}. Export it:")
    typer.echo(f"  vultus export onnx {name} --weights {out} --out {out.with_suffix('.onnx')}")


def _network_of(sources: Sequence[Path]) -> str:
    """The network of the first run among these.

    Raises:
        InputError: there is no run.
    """
    from vultus.export.subjects import network_of_run

    for source in sources:
        if (source / "recipe.json").is_file():
            return network_of_run(source)[0]
    raise InputError("state dicts do not say of which network they are: name it (--network compact-resnet)")


def _read(source: Path, name: str) -> Subject:
    """A network with its weights.

    Raises:
        InputError: a run of another network.
        WeightsError: weights of another network, or none.
    """
    from vultus.export.subjects import load_subject

    if not (source / "recipe.json").is_file():
        return load_subject(name, weights=source)
    subject = load_subject(str(source))
    if subject.name != name:
        raise InputError(f"{source} is a run of {subject.name}, not of {name}")
    return subject
