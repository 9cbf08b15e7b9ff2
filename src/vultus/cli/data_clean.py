"""`vultus data clean`: duplicates, wrong names, people of the test set: found, shown, moved if you say so."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.reporting import ReportFolder, command_line, counted, present
from vultus.training.data.findings import MOVABLE, CleanSettings, Kind

if TYPE_CHECKING:
    from vultus.types import Embeddings

SETTINGS = CleanSettings()


def _cosine(name: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, min=-1, max=1, help=text)
    return option


def clean(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Aligned crops, a folder for each person.")
    ],
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="DIR",
            help="Photos of a test set: find crops of people who are in it.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[Kind] | None,
        typer.Option(
            "--only", help="Report and move only findings of this kind; repeatable.", show_default="all"
        ),
    ] = None,
    min_duplicate: Annotated[
        float, _cosine("--min-duplicate", "Two crops this alike are one picture.")
    ] = SETTINGS.min_duplicate,
    min_own: Annotated[
        float, _cosine("--min-own", "A crop less like its own person is mislabelled.")
    ] = SETTINGS.min_own,
    min_overlap: Annotated[
        float, _cosine("--min-overlap", "A crop this like a face of the test set is of its people.")
    ] = SETTINGS.min_overlap,
    apply: Annotated[
        bool, typer.Option("--apply", help="Move the crops in question to FOLDER-quarantine; delete nothing.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Move back what --apply has moved.")] = False,
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="DIR", help="Where they go.", show_default="FOLDER-quarantine"),
    ] = None,
    cache: Annotated[Path, typer.Option("--cache", metavar="DIR", help="Where embeddings are kept.")] = Path(
        "runs/cache"
    ),
    embedder: options.AccurateName = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Find copies, near copies, wrong names, two people in one folder, one in two, and people of a test set.

    Nothing is changed without --apply, and nothing is ever deleted: --undo puts everything back. Two people
    in one folder and one in two are only shown. With --report come findings.csv and sheets of pictures.

    Example: vultus data clean crops/ --against lfw/ --report runs/clean

    Example: vultus data clean crops/ --only "same bytes" --only mislabelled --apply
    """
    from dataclasses import replace

    from vultus.evaluate.report import Subject
    from vultus.training.data.cleaning import Labelled, find_all
    from vultus.training.data.cleaning_report import cleaning_pictures, cleaning_report, write_findings
    from vultus.training.data.face_vectors import crop_vectors
    from vultus.training.data.folder import read_folder
    from vultus.training.data.quarantine import put_back, quarantine_of, take_out

    place = quarantine or quarantine_of(folder)
    if undo:
        typer.echo(f"put back {put_back(folder, quarantine=place):,} files")
        return
    faces = read_folder(folder)
    settings = replace(SETTINGS, min_duplicate=min_duplicate, min_own=min_own, min_overlap=min_overlap)
    vectors = crop_vectors(faces, cache, embedder=embedder)
    labelled = Labelled(vectors, faces.identity_index, faces.names)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in faces.paths]
    test_faces = None if against is None else _test_faces(against, cache=cache, embedder=embedder)
    found = find_all(labelled, hashes, settings=settings, against=test_faces)
    findings = [finding for finding in found if finding.kind in (only or Kind)]
    setting = {"folder": str(folder), "against": str(against or "nothing")}
    subject = Subject(f"Cleaning {folder.name}", setting, command_line())
    told = cleaning_report(
        findings, n_crops=len(faces), n_people=len(faces.names), settings=settings, subject=subject
    )
    files = [path.relative_to(folder).as_posix() for path in faces.paths]
    if report is not None:
        stderr.print(f"wrote {write_findings(report, findings, files)}", highlight=False, markup=False)
    present(told, report, as_json=as_json, pictures=cleaning_pictures(findings, faces.crop))
    moves = [
        (faces.paths[row], str(finding.kind), finding.note)
        for finding in findings
        if finding.kind in MOVABLE
        for row in finding.crops
    ]
    if apply and moves:
        count = take_out(folder, moves, quarantine=place)
        stderr.print(
            f"moved {count:,} files to {place}; --undo puts them back", highlight=False, markup=False
        )


def _test_faces(folder: Path, *, cache: Path, embedder: str | None) -> Embeddings:
    from vultus.training.data.face_vectors import photo_vectors
    from vultus.training.data.photos import find_photos

    photos = find_photos(folder)
    with counted("Test set", total=len(photos)) as on_progress:
        vectors = photo_vectors(photos, cache, embedder=embedder, on_progress=on_progress)
    if len(vectors) < len(photos):
        stderr.print(
            f"{len(photos) - len(vectors):,} photos of {folder} show no usable face", highlight=False
        )
    return vectors
