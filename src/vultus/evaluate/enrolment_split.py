"""Who is enrolled, who is searched for, and who is a stranger: a folder of people as an identification test.

    strangers   the share `unenrolled` of all people, drawn by `seed`; everybody with too few images, too.
                They are never enrolled, and the same for every gallery size: FPIR is compared like with like.
    gallery     of N of the others, again by `seed`, the first `enrolled_images` images that show a face; a
                larger gallery holds everybody of a smaller one.
    probes      the other images of those N people (mated), and all images of the strangers (non-mated).

Somebody of whom no image shows a face cannot be enrolled: they are counted, and their images are strangers'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.identification import Searches, search_gallery
from vultus.evaluate.one_face import EmbeddedImages


@dataclass(frozen=True, slots=True, eq=False)
class EnrolmentSplit:
    """Which image serves for what, as positions in the folder's list of images.

    Attributes:
        enrolled: one array per person who can be enrolled: the images of their gallery entry.
        probes: one array per person: their other images, those without a face too.
        strangers: (K,) the images of people who are never enrolled.
    """

    enrolled: tuple[NDArray[np.intp], ...]
    probes: tuple[NDArray[np.intp], ...]
    strangers: NDArray[np.intp]

    def in_order(self) -> Self:
        """The same people, in the order of the folder instead of that of the draw."""
        order = sorted(range(len(self.enrolled)), key=lambda i: int(self.enrolled[i][0]))
        enrolled, probes = ([parts[i] for i in order] for parts in (self.enrolled, self.probes))
        return type(self)(tuple(enrolled), tuple(probes), self.strangers)


def split_people(
    identity_index: Sequence[int],
    has_face: NDArray[np.bool_],
    *,
    enrolled_images: int = 1,
    unenrolled: float = 0.5,
    seed: int = 0,
) -> EnrolmentSplit:
    """Draw who is enrolled; the people in `EnrolmentSplit.enrolled` stand in the order of the draw.

    Args:
        identity_index: (M,) whose image each is.
        has_face: (M,) which images show a face.
        enrolled_images: this many images make a gallery entry.
        unenrolled: the share of people who are strangers, 0 for a closed set.
        seed: of the draw.

    Raises:
        InputError: an impossible share or number, or nobody left to enrol who has an image to search with.
    """
    if not 0 <= unenrolled < 1 or enrolled_images < 1:
        raise InputError(
            f"expected a share in [0, 1) and at least one image, got {unenrolled}, {enrolled_images}"
        )
    owner = np.asarray(identity_index, dtype=np.intp)
    order = np.random.default_rng(seed).permutation(np.unique(owner))
    is_stranger = np.arange(len(order)) < round(unenrolled * len(order))
    enrolled, probes, strangers = [], [], []
    for person, is_drawn in zip(order, is_stranger, strict=True):
        images = np.flatnonzero(owner == person)
        entry = images[has_face[images]][:enrolled_images]
        rest = np.setdiff1d(images, entry)
        if is_drawn or len(entry) < enrolled_images or not len(rest):
            strangers.append(images)
        else:
            enrolled.append(entry)
            probes.append(rest)
    if not enrolled:
        raise InputError(
            f"of {len(order):,} people nobody is left to enrol: that takes {enrolled_images} images with a "
            "face, and one more to search with"
        )
    nobody = np.zeros(0, dtype=np.intp)
    return EnrolmentSplit(tuple(enrolled), tuple(probes), np.sort(np.concatenate([nobody, *strangers])))


def search_split(embedded: EmbeddedImages, split: EnrolmentSplit, *, gallery_size: int) -> Searches:
    """Search the probes in a gallery of the first `gallery_size` people of the split.

    Raises:
        InputError: there are not as many people, or fewer than one is asked for.
    """
    if not 1 <= gallery_size <= len(split.enrolled):
        raise InputError(f"{len(split.enrolled):,} people can be enrolled, asked for {gallery_size:,}")
    entries, probes = split.enrolled[:gallery_size], split.probes[:gallery_size]
    searched = np.concatenate([*probes, split.strangers])
    people = np.arange(gallery_size)
    owners = np.repeat(people, [len(images) for images in probes])
    return search_gallery(
        embedded.embeddings[np.concatenate(entries)],
        np.repeat(people, [len(images) for images in entries]).tolist(),
        probes=embedded.embeddings[searched],
        probe_identity=[*owners.tolist(), *([-1] * len(split.strangers))],
        has_face=embedded.has_face[searched],
    )
