"""`vultus gallery doctor`, `migrate`, `calibration`: what keeps a gallery's answers right over the years."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import any_gallery, make_detector, open_gallery
from vultus.cli.reporting import counted
from vultus.defaults import DEFAULT_DETECTOR

if TYPE_CHECKING:
    from vultus.gallery import DurableGallery, SqliteGallery
    from vultus.gallery.agreement import Agreement
    from vultus.types import Calibration

Contract = Annotated[
    str | None,
    typer.Option("--contract", help="Which one; needed only where there are several.", show_default=False),
]


def doctor(
    *,
    min_similarity: options.MinSimilarity = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Report people with fewer templates than this.")
    ] = 2,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE.html", help="Write a page with pictures.", show_default=False),
    ] = None,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Look for people enrolled twice, photos under wrong names, poor photos, and who confuses whom.

    Each finding comes with the command that mends it.

    Example: vultus gallery doctor --page doctor.html
    """
    from vultus.gallery import SqliteGallery
    from vultus.gallery.diagnosis import examine, known_different
    from vultus.gallery.diagnosis_page import diagnosis_page

    with any_gallery(gallery) as store:
        threshold = _pair_threshold(store, store.contract, min_similarity)
        known = known_different(store) if isinstance(store, SqliteGallery) else ()
        found = examine(store, min_similarity=threshold, different=known, advised_samples=samples)
        if page is not None:
            page.write_text(diagnosis_page(store, found), encoding="utf-8")
            stderr.print(f"wrote {page}", highlight=False, markup=False)
    rows: list[dict[str, Any]] = [
        {
            "kind": str(one.kind),
            "similarity": one.similarity,
            "finding": one.reason,
            "commands": list(one.commands),
        }
        for one in found.findings
    ]
    if as_json:
        print_json({"people": found.people, "templates": found.templates, "findings": rows})
        return
    shown = [row | {"commands": "\nor ".join(row["commands"])} for row in rows]
    title = f"{found.people} people, {found.templates} templates, threshold {threshold:.3f}"
    print_table(shown, columns={"kind": "kind", "finding": "finding", "commands": "mend it by"}, title=title)


def migrate(
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="EMBEDDER", help="The new embedder.", show_default=False)
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="With the flip test, which is another contract.")
    ] = False,
    from_sources: Annotated[
        bool, typer.Option("--from-sources", help="Cut the faces anew out of the photos they came from.")
    ] = False,
    switch: Annotated[
        bool, typer.Option("--switch", help="Put the new vectors in the place of the old.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Switch to the vectors that lie beside.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Delete the vectors that lie beside.")] = False,
    contract: Contract = None,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Embed everybody anew for another network, see how answers would change, and switch, or go back.

    May be interrupted and started again; others may use the gallery meanwhile.

    Example: vultus gallery migrate --to mobilefacenet

    Example: vultus gallery migrate --to mobilefacenet --switch

    Example: vultus gallery migrate --back
    """
    from vultus.errors import InputError
    from vultus.gallery import migrate as migration

    with open_gallery(gallery) as store:
        if to is not None:
            _prepare(store, to, flip=flip, detector=detector if from_sources else None, as_json=as_json)
            if switch:
                from vultus.embed import load_embedder

                migration.switch(store, load_embedder(to, flip=flip).contract)
        elif back:
            migration.switch(store, _beside(store, contract))
        elif forget:
            deleted = migration.forget(store, _beside(store, contract))
            typer.echo(f"deleted {deleted} vectors")
        else:
            raise InputError("say what to do: --to EMBEDDER (with --switch, or without), --back, or --forget")
        if switch or back:
            typer.echo("switched; vectors of the contract before lie beside, for --back or --forget")


def calibration(
    *,
    fmr: Annotated[
        float | None,
        typer.Option(
            "--fmr", help="Want this false match rate where one face meets one.", show_default=False
        ),
    ] = None,
    fpir: Annotated[
        float | None,
        typer.Option("--fpir", help="Let the gallery name this share of strangers.", show_default=False),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Store this calibration first.", show_default=False),
    ] = None,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Show which calibration decides here, and what it comes to; or store one, or want other rates.

    Example: vultus gallery calibration --fpir 0.001
    """
    from vultus.errors import InputError
    from vultus.match import calibration_from_json, identification_threshold, shipped_calibration

    with any_gallery(gallery) as store:
        if source is not None:
            store.set_calibration(calibration_from_json(source.read_text(encoding="utf-8")))
        present = store.calibration() or shipped_calibration(store.contract)
        if present is None:
            raise InputError(
                f"nobody has measured what similarities mean under contract {store.contract}: calibrate it "
                "with photos of your own people (vultus calibrate --store)"
            )
        if fmr is not None or fpir is not None:
            present = replace(present, fmr=fmr or present.fmr, fpir=fpir or present.fpir)
            _check_wanted(present, store.template_count(), fpir)
            store.set_calibration(present)
        threshold = identification_threshold(present, comparisons=store.template_count())
    facts: dict[str, Any] = {
        "contract": present.contract,
        "data": present.about.get("data", "unknown"),
        "wanted": f"FMR {present.fmr:g} for one face, {present.fpir:.2%} of strangers named",
        "templates": threshold.comparisons,
        "min_similarity": round(threshold.min_similarity, 4),
        "doubtful_from": threshold.doubtful_from,
        "fpir": threshold.fpir,
        "is_enough": threshold.is_enough,
    }
    if as_json:
        print_json(facts)
    else:
        print_table([{"what": key, "value": str(value)} for key, value in facts.items()], columns=_FACTS)


