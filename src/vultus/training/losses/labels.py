"""The check at the start of every classification loss."""

import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError


def check_batch(embeddings: Tensor, labels: Tensor, *, embedding_size: int, class_count: int) -> None:
    """Refuse a batch that would index past the class weights, or silently mean something else.

    Args:
        embeddings: expected (N, embedding_size), floating point, N at least 1.
        labels: expected (N,) int64, each in [0, class_count).
        embedding_size: length of a class weight.
        class_count: how many classes there are.

    Raises:
        ShapeError: a shape or dtype is another one, or the batch is empty.
        InputError: a label names no class.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != embedding_size or not embeddings.is_floating_point():
        raise ShapeError(
            f"embeddings must be floats of shape (N, {embedding_size}), "
            f"got {embeddings.dtype} of shape {tuple(embeddings.shape)}"
        )
    if embeddings.shape[0] == 0:
        raise ShapeError("the batch is empty: the mean loss of no face is undefined; drop such a batch")
    check_labels(labels, count=embeddings.shape[0], class_count=class_count)


def check_labels(labels: Tensor, *, count: int, class_count: int) -> None:
    """Refuse labels that are not one class index per row.

    Args:
        labels: expected (count,) int64, each in [0, class_count).
        count: how many rows the labels belong to.
        class_count: how many classes there are.

    Raises:
        ShapeError: another shape or dtype.
        InputError: a label names no class.
    """
    if labels.dtype != torch.int64 or labels.shape != (count,):
        raise ShapeError(
            f"labels must be int64 class indices of shape ({count},), "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    lowest, highest = (int(extreme) for extreme in labels.aminmax())
    if lowest < 0 or highest >= class_count:
        raise InputError(
            f"labels must lie in 0..{class_count - 1} for {class_count} classes, got {lowest}..{highest}; "
            "number the classes without gaps, or build the loss with more of them"
        )
