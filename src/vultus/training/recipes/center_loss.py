"""Train an embedder by softmax and center loss: people apart, and each person's faces together.

    vultus train center_loss --run runs/center_loss --set faces=FACES --set network=compact-resnet

    L = L_softmax + lambda / 2 mean_i |x_i - c_(y_i)|^2

The centres c are means that follow the batches, no parameters. The embedding is not normalised. The loss
itself is `training/losses/center.py`.

Differs from the paper: networks of this package; both terms are means over the batch; epochs take the place
of 16,000, 24,000 and 28,000 steps on 700,000 crops; label smoothing is there to be asked for.

Wen, Zhang, Li, Qiao: A discriminative feature learning approach for deep face recognition. ECCV 2016.
https://doi.org/10.1007/978-3-319-46478-7_31
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vultus.training.classes import ClassSettings, train_classes
from vultus.training.losses.center import SoftmaxCenterLoss
from vultus.training.losses.collectives import OfAllRanks
from vultus.training.recognition import Augmentation
from vultus.training.settings import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterLossRecipe(ClassSettings):
    """How softmax and center loss train. What is not here stands in `ClassSettings` and those below it.

    Attributes:
        centre_weight: lambda.
        centre_rate: alpha, how far a centre moves towards the faces of a batch.
        label_smoothing: of the softmax.
    """

    centre_weight: float = 0.003
    centre_rate: float = 0.5
    label_smoothing: float = 0.0

    augmentation: Augmentation = "mirror"
    epochs: int = 10
    batch_size: int = 256
    lr: float = 0.1
    schedule: Schedule = "milestones"
    milestones: tuple[int, ...] = (6, 9)


def train(recipe: CenterLossRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, fewer than two people with two crops, or a knob out of its range.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    return train_classes(
        recipe,
        folder,
        lambda size, people: OfAllRanks(  # centres follow the faces of all processes
            SoftmaxCenterLoss(
                size,
                people,
                centre_weight=recipe.centre_weight,
                centre_rate=recipe.centre_rate,
                label_smoothing=recipe.label_smoothing,
            )
        ),
    )
