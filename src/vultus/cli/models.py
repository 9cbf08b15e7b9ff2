"""`vultus models`: every network, what it costs, and what its authors say it costs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from vultus.networks.variant import Variant

START, END = "<!-- models:start -->", "<!-- models:end -->"
COLUMNS = {
    "name": "network",
    "params_m": "parameters, M",
    "published_params_m": "published",
    "gflops": "GFLOPs",
    "published_gflops": "published",
    "input": "input",
    "embedding_size": "embedding",
    "cpu_ms_batch_1": "CPU ms, batch 1",
    "cpu_ms_batch_8": "CPU ms, batch 8",
    "note": "notes",
}


def models(
    name: Annotated[
        str,
        typer.Argument(metavar="[PART]", help="Only networks with this in their name.", show_default=False),
    ] = "",
    *,
    time: Annotated[bool, typer.Option("--time", help="Time them on this machine: minutes.")] = False,
    as_json: options.Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help=f"Put the table into this Markdown file, between {START} and {END}.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the networks: parameters, GFLOPs, sizes, and the published figures beside ours.

    Example: vultus models mobilefacenet

    Example: vultus models --time --write ALGORITHMS.md
    """
    if sum((as_json, as_markdown, write is not None)) > 1:
        raise InputError("--json, --markdown and --write exclude each other: choose one")
    chosen = variants(name)
    names = track(chosen, "Measuring", console=stderr, transient=True, disable=not stderr.is_terminal)
    rows = [row(network, chosen[network], is_timed=time) for network in names]
    if as_json:
        print_json(rows)
    elif as_markdown:
        typer.echo(markdown(rows, is_timed=time), nl=False)
    elif write is not None:
        write_section(write, markdown(rows, is_timed=time))
        typer.echo(f"wrote {len(rows)} networks to {write}")
    else:
        columns = shown_columns(is_timed=time)
        del columns["note"]  # too long for a column of a terminal
        print_table(rows, columns=columns)
        for note, names_of_note in grouped(rows, "note").items():
            typer.echo(f"{', '.join(names_of_note)}: {note}")


def variants(part: str) -> Mapping[str, Variant]:
    """The networks whose name contains `part`.

    Raises:
        InputError: there is none.
        MissingExtraError: PyTorch is not installed.
    """
    try:
        from vultus.networks.catalog import NETWORKS
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            "`vultus models` builds the networks in PyTorch, which is not installed; "
            "run: pip install 'vultus[train]'"
        ) from error
    chosen = {name: variant for name, variant in NETWORKS.items() if part in name}
    if not chosen:
        raise InputError(f"no network has {part!r} in its name; there are: {', '.join(NETWORKS)}")
    return chosen


def row(name: str, variant: Variant, *, is_timed: bool) -> dict[str, Any]:
    """One network as JSON values; the timings are None where they were not asked for."""
    from vultus.networks.measure import cost, cpu_ms

    own, published = cost(variant), variant.published
    timed = [round(ms, 1) for ms in cpu_ms(variant, batches=(1, 8))] if is_timed else [None, None]
    return {
        "name": name,
        "params_m": round(own.params_m, 3),
        "published_params_m": published.params_m if published else None,
        "gflops": round(own.gflops, 4),
        "published_gflops": published.gflops if published else None,
        "input": "x".join(map(str, variant.size_hw)),
        "embedding_size": variant.embedding_size,
        "cpu_ms_batch_1": timed[0],
        "cpu_ms_batch_8": timed[1],
        "source": published.source if published else None,
        "note": variant.note or None,
    }


def shown_columns(*, is_timed: bool) -> dict[str, str]:
    """The columns of the table; without timings where none were made."""
    return {key: heading for key, heading in COLUMNS.items() if is_timed or not key.startswith("cpu_ms")}


def markdown(rows: Sequence[Mapping[str, Any]], *, is_timed: bool) -> str:
    """The table, how it was made, and where the published figures stand."""
    columns = shown_columns(is_timed=is_timed)
    lines = [
        "| " + " | ".join(columns.values()) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(cell(one[key]) for key in columns) + " |" for one in rows),
        "",
        "GFLOPs: 10^9 multiply-adds of convolutions and linear layers for one input, each counted once.",
    ]
    if is_timed:
        lines.append(
            f"CPU ms: median of up to five calls, eager float32, random weights, on {this_machine()}."
        )
    sources = grouped(rows, "source")
    lines += ["", "Published figures:", ""] if sources else []
    lines += [f"- {', '.join(names)}: {source}" for source, names in sources.items()]
    return "\n".join(lines) + "\n"


def grouped(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[str]]:
    """What stands under a key, with the names of its rows; rows with nothing there are left out."""
    groups: dict[str, list[str]] = {}
    for one in rows:
        if one[key]:
            groups.setdefault(one[key], []).append(one["name"])
    return groups


def cell(value: Any) -> str:
    """A value for people; nothing for None."""
    return "" if value is None else str(value).replace("|", "\\|")


def write_section(path: Path, table: str) -> None:
    """Replace what stands between the markers in a file; add the markers at its end where they are missing.

    Raises:
        InputError: the file does not exist, or only one of the markers stands in it, or they stand twice.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; --write fills a section of an existing Markdown file")
    text = path.read_text(encoding="utf-8")
    section = f"{START}\n{table}{END}"
    counts = text.count(START), text.count(END)
    if counts == (0, 0):
        text = f"{text.rstrip()}\n\n{section}\n"
    elif counts == (1, 1) and text.index(START) < text.index(END):
        text = text[: text.index(START)] + section + text[text.index(END) + len(END) :]
    else:
        raise InputError(f"{path} must have {START} before {END}, once each; found {counts} of them")
    path.write_text(text, encoding="utf-8")


def this_machine() -> str:
    """Processor and number of cores, for the line under a table of timings."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} threads"
