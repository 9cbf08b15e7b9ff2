"""Train MTCNN's three networks in turn, each on what the ones before it let through.

    vultus train mtcnn --run runs/mtcnn --set labels=train/label.txt --set faces=faces

For each stage: cut crops (random windows; from R-Net on also the windows that the trained stages take for
faces), add landmark crops of aligned faces, train, judge on held-out images, export to ONNX, go on with the
exported network. In the run's folder:

    pnet/ rnet/ onet/           the run of each stage: log, validation, checkpoint, best.pt
    pnet-windows/ pnet-aligned/  and so on: the crops
    mtcnn_pnet.onnx and so on   the trained stages, as the detector loads them

What is there is not made again: a run that was stopped goes on where it was, with the same numbers.

With a `teacher`, a trained MTCNN answers every crop too, and each stage imitates it beside what the labels
say. Few images show few faces; but each crop of them has an answer to be imitated, landmarks included.

Differs from the paper: faces are positives by their square (`vultus.training.data.mtcnn_targets`); P-Net and
R-Net learn landmarks as a help only, the exported networks have none; crops are recoloured at random.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks.
IEEE Signal Processing Letters 2016. https://arxiv.org/abs/1604.02878
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from vultus.detect.mtcnn import read_models
from vultus.errors import InputError
from vultus.export.mtcnn import stage_to_onnx
from vultus.image import replace_file
from vultus.interfaces import Session
from vultus.networks.mtcnn import ONet, PNet, RNet
from vultus.networks.state import load_state
from vultus.runtime.onnx import OnnxSession
from vultus.training.data.aligned_crops import ALL_KINDS, LANDMARKS_ONLY, aligned_crops
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.mtcnn_batches import CropBatch, MtcnnSamples, balanced
from vultus.training.data.mtcnn_crops import MtcnnCrops, read_crops, write_crops
from vultus.training.data.mtcnn_mining import Cascade, WindowPlan, stage_crops
from vultus.training.data.shards import read_shards
from vultus.training.data.widerface import read_widerface
from vultus.training.losses.anchor_imitation import AnchorImitationLoss, Answer
from vultus.training.losses.mtcnn_multitask import (
    TASK_WEIGHTS,
    CropKind,
    MTCNNLosses,
    MTCNNMultitaskLoss,
    TaskWeights,
)
from vultus.training.mtcnn_validation import MtcnnValidation
from vultus.training.run import open_run
from vultus.training.settings import Optimizer, Precision, TrainSettings
from vultus.training.trainer import Validation, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class MTCNNRecipe(TrainSettings):
    """How MTCNN is trained. What is not here stands in `TrainSettings`; three numbers are for P, R and O-Net.

    Attributes:
        labels: boxes and landmarks, in one of the formats that `read_widerface` knows; images/ beside it.
        faces: folder of aligned faces in tar shards with an index.csv, or None.
        held_out: the share of the images that judges instead of teaching.
        min_face_px: a smaller face (its longer side) is neither learnt nor background.
        needs_landmarks: a face without labelled landmarks is neither learnt nor background. Annotators and
            pseudo-labels leave them out where little of a face can be seen.
        near: random windows close to each face.
        astray: random windows further from each face.
        anywhere: random windows of each image.
        negatives: crops of an image at most that show no face.
        positives: crops of an image at most that show a face.
        parts: crops of an image at most that show a part of a face.
        landmarks: crops of an image at most that teach landmarks.
        aligned_faces: how many aligned faces teach each stage.
        learns_aligned_faces: whether aligned faces teach what a face is too, or only where its landmarks are.
        mining_min_scores: what P-Net and R-Net must give a window to be mined.
        mining_min_face_px: where the image pyramid of the mining starts.
        has_landmark_heads: whether P-Net and R-Net learn landmarks too, as a help. Their exports have none.
        negative_shares: of a batch, in proportion to the shares of the other kinds. P-Net meets background
            above all; for the others, as many positives put their scores where the detector's limits are.
        positive_shares: of a batch.
        part_shares: of a batch.
        landmark_shares: of a batch.
        hard_share: of the classification losses of a batch, how many count: the largest.
        colour_jitter: how much crops are recoloured.
        start: the folder of another run, from whose networks each stage that is trained goes on.
        teacher: a trained MTCNN that is imitated, an entry of the catalogue or a folder of three ONNX files.
        teacher_weight: of the imitation, beside the labels.
        stage_epochs: the `epochs` of each stage.
        stage_batches: batches of an epoch.
        stage_batch_sizes: the `batch_size` of each stage.
        stage_lrs: the `lr` of each stage.
    """

    labels: Path = Path("../shared/data/widerface-train9/label.txt")
    faces: Path | None = Path("../shared/data/faces")
    held_out: float = 0.06
    min_face_px: float = 14.0
    needs_landmarks: bool = True
    near: tuple[int, int, int] = (24, 20, 20)
    astray: tuple[int, int, int] = (12, 4, 4)
    anywhere: tuple[int, int, int] = (300, 20, 10)
    negatives: tuple[int, int, int] = (500, 250, 150)
    positives: tuple[int, int, int] = (400, 250, 200)
    parts: tuple[int, int, int] = (200, 100, 60)
    landmarks: tuple[int, int, int] = (60, 30, 30)
    aligned_faces: tuple[int, int, int] = (12_000, 48_000, 48_000)
    learns_aligned_faces: bool = True
    mining_min_scores: tuple[float, float] = (0.5, 0.2)
    mining_min_face_px: float = 14.0
    has_landmark_heads: bool = True
    negative_shares: tuple[int, int, int] = (3, 2, 2)
    positive_shares: tuple[int, int, int] = (1, 2, 2)
    part_shares: tuple[int, int, int] = (1, 1, 1)
    landmark_shares: tuple[int, int, int] = (2, 1, 2)
    hard_share: float = 0.7
    colour_jitter: float = 0.3
    start: Path | None = None
    teacher: str | None = None
    teacher_weight: float = 1.0
    stage_epochs: tuple[int, int, int] = (20, 16, 16)
    stage_batches: tuple[int, int, int] = (600, 500, 300)
    stage_batch_sizes: tuple[int, int, int] = (1024, 256, 128)
    stage_lrs: tuple[float, float, float] = (2e-3, 1e-3, 1e-3)

    optimizer: Optimizer = "adamw"
    weight_decay: float = 1e-2
    warmup_epochs: float = 0.2
    ema_decay: float | None = 0.998
    precision: Precision = "bf16-mixed"
    validate_every: int = 4


DELTA_UNIT: Final = 0.1  # as RetinaFace's variance: an error of a tenth of a side is as bad as a wrong class


class Stage(NamedTuple):
    """One of the three networks.

    Attributes:
        name: of its folder.
        size_px: of what it sees.
        make: the network, given whether P-Net and R-Net have a landmark head.
    """

    name: str
    size_px: int
    make: Callable[[bool], nn.Module]


STAGES: Final = (
    Stage("pnet", 12, lambda has_landmarks: PNet(has_landmarks=has_landmarks)),
    Stage("rnet", 24, lambda has_landmarks: RNet(has_landmarks=has_landmarks)),
    Stage("onet", 48, lambda _: ONet()),
)


class StageLosses(NamedTuple):
    """Scalars: what is minimised, each task's mean before its weight, and how far the teacher is."""

    total: Tensor
    classification: Tensor
    boxes: Tensor
    landmarks: Tensor
    imitation: Tensor


