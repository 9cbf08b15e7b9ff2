"""Train YOLOv5-Face on images with boxes and landmarks, judged on WIDER FACE by the detector that ships.

    vultus train yolov5_face --run runs/yolov5_face --set labels=train/label.txt --set widerface=val
    torchrun --nproc-per-node 2 -m -- vultus train yolov5_face --run runs/yolov5_face ...

A sample is a square: by chance a mosaic of four images, a crop that brings a face to the size of an anchor,
or a random crop, perhaps of more than the image, framed by gray as a letterbox is. Light, mirror, no turning
upside down; each batch has a size of its own. Faces are given to the cells around their centres on every
level whose anchors fit; CIoU for boxes, Wing loss for landmarks.

The paper finds mosaics harmful where they make small faces: here a face that gets too small is ignored, in
mosaics as in crops.

Differs from the paper: smaller squares, for they cost less; AdamW and a cosine instead of SGD, which from
random weights learn faster. YOLOv5's own settings are optimizer=sgd, lr=0.64, weight_decay=7.8e-6,
momentum=0.937, batch_size=64: 0.01 and 5e-4 for a loss that it multiplies by the batch size. As there, a
moving average of the weights is what is kept.

Qi, Tan, Yao, Liu: YOLO5Face: Why reinventing a face detector. ECCVW 2022. https://arxiv.org/abs/2105.12931
Jocher: YOLOv5. 2020. https://doi.org/10.5281/zenodo.3908559
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vultus.detect.yolov5_face import Yolov5FaceDetector
from vultus.errors import InputError
from vultus.evaluate.widerface_images import MIN_SCORE
from vultus.export.yolov5_face import description_of
from vultus.interfaces import Session
from vultus.networks.torch_session import TorchSession
from vultus.networks.yolov5_face import CONFIGS, VALUES_PER_ANCHOR, YOLOv5FaceConfig, YOLOv5FaceNet
from vultus.training.data.annotations import AnnotatedImage, folder_of
from vultus.training.data.augment import data_anchor_crop, mirror, random_square_crop
from vultus.training.data.mosaic import mosaic
from vultus.training.data.photometric import photometric
from vultus.training.data.sample import LoadedSamples, Sample
from vultus.training.data.targets import assign_cells
from vultus.training.data.widerface import read_widerface
from vultus.training.detection_validation import WiderValidation
from vultus.training.losses.yolov5_face import (
    LevelTargets,
    YOLOv5FaceLoss,
    YOLOv5FaceLosses,
    YOLOv5FaceWeights,
)
from vultus.training.run import open_run
from vultus.training.samples import Draw, chance_of, chance_of_batch, shuffled
from vultus.training.settings import Optimizer, Precision, TrainSettings
from vultus.training.trainer import Validation, fit

Batch = tuple[Tensor, list[LevelTargets]]


@dataclass(frozen=True, slots=True, kw_only=True)
class YOLOv5FaceRecipe(TrainSettings):
    """How YOLOv5-Face is trained. What is not here stands in `TrainSettings`.

    Attributes:
        labels: boxes and landmarks, in one of the formats that `read_widerface` knows; images/ beside it.
        widerface: folder with images/ and ground_truth/ of the validation set (or part of it); None trains
            without validation.
        size: one of `vultus.networks.yolov5_face.CONFIGS`.
        sizes_px: sides of the squares, multiples of the largest stride; each batch takes one by chance.
        mosaic_share: how many samples are mosaics.
        anchor_crop_share: how many of the others are made around a face that gets an anchor's size.
        crop_scales: of the random square crops, as multiples of the image's shorter side.
        min_face_px: smaller faces of a square are neither learnt nor background.
        box_weight: of the box loss.
        objectness_weight: of the objectness loss.
        class_weight: of the class loss.
        landmark_weight: of the landmark loss.
        validation_px: long side of the validation images; None is their original size.
        keep_images: hold the decoded images in memory (a byte for each pixel and channel).
    """

    labels: Path = Path("../shared/data/widerface-train9/label.txt")
    widerface: Path | None = Path("../shared/data/widerface-dev")
    size: str = "n-0.5"
    sizes_px: tuple[int, ...] = (256, 320, 384)
    mosaic_share: float = 0.25
    anchor_crop_share: float = 0.5
    crop_scales: tuple[float, float] = (0.3, 1.4)
    min_face_px: float = 4.0
    box_weight: float = 0.05
    objectness_weight: float = 1.0
    class_weight: float = 0.5
    landmark_weight: float = 0.005
    validation_px: int | None = 640
    keep_images: bool = True

    epochs: int = 180
    batch_size: int = 16
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 1e-2
    warmup_epochs: float = 3.0
    final_lr_share: float = 0.01
    clip_norm: float | None = 10.0
    ema_decay: float | None = 0.999
    precision: Precision = "bf16-mixed"
    validate_every: int = 10


class YOLOv5FaceSamples:
    """Squares of annotated images with the predictions that are to find their faces.

    Args:
        images: annotated ones.
        recipe: sizes, crops, mosaics.
        config: strides and anchors.
    """

    def __init__(
        self, images: Sequence[AnnotatedImage], recipe: YOLOv5FaceRecipe, config: YOLOv5FaceConfig
    ) -> None:
        self._loaded = LoadedSamples(images, keep=recipe.keep_images)
        self._recipe = recipe
        self._config = config

    def __len__(self) -> int:
        return len(self._loaded)

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """(N, 3, S, S) uint8 RGB images and the targets of each level."""
        recipe, config = self._recipe, self._config
        size_px = int(chance_of_batch(recipe.seed, draws[0]).choice(recipe.sizes_px))
        squares = [
            square(self._loaded, draw.sample, chance_of(recipe.seed, draw), recipe=recipe, size_px=size_px)
            for draw in draws
        ]
        targets = assign_cells(
            squares, size_hw=(size_px, size_px), anchors_wh=config.anchors, strides=config.strides
        )
        pixels = torch.from_numpy(np.stack([sample.image for sample in squares]))  # (N, S, S, 3)
        return pixels.permute(0, 3, 1, 2), targets  # channels last, without a copy


def square(
    loaded: LoadedSamples,
    number: int,
    chance: np.random.Generator,
    *,
    recipe: YOLOv5FaceRecipe,
    size_px: int,
) -> Sample:
    """A mosaic or a crop of a sample, in another light, perhaps mirrored."""
    sample, min_face_px = loaded[number], recipe.min_face_px
    if chance.random() < recipe.mosaic_share:
        others = [loaded[int(other)] for other in chance.integers(len(loaded), size=3)]
        seen = mosaic([sample, *others], chance, size_px=size_px, min_face_px=min_face_px)
    elif chance.random() < recipe.anchor_crop_share:
        # No zooming out beyond the image: mosaics make small faces, too, and waste nothing on gray.
        seen = data_anchor_crop(sample, chance, size_px=size_px, min_face_px=min_face_px, max_zoom_out=1.0)
    else:
        scales = recipe.crop_scales
        seen = random_square_crop(sample, chance, size_px=size_px, scales=scales, min_face_px=min_face_px)
    if chance.random() < 0.5:
        seen = mirror(seen)
    return seen._replace(image=photometric(seen.image, chance))


class YOLOv5FaceLearner(nn.Module):
    """The network and what it is taught by.

    Args:
        network: to be trained.
        recipe: weights of the losses.
    """

    def __init__(self, network: YOLOv5FaceNet, recipe: YOLOv5FaceRecipe) -> None:
        super().__init__()
        self.network = network
        self.loss = YOLOv5FaceLoss(
            YOLOv5FaceWeights(
                boxes=recipe.box_weight,
                objectness=recipe.objectness_weight,
                classes=recipe.class_weight,
                landmarks=recipe.landmark_weight,
            )
        )

    def forward(self, batch: Batch) -> YOLOv5FaceLosses:
        """The losses of (N, 3, H, W) uint8 RGB images."""
        images, targets = batch
        maps = self.network(self.network.prepare(images))
        losses: YOLOv5FaceLosses = self.loss([raw.reshape(-1, VALUES_PER_ANCHOR) for raw in maps], targets)
        return losses


def train(recipe: YOLOv5FaceRecipe, folder: Path) -> Mapping[str, float]:
    """Train, or go on with the run in this folder; the best network's weights are in best.pt there.

    Raises:
        InputError: an unknown size, squares that its strides do not divide, or labels that name no usable
            image.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    config = _config(recipe)
    images = [image for image in read_widerface(recipe.labels).images if (~image.is_ignored).any()]
    run = open_run(folder, recipe, data=_data(recipe, images))
    torch.manual_seed(recipe.seed)
    return fit(
        YOLOv5FaceLearner(YOLOv5FaceNet(config), recipe),
        YOLOv5FaceSamples(images, recipe, config),
        settings=recipe,
        run=run,
        plan=shuffled(len(images), recipe.batch_size, seed=recipe.seed, drop_last=True),
        validation=_validation(recipe, config),
    )


