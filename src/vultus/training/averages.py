"""A moving average of a network's weights, which is judged and kept in place of the network.

    mean_1 = w_1
    mean_(n+1) = mean_n + (1 - d_n) (w_(n+1) - mean_n),    d_n = min(decay, (1 + n) / (10 + n))

w_n are the weights after step n. Young, the average forgets faster than `decay` says: a short run is not
judged by its start. The batch norms' statistics are averaged too, their counters copied.

Polyak, Juditsky: Acceleration of stochastic approximation by averaging. SIAM J. Control Optim. 1992.
The growing decay is TensorFlow's ExponentialMovingAverage(num_updates).
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """The average of a network: `update_parameters(network)` after each step; `module` is the mean."""

    def average(means: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
        if means[0].is_floating_point():
            slow = min(decay, (1 + int(count)) / (10 + int(count)))
            get_ema_multi_avg_fn(slow)(means, weights, count)  # type: ignore[no-untyped-call]  # torch's
        else:
            for mean, weight in zip(means, weights, strict=True):
                mean.copy_(weight)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
