"""What is done with one photo: read, hashed, and every face in it found, cut out, judged and embedded.

Each photo is done by itself, networks on one thread: so its faces are the same to the last bit whichever
process did them, in whichever company, before or after a crash. That is what lets a run be repeated.

A photo that cannot be used is an answer of its own, with the reason, and does not end the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeAlias

from vultus.batch.source import Photo, PhotoSource
from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.errors import ImageError, InputError
from vultus.gallery.encoding import Face, encoded
from vultus.gallery.names import checked_name
from vultus.image import DEFAULT_MAX_PIXELS, load_image
from vultus.interfaces import Detector, Embedder
from vultus.pipeline.enrolment import EnrolmentPolicy, make_templates
from vultus.quality import assess
from vultus.runtime import Runtime
from vultus.types import Detections, Image, Template

Parts: TypeAlias = tuple[Detector, Embedder]


class People(StrEnum):
    """Whose the faces are."""

    NONE = "none"  # nobody's yet: every face is an identity of its own
    FOLDER = "folder"  # of the person after whom the photo's folder is called


@dataclass(frozen=True, slots=True)
class FoundFace:
    """One face of a photo, ready to be stored.

    Attributes:
        detection: the one face, in pixels of the upright photo.
        face: its template as a row without owner and contract, and its crop as PNG; None where none is kept.
    """

    detection: Detections
    face: Face


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """What became of one photo.

    Attributes:
        photo: which.
        digest: SHA-256 of its bytes in hexadecimal; empty where it could not be read.
        person: whose it is; empty where nobody says.
        faces: best score first; empty where there are none, or where it failed.
        error: the kind of error, as `VultusError.code` names it; empty where it did not fail.
        reason: why it failed, in words.
    """

    photo: Photo
    digest: str = ""
    person: str = ""
    faces: tuple[FoundFace, ...] = ()
    error: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """What is indexed once: these bytes, of this person."""
        return f"{self.digest}/{self.person}"


@dataclass(frozen=True)
class PhotoWork:
    """Does photos. Knows how its parts are loaded rather than the parts, so it may travel to other processes.

    Attributes:
        source: reads the photos.
        load: makes detector and embedder, once in each process; importable by its name.
        people: whose the faces are.
        policy: with `People.FOLDER`, which face is meant and how good it must be.
        keep_crops: whether faces come with their aligned crop.
        max_pixels: a photo of more pixels is not decoded.
    """

    source: PhotoSource
    load: Callable[[], Parts]
    people: People = People.NONE
    policy: EnrolmentPolicy = field(default_factory=EnrolmentPolicy)
    keep_crops: bool = True
    max_pixels: int = DEFAULT_MAX_PIXELS

    @cached_property
    def parts(self) -> Parts:
        """Detector and embedder, loaded when they are asked for."""
        return self.load()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "parts"}

    def __call__(self, photos: Sequence[Photo]) -> list[PhotoFaces]:
        """What became of each photo, in their order."""
        _ = self.parts  # what goes wrong in loading them is no photo's fault
        return [self._answer(photo) for photo in photos]

    def _answer(self, photo: Photo) -> PhotoFaces:
        answer = PhotoFaces(photo)
        try:
            data = self.source.read(photo)
            answer = replace(answer, digest=sha256(data).hexdigest())
            if self.people is People.FOLDER:
                answer = replace(answer, person=_person_of(photo))
            return replace(answer, faces=self._faces(data, answer))
        except InputError as error:
            reason = str(error).replace("the given data", photo.name)
            return replace(answer, error=error.code(), reason=reason)

    def _faces(self, data: bytes, answer: PhotoFaces) -> tuple[FoundFace, ...]:
        image = load_image(data, max_pixels=self.max_pixels)
        source = f"{self.source.address}/{answer.photo.name}"
        if answer.person:
            detector, embedder = self.parts
            templates, found, _ = make_templates(
                [image], [source], detector=detector, embedder=embedder, policy=self.policy
            )
            pairs = list(zip(found, templates, strict=True))
        else:
            pairs = self._everybody(image)
        labelled = f"{source[-3900:]} sha256:{answer.digest}"
        return tuple(
            FoundFace(detection, encoded(replace(template, source=labelled), keep_crop=self.keep_crops))
            for detection, template in pairs
        )

    def _everybody(self, image: Image) -> list[tuple[Detections, Template]]:
        """Every face that can be cut out, with its template."""
        detector, embedder = self.parts
        found = detector.detect(image)
        found = found[embedder.alignable(found)]
        if not len(found):
            return []
        crops = embedder.align(image, found)
        rows = zip(embedder.embed(crops), crops, assess(crops, found), strict=True)
        templates = [Template(vector, crop, quality=quality.score) for vector, crop, quality in rows]
        return list(zip(found, templates, strict=True))


def load_parts(
    detector: str = DEFAULT_DETECTOR,
    embedder: str = DEFAULT_EMBEDDER,
    *,
    flip: bool = False,
    runtime: Runtime = "onnx",
    **options: Any,
) -> Parts:
    """Detector and embedder by name, on one thread each; `options` are those of the detector."""
    return (
        load_detector(detector, threads=1, runtime=runtime, **options),
        load_embedder(embedder, flip=flip, threads=1, runtime=runtime),
    )


def crashed(photo: Photo) -> PhotoFaces:
    """What is told of a photo whose process ended over it."""
    reason = f"the process that read {photo.name} ended: for lack of memory, or over a fault in a decoder"
    return PhotoFaces(photo, error="process_ended", reason=reason)


def _person_of(photo: Photo) -> str:
    """Whose a photo is.

    Raises:
        ImageError: it lies in no folder.
        InputError: the folder's name is no name for a person.
    """
    if not photo.folder:
        raise ImageError(f"{photo.name} lies in no folder that is called after a person")
    return checked_name(photo.folder)
