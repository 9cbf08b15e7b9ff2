"""What goes over the wire. Boxes and landmarks are in pixels of the upright image, as everywhere here."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from vultus.access.decision import Outcome
from vultus.choices import Answer
from vultus.pipeline import Enrolment
from vultus.quality import Quality
from vultus.types import Detections, Identity, Image, Match, Recognition, Verification

Box = Annotated[list[float], Field(min_length=4, max_length=4, description="x1 y1 x2 y2, pixels")]
Point = Annotated[list[float], Field(min_length=2, max_length=2, description="x y, pixels")]


class ErrorBody(BaseModel):
    """What went wrong."""

    code: Annotated[str, Field(examples=["face_count_error"])]
    message: Annotated[str, Field(examples=["no face found in photo 1; expected one."])]
    details: dict[str, Any]
    request_id: str


class ErrorOut(BaseModel):
    """The one form of all refusals."""

    error: ErrorBody


class FaceOut(BaseModel):
    """One face."""

    box: Box
    score: float
    landmarks: Annotated[list[Point], Field(min_length=5, max_length=5)]


class EmbeddedFaceOut(FaceOut):
    """One face and its unit vector; null where the face could not be aligned."""

    embedding: list[float] | None


class CandidateOut(BaseModel):
    """A person, and how close they are."""

    id: str
    name: str
    similarity: float


class IdentifiedFaceOut(FaceOut):
    """One face, and who it is."""

    answer: Answer
    name: str | None
    similarity: float | None
    min_similarity: float
    doubtful_from: float | None
    fmr: float | None
    fpir: float | None
    candidates: list[CandidateOut]


class DetectedImageOut(BaseModel):
    """The faces of one image."""

    size_hw: Annotated[list[int], Field(min_length=2, max_length=2, description="of the upright image")]
    faces: list[FaceOut]


class EmbeddedImageOut(BaseModel):
    """The faces of one image, with vectors."""

    size_hw: list[int]
    faces: list[EmbeddedFaceOut]


class IdentifiedImageOut(BaseModel):
    """Who is in one image."""

    size_hw: list[int]
    answer: Answer
    faces: list[IdentifiedFaceOut]


class DetectOut(BaseModel):
    """One result per image, in order."""

    results: list[DetectedImageOut]


class EmbedOut(BaseModel):
    """One result per image, in order; vectors compare only within one contract."""

    contract: str
    results: list[EmbeddedImageOut]


class IdentifyOut(BaseModel):
    """One result per image, in order."""

    results: list[IdentifiedImageOut]


class VerifyOut(BaseModel):
    """Whether two images show one person."""

    is_same: bool
    answer: Answer
    similarity: float
    min_similarity: float
    doubtful_from: float | None
    fmr: float | None
    faces: list[FaceOut]


class PersonOut(BaseModel):
    """A person of the gallery."""

    id: str
    name: str
    metadata: dict[str, Any]
    created: str
    template_count: int


class PeopleOut(BaseModel):
    """A page of people, by name."""

    total: Annotated[int, Field(description="of the search, on all pages")]
    people: list[PersonOut]


class QualityOut(BaseModel):
    """How good a face is."""

    score: float
    size_px: float
    sharpness: float
    turn: float
    reasons: list[str]


class EnrolmentOut(BaseModel):
    """What an enrolment did."""

    person: PersonOut
    faces: list[FaceOut]
    qualities: list[QualityOut]
    warnings: list[str]


class TemplateOut(BaseModel):
    """An enrolled face."""

    id: int
    quality: float
    source: str
    crop: Annotated[str | None, Field(description="The aligned face, PNG in base64, if it was asked for.")]


class TemplatesOut(BaseModel):
    """The enrolled faces of one person, oldest first."""

    templates: list[TemplateOut]


class StatsOut(BaseModel):
    """What the gallery holds."""

    people: int
    templates: int
    crops: int
    contract: str
    dimension: int
    n_bytes: int
    schema_version: int
    min_similarity: Annotated[float, Field(description="for comparing two faces")]


class ImportedOut(BaseModel):
    """What an import did."""

    people: int
    templates: int
    skipped: int
    replaced: int


class CalibrationOut(BaseModel):
    """What similarities mean in this gallery from here on."""

    contract: str
    fmr: float
    fpir: float
    min_similarity: Annotated[float, Field(description="for comparing two faces")]
    n_genuine: int
    n_impostors: int


class DecisionOut(BaseModel):
    """What the door should do, and why."""

    decision_id: int
    at: str
    door: str
    outcome: Outcome
    reasons: list[str]
    person_id: str | None
    name: str | None
    similarity: float | None
    min_similarity: float | None


class AttendanceDayOut(BaseModel):
    """One person on one day."""

    day: date
    person_id: str
    name: str
    first_seen: str
    last_seen: str
    times_seen: int
    times_allowed: int
    doors: list[str]


class AttendanceOut(BaseModel):
    """Who was recognised on which day."""

    timezone: str
    attendance: list[AttendanceDayOut]


class HealthOut(BaseModel):
    """Whether the process lives, or is ready."""

    status: Literal["ok"]


def size_hw(image: Image) -> list[int]:
    """Height and width."""
    return [int(image.shape[0]), int(image.shape[1])]


def face_fields(face: Detections) -> dict[str, Any]:
    """One face."""
    return {
        "box": face.boxes[0].tolist(),
        "score": float(face.scores[0]),
        "landmarks": face.landmarks[0].tolist(),
    }


def identified(image: Image, seen: Recognition) -> IdentifiedImageOut:
    """Who is in one image."""
    faces = [
        IdentifiedFaceOut(**face_fields(face), **_match_fields(match))
        for face, match in zip(seen.faces, seen.matches, strict=True)
    ]
    return IdentifiedImageOut(size_hw=size_hw(image), answer=seen.answer, faces=faces)


def _match_fields(match: Match) -> dict[str, Any]:
    return {
        "answer": match.answer,
        "name": match.name,
        "similarity": match.best.similarity if match.best else None,
        "min_similarity": match.min_similarity,
        "doubtful_from": match.doubtful_from,
        "fmr": match.fmr,
        "fpir": match.fpir,
        "candidates": [
            CandidateOut(id=one.id, name=one.name, similarity=one.similarity) for one in match.candidates
        ],
    }


def verified(result: Verification) -> VerifyOut:
    """Whether two images show one person."""
    return VerifyOut(
        is_same=result.is_same,
        answer=result.answer,
        similarity=result.similarity,
        min_similarity=result.min_similarity,
        doubtful_from=result.doubtful_from,
        fmr=result.fmr,
        faces=[FaceOut(**face_fields(face)) for face in result.faces],
    )


def person_out(person: Identity) -> PersonOut:
    """A person."""
    return PersonOut(
        id=person.id,
        name=person.name,
        metadata=dict(person.metadata),
        created=person.created,
        template_count=person.template_count,
    )


def enrolled(done: Enrolment) -> EnrolmentOut:
    """What an enrolment did."""
    return EnrolmentOut(
        person=person_out(done.identity),
        faces=[FaceOut(**face_fields(face)) for face in done.faces],
        qualities=[_quality_out(quality) for quality in done.qualities],
        warnings=list(done.warnings),
    )


def _quality_out(quality: Quality) -> QualityOut:
    return QualityOut(
        score=quality.score,
        size_px=quality.size_px,
        sharpness=quality.sharpness,
        turn=quality.turn,
        reasons=list(quality.reasons),
    )
