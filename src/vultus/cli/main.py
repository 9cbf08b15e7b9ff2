"""The command line: parse, call, present. The one place where an error becomes an exit code."""

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from vultus import __version__
from vultus.cli import (
    average,
    benchmark,
    calibrate,
    cluster,
    data,
    demo,
    detect,
    doctor,
    evaluate,
    export,
    faces,
    gallery,
    index,
    keys,
    models,
    people,
    prune,
    quantize,
    recognise,
    serve,
    train,
    ui,
    weights,
)
from vultus.cli.images import stderr
from vultus.errors import VultusError

app = typer.Typer(
    name="vultus",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"vultus {__version__}")
        raise typer.Exit


@app.callback()
def vultus(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Detect, align, embed, verify, enrol and identify faces: on a CPU, offline.

    Example: vultus enrol "Eileen Collins" eileen.jpg

    Example: vultus identify crew.jpg --draw named.png
    """


FACES, PEOPLE, SYSTEM = "Faces", "People", "System"
app.command(rich_help_panel=FACES)(detect.detect)
app.command(rich_help_panel=FACES)(faces.align)
app.command(rich_help_panel=FACES)(faces.embed)
app.command(rich_help_panel=FACES)(faces.verify)
app.command(rich_help_panel=PEOPLE)(recognise.enrol)
app.command(rich_help_panel=PEOPLE)(recognise.identify)
app.command(rich_help_panel=PEOPLE)(index.index)
app.command(rich_help_panel=PEOPLE)(calibrate.calibrate)
app.add_typer(people.app, name="people", rich_help_panel=PEOPLE)
app.add_typer(gallery.app, name="gallery", rich_help_panel=PEOPLE)
app.add_typer(cluster.app, name="cluster", rich_help_panel=PEOPLE)
app.add_typer(evaluate.app, name="evaluate", rich_help_panel=SYSTEM)
app.add_typer(data.app, name="data", rich_help_panel=SYSTEM)
app.add_typer(weights.app, name="weights", rich_help_panel=SYSTEM)
app.command(rich_help_panel=SYSTEM)(serve.serve)
app.add_typer(keys.app, name="keys", rich_help_panel=SYSTEM)
app.command(rich_help_panel=SYSTEM)(ui.ui)
app.command(rich_help_panel=SYSTEM)(train.train)
app.add_typer(export.app, name="export", rich_help_panel=SYSTEM)
app.command(rich_help_panel=SYSTEM)(quantize.quantize)
app.command(rich_help_panel=SYSTEM)(prune.prune)
app.command(rich_help_panel=SYSTEM)(average.average)
app.command(rich_help_panel=SYSTEM)(models.models)
app.command(rich_help_panel=SYSTEM)(doctor.doctor)
app.add_typer(benchmark.app, name="benchmark", rich_help_panel=SYSTEM)
app.command(rich_help_panel=SYSTEM)(demo.demo)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; a `VultusError` becomes its message and its exit code.

    Args:
        arguments: without the program's name; by default those of this process.
    """
    try:
        app(arguments)
    except VultusError as error:
        stderr.print(Text("error: ", style="red") + Text(str(error)))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stderr.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone (`vultus ... | head`): nothing more to say
        sys.exit(141)
    sys.exit(0)
