"""MoCo's InfoNCE: find one's own key among a queue of many older ones.

    L_q = -log( exp(q.k+ / tau) / (exp(q.k+ / tau) + sum_(k in queue) exp(q.k / tau)) )       (eq. 1)
    theta_k <- m theta_k + (1 - m) theta_q                                                    (eq. 2)

q is the query of one view, k+ the key of the other view of the same picture, made by a slowly following copy
of the encoder. tau is `temperature` (paper 0.07), m is `momentum` (paper 0.999), the queue holds `queue_size`
keys (paper 65,536). All vectors are normalised. The keys get no gradient. A batch joins the queue after its
own loss, and pushes the oldest out: were it before, each query would meet its own key as a negative.

The queue starts with random directions, which real keys replace. Differs from the authors' code: the batch
need not divide the queue. Keys that another process made must be gathered by the caller.

He, Fan, Wu, Xie, Girshick: Momentum contrast for unsupervised visual representation learning. CVPR 2020.
https://arxiv.org/abs/1911.05722
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import unit
from vultus.training.checks import check_positive, check_rows


class MoCoInfoNCELoss(nn.Module):
    """InfoNCE against a queue of earlier keys.

    Args:
        embedding_size: D.
        queue_size: K.
        temperature: tau.

    Attributes:
        queue: (K, D) unit vectors.
        position: the row of the queue that is overwritten next.

    Raises:
        InputError: no room in the queue, or a temperature that is not positive.
    """

    queue: Tensor
    position: Tensor

    def __init__(self, embedding_size: int, *, queue_size: int = 65_536, temperature: float = 0.07) -> None:
        super().__init__()
        check_positive(queue_size=queue_size, temperature=temperature)
        self.temperature = temperature
        self.register_buffer("queue", unit(torch.randn(queue_size, embedding_size)))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The mean loss; then, in training, the keys join the queue.

        Args:
            queries: (N, D), of any length.
            keys: (N, D), in each row that of the same picture; no gradient reaches them.

        Raises:
            ShapeError: a shape or dtype is another one, the batch is empty, or does not fit into the queue.
        """
        check_rows(queries=queries, keys=keys)
        queue_size, embedding_size = self.queue.shape
        if queries.shape[1] != embedding_size or len(queries) > queue_size:
            raise ShapeError(
                f"queries must have shape (N, {embedding_size}) with N up to {queue_size}, "
                f"got {tuple(queries.shape)}"
            )
        loss = info_nce(queries, keys, self.queue, temperature=self.temperature)
        if self.training:
            self._enqueue(unit(keys.detach()))
        return loss

    def _enqueue(self, keys: Tensor) -> None:
        rows = (self.position + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        # A copy: the graph of the loss still holds the old one.
        self.queue = self.queue.index_copy(0, rows, keys.to(self.queue.dtype))
        self.position = (self.position + len(keys)) % len(self.queue)


def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, *, temperature: float) -> Tensor:
    """The mean of eq. 1 for (N, D) queries and keys of any length, and a (K, D) queue of unit vectors."""
    with torch.autocast(queries.device.type, enabled=False):
        q, k = unit(queries), unit(keys.detach())
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.to(q.dtype).T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64, device=q.device))


@torch.no_grad()
def follow(key_encoder: nn.Module, query_encoder: nn.Module, *, momentum: float = 0.999) -> None:
    """Move the key encoder's parameters a little towards the query encoder's (eq. 2); buffers stay.

    Raises:
        InputError: the momentum is outside [0, 1], or the encoders are not of one shape.
    """
    if not 0 <= momentum <= 1:
        raise InputError(f"momentum must be in [0, 1], got {momentum}")
    leading = dict(query_encoder.named_parameters())
    following = dict(key_encoder.named_parameters())
    if {name: value.shape for name, value in leading.items()} != {n: v.shape for n, v in following.items()}:
        raise InputError(
            "the two encoders must have the same parameters; make one a copy.deepcopy of the other"
        )
    for name, value in following.items():
        value.lerp_(leading[name], 1 - momentum)
