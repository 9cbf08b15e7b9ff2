"""Train RetinaFace on images with boxes and landmarks, judged on WIDER FACE by the detector that ships.

    vultus train retinaface --run runs/retinaface --set labels=train/label.txt --set widerface=val
    torchrun --nproc-per-node 2 -m -- vultus train retinaface --run runs/retinaface ...

A sample is a square crop: by chance a random one, as in the paper, or one that brings a face to the size of
an anchor. Light, mirror; anchors matched by overlap; MultiBox loss with the hardest negatives. With a
`teacher`, a trained RetinaFace of the same anchors, the network imitates it as well: that makes a few images
go further.

Differs from the paper: the trunk is not pre-trained on ImageNet, but starts from random weights or, with
`pretrained`, from the trunk of a trained RetinaFace; AdamW and a cosine instead of SGD and steps, which learn
faster in few epochs; a moving average of the weights is what is kept.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vultus.detect.retinaface import RetinaFaceDetector
from vultus.evaluate.widerface_images import MIN_SCORE
from vultus.export.retinaface import configuration, description_of
from vultus.geometry.anchors import square_anchors
from vultus.interfaces import Session
from vultus.networks.retinaface import RetinaFaceConfig, RetinaFaceNet, load_retinaface
from vultus.networks.torch_session import TorchSession
from vultus.training.data.annotations import AnnotatedImage, folder_of
from vultus.training.data.augment import data_anchor_crop, mirror, random_square_crop
from vultus.training.data.photometric import photometric
from vultus.training.data.sample import LoadedSamples, Sample
from vultus.training.data.targets import match_anchors, stack_anchor_targets
from vultus.training.data.widerface import read_widerface
from vultus.training.detection_validation import WiderValidation
from vultus.training.losses.anchor_imitation import AnchorImitationLoss
from vultus.training.losses.hints import hint_loss
from vultus.training.losses.multibox import AnchorTargets, MultiBoxLoss
from vultus.training.run import open_run
from vultus.training.samples import Draw, chance_of, chance_of_batch, shuffled
from vultus.training.settings import Optimizer, Precision, TrainSettings
from vultus.training.trainer import Validation, fit
from vultus.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RetinaFaceRecipe(TrainSettings):
    """How RetinaFace is trained. What is not here stands in `TrainSettings`.

    Attributes:
        labels: boxes and landmarks, in one of the formats that `read_widerface` knows; images/ beside it.
        widerface: folder with images/ and ground_truth/ of the validation set (or part of it); None trains
            without validation.
        backbone: one of `vultus.networks.retinaface.CONFIGS`.
        pretrained: state dict of a public RetinaFace of this backbone, from whose trunk ours starts (the rest
            starts from random weights); None starts from random weights throughout.
        start: state dict of a network trained by this recipe (best.pt), to go on from as a whole.
        sizes_px: sides of the crops; each batch takes one of them by chance.
        crop_scales: of the random square crops, as multiples of the image's shorter side.
        anchor_crop_share: how many of the other crops are made around a face that gets an anchor's size.
        background_crop_share: how many crops are small squares from anywhere, magnified: what lies out of
            focus behind people looks like that, and has shapes of the size of faces.
        background_crop_scales: of those, as multiples of the image's shorter side.
        min_face_px: smaller faces of a crop are neither learnt nor background.
        positive_iou: from which overlap an anchor belongs to a face.
        negative_iou: up to which it is background.
        negative_ratio: hard negatives for each positive anchor.
        box_weight: of the box loss.
        landmark_weight: of the landmark loss.
        teacher: state dict of a public RetinaFace-mobilenet0.25 to imitate; None learns from labels alone.
        teacher_weight: of the imitation of its answers.
        hint_weight: of the imitation of its maps, which says at every place what each stage should see.
        validation_px: long side of the validation images; None is their original size.
        keep_images: hold the decoded images in memory (a byte for each pixel and channel).
    """

    labels: Path = Path("../shared/data/widerface-train9/label.txt")
    widerface: Path | None = Path("../shared/data/widerface-dev")
    backbone: str = "mobilenet0.25"
    pretrained: Path | None = None
    start: Path | None = None
    sizes_px: tuple[int, ...] = (320,)
    crop_scales: tuple[float, float] = (0.3, 1.0)
    anchor_crop_share: float = 0.5
    background_crop_share: float = 0.0
    background_crop_scales: tuple[float, float] = (0.05, 0.5)
    min_face_px: float = 4.0
    positive_iou: float = 0.35
    negative_iou: float = 0.35
    negative_ratio: int = 7
    box_weight: float = 2.0
    landmark_weight: float = 1.0
    teacher: Path | None = None
    teacher_weight: float = 1.0
    hint_weight: float = 5.0
    validation_px: int | None = 640
    keep_images: bool = True

    epochs: int = 100
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 1e-2
    warmup_epochs: float = 1.0
    clip_norm: float | None = 10.0
    ema_decay: float | None = 0.999
    precision: Precision = "bf16-mixed"
    validate_every: int = 5


class RetinaFaceLosses(NamedTuple):
    """Scalars: what is minimised, and its parts; imitation and hints are 0 without a teacher."""

    total: Tensor
    classification: Tensor
    boxes: Tensor
    landmarks: Tensor
    imitation: Tensor
    hints: Tensor


class RetinaFaceSamples:
    """Crops of annotated images with the answers that their anchors should give.

    Args:
        images: annotated ones.
        recipe: sizes, crops, matching.
        config: the anchors.
    """

    def __init__(
        self, images: Sequence[AnnotatedImage], recipe: RetinaFaceRecipe, config: RetinaFaceConfig
    ) -> None:
        self._loaded = LoadedSamples(images, keep=recipe.keep_images)
        self._recipe = recipe
        self._config = config

    def __len__(self) -> int:
        return len(self._loaded)

    def batch(self, draws: Sequence[Draw]) -> tuple[Tensor, AnchorTargets]:
        """(N, 3, S, S) uint8 RGB images and the targets of their anchors."""
        recipe = self._recipe
        size_px = int(chance_of_batch(recipe.seed, draws[0]).choice(recipe.sizes_px))
        anchors = anchors_of(size_px, self._config)
        samples = [
            augment(self._loaded[draw.sample], chance_of(recipe.seed, draw), recipe=recipe, size_px=size_px)
            for draw in draws
        ]
        matched = [
            match_anchors(sample, anchors, positive_iou=recipe.positive_iou, negative_iou=recipe.negative_iou)
            for sample in samples
        ]
        pixels = torch.from_numpy(np.stack([sample.image for sample in samples]))  # (N, S, S, 3)
        return pixels.permute(0, 3, 1, 2), stack_anchor_targets(matched)  # channels last, without a copy


def augment(sample: Sample, chance: np.random.Generator, *, recipe: RetinaFaceRecipe, size_px: int) -> Sample:
    """A random crop in another light, perhaps mirrored."""
    if recipe.background_crop_share and chance.random() < recipe.background_crop_share:
        crop = random_square_crop(
            sample,
            chance,
            size_px=size_px,
            scales=recipe.background_crop_scales,
            min_face_px=recipe.min_face_px,
            holds_face=False,
        )
    elif chance.random() < recipe.anchor_crop_share:
        crop = data_anchor_crop(sample, chance, size_px=size_px, min_face_px=recipe.min_face_px)
    else:
        crop = random_square_crop(
            sample, chance, size_px=size_px, scales=recipe.crop_scales, min_face_px=recipe.min_face_px
        )
    if chance.random() < 0.5:
        crop = mirror(crop)
    return crop._replace(image=photometric(crop.image, chance))


@lru_cache
def anchors_of(size_px: int, config: RetinaFaceConfig) -> FloatArray:
    """(A, 4) of a square image."""
    return square_anchors((size_px, size_px), min_sizes=config.min_sizes)


class RetinaFaceLearner(nn.Module):
    """The network and what it is taught by.

    Args:
        network: the student.
        recipe: weights of the losses.
        teacher: a trained network with the same anchors, or None.
    """

    def __init__(
        self, network: RetinaFaceNet, recipe: RetinaFaceRecipe, *, teacher: RetinaFaceNet | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = MultiBoxLoss(
            negative_ratio=recipe.negative_ratio,
            box_weight=recipe.box_weight,
            landmark_weight=recipe.landmark_weight,
        )
        self.imitation = AnchorImitationLoss()
        self.teacher_weight, self.hint_weight = recipe.teacher_weight, recipe.hint_weight
        # In a tuple, so that it is neither trained nor saved with the learner.
        self.teachers = () if teacher is None else (teacher.eval().requires_grad_(False),)
        for each in self.teachers:
            each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to its stubs

    def forward(self, batch: tuple[Tensor, AnchorTargets]) -> RetinaFaceLosses:
        """The losses of (N, 3, H, W) uint8 RGB images."""
        images, targets = batch
        features = self.network.features(self.network.prepare(images))
        answer = self.network.answer(features)
        taught = self.loss(*answer, targets=targets)
        imitated = hints = answer[0].new_zeros((), dtype=torch.float32)
        for teacher in self.teachers:
            teacher.to(images.device)  # nobody else moves it
            with torch.no_grad():
                example = teacher.features(teacher.prepare(images))
                reply = teacher.answer(example)
            imitated = self.imitation(answer, reply).total
            hints = hint_loss([*features.trunk, *features.contexts], [*example.trunk, *example.contexts])
        total = taught.total + self.teacher_weight * imitated + self.hint_weight * hints
        return RetinaFaceLosses(total, taught.classification, taught.boxes, taught.landmarks, imitated, hints)


def train(recipe: RetinaFaceRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown backbone, or labels that name no usable image.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    config = configuration(recipe.backbone, "RGB")
    images = [image for image in read_widerface(recipe.labels).images if (~image.is_ignored).any()]
    run = open_run(folder, recipe, data=_data(recipe, images))
    torch.manual_seed(recipe.seed)
    network = RetinaFaceNet(config)
    if recipe.pretrained is not None:
        take_trunk(network, load_retinaface(recipe.pretrained, configuration(recipe.backbone, "BGR")))
    if recipe.start is not None:
        network.load_state_dict(load_retinaface(recipe.start, config).state_dict())
    teacher = load_retinaface(recipe.teacher) if recipe.teacher else None
    return fit(
        RetinaFaceLearner(network, recipe, teacher=teacher),
        RetinaFaceSamples(images, recipe, config),
        settings=recipe,
        run=run,
        plan=shuffled(len(images), recipe.batch_size, seed=recipe.seed, drop_last=True),
        validation=_validation(recipe, config),
    )


@torch.no_grad()
def take_trunk(network: RetinaFaceNet, trained: RetinaFaceNet) -> None:
    """Copy the trunk of a trained network of the same backbone, which may see colours in the other order."""
    network.body.load_state_dict(trained.body.state_dict())
    if network.config.channel_order != trained.config.channel_order:
        colours = next(network.body.parameters())  # (C, 3, K, K) of the first convolution
        colours.copy_(colours.flip(1))


def detector_of(session: Session, config: RetinaFaceConfig, *, longest_px: int | None) -> RetinaFaceDetector:
    """The detector that ships, around a network in training."""
    preprocessing, decoding = description_of(config)
    return RetinaFaceDetector(
        session,
        preprocessing=preprocessing,
        decoding=decoding,
        longest_px=longest_px,
        min_score=MIN_SCORE,
    )


def _validation(recipe: RetinaFaceRecipe, config: RetinaFaceConfig) -> Validation | None:
    if recipe.widerface is None:
        return None

    def make_detector(network: nn.Module) -> RetinaFaceDetector:
        return detector_of(TorchSession(network), config, longest_px=recipe.validation_px)

    return Validation(WiderValidation(recipe.widerface, make_detector), "mean_ap")


def _data(recipe: RetinaFaceRecipe, images: Sequence[AnnotatedImage]) -> Mapping[str, Path]:
    """What the run learns from, and is judged by."""
    named = {
        "labels": recipe.labels,
        "images": folder_of(images),
        "widerface": recipe.widerface,
        "pretrained": recipe.pretrained,
        "start": recipe.start,
        "teacher": recipe.teacher,
    }
    return {name: path for name, path in named.items() if path}
