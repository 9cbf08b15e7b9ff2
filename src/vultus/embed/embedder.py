"""From an aligned face to a unit vector: preprocess, run, normalise. One class for every embedding network.

All that differs between networks stands in the catalogue entry: how a face is cut, the size, the order of
the channels, mean and std. The steps are the same for all:

    x = (crop - mean) / std          in the network's order of channels
    e = f(x)                         with the flip test: f(x) + f(mirrored x)
    embedding = e / |e|

The flip test mirrors the *aligned crop*; the mirrored face is not aligned again. It takes twice the time,
and is part of the contract.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.align import box_margin, five_point
from vultus.embed.contract import contract_of
from vultus.errors import InputError, ShapeError, WeightsError
from vultus.interfaces import Session
from vultus.types import Crops, Detections, Embeddings, FloatArray, Image
from vultus.weights.catalog import (
    BoxMargin,
    FivePoint,
    Preprocessing,
    WeightsEntry,
)

DEFAULT_BATCH: Final = 8  # small networks are no faster with more, and stay in the cache with less


class SessionEmbedder:
    """An `Embedder` over any session. Safe to call from several threads.

    Args:
        weights: what the catalogue says about the network.
        session: the network; its first output is (N, D).
        flip: add the embedding of the mirrored crop.
        batch: how many crops are run at once; more are run in pieces.

    Attributes:
        weights: as given.
        session: as given.
        preprocessing: how faces are cut and fed, the flip test included.

    Raises:
        WeightsError: the entry is of no embedding network that this class can feed.
        InputError: `batch` is less than 1.
    """

    def __init__(
        self, weights: WeightsEntry, session: Session, *, flip: bool = False, batch: int = DEFAULT_BATCH
    ) -> None:
        if batch < 1:
            raise InputError(f"batch must be at least 1, got {batch}")
        self.weights = weights
        self.preprocessing = replace(weights.preprocessing, flip="sum") if flip else weights.preprocessing
        self._alignment = _supported_alignment(weights)
        self._size = _stated_size(weights)
        self.session = session
        self._batch = batch
        self._contract = contract_of(weights, self.preprocessing)

    @property
    def contract(self) -> str:
        """The hash of all that decides the numbers: embeddings compare only within one contract."""
        return self._contract

    @property
    def min_similarity(self) -> float | None:
        """The threshold recorded for these weights, or None where none is."""
        return self.weights.min_similarity

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding."""
        return self._size

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        """(N,) whether each face can be cut out; `align` raises if one of them cannot."""
        if isinstance(self._alignment, FivePoint):
            return five_point.alignable(faces.landmarks)
        return box_margin.alignable(faces.boxes)

    def align(self, image: Image, faces: Detections) -> Crops:
        """The (N, H, W, 3) crops that `embed` wants of these faces.

        Raises:
            ShapeError: not an (H, W, 3) uint8 image.
            InputError: a face cannot be cut out; the message says which and why.
        """
        how = self._alignment
        if isinstance(how, FivePoint):
            return five_point.crop_faces(image, faces.landmarks, size_px=how.size_px)
        return box_margin.crop_boxes(image, faces.boxes, size_px=how.size_px, margin_px=how.margin_px)

    def embed(self, crops: Crops) -> Embeddings:
        """(N, D) float32, each row of length 1.

        A crop's embedding does not depend on the others: batches and single calls agree within 1e-5.

        Raises:
            ShapeError: the crops are not those that `align` cuts.
            WeightsError: the network's answer is no embedding: of another size, not finite, or zero.
        """
        self._check_crops(crops)
        pieces = (crops[i : i + self._batch] for i in range(0, len(crops), self._batch))
        nothing = np.zeros((0, self._size), np.float32)
        return _unit_rows(np.concatenate([nothing, *(self._run(piece) for piece in pieces)]))

    def _run(self, crops: Crops) -> FloatArray:
        """(N, D) the network's answers, not yet normalised."""
        if self.preprocessing.flip == "none":
            return self._run_once(crops)
        mirrored = crops[:, :, ::-1]
        answers = self._run_once(np.concatenate([crops, mirrored]))
        return answers[: len(crops)] + answers[len(crops) :]

    def _run_once(self, crops: Crops) -> FloatArray:
        answers = self.session.run(network_input(crops, self.preprocessing))[0]
        if answers.shape != (len(crops), self._size):
            raise WeightsError(
                f"{self.weights.name} should answer {len(crops)} crops with an array of shape "
                f"{(len(crops), self._size)}, got {answers.shape}"
            )
        return answers

    def _check_crops(self, crops: Crops) -> None:
        size = self._alignment.size_px
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
            raise ShapeError(
                f"{self.weights.name} takes crops of shape (N, {size}, {size}, 3) uint8, got {crops.shape} "
                f"{crops.dtype}; its own `align` cuts them"
            )


def network_input(crops: Crops, preprocessing: Preprocessing) -> FloatArray:
    """(N, H, W, 3) uint8 RGB crops as the network wants them: ordered, (x - mean) / std, float32.

    A network that wants them in that very layout, with nothing taken off, takes the pixels themselves: uint8.
    """
    if preprocessing == _pixels(preprocessing):
        return np.ascontiguousarray(crops)
    ordered = crops if preprocessing.channels == "RGB" else crops[..., ::-1]
    mean, std = np.array([preprocessing.mean, preprocessing.std], np.float32)
    scaled = (ordered.astype(np.float32) - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2) if preprocessing.layout == "NCHW" else scaled)


def _pixels(preprocessing: Preprocessing) -> Preprocessing:
    """The same, for a graph that has the preprocessing inside."""
    return replace(preprocessing, layout="NHWC", channels="RGB", mean=(0.0,) * 3, std=(1.0,) * 3)


def _unit_rows(answers: FloatArray) -> Embeddings:
    """Each row divided by its length."""
    with np.errstate(over="ignore", invalid="ignore"):  # found out below
        lengths = np.linalg.norm(answers, axis=1, keepdims=True)
    broken = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 1e-6)))
    if broken.size:
        raise WeightsError(
            f"the network answers crop {broken[0]} of {len(answers)} with a vector of length "
            f"{lengths[broken[0], 0]:g}, which has no direction: damaged weights, or an execution provider "
            "that computes nonsense. `vultus doctor` tells which"
        )
    return np.asarray(answers / lengths, dtype=np.float32)


def _supported_alignment(weights: WeightsEntry) -> FivePoint | BoxMargin:
    """How faces are cut for these weights, once it is known to be done here, and to what they state."""
    stated = weights.preprocessing
    how = stated.alignment
    kinds = {(FivePoint, "bilinear"), (BoxMargin, "area")}
    if not isinstance(how, FivePoint | BoxMargin) or (type(how), stated.interpolation) not in kinds:
        raise WeightsError(
            f"{weights.name!r} wants faces cut by {how} with {stated.interpolation} interpolation; an "
            "embedder cuts by five points (bilinear) or by box and margin (area)"
        )
    if stated.size_hw != (how.size_px, how.size_px) or stated.normalisation != "l2":
        raise WeightsError(
            f"{weights.name!r} cuts crops of {how.size_px} px, takes {stated.size_hw} and normalises by "
            f"{stated.normalisation!r}: expected square crops of one size, and 'l2'"
        )
    return how


def _stated_size(weights: WeightsEntry) -> int:
    """D, as the catalogue states it."""
    if weights.embedding_size is None:
        raise WeightsError(f"the catalogue states no embedding_size for {weights.name!r}")
    return weights.embedding_size
