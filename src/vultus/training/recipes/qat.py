"""Fine-tune an embedder for int8: it learns to answer as before although its numbers are rounded.

    vultus train qat --run runs/qat --set faces=FACES --set network=compact-resnet --set start=best.pt
    vultus export onnx runs/qat --out qat.onnx
    vultus quantize qat.onnx --out qat-int8.onnx --method minmax --faces FACES

The student computes with weights and activations as int8 will leave them (`export/fake_quant.py`); the
teacher is the same network in float, which sees the same crops:

    L = 1 - cos(s, t)

No labels and no other teacher are needed. Batch norms keep their statistics, as the export folds them. What
is validated is the rounded network; what is kept in best.pt are its float weights.

Jacob et al.: Quantization and training of neural networks for efficient integer-arithmetic-only inference.
CVPR 2018. https://arxiv.org/abs/1712.05877
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.export.fake_quant import plain_state, pretend_int8
from vultus.image import replace_file
from vultus.networks.state import read_state
from vultus.training.data.face_augment import CROP_PX
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.losses.distillation import EmbeddingDistillationLoss
from vultus.training.recognition import (
    RecogniserSettings,
    all_faces,
    data_of,
    encoder_of,
    network_of,
    samples_of,
    validation_of,
)
from vultus.training.run import open_run
from vultus.training.samples import shuffled
from vultus.training.settings import Optimizer
from vultus.training.trainer import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class QATRecipe(RecogniserSettings):
    """How an embedder is fine-tuned for int8. What is not here stands in `RecogniserSettings`.

    Attributes:
        start: the trained network; it is the teacher too.

    Raises:
        InputError: no start, or an average of weights is asked for, which rounding would not survive.
    """

    start: Path | None = None
    epochs: int = 2
    batch_size: int = 64
    optimizer: Optimizer = "adamw"
    lr: float = 1e-4
    weight_decay: float = 0.0
    warmup_epochs: float = 0.1
    clip_norm: float | None = 5.0

    def __post_init__(self) -> None:
        super(QATRecipe, self).__post_init__()  # slots make a new class, which super() does not know
        if self.ema_decay is not None:
            raise InputError("ema_decay must be none: ranges of activations belong to one set of weights")


class QATLosses(NamedTuple):
    """What is minimised."""

    total: Tensor


class QATLearner(nn.Module):
    """The rounded student and its float teacher.

    Args:
        network: the trained network; it becomes the student.
        recipe: how it is fed.
    """

    def __init__(self, network: nn.Module, recipe: QATRecipe) -> None:
        super().__init__()
        teacher = copy.deepcopy(network).eval()
        self._teacher = (teacher.requires_grad_(False),)  # no part of what is learnt or saved
        pretend_int8(network.eval(), torch.zeros(2, 3, CROP_PX, CROP_PX))
        self.network = network
        self.encode = encoder_of(recipe)
        self.loss = EmbeddingDistillationLoss()

    def forward(self, batch: FaceBatch) -> QATLosses:
        """The loss of N crops."""
        (teacher,) = self._teacher
        with torch.no_grad():
            targets = self.encode(teacher.to(batch.images.device), batch.images)
        return QATLosses(self.loss(self.encode(self.network, batch.images), targets))

    def train(self, mode: bool = True) -> Self:
        """Training mode, except for batch norms, whose statistics are folded into the weights."""
        super().train(mode)
        for part in self.network.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.eval()
        return self


def train(recipe: QATRecipe, folder: Path) -> Mapping[str, float]:
    """Fine-tune, or go on with the run in this folder; the best float weights are in best.pt there.

    Raises:
        InputError: no start, an unknown network, or no crops.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    if recipe.start is None:
        raise InputError("fine-tuning for int8 wants a trained network: start=best.pt")
    faces = all_faces(recipe)
    run = open_run(folder, recipe, data=data_of(recipe))
    figures = fit(
        QATLearner(network_of(recipe), recipe),
        samples_of(faces, recipe),
        settings=recipe,
        run=run,
        plan=shuffled(len(faces), recipe.batch_size, seed=recipe.seed, drop_last=True),
        validation=validation_of(recipe),
    )
    state = plain_state(read_state(run.best))
    with replace_file(run.best) as stream:
        torch.save(state, stream)
    return figures
