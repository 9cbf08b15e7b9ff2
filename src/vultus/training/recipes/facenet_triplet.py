"""Train FaceNet: triplets on the unit sphere, and a softmax beside them that shows the way early on.

    vultus train facenet_triplet --run runs/facenet --set faces=FACES --set network=facenet-mobilenet-v1
    vultus train facenet_triplet --run runs/facenet --set network=facenet-inception-resnet-v1 ...

    L = mean over semi-hard triplets of (|a - p|^2 - |a - n|^2 + alpha) + w L_softmax(x),    a, p, n = x / |x|

A batch is P people with K crops each; which triplets of it are semi-hard is `training/mining.py`. The softmax
reads the embedding before its L2 layer: on unit vectors it could not converge.

Crops are seen at `size_px`: 112 is the middle of crops that `vultus align` makes; the public FaceNets saw
160 px with more of the head, which takes crops of at least that size.

Differs from the paper: Adam instead of AdaGrad; batches of 128 instead of 1,800; all semi-hard negatives of
the batch; the softmax, which is D. Sandberg's and most FaceNets' since. `softmax_weight=0` is the paper's
loss: from fresh weights it needs a long time before it moves.

Schroff, Kalenichenko, Philbin: FaceNet: a unified embedding for face recognition and clustering. CVPR 2015.
https://arxiv.org/abs/1503.03832
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.checks import check_not_negative, check_positive
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.data.samplers import pxk
from vultus.training.losses.collectives import gather_rows
from vultus.training.losses.softmax import SoftmaxLoss
from vultus.training.losses.triplet import TripletLoss
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
from vultus.training.settings import Optimizer
from vultus.training.trainer import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceNetRecipe(RecogniserSettings):
    """How FaceNet is trained. What is not here stands in `RecogniserSettings` and `TrainSettings`.

    Attributes:
        margin_squared_l2: alpha, a squared distance of unit vectors.
        softmax_weight: w; 0 learns from triplets alone.
        label_smoothing: of the softmax.
        crops_each: K; `batch_size` / K is P, how many people a batch has.
        size_px: the side of what the network sees.
    """

    margin_squared_l2: float = 0.2
    softmax_weight: float = 1.0
    label_smoothing: float = 0.0
    crops_each: int = 4
    size_px: int = 112

    network: str = "facenet-mobilenet-v1"
    epochs: int = 100
    batch_size: int = 128
    optimizer: Optimizer = "adam"
    lr: float = 1e-3
    warmup_epochs: float = 1.0

    def __post_init__(self) -> None:
        super(FaceNetRecipe, self).__post_init__()
        check_positive(crops_each=self.crops_each, size_px=self.size_px)
        check_not_negative(softmax_weight=self.softmax_weight)
        if self.crops_each < 2 or self.batch_size % self.crops_each:
            raise InputError(
                f"a batch is people x crops_each, with two crops each at least: {self.batch_size} crops are "
                f"no whole number of people with {self.crops_each} each"
            )


class FaceNetLosses(NamedTuple):
    """Scalars: what is minimised, and its parts before their weights."""

    total: Tensor
    triplet: Tensor
    softmax: Tensor


class FaceNetLearner(nn.Module):
    """FaceNet and what it learns from.

    Args:
        network: crops to embeddings.
        recipe: the losses and their weights.
        people: how many classes the softmax has.
    """

    def __init__(self, network: nn.Module, recipe: FaceNetRecipe, *, people: int) -> None:
        super().__init__()
        self.network = network
        self.encode = encoder_of(recipe)
        self.triplet = TripletLoss(margin_squared_l2=recipe.margin_squared_l2)
        self.softmax = SoftmaxLoss(embedding_size_of(recipe), people, label_smoothing=recipe.label_smoothing)
        self.softmax_weight = recipe.softmax_weight

    def forward(self, batch: FaceBatch) -> FaceNetLosses:
        """The losses of one batch; with several processes, triplets are found in the batch of all of them."""
        raw = gather_rows(self.encode(self.network, batch.images))
        labels = gather_rows(batch.labels)
        triplet = self.triplet(raw, labels)
        softmax = self.softmax(raw, labels)
        return FaceNetLosses(triplet + self.softmax_weight * softmax, triplet, softmax)


def train(recipe: FaceNetRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, or fewer people with two crops than a batch wants.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    faces = known_faces(recipe)
    return fit(
        FaceNetLearner(network_of(recipe), recipe, people=len(faces.names)),
        samples_of(faces, recipe, size_px=recipe.size_px),
        settings=recipe,
        run=open_run(folder, recipe, data=data_of(recipe)),
        plan=pxk(
            faces.identity_index,
            people=recipe.batch_size // recipe.crops_each,
            crops_each=recipe.crops_each,
            seed=recipe.seed,
        ),
        validation=validation_of(recipe, size_px=recipe.size_px),
    )
