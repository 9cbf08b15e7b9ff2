"""`vultus index`: every face of a folder, of tar files, of object storage, into a gallery or a table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vultus.choices import FaceChoice
from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import gallery_address, gallery_path, maker_for
from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_MAX_PIXELS
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.batch import Indexed, PhotoWork, Sink
    from vultus.batch.index import Progress as OnProgress
    from vultus.batch.index import Runner

_LINE_EVERY_S = 30.0  # where there is no terminal
_PARQUET = ".parquet"


class People(StrEnum):
    """Whose the faces are."""

    NONE = "none"
    FOLDER = "folder"


def index(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="A folder (with all in it, tar files too), a tar file, or an address such as s3://bucket/photos.",
            show_default=False,
        ),
    ],
    *,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            envvar="VULTUS_GALLERY",
            metavar="GALLERY|FOLDER.parquet",
            help="A gallery (a file, by default people.db in the user's data folder, or an address), or a "
            "folder of Parquet files, on a disk or in object storage, whose name ends in .parquet.",
            show_default=False,
        ),
    ] = None,
    people: Annotated[
        People,
        typer.Option(
            "--people",
            help="none: each face is an identity of its own, called after the photo. folder: a photo shows "
            "the person after whom its folder is called.",
        ),
    ] = People.NONE,
    faces: options.Faces = FaceChoice.ONLY,
    force: Annotated[
        bool, typer.Option("--force", help="With --people folder: take small, blurred and turned faces too.")
    ] = False,
    crops: Annotated[
        bool,
        typer.Option("--crops/--no-crops", help="Keep the aligned faces, for another embedder later."),
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help="Processes, or actors with --ray; by default one per core, or all there are.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Work on this Ray cluster (auto, HOST:6379, ray://HOST:10001), or on a local one (local).",
            show_default=False,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="What is done already; by default beside the gallery. Needed for one that is not on a disk.",
            show_default=False,
        ),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try the photos in quarantine again.")] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            help="Photos written at once, and done again after a crash; by default 128, or 2048 for Parquet.",
            show_default=False,
        ),
    ] = None,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EnrolledName = None,
    min_face_px: options.MinFacePx = None,
    min_score: options.MinScore = None,
    longest_px: options.LongestPx = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    as_json: options.Json = False,
) -> None:
    """Find and embed every face of a collection of photos, each exactly once.

    Killed and started again, it goes on where it was; started over a folder that has grown, it does what is
    new. Copies of a photo count once. A photo that cannot be used is passed over and listed with its reason,
    in a file beside the manifest.

    Example: vultus index photos/ --into people.db

    Example: vultus index staff/ --into people.db --people folder

    Example: vultus index s3://bucket/shards --into "postgresql://me@db/faces" --manifest faces.manifest

    Example: vultus index photos/ --into s3://bucket/faces.parquet --manifest faces.manifest --ray auto
    """
    from vultus.batch import Manifest, PhotoSource, PhotoWork, index_photos, load_parts
    from vultus.batch import People as Whose
    from vultus.batch.index import quarantine_of
    from vultus.pipeline import EnrolmentPolicy

    maker = maker_for(embedder, None if _is_table(into) else gallery_address(into))
    limits = {"min_face_px": min_face_px, "min_score": min_score, "longest_px": longest_px}
    given: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    work = PhotoWork(
        PhotoSource(source),
        partial(load_parts, detector, maker.name, flip=maker.flip, **given),
        people=Whose(people),
        policy=EnrolmentPolicy(faces=faces, force=force),
        keep_crops=crops,
        max_pixels=max_pixels,
    )
    work.source.check()  # before anything is made
    with ExitStack() as stack:
        book = stack.enter_context(Manifest(_manifest_path(manifest, into)))
        book.agree(
            {"detector": " ".join([detector, *(f"{name}={value:g}" for name, value in given.items())])}
        )
        sink = _sink(into, work, stack)
        report = stack.enter_context(_progress())
        quarantine = quarantine_of(book.path)
        stack.callback(book.write_quarantine, quarantine)
        done = index_photos(
            work,
            sink,
            book,
            run=_runner(ray, workers),
            retry=retry,
            photos_per_portion=_portion(ray),
            photos_per_batch=batch,
            on_progress=report,
        )
    _present(done, sink, quarantine, as_json=as_json)


def _manifest_path(given: Path | None, into: str | None) -> Path:
    """Where the manifest is: as given, or beside what is written."""
    if given is not None:
        return given
    if into is not None and "://" in into:
        raise InputError(
            f"{into} is not on a disk of this machine: say where to keep what is done already "
            "(--manifest FILE)"
        )
    target = gallery_path(into)
    return target.with_name(f"{target.name}.manifest")


def _is_table(into: str | None) -> bool:
    return into is not None and into.rstrip("/").endswith(_PARQUET)


def _sink(into: str | None, work: PhotoWork, stack: ExitStack) -> Sink:
    from vultus.batch import GallerySink, ParquetSink
    from vultus.gallery import open_gallery

    contract = work.parts[1].contract
    if into is not None and _is_table(into):
        return ParquetSink(into.rstrip("/"), contract=contract)
    gallery = open_gallery(
        gallery_address(into),
        contract=contract,
        keep_crops=work.keep_crops,
        actor="vultus index",
    )
    return GallerySink(stack.enter_context(gallery), contract=contract)


def _runner(ray: str | None, workers: int | None) -> Runner:
    from vultus.batch import in_processes, in_this_process, on_ray
    from vultus.runtime.device import usable_cores

    if ray is not None:
        return partial(on_ray, address=ray, workers=workers)
    count = workers or usable_cores()
    return in_this_process if count == 1 else partial(in_processes, workers=count)


def _portion(ray: str | None) -> int:
    from vultus.batch.index import PHOTOS_PER_PORTION
    from vultus.batch.ray_job import PHOTOS_PER_TASK

    return PHOTOS_PER_PORTION if ray is None else PHOTOS_PER_TASK


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """Photos done, photos a second, the time that is left: a bar on a terminal, else a line now and then."""
    if not stderr.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=stderr, transient=True) as progress:
        task, start = progress.add_task("", total=None, rate=""), time.monotonic()

        def report(done: int, total: int) -> None:
            rate = f"{done / max(time.monotonic() - start, 1e-9):.1f} photos/s"
            progress.update(task, completed=done, total=total, rate=rate)

        yield report


class _Lines:
    """Progress for a log."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not done or now - self._last < _LINE_EVERY_S:
            return
        self._last, rate = now, done / (now - self._start)
        left = f"{done} of {total} photos, {rate:.1f} photos/s, about {(total - done) / rate:.0f} s left"
        stderr.print(left, highlight=False, markup=False)


def _present(done: Indexed, sink: Sink, quarantine: Path, *, as_json: bool) -> None:
    told: dict[str, Any] = {key: round(value, 3) for key, value in asdict(done).items()}
    told |= {"photos_per_s": round(done.photos_per_s, 2), "into": sink.name, "quarantine": str(quarantine)}
    if as_json:
        print_json(told)
        return
    rows = [{"what": key.replace("_", " "), "value": value} for key, value in told.items()]
    print_table(rows, columns={"what": "what", "value": "value"})
    if done.quarantined:
        stderr.print(
            f"{done.quarantined} photos cannot be used: see {quarantine}", highlight=False, markup=False
        )
