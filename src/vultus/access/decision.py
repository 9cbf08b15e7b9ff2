"""May this person pass? Allow, deny or unsure, each with its reasons.

"Unsure" is an answer of its own: nobody, several people, a face too small, or evidence in the grey zone. A
door that treats it as "deny" is safe; one that asks for another photo, or for a colleague, is polite.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vultus.access.doors import Door
from vultus.errors import FaceCountError
from vultus.interfaces import Gallery
from vultus.pipeline import FaceRecognizer, choose_face
from vultus.types import Detections, Identity, Image, Match, Recognition


class Outcome(StrEnum):
    """What the door should do."""

    ALLOW = "allow"
    DENY = "deny"
    UNSURE = "unsure"


class Reason(StrEnum):
    """Why. The words are what a person is shown."""

    ADMITTED = "admitted"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    FACE_TOO_SMALL = "face_too_small"
    UNKNOWN = "unknown_person"
    GREY_ZONE = "not_enough_evidence"
    TWO_ALIKE = "two_people_are_as_close"
    NOT_ADMITTED = "not_admitted_here"
    OUTSIDE_HOURS = "outside_hours"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and on what.

    Attributes:
        outcome: what the door should do.
        reasons: why, at least one.
        min_similarity: what it took; None where nobody was compared and the door has no threshold of its own.
        person: who was recognised beyond doubt, admitted or not; else None.
        similarity: of the closest person, or None where there was no face or nobody is enrolled.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    min_similarity: float | None
    person: Identity | None = None
    similarity: float | None = None


def judge(image: Image, door: Door, *, recognizer: FaceRecognizer, at: datetime) -> Decision:
    """Look at a camera's image and decide.

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        door: who may pass.
        recognizer: with the gallery.
        at: the local time at the door.
    """
    seen = recognizer.identify(image, top_k=2)
    try:
        face = choose_face(image, seen.faces, door.faces)
    except FaceCountError as error:
        reason = Reason.NO_FACE if error.face_count == 0 else Reason.SEVERAL_FACES
        return Decision(Outcome.UNSURE, (reason,), door.min_similarity)
    return decide(face, _match_of(face, seen), door, gallery=recognizer.gallery, at=at)


def decide(face: Detections, match: Match, door: Door, *, gallery: Gallery, at: datetime) -> Decision:
    """The decision about one face.

    Args:
        face: one detection.
        match: the two people who are closest; a door may be stricter than its threshold, never laxer.
        door: who may pass.
        gallery: knows the metadata of people.
        at: the local time at the door.
    """
    best = match.best
    min_similarity = max(match.min_similarity, -1.0 if door.min_similarity is None else door.min_similarity)
    doubtful_from = min(min_similarity - door.margin, match.doubtful_from or 1.0)
    similarity = None if best is None else best.similarity
    doubts = _doubts(face, match, door, min_similarity)
    if best is None or best.similarity < doubtful_from:
        return Decision(Outcome.DENY, (Reason.UNKNOWN,), min_similarity, similarity=similarity)
    if doubts:
        return Decision(Outcome.UNSURE, doubts, min_similarity, similarity=similarity)
    person = gallery.find(best.id)
    refusals = tuple(
        reason
        for reason, applies in (
            (Reason.NOT_ADMITTED, not door.admits(person)),
            (Reason.OUTSIDE_HOURS, not door.is_open(at)),
        )
        if applies
    )
    outcome = Outcome.DENY if refusals else Outcome.ALLOW
    return Decision(outcome, refusals or (Reason.ADMITTED,), min_similarity, person, similarity)


def _doubts(face: Detections, match: Match, door: Door, min_similarity: float) -> tuple[Reason, ...]:
    """Why the closest person may be the wrong one."""
    closest = [candidate.similarity for candidate in match.candidates]
    is_contested = len(closest) > 1 and closest[0] - closest[1] < door.margin and closest[1] >= min_similarity
    told = (
        (Reason.FACE_TOO_SMALL, float(face.sizes_px[0]) < door.min_face_px),
        (Reason.GREY_ZONE, not closest or closest[0] < min_similarity),
        (Reason.TWO_ALIKE, is_contested),
    )
    return tuple(reason for reason, applies in told if applies)


def _match_of(face: Detections, seen: Recognition) -> Match:
    """The match of the chosen face, which is one of those that were seen."""
    same = [i for i, one in enumerate(seen.faces.boxes) if (one == face.boxes[0]).all()]
    return seen.matches[same[0]]
