"""Faces that nobody has: two aligned crops in one, for a student to copy its teacher on.

A student that has seen the same pictures for many epochs says what its teacher says of them, and less so of
new ones. A teacher answers to any picture: two aligned faces laid into each other, patch by patch, look like
a face, and each pair is another one. They teach nothing about who is who, and have no labels.

The share of each crop is a smooth random field between 0 and 1, so that here the eyes are one person's and
there the mouth another's. Zhang, Cisse, Dauphin, Lopez-Paz, mixup, ICLR 2018, https://arxiv.org/abs/1710.09412
has one share for the whole picture; Beyer et al., Knowledge distillation: a good teacher is patient and
consistent, CVPR 2022, https://arxiv.org/abs/2106.05237 let the teacher see the mixed picture, as here.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.training.data.identities import UNLABELLED, IdentityIndex, IdentitySet, digest
from vultus.types import Image

PATCHES = (2, 5)  # random values along each side of the field, from and to
STEEPNESS = (0.5, 8.0)  # from almost even to patches with short passages between them


class BlendedFaces:
    """So many blends of the crops of a set: always the same ones for the same seed.

    Args:
        faces: what is blended.
        count: how many; blend i begins with crop i modulo len(faces).
        seed: which partner and which field each gets.

    Attributes:
        identity_index: (count,) all -1.
        names: nobody.

    Raises:
        InputError: a count below 1.
    """

    def __init__(self, faces: IdentitySet, count: int, *, seed: int) -> None:
        if count < 1:
            raise InputError(f"blend at least one face, got {count}")
        self._faces = faces
        self._seed = seed
        self.identity_index: IdentityIndex = np.full(count, UNLABELLED, np.int64)
        self.names: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Of the set, the count and the seed."""
        return digest([self._faces.fingerprint, f"{len(self)} blends, seed {self._seed}"])

    def __len__(self) -> int:
        return len(self.identity_index)

    def crop(self, index: int) -> Image:
        """(H, W, 3) uint8, RGB."""
        chance = np.random.default_rng((self._seed, index))
        first = self._faces.crop(index % len(self._faces))
        second = self._faces.crop(int(chance.integers(len(self._faces))))
        height, width, _ = first.shape
        if second.shape != first.shape:
            second = np.asarray(cv2.resize(second, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        share = random_share(chance, size_hw=(height, width))[..., None]
        return np.asarray(np.rint(share * first + (1 - share) * second), np.uint8)


def random_share(chance: np.random.Generator, *, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) in 0..1: smooth, with few hills."""
    patches = int(chance.integers(PATCHES[0], PATCHES[1] + 1))
    steepness = np.exp(chance.uniform(*np.log(STEEPNESS)))
    hills = chance.normal(size=(patches, patches)).astype(np.float32)
    field = cv2.resize(hills, size_hw[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(1 / (1 + np.exp(-steepness * field)), np.float32)
