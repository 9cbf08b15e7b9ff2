"""`vultus data`: fetch public data sets, cut faces for training, find what is wrong in time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import data_align, data_clean, data_stats, options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.training.data.widerface_archives import ARCHIVES, Part

if TYPE_CHECKING:
    from vultus.training.data.annotations import RejectedRow

app = typer.Typer(no_args_is_help=True, help="Fetch public data sets, cut faces for training, check labels.")
DETECTION, FACES = "Labelled photos, for detectors", "Faces, for recognisers"

MOST_ROWS = 20  # that a table for people shows


@app.command(rich_help_panel=DETECTION)
def widerface(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the data shall lie.")],
    *,
    part: Annotated[
        list[Part] | None,
        typer.Option("--part", help="Only this part; repeatable.", show_default="all four, 1.8 GB"),
    ] = None,
) -> None:
    """Fetch WIDER FACE: images, labels, and the ground truth that the evaluation needs.

    For research only. Every archive is verified by its published SHA-256, unpacked and counted; one that you
    have put into DIR yourself is used, and what is unpacked already is only counted. VULTUS_MIRROR and
    VULTUS_OFFLINE are heeded. The archives stay in DIR; you may remove them.

    Example: vultus data widerface data/widerface --part val --part evaluation
    """
    from vultus.training.data.archives import obtain

    for name in part or ARCHIVES:
        archive = ARCHIVES[name]
        stderr.print(f"{archive.name}: {archive.n_bytes / 1e6:,.0f} MB, unpacked once it is verified")
        typer.echo(obtain(archive, folder))


@app.command(rich_help_panel=DETECTION)
def check(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="A label file, or a folder of YOLO's .txt files.")
    ],
    *,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Where the images lie: each is opened, to find missing ones and boxes outside of them.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Count what is labelled, and show every row that a training would not use, with the reason.

    Reads the official wider_face_*_bbx_gt.txt, RetinaFace's label.txt and YOLO's folders. Without --images
    nothing is opened (except YOLO's images, for their sizes), and boxes are not held against the pictures.

    Example: vultus data check label.txt --images images/
    """
    from vultus.training.data.widerface import read_widerface

    annotations = read_widerface(labels, images=images, opens_images=images is not None)
    if as_json:
        rejected = [_fields(row) for row in annotations.rejected]
        print_json(asdict(annotations.counts()) | {"rejected_rows": rejected})
        return
    counts = asdict(annotations.counts())
    sizes = {f"faces of {size} px": count for size, count in counts.pop("by_size_px").items()}
    rows = [{"what": name.replace("_", " "), "count": count} for name, count in (counts | sizes).items()]
    print_table(rows, columns={"what": "what", "count": "how many"})
    if annotations.rejected:
        shown = [_fields(row) | {"file": row.file.name} for row in annotations.rejected[:MOST_ROWS]]
        print_table(shown, columns={"file": "file", "line": "line", "text": "row", "reason": "reason"})
    if len(annotations.rejected) > MOST_ROWS:
        typer.echo(f"and {len(annotations.rejected) - MOST_ROWS} more: --json shows all")


def _fields(row: RejectedRow) -> dict[str, Any]:
    return row._asdict() | {"file": str(row.file)}


app.command(rich_help_panel=FACES)(data_align.align)
app.command(rich_help_panel=FACES)(data_clean.clean)
app.command(rich_help_panel=FACES)(data_stats.stats)
