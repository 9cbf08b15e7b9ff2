"""`/v1/gallery`: everybody at once, out and in, and what similarities mean here."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
from fastapi import Depends, Query
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse

from vultus.access.keys import Scope
from vultus.errors import GalleryError, InputError
from vultus.gallery import DurableGallery, Imported, OnConflict, SqliteGallery
from vultus.gallery.diagnosis import examine, known_different
from vultus.match import calibrate as calibrated
from vultus.server.answers import CalibrationOut, ImportedOut, StatsOut
from vultus.server.body import read_as
from vultus.server.care import DiagnosisOut, diagnosed
from vultus.server.guard import GuardedRoute, service_of
from vultus.server.requests import CalibrateIn
from vultus.server.service import Service

InService = Annotated[Service, Depends(service_of)]
ZIP = "application/zip"


def stats(service: InService) -> StatsOut:
    """How much the gallery holds."""
    return StatsOut(**asdict(service.gallery.stats()), min_similarity=service.recognizer.min_similarity)


def doctor(
    service: InService,
    samples: Annotated[int, Query(ge=1, le=100, description="Report people with fewer templates.")] = 2,
) -> DiagnosisOut:
    """Who is enrolled twice, whose photo stands under a wrong name, who confuses whom."""
    _check_small_enough(service, command="vultus gallery doctor")
    gallery = service.gallery
    found = examine(
        gallery,
        min_similarity=service.recognizer.min_similarity,
        different=known_different(gallery) if isinstance(gallery, SqliteGallery) else (),
        advised_samples=samples,
    )
    return diagnosed(found)


def _check_small_enough(service: Service, *, command: str) -> None:
    """Each template with each takes the square of their number, and no deadline interrupts it.

    Raises:
        InputError: the gallery is too large for that.
    """
    count, limit = service.gallery.template_count(), service.settings.max_examined
    if count > limit:
        raise InputError(
            f"a service examines up to {limit:,} templates, the gallery has {count:,}: run `{command}` "
            "beside it"
        )


def export_people(service: InService) -> FileResponse:
    """Everybody as they are at this moment, in one ZIP file with checksums."""
    with ExitStack() as stack:
        path = Path(stack.enter_context(TemporaryDirectory(prefix="vultus-"))) / "people.zip"
        _in_file(service.gallery, path.with_name("people.db"), stack=stack).export(path)
        clean_up = BackgroundTask(stack.pop_all().close)
    return FileResponse(path, media_type=ZIP, filename=path.name, background=clean_up)


async def import_people(
    request: Request,
    service: InService,
    on_conflict: Annotated[
        OnConflict, Query(description="Somebody who is there already: refuse all, keep, or replace them.")
    ] = "error",
) -> ImportedOut:
    """Add everybody of an exported file: all of them, or nobody."""
    with TemporaryDirectory(prefix="vultus-") as folder:
        path = Path(folder) / "upload.zip"
        with path.open("wb") as file:
            async for piece in request.stream():
                await run_in_threadpool(file.write, piece)
        try:
            done = await run_in_threadpool(_import, service.gallery, path, on_conflict)
        except GalleryError as error:
            raise GalleryError(str(error).replace(str(path), path.name)) from error
    return ImportedOut(**asdict(done))


def _in_file(gallery: DurableGallery, place: Path, *, stack: ExitStack) -> SqliteGallery:
    """A gallery that can be exported: itself, or a copy of one that is kept in a server."""
    if isinstance(gallery, SqliteGallery):
        return gallery
    copy = stack.enter_context(SqliteGallery(place, contract=gallery.contract))
    copy.add_records(list(gallery.records()))
    return copy


def _import(gallery: DurableGallery, path: Path, on_conflict: OnConflict) -> Imported:
    if isinstance(gallery, SqliteGallery):
        return gallery.import_from(path, on_conflict=on_conflict)
    if on_conflict != "error":
        raise InputError(
            f"a gallery in a server takes all of an archive or nothing, not on_conflict={on_conflict}"
        )
    with SqliteGallery(path.with_name("people.db")) as unpacked:
        done = unpacked.import_from(path)
        gallery.add_records(list(unpacked.records()))
    return done


def calibrate(
    body: Annotated[CalibrateIn, Depends(read_as(CalibrateIn))], service: InService
) -> CalibrationOut:
    """Measure what similarities mean, over all pairs of the enrolled faces; from then on it decides."""
    _check_small_enough(service, command="vultus calibrate")
    people = service.gallery.people()
    faces = [(i, one) for i, person in enumerate(people) for one in service.gallery.templates(person.id)]
    if not faces:
        raise InputError("nobody is enrolled: there is nothing to calibrate with")
    made = calibrated(
        np.stack([one.embedding for _, one in faces]),
        [i for i, _ in faces],
        contract=service.gallery.contract,
        fmr=body.fmr,
        fpir=body.fpir,
        about={"data": "the enrolled faces"},
    )
    service.gallery.set_calibration(made)
    return CalibrationOut(
        contract=made.contract,
        fmr=made.fmr,
        fpir=made.fpir,
        min_similarity=service.recognizer.min_similarity,
        n_genuine=made.rates[0].n_genuine,
        n_impostors=made.rates[0].n_impostors,
    )


_FILE = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD = {"requestBody": {"required": True, "content": {ZIP: _FILE}}}

ROUTES = [
    GuardedRoute("/v1/gallery/stats", stats, method="GET", needs=Scope.READ, tags=["gallery"]),
    GuardedRoute("/v1/gallery/doctor", doctor, method="GET", needs=Scope.ADMIN, tags=["gallery"]),
    GuardedRoute(
        "/v1/gallery/export",
        export_people,
        method="GET",
        needs=Scope.ADMIN,
        is_write=True,  # all faces leave the house: that stands in the audit log
        tags=["gallery"],
        response_class=FileResponse,
        responses={200: {"description": "The file.", "content": {ZIP: _FILE}}},
    ),
    GuardedRoute(
        "/v1/gallery/import",
        import_people,
        method="POST",
        needs=Scope.ADMIN,
        is_write=True,
        reads_stream=True,
        document=_UPLOAD,
        tags=["gallery"],
    ),
    GuardedRoute(
        "/v1/gallery/calibrate",
        calibrate,
        method="POST",
        needs=Scope.ADMIN,
        body=CalibrateIn,
        is_write=True,
        tags=["gallery"],
    ),
]
