"""Train an embedder without labels: two pictures of one crop must find each other among thousands of others.

    vultus train moco --run runs/moco --set faces=FACES --set network=compact-resnet
    vultus train arcface --run runs/arcface --set faces=PEOPLE --set start=runs/moco/best.pt

    L = -log( exp(q.k+ / tau) / (exp(q.k+ / tau) + sum_(k in queue) exp(q.k / tau)) )
    theta_k <- m theta_k + (1 - m) theta_q

q is one augmented picture's embedding, k+ that of the other, made by a key encoder that slowly follows. Keys
of former batches wait in a queue. Key encoder and queue are part of the checkpoint. What comes out is a
network to start from: it knows one picture of a face from another, not yet one person from another.

The keys pass the key encoder in shuffled parts (`key_parts`): seen as one batch with the queries' partners,
batch norms would give away which key belongs to which query (section 3.3).

Differs from the paper: parts on one device instead of a shuffle over devices; the queue holds 16,384 keys, as
face sets without labels are smaller than ImageNet; the embedding itself is compared, there is no head on top.

He, Fan, Wu, Xie, Girshick: Momentum contrast for unsupervised visual representation learning. CVPR 2020.
https://arxiv.org/abs/1911.05722
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.checks import check_positive
from vultus.training.data.identity_samples import FaceSamples
from vultus.training.losses.collectives import gather_rows
from vultus.training.losses.moco_info_nce import MoCoInfoNCELoss, follow
from vultus.training.recognition import (
    Augmentation,
    RecogniserSettings,
    all_faces,
    data_of,
    embedding_size_of,
    encoder_of,
    network_of,
    samples_of,
    validation_of,
)
from vultus.training.run import open_run
from vultus.training.samples import Draw, shuffled
from vultus.training.trainer import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class MoCoRecipe(RecogniserSettings):
    """How a network learns without labels. What is not here stands in `RecogniserSettings`, `TrainSettings`.

    Attributes:
        queue_size: K, keys that queries are compared with.
        key_momentum: m, how slowly the key encoder follows.
        temperature: tau.
        key_parts: in how many parts the keys of a batch are made.
    """

    queue_size: int = 16_384
    key_momentum: float = 0.999
    temperature: float = 0.07
    key_parts: int = 2

    augmentation: Augmentation = "strong"
    epochs: int = 200
    batch_size: int = 256
    lr: float = 0.03
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        super(MoCoRecipe, self).__post_init__()
        check_positive(queue_size=self.queue_size, temperature=self.temperature, key_parts=self.key_parts)
        if not 0 <= self.key_momentum <= 1:
            raise InputError(f"key_momentum must lie in [0, 1], got {self.key_momentum}")
        if 2 * self.key_parts > self.batch_size:
            raise InputError(
                f"{self.batch_size} crops do not make {self.key_parts} parts of at least two: batch norms "
                "need two"
            )


class TwoViews(NamedTuple):
    """N crops, each as two pictures: (N, 3, S, S) uint8, RGB."""

    queries: Tensor
    keys: Tensor


class TwoViewSamples:
    """`FaceSamples`, each crop augmented twice."""

    def __init__(self, samples: FaceSamples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def batch(self, draws: Sequence[Draw]) -> TwoViews:
        """Both pictures of the crops of one step."""
        images = self._samples.batch([*draws, *draws]).images  # what is named twice becomes two pictures
        return TwoViews(*images.chunk(2))


class MoCoLosses(NamedTuple):
    """A scalar: what is minimised."""

    total: Tensor


class MoCoLearner(nn.Module):
    """The network, the key encoder that follows it, and the queue.

    Args:
        network: crops to embeddings.
        recipe: the queue and how the key encoder follows.
    """

    def __init__(self, network: nn.Module, recipe: MoCoRecipe) -> None:
        super().__init__()
        self.network = network
        self.key_encoder = deepcopy(network).requires_grad_(False)
        self.encode = encoder_of(recipe)
        self.loss = MoCoInfoNCELoss(
            embedding_size_of(recipe), queue_size=recipe.queue_size, temperature=recipe.temperature
        )
        self.key_momentum, self.key_parts = recipe.key_momentum, recipe.key_parts

    def forward(self, batch: TwoViews) -> MoCoLosses:
        """The loss of one batch; with several processes all keys join every queue."""
        queries = self.encode(self.network, batch.queries)
        follow(self.key_encoder, self.network, momentum=self.key_momentum)
        keys = self.keys(batch.keys)
        return MoCoLosses(self.loss(gather_rows(queries), gather_rows(keys)))

    @torch.no_grad()
    def keys(self, images: Tensor) -> Tensor:
        """(N, D) of (N, 3, S, S), made in shuffled parts, in their own order again."""
        order = torch.randperm(len(images), device=images.device)
        parts = order.tensor_split(self.key_parts)
        keys = torch.cat([self.encode(self.key_encoder, images[part]) for part in parts])
        return keys[order.argsort()]


def train(recipe: MoCoRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, or fewer crops than the queue holds keys.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    faces = all_faces(recipe)
    if recipe.queue_size >= len(faces):
        raise InputError(
            f"a queue of {recipe.queue_size:,} keys made from {len(faces):,} crops would hold each crop's "
            "own older key as a negative: set queue_size to a fraction of the crops"
        )
    return fit(
        MoCoLearner(network_of(recipe), recipe),
        TwoViewSamples(samples_of(faces, recipe)),
        settings=recipe,
        run=open_run(folder, recipe, data=data_of(recipe)),
        plan=shuffled(len(faces), recipe.batch_size, seed=recipe.seed, drop_last=True),
        validation=validation_of(recipe),
    )
