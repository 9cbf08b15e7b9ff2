"""Joint training on two labelled domains: one class loss for each, in fixed shares.

    L = w L(source) + (1 - w) L(target)

w is `source_weight` (0.7 is the usual 0.7 / 0.3 mixture). It needs labels in *both* domains and aligns
nothing: that is what tells it from `MMDLoss` and `CoralLoss`, for which it is sometimes mistaken. Where the
target has labels, this is the stronger and simpler tool; where it has none, it cannot be used.
"""

from torch import Tensor, nn

from vultus.errors import InputError


class JointDomainsLoss(nn.Module):
    """A weighted sum of one class loss over two domains.

    Args:
        loss: (embeddings, labels) -> scalar, with one set of classes for both domains.
        source_weight: w, in [0, 1].

    Raises:
        InputError: the weight is outside [0, 1].
    """

    def __init__(self, loss: nn.Module, *, source_weight: float = 0.7) -> None:
        super().__init__()
        if not 0 <= source_weight <= 1:
            raise InputError(f"source_weight must be in [0, 1], got {source_weight}")
        self.loss = loss
        self.source_weight = source_weight

    def forward(self, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
        """The mixture for (embeddings, labels) of each domain; raises what the class loss raises."""
        source_loss: Tensor = self.loss(*source)
        target_loss: Tensor = self.loss(*target)
        return self.source_weight * source_loss + (1 - self.source_weight) * target_loss
