"""What the embedding networks share: the check at their start, and the precision at their end."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vultus.errors import ShapeError


class Feature(NamedTuple):
    """One batch of outputs, before and after the L2 layer.

    Attributes:
        raw: (N, D), as the last batch norm left it: for a softmax, a centre loss, a magnitude term.
        embedding: (N, D), the same rows at length 1: for a triplet loss, for comparing.
    """

    raw: Tensor
    embedding: Tensor

    @classmethod
    def of(cls, raw: Tensor) -> "Feature":
        """Both forms of the raw rows."""
        return cls(raw, unit(raw))


def widen(values: Tensor) -> Tensor:
    """The same values in float32 at least; float32 and float64 pass through untouched."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit(raw: Tensor) -> Tensor:
    """(N, D) rows scaled to length 1, in float32 at least: bfloat16 would miss the length by up to 0.4 %."""
    return F.normalize(widen(raw), dim=1)


def check_crop_size(images: Tensor, size_hw: tuple[int, int]) -> None:
    """Refuse crops for which a network that weighs every position of its last map was not built.

    Raises:
        ShapeError: the crops are not of that height and width.
    """
    if tuple(images.shape[-2:]) != size_hw:
        raise ShapeError(
            f"this network takes crops of {size_hw} (height, width), got {tuple(images.shape[-2:])}; "
            "align the faces to that size, or build the network with another size_hw"
        )
