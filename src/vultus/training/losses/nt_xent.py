"""NT-Xent (SimCLR): find the other view of one's own picture among all views of the batch.

    L_(i,j) = -log( exp(cos(z_i, z_j) / tau) / sum_(k != i) exp(cos(z_i, z_k) / tau) )        (eq. 1)

(i, j) are two augmentations of one picture, in both orders; k runs over all 2N views but i itself. tau is
`temperature` (paper 0.5 on CIFAR-10, 0.1 on ImageNet). It needs no labels, and knows of none: two pictures of
one person in a batch push each other apart.

**The trap.** The view itself, cosine 1, must leave the sum, or it is the only thing that is ever found.

With a batch of one picture there is nobody to confuse it with: the loss is 0.

Chen, Kornblith, Norouzi, Hinton: A simple framework for contrastive learning of visual representations. ICML
2020. https://arxiv.org/abs/2002.05709

"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.networks.embedding import unit
from vultus.training.checks import check_positive, check_rows


class NTXentLoss(nn.Module):
    """Normalised, temperature-scaled cross-entropy of two views.

    Args:
        temperature: tau.

    Raises:
        InputError: the temperature is not positive.
    """

    def __init__(self, *, temperature: float = 0.5) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The mean over all 2N views.

        Args:
            first: (N, D), one view of each picture, of any length.
            second: (N, D), the other view of the same picture in each row.

        Raises:
            ShapeError: a shape or dtype is another one, or the batch is empty.
        """
        check_rows(first=first, second=second)
        return nt_xent(first, second, temperature=self.temperature)


def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """The mean of eq. 1 over both orders of all pairs of (N, D) views."""
    with torch.autocast(first.device.type, enabled=False):
        views = unit(torch.cat([first, second]))
        logits = views @ views.T / temperature  # (2N, 2N)
    logits = logits.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(logits, partner)
