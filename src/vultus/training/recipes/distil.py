"""Distil an embedder: a small network learns to embed faces as a large one does.

    vultus train distil --run runs/distil --set faces=FACES --set network=compact-resnet
    vultus train distil --run runs/distil --set faces=PEOPLE --set margin_weight=0.1

The teacher's embeddings of all crops are computed once (`training/data/teacher.py`), so the teacher costs
nothing after that, and no labels are needed. The student sees each face shifted, turned, lit and degraded,
and has to say what the teacher said of the clean picture:

    L = (1 - cos(s, t)) + lambda_rel L_relations(s, t) + lambda_margin L_CosFace(s, y)

The relations are the distances and angles within a batch (Park 2019). The margin head is for crops whose
person is known; the others pass it by. With `blends`, two crops laid into each other are learnt from too:
where faces are few, the teacher can answer for more.

Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015. https://arxiv.org/abs/1503.02531
Park, Kim, Lu, Cho: Relational knowledge distillation. CVPR 2019. https://arxiv.org/abs/1904.05068
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vultus.defaults import ACCURATE_EMBEDDER
from vultus.embed import load_embedder
from vultus.errors import InputError
from vultus.networks.embedding import unit
from vultus.training.checks import check_not_negative
from vultus.training.data.blended import BlendedFaces
from vultus.training.data.crop_cache import cached
from vultus.training.data.identities import IdentitySet, Selection
from vultus.training.data.identity_samples import FaceBatch, FaceSamples
from vultus.training.data.joined import JoinedFaces
from vultus.training.data.shards import read_shards
from vultus.training.data.teacher import read_teacher, teacher_embeddings
from vultus.training.losses.cosface import CosFaceLoss
from vultus.training.losses.distillation import EmbeddingDistillationLoss, RelationalDistillationLoss
from vultus.training.recognition import (
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
from vultus.training.settings import Optimizer, Precision
from vultus.training.trainer import fit
from vultus.types import Embeddings


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilRecipe(RecogniserSettings):
    """How an embedder is distilled. What is not here stands in `RecogniserSettings` and `TrainSettings`.

    Attributes:
        teacher: an embedder of the catalogue.
        teacher_embeddings: its embeddings of the crops, in NumPy's format, with a row for each row of
            index.csv; None computes them first and keeps them in `cache`.
        relation_weight: of the distances (25) and angles (50) within a batch.
        margin_weight: of CosFace over the crops whose person is known; 0 has no such head.
        margin_cos: its margin.
        margin_scale: its scale.
        blends: so many blended crops for each crop are learnt from beside them (`training/data/blended.py`);
            the teacher's answers to them are computed first, and kept in `cache`.
    """

    teacher: str = ACCURATE_EMBEDDER
    teacher_embeddings: Path | None = None
    relation_weight: float = 1.0
    margin_weight: float = 0.0
    margin_cos: float = 0.35
    margin_scale: float = 64.0
    blends: float = 0.0

    epochs: int = 24
    batch_size: int = 128
    optimizer: Optimizer = "adamw"
    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 0.5
    ema_decay: float | None = 0.999
    clip_norm: float | None = 5.0
    precision: Precision = "bf16-mixed"

    def __post_init__(self) -> None:
        super(DistilRecipe, self).__post_init__()
        check_not_negative(blends=self.blends)


class TaughtBatch(NamedTuple):
    """N crops and what the teacher says of them.

    Attributes:
        faces: the crops, with labels that are -1 where nobody knows.
        targets: (N, D) unit rows.
    """

    faces: FaceBatch
    targets: Tensor


class TaughtSamples:
    """`FaceSamples` with the teacher's rows beside them."""

    def __init__(self, samples: FaceSamples, targets: Embeddings) -> None:
        self._samples = samples
        self._targets = torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self._samples)

    def batch(self, draws: Sequence[Draw]) -> TaughtBatch:
        """The crops of one step and their targets."""
        faces = self._samples.batch(draws)
        return TaughtBatch(faces, self._targets[faces.rows])


class DistilLosses(NamedTuple):
    """Scalars: what is minimised, and its parts before their weights."""

    total: Tensor
    cosine: Tensor
    relations: Tensor
    margin: Tensor


