"""`vultus data stats`: what a set of faces is like, before anything is learnt from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vultus.cli import options
from vultus.cli.reporting import ReportFolder, command_line, present
from vultus.defaults import DEFAULT_DETECTOR


def stats(
    faces: Annotated[
        Path,
        typer.Argument(
            metavar="FACES", help="A folder per person, a folder of tar shards with index.csv, or train.rec."
        ),
    ],
    *,
    split: Annotated[str, typer.Option("--split", help="Of tar shards.")] = "train",
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="So many crops are measured; all are counted.")
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw: the same seed, the same crops.")] = 0,
    detect: Annotated[
        bool,
        typer.Option(
            "--detect/--no-detect", help="Find landmarks on crops that come without, to see how they turn."
        ),
    ] = True,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Count people and crops; show sizes, brightness, sharpness, and how far faces are turned.

    With --report come report.json, report.md and a histogram of each.

    Example: vultus data stats crops/ --report runs/stats

    Example: vultus data stats faces/ --split heldout --sample 500 --json
    """
    from vultus.cli.parts import make_detector
    from vultus.evaluate.report import Subject
    from vultus.training.data.reading import read_faces
    from vultus.training.data.set_figures import figures_pictures, figures_report, measure

    detector = make_detector(DEFAULT_DETECTOR, threads=1) if detect else None
    measured = measure(read_faces(faces, split=split), sample=sample, seed=seed, detector=detector)
    setting = {"faces": str(faces), "sample": f"{sample:,} at most, seed {seed}"}
    told = figures_report(measured, subject=Subject(f"Faces in {faces.name}", setting, command_line()))
    pictures = figures_pictures(measured, title=faces.name)
    present(told, report, as_json=as_json, pictures=pictures)
