"""Learning from people by a class for each: what SphereFace, CosFace, ArcFace and center loss share.

The network's raw embedding goes into a loss with a weight for each person; what the loss asks for is the
recipe's. When training is over the classes are thrown away: the network is what is kept.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.checks import check_not_negative
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.data.samplers import class_aware
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
from vultus.training.run import open_run
from vultus.training.samples import Plan, shuffled
from vultus.training.trainer import fit

Sampling = Literal["shuffled", "class_aware"]
ClassLoss = Callable[[int, int], nn.Module]
"""(embedding size, how many people) -> a loss of (embeddings, labels)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings(RecogniserSettings):
    """The knobs of recipes with a class for each person. What is not here stands in `RecogniserSettings`.

    Attributes:
        sampling: shuffled shows every crop once in an epoch, class_aware every person equally often.
        dropout: before the last layer, where the network has one; None leaves what the network has.
        frozen_epochs: so many epochs at the beginning only the classes learn. For going on from trained
            weights (`start`), which fresh classes would disturb.
    """

    sampling: Sampling = "shuffled"
    dropout: float | None = None
    frozen_epochs: int = 0


class ClassLosses(NamedTuple):
    """A scalar: what is minimised."""

    total: Tensor


class ClassLearner(nn.Module):
    """A network and the classes that it learns from.

    Args:
        network: crops to embeddings.
        loss: of embeddings and labels.
        settings: how the network is fed.
        frozen_batches: so many batches at the beginning leave the network as it is.

    Attributes:
        batches: how many batches were seen in training; part of the state, so that a resumed run goes on.
    """

    batches: Tensor

    def __init__(
        self, network: nn.Module, loss: nn.Module, settings: ClassSettings, *, frozen_batches: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.encode = encoder_of(settings)
        self.frozen_batches = frozen_batches
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: FaceBatch) -> ClassLosses:
        """The loss of one batch."""
        if self.batches < self.frozen_batches:
            raw = self._frozen(batch.images)
        else:
            raw = self.encode(self.network, batch.images)
        self.batches += 1
        return ClassLosses(self.loss(raw, batch.labels))

    @torch.no_grad()
    def _frozen(self, images: Tensor) -> Tensor:
        """Embeddings of the network as it is: no gradient, no dropout, and its batch norms learn nothing."""
        self.network.eval()
        raw = self.encode(self.network, images)
        self.network.train(self.training)
        return raw


def train_classes(settings: ClassSettings, folder: Path, loss: ClassLoss) -> Mapping[str, float]:
    """Train a network by a class loss, or go on with the run in this folder.

    Args:
        settings: the recipe.
        folder: of the run; the best network's weights are in best.pt there.
        loss: makes it, after the network has its initial weights.

    Raises:
        InputError: an unknown network, fewer than two people with two crops, or knobs that do not fit.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    network = network_of(settings)
    if settings.dropout is not None:
        set_dropout(network, settings.dropout)
    faces = known_faces(settings)
    if len(faces.names) < 2:
        raise InputError(f"telling people apart takes at least two of them, {settings.faces} has one")
    if settings.sampling == "class_aware":
        plan = class_aware(faces.identity_index, settings.batch_size, seed=settings.seed)
    else:
        plan = shuffled(len(faces), settings.batch_size, seed=settings.seed, drop_last=True)
    return fit(
        ClassLearner(
            network,
            loss(embedding_size_of(settings), len(faces.names)),
            settings,
            frozen_batches=frozen_batches(settings, plan),
        ),
        samples_of(faces, settings),
        settings=settings,
        run=open_run(folder, settings, data=data_of(settings)),
        plan=plan,
        validation=validation_of(settings),
    )


def frozen_batches(settings: ClassSettings, plan: Plan) -> int:
    """How many batches the network stands still.

    Raises:
        InputError: a negative number of epochs, or several processes.
    """
    check_not_negative(frozen_epochs=settings.frozen_epochs)
    if settings.frozen_epochs and process_count(settings) > 1:
        raise InputError(
            "frozen_epochs works in one process only: several would wait for gradients that never come. "
            "Train the frozen epochs alone, or set frozen_epochs=0"
        )
    return settings.frozen_epochs * len(plan(0))


def process_count(settings: RecogniserSettings) -> int:
    """How many processes share the run's batches, before they have found each other."""
    return int(os.environ.get("WORLD_SIZE", settings.devices))


def set_dropout(network: nn.Module, share: float) -> None:
    """Drop this share wherever the network drops features; networks without dropout stay without.

    Raises:
        InputError: the share is outside [0, 1).
    """
    if not 0 <= share < 1:
        raise InputError(f"dropout must lie in [0, 1), got {share}")
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
