"""Index a source of photos: every face of every photo into a gallery or a table, each exactly once.

    source -> list -> portions -> work (here, in processes, on a cluster) -> batches -> sink

The list and what became of each photo are kept in the manifest, so a run that was killed goes on where it
was, and a run over a folder that has grown does what is new. Only this process writes; whoever does the work
only reads photos. Answers come in the order of the photos, so that what is in the sink does not depend on who
did the work, or on how often it was interrupted.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from vultus.batch.manifest import Content, Manifest, State
from vultus.batch.processes import Portion, in_this_process
from vultus.batch.sinks import Sink
from vultus.batch.source import Photo
from vultus.batch.work import PhotoFaces, PhotoWork
from vultus.errors import GalleryError, InputError

PHOTOS_PER_PORTION: Final = 16  # what a process takes at once

Runner: TypeAlias = Callable[[PhotoWork, Iterable[Portion]], Iterator[list[PhotoFaces]]]
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a run did, and what stands in the manifest after it.

    Attributes:
        photos: how many are at the source now.
        done: how many of them this run did.
        seconds: how long that took, without listing.
        listing_s: how long listing took.
        indexed: photos whose faces are in the sink, those without a face among them.
        repeated: photos whose very bytes were indexed from another file.
        quarantined: photos that cannot be used, with those that could not even be listed.
        faces: in the sink by this manifest, from all its sources.
    """

    photos: int
    done: int
    seconds: float
    listing_s: float
    indexed: int
    repeated: int
    quarantined: int
    faces: int

    @property
    def photos_per_s(self) -> float:
        """Of those that this run did; 0 where it did none."""
        return self.done / self.seconds if self.done else 0.0


def index_photos(
    work: PhotoWork,
    sink: Sink,
    manifest: Manifest,
    *,
    run: Runner = in_this_process,
    retry: bool = False,
    photos_per_portion: int = PHOTOS_PER_PORTION,
    photos_per_batch: int | None = None,
    on_progress: Progress = lambda _done, _total: None,
) -> Indexed:
    """Bring every face of a source into a sink, each exactly once, whatever was done and killed before.

    Args:
        work: what is done with a photo, and where the photos are.
        sink: where the faces go.
        manifest: what is done already; of this sink.
        run: who does the work: `in_this_process`, or `in_processes` and `on_ray` with what they need.
        retry: try photos in quarantine again.
        photos_per_portion: how many are done at once by one process.
        photos_per_batch: how many are written at once, and are done again after a crash; by default what
            suits the sink.
        on_progress: called with how many photos are done, and how many there are to do in this run.

    Returns:
        What was done.

    Raises:
        InputError: there is no photo, or the manifest is of something else.
        GalleryError: the gallery refuses, or lost what the manifest says is in it.
    """
    start = time.perf_counter()
    begun = _Run(sink, manifest, work)
    source = manifest.list_photos(work.source.address, work.source.photos(), retry=retry)
    listed = manifest.counts(source)
    photos, total = sum(listed.values()), listed[State.LISTED]
    if not photos:
        raise InputError(f"there is no photo at {work.source.address}: no file with a known suffix is there")
    ready = time.perf_counter()
    batch: list[PhotoFaces] = []
    done, per_batch = 0, photos_per_batch or sink.photos_per_batch
    on_progress(done, total)
    portions = _portions(manifest.to_do(source), min(photos_per_portion, per_batch))
    for answers in run(work, portions):
        batch += answers
        done += len(answers)
        if len(batch) >= per_batch:
            begun.write(source, batch)
            batch = []
        on_progress(done, total)
    if batch:
        begun.write(source, batch)
    counts = manifest.counts(source)
    return Indexed(
        photos,
        done,
        seconds=time.perf_counter() - ready,
        listing_s=ready - start,
        indexed=counts[State.INDEXED],
        repeated=counts[State.REPEATED],
        quarantined=counts[State.QUARANTINED] + counts[State.UNREADABLE],
        faces=manifest.face_count(),
    )


class _Run:
    """Writes batches, exactly once.

    Raises:
        InputError: the sink holds what another manifest brought, and cannot tell what.
        GalleryError: the sink is empty, and the manifest says that it is not.
    """

    def __init__(self, sink: Sink, manifest: Manifest, work: PhotoWork) -> None:
        self._sink, self._manifest = sink, manifest
        settings = {"sink": sink.name, "people": str(work.people), "contract": work.parts[1].contract}
        manifest.agree(settings)
        for number, contents in manifest.unfinished().items():
            manifest.settle(number, sink.arrived(number, contents))
        is_filled = not sink.is_empty()
        if manifest.face_count() and not is_filled:
            raise GalleryError(
                f"{sink.name} is empty, and the manifest {manifest.path} says that {manifest.face_count()} "
                "faces are in it. If that is meant, delete the manifest"
            )
        if manifest.is_new and is_filled and not sink.is_searchable:
            raise InputError(
                f"{sink.name} holds the work of another manifest than {manifest.path}: name that one, or "
                "another place"
            )
        # Faces may be there of which this manifest knows nothing, from one that was lost: then ask each time.
        manifest.agree({"asks": manifest.setting("asks") or str(manifest.is_new and is_filled)})
        self._asks = manifest.setting("asks") == str(True)

    def write(self, source: int, batch: list[PhotoFaces]) -> None:
        """Bring what is new in a batch into the sink, and note what became of each photo."""
        settled = self._sorted(batch)
        fresh = settled[State.INDEXED]
        number = self._manifest.begin(source, fresh)
        arrived: set[str] = set()
        if self._asks:
            contents = [Content(one.digest, one.person, len(one.faces)) for one in fresh]
            arrived = self._sink.arrived(number, contents)
        self._sink.write(number, [one for one in fresh if one.key not in arrived])
        self._manifest.finish(source, number, settled)

    def _sorted(self, batch: list[PhotoFaces]) -> dict[State, list[PhotoFaces]]:
        """What is to become of the photos of a batch."""
        seen = self._manifest.known({one.key for one in batch if not one.error})
        settled: dict[State, list[PhotoFaces]] = {state: [] for state in State}
        for one in batch:
            if one.error:
                settled[State.QUARANTINED].append(one)
            elif one.key in seen:
                settled[State.REPEATED].append(one)
            else:
                seen.add(one.key)
                settled[State.INDEXED].append(one)
        return settled


def _portions(photos: Iterator[Photo], size: int) -> Iterator[Portion]:
    while portion := list(islice(photos, size)):
        yield portion


def quarantine_of(manifest: Path) -> Path:
    """Where the list of photos that cannot be used is written: beside the manifest."""
    return manifest.with_name(f"{manifest.name}.quarantine.jsonl")
