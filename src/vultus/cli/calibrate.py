"""`vultus calibrate`: what a similarity means, measured on labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import gallery_address
from vultus.cli.reporting import command_line
from vultus.cli.under_test import Aligned, Flip, UnderTest
from vultus.defaults import DEFAULT_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vultus.types import Calibration, Embeddings

GALLERY_SIZES = (1, 10, 100, 1_000, 10_000)


def calibrate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|PAIRS",
            help="A folder with one sub-folder of images per person, or a list of labelled pairs.",
            show_default=False,
        ),
    ],
    *,
    fmr: Annotated[
        float, typer.Option("--fmr", help="The false match rate wanted where one face meets one.")
    ] = 1e-3,
    fpir: Annotated[
        float, typer.Option("--fpir", help="The share of strangers that a gallery may name.")
    ] = 1e-2,
    gallery_size: Annotated[
        int | None,
        typer.Option(
            "--gallery-size",
            min=1,
            help="Refuse, unless the pairs can show --fpir for so many templates.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", help="Where the images of the pairs lie.", show_default=False
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            metavar="IMAGE",
            help="PERSON/FILE under a wrong name, which is written into the calibration; repeatable.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Calibrate on half of the people, measure on the others.")
    ] = False,
    store: Annotated[bool, typer.Option("--store", help="Store the calibration in the gallery.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it as JSON.", show_default=False),
    ] = None,
    gallery: options.GalleryFile = None,
    faces: options.Faces = FaceChoice.CENTRAL,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    flip: Flip = False,
    aligned: Aligned = False,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Measure what a similarity means, and which threshold holds for one face and for a whole gallery.

    A rate that the images cannot show is refused, and the refusal says how many it takes. Use photos of
    people unlike those the weights were trained on, and like those you will meet.

    Example: vultus calibrate photos-of-staff/ --fmr 1e-4 --store

    Example: vultus calibrate lfw-dev/pairs.txt --images lfw-dev/images --fmr 1e-2
    """
    from vultus.match import calibration_to_json, identification_threshold

    under_test = UnderTest(detector, embedder, flip=flip, faces=faces, threads=threads, aligned=aligned)
    wanted = {"fmr": fmr, "fpir": fpir}
    if source.is_dir():
        calibration = _from_people(source, under_test, wanted, leave_out or [], check=check)
    else:
        calibration = _from_pairs(source, images, under_test, wanted)
    if gallery_size is not None:
        identification_threshold(calibration, comparisons=gallery_size, fpir=fpir)
    if output is not None:
        output.write_text(calibration_to_json(calibration), encoding="utf-8")
        _say(f"wrote {output}")
    if store:
        _store(calibration, gallery)
    rows = _rows(calibration, [gallery_size] if gallery_size else GALLERY_SIZES)
    if as_json:
        print_json({"contract": calibration.contract, "about": dict(calibration.about), "thresholds": rows})
    else:
        print_table(rows, columns=_COLUMNS, title=f"Thresholds under contract {calibration.contract}")


def _from_people(
    folder: Path, under_test: UnderTest, wanted: Mapping[str, float], leave_out: Sequence[str], *, check: bool
) -> Calibration:
    from vultus.evaluate.people import PROTOCOL, find_people
    from vultus.match import calibrate, check_carries
    from vultus.match.all_pairs import count_impostors

    found = find_people(folder).without(leave_out)
    n_impostors = count_impostors(found.identity_index) // (4 if check else 1)  # half the people: a quarter
    check_carries(n_impostors, fmr=wanted["fmr"])  # now, not after the long work
    embedded = under_test.embed(found.paths)
    rows = embedded.embeddings[embedded.has_face]
    owners = [owner for owner, has in zip(found.identity_index, embedded.has_face, strict=True) if has]
    data = (
        f"{folder.absolute().parent.name}/{folder.name}: {len(rows):,} faces of {len(set(owners)):,} people"
    )
    about = _about(under_test, PROTOCOL, data)
    if leave_out:
        about["left out"] = ", ".join(leave_out)
    if check:
        about["check"] = _check(rows, owners, wanted["fmr"])
    return calibrate(rows, owners, contract=under_test.embedder.contract, about=about, **wanted)


def _from_pairs(
    source: Path, images: Path | None, under_test: UnderTest, wanted: Mapping[str, float]
) -> Calibration:
    from vultus.evaluate import read_pairs, score_pairs
    from vultus.match import calibrate_pairs, check_carries

    pairs = read_pairs(source)
    check_carries(int((~pairs.is_genuine).sum()), fmr=wanted["fmr"])
    embedded = under_test.embed([(images or source.parent) / image for image in pairs.images])
    scored = score_pairs(pairs, embedded)
    has_faces = embedded.has_face[pairs.left] & embedded.has_face[pairs.right]
    protocol = "The pairs of the list whose images both show a face. 95 % intervals are Wilson's."
    about = _about(under_test, protocol, f"{source.name}: {int(has_faces.sum()):,} pairs")
    return calibrate_pairs(
        scored.similarities[has_faces],
        scored.is_genuine[has_faces],
        contract=under_test.embedder.contract,
        about=about,
        **wanted,
    )


def _about(under_test: UnderTest, protocol: str, data: str) -> dict[str, str]:
    from vultus.evaluate import Provenance

    made = Provenance.now(command_line())
    about = {"data": data, "protocol": protocol} | under_test.setting
    about |= {"command": made.command, "date": made.date, "machine": made.machine}
    return (
        about
        | {"versions": ", ".join(f"{name} {one}" for name, one in made.versions.items())}
        | ({} if made.commit is None else {"commit": made.commit})
    )


def _check(rows: Embeddings, owners: Sequence[int], fmr: float) -> str:
    from vultus.match.halves import check_halves

    told = [
        f"FMR {one.there.fmr:.3g} ({one.there.fmr_interval.low:.2g} to {one.there.fmr_interval.high:.2g})"
        for one in check_halves(rows, owners, fmr=fmr)
    ]
    answer = f"stated {fmr:g}, calibrated on half of the people; on the other half: " + "; ".join(told)
    _say(answer)
    return answer


def _store(calibration: Calibration, gallery: str | None) -> None:
    from vultus.gallery import open_gallery

    with open_gallery(gallery_address(gallery), contract=calibration.contract) as store:
        store.set_calibration(calibration)
        _say(f"stored in {store.uri}")


_COLUMNS = {
    "templates": "templates",
    "min_similarity": "threshold",
    "doubtful_from": "doubtful from",
    "fmr": "FMR",
    "interval": "95 %",
    "fpir": "strangers named",
    "fnmr": "FNMR",
}


def _rows(calibration: Calibration, sizes: Sequence[int]) -> list[dict[str, Any]]:
    from vultus.match import identification_threshold
    from vultus.match.threshold import point_at

    rows = []
    for size in sizes:
        threshold = identification_threshold(calibration, comparisons=size)
        point = point_at(calibration, threshold.min_similarity) or calibration.rates[-1]
        is_naming = threshold.min_similarity < 1
        rows.append(
            {
                "templates": size,
                "min_similarity": threshold.min_similarity,
                "doubtful_from": threshold.doubtful_from,
                "fmr": f"{point.fmr:.2g}",
                "interval": f"{point.fmr_interval.low:.2g} to {point.fmr_interval.high:.2g}",
                "fpir": f"{threshold.fpir:.1%}"
                + ("" if threshold.is_enough else " (too few impostors for less)"),
                "fnmr": f"{point.fnmr:.2%}" if is_naming else "nobody is named",
            }
        )
    return rows


def _say(text: str) -> None:
    stderr.print(text, highlight=False, markup=False)
