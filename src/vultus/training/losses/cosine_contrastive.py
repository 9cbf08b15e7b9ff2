"""Cosine contrastive loss: the pair loss for those who compare by cosine, with the margin on the cosine.

    L = 1 - cos(u, v)                  the pair shows one person
      = max(0, cos(u, v) - m)          it does not

m is `margin_cos`: different people may be as similar as that for free (0.5 as a start; 0 wants right angles).

Hadsell's loss is another one, in `contrastive.py`: on unit vectors d^2 / 2 = 1 - cos, so the first lines
agree, the second do not. This form has no paper of its own; it is `torch.nn.CosineEmbeddingLoss`. Cosine as a
verification signal beside Hadsell's: DeepID2, section 2 (a regression onto the label there).

Sun, Chen, Wang, Tang: Deep learning face representation by joint identification-verification. NIPS 2014.
https://arxiv.org/abs/1406.4773
"""

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.networks.embedding import unit
from vultus.training.checks import check_mask, check_rows


class CosineContrastiveLoss(nn.Module):
    """The mean cosine contrastive loss of pairs.

    Args:
        margin_cos: m, a cosine, in [-1, 1).

    Raises:
        InputError: the margin is no cosine below 1.
    """

    def __init__(self, *, margin_cos: float = 0.5) -> None:
        super().__init__()
        if not -1 <= margin_cos < 1:
            raise InputError(f"margin_cos must be a cosine in [-1, 1), got {margin_cos}")
        self.margin_cos = margin_cos

    def forward(self, first: Tensor, second: Tensor, is_same: Tensor) -> Tensor:
        """The mean over pairs i: `first[i]` with `second[i]`.

        Args:
            first: (N, D), of any length.
            second: (N, D), of any length.
            is_same: (N,) bool, True where both show one person.

        Raises:
            ShapeError: a shape or dtype is another one, or there is no pair.
        """
        check_rows(first=first, second=second)
        check_mask(is_same, (len(first),), "is_same")
        return cosine_contrastive(first, second, is_same, margin_cos=self.margin_cos).mean()


def cosine_contrastive(first: Tensor, second: Tensor, is_same: Tensor, *, margin_cos: float) -> Tensor:
    """(N,) losses of pairs of (N, D) rows; `is_same` is True where a pair shows one person."""
    u, v = unit(first), unit(second)
    cosine = (u * v).sum(1)
    apart = (cosine - margin_cos).clamp(min=0)
    return torch.where(is_same, (u - v).square().sum(1) / 2, apart)  # 1 - cos, without its cancellation
