"""Siamese network: two images through one embedder, and one number for the pair.

Both images pass the same weights in one batch, so that batch norm sees the same statistics for both, and each
step moves one network. The answer is the cosine of the two unit embeddings u and v. It learns by

    a pair loss    of u, v and whether they belong together: contrastive, or any other of this form
    a head         p(same) = sigmoid(sum_i alpha_i |u_i - v_i| + beta), by binary cross-entropy (Koch et al.,
                   section 3.1; DeepFace's weighted L1, section 4.2)

Both are symmetric in the two images.
Differs from Koch et al.: the embedder is any network of this package, and the differences are those of unit
vectors, like everything that compares embeddings here. The head starts at alpha = -1, beta = 0: the farther
apart, the less the same; training finds where "same" begins.

Bromley, Guyon, LeCun, Saeckinger, Shah: Signature verification using a "siamese" network. NIPS 1993.
Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition. ICML workshop 2015.
Taigman, Yang, Ranzato, Wolf: DeepFace. CVPR 2014.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import unit
from vultus.networks.mobilefacenet import MobileFaceNet
from vultus.networks.variant import Variant

# (first embeddings (N, D), second embeddings (N, D), is_same (N,) bool) -> scalar loss
PairLoss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


class Siamese(nn.Module):
    """Two batches of images to one similarity per pair.

    Args:
        embedder: images (N, 3, H, W) to vectors (N, D), normalised or not.
        pair_loss: what `loss` computes; only training needs it.
    """

    def __init__(self, embedder: nn.Module, *, pair_loss: PairLoss | None = None) -> None:
        super().__init__()
        self.embedder = embedder
        self._pair_loss = pair_loss

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(N,) cosines, -1 to 1, of two (N, 3, H, W) batches; pair i is `first[i]` with `second[i]`.

        Raises:
            ShapeError: the batches differ in shape.
        """
        u, v = self.embed_pairs(first, second)
        return (u * v).sum(dim=1)

    def embed_pairs(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The (N, D) unit embeddings of both batches, in one pass.

        Raises:
            ShapeError: the batches differ in shape.
        """
        if first.shape != second.shape:
            raise ShapeError(f"first and second must have one shape, got {first.shape} and {second.shape}")
        embeddings = unit(self.embedder(torch.cat([first, second])))
        pair_count = first.shape[0]  # len() would fix the batch size of an exported graph
        return embeddings[:pair_count], embeddings[pair_count:]

    def loss(self, first: Tensor, second: Tensor, *, is_same: Tensor) -> Tensor:
        """The pair loss of two batches.

        Args:
            first: (N, 3, H, W).
            second: (N, 3, H, W).
            is_same: (N,) bool, True where both images show one person.

        Raises:
            InputError: the network was built without a pair loss.
        """
        if self._pair_loss is None:
            raise InputError("this Siamese network has no pair loss; build it with pair_loss=...")
        return self._pair_loss(*self.embed_pairs(first, second), is_same)


class VerificationHead(nn.Module):
    """A learned answer to "the same person?" on top of a Siamese network.

    Args:
        siamese: makes the two embeddings.
        embedding_size: their length.
    """

    def __init__(self, siamese: Siamese, *, embedding_size: int) -> None:
        super().__init__()
        self.siamese = siamese
        self.alpha = nn.Parameter(-torch.ones(embedding_size))
        self.beta = nn.Parameter(torch.zeros(()))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(N,) logits: positive for the same person. `sigmoid` of them is p(same)."""
        return self.compare(*self.siamese.embed_pairs(first, second))

    def compare(self, u: Tensor, v: Tensor) -> Tensor:
        """(N,) logits of the (N, D) unit embeddings of both images."""
        return (u - v).abs() @ self.alpha + self.beta


def _siamese_mobilefacenet() -> Siamese:
    return Siamese(MobileFaceNet())


def _verifier_mobilefacenet() -> VerificationHead:
    return VerificationHead(_siamese_mobilefacenet(), embedding_size=128)


_COST = "two images: twice the multiply-adds of MobileFaceNet, once its parameters"

VARIANTS: Mapping[str, Variant] = {
    "siamese-mobilefacenet": Variant(_siamese_mobilefacenet, (112, 112), image_count=2, note=_COST),
    "siamese-mobilefacenet-head": Variant(_verifier_mobilefacenet, (112, 112), image_count=2, note=_COST),
}
