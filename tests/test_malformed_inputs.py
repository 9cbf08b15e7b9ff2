"""Whatever comes in, what comes out is a typed error with a message, and the gallery stays as it was."""

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vultus import (
    EnrolmentPolicy,
    FaceRecognizer,
    SqliteGallery,
    load_detector,
    load_embedder,
    load_image,
    recognise,
)
from vultus.errors import (
    DeviceError,
    FaceCountError,
    GalleryError,
    ImageError,
    InputError,
    ShapeError,
    VultusError,
    WeightsError,
)
from vultus.image import encode_png
from vultus.types import Detections, Image, Template

Case = Callable[[FaceRecognizer, Path], object]


def portrait() -> Image:
    return load_image(str(distribution("scikit-image").locate_file("skimage/data/astronaut.png")))


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that claims a size."""
    fields = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    chunk = b"IHDR" + fields
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")


def jpeg(image: Image) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1])


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def closed_file() -> io.BytesIO:
    stream = io.BytesIO(b"abc")
    stream.close()
    return stream


def two_faces() -> Image:
    return np.concatenate([portrait(), portrait()[:, ::-1]], axis=1)


def tiny_face() -> Image:
    small = cv2.resize(portrait(), (96, 96), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def unit(size: int = 128) -> Any:
    return np.eye(1, size, dtype=np.float32)[0]


ANY_FACE = EnrolmentPolicy(force=True)

# What an image can be that it should not be. Each is given to detect, enrol, verify and identify.
IMAGES: dict[str, tuple[Callable[[Path], Any], type[VultusError]]] = {
    "a missing file": (lambda folder: folder / "no.jpg", ImageError),
    "a folder": (lambda folder: folder, ImageError),
    "an empty file": (lambda folder: written(folder, "empty.jpg", b""), ImageError),
    "an empty path": (lambda folder: "", ImageError),
    "a text file": (lambda folder: written(folder, "notes.jpg", b"not a picture\n" * 50), ImageError),
    "a web page": (
        lambda folder: written(folder, "page.png", b"<!doctype html><title>x</title>"),
        ImageError,
    ),
    "a PDF": (lambda folder: b"%PDF-1.7\n" + bytes(200), ImageError),
    "a ZIP": (lambda folder: b"PK\x03\x04" + bytes(200), ImageError),
    "a video": (lambda folder: bytes(4) + b"ftypisom" + bytes(200), ImageError),
    "a HEIC photo": (lambda folder: bytes(4) + b"ftypheic" + bytes(200), ImageError),
    "no bytes": (lambda folder: b"", ImageError),
    "one byte": (lambda folder: b"\xff", ImageError),
    "a JPEG's first bytes": (lambda folder: jpeg(portrait())[:40], ImageError),
    "half a JPEG": (lambda folder: jpeg(portrait())[:9000], ImageError),
    "half a PNG": (lambda folder: encode_png(portrait())[:9000], ImageError),
    "a PNG's header alone": (lambda folder: png_header(100, 100), ImageError),
    "a bomb": (lambda folder: png_header(60_000, 60_000), ImageError),
    "a picture without width": (lambda folder: png_header(0, 100), ImageError),
    "a GIF's header alone": (lambda folder: b"GIF89a", ImageError),
    "a URL": (lambda folder: "https://example.org/face.jpg", ImageError),
    "a data URL": (lambda folder: "data:image/png;base64,AAAA", ImageError),
    "a path with a null byte": (lambda folder: "face\0.jpg", ImageError),
    "a very long path": (lambda folder: "x" * 5000, ImageError),
    "a closed file": (lambda folder: closed_file(), ImageError),
    "a text stream": (lambda folder: io.StringIO("abc"), ImageError),
    "nothing": (lambda folder: None, ImageError),
    "a number": (lambda folder: 7, ImageError),
    "a vector": (lambda folder: np.zeros(10, np.uint8), ImageError),
    "a batch": (lambda folder: np.zeros((2, 8, 8, 3), np.uint8), ImageError),
    "channels first": (lambda folder: np.zeros((3, 8, 8), np.uint8), ImageError),
    "five channels": (lambda folder: np.zeros((8, 8, 5), np.uint8), ImageError),
    "no pixels": (lambda folder: np.zeros((0, 8, 3), np.uint8), ImageError),
    "floats": (lambda folder: np.zeros((8, 8, 3), np.float32), ImageError),
    "NaN": (lambda folder: np.full((8, 8, 3), np.nan), ImageError),
    "objects": (lambda folder: np.full((8, 8, 3), None), ImageError),
    "signed integers": (lambda folder: np.zeros((8, 8, 3), np.int64), ImageError),
}

# What else can be wrong with a call.
CALLS: dict[str, tuple[Case, type[VultusError]]] = {
    "nobody on the photo": (lambda r, _: r.enrol("Bob", np.zeros((50, 50, 3), np.uint8)), FaceCountError),
    "a photo of one pixel": (lambda r, _: r.enrol("Bob", np.zeros((1, 1, 3), np.uint8)), FaceCountError),
    "nobody to verify": (lambda r, _: r.verify(portrait(), np.zeros((9, 9, 3), np.uint8)), FaceCountError),
    "two faces": (lambda r, _: r.enrol("Bob", two_faces()), FaceCountError),
    "two faces to verify": (lambda r, _: r.verify(two_faces(), portrait()), FaceCountError),
    "a face of 20 pixels": (lambda r, _: r.enrol("Bob", tiny_face()), InputError),
    "no photos": (lambda r, _: r.enrol("Bob", []), InputError),
    "an empty name": (lambda r, _: r.enrol("", portrait(), policy=ANY_FACE), InputError),
    "a blank name": (lambda r, _: r.enrol(" \t", portrait(), policy=ANY_FACE), InputError),
    "a name with a line end": (lambda r, _: r.enrol("a\nb", portrait(), policy=ANY_FACE), InputError),
    "a name of 10,000 letters": (lambda r, _: r.enrol("x" * 10_000, portrait(), policy=ANY_FACE), InputError),
    "a lone surrogate": (lambda r, _: r.enrol("\ud800", portrait(), policy=ANY_FACE), InputError),
    "metadata that is no JSON": (
        lambda r, _: r.enrol("Bob", portrait(), metadata={"a": object()}, policy=ANY_FACE),
        InputError,
    ),
    "metadata with NaN": (
        lambda r, _: r.enrol("Bob", portrait(), metadata={"a": float("nan")}, policy=ANY_FACE),
        InputError,
    ),
    "metadata that is a list": (
        lambda r, _: r.enrol("Bob", portrait(), metadata=[1], policy=ANY_FACE),  # type: ignore[arg-type]
        InputError,
    ),
    "an unknown choice": (lambda r, _: r.verify(portrait(), portrait(), faces="widest"), InputError),
    "no candidates": (lambda r, _: r.identify(portrait(), top_k=0), InputError),
    "a threshold above one": (lambda r, _: FaceRecognizer(min_similarity=1.5), InputError),
    "a threshold that is NaN": (lambda r, _: FaceRecognizer(min_similarity=float("nan")), InputError),
    "a detector of no such name": (lambda r, _: load_detector("haar"), InputError),
    "weights of no such name": (lambda r, _: load_embedder("arcface"), WeightsError),
    "a provider that is not there": (lambda r, _: load_detector(providers=["TpuProvider"]), DeviceError),
    "a gallery that is text": (lambda r, f: FaceRecognizer(written(f, "a.db", b"hello" * 99)), GalleryError),
    "a gallery that is a folder": (lambda r, f: FaceRecognizer(f), GalleryError),
    "a gallery in no folder": (lambda r, f: FaceRecognizer(f / "no" / "people.db"), GalleryError),
    "a gallery of another embedder": (
        lambda r, f: FaceRecognizer(SqliteGallery(f / "other.db", contract="0123456789abcdef")),
        GalleryError,
    ),
    "an unknown person": (lambda r, _: r.gallery.find("Nobody"), GalleryError),
    "an unknown id": (lambda r, _: r.gallery.remove("f" * 32), GalleryError),
    "a vector of another size": (lambda r, _: r.gallery.enrol("Bob", [Template(unit(7))]), ShapeError),
    "a vector that is not of length 1": (lambda r, _: Template(2 * unit()), ShapeError),
    "a probe that is NaN": (lambda r, _: r.gallery.search(np.full((1, 128), np.nan, np.float32)), ShapeError),
    "an array that is no image": (
        lambda r, _: recognise(
            np.zeros((5, 5), np.uint8), detector=r.detector, embedder=r.embedder, gallery=r.gallery
        ),
        ShapeError,
    ),
    "collapsed landmarks": (
        lambda r, _: r.embedder.align(
            portrait(),
            Detections(np.ones((1, 4)), np.ones(1), np.ones((1, 5, 2))),  # type: ignore[arg-type]
        ),
        InputError,
    ),
    "no gallery": (lambda r, _: FaceRecognizer().identify(portrait()), InputError),
}


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceRecognizer]:
    """One with Ada (who looks like an astronaut) enrolled."""
    made = FaceRecognizer(tmp_path_factory.mktemp("gallery") / "people.db")
    made.enrol("Ada", portrait())
    yield made
    made.gallery.close()


def contents(recognizer: FaceRecognizer) -> object:
    gallery = recognizer.gallery
    assert isinstance(gallery, SqliteGallery)
    assert gallery.check().is_clean
    return gallery.people(), [entry.seq for entry in gallery.audit()], gallery.stats().templates


def check_refusal(
    call: Callable[[], object], expected: type[VultusError], recognizer: FaceRecognizer
) -> None:
    before = contents(recognizer)
    with pytest.raises(expected) as caught:
        call()
    message = str(caught.value)
    assert len(message) > 15, "a message says what was wrong and what to do"
    assert len(message) < 1500
    assert contents(recognizer) == before


def test_there_are_at_least_forty_cases() -> None:
    assert len(IMAGES) + len(CALLS) >= 40


@pytest.mark.parametrize("title", IMAGES)
def test_a_bad_image_is_refused_everywhere(title: str, recognizer: FaceRecognizer, tmp_path: Path) -> None:
    make, expected = IMAGES[title]
    check_refusal(lambda: recognizer.enrol("Bob", make(tmp_path)), expected, recognizer)
    check_refusal(lambda: recognizer.enrol("Bob", [portrait(), make(tmp_path)]), expected, recognizer)
    check_refusal(lambda: recognizer.detect(make(tmp_path)), expected, recognizer)
    check_refusal(lambda: recognizer.identify(make(tmp_path)), expected, recognizer)
    check_refusal(lambda: recognizer.verify(portrait(), make(tmp_path)), expected, recognizer)


@pytest.mark.parametrize("title", CALLS)
def test_a_bad_call_is_refused(title: str, recognizer: FaceRecognizer, tmp_path: Path) -> None:
    call, expected = CALLS[title]
    check_refusal(lambda: call(recognizer, tmp_path), expected, recognizer)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=400),
    head=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]),
)
def test_any_bytes_are_an_image_or_an_image_error(
    data: bytes, head: bytes, recognizer: FaceRecognizer
) -> None:
    before = contents(recognizer)
    with pytest.raises((ImageError, FaceCountError)):
        recognizer.enrol("Bob", head + data)
    assert contents(recognizer) == before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(2, 20_000), value=st.integers(0, 255))
def test_a_damaged_jpeg_is_read_or_refused(at: int, value: int, recognizer: FaceRecognizer) -> None:
    data = bytearray(jpeg(portrait()))
    data[at % len(data)] = value
    with suppress(ImageError):
        faces = recognizer.detect(bytes(data))
        assert faces.boxes.shape == (len(faces), 4)


def test_photos_of_two_people_are_not_enrolled_as_one(recognizer: FaceRecognizer, photos: Path) -> None:
    with_stranger = [photos / "obama-1.jpg", photos / "biden-1.jpg"]
    check_refusal(lambda: recognizer.enrol("Barack Obama", with_stranger), InputError, recognizer)


def test_a_stranger_is_not_added_to_somebody(recognizer: FaceRecognizer, photos: Path) -> None:
    check_refusal(lambda: recognizer.enrol("Ada", photos / "biden-1.jpg"), GalleryError, recognizer)
