"""Softmax cross-entropy, with label smoothing: the baseline that every margin is compared with.

    logit_j = W_j . x + b_j
    L = -sum_j q_j log softmax(logit)_j,    q_j = (1 - epsilon) [j = y] + epsilon / C

epsilon is `label_smoothing` (Szegedy et al. 0.1, section 7; 0 is the ordinary cross-entropy).

**The trap.** x must not be a unit vector: with class weights of length 1 no logit leaves [-1, 1], and the
cross-entropy over C classes stays above log(1 + (C - 1) e^-2), 7.27 for 10,575 people. Feed the un-normalised
embedding, or take NormFace, which has a scale.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture. CVPR 2016.
https://arxiv.org/abs/1512.00567
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import widen
from vultus.training.losses.labels import check_batch


class SoftmaxLoss(nn.Module):
    """A linear classifier and its cross-entropy.

    Args:
        embedding_size: D.
        class_count: C.
        label_smoothing: share of the target spread evenly over all classes, in [0, 1).

    Attributes:
        weight: (C, D), from Glorot's uniform distribution.
        bias: (C,), from 0.

    Raises:
        InputError: the smoothing is outside [0, 1).
    """

    def __init__(self, embedding_size: int, class_count: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(class_count, embedding_size)))
        self.bias = nn.Parameter(torch.zeros(class_count))
        self.label_smoothing = label_smoothing

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) un-normalised embeddings with (N,) int64 labels.

        Raises:
            ShapeError: a shape or dtype is another one, or the batch is empty.
            InputError: a label names no class.
        """
        class_count, embedding_size = self.weight.shape
        check_batch(embeddings, labels, embedding_size=embedding_size, class_count=class_count)
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = F.linear(widen(embeddings), widen(self.weight), widen(self.bias))
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
