"""Train a Siamese network: two faces through one embedder, near if they are one person, apart if not.

    vultus train siamese_contrastive --run runs/siamese --set faces=FACES --set network=compact-resnet
    vultus train siamese_contrastive --run runs/siamese --set faces=FACES --set verification_head=true

    L = mean over pairs of d^2 / 2 for one person, max(0, m - d)^2 / 2 for two,    d = |u - v|
      + w BCE(alpha . |u - v| + beta, same)                                with `verification_head`

u and v are the unit embeddings. Half of each batch are pairs of one person; in an epoch every crop is the
first of one such pair and of one pair of two people. With a head, best.pt holds head and embedder, and
embedder.pt the embedder alone.

Differs from the papers: networks of this package; pairs are drawn anew in every epoch; both losses are added.

Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping. CVPR 2006.
https://doi.org/10.1109/CVPR.2006.100
Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition. ICML workshop 2015.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.image import replace_file
from vultus.networks.embedding import unit
from vultus.networks.siamese import Siamese, VerificationHead
from vultus.training.checks import check_not_negative
from vultus.training.data.identities import IdentitySet, crop_counts
from vultus.training.data.identity_samples import FaceSamples
from vultus.training.data.samplers import balanced
from vultus.training.losses.contrastive import ContrastiveLoss
from vultus.training.recognition import (
    RecogniserSettings,
    data_of,
    embedding_size_of,
    encoder_of,
    known_faces,
    network_of,
    samples_of,
    validation_of,
)
from vultus.training.run import Run, open_run
from vultus.training.samples import Draw, chance_of
from vultus.training.settings import Optimizer
from vultus.training.trainer import Validation, fit

HEAD_PREFIX = "siamese.embedder."


@dataclass(frozen=True, slots=True, kw_only=True)
class SiameseRecipe(RecogniserSettings):
    """How a Siamese network is trained. What is not here stands in `RecogniserSettings`, `TrainSettings`.

    Attributes:
        margin_l2: m, a distance of unit vectors, which is 0 to 2.
        verification_head: whether a head learns to say how likely two faces are one person.
        head_weight: w, of its loss.
        batch_size: pairs of one step; an even number.
    """

    margin_l2: float = 1.0
    verification_head: bool = False
    head_weight: float = 1.0

    batch_size: int = 64
    epochs: int = 50
    optimizer: Optimizer = "adam"
    lr: float = 1e-3
    warmup_epochs: float = 1.0

    def __post_init__(self) -> None:
        super(SiameseRecipe, self).__post_init__()
        check_not_negative(head_weight=self.head_weight)
        if self.batch_size % 2:
            raise InputError(f"half of a batch are pairs of one person: {self.batch_size} is no even number")


class PairBatch(NamedTuple):
    """N pairs of crops.

    Attributes:
        first: (N, 3, S, S) uint8, RGB.
        second: (N, 3, S, S) uint8, RGB.
        is_same: (N,) bool, True where both show one person.
    """

    first: Tensor
    second: Tensor
    is_same: Tensor


class PairSamples:
    """Pairs of faces: sample 2 i is crop i with another one of the same person, 2 i + 1 with somebody else's.

    Which other crop it is, is the draw's chance: another one in every epoch.

    Args:
        faces: crops of known people, at least two people with at least two crops each.
        samples: the same crops as pictures.
        seed: of the run.

    Raises:
        InputError: fewer people or crops, or a crop of nobody known.
    """

    def __init__(self, faces: IdentitySet, samples: FaceSamples, *, seed: int) -> None:
        counts = crop_counts(faces)
        if len(counts) < 2 or counts.min() < 2 or faces.identity_index.min() < 0:
            raise InputError("pairs take at least two known people with at least two crops each")
        self._person = faces.identity_index
        self._order = np.argsort(self._person, kind="stable")  # crops, person after person
        self._place = np.argsort(self._order)  # where in that order each crop stands
        self._starts, self._counts = np.cumsum(counts) - counts, counts
        self._samples = samples
        self._seed = seed

    def __len__(self) -> int:
        return 2 * len(self._person)

    def kinds(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """(len,) 0 for pairs of one person, 1 for pairs of two."""
        return np.arange(len(self)) % 2

    def partner(self, draw: Draw) -> int:
        """The other crop of a pair."""
        crop, kind = divmod(draw.sample, 2)
        person = self._person[crop]
        start, count, total = int(self._starts[person]), int(self._counts[person]), len(self._person)
        chance = chance_of(self._seed, draw)
        if kind == 0:  # a step of 1 .. count - 1 around this person's crops
            step = int(chance.integers(1, count))
            return int(self._order[start + (self._place[crop] - start + step) % count])
        step = int(chance.integers(total - count))  # behind this person's crops, around the others'
        return int(self._order[(start + count + step) % total])

    def batch(self, draws: Sequence[Draw]) -> PairBatch:
        """The pairs of one step: the same draws always give the same pictures."""
        firsts = [draw._replace(sample=draw.sample // 2) for draw in draws]
        seconds = [draw._replace(sample=self.partner(draw)) for draw in draws]
        images = self._samples.batch([*firsts, *seconds]).images
        is_same = torch.tensor([draw.sample % 2 == 0 for draw in draws])
        return PairBatch(images[: len(draws)], images[len(draws) :], is_same)


class SiameseLosses(NamedTuple):
    """Scalars: what is minimised, and its parts; the head's is 0 where there is none."""

    total: Tensor
    contrastive: Tensor
    head: Tensor


