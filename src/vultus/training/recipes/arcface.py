"""Train an embedder by ArcFace: a face must stay nearest to its person when the angle grows by m.

    vultus train arcface --run runs/arcface --set faces=train.rec --set network=iresnet50
    vultus train arcface --run runs/tuned --set faces=PEOPLE --set start=best.pt --set frozen_epochs=1
    torchrun --nproc-per-node 8 -m -- vultus train arcface --run runs/arcface ...

    L = softmax cross-entropy of s cos(theta_j), the own class at s cos(theta_y + m)

The loss itself is `training/losses/arcface.py`, with the exact derivative, the authors' straight-through one,
or the easy margin. With hundreds of thousands of people, `sampling_rate` below 1 compares each batch with its
own people and a sample of the others only (Partial FC, `training/losses/partial_fc.py`).

Several processes share the batches, and each holds all classes. Partial FC over several processes, where
each holds a shard of them, is refused: a checkpoint holds what is alike on all processes.

Differs from the paper: warm-up and a cosine instead of steps; bf16, the loss in fp32; `label_smoothing` is
there to be asked for, though at scale 64 a tenth of it weighs against all that the margin has won.

Deng, Guo, Xue, Zafeiriou: ArcFace: additive angular margin loss for deep face recognition. CVPR 2019.
https://arxiv.org/abs/1801.07698
An, Deng, Guo, Feng, Zhu, Yang, Liu: Killing two birds with one stone (Partial FC). CVPR 2022.
https://arxiv.org/abs/2203.15565
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.classes import ClassSettings, process_count, train_classes
from vultus.training.losses.arcface import ArcFaceLoss, Form
from vultus.training.losses.margin_softmax import margin_softmax
from vultus.training.losses.partial_fc import PartialFC
from vultus.training.recognition import Augmentation
from vultus.training.settings import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcFaceRecipe(ClassSettings):
    """How ArcFace is trained. What is not here stands in `ClassSettings` and those below it.

    Attributes:
        margin_rad: m, added to the angle with the own class.
        scale: s.
        centre_count: sub-centres of each class; 3 for noisy labels.
        form: exact, straight_through or easy.
        label_smoothing: share of the target spread over all classes.
        sampling_rate: share of the classes that a batch is compared with; 1 takes all, Partial FC's paper
            finds 0.1 enough.
    """

    margin_rad: float = 0.5
    scale: float = 64.0
    centre_count: int = 1
    form: Form = "exact"
    label_smoothing: float = 0.0
    sampling_rate: float = 1.0

    augmentation: Augmentation = "mirror"
    dropout: float | None = 0.4
    epochs: int = 20
    batch_size: int = 512
    lr: float = 0.1
    warmup_epochs: float = 1.0
    precision: Precision = "bf16-mixed"

    def __post_init__(self) -> None:
        super(ArcFaceRecipe, self).__post_init__()
        if not 0 < self.sampling_rate <= 1:
            raise InputError(f"sampling_rate must lie in (0, 1], got {self.sampling_rate}")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if self.sampling_rate < 1 and self.label_smoothing:
            raise InputError(
                "label_smoothing gives every class a share, and sampling_rate leaves most of them out: "
                "choose one of them"
            )
        if self.sampling_rate < 1 and process_count(self) > 1:
            raise InputError(
                f"sampling_rate={self.sampling_rate} works in one process only, and there are "
                f"{process_count(self)}: over several, each would hold a shard of the classes, which the "
                "checkpoint of a run does not. Set sampling_rate=1"
            )


class SmoothedLoss(nn.Module):
    """A margin loss whose target is spread a little over all classes.

    Args:
        loss: the margin.
        label_smoothing: the share that is spread.
    """

    def __init__(self, loss: ArcFaceLoss, label_smoothing: float) -> None:
        super().__init__()
        self.loss = loss
        self.label_smoothing = label_smoothing

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings with (N,) int64 labels."""
        return margin_softmax(self.loss, embeddings, labels, label_smoothing=self.label_smoothing)


def loss_of(recipe: ArcFaceRecipe, embedding_size: int, people: int) -> nn.Module:
    """ArcFace over all classes, or over a sample of them in each step."""
    arcface = partial(
        ArcFaceLoss,
        embedding_size,
        margin_rad=recipe.margin_rad,
        scale=recipe.scale,
        centre_count=recipe.centre_count,
        form=recipe.form,
    )
    if recipe.sampling_rate < 1:
        return PartialFC(arcface, people, sampling_rate=recipe.sampling_rate, seed=recipe.seed)
    return SmoothedLoss(arcface(people), recipe.label_smoothing)


def train(recipe: ArcFaceRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, fewer than two people with two crops, or knobs that do not fit.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    return train_classes(recipe, folder, partial(loss_of, recipe))
