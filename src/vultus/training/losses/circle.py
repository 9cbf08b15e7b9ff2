"""Circle loss: each similarity is pushed as hard as it is far from where it should be.

    L = log(1 + sum_j exp(gamma alpha_n,j (s_n,j - m)) sum_i exp(-gamma alpha_p,i (s_p,i - (1 - m))))
    alpha_p = [1 + m - s_p]+,    alpha_n = [s_n + m]+

Two forms, both of the paper:

    CircleLoss          class level: s_p is the cosine with the own class, s_n those with the others. L is
                        then the softmax cross-entropy of the logits gamma alpha_p (s_p - (1 - m)) and
                        gamma alpha_n (s_n - m).
    circle_pair_loss    pair level: s_p and s_n are the cosines of an anchor with the faces of its own and
                        of other people in the batch; the mean over the anchors that have both.

m is `margin_cos` (faces: 0.25), gamma is `scale` (faces: 256). The weights alpha have no gradient: the
derivative of L is therefore not that of its value.

Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei: Circle loss: a unified perspective of pair similarity
optimization. CVPR 2020. https://arxiv.org/abs/2002.10857
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import ShapeError
from vultus.networks.embedding import unit
from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax


class CircleLoss(nn.Module):
    """Circle loss against class weights.

    Args:
        embedding_size: D.
        class_count: C.
        margin_cos: m.
        scale: gamma.

    Attributes:
        weight: (C, D).
    """

    def __init__(
        self, embedding_size: int, class_count: int, *, margin_cos: float = 0.25, scale: float = 256.0
    ) -> None:
        super().__init__()
        self.weight = class_weights(class_count, embedding_size)
        self.margin_cos = margin_cos
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings of any length with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        own = weigh_same(cosines.target, self.margin_cos)
        return self.scale * cosines.place(weigh_other(cosines.values, self.margin_cos), own)


def circle_pair_loss(
    embeddings: Tensor, labels: Tensor, *, margin_cos: float = 0.25, scale: float = 256.0
) -> Tensor:
    """Circle loss between the faces of a batch; 0 if no anchor has both a same and another person.

    Args:
        embeddings: (N, D), of any length.
        labels: (N,) int64; equal numbers are the same person.
        margin_cos: m.
        scale: gamma.

    Raises:
        ShapeError: the labels are not (N,).
    """
    if labels.shape != embeddings.shape[:1]:
        raise ShapeError(f"labels must have shape ({len(embeddings)},), got {tuple(labels.shape)}")
    with torch.autocast(embeddings.device.type, enabled=False):
        units = unit(embeddings)
        cosine = units @ units.T  # (N, N)
    is_same = labels[:, None] == labels
    is_other = ~is_same
    is_same = is_same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    has_both = is_same.any(1) & is_other.any(1)
    if not has_both.any():
        return embeddings.sum() * 0
    same = (-scale * weigh_same(cosine, margin_cos)).masked_fill(~is_same, -torch.inf)
    other = (scale * weigh_other(cosine, margin_cos)).masked_fill(~is_other, -torch.inf)
    return F.softplus(same[has_both].logsumexp(1) + other[has_both].logsumexp(1)).mean()


def weigh_same(cosine: Tensor, margin_cos: float) -> Tensor:
    """alpha_p (s_p - (1 - m)); any shape."""
    return (1 + margin_cos - cosine.detach()).clamp(min=0) * (cosine - (1 - margin_cos))


def weigh_other(cosine: Tensor, margin_cos: float) -> Tensor:
    """alpha_n (s_n - m); any shape."""
    return (cosine.detach() + margin_cos).clamp(min=0) * (cosine - margin_cos)
