"""What every margin is made from: cosines between embeddings and classes, in float32, outside autocast.

In half precision the cosines near 1 are 0.0005 (float16) or 0.004 (bfloat16) apart, and a margin at scale 64
would be lost in that. So embeddings and class weights are widened before they are normalised and multiplied.

No angle is ever made by `acos`, nor a sine by `sqrt(clamp(1 - c^2, 0, 1))`: the derivatives of both are
infinite at c = 1 and c = -1, where the gradient of the embedding is 0, and infinity times 0 is not a number.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vultus.networks.embedding import unit, widen

INITIAL_STD = 0.01  # of class weights, as in the authors' code of ArcFace; only the direction matters


@dataclass(frozen=True, eq=False, slots=True)
class Cosines:
    """One batch against the classes.

    Attributes:
        values: (N, C), the cosine of each embedding with each class.
        labels: (N,) int64, the column of the own class; -1 where another rank holds that column (Partial FC).
        target: (N,), the cosine with the own class, wherever that is held.
        lengths: (N,), how long the embeddings were.
        class_lengths: (C,) or, with sub-centres, (C, K): how long the class weights are.
    """

    values: Tensor
    labels: Tensor
    target: Tensor
    lengths: Tensor
    class_lengths: Tensor

    @classmethod
    def of(cls, embeddings: Tensor, weight: Tensor, labels: Tensor) -> "Cosines":
        """Compare each embedding with each class.

        Args:
            embeddings: (N, D), of any length and float dtype.
            weight: (C, D), or (C, K, D) with K sub-centres per class: the nearest one speaks for the class.
            labels: (N,) int64 in [0, C), or -1 for a class that is in no row of `weight`.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            raw, centres = widen(embeddings), widen(weight)
            values = unit(raw) @ unit(centres.flatten(0, -2)).T  # (N, C * K)
        if weight.ndim == 3:
            values = values.view(-1, *weight.shape[:2]).amax(2)
        own = values.gather(1, labels.clamp(min=0)[:, None]).squeeze(1)
        return cls(
            values=values,
            labels=labels,
            target=torch.where(labels >= 0, own, 0.0),
            lengths=torch.linalg.vector_norm(raw, dim=1),
            class_lengths=torch.linalg.vector_norm(centres, dim=-1),
        )

    def with_target(self, target: Tensor) -> "Cosines":
        """The same batch, where the (N,) cosines with the own classes come from elsewhere."""
        return replace(self, target=target)

    def place(self, values: Tensor, own: Tensor) -> Tensor:
        """(N, C) logits: `values`, but the (N,) `own` in the column of each row's own class."""
        rows = (self.labels >= 0).nonzero().squeeze(1)
        return values.index_put((rows, self.labels[rows]), own[rows])


def class_weights(*shape: int) -> nn.Parameter:
    """Fresh class weights, (C, D) or (C, K, D), from N(0, 0.01^2)."""
    return nn.Parameter(torch.empty(shape).normal_(std=INITIAL_STD))


def sine(cosine: Tensor) -> Tensor:
    """sin(theta) of cos(theta), theta in [0, pi]: exact, with derivative 0 instead of infinity at cos = +-1.

    (1 - c)(1 + c) keeps the digits near +-1 that 1 - c^2 loses; where rounding left c at or beyond +-1, the
    sine is 0 and takes no part in the gradient.
    """
    square = (1 - cosine) * (1 + cosine)
    is_inside = square > 0
    # The inner where keeps sqrt's infinite derivative at 0 out of the graph: 0 * infinity is not a number.
    return torch.where(is_inside, torch.where(is_inside, square, 1.0).sqrt(), 0.0)


def angle(cosine: Tensor) -> Tensor:
    """The angle in [0, pi] of cos(theta), with a finite derivative everywhere."""
    return torch.atan2(sine(cosine), cosine)
