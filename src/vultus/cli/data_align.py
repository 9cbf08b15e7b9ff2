"""`vultus data align`: raw photos in, aligned crops out, as a recogniser learns from them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.defaults import DEFAULT_DETECTOR, MAX_TURN, MIN_FACE_PX, MIN_SHARPNESS

if TYPE_CHECKING:
    from vultus.training.data.alignment import Alignment, AlignSettings


class Form(StrEnum):
    """How the crops are stored."""

    FOLDER = "folder"
    TAR = "tar"
    REC = "rec"


class ImageForm(StrEnum):
    """What files the crops are."""

    PNG = "png"
    WEBP = "webp"
    JPG = "jpg"


FILES = "files"  # where the crops lie that are packed


def align(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC", help="A folder with a folder of photos per person; a folder of photos; or a list."
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder for the crops: a new one, or one to go on with.")
    ],
    *,
    size_px: Annotated[
        int,
        typer.Option(
            "--size-px", min=112, max=448, help="Side: 112 is the template, 128 that with 8 px around it."
        ),
    ] = 112,
    faces: options.Faces = FaceChoice.ONLY,
    min_face_px: Annotated[
        float, typer.Option("--min-face-px", min=1, help="Reject smaller faces.")
    ] = MIN_FACE_PX,
    min_sharpness: Annotated[
        float, typer.Option("--min-sharpness", min=0, max=1, help="Reject blurrier faces.")
    ] = MIN_SHARPNESS,
    max_turn: Annotated[
        float, typer.Option("--max-turn", min=0, help="Reject faces turned further: 0 frontal, 1 profile.")
    ] = MAX_TURN,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    weights: options.DetectorWeights = None,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="A folder per person; tar shards with index.csv; or MXNet's train.rec. Of the last two the "
            f"crops lie in DST/{FILES} too, for runs that go on.",
        ),
    ] = Form.FOLDER,
    image: Annotated[ImageForm, typer.Option("--image", help="What files the crops are.")] = ImageForm.PNG,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Of webp and jpg, and of train.rec's JPEG.")
    ] = 95,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that look for faces.", show_default="one per core"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Cut one face out of each photo for training: found, chosen, upright, judged, in the same folders.

    It can be stopped or killed at any moment: the same command goes on, and ends with the same bytes. Other
    settings are refused. rejects.csv tells which photos have no crop, and why.

    Example: vultus data align photos/ crops/ --size-px 128 --image webp --faces central

    Example: vultus data align photos/ shards/ --format tar --workers 8
    """
    from vultus.runtime.device import usable_cores
    from vultus.training.data.alignment import AlignSettings, align_photos
    from vultus.training.data.packing import pack_records, pack_shards

    settings = AlignSettings(
        size_px=size_px,
        faces=faces,
        min_face_px=min_face_px,
        min_sharpness=min_sharpness,
        max_turn=max_turn,
        detector=detector,
        weights=weights,
        image=image.value,
        quality=quality,
    )
    folder = target if form is Form.FOLDER else target / FILES
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("Aligning", total=None)
        alignment = align_photos(
            source,
            folder,
            settings,
            workers=workers or usable_cores(),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if form is Form.TAR:
        pack_shards(folder, alignment.rows, target, source=source.stem)
    elif form is Form.REC:
        pack_records(folder, alignment.rows, target, jpeg_quality=quality)
    _present(alignment, folder, settings, as_json=as_json)


def _present(alignment: Alignment, folder: Path, settings: AlignSettings, *, as_json: bool) -> None:
    from vultus.training.data.alignment_manifest import MANIFEST, REJECTS

    counts: dict[str, Any] = dict(alignment.summary)
    if as_json:
        places = {"rejects": str(folder / REJECTS), "manifest": str(folder / MANIFEST)}
        print_json(counts | {"done_now": alignment.fresh, "settings": settings.described()} | places)
        return
    reasons = {f"rejected: {reason}": count for reason, count in counts.pop("reasons").items() if count}
    rows = [{"what": name, "count": count} for name, count in (counts | reasons).items()]
    print_table(
        [*rows, {"what": "done now", "count": alignment.fresh}], columns={"what": "what", "count": ""}
    )
    if counts["rejected"]:
        stderr.print(f"why each photo was rejected: {folder / REJECTS}", highlight=False, markup=False)