_FACTS = {"what": "calibration", "value": ""}


def _check_wanted(wanted: Calibration, templates: int, fpir: float | None) -> None:
    """Refuse rates that the calibration cannot show."""
    from vultus.match import identification_threshold, verification_threshold

    verification_threshold(wanted)
    if fpir is not None:
        identification_threshold(wanted, comparisons=templates, fpir=fpir)


def _pair_threshold(store: DurableGallery, contract: str, given: float | None) -> float:
    """The threshold of one comparison under a contract."""
    from vultus.errors import InputError
    from vultus.match import shipped_calibration, verification_threshold

    if given is not None:
        return given
    stored = store.calibration()
    known = stored if stored is not None and stored.contract == contract else shipped_calibration(contract)
    if known is None:
        raise InputError(f"no threshold is known for contract {contract}: pass --min-similarity")
    return verification_threshold(known).min_similarity


def _prepare(store: SqliteGallery, name: str, *, flip: bool, detector: str | None, as_json: bool) -> None:
    """Make the vectors of the new embedder, and say how the answers would change."""
    from vultus.embed import load_embedder
    from vultus.errors import InputError
    from vultus.gallery.agreement import compare
    from vultus.gallery.migrate import crop_from_source, reembed, stored_crop

    embedder = load_embedder(name, flip=flip)
    crop_of = stored_crop if detector is None else crop_from_source(make_detector(detector), embedder)
    seen = 0
    with counted("Embedding", total=store.template_count()) as advance:

        def progress(done: int, _total: int) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        done = reembed(store, embedder, crop_of=crop_of, on_progress=progress)
    for number in done.without_crop:
        stderr.print(f"template {number} has no picture: --from-sources, or remove it", style="yellow")
    try:
        thresholds = (
            _pair_threshold(store, store.contract, None), _pair_threshold(store, embedder.contract, None)
        )  # fmt: skip
    except InputError:
        thresholds = None
    _present(compare(store, embedder.contract, thresholds=thresholds), made=done.made, as_json=as_json)


def _present(agreement: Agreement, *, made: int, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "contract": f"{agreement.before} -> {agreement.after}",
        "vectors made": made,
        "faces searched among the others": agreement.probes,
        "right person first, before": agreement.rank1_before,
        "right person first, after": agreement.rank1_after,
        "same person first": agreement.same_first,
    }
    facts |= {f"{old} -> {new}": count for (old, new), count in sorted(agreement.decisions.items())}
    if not agreement.decisions:
        facts["decisions"] = "not compared: one of the contracts has no calibration"
    if as_json:
        print_json(
            facts | {"changes": [f"{one.name}: {one.before} -> {one.after}" for one in agreement.changes]}
        )
        return
    print_table([{"what": key, "value": str(value)} for key, value in facts.items()], columns=_AGREEMENT)


_AGREEMENT = {"what": "agreement", "value": ""}


def _beside(store: SqliteGallery, contract: str | None) -> str:
    """The contract of the vectors beside the gallery's own."""
    from vultus.errors import GalleryError
    from vultus.gallery.migrate import other_contracts

    found = list(other_contracts(store))
    if contract is not None:
        return contract
    if len(found) != 1:
        raise GalleryError(
            f"expected vectors of one other contract, found {found or 'none'}; name it by --contract"
        )
    return found[0]
