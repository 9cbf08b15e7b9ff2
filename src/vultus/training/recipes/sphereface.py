"""Train an embedder by SphereFace: people are told apart by angles, and their own angle is multiplied.

    vultus train sphereface --run runs/sphereface --set faces=FACES --set network=compact-resnet

    L = softmax cross-entropy of |x| cos(theta_j), the own class at |x| f(theta_y)
    f = (lambda cos(theta) + psi(theta)) / (1 + lambda),    lambda = max(5, 1500 / (1 + 0.1 step))

psi is cos(m theta) made to fall all the way; under psi alone training does not begin, so lambda shares it
with the plain cosine, less and less. A run of a few hundred steps ends before lambda has fallen: let it fall
faster (`lambda_rate`). The loss itself is `training/losses/a_softmax.py`.

Differs from the paper: networks of this package instead of plain ones with PReLU; epochs take the place of
16,000, 24,000 and 28,000 steps on 490,000 crops.

Liu, Wen, Yu, Li, Raj, Song: SphereFace: deep hypersphere embedding for face recognition. CVPR 2017.
https://arxiv.org/abs/1704.08063
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vultus.training.classes import ClassSettings, train_classes
from vultus.training.losses.a_softmax import ASoftmaxLoss
from vultus.training.losses.multiplied_angle import Annealing
from vultus.training.recognition import Augmentation
from vultus.training.settings import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class SphereFaceRecipe(ClassSettings):
    """How SphereFace is trained. What is not here stands in `ClassSettings` and those below it.

    Attributes:
        factor: m, by which the own angle is multiplied.
        lambda_start: lambda at the first step.
        lambda_rate: how fast it falls.
        lambda_floor: where it stays.
    """

    factor: int = 4
    lambda_start: float = 1500.0
    lambda_rate: float = 0.1
    lambda_floor: float = 5.0

    augmentation: Augmentation = "mirror"
    epochs: int = 7
    batch_size: int = 128
    lr: float = 0.1
    schedule: Schedule = "milestones"
    milestones: tuple[int, ...] = (4, 6)


def train(recipe: SphereFaceRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, fewer than two people with two crops, or a factor that is none.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    annealing = Annealing(recipe.lambda_start, recipe.lambda_rate, recipe.lambda_floor)
    return train_classes(
        recipe,
        folder,
        lambda size, people: ASoftmaxLoss(size, people, factor=recipe.factor, annealing=annealing),
    )
