"""Train an embedder by CosFace: a face must beat all other people's cosines by a margin.

    vultus train cosface --run runs/cosface --set faces=FACES --set network=compact-resnet

    L = softmax cross-entropy of s cos(theta_j), the own class at s (cos(theta_y) - m)

The loss itself is `training/losses/cosface.py`. On few people, or from fresh weights, s = 64 with m = 0.35 is
hard to begin with: go on from trained weights (`start`), or take a lower scale (30).

Differs from the paper: networks of this package; the mirror image is averaged in by the embedder, not here;
epochs take the place of 16,000, 24,000, 28,000 and 30,000 steps on 490,000 crops.

Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu: CosFace: large margin cosine loss. CVPR 2018.
https://arxiv.org/abs/1801.09414
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vultus.training.classes import ClassSettings, train_classes
from vultus.training.losses.cosface import CosFaceLoss
from vultus.training.recognition import Augmentation
from vultus.training.settings import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class CosFaceRecipe(ClassSettings):
    """How CosFace is trained. What is not here stands in `ClassSettings` and those below it.

    Attributes:
        margin_cos: m, taken from the cosine with the own class.
        scale: s.
    """

    margin_cos: float = 0.35
    scale: float = 64.0

    augmentation: Augmentation = "mirror"
    epochs: int = 31
    batch_size: int = 512
    lr: float = 0.1
    schedule: Schedule = "milestones"
    milestones: tuple[int, ...] = (17, 25, 29)


def train(recipe: CosFaceRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown network, or fewer than two people with two crops.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    return train_classes(
        recipe,
        folder,
        lambda size, people: CosFaceLoss(size, people, margin_cos=recipe.margin_cos, scale=recipe.scale),
    )
