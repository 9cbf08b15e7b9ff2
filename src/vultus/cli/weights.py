"""`vultus weights`: which weights there are, where they lie, and whether they are intact."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Annotated, Any

import typer

from vultus.cli.output import print_json, print_table
from vultus.errors import WeightsError
from vultus.weights import store
from vultus.weights.catalog import CATALOG, Task, WeightsEntry, entry
from vultus.weights.licence import check_commercial, commercial_obstacle

app = typer.Typer(no_args_is_help=True, help="List, fetch and verify the networks' weights.")

COLUMNS = {
    "name": "name",
    "task": "task",
    "architecture": "architecture",
    "size": "MB",
    "licence": "licence: code / weights / data",
    "here": "here",
    "published": "published",
}

Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Names as `vultus weights list` shows them.")
]
Commercial = Annotated[
    bool,
    typer.Option(
        "--commercial", help="Only weights whose stated terms allow commercial use; refuse the others."
    ),
]


@app.command("list")
def list_weights(
    task: Annotated[
        Task | None, typer.Option("--task", help="Only weights for this task.", show_default=False)
    ] = None,
    commercial: Commercial = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is known, as JSON.")] = False,
) -> None:
    """Show every set of weights in the catalogue, and which are on this machine.

    Example: vultus weights list --task recognition --commercial
    """
    chosen = [
        weights
        for weights in CATALOG.values()
        if task in {None, weights.task} and not (commercial and commercial_obstacle(weights))
    ]
    if as_json:
        print_json([_fields(weights) for weights in chosen])
    else:
        print_table([_row(weights) for weights in chosen], columns=COLUMNS)


@app.command()
def pull(
    names: Names,
    force: Annotated[bool, typer.Option("--force", help="Download again what is already here.")] = False,
    commercial: Commercial = False,
) -> None:
    """Fetch weights into the weights folder, and verify them.

    Example: vultus weights pull sface retinaface-resnet34
    """
    chosen = [entry(name) for name in names]  # every name and licence is checked before the first download
    if commercial:
        for weights in chosen:
            check_commercial(weights)
    for weights in chosen:
        for path in store.pull(weights, force=force):
            typer.echo(path)


@app.command()
def verify(names: Names = []) -> None:  # noqa: B006  typer copies it
    """Hash weights anew and compare with what was published; without names, all that are on this machine.

    Exits with 3 if a file is damaged or missing.

    Example: vultus weights verify
    """
    chosen = [entry(name) for name in names] or [one for one in CATALOG.values() if store.is_present(one)]
    problems = {weights.name: _problem(weights) for weights in chosen}
    print_table(
        [{"name": name, "state": problem or "as published"} for name, problem in problems.items()],
        columns={"name": "name", "state": "state"},
    )
    bad = [name for name, problem in problems.items() if problem]
    if bad:
        raise WeightsError(f"{len(bad)} of {len(problems)} could not be verified: {', '.join(bad)}")


@app.command()
def path(name: Annotated[str, typer.Argument(help="A name as `vultus weights list` shows it.")]) -> None:
    """Print where the files of these weights lie, one a line, after verifying them. Nothing is downloaded.

    Example: vultus weights path sface-int8bq
    """
    for file in store.verify(name):
        typer.echo(file)


def _problem(weights: WeightsEntry) -> str | None:
    try:
        store.verify(weights)
    except WeightsError as error:
        return str(error)
    return None


def _row(weights: WeightsEntry) -> dict[str, Any]:
    licence = weights.licence
    return {
        "name": weights.name,
        "task": weights.task,
        "architecture": weights.architecture,
        "size": _size(weights),
        "licence": f"{licence.code} / {licence.weights} / {licence.data}",
        "here": "yes" if store.is_present(weights) else "",
        "published": "; ".join(_published(weights)),
    }


def _published(weights: WeightsEntry) -> Iterator[str]:
    """One phrase per benchmark and protocol: "WIDER FACE val 90.70/88.16/73.82 (original size)"."""
    for (benchmark, protocol), metrics in groupby(weights.metrics, lambda one: (one.benchmark, one.protocol)):
        percents = "/".join(f"{metric.percent:.2f}" for metric in metrics)
        yield f"{benchmark} {percents}" + (f" ({protocol})" if protocol else "")


def _size(weights: WeightsEntry) -> str:
    sizes = [file.n_bytes / 1e6 if file.n_bytes else file.about_mb for file in weights.files]
    known = [size for size in sizes if size is not None]
    return f"{sum(known):.1f}" if len(known) == len(sizes) else "?"


def _fields(weights: WeightsEntry) -> dict[str, Any]:
    """All that the catalogue says, and what this machine and the licences add."""
    return asdict(weights) | {
        "present": store.is_present(weights),
        "commercial_obstacle": commercial_obstacle(weights),
    }
