"""`vultus benchmark`: how fast a detector, an embedder or the whole is, on this machine and these photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from vultus.cli import options
from vultus.cli.images import find_images, stderr
from vultus.cli.output import print_json, print_table
from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER

if TYPE_CHECKING:
    from vultus.benchmark.measuring import Measured

app = typer.Typer(
    no_args_is_help=True, help="Measure speed: latency, throughput, start, memory, and the machine's limit."
)

Photos = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[IMAGE]...",
        help="Photos to work on, over and over; without any, a made one of 640 x 480 with six faces.",
        show_default=False,
    ),
]
Rounds = Annotated[int, typer.Option("--rounds", min=3, help="How many single calls are timed.")]
Batches = Annotated[
    str, typer.Option("--batches", help="How many at once, for the throughput: numbers with commas.")
]
Threads = Annotated[
    str | None,
    typer.Option(
        "--threads",
        help="Threads inside a network call, numbers with commas; by default 1 and one per core.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Also write a picture and the JSON here.", show_default=False
    ),
]
_BATCHES = "1,2,4,8,16,32"


@app.command()
def detector(
    photos: Photos = None,
    *,
    name: options.DetectorName = DEFAULT_DETECTOR,
    weights: options.DetectorWeights = None,
    longest_px: options.LongestPx = None,
    min_face_px: options.MinFacePx = None,
    runtime: options.RuntimeName = "auto",
    rounds: Rounds = 50,
    batches: Batches = "1,2,4",
    threads: Threads = None,
    output: Output = None,
    as_json: options.Json = False,
) -> None:
    """Measure a detector, on photos that are decoded already.

    Example: vultus benchmark detector

    Example: vultus benchmark detector crowd.jpg --detector retinaface --longest-px 640 --runtime openvino
    """
    found = {"weights": weights, "longest_px": longest_px, "min_face_px": min_face_px}
    measured = _measure(
        "detector",
        photos,
        choice={"detector": name, "options": _given(found)},
        runtime=runtime,
        plan=_plan(rounds, batches, threads),
    )
    _show(measured, output=output, as_json=as_json)


@app.command()
def embedder(
    photos: Photos = None,
    *,
    name: options.EmbedderName = None,
    runtime: options.RuntimeName = "auto",
    rounds: Rounds = 50,
    batches: Batches = _BATCHES,
    threads: Threads = None,
    output: Output = None,
    as_json: options.Json = False,
) -> None:
    """Measure an embedder, on the faces of the photos, cut out already.

    Example: vultus benchmark embedder --runtime openvino

    Example: vultus benchmark embedder photos/ --embedder sface-int8bq --batches 1,8,32 --output speed/

    Example: vultus benchmark embedder --embedder ours.onnx
    """
    measured = _measure(
        "embedder",
        photos,
        choice={"embedder": name or DEFAULT_EMBEDDER},
        runtime=runtime,
        plan=_plan(rounds, batches, threads),
    )
    _show(measured, output=output, as_json=as_json)


@app.command()
def pipeline(
    photos: Photos = None,
    *,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    longest_px: options.LongestPx = None,
    min_face_px: options.MinFacePx = None,
    runtime: options.RuntimeName = "auto",
    rounds: Rounds = 50,
    batches: Batches = "1,2,4",
    threads: Threads = None,
    output: Output = None,
    as_json: options.Json = False,
) -> None:
    """Measure the whole way, from the bytes of a photo to the embeddings of its faces.

    Example: vultus benchmark pipeline

    Example: vultus benchmark pipeline photos/ --detector retinaface --longest-px 640 --json
    """
    found = {"longest_px": longest_px, "min_face_px": min_face_px}
    choice = {"detector": detector, "embedder": embedder or DEFAULT_EMBEDDER, "options": _given(found)}
    measured = _measure(
        "pipeline", photos, choice=choice, runtime=runtime, plan=_plan(rounds, batches, threads)
    )
    _show(measured, output=output, as_json=as_json)


def _measure(
    kind: Literal["detector", "embedder", "pipeline"],
    photos: list[str] | None,
    *,
    choice: dict[str, Any],
    runtime: str,
    plan: dict[str, Any],
) -> Measured:
    from vultus.benchmark.measuring import measure
    from vultus.benchmark.subjects import Parts, photos_of
    from vultus.runtime import Runtime, choose_runtime

    chosen = choose_runtime(cast("Runtime", runtime))
    stderr.print(f"runtime {chosen.runtime}: {chosen.reason}", style="dim", highlight=False)
    parts = Parts(kind, runtime=chosen.runtime, **choice)
    return measure(parts, photos_of([Path(path) for path in find_images(photos or ())]), **plan)


def _plan(rounds: int, batches: str, threads: str | None) -> dict[str, Any]:
    return {
        "rounds": rounds,
        "batches": _numbers(batches, "--batches"),
        "threads": None if threads is None else _numbers(threads, "--threads"),
    }


def _numbers(text: str, option: str) -> list[int]:
    from vultus.errors import InputError

    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise InputError(f"{option} must be whole numbers of at least 1 with commas between, got {text!r}")
    return numbers


def _given(choices: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in choices.items() if value is not None}


def _show(measured: Measured, *, output: Path | None, as_json: bool) -> None:
    from vultus.benchmark import report

    if output:
        _write(measured, output)
    if as_json:
        print_json(measured.fields())
        return
    lines = [{"fact": key, "value": value} for key, value in report.facts(measured).items()]
    print_table(lines, columns={"fact": measured.parts.kind, "value": ""})
    rows = report.rows(measured)
    headings = {key: key.replace("threads_", "threads: ") for key in rows[0]} | {"batch": "at a time"}
    print_table(rows, columns=headings, title=f"{report.unit_of(measured)}s a second")


def _write(measured: Measured, folder: Path) -> None:
    import json

    from vultus.benchmark import report
    from vultus.evaluate.figures import save_pictures
    from vultus.image import replace_file

    save_pictures(report.pictures(measured), folder)
    with replace_file(folder / f"benchmark-{measured.parts.kind}.json") as stream:
        stream.write(json.dumps(measured.fields(), indent=2).encode())
    stderr.print(f"wrote {folder}", highlight=False, markup=False)
