"""Triplet loss: a face is nearer to every picture of the same person than to any of another, by a margin.

    L = max(0, |a - p|^2 - |a - n|^2 + alpha)                                         (eq. 3)

a, p, n are unit vectors, the distances are squared; alpha is `margin_squared_l2` (paper 0.2). Which triplets,
is the miner's choice: see `training/mining.py`.

**The traps.** PyTorch's `TripletMarginLoss` and most public code take the plain distance, to which 0.2 is
another margin. An empty set of triplets is an ordinary event (a person alone in the batch, or all learnt):
the loss is 0, and still has a graph, so that `backward` runs and every process of a group takes part.

Differs from the paper: the mean over the chosen triplets instead of the sum.

Schroff, Kalenichenko, Philbin: FaceNet: a unified embedding for face recognition and clustering. CVPR 2015.
https://arxiv.org/abs/1503.03832
"""

from torch import Tensor, nn

from vultus.networks.embedding import unit
from vultus.training.checks import check_positive
from vultus.training.mining import Miner, Triplets, semi_hard_triplets


class TripletLoss(nn.Module):
    """Mine triplets in a batch; their mean loss.

    Args:
        margin_squared_l2: alpha, a squared distance of unit vectors, which is 0 to 4.
        miner: one of `training/mining.py`, or any function of that form.

    Raises:
        InputError: the margin is not positive.
    """

    def __init__(self, *, margin_squared_l2: float = 0.2, miner: Miner = semi_hard_triplets) -> None:
        super().__init__()
        check_positive(margin_squared_l2=margin_squared_l2)
        self.margin_squared_l2 = margin_squared_l2
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of the mined triplets; 0, with a graph, where there are none.

        Args:
            embeddings: (N, D), of any length; P people x K pictures.
            labels: (N,) int64, who each row is.

        Raises:
            ShapeError: another shape or dtype, or an empty batch.
        """
        triplets = self.miner(embeddings, labels, margin_squared_l2=self.margin_squared_l2)
        losses = triplet(embeddings, triplets, margin_squared_l2=self.margin_squared_l2)
        return losses.sum() / max(1, len(losses))


def triplet(embeddings: Tensor, triplets: Triplets, *, margin_squared_l2: float) -> Tensor:
    """(T,) losses of T triplets of rows of the (N, D) embeddings, which are normalised here."""
    anchors, positives, negatives = (unit(embeddings)[rows] for rows in triplets)
    to_positive = (anchors - positives).square().sum(1)
    to_negative = (anchors - negatives).square().sum(1)
    return (to_positive - to_negative + margin_squared_l2).clamp(min=0)