class SiameseLearner(nn.Module):
    """The embedder, or head and embedder, and what it learns from.

    Args:
        embedder: crops to embeddings.
        recipe: the losses.

    Attributes:
        network: the embedder, or the head that holds it.
    """

    def __init__(self, embedder: nn.Module, recipe: SiameseRecipe) -> None:
        super().__init__()
        self.network = embedder
        if recipe.verification_head:
            self.network = VerificationHead(Siamese(embedder), embedding_size=embedding_size_of(recipe))
        self.encode = encoder_of(recipe)
        self.contrastive = ContrastiveLoss(margin_l2=recipe.margin_l2)
        self.head_weight = recipe.head_weight

    def forward(self, batch: PairBatch) -> SiameseLosses:
        """The losses of one batch; both pictures of all pairs pass the network together."""
        both = torch.cat([batch.first, batch.second])
        u, v = unit(self.encode(embedder_of(self.network), both)).chunk(2)
        contrastive = self.contrastive(u, v, batch.is_same)
        head = contrastive.new_zeros(())
        if isinstance(self.network, VerificationHead):
            head = F.binary_cross_entropy_with_logits(self.network.compare(u, v), batch.is_same.float())
        return SiameseLosses(contrastive + self.head_weight * head, contrastive, head)


def train(recipe: SiameseRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, or fewer than two people with two crops.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    faces = known_faces(recipe)
    pairs = PairSamples(faces, samples_of(faces, recipe), seed=recipe.seed)
    half = recipe.batch_size // 2
    run = open_run(folder, recipe, data=data_of(recipe))
    figures = fit(
        SiameseLearner(network_of(recipe), recipe),
        pairs,
        settings=recipe,
        run=run,
        plan=balanced(pairs.kinds(), per_batch=(half, half), seed=recipe.seed),
        validation=_validation(recipe),
    )
    if recipe.verification_head:
        keep_embedder(run)
    return figures


def embedder_of(network: nn.Module) -> nn.Module:
    """What makes the embeddings: the network, or what its head holds."""
    return network.siamese.embedder if isinstance(network, VerificationHead) else network


def keep_embedder(run: Run) -> Path:
    """Write embedder.pt: the best embedder without its head, as every other recipe keeps its network."""
    state = torch.load(run.best, map_location="cpu", weights_only=True)
    embedder = {
        name.removeprefix(HEAD_PREFIX): value for name, value in state.items() if name.startswith(HEAD_PREFIX)
    }
    path = run.folder / "embedder.pt"
    with replace_file(path) as stream:
        torch.save(embedder, stream)
    return path


def _validation(recipe: SiameseRecipe) -> Validation | None:
    judged = validation_of(recipe)
    if judged is None:
        return None
    return Validation(lambda network: judged.measure(embedder_of(network)), judged.best)