class DistilLearner(nn.Module):
    """The student and what it is taught by.

    Args:
        network: the student.
        recipe: weights of the losses.
        people: how many classes the margin head has.
    """

    def __init__(self, network: nn.Module, recipe: DistilRecipe, *, people: int) -> None:
        super().__init__()
        self.network = network
        self.encode = encoder_of(recipe)
        self.cosine = EmbeddingDistillationLoss()
        self.relations = RelationalDistillationLoss()
        self.relation_weight, self.margin_weight = recipe.relation_weight, recipe.margin_weight
        size = embedding_size_of(recipe)
        self.head = None
        if recipe.margin_weight:
            self.head = CosFaceLoss(size, people, margin_cos=recipe.margin_cos, scale=recipe.margin_scale)

    def forward(self, batch: TaughtBatch) -> DistilLosses:
        """The losses of one batch."""
        raw = self.encode(self.network, batch.faces.images)
        embeddings = unit(raw)
        cosine = self.cosine(raw, batch.targets)
        relations = (
            self.relations(embeddings, batch.targets) if self.relation_weight else cosine.new_zeros(())
        )
        margin = self._margin(raw, batch.faces.labels)
        total = cosine + self.relation_weight * relations + self.margin_weight * margin
        return DistilLosses(total, cosine, relations, margin)

    def _margin(self, raw: Tensor, labels: Tensor) -> Tensor:
        """CosFace over the crops whose person is known; 0 without a head, or without such a crop."""
        is_known = labels >= 0
        if self.head is None:
            return raw.new_zeros((), dtype=torch.float32)
        if not is_known.any():
            return 0 * self.head.weight.sum()  # a gradient all the same: processes wait for each other's
        loss: Tensor = self.head(raw[is_known], labels[is_known])
        return loss


def train(recipe: DistilRecipe, folder: Path) -> Mapping[str, float]:
    """Distil, or go on with the run in this folder; the best student's weights are in best.pt there.

    Raises:
        InputError: an unknown network or teacher, no crops, or embeddings that do not fit them.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    network = network_of(recipe)
    faces, targets = taught_faces(recipe)
    if targets.shape[1] != embedding_size_of(recipe):
        raise InputError(
            f"the teacher's embeddings have {targets.shape[1]} values, those of {recipe.network} "
            f"{embedding_size_of(recipe)}: choose a network of the teacher's size"
        )
    people = len(faces.names)
    if recipe.margin_weight and people < 2:
        raise InputError(f"a margin head needs two known people, got {people}: set margin_weight=0")
    return fit(
        DistilLearner(network, recipe, people=people),
        TaughtSamples(samples_of(faces, recipe), targets),
        settings=recipe,
        run=open_run(folder, recipe, data=data_of(recipe, teacher_embeddings=recipe.teacher_embeddings)),
        plan=shuffled(len(faces), recipe.batch_size, seed=recipe.seed, drop_last=True),
        validation=validation_of(recipe),
    )


def taught_faces(recipe: DistilRecipe) -> tuple[IdentitySet, Embeddings]:
    """The N crops, blends after them, and the (N, D) teacher's unit embeddings.

    Raises:
        InputError: as `targets_of`; no place to keep the blends.
    """
    faces = all_faces(recipe)
    targets = targets_of(faces, recipe)
    count = round(recipe.blends * len(faces))
    if not count:
        return faces, targets
    blended = cached(BlendedFaces(faces, count, seed=recipe.seed), cache_of(recipe))
    answers = computed_targets(blended, recipe)
    return JoinedFaces(faces, blended), np.concatenate([targets, answers])


def targets_of(faces: Selection, recipe: DistilRecipe) -> Embeddings:
    """(N, D) the teacher's unit embedding of each crop: read, or computed and kept.

    Raises:
        InputError: embeddings that do not belong to tar shards, or no place to keep them.
    """
    if recipe.teacher_embeddings is not None:
        if not (recipe.faces / "index.csv").exists():
            raise InputError(
                f"teacher_embeddings has a row for each row of the shards' index.csv, and there is none in "
                f"{recipe.faces}"
            )
        rows = read_shards(recipe.faces, split=recipe.split).rows[faces.indices]
        return read_teacher(recipe.teacher_embeddings, rows)
    return computed_targets(faces, recipe)


def computed_targets(faces: IdentitySet, recipe: DistilRecipe) -> Embeddings:
    """(N, D) the teacher's unit embedding of each crop, computed unless they have been.

    Raises:
        InputError: no such teacher, or no place to keep them.
    """
    cache = cache_of(recipe)
    teacher = load_embedder(recipe.teacher, runtime="auto", threads=recipe.threads)
    return read_teacher(teacher_embeddings(faces, teacher, cache), np.arange(len(faces)))


def cache_of(recipe: DistilRecipe) -> Path:
    """Where what is computed once is kept.

    Raises:
        InputError: nowhere.
    """
    if recipe.cache is None:
        raise InputError("name a folder where the teacher's embeddings are kept: cache=FOLDER")
    return recipe.cache