def detector_of(session: Session, config: YOLOv5FaceConfig, *, longest_px: int | None) -> Yolov5FaceDetector:
    """The detector that ships, around a network in training."""
    preprocessing, decoding = description_of(config)
    return Yolov5FaceDetector(
        session,
        preprocessing=preprocessing,
        decoding=decoding,
        longest_px=longest_px,
        min_score=MIN_SCORE,
    )


def _config(recipe: YOLOv5FaceRecipe) -> YOLOv5FaceConfig:
    if recipe.size not in CONFIGS:
        raise InputError(f"unknown size {recipe.size!r}; choose one of {', '.join(CONFIGS)}")
    config = CONFIGS[recipe.size]
    if not recipe.sizes_px or any(side % config.strides[-1] for side in recipe.sizes_px):
        raise InputError(f"sizes_px must be multiples of {config.strides[-1]}, got {recipe.sizes_px}")
    return config


def _validation(recipe: YOLOv5FaceRecipe, config: YOLOv5FaceConfig) -> Validation | None:
    if recipe.widerface is None:
        return None

    def make_detector(network: nn.Module) -> Yolov5FaceDetector:
        return detector_of(TorchSession(network), config, longest_px=recipe.validation_px)

    return Validation(WiderValidation(recipe.widerface, make_detector), "mean_ap")


def _data(recipe: YOLOv5FaceRecipe, images: Sequence[AnnotatedImage]) -> Mapping[str, Path]:
    """What the run learns from, and is judged by."""
    named = {"labels": recipe.labels, "images": folder_of(images), "widerface": recipe.widerface}
    return {name: path for name, path in named.items() if path}
