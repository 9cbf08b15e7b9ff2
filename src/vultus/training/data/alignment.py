"""From raw photos to aligned crops of the faces on them: one face a photo, cut by five points, judged, kept.

    photo -> detect -> choose the face that is meant -> cut -> judge -> crop, or a reason why there is none

A crop of 112 px is the ArcFace template; one of 128 px is that template with 8 px of picture around it, room
for augmentation to move the face in. Crops lie as the photos do: `Eileen/moon.jpg` gives `Eileen/moon.png`.

A run can be killed at any moment and started again: `alignment_manifest` tells what is done already. A photo
counts as done if its bytes, and those of its crop, are still the ones that were written down. A crop
depends on nothing but its photo and the settings, neither on the number of processes nor on their order.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from filelock import FileLock, Timeout

from vultus.align import alignable, crop_faces
from vultus.align.five_point import TEMPLATE_PX, template
from vultus.choices import FaceChoice
from vultus.defaults import DEFAULT_DETECTOR
from vultus.detect import load_detector
from vultus.errors import FaceCountError, ImageError, InputError
from vultus.geometry.similarity_transform import fit_similarity
from vultus.image import load_image, replace_file
from vultus.interfaces import Detector
from vultus.pipeline import choose_face
from vultus.quality import MAX_TURN, MIN_FACE_PX, MIN_SHARPNESS, assess
from vultus.training.data.alignment_manifest import (
    MANIFEST,
    Reason,
    Row,
    check_settings,
    read_rows,
    write_reports,
)
from vultus.training.data.photos import Photo, find_photos
from vultus.training.data.processes import in_processes
from vultus.types import Detections, Image

LOCK: Final = ".alignment.lock"
_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{32}\.tmp")  # what `replace_file` leaves when it is killed
_QUALITY_FLAG: Final = {
    "png": cv2.IMWRITE_PNG_COMPRESSION,
    "jpg": cv2.IMWRITE_JPEG_QUALITY,
    "webp": cv2.IMWRITE_WEBP_QUALITY,
}
_PNG_LEVEL: Final = 3  # lossless at any level; this one is quick
ImageForm = Literal["png", "jpg", "webp"]
Progress = Callable[[int, int], None]  # photos done, photos there are


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignSettings:
    """How faces are found, cut, judged and written. All of it decides what the crops are.

    Attributes:
        size_px: side of the crops: 112, and twice the margin around the template.
        faces: which face is meant where a photo shows several: with "only" such a photo is rejected.
        min_face_px: the least shorter side of the face box, in pixels of the photo.
        min_sharpness: the least sharpness of the 112 px crop, 0..1.
        max_turn: how far a face may be turned sideways: 0 frontal, 1 a profile.
        detector: which detector finds the faces.
        weights: of the detector: a name in the catalogue, or a file; None are those of the package.
        image: how crops are written: png (lossless), webp or jpg.
        quality: of webp and jpg, 1 to 100.

    Raises:
        InputError: a size with no room for the template, or an odd one; a quality that is none.
    """

    size_px: int = 112
    faces: FaceChoice = FaceChoice.ONLY
    min_face_px: float = MIN_FACE_PX
    min_sharpness: float = MIN_SHARPNESS
    max_turn: float = MAX_TURN
    detector: str = DEFAULT_DETECTOR
    weights: str | None = None
    image: ImageForm = "png"
    quality: int = 95

    def __post_init__(self) -> None:
        if self.size_px < TEMPLATE_PX or self.size_px % 2 or self.size_px > 4 * TEMPLATE_PX:
            raise InputError(
                f"size_px is the {TEMPLATE_PX} px template with the same margin on both sides: an even "
                f"number from {TEMPLATE_PX} to {4 * TEMPLATE_PX}, got {self.size_px}"
            )
        if self.image not in _QUALITY_FLAG or not 1 <= self.quality <= 100:
            raise InputError(
                f"image must be one of {', '.join(_QUALITY_FLAG)} and quality 1 to 100, got {self.image!r}, "
                f"{self.quality}"
            )

    @property
    def margin_px(self) -> int:
        """How much of the crop, on each side, lies around the template."""
        return (self.size_px - TEMPLATE_PX) // 2

    def described(self) -> dict[str, Any]:
        """Everything that decides the crops, as JSON values; a file of weights by what is in it."""
        fields = asdict(self) | {"faces": str(self.faces)}
        if self.weights is not None and Path(self.weights).is_file():
            fields["weights"] = hashlib.sha256(Path(self.weights).read_bytes()).hexdigest()
        return fields


class Job(NamedTuple):
    """One photo to be done, and what is known of it from before."""

    photo: Photo
    folder: Path
    known: Row | None


class Done(NamedTuple):
    """What became of a photo; `crop` is its encoded crop, None where there is none or it is there already."""

    row: Row
    crop: bytes | None
    is_new: bool


class PhotoAligner:
    """Aligns one photo after another: what each process has one of.

    Args:
        settings: how.
    """

    def __init__(self, settings: AlignSettings) -> None:
        self._settings = settings
        self._detector: Detector = load_detector(settings.detector, weights=settings.weights, threads=1)

    def __call__(self, job: Job) -> Done:
        """Align the photo, unless that was done before and nothing has changed since."""
        photo = job.photo
        try:
            data = photo.path.read_bytes()
        except OSError as error:
            detail = f"cannot read the file: {error.strerror}"
            row = Row(
                photo=photo.name, sha256="", person=photo.person, reason=Reason.UNREADABLE, detail=detail
            )
            return Done(row, None, job.known != row)
        row = Row(photo=photo.name, sha256=_sha256(data), person=photo.person)
        crop_file = f"{photo.stem}.{self._settings.image}"
        if job.known is not None and _still_holds(job.known, row, job.folder, crop_file):
            return Done(job.known, None, False)
        judged = self._judged(data, row)
        if isinstance(judged, Row):
            return Done(judged, None, True)
        return self._kept(*judged, row=row, crop_file=crop_file)

    def _judged(self, data: bytes, row: Row) -> Row | tuple[Image, Detections]:
        """The photo and the face that is meant; or the row that says why there is none."""
        try:
            image = load_image(data)
            face = choose_face(image, self._detector.detect(image), self._settings.faces, source=row.photo)
        except ImageError as error:
            return _rejected(row, Reason.UNREADABLE, str(error))
        except FaceCountError as error:
            reason = Reason.SEVERAL if error.face_count else Reason.NO_FACE
            return _rejected(row, reason, f"{error.face_count} faces" if error.face_count else "")
        if not alignable(face.landmarks).all():
            return _rejected(row, Reason.NOT_ALIGNABLE, "the five landmarks are not those of a face")
        return image, face

    def _kept(self, image: Image, face: Detections, *, row: Row, crop_file: str) -> Done:
        settings = self._settings
        crop, points = _cut(image, face, settings)
        inner = slice(settings.margin_px, settings.size_px - settings.margin_px)
        quality = assess(
            crop[np.newaxis, inner, inner],
            face,
            min_face_px=settings.min_face_px,
            min_sharpness=settings.min_sharpness,
            max_turn=settings.max_turn,
        )[0]
        measured = {
            "score": round(float(face.scores[0]), 4),
            "face_px": round(quality.size_px, 1),
            "sharpness": round(quality.sharpness, 4),
            "turn": round(quality.turn, 4),
        }
        fields = asdict(row) | measured
        if quality.reasons:
            is_small = quality.size_px < settings.min_face_px
            is_blurred = quality.sharpness < settings.min_sharpness
            reason = Reason.SMALL if is_small else Reason.BLURRED if is_blurred else Reason.TURNED
            rejected = Row(**fields | {"reason": str(reason), "detail": "; ".join(quality.reasons)})
            return Done(rejected, None, True)
        data = _encoded(crop, settings)
        kept = {"crop": crop_file, "crop_sha256": _sha256(data), "landmarks": points}
        return Done(Row(**fields | kept), data, True)


class Alignment(NamedTuple):
    """What a run made of its photos.

    Attributes:
        rows: one for each photo, in their order.
        summary: how many of what; also in summary.json.
        fresh: how many photos this run did; the others were done before.
    """

    rows: tuple[Row, ...]
    summary: dict[str, Any]
    fresh: int


def align_photos(
    source: Path,
    folder: Path,
    settings: AlignSettings,
    *,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> Alignment:
    """Align every photo of `source` into `folder`, or do what is left to be done of it.

    Args:
        source: a folder with a folder of photos for each person, a folder of photos, or a list.
        folder: of the crops; a new one, or one that an earlier run with these settings has begun.
        settings: how.
        workers: processes that look for faces; the result does not depend on it.
        on_progress: told how many photos are done, and how many there are.

    Raises:
        InputError: no photos; the folder lies in the source, holds something else, was made with other
            settings, or another run is at work in it; or it cannot be written.
        WeightsError: the detector's weights are unknown, missing or damaged.
    """
    _check_apart(source, folder)
    photos = find_photos(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            check_settings(folder, settings.described())
            _remove_halves(folder)
            known = read_rows(folder)
            jobs = [Job(photo, folder, known.get(photo.name)) for photo in photos]
            done = in_processes(PhotoAligner, settings, jobs, workers=workers)
            return _collect(folder, _told(done, len(jobs), on_progress), known)
    except Timeout:
        raise InputError(f"another run is at work in {folder}: wait for it, or name another folder") from None
    except OSError as error:
        raise InputError(f"cannot write the crops to {folder}: {error.strerror or error}") from error


def _told(done: Iterable[Done], total: int, on_progress: Progress | None) -> Iterator[Done]:
    """The same, telling of each."""
    for number, one in enumerate(done, start=1):
        yield one
        if on_progress is not None:
            on_progress(number, total)


def _collect(folder: Path, done: Iterable[Done], known: dict[str, Row]) -> Alignment:
    """Write each crop, then its line; when all are there the reports. Crops of photos that went go too."""
    rows: list[Row] = []
    fresh = 0
    with (folder / MANIFEST).open("ab") as manifest:
        _drop_half_line(folder / MANIFEST)
        for row, crop, is_new in done:
            if crop is not None:
                path = folder / row.crop
                path.parent.mkdir(parents=True, exist_ok=True)
                with replace_file(path) as stream:
                    stream.write(crop)
            if is_new:
                manifest.write(row.line())
                manifest.flush()
                fresh += 1
            rows.append(row)
    for stale in {row.crop for row in known.values()} - {row.crop for row in rows}:
        (folder / stale).unlink(missing_ok=True)
    return Alignment(tuple(rows), write_reports(folder, rows), fresh)


def _still_holds(known: Row, row: Row, folder: Path, crop_file: str) -> bool:
    """Whether what was written down is of these bytes, and its crop is there as it was written."""
    if (known.sha256, known.person) != (row.sha256, row.person):
        return False
    if not known.crop:
        return True
    try:
        return known.crop == crop_file and _sha256((folder / crop_file).read_bytes()) == known.crop_sha256
    except OSError:
        return False


def _rejected(row: Row, reason: Reason, detail: str) -> Row:
    return Row(**asdict(row) | {"reason": str(reason), "detail": detail})


def _cut(image: Image, face: Detections, settings: AlignSettings) -> tuple[Image, tuple[float, ...]]:
    """The crop, and the ten coordinates of the landmarks in it."""
    crop = crop_faces(image, face.landmarks, size_px=settings.size_px, margin_px=settings.margin_px)[0]
    target = template(settings.size_px, margin_px=settings.margin_px)
    matrix = fit_similarity(face.landmarks, target).matrices[0]  # (2, 3)
    points = face.landmarks[0].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return crop, tuple(round(float(value), 1) for value in points.reshape(-1))


def _encoded(crop: Image, settings: AlignSettings) -> bytes:
    quality = _PNG_LEVEL if settings.image == "png" else settings.quality
    how = [_QUALITY_FLAG[settings.image], quality]
    _, data = cv2.imencode(f".{settings.image}", crop[..., ::-1], how)
    return data.tobytes()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_apart(source: Path, folder: Path) -> None:
    inner, outer = folder.resolve(), (source if source.is_dir() else source.parent).resolve()
    if inner.is_relative_to(outer) and (source.is_dir() or inner == outer):
        raise InputError(
            f"the crops cannot lie in {folder}, among the photos of {source}: name another folder"
        )
    if outer.is_relative_to(inner):
        raise InputError(f"{folder} holds the photos of {source}: name a folder of its own for the crops")


def _remove_halves(folder: Path) -> None:
    """What a killed run had begun to write."""
    for path in folder.rglob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _drop_half_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        with path.open("r+b") as stream:
            stream.truncate(whole)