class MtcnnLearner(nn.Module):
    """One network of the cascade and what it is taught by.

    Args:
        network: the student.
        weights: of its tasks.
        hard_share: of the classification losses, how many count.
        teacher: the same stage of a trained MTCNN, or None.
        teacher_weight: of its imitation.
    """

    def __init__(
        self,
        network: nn.Module,
        weights: TaskWeights,
        *,
        hard_share: float,
        teacher: Session | None = None,
        teacher_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = MTCNNMultitaskLoss(weights, hard_share=hard_share)
        self.imitation = AnchorImitationLoss()
        self.teacher, self.teacher_weight = teacher, teacher_weight

    def forward(self, batch: CropBatch) -> StageLosses:
        """The losses of a batch."""
        logits, offsets, *rest = self.network(batch.images)
        landmarks = rest[0] if rest else None
        taught: MTCNNLosses = self.loss(logits, offsets, landmarks, targets=batch.targets)
        imitated = taught.total.new_zeros(())
        if self.teacher is not None:
            replies = self.teacher.run(batch.images.float().cpu().numpy())
            example = [torch.from_numpy(reply).to(logits.device) for reply in replies]
            student = [logits, offsets, *rest][: len(example)]
            imitated = self.imitation(as_anchors(student), as_anchors(example)).total
        total = taught.total + self.teacher_weight * imitated
        return StageLosses(total, taught.classification, taught.boxes, taught.landmarks, imitated)


def as_anchors(answers: Sequence[Tensor]) -> Answer:
    """What a stage says of N crops, as a detector says it of N anchors, in a tenth of their sides.

    A stage without landmarks says that all of them are at the corner.
    """
    logits, offsets, *rest = (each.flatten(1)[None] for each in answers)
    landmarks = rest[0] if rest else offsets.new_zeros((*offsets.shape[:2], 10))
    return logits, offsets / DELTA_UNIT, landmarks / DELTA_UNIT


def train(recipe: MTCNNRecipe, folder: Path) -> Mapping[str, float]:
    """Train the three networks, or go on with the run in this folder.

    Returns:
        The figures of O-Net's last validation; those of a stage that was trained before are not told again.

    Raises:
        InputError: labels that name no image, or no crop of some kind that is needed.
        TrainingError: the folder holds another run, or the loss became no number.
    """
    open_run(folder, recipe, data=_data(recipe))
    learnt, held_out = split(read_widerface(recipe.labels).images, recipe)
    sessions: list[Session] = []
    figures: Mapping[str, float] = {}
    for stage in STAGES:
        exported = folder / f"mtcnn_{stage.name}.onnx"
        if not exported.exists():
            cut_window_crops(learnt, recipe, sessions=sessions, folder=crop_folder(folder, stage, "windows"))
            cut_aligned_crops(recipe, stage, folder=crop_folder(folder, stage, "aligned"))
            judge = MtcnnValidation(held_out, sessions)
            figures = fit_stage(recipe, stage, judge=judge, folder=folder)
            export_best(stage, folder / stage.name / "best.pt", exported)
        sessions.append(OnnxSession(exported, threads=1))
    return figures


def split(
    images: Sequence[AnnotatedImage], recipe: MTCNNRecipe
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """The images that teach, with the faces that are not to be learnt ignored, and those that judge."""
    order = np.random.default_rng(recipe.seed).permutation(len(images)).tolist()
    count = max(1, round(recipe.held_out * len(images)))
    learnt = [images[i] for i in sorted(order[count:])]
    if not learnt:
        raise InputError(f"{recipe.labels} has {len(images)} usable images: too few to hold some out")
    if recipe.needs_landmarks:
        learnt = [replace(image, is_ignored=image.is_ignored | ~image.has_landmarks) for image in learnt]
    return learnt, [images[i] for i in sorted(order[:count])]


def crop_folder(folder: Path, stage: Stage, name: str) -> Path:
    """Where the crops of a stage lie that come from windows, or from aligned faces."""
    return folder / f"{stage.name}-{name}"


def cut_window_crops(
    images: Sequence[AnnotatedImage], recipe: MTCNNRecipe, *, sessions: Sequence[Session], folder: Path
) -> None:
    """The crops of the stage that follows the trained ones."""
    number = len(sessions)
    plan = WindowPlan(
        size_px=STAGES[number].size_px,
        near=recipe.near[number],
        astray=recipe.astray[number],
        anywhere=recipe.anywhere[number],
        limits=of_kinds(number, recipe.negatives, recipe.positives, recipe.parts, recipe.landmarks),
        min_face_px=recipe.min_face_px,
        seed=recipe.seed,
    )
    cascade = None
    if sessions:
        cascade = Cascade(
            sessions, min_scores=recipe.mining_min_scores, min_face_px=recipe.mining_min_face_px
        )
    parts = stage_crops(images, plan, cascade=cascade)
    write_crops(folder, shown(parts, folder.name, total=len(images)), size_px=plan.size_px)


def cut_aligned_crops(recipe: MTCNNRecipe, stage: Stage, *, folder: Path) -> None:
    """Crops of aligned faces for one stage; none without a folder of them."""
    count = recipe.aligned_faces[STAGES.index(stage)]
    if recipe.faces is None or not count or folder.exists():
        return
    faces = read_shards(recipe.faces, split="train")
    chance = np.random.default_rng((recipe.seed, stage.size_px))
    labelled = np.flatnonzero(~np.isnan(faces.landmarks).any(axis=(1, 2)))
    drawn = np.sort(chance.permutation(labelled)[:count]).tolist()
    limits = ALL_KINDS if recipe.learns_aligned_faces else LANDMARKS_ONLY
    parts = (
        aligned_crops(faces.crop(i), faces.landmarks[i], chance, size_px=stage.size_px, limits=limits)
        for i in drawn
    )
    write_crops(folder, shown(parts, folder.name, total=len(drawn)), size_px=stage.size_px)


def fit_stage(
    recipe: MTCNNRecipe, stage: Stage, *, judge: MtcnnValidation, folder: Path
) -> Mapping[str, float]:
    """Train one network on its crops; the figures of its last validation."""
    number = STAGES.index(stage)
    settings = replace(
        recipe,
        epochs=recipe.stage_epochs[number],
        batch_size=recipe.stage_batch_sizes[number],
        lr=recipe.stage_lrs[number],
    )
    folders = [crop_folder(folder, stage, name) for name in ("windows", "aligned")]
    sets = [read_crops(each) for each in folders if each.exists()]
    samples = MtcnnSamples(sets, seed=recipe.seed, colour_jitter=recipe.colour_jitter)
    plan = balanced(
        samples.kinds,
        of_kinds(
            number,
            recipe.negative_shares,
            recipe.positive_shares,
            recipe.part_shares,
            recipe.landmark_shares,
        ),
        batch_size=settings.batch_size,
        batches=recipe.stage_batches[number],
        seed=recipe.seed,
    )
    torch.manual_seed(recipe.seed)
    network = stage.make(recipe.has_landmark_heads)
    if recipe.start is not None:
        load_state(
            network, recipe.start / stage.name / "best.pt", what=f"a {stage.name} of this recipe"
        ).train()
    learner = MtcnnLearner(
        network,
        TASK_WEIGHTS[stage.name],
        hard_share=recipe.hard_share,
        teacher=OnnxSession(read_models(recipe.teacher)[number], threads=1) if recipe.teacher else None,
        teacher_weight=recipe.teacher_weight,
    )
    return fit(
        learner,
        samples,
        settings=settings,
        run=open_run(folder / stage.name, settings, data=_data(recipe)),
        plan=plan,
        validation=Validation(judge, judge.best),
    )


def of_kinds(number: int, *values: tuple[int, int, int]) -> dict[CropKind, int]:
    """By kind, what belongs to the stage of this number."""
    return {kind: value[number] for kind, value in zip(CropKind, values, strict=True)}


def export_best(stage: Stage, weights: Path, exported: Path) -> None:
    """The ONNX file of a stage, which has the heads that detection uses and no others."""
    network = stage.make(False).eval()
    state = torch.load(weights, weights_only=True)
    known = network.state_dict()
    network.load_state_dict({name: value for name, value in state.items() if name in known})
    data = stage_to_onnx(network, exported.name, source="trained by vultus train mtcnn")
    with replace_file(exported) as stream:
        stream.write(data)


def shown(parts: Iterable[MtcnnCrops], name: str, *, total: int) -> Iterator[MtcnnCrops]:
    """The same, with a progress bar on the terminal."""
    console = Console(stderr=True)
    return iter(track(parts, name, total=total, console=console, disable=not console.is_terminal))


def _data(recipe: MTCNNRecipe) -> Mapping[str, Path]:
    """What the run learns from."""
    named = {"labels": recipe.labels, "faces": recipe.faces, "start": recipe.start}
    return {name: path for name, path in named.items() if path}
