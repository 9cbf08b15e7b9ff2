"""Train an embedder on one domain for another: labelled source faces, and target faces as they will come.

    vultus train adapt --run runs/adapt --set faces=SOURCE --set target=TARGET --set method=mmd
    vultus train adapt --run runs/adapt --set faces=SOURCE --set target=TARGET --set method=joint

    joint    L = w L_CosFace(source) + (1 - w) L_CosFace(target)            the target needs labels, too
    mmd      L = L_CosFace(source) + d MMD^2(source, target)                no labels of the target are read
    coral    L = L_CosFace(source) + d |C_source - C_target|^2 / (4 D^2)    likewise

Half of each batch is source, half is target; an epoch ends when the larger one was seen once. MMD compares
the distributions of the embeddings, CORAL their covariances. Where some hundred labels of the target can be
had, `joint` is the stronger and simpler tool; start from trained weights (`start`) in any case.

Differs from the papers: a margin softmax, and the embedding is what is aligned, not a layer before it; where
both domains name the same person, it is one class.

Long, Cao, Wang, Jordan: Learning transferable features with deep adaptation networks. ICML 2015 (MMD).
https://arxiv.org/abs/1502.02791
Sun, Saenko: Deep CORAL: correlation alignment for deep domain adaptation. ECCV workshops 2016.
https://arxiv.org/abs/1607.01719
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.checks import check_not_negative
from vultus.training.data.identities import Selection, select
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.data.joined import JoinedFaces
from vultus.training.data.reading import read_faces
from vultus.training.data.samplers import balanced
from vultus.training.losses.collectives import gather_rows
from vultus.training.losses.coral import CoralLoss
from vultus.training.losses.cosface import CosFaceLoss
from vultus.training.losses.joint_domains import JointDomainsLoss
from vultus.training.losses.mmd import MMDLoss
from vultus.training.recognition import (
    RecogniserSettings,
    data_of,
    embedding_size_of,
    encoder_of,
    faces_of_people,
    has_crops,
    network_of,
    samples_of,
    validation_of,
)
from vultus.training.run import open_run
from vultus.training.settings import Optimizer
from vultus.training.trainer import fit

Method = Literal["joint", "mmd", "coral"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptRecipe(RecogniserSettings):
    """How an embedder is adapted. What is not here stands in `RecogniserSettings` and `TrainSettings`.

    `faces` is the source, and `people` and `split` hold for both domains.

    Attributes:
        target: faces of the target domain, in any form that `faces` has.
        sources: of tar shards, the values of the column `source` that make the source domain; none takes all.
        target_sources: likewise for the target domain.
        method: joint, mmd or coral.
        source_weight: w of `joint`.
        domain_weight: d of `mmd` and `coral`.
        margin_cos: of CosFace.
        scale: of CosFace.
    """

    target: Path | None = None
    sources: tuple[str, ...] = ()
    target_sources: tuple[str, ...] = ()
    method: Method = "joint"
    source_weight: float = 0.7
    domain_weight: float = 1.0
    margin_cos: float = 0.35
    scale: float = 64.0

    epochs: int = 20
    batch_size: int = 128
    optimizer: Optimizer = "sgd"
    lr: float = 0.02
    warmup_epochs: float = 1.0

    def __post_init__(self) -> None:
        super(AdaptRecipe, self).__post_init__()
        check_not_negative(domain_weight=self.domain_weight)
        if self.method not in get_args(Method):
            raise InputError(f"method must be one of {', '.join(get_args(Method))}, got {self.method!r}")
        if self.batch_size % 2 or self.batch_size < 4:
            raise InputError(
                f"half of a batch is source, half is target, two crops each at least: got {self.batch_size}"
            )


class AdaptLosses(NamedTuple):
    """Scalars: what is minimised; the class loss, for `joint` of both domains; the domains' distance."""

    total: Tensor
    classes: Tensor
    domains: Tensor


class AdaptLearner(nn.Module):
    """The network and what it learns from.

    Args:
        network: crops to embeddings.
        recipe: the losses.
        people: how many classes there are.
        source_count: crops of the source; rows from there on are the target's.
    """

    def __init__(self, network: nn.Module, recipe: AdaptRecipe, *, people: int, source_count: int) -> None:
        super().__init__()
        self.network = network
        self.encode = encoder_of(recipe)
        self.source_count = source_count
        size = embedding_size_of(recipe)
        classes = CosFaceLoss(size, people, margin_cos=recipe.margin_cos, scale=recipe.scale)
        self.classes: nn.Module = classes
        self.domains: nn.Module | None = None
        self.domain_weight = 0.0
        if recipe.method == "joint":
            self.classes = JointDomainsLoss(classes, source_weight=recipe.source_weight)
        else:
            self.domains = MMDLoss() if recipe.method == "mmd" else CoralLoss()
            self.domain_weight = recipe.domain_weight

    def forward(self, batch: FaceBatch) -> AdaptLosses:
        """The losses of one batch; of several processes, all of their crops together."""
        raw = gather_rows(self.encode(self.network, batch.images))
        labels, rows = gather_rows(batch.labels), gather_rows(batch.rows)
        is_source = rows < self.source_count
        source, target = raw[is_source], raw[~is_source]
        if self.domains is None:
            classes = self.classes((source, labels[is_source]), (target, labels[~is_source]))
            return AdaptLosses(classes, classes, classes.new_zeros(()))
        classes = self.classes(source, labels[is_source])
        domains = self.domains(source, target)
        return AdaptLosses(classes + self.domain_weight * domains, classes, domains)


def train(recipe: AdaptRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: no target, an unknown network, or people that a method needs and that are not there.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    source, target = domains_of(recipe)
    both = JoinedFaces(source, target)
    people = len(both.names) if recipe.method == "joint" else len(source.names)
    domain = (np.arange(len(both)) >= len(source)).astype(np.int64)
    half = recipe.batch_size // 2
    return fit(
        AdaptLearner(network_of(recipe), recipe, people=people, source_count=len(source)),
        samples_of(both, recipe),
        settings=recipe,
        run=open_run(folder, recipe, data=data_of(recipe, target=recipe.target)),
        plan=balanced(domain, per_batch=(half, half), seed=recipe.seed),
        validation=validation_of(recipe),
    )


def domains_of(recipe: AdaptRecipe) -> tuple[Selection, Selection]:
    """Source and target faces: people with two crops, but of an unlabelled target everything.

    Raises:
        InputError: no target, or no such people.
    """
    if recipe.target is None:
        raise InputError("name the faces of the target domain: target=FOLDER")
    source, target = (
        faces_of_people(
            read_faces(path, split=recipe.split, cache=recipe.cache, sources=sources), recipe.people
        )
        for path, sources in ((recipe.faces, recipe.sources), (recipe.target, recipe.target_sources))
    )
    source = select(source, has_crops(source, at_least=2))
    if recipe.method == "joint":
        target = select(target, has_crops(target, at_least=2))
    return source, target
