"""Maximum mean discrepancy: how far apart two sets of embeddings are as distributions, for domain adaptation.

    MMD^2 = 1/(m(m-1)) sum_(i != j) k(x_i, x_j) + 1/(n(n-1)) sum_(i != j) k(y_i, y_j)
          - 2/(mn) sum_(i,j) k(x_i, y_j)                               (eq. 3: the unbiased estimator)
    k(a, b) = mean over sigma of exp(-|a - b|^2 / (2 sigma^2))

x are the m rows of the source domain, y the n rows of the target domain, both of one batch. One Gaussian sees
only differences at its own width; so there are several. Each sigma is a factor of `bandwidths` times the root
mean squared distance of different rows of the batch (taken as a constant), or the very number with
`is_relative=False`.

**The traps.** The estimator is unbiased because i = j is left out; so it is negative for about half of the
batches when both domains are alike. Clamping it at 0 brings the bias back. A batch needs two rows of each
domain.

Differs from Long et al.: equal weights of the kernels, and all pairs instead of the linear-time estimate.

Gretton, Borgwardt, Rasch, Schoelkopf, Smola: A kernel two-sample test. JMLR 2012.
https://jmlr.org/papers/v13/gretton12a.html
Long, Cao, Wang, Jordan: Learning transferable features with deep adaptation networks. ICML 2015.
https://arxiv.org/abs/1502.02791
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import widen
from vultus.training.checks import check_positive, check_rows
from vultus.training.distances import squared_distances

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


class MMDLoss(nn.Module):
    """The unbiased squared MMD of two domains; may be negative.

    Args:
        bandwidths: the kernels' widths.
        is_relative: whether they are multiples of the batch's own spread, or distances.

    Raises:
        InputError: no bandwidth, or one that is not positive.
    """

    def __init__(self, *, bandwidths: Sequence[float] = BANDWIDTHS, is_relative: bool = True) -> None:
        super().__init__()
        if not bandwidths:
            raise InputError(f"bandwidths must name at least one width, such as {BANDWIDTHS}")
        check_positive(bandwidth=min(bandwidths))
        self.bandwidths = tuple(bandwidths)
        self.is_relative = is_relative

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """MMD^2 of (M, D) and (N, D) embeddings.

        Raises:
            ShapeError: another shape or dtype, other lengths of rows, or fewer than two rows of a domain.
        """
        check_domains(source, target)
        both = widen(torch.cat([source, target]))
        squares = squared_distances(both)
        scale = _mean_off_diagonal(squares).detach() if self.is_relative else squares.new_ones(())
        if not scale > 0:  # all rows are one: every kernel is 1 there, whatever its width
            scale = torch.ones_like(scale)
        widths = squares.new_tensor(self.bandwidths).square() * scale  # sigma^2
        return unbiased_mmd(gaussian_kernel(squares, widths), source_count=len(source))


def check_domains(source: Tensor, target: Tensor) -> None:
    """Refuse batches of which a domain's spread cannot be told.

    Raises:
        ShapeError: another shape or dtype, other lengths of rows, or fewer than two rows of a domain.
    """
    check_rows(source=source)
    check_rows(target=target)
    if source.shape[1] != target.shape[1]:
        raise ShapeError(
            f"source and target must have rows of one length, got {source.shape} and {target.shape}"
        )
    if min(len(source), len(target)) < 2:
        raise ShapeError(
            f"a batch needs at least two rows of each domain, "
            f"got {len(source)} of source and {len(target)} of target"
        )


def gaussian_kernel(squares: Tensor, widths: Tensor) -> Tensor:
    """The mean over (K,) sigma^2 of exp(-squares / (2 sigma^2)); any shape."""
    return torch.stack([(-squares / (2 * width)).exp() for width in widths]).mean(0)


def unbiased_mmd(kernel: Tensor, *, source_count: int) -> Tensor:
    """MMD^2 from the (M + N, M + N) kernel of all rows, of which the first `source_count` are the source."""
    within_source = kernel[:source_count, :source_count]
    within_target = kernel[source_count:, source_count:]
    across = kernel[:source_count, source_count:]
    return _mean_off_diagonal(within_source) + _mean_off_diagonal(within_target) - 2 * across.mean()


def _mean_off_diagonal(square: Tensor) -> Tensor:
    count = len(square)
    is_other = ~torch.eye(count, dtype=torch.bool, device=square.device)
    return square.where(is_other, 0.0).sum() / (count * (count - 1))
