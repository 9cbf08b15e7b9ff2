"""ArcFace: additive angular margin softmax.

    logit_y = s phi(theta_y),    others s cos(theta_j)                        (eq. 3)
    phi(theta) = cos(theta + m)                   for theta <= pi - m
               = cos(theta) - m sin(m)            beyond, where cos(theta + m) would rise again

m is `margin_rad` (paper 0.5), s is `scale` (paper 64). phi falls over all of [0, pi].

Sub-centres: K weights per class, cos(theta_j) is the largest of the K; noisy faces gather at a centre of
their own (Deng, Guo, Liu, Gong, Zafeiriou: Sub-center ArcFace. ECCV 2020; K = 3).

`form` is one of
    exact              phi with its own derivative, sin(theta + m) / sin(theta)
    straight_through   phi with derivative 1: the authors' PyTorch code, behind the field's reference numbers,
                       makes phi under no_grad
    easy               cos(theta + m) where cos(theta) > 0, else cos(theta): the authors' easy margin, which
                       jumps up at a right angle, so it falls only on either side

Differs from the paper: the rule beyond pi - m, from the authors' first code; their later code goes without
it.

Deng, Guo, Xue, Zafeiriou: ArcFace: additive angular margin loss for deep face recognition. CVPR 2019.
https://arxiv.org/abs/1801.07698
"""

import math
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.losses.cosines import Cosines, class_weights, sine
from vultus.training.losses.margin_softmax import margin_softmax

Form: TypeAlias = Literal["exact", "straight_through", "easy"]


class ArcFaceLoss(nn.Module):
    """Softmax with a margin on the angle.

    Args:
        embedding_size: D.
        class_count: C.
        margin_rad: m, in [0, pi).
        scale: s.
        centre_count: K, sub-centres per class.
        form: "exact", "straight_through" or "easy".

    Attributes:
        weight: (C, D), or (C, K, D) with more than one centre.

    Raises:
        InputError: the margin is outside [0, pi), no centre, or an unknown form.
    """

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        margin_rad: float = 0.5,
        scale: float = 64.0,
        centre_count: int = 1,
        form: Form = "exact",
    ) -> None:
        super().__init__()
        check_margin(margin_rad)
        if centre_count < 1:
            raise InputError(f"centre_count must be at least 1, got {centre_count}")
        if form not in get_args(Form):
            raise InputError(f"form must be one of {', '.join(get_args(Form))}, got {form!r}")
        centres = (centre_count,) if centre_count > 1 else ()
        self.weight = class_weights(class_count, *centres, embedding_size)
        self.margin_rad = margin_rad
        self.scale = scale
        self.form = form

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings of any length with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        target = cosines.target
        own = (easy_margin if self.form == "easy" else add_angle)(target, self.margin_rad)
        if self.form == "straight_through":
            own = target + (own - target).detach()
        return self.scale * cosines.place(cosines.values, own)


def add_angle(cosine: Tensor, margin_rad: float | Tensor) -> Tensor:
    """phi: cos(theta + m) of cos(theta), and the linear tail beyond pi - m; any shape.

    Args:
        cosine: cos(theta).
        margin_rad: m, one number or one per cosine.
    """
    margin = torch.as_tensor(margin_rad, dtype=cosine.dtype, device=cosine.device)
    is_tail = cosine <= -margin.cos()  # cos(pi - m)
    return torch.where(is_tail, cosine - margin * margin.sin(), _turned(cosine, margin))


def easy_margin(cosine: Tensor, margin_rad: float) -> Tensor:
    """cos(theta + m) of cos(theta) below a right angle, cos(theta) from there on; any shape."""
    margin = torch.as_tensor(margin_rad, dtype=cosine.dtype, device=cosine.device)
    return torch.where(cosine > 0, _turned(cosine, margin), cosine)


def check_margin(margin_rad: float) -> None:
    """Refuse an angle that is none, such as degrees.

    Raises:
        InputError: it is not in [0, pi).
    """
    if not 0 <= margin_rad < math.pi:
        raise InputError(f"margin_rad must be in [0, pi), got {margin_rad}; is it in degrees?")


def _turned(cosine: Tensor, margin: Tensor) -> Tensor:
    """cos(theta + m)."""
    return cosine * margin.cos() - sine(cosine) * margin.sin()
