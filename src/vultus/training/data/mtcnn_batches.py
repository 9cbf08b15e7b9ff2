"""Batches of MTCNN's training crops: so many of each kind, mirrored and recoloured at random.

Everything about a drawn sample comes from (seed, draw), computed for a whole batch at once: a hash of these
numbers takes the place of one random generator for each of a thousand crops.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vultus.errors import InputError
from vultus.geometry.boxes import Floats
from vultus.training.data.mtcnn_crops import MtcnnCrops
from vultus.training.losses.mtcnn_multitask import CropKind, CropTargets
from vultus.training.samples import Draw, Plan
from vultus.types import FloatArray

MIRRORED_LANDMARKS: Final = [1, 0, 2, 4, 3, 6, 5, 7, 9, 8]  # x1..x5 y1..y5: left and right change places
GREY: Final = np.array([0.299, 0.587, 0.114])
CHANCES: Final = 5  # numbers that a sample is made from: mirror, brightness, contrast, saturation, warmth


class CropBatch(NamedTuple):
    """One batch: (N, 3, S, S) float32 images as the networks want them, and what to answer."""

    images: Tensor
    targets: CropTargets


class MtcnnSamples:
    """The crops of one stage, as `vultus.training.trainer.fit` asks for them.

    Args:
        sets: crops of one size, from `read_crops`; indices run through one after the other.
        seed: of all augmentation.
        colour_jitter: how far brightness, contrast, saturation and warmth vary, 0 to leave them.

    Raises:
        InputError: there is no crop.
    """

    def __init__(self, sets: Sequence[MtcnnCrops], *, seed: int, colour_jitter: float = 0.3) -> None:
        self._images = [each.images for each in sets]
        self._ends = np.cumsum([len(each.kinds) for each in sets])
        self.kinds = np.concatenate([each.kinds for each in sets])
        if not len(self.kinds):
            raise InputError("there is no crop to learn from")
        self._offsets = np.concatenate([each.offsets for each in sets])
        self._landmarks = np.nan_to_num(np.concatenate([each.landmarks for each in sets]))
        self._mirror_shifts = np.concatenate([each.mirror_shifts for each in sets])
        self._seed = seed
        self._colour_jitter = colour_jitter

    def __getstate__(self) -> dict[str, Any]:
        """For another process: pixels that lie in a file are not sent, but mapped there as well."""
        images = [each.filename if isinstance(each, np.memmap) else each for each in self._images]
        return self.__dict__ | {"_images": images}

    def __setstate__(self, state: dict[str, Any]) -> None:
        images = [
            each if isinstance(each, np.ndarray) else np.load(each, mmap_mode="r")
            for each in state["_images"]
        ]
        self.__dict__ |= state | {"_images": images}

    def __len__(self) -> int:
        return len(self.kinds)

    def batch(self, draws: Sequence[Draw]) -> CropBatch:
        """The crops of these draws."""
        chances = uniforms(draws, CHANCES, seed=self._seed)
        at = np.array([draw.sample for draw in draws])
        images, offsets, landmarks = self._pixels(at), self._offsets[at], self._landmarks[at]
        is_mirrored = chances[:, 0] < 0.5
        images[is_mirrored] = images[is_mirrored, :, :, ::-1]
        offsets[is_mirrored] = mirrored_offsets(offsets[is_mirrored], self._mirror_shifts[at][is_mirrored])
        landmarks[is_mirrored] = mirrored_landmarks(landmarks[is_mirrored])
        recoloured = network_input(images, chances[:, 1:] * 2 - 1, strength=self._colour_jitter)
        kinds = torch.from_numpy(self.kinds[at].astype(np.int64))
        targets = CropTargets(kinds, torch.from_numpy(offsets), torch.from_numpy(landmarks))
        return CropBatch(torch.from_numpy(recoloured), targets)

    def _pixels(self, at: NDArray[np.intp]) -> NDArray[np.uint8]:
        """(N, 3, S, S) copied from the files of the sets."""
        pixels = np.empty((len(at), *self._images[0].shape[1:]), np.uint8)
        owners = np.searchsorted(self._ends, at, side="right")
        starts = np.concatenate([[0], self._ends])
        for owner, images in enumerate(self._images):
            is_own = owners == owner
            pixels[is_own] = images[at[is_own] - starts[owner]]
        return pixels


def balanced(
    kinds: NDArray[np.int8], shares: Mapping[CropKind, int], *, batch_size: int, batches: int, seed: int
) -> Plan:
    """Batches in which each kind has its share; a kind goes through all of its crops before any comes back.

    Args:
        kinds: (N,) of all crops.
        shares: in what proportion, such as 3 : 1 : 1 : 2. Kinds that no crop is of are left out.
        batch_size: crops in a batch.
        batches: batches in an epoch.
        seed: of the order.

    Raises:
        InputError: no crop has any of these kinds.
    """
    pools = {kind: np.flatnonzero(kinds == kind) for kind, share in shares.items() if share}
    pools = {kind: pool for kind, pool in pools.items() if len(pool)}
    if not pools:
        raise InputError(f"no crop is of any of the kinds {[kind.name for kind in shares]}")
    whole = sum(shares[kind] for kind in pools)
    ends = np.cumsum([shares[kind] for kind in pools]) * batch_size // whole
    counts = dict(zip(pools, np.diff(ends, prepend=0).tolist(), strict=True))

    def plan(epoch: int) -> list[list[int]]:
        columns = [
            endless(pools[kind], epoch * batches * count, batches * count, seed=(seed, int(kind))).reshape(
                batches, count
            )
            for kind, count in counts.items()
        ]
        mixed: list[list[int]] = np.concatenate(columns, axis=1).tolist()
        return mixed

    return plan


def endless(pool: NDArray[np.intp], start: int, count: int, *, seed: tuple[int, ...]) -> NDArray[np.intp]:
    """A part of the endless sequence of shuffles of a pool, one behind the other."""
    first, last = start // len(pool), (start + count) // len(pool)
    rounds = [np.random.default_rng((*seed, number)).permutation(pool) for number in range(first, last + 1)]
    return np.concatenate(rounds)[start - first * len(pool) :][:count]


def mirrored_offsets(offsets: Floats, mirror_shifts: Floats) -> Floats:
    """(N, 4) offsets of N windows seen in a mirror: left and right change places and sign."""
    left, top, right, bottom = offsets.T
    return np.stack([mirror_shifts - right, top, mirror_shifts - left, bottom], axis=1)


def mirrored_landmarks(landmarks: Floats) -> Floats:
    """(N, 10) landmarks of N windows seen in a mirror."""
    swapped = landmarks[:, MIRRORED_LANDMARKS]
    swapped[:, :5] = 1 - swapped[:, :5]
    return swapped


def network_input(images: NDArray[np.uint8], chances: Floats, *, strength: float) -> FloatArray:
    """RGB bytes recoloured and brought to (x - 127.5) / 128, each image in its own way.

    Brightness, contrast, saturation and warmth are one linear map of the colours of each image, clipped to
    what a camera can record.

    Args:
        images: (N, 3, H, W).
        chances: (N, 4) in [-1, 1].
        strength: at the ends of this range, contrast and saturation change by this share, brightness by half
            of it in full scales, and red against blue by a quarter of it.
    """
    brightness, contrast, saturation, warmth = (chances * strength).T[:, :, None, None]
    identity = np.eye(3)
    maps = (1 + saturation) * identity - saturation * GREY  # (N, 3, 3): rows still sum to one
    maps = maps * (1 + np.array([[1.0], [0.0], [-1.0]]) * warmth / 4) * (1 + contrast)
    shifts = 127.5 * (brightness - contrast)  # contrast turns about the middle grey
    pixels = images.reshape(*images.shape[:2], -1).astype(np.float32)
    values = maps.astype(np.float32) @ pixels
    values += shifts.astype(np.float32)
    np.clip(values, 0, 255, out=values)
    values -= 127.5
    values /= 128
    return np.asarray(values.reshape(images.shape), np.float32)


def uniforms(draws: Sequence[Draw], count: int, *, seed: int) -> NDArray[np.float64]:
    """(N, count) numbers in [0, 1) that depend on the seed and on each draw alone.

    SplitMix64 of the seed, the draw and the column. Steele, Lea, Flood: Fast splittable pseudorandom number
    generators. OOPSLA 2014. https://doi.org/10.1145/2660193.2660195
    """
    state: NDArray[np.uint64] = np.full((len(draws), 1), seed, dtype=np.uint64)
    for part in np.array(draws, np.uint64).T:
        state = _mixed(np.bitwise_xor(state, part[:, None]))
    columns: NDArray[np.uint64] = np.arange(count, dtype=np.uint64)
    mixed = _mixed(np.add(state, columns))
    return np.asarray((mixed >> np.uint64(11)) / 2**53)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
