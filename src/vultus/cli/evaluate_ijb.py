"""`vultus evaluate ijb`: verification of templates, IJB-B and IJB-C."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.reporting import ReportFolder, command_line, present
from vultus.cli.under_test import Data, Flip, UnderTest, check_carried

if TYPE_CHECKING:
    from vultus.evaluate.ijb import IjbName


class IjbSet(StrEnum):
    """The two benchmarks."""

    B = "B"
    C = "C"


def ijb(
    *,
    data: Data,
    which: Annotated[IjbSet, typer.Option("--set", help="IJB-B or IJB-C.")] = IjbSet.C,
    face_scores: Annotated[
        bool,
        typer.Option(
            "--face-scores/--no-face-scores", help="Weight each face by its published score as a face."
        ),
    ] = True,
    by_media: Annotated[
        bool,
        typer.Option("--by-media/--by-face", help="Average the faces of a video first, or count each face."),
    ] = True,
    far: Annotated[
        list[float] | None,
        typer.Option(
            "--far",
            help="Report TAR at this false accept rate; repeatable.",
            show_default="those of 0.1 to 1e-6 that the comparisons can show",
        ),
    ] = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector",
            help="Find the faces anew with this detector.",
            show_default="none: cut them by the published landmarks",
        ),
    ] = None,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """IJB-B or IJB-C, 1:1: templates of several faces are compared; DIR holds meta/ and loose_crop/.

    Example: vultus evaluate ijb --data IJBC --set C --flip --report runs/ijb-c
    """
    from vultus.evaluate.ijb import read_ijb
    from vultus.evaluate.ijb_report import (
        IjbFlags,
        evaluate_ijb,
        find_ijb_images,
        ijb_pictures,
        ijb_report,
        published_faces,
    )
    from vultus.evaluate.report import Subject

    name: IjbName = "ijbb" if which is IjbSet.B else "ijbc"
    templates = read_ijb(data, name=name)
    check_carried(far, int((~templates.is_genuine).sum()))
    paths = find_ijb_images(templates, data)
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads)
    embedded = (
        under_test.embed(paths) if detector else under_test.embed_located(paths, published_faces(templates))
    )
    flags = IjbFlags(face_scores=face_scores, by_media=by_media, published_landmarks=detector is None)
    result, similarities = evaluate_ijb(templates, embedded, flags=flags, fars=far)
    title = f"IJB-{which.value}, 1:1"
    subject = Subject(title, under_test.setting, command_line())
    made = ijb_report(result, templates, subject=subject)
    present(made, report, as_json=as_json, pictures=ijb_pictures(templates, similarities, title=title))
