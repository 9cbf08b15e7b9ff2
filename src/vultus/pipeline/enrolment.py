"""Enrolment: which face of a photo is meant, and whether it is good enough to be trusted later.

Every photo of a person is judged before anything is written, so that a refused photo leaves no half person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vultus.choices import FaceChoice
from vultus.errors import FaceCountError, GalleryError, InputError
from vultus.interfaces import Detector, Embedder, Gallery
from vultus.quality import MAX_TURN, MIN_FACE_PX, MIN_SHARPNESS, Quality, assess
from vultus.types import Detections, Identity, Image, Template


@dataclass(frozen=True, slots=True)
class EnrolmentPolicy:
    """What a photo must be to become a template.

    Attributes:
        faces: which face is meant when there are several.
        min_face_px: the shorter side of the face box, in pixels. Small faces match everybody.
        min_sharpness: 0..1, as `vultus.quality` measures it. Blurred faces match everybody, too.
        max_turn: how far a face may be turned sideways: 0 frontal, 1 a profile.
        force: enrol even where the checks say no (several faces and no face stay errors).
    """

    faces: FaceChoice = FaceChoice.ONLY
    min_face_px: float = MIN_FACE_PX
    min_sharpness: float = MIN_SHARPNESS
    max_turn: float = MAX_TURN
    force: bool = False


@dataclass(frozen=True, slots=True)
class Enrolment:
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


def choose_face(
    image: Image, faces: Detections, choice: FaceChoice | str, *, source: str = "the image"
) -> Detections:
    """The one face that is meant.

    Raises:
        FaceCountError: no face, or several while `choice` is "only".
        InputError: `choice` is none of "only", "largest", "central".
    """
    if choice not in set(FaceChoice):
        raise InputError(f"faces must be one of {', '.join(FaceChoice)}, got {choice!r}")
    if len(faces) == 0:
        raise FaceCountError(
            f"no face found in {source}; expected one. Use a sharp, upright photo in which the face is "
            "at least 40 pixels wide, or lower min_face_px of the detector",
            face_count=0,
        )
    if len(faces) == 1:
        return faces
    if choice == FaceChoice.ONLY:
        raise FaceCountError(
            f"{len(faces)} faces found in {source}; expected one. Crop the photo, or say which is meant: "
            "faces='largest' or 'central' (on the command line --faces largest)",
            face_count=len(faces),
        )
    if choice == FaceChoice.LARGEST:
        return faces[int(faces.sizes_px.argmax())]
    height, width = image.shape[:2]
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    return faces[int(np.linalg.norm(centres - (width / 2, height / 2), axis=1).argmin())]


def make_templates(
    images: Sequence[Image],
    sources: Sequence[str],
    *,
    detector: Detector,
    embedder: Embedder,
    policy: EnrolmentPolicy,
) -> tuple[list[Template], list[Detections], list[Quality]]:
    """One judged template per photo.

    Raises:
        FaceCountError: a photo without the one face that is meant.
        InputError: a face that is too small, too blurred or cannot be aligned (unless forced).
    """
    found = detector.detect_batch(images)
    chosen = [
        choose_face(image, faces, policy.faces, source=source)
        for image, faces, source in zip(images, found, sources, strict=True)
    ]
    for face, source in zip(chosen, sources, strict=True):
        if not embedder.alignable(face).all():
            raise InputError(
                f"the face in {source} cannot be aligned: its five landmarks are not those of a face"
            )
    crops = [embedder.align(image, face)[0] for image, face in zip(images, chosen, strict=True)]
    qualities = [
        _judged(crop, face, source=source, policy=policy)
        for crop, face, source in zip(crops, chosen, sources, strict=True)
    ]
    embeddings = embedder.embed(np.stack(crops))
    templates = [
        Template(embedding, crop, quality=quality.score, source=source)
        for embedding, crop, quality, source in zip(embeddings, crops, qualities, sources, strict=True)
    ]
    return templates, chosen, qualities


def _judged(crop: Image, face: Detections, *, source: str, policy: EnrolmentPolicy) -> Quality:
    """How good the face is.

    Raises:
        InputError: not good enough (unless forced).
    """
    quality = assess(
        crop[np.newaxis],
        face,
        min_face_px=policy.min_face_px,
        min_sharpness=policy.min_sharpness,
        max_turn=policy.max_turn,
    )[0]
    if quality.reasons and not policy.force:
        raise InputError(
            f"the face in {source} is not good enough to enrol: {'; '.join(quality.reasons)}. "
            "Use a better photo, or force it"
        )
    return quality


def check_against_gallery(
    name: str, templates: Sequence[Template], *, gallery: Gallery, min_similarity: float
) -> list[str]:
    """Compare new templates with the people who are enrolled already.

    Returns:
        Warnings, in words: a person of another name is as close as a match would be.

    Raises:
        GalleryError: the name is taken, by somebody who looks different.
    """
    known = _person_named(name, gallery)
    if known is not None:
        check_same_person(known, templates, gallery.templates(known.id), min_similarity=min_similarity)
    probes = np.stack([template.embedding for template in templates])
    return [
        f"{template.source or 'this face'} also looks like '{candidate.name}': similarity "
        f"{candidate.similarity:.3f}, threshold {min_similarity:.3f}. The same person under two names?"
        for template, candidates in zip(templates, gallery.search(probes), strict=True)
        for candidate in candidates
        if candidate.similarity >= min_similarity and (known is None or candidate.id != known.id)
    ]


def _person_named(name: str, gallery: Gallery) -> Identity | None:
    try:
        return gallery.find(name)
    except GalleryError:  # nobody is called so yet
        return None


def check_same_person(
    known: Identity, templates: Sequence[Template], enrolled: Sequence[Template], *, min_similarity: float
) -> None:
    """Refuse to add another person's face to somebody.

    Raises:
        GalleryError: a new template is close to none of the enrolled ones.
    """
    if not enrolled:
        return
    old = np.stack([template.embedding for template in enrolled])
    for template in templates:
        similarity = float((old @ template.embedding).max())
        if similarity < min_similarity:
            photo = template.source or "this photo"
            raise GalleryError(
                f"'{known.name}' is enrolled already and looks different from {photo}: similarity "
                f"{similarity:.3f}, needed {min_similarity:.3f}. Use another name, or force it"
            )


def check_one_person(templates: Sequence[Template], *, min_similarity: float) -> None:
    """Refuse photos of different people under one name.

    Each photo must reach the threshold with at least one other photo.

    Raises:
        InputError: a photo that resembles none of the others.
    """
    if len(templates) < 2:
        return
    probes = np.stack([template.embedding for template in templates])
    similarities = probes @ probes.T
    np.fill_diagonal(similarities, -1.0)
    closest = similarities.max(axis=1)
    worst = int(closest.argmin())
    if closest[worst] < min_similarity:
        raise InputError(
            f"the photos do not show one person: {templates[worst].source or f'photo {worst + 1}'} resembles "
            f"none of the others (best similarity {closest[worst]:.3f}, needed {min_similarity:.3f}). "
            "Remove it, or force it"
        )
