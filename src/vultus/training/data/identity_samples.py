"""Batches of face crops for the trainer: cut, augmented, and labelled with whose they are.

Pixels stay bytes on their way to the network: a quarter of the traffic between processes and to a device. The
learner makes floats of them with `normalised`: mean and std belong to the network, not to the data.

All chance of a crop comes from the run's seed and the draw (epoch, batch, crop), so it does not matter which
process makes it, or when. Where a batch names a crop more than once, as P x K does for people with few, and
as self-supervised learning wants it, its second time is another picture, and so on.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vultus.training.data.face_augment import AUGMENTATIONS, CROP_PX, FaceAugmentation, augment_face
from vultus.training.data.identities import IdentitySet
from vultus.training.samples import Draw


class FaceBatch(NamedTuple):
    """N crops.

    Attributes:
        images: (N, 3, S, S) uint8, RGB; in memory the channels are last, which CPUs prefer.
        labels: (N,) int64, whose face it is; -1 where that is not known.
        rows: (N,) int64, which crop of the set it is: for targets that are kept by row, such as a teacher's
            embeddings.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor


class FaceSamples:
    """`Samples` of face crops.

    Args:
        faces: the crops; decoded ones (`crop_cache.cached`) are read many times faster.
        seed: of the run.
        augmentation: what is done to them.
        size_px: the side of the images.
    """

    def __init__(
        self,
        faces: IdentitySet,
        *,
        seed: int,
        augmentation: FaceAugmentation = AUGMENTATIONS["light"],
        size_px: int = CROP_PX,
    ) -> None:
        self._faces = faces
        self._seed = seed
        self._augmentation = augmentation
        self._size_px = size_px

    def __len__(self) -> int:
        return len(self._faces)

    def batch(self, draws: Sequence[Draw]) -> FaceBatch:
        """The crops of one step: the same draws always give the same images."""
        size = self._size_px
        images = np.empty((len(draws), size, size, 3), np.uint8)
        seen: Counter[Draw] = Counter()
        for image, draw in zip(images, draws, strict=True):
            image[...] = augment_face(
                self._faces.crop(draw.sample),
                np.random.default_rng((self._seed, *draw, seen[draw])),
                augmentation=self._augmentation,
                size_px=size,
            )
            seen[draw] += 1
        rows = np.array([draw.sample for draw in draws], dtype=np.int64)
        return FaceBatch(
            images=torch.from_numpy(images).permute(0, 3, 1, 2),
            labels=torch.from_numpy(self._faces.identity_index[rows]),
            rows=torch.from_numpy(rows),
        )


def normalised(images: Tensor, *, mean: float = 127.5, std: float = 127.5) -> Tensor:
    """(N, 3, S, S) float32: (images - mean) / std, in the same memory layout.

    The defaults are those of the ArcFace family; FaceNet divides by 128.
    """
    return (images.float() - mean) / std
