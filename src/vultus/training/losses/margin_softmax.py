"""The softmax on top of every margin.

    L = 1/N sum_i -log( exp(logit_i,y) / sum_j exp(logit_i,j) )

A margin loss owns the class weights and says how cosines become logits; this file does the rest. Keeping the
two apart lets Partial FC put the same margins on class weights that are spread over many processes.
Cross-entropy is log z - (logit - max): at scale 64, log(p) would underflow.
"""

from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor, nn

from vultus.training.losses.cosines import Cosines
from vultus.training.losses.labels import check_batch


@runtime_checkable
class MarginLoss(Protocol):
    """What a margin is to the softmax; the losses of this folder keep it.

    Attributes:
        weight: (C, D) class weights, or (C, K, D) with sub-centres.
    """

    weight: nn.Parameter

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C) logits, the margin on each row's own class, where that is among the columns.

        Works on any part of the columns, as long as `cosines.target` is known for every row.
        """
        ...


@runtime_checkable
class HasPenalty(Protocol):
    """A loss that also asks something of the embeddings' lengths: MagFace."""

    def penalty(self, lengths: Tensor) -> Tensor:
        """What is added to the softmax loss, for (N,) lengths."""
        ...


def margin_softmax(
    loss: MarginLoss, embeddings: Tensor, labels: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """The mean loss of a batch, all classes in one place.

    Args:
        loss: class weights and margin.
        embeddings: (N, D), not normalised.
        labels: (N,) int64 class indices.
        label_smoothing: share of the target spread evenly over all classes, in [0, 1).

    Raises:
        ShapeError: a shape or dtype is another one, or the batch is empty.
        InputError: a label names no class.
    """
    class_count, embedding_size = loss.weight.shape[0], loss.weight.shape[-1]
    check_batch(embeddings, labels, embedding_size=embedding_size, class_count=class_count)
    cosines = Cosines.of(embeddings, loss.weight, labels)
    value = F.cross_entropy(loss.logits(cosines), labels, label_smoothing=label_smoothing)
    return value + loss.penalty(cosines.lengths) if isinstance(loss, HasPenalty) else value
