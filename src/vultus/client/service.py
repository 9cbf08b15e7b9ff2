"""The client. What `FaceRecognizer` does here, it asks a service to do, and gives back the same values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from vultus.choices import FaceChoice
from vultus.client.connection import Connection
from vultus.errors import ImageError, InputError, ServiceError
from vultus.gallery.diagnosis import ADVISED_SAMPLES, Diagnosis, Finding, Kind
from vultus.gallery.erasure import Erasure
from vultus.quality import Quality
from vultus.types import Candidate, Detections, Embeddings, Identity, Match, Recognition, Verification

Photo = str | PathLike[str] | bytes | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EnrolmentReport:
    """What an enrolment did.

    Attributes:
        identity: the person, as the gallery now holds them.
        faces: the face taken from each photo.
        qualities: how good each of them is.
        warnings: what deserves a second look, in words.
    """

    identity: Identity
    faces: tuple[Detections, ...]
    qualities: tuple[Quality, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoorDecision:
    """What a door should do.

    Attributes:
        outcome: "allow", "deny" or "unsure".
        reasons: why.
        person_id: who was recognised, or None.
        name: likewise.
        similarity: of the closest person, or None.
        decision_id: in the service's log.
    """

    outcome: str
    reasons: tuple[str, ...]
    person_id: str | None
    name: str | None
    similarity: float | None
    decision_id: int


class VultusClient:
    """Asks a Vultus service. Safe to use from several threads.

    Photos are paths, the bytes of image files, or RGB arrays; files are sent as they are.

    Example:
        >>> with VultusClient("https://faces.example", key="vultus_...") as client:
        ...     client.enrol("Ada", ["ada.jpg"])
        ...     client.identify("visitor.jpg").names

    Args:
        url: of the service.
        key: an API key; None where none is asked for.
        timeout_s: for each attempt.
        transport: how requests travel, for tests and for proxies.

    Raises:
        ServiceError: no address.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(url, key=key, timeout_s=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; closing twice is no mistake."""
        self._connection.close()

    def detect(self, image: Photo) -> Detections:
        """The faces of an image, best score first."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Photo]) -> list[Detections]:
        """The faces of each image, in one request."""
        told = self._connection.json("POST", "/v1/detect", files=_files(images))
        return [_faces(one["faces"]) for one in _items(told, "results")]

    def embed(self, image: Photo) -> tuple[Detections, Embeddings]:
        """The faces of an image and their (N, D) unit vectors; all zero where a face could not be aligned."""
        told = self._connection.json("POST", "/v1/embed", files=_files([image]))
        faces = _items(told, "results")[0]["faces"]
        size = max((len(face["embedding"] or ()) for face in faces), default=0)
        rows = [face["embedding"] or [0.0] * size for face in faces]
        return _faces(faces), np.array(rows, np.float32).reshape(len(rows), size)

    def verify(
        self, first: Photo, second: Photo, *, faces: FaceChoice | str = FaceChoice.ONLY
    ) -> Verification:
        """Whether two images show the same person.

        Raises:
            FaceCountError: no face, or several while `faces` is "only".
        """
        files = [("first", ("image", _content(first))), ("second", ("image", _content(second)))]
        told = self._connection.json("POST", "/v1/verify", files=files, data={"faces": str(faces)})
        return Verification(
            told["similarity"],
            told["min_similarity"],
            (_faces(told["faces"][:1]), _faces(told["faces"][1:])),
            doubtful_from=told["doubtful_from"],
            fmr=told["fmr"],
        )

    def identify(self, image: Photo, *, top_k: int = 5) -> Recognition:
        """Who is in an image: the faces, and one match for each of them."""
        return self.identify_batch([image], top_k=top_k)[0]

    def identify_batch(self, images: Sequence[Photo], *, top_k: int = 5) -> list[Recognition]:
        """`identify` for several images, in one request."""
        told = self._connection.json("POST", "/v1/identify", files=_files(images), data={"top_k": str(top_k)})
        return [
            Recognition(_faces(one["faces"]), tuple(_match(face) for face in one["faces"]))
            for one in _items(told, "results")
        ]

    def enrol(
        self,
        name: str,
        images: Photo | Sequence[Photo],
        *,
        metadata: Mapping[str, Any] | None = None,
        faces: FaceChoice | str = FaceChoice.ONLY,
        force: bool = False,
    ) -> EnrolmentReport:
        """Add photos of a person, who is created if the name is new: all of them, or none.

        Raises:
            InputError: a photo that is not good enough.
            GalleryError: the name belongs to somebody who looks different.
        """
        photos = [images] if isinstance(images, str | PathLike | bytes | np.ndarray) else list(images)
        if not photos:
            raise InputError("no photo given: enrolling needs at least one")
        fields = {"faces": str(faces), "force": str(force).lower()}
        known = [person for person in self.people(search=name) if person.name == name]
        if known:
            path = f"/v1/people/{known[0].id}/templates"
            told = self._connection.json("POST", path, files=_files(photos), data=fields)
            if metadata is not None:
                self.set_metadata(known[0].id, metadata)
        else:
            fields |= {"name": name} | ({} if metadata is None else {"metadata": json.dumps(dict(metadata))})
            told = self._connection.json("POST", "/v1/people", files=_files(photos), data=fields)
        return EnrolmentReport(
            _identity(told["person"]),
            tuple(_faces([face]) for face in told["faces"]),
            tuple(_quality(one) for one in told["qualities"]),
            tuple(told["warnings"]),
        )

    def people(self, *, search: str | None = None) -> list[Identity]:
        """Everyone, by name; of a search, those in whose name it occurs."""
        found: list[Identity] = []
        while True:
            query = {"limit": 1000, "offset": len(found)} | ({"search": search} if search else {})
            told = self._connection.json("GET", "/v1/people", params=query)
            page = [_identity(person) for person in _items(told, "people")]
            found += page
            if not page or len(found) >= told["total"]:
                return found

    def person(self, identity_id: str) -> Identity:
        """One person.

        Raises:
            NotEnrolledError: nobody has this id.
        """
        return _identity(self._connection.json("GET", f"/v1/people/{_id(identity_id)}"))

    def rename(self, identity_id: str, name: str) -> Identity:
        """Give a person another display name; the id stays."""
        path = f"/v1/people/{_id(identity_id)}"
        return _identity(self._connection.json("PATCH", path, json={"name": name}))

    def set_metadata(self, identity_id: str, metadata: Mapping[str, Any]) -> Identity:
        """Replace a person's metadata."""
        path = f"/v1/people/{_id(identity_id)}"
        return _identity(self._connection.json("PATCH", path, json={"metadata": dict(metadata)}))

    def remove(self, identity_id: str) -> None:
        """Delete a person and every template of theirs."""
        self._connection.send("DELETE", f"/v1/people/{_id(identity_id)}")

    def erase(self, identity_id: str) -> Erasure:
        """Delete a person, overwrite what was theirs, and search the gallery for what is left.

        Raises:
            NotEnrolledError: nobody has this id.
            InputError: the service's gallery cannot prove it.
        """
        told = self._connection.json("POST", f"/v1/people/{_id(identity_id)}/erase")
        return Erasure(
            told["id"],
            told["templates"],
            told["fragments"],
            tuple((one["name"], one["n_bytes"]) for one in told["searched"]),
            tuple(told["found"]),
            is_log_empty=told["is_log_empty"],
        )

    def doctor(self, *, samples: int = ADVISED_SAMPLES) -> Diagnosis:
        """Who is enrolled twice, whose photo stands under a wrong name, who confuses whom.

        Args:
            samples: people with fewer templates are reported.
        """
        told = self._connection.json("GET", "/v1/gallery/doctor", params={"samples": samples})
        findings = tuple(_finding(one) for one in _items(told, "findings"))
        return Diagnosis(told["people"], told["templates"], told["min_similarity"], findings)

    def decide(self, image: Photo, *, door: str = "default") -> DoorDecision:
        """May the person in front of this door's camera pass?"""
        told = self._connection.json(
            "POST", "/v1/access/decide", files=[("image", ("image", _content(image)))], data={"door": door}
        )
        return DoorDecision(
            told["outcome"],
            tuple(told["reasons"]),
            told["person_id"],
            told["name"],
            told["similarity"],
            told["decision_id"],
        )

    def export(self, path: str | PathLike[str]) -> None:
        """Write everybody into one file, as `SqliteGallery.export` does. An existing file is replaced."""
        from vultus.image import replace_file

        content = self._connection.send("GET", "/v1/gallery/export").content
        with replace_file(Path(path)) as file:
            file.write(content)


def _files(images: Sequence[Photo]) -> list[tuple[str, tuple[str, bytes]]]:
    """The parts of a multipart body; what a file is called here is nobody's business."""
    return [("images", ("image", _content(image))) for image in images]


def _content(image: Photo) -> bytes:
    """The file that is sent."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, np.ndarray):
        from vultus.image import encode_png

        return encode_png(image)
    try:
        return Path(image).read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(image)!r:.200} cannot be read: {error}") from error


def _items(told: Any, name: str) -> list[Any]:
    items = told.get(name) if isinstance(told, dict) else None
    if not isinstance(items, list):
        raise ServiceError(f"this is no answer of a Vultus service: it has no {name!r}")
    return items


def _faces(faces: Sequence[Mapping[str, Any]]) -> Detections:
    if not faces:
        return Detections.empty()
    columns = [np.array([face[name] for face in faces], np.float32) for name in ("box", "score", "landmarks")]
    return Detections(*columns)


def _match(face: Mapping[str, Any]) -> Match:
    candidates = tuple(Candidate(one["id"], one["name"], one["similarity"]) for one in face["candidates"])
    return Match(
        candidates,
        face["min_similarity"],
        doubtful_from=face["doubtful_from"],
        fmr=face["fmr"],
        fpir=face["fpir"],
    )


def _identity(person: Mapping[str, Any]) -> Identity:
    return Identity(
        person["id"], person["name"], person["metadata"], person["created"], person["template_count"]
    )


def _finding(told: Mapping[str, Any]) -> Finding:
    return Finding(
        Kind(told["kind"]),
        tuple(_identity(person) for person in told["people"]),
        tuple((one["person_id"], one["template_id"]) for one in told["templates"]),
        told["similarity"],
        told["reason"],
        tuple(told["commands"]),
    )


def _quality(told: Mapping[str, Any]) -> Quality:
    return Quality(**{**told, "reasons": tuple(told["reasons"])})


def _id(identity_id: str) -> str:
    """An id that may stand in an address.

    Raises:
        InputError: it is none: a name, or a piece of another address.
    """
    if not (identity_id.isascii() and identity_id.isalnum()):
        raise InputError(f"expected a person's id, got {identity_id!r:.100}")
    return identity_id
