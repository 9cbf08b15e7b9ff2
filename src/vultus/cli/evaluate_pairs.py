"""`vultus evaluate pairs`, `lfw`, `cfp`, `agedb`, `calfw`, `cplfw`, `bin`: verification over listed pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.reporting import ReportFolder, command_line, present
from vultus.cli.under_test import Aligned, Data, Far, Flip, UnderTest, check_carried
from vultus.defaults import DEFAULT_DETECTOR

if TYPE_CHECKING:
    from vultus.evaluate.figures import Pictures
    from vultus.evaluate.one_face import EmbeddedImages
    from vultus.evaluate.pairs import Pairs
    from vultus.evaluate.report import Report


class CfpProtocol(StrEnum):
    """The two protocols of CFP."""

    FF = "FF"
    FP = "FP"


def pairs(
    pairs_list: Annotated[
        Path, typer.Argument(metavar="PAIRS.txt", help="The list of pairs, in the format of LFW's view 2.")
    ],
    *,
    images: Annotated[
        Path,
        typer.Option("--images", metavar="DIR", help="The folder with one sub-folder of images per person."),
    ],
    far: Far = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    aligned: Aligned = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Verification accuracy over a list of image pairs: ten folds, each with the threshold of the other nine.

    No pair is dropped: an image without a face scores as a non-match, and is counted.

    Example: vultus evaluate pairs lfw/pairs.txt --images lfw/images --report runs/lfw
    """
    from vultus.evaluate.pairs import read_pairs

    listed = read_pairs(pairs_list)
    check_carried(far, _impostors(listed))
    paths = listed.find_images(images)
    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
    setting = under_test.setting | {"images from": images.name}
    judged = _judged(
        f"Verification on {pairs_list.name}",
        listed,
        embedded=under_test.embed(paths),
        setting=setting,
        far=far,
        note=_note(aligned=aligned),
    )
    present(judged[0], report, as_json=as_json, pictures=judged[1])


def set_command(name: str) -> Callable[..., None]:
    """The command that measures on a set of `pair_sets`: they differ only in where they keep things."""

    def command(
        *,
        data: Data,
        far: Far = None,
        faces: options.Faces = FaceChoice.CENTRAL,
        detector: options.DetectorName = DEFAULT_DETECTOR,
        embedder: options.EmbedderName = None,
        flip: Flip = False,
        aligned: Aligned = False,
        threads: options.Threads = None,
        report: ReportFolder = None,
        as_json: options.Json = False,
    ) -> None:
        from vultus.evaluate.pair_sets import read_pair_set
        from vultus.evaluate.pairs_report import set_title

        found = read_pair_set(name, data)
        check_carried(far, _impostors(found.pairs))
        paths = found.paths()
        under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
        judged = _judged(
            set_title(name, len(found.pairs)),
            found.pairs,
            embedded=under_test.embed(paths),
            setting=under_test.setting | {"images from": found.images.name},
            far=far,
            note=_note(aligned=aligned),
        )
        present(judged[0], report, as_json=as_json, pictures=judged[1])

    return command


def cfp(
    *,
    data: Data,
    protocol: Annotated[
        CfpProtocol, typer.Option("--protocol", help="Frontal to frontal, or frontal to profile.")
    ] = CfpProtocol.FP,
    far: Far = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    aligned: Aligned = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """CFP: 7,000 pairs in ten folds, frontal with frontal or with profile; DIR holds Data/ and Protocol/.

    Example: vultus evaluate cfp --data cfp-dataset --protocol FP --report runs/cfp-fp
    """
    set_command(f"cfp-{protocol.lower()}")(
        data=data,
        far=far,
        faces=faces,
        detector=detector,
        embedder=embedder,
        flip=flip,
        aligned=aligned,
        threads=threads,
        report=report,
        as_json=as_json,
    )


def pack(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.bin", help="A verification pack as InsightFace publishes them.")
    ],
    *,
    far: Far = None,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Verification accuracy on a pack: its aligned 112 px faces go straight to the embedder.

    Nothing in the file is executed, though it is a pickle.

    Example: vultus evaluate bin faces_emore/agedb_30.bin --flip --report runs/agedb-30
    """
    from vultus.evaluate.packs import read_pack
    from vultus.evaluate.pairs_report import PACK

    read = read_pack(file)
    check_carried(far, _impostors(read.pairs))
    under_test = UnderTest(None, embedder, flip=flip, threads=threads, aligned=True)
    judged = _judged(
        f"Verification on {file.name}",
        read.pairs,
        embedded=under_test.embed_pack(read),
        setting=under_test.setting,
        far=far,
        note=PACK,
    )
    present(judged[0], report, as_json=as_json, pictures=judged[1])


def _judged(
    title: str,
    listed: Pairs,
    *,
    embedded: EmbeddedImages,
    setting: dict[str, str],
    far: Sequence[float] | None,
    note: str,
) -> tuple[Report, Pictures]:
    from vultus.evaluate.lfw import evaluate_pairs, score_pairs
    from vultus.evaluate.pairs_report import pairs_pictures, pairs_report
    from vultus.evaluate.report import Subject
    from vultus.match.false_matches import carried_rates

    result = evaluate_pairs(listed, embedded, fars=far or carried_rates(_impostors(listed)))
    report = pairs_report(result, subject=Subject(title, setting, command_line()), note=note)
    return report, pairs_pictures(score_pairs(listed, embedded), result.verification, title=title)


def _impostors(listed: Pairs) -> int:
    return int((~listed.is_genuine).sum())


def _note(*, aligned: bool) -> str:
    from vultus.evaluate.pairs_report import ALIGNED

    return ALIGNED if aligned else ""
