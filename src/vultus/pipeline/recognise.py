"""Photo in, names out: detect, align, embed, search, decide. Start reading here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vultus.embed.contract import with_owner
from vultus.errors import GalleryError
from vultus.interfaces import Detector, Embedder, Gallery
from vultus.match import Threshold
from vultus.pipeline.thresholds import threshold_for_gallery
from vultus.types import Candidate, Detections, Embeddings, Image, Match, Recognition


@dataclass(frozen=True, slots=True)
class FaceEmbeddings:
    """The faces of one image and their embeddings, side by side.

    Attributes:
        faces: N faces, best score first.
        embeddings: (N, D) float32; a row is all zero where the face could not be aligned.
        usable: (N,) bool, False where the face could not be aligned (collapsed landmarks).
    """

    faces: Detections
    embeddings: Embeddings
    usable: np.ndarray[tuple[int], np.dtype[np.bool_]]


def embed_faces(
    images: Sequence[Image], found: Sequence[Detections], *, embedder: Embedder
) -> list[FaceEmbeddings]:
    """Align and embed the faces of several images in one batch: the result does not depend on the batching.

    Args:
        images: the images.
        found: the faces of each image.
        embedder: cuts and embeds them.

    Returns:
        One `FaceEmbeddings` per image.
    """
    usable = [embedder.alignable(faces) for faces in found]
    crops = [
        embedder.align(image, faces[mask]) for image, faces, mask in zip(images, found, usable, strict=True)
    ]
    if not crops:
        return []
    vectors = embedder.embed(np.concatenate(crops))
    ends = np.cumsum([len(part) for part in crops])
    answers = []
    for faces, mask, end in zip(found, usable, ends, strict=True):
        rows = np.zeros((len(faces), vectors.shape[1]), np.float32)
        rows[mask] = vectors[end - mask.sum() : end]
        answers.append(FaceEmbeddings(faces, rows, mask))
    return answers


def recognise(
    image: Image,
    *,
    detector: Detector,
    embedder: Embedder,
    gallery: Gallery,
    min_similarity: float | None = None,
    top_k: int = 5,
) -> Recognition:
    """Say who is in an image.

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        detector: finds the faces.
        embedder: turns each face into a unit vector.
        gallery: the enrolled people; its embeddings must be of the embedder's contract.
        min_similarity: cosine from which a face counts as known; by default one that holds for a gallery of
            this size (see `thresholds.py`).
        top_k: how many candidates each match lists.

    Returns:
        The faces with one match each: no face, an unknown, a doubtful and a known person are different
        answers, and each match carries the similarity, the threshold and, where they were measured, the
        error rates of both. A face whose landmarks cannot be aligned is unknown, without candidates.

    Raises:
        ShapeError: not an (H, W, 3) uint8 array.
        InputError: no threshold was given and none is known.
        GalleryError: the gallery holds embeddings of another contract, or is damaged.
    """
    return recognise_batch(
        [image],
        detector=detector,
        embedder=embedder,
        gallery=gallery,
        min_similarity=min_similarity,
        top_k=top_k,
    )[0]


def recognise_batch(
    images: Sequence[Image],
    *,
    detector: Detector,
    embedder: Embedder,
    gallery: Gallery,
    min_similarity: float | None = None,
    top_k: int = 5,
) -> list[Recognition]:
    """`recognise` for several images, of any sizes, in one batch: equal answers, sooner."""
    check_contract(embedder, gallery)
    threshold = threshold_for_gallery(embedder, gallery, min_similarity=min_similarity)
    found = detector.detect_batch(images)
    embedded = embed_faces(images, found, embedder=embedder)
    candidates: Iterator[tuple[Candidate, ...]] = iter(())
    if any(one.usable.any() for one in embedded):
        probes = np.concatenate([one.embeddings[one.usable] for one in embedded])
        candidates = iter(gallery.search(probes, top_k=top_k))
    return [
        Recognition(one.faces, tuple(_match(next(candidates) if ok else (), threshold) for ok in one.usable))
        for one in embedded
    ]


def _match(candidates: tuple[Candidate, ...], threshold: Threshold) -> Match:
    return Match(
        candidates,
        threshold.min_similarity,
        doubtful_from=threshold.doubtful_from,
        fmr=threshold.fmr_at(candidates[0].similarity) if candidates else None,
        fpir=threshold.fpir,
    )


def check_contract(embedder: Embedder, gallery: Gallery) -> None:
    """Refuse to compare embeddings of two networks: the numbers would look fine and mean nothing.

    Raises:
        GalleryError: the gallery holds embeddings of another contract.
    """
    if gallery.contract and gallery.contract != embedder.contract:
        raise GalleryError(
            f"the gallery holds embeddings of contract {with_owner(gallery.contract)}, this embedder makes "
            f"those of {with_owner(embedder.contract)}: they cannot be compared. Use the embedder that the "
            "gallery was made with, or give the gallery to this one (vultus gallery migrate)"
        )
