"""Embeddings to clean a set by: of its own crops, and of the photos of a test set. Computed once, and kept.

Both are the unit mean of a face and its mirror image, so they can be compared.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from vultus.align.five_point import TEMPLATE_PX
from vultus.defaults import ACCURATE_EMBEDDER
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.errors import InputError
from vultus.evaluate.one_face import embed_images
from vultus.image import replace_file
from vultus.training.data.folder import FileFaces
from vultus.training.data.identities import IdentitySet, digest
from vultus.training.data.photos import Photo
from vultus.training.data.teacher import read_teacher, teacher_embeddings
from vultus.types import Embeddings

MOST_PX: Final = 160  # a larger picture is a photo: its middle is no face that was cut out


def crop_vectors(faces: IdentitySet, cache: Path, *, embedder: str | None = None) -> Embeddings:
    """The (N, D) embeddings of the crops of a set.

    Args:
        faces: aligned crops, 112 px and more.
        cache: where they are kept.
        embedder: which weights; None are the most accurate ones that come with the installation.

    Raises:
        InputError: the crops are no aligned faces, by their size, or cannot be read.
        WeightsError: the embedder's weights are unknown, missing or damaged.
    """
    height, width = faces.crop(0).shape[:2]
    if height != width or not TEMPLATE_PX <= height <= MOST_PX:
        raise InputError(
            f"expected aligned crops, square, of {TEMPLATE_PX} to {MOST_PX} px, got {height} x {width}: "
            "cut the faces out of photos first (vultus data align)"
        )
    path = teacher_embeddings(faces, load_embedder(embedder or ACCURATE_EMBEDDER), cache)
    return read_teacher(path, np.arange(len(faces)))


def photo_vectors(
    photos: Sequence[Photo],
    cache: Path,
    *,
    embedder: str | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Embeddings:
    """The (M, D) embeddings of the face in the middle of each photo that shows one, M at most their number.

    Args:
        photos: raw ones, of a test set.
        cache: where the embeddings are kept.
        embedder: as for the crops.
        on_progress: told how many photos were just done.

    Raises:
        InputError: a photo that cannot be read, or none with a face.
        WeightsError: the embedder's weights are unknown, missing or damaged.
    """
    network = load_embedder(embedder or ACCURATE_EMBEDDER, flip=True)
    paths = [photo.path for photo in photos]
    fingerprint = FileFaces(paths, [photo.person for photo in photos]).fingerprint
    path = cache / f"test-faces-{digest([network.contract, fingerprint])}.npy"
    if not path.exists():
        embedded = embed_images(paths, detector=load_detector(), embedder=network, on_progress=on_progress)
        cache.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as stream:
            np.save(stream, embedded.embeddings[embedded.has_face])
    kept: Embeddings = np.load(path, allow_pickle=False)
    return kept
