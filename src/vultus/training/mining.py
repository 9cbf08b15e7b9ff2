"""Which triplets to learn from: four rules, each under its own name.

A triplet is an anchor a, a positive p (another picture of the same person) and a negative n (somebody else).
With squared distances between unit vectors, d_ap^2 and d_an^2 in [0, 4], and the margin alpha:

    random_triplets         any n                                         one for each pair (a, p)
    hardest_triplets        the farthest p and the nearest n              one for each a
    semi_hard_triplets      d_ap^2 < d_an^2 < d_ap^2 + alpha              all of them
    violating_triplets      d_an^2 < d_ap^2 + alpha                       all of them: semi-hard and hard

Semi-hard is FaceNet's rule (its eq. 4 and section 3.2): the nearest negatives of all collapse the network
early on, to f(x) = 0. Taking every violator is often called semi-hard; it is another rule.
Differs from the paper: all semi-hard negatives of a pair are taken instead of one; distances are within the
batch.

Batches are P people x K pictures: a person with one picture is nobody's positive. A batch without any triplet
gives an empty set, and the loss of an empty set is 0.

Schroff, Kalenichenko, Philbin: FaceNet. CVPR 2015. https://arxiv.org/abs/1503.03832
Hermans, Beyer, Leibe: In defense of the triplet loss (the hardest of a batch). 2017.
https://arxiv.org/abs/1703.07737
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from vultus.networks.embedding import unit
from vultus.training.checks import check_indices, check_rows
from vultus.training.distances import squared_distances


class Triplets(NamedTuple):
    """Three (T,) int64 tensors of rows of one batch; T may be 0."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


# (embeddings (N, D), labels (N,), keyword margin_squared_l2) -> Triplets
Miner: TypeAlias = Callable[..., Triplets]


def random_triplets(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin_squared_l2: float = 0.2,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Each pair of one person with a negative drawn evenly.

    Args:
        embeddings: (N, D); only their number counts.
        labels: (N,) int64, who each row is.
        margin_squared_l2: not used: chance asks for no distance.
        generator: where the chance comes from; torch's own if None.

    Raises:
        ShapeError: another shape or dtype.
    """
    del margin_squared_l2
    is_positive, is_negative = _relations(embeddings, labels)
    anchors, positives = (is_positive & is_negative.any(1, keepdim=True)).nonzero(as_tuple=True)
    if len(anchors) == 0:
        return Triplets(anchors, positives, anchors)
    chances = is_negative[anchors].float()  # (pairs, N)
    return Triplets(anchors, positives, chances.multinomial(1, generator=generator).squeeze(1))


def hardest_triplets(embeddings: Tensor, labels: Tensor, *, margin_squared_l2: float = 0.2) -> Triplets:
    """Each anchor with its farthest positive and its nearest negative ("batch hard").

    Args:
        embeddings: (N, D), of any length.
        labels: (N,) int64, who each row is.
        margin_squared_l2: not used: the hardest are taken even where they are apart already.

    Raises:
        ShapeError: another shape or dtype.
    """
    del margin_squared_l2
    is_positive, is_negative = _relations(embeddings, labels)
    squares = squared_distances(unit(embeddings.detach()))
    farthest = squares.where(is_positive, -torch.inf).argmax(1)
    nearest = squares.where(is_negative, torch.inf).argmin(1)
    anchors = (is_positive.any(1) & is_negative.any(1)).nonzero().squeeze(1)
    return Triplets(anchors, farthest[anchors], nearest[anchors])


def semi_hard_triplets(embeddings: Tensor, labels: Tensor, *, margin_squared_l2: float = 0.2) -> Triplets:
    """Every triplet whose negative is farther than the positive, but by less than the margin.

    Args:
        embeddings: (N, D), of any length.
        labels: (N,) int64, who each row is.
        margin_squared_l2: alpha.

    Raises:
        ShapeError: another shape or dtype.
    """
    candidates, lead = _all_triplets(embeddings, labels)
    return _select(candidates, (lead > 0) & (lead < margin_squared_l2))


def violating_triplets(embeddings: Tensor, labels: Tensor, *, margin_squared_l2: float = 0.2) -> Triplets:
    """Every triplet with a loss above 0: the semi-hard ones, and those with the negative nearer still.

    Args:
        embeddings: (N, D), of any length.
        labels: (N,) int64, who each row is.
        margin_squared_l2: alpha.

    Raises:
        ShapeError: another shape or dtype.
    """
    candidates, lead = _all_triplets(embeddings, labels)
    return _select(candidates, lead < margin_squared_l2)


def _all_triplets(embeddings: Tensor, labels: Tensor) -> tuple[Triplets, Tensor]:
    """Every triplet of the batch, and by how much its negative is farther: d_an^2 - d_ap^2."""
    is_positive, is_negative = _relations(embeddings, labels)
    squares = squared_distances(unit(embeddings.detach()))
    first, second = is_positive.nonzero(as_tuple=True)  # pairs, so that N^3 never has to fit in memory
    pair, negatives = is_negative[first].nonzero(as_tuple=True)
    candidates = Triplets(first[pair], second[pair], negatives)
    lead = squares[candidates.anchors, negatives] - squares[candidates.anchors, candidates.positives]
    return candidates, lead


def _select(triplets: Triplets, is_chosen: Tensor) -> Triplets:
    return Triplets(*(rows[is_chosen] for rows in triplets))


def _relations(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(N, N) bool: same person but another row; another person."""
    check_rows(embeddings=embeddings)
    check_indices(labels, (len(embeddings),), "labels")
    is_same = labels[:, None] == labels
    return is_same.fill_diagonal_(False), labels[:, None] != labels
