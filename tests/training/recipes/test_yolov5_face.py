"""The YOLOv5-Face recipe: what is drawn, what is learnt from it, and that the detector reads it back."""

import csv
import json
import pickle
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vultus.cli.train import load_recipe
from vultus.errors import InputError
from vultus.geometry.boxes import iou
from vultus.image import load_image, save_image
from vultus.networks.torch_session import TorchSession
from vultus.networks.yolov5_face import CONFIGS, YOLOv5FaceNet
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.sample import Sample
from vultus.training.data.targets import assign_cells
from vultus.training.data.widerface import read_widerface
from vultus.training.losses.yolov5_face import LevelTargets
from vultus.training.recipes.yolov5_face import (
    Batch,
    YOLOv5FaceLearner,
    YOLOv5FaceRecipe,
    YOLOv5FaceSamples,
    detector_of,
    train,
)
from vultus.training.run import open_run
from vultus.training.samples import Draw, shuffled
from vultus.training.trainer import fit
from vultus.types import FloatArray

CONFIG = CONFIGS["n-0.5"]
SMALL = YOLOv5FaceRecipe(
    widerface=None,
    sizes_px=(64,),
    epochs=2,
    batch_size=4,
    warmup_epochs=0.5,
    precision="32-true",
    threads=1,
    log_every=1,
    min_face_px=2,
)
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200), (200, 40, 200))


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen plain pictures of 160 x 120 px, each with a white face of 40 x 50 px."""
    folder = tmp_path_factory.mktemp("synthetic")
    chance = np.random.default_rng(0)
    rows = []
    for number in range(12):
        image = np.full((120, 160, 3), COLOURS[number % len(COLOURS)], np.uint8)
        x, y = chance.integers((10, 10), (110, 60)).tolist()
        image[y : y + 50, x : x + 40] = 255
        points = [(x + 10, y + 15), (x + 30, y + 15), (x + 20, y + 28), (x + 12, y + 40), (x + 28, y + 40)]
        if number == 0:
            points = [(-1, -1)] * 5
        marked = " ".join(f"{px} {py} 0.0" for px, py in points)
        rows += [f"# {number}.png", f"{x} {y} 40 50 {marked} 0.9"]
        (folder / "images").mkdir(exist_ok=True)
        save_image(image, folder / "images" / f"{number}.png")
    file = folder / "label.txt"
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.fixture
def images(labels: Path) -> Sequence[AnnotatedImage]:
    return read_widerface(labels).images


def draws(count: int, *, epoch: int = 0, batch: int = 0) -> list[Draw]:
    return [Draw(epoch, batch, number) for number in range(count)]


def test_a_batch_is_a_function_of_its_draws(images: Sequence[AnnotatedImage]) -> None:
    pixels, targets = YOLOv5FaceSamples(images, SMALL, CONFIG).batch(draws(4))
    again, same = YOLOv5FaceSamples(images, SMALL, CONFIG).batch(draws(4))
    other, _ = YOLOv5FaceSamples(images, SMALL, CONFIG).batch(draws(4, epoch=1))
    assert (pixels.dtype, tuple(pixels.shape), len(targets)) == (torch.uint8, (4, 3, 64, 64), 3)
    assert torch.equal(pixels, again)
    assert all(
        torch.equal(*pair) for level in zip(targets, same, strict=True) for pair in zip(*level, strict=True)
    )
    assert not torch.equal(pixels, other)


def test_all_squares_of_a_batch_have_one_size_and_batches_differ(images: Sequence[AnnotatedImage]) -> None:
    samples = YOLOv5FaceSamples(images, replace(SMALL, sizes_px=(32, 64, 96)), CONFIG)
    sides = {samples.batch(draws(2, batch=number))[0].shape[2:] for number in range(12)}
    assert sides == {(32, 32), (64, 64), (96, 96)}


@pytest.mark.parametrize(("share", "most"), [(0.0, 1), (1.0, 4)])
def test_a_mosaic_shows_several_images_and_a_crop_one(
    images: Sequence[AnnotatedImage], share: float, most: int
) -> None:
    recipe = replace(SMALL, mosaic_share=share, anchor_crop_share=0, crop_scales=(0.5, 1.0))
    pixels, _ = YOLOv5FaceSamples(images, recipe, CONFIG).batch(draws(12))
    shown = [backgrounds(square) for square in pixels]  # 0 where photometry made it gray
    assert max(shown) == most
    assert np.median(shown) == 1 if share == 0 else np.median(shown) > 1


def backgrounds(pixels: Tensor) -> int:
    """How many colours fill at least a 40th of a (3, S, S) picture; faces and padding are gray."""
    colours, counts = np.unique(pixels.flatten(1).numpy(), axis=1, return_counts=True)
    is_coloured = np.ptp(colours.astype(np.int64), axis=0) > 20
    return int((is_coloured & (counts > counts.sum() / 40)).sum())


def test_a_face_without_landmarks_is_learnt_without_them(images: Sequence[AnnotatedImage]) -> None:
    recipe = replace(SMALL, mosaic_share=0, crop_scales=(1.2, 1.3), anchor_crop_share=0)
    samples = YOLOv5FaceSamples(images, recipe, CONFIG)
    for number, is_known in ((0, False), (1, True)):
        _, targets = samples.batch([Draw(0, 0, number)])
        known = torch.cat([level.is_labelled for level in targets])
        assert len(known) > 0
        assert bool(known.any()) == is_known


def test_faces_that_get_too_small_are_neither_learnt_nor_background(images: Sequence[AnnotatedImage]) -> None:
    for min_face_px, is_learnt in ((2.0, True), (65.0, False)):
        recipe = replace(SMALL, min_face_px=min_face_px)
        _, targets = YOLOv5FaceSamples(images, recipe, CONFIG).batch(draws(12))
        assert (sum(len(level.rows) for level in targets) > 0) == is_learnt
        assert sum(len(level.ignored_rows) for level in targets) > 0


class Answering:
    """A session that always gives the same answer."""

    def __init__(self, answer: Sequence[FloatArray]) -> None:
        self.answer = answer

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        assert batch.shape == (1, 3, 320, 320)
        return self.answer


def perfect(targets: Sequence[LevelTargets], *, size_px: int) -> list[FloatArray]:
    """The raw maps that a network which has learnt its targets answers with."""
    maps = []
    for level, stride, anchors in zip(targets, CONFIG.strides, CONFIG.anchors, strict=True):
        side = size_px // stride
        raw = torch.full((len(anchors) * side * side, 16), -20.0)
        box = level.boxes_cxcywh
        raw[level.rows, :2] = ((box[:, :2] - level.cells + 0.5) / 2).logit()
        raw[level.rows, 2:4] = ((box[:, 2:] / level.anchors_wh).sqrt() / 2).logit()
        raw[level.rows, 5:15] = (
            (level.landmarks - level.cells[:, None]) / level.anchors_wh[:, None]
        ).flatten(1)
        raw[level.rows, 4] = raw[level.rows, 15] = 20.0
        maps.append(raw.reshape(1, len(anchors), side, side, 16).numpy())
    return maps


def test_the_detector_that_ships_reads_back_what_was_to_be_learnt() -> None:
    centres = np.array([[30, 40], [100, 60], [250, 90], [60, 250], [220, 240]], np.float32)
    sizes = np.array([[6, 8], [20, 24], [60, 70], [80, 100], [120, 140]], np.float32)
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    shares = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0.1], [-0.15, 0.3], [0.15, 0.3]], np.float32)
    landmarks = centres[:, None] + shares * sizes[:, None]
    image = np.zeros((320, 320, 3), np.uint8)
    sample = Sample(image, boxes, landmarks, np.zeros(len(boxes), np.bool_))
    targets = assign_cells([sample], size_hw=(320, 320), anchors_wh=CONFIG.anchors, strides=CONFIG.strides)
    faces = detector_of(Answering(perfect(targets, size_px=320)), CONFIG, longest_px=320).detect(image)
    assert len(faces.scores) == len(boxes)
    order = iou(boxes, faces.boxes).argmax(axis=1)
    np.testing.assert_allclose(faces.boxes[order], boxes, atol=1e-3)
    np.testing.assert_allclose(faces.landmarks[order], landmarks, atol=1e-3)


def batch_of(labels: Path, recipe: YOLOv5FaceRecipe, count: int) -> Batch:
    return YOLOv5FaceSamples(read_widerface(labels).images, recipe, CONFIG).batch(draws(count))


def test_the_total_is_the_weighted_sum(labels: Path) -> None:
    torch.manual_seed(0)
    recipe = replace(SMALL, box_weight=0.3, objectness_weight=0.7, class_weight=0.2, landmark_weight=0.01)
    losses = YOLOv5FaceLearner(YOLOv5FaceNet(CONFIG), recipe)(batch_of(labels, recipe, 4))
    expected = 0.3 * losses.boxes + 0.7 * losses.objectness + 0.2 * losses.classes + 0.01 * losses.landmarks
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("size", ["n-0.5", "n6"])
def test_every_parameter_learns(labels: Path, size: str) -> None:
    torch.manual_seed(0)
    recipe = replace(SMALL, sizes_px=(128,), anchor_crop_share=1.0)
    network = YOLOv5FaceNet(CONFIGS[size])
    batch = YOLOv5FaceSamples(read_widerface(labels).images, recipe, CONFIGS[size]).batch(draws(8))
    YOLOv5FaceLearner(network, recipe)(batch).total.backward()
    named = list(network.named_parameters())
    assert len(named) > 100
    assert [name for name, value in named if value.grad is None or not value.grad.abs().sum() > 0] == []


def test_two_processes_draw_together_what_one_draws(labels: Path) -> None:
    recipe = replace(SMALL, sizes_px=(64, 96, 128))
    pixels, targets = batch_of(labels, recipe, 6)
    samples = YOLOv5FaceSamples(read_widerface(labels).images, recipe, CONFIG)
    parts = [samples.batch(draws(6)[rank::2]) for rank in range(2)]
    for rank, (half, _) in enumerate(parts):
        assert torch.equal(half, pixels[rank::2])
    for level, *halves in zip(targets, *(targets for _, targets in parts), strict=True):
        assert len(level.rows) == sum(len(half.rows) for half in halves)


def test_a_run_leaves_its_network_and_its_log(labels: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, labels=labels)
    assert train(recipe, tmp_path) == {}
    with (tmp_path / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert set(rows[0]) >= {"total", "boxes", "objectness", "classes", "landmarks"}
    network = YOLOv5FaceNet(CONFIG)
    network.load_state_dict(torch.load(tmp_path / "best.pt"))
    detector = detector_of(TorchSession(network), CONFIG, longest_px=64)
    detector.detect(load_image(labels.parent / "images" / "1.png"))


class Interrupting(YOLOv5FaceSamples):
    """Presses Ctrl-C in the middle of the second epoch."""

    def batch(self, drawn: Sequence[Draw]) -> Batch:
        if drawn[0].epoch == 1 and drawn[0].batch == 1:
            signal.raise_signal(signal.SIGINT)
        return super().batch(drawn)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(labels: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, labels=labels)
    images = read_widerface(labels).images

    def go(folder: str, samples: YOLOv5FaceSamples) -> list[str]:
        torch.manual_seed(0)
        run = open_run(tmp_path / folder, recipe, data={"labels": labels})
        learner = YOLOv5FaceLearner(YOLOv5FaceNet(CONFIG), recipe)
        fit(learner, samples, settings=recipe, run=run, plan=shuffled(12, 4, seed=0))
        with run.log.open() as stream:
            return [f"{row['step']} {row['total']}" for row in csv.DictReader(stream)]

    whole = go("whole", YOLOv5FaceSamples(images, recipe, CONFIG))
    with pytest.raises(KeyboardInterrupt):
        go("stopped", Interrupting(images, recipe, CONFIG))
    assert go("stopped", YOLOv5FaceSamples(images, recipe, CONFIG)) == whole
    ours, theirs = (torch.load(tmp_path / name / "best.pt") for name in ("whole", "stopped"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (replace(SMALL, size="xl"), "unknown size 'xl'"),
        (replace(SMALL, sizes_px=(320, 300)), "multiples of 32"),
        (replace(SMALL, size="n6", sizes_px=(96,)), "multiples of 64"),
        (replace(SMALL, sizes_px=()), "multiples of 32"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    labels: Path, tmp_path: Path, recipe: YOLOv5FaceRecipe, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(recipe, labels=labels), tmp_path)


def test_labels_without_a_face_to_learn_are_refused(tmp_path: Path) -> None:
    (tmp_path / "label.txt").write_text("# 1.png\n# 2.png\n")
    with pytest.raises(InputError, match="no image with a face to learn from"):
        train(replace(SMALL, labels=tmp_path / "label.txt"), tmp_path / "run")


def test_official_labels_of_images_that_lie_elsewhere_can_be_learnt(labels: Path, tmp_path: Path) -> None:
    """As WIDER FACE's archives unpack: labels in one folder, images in another, and no landmarks."""
    rows = []
    for image in read_widerface(labels).images:
        x1, y1, x2, y2 = image.boxes[0].astype(int)
        rows += [image.path.name, "1", f"{x1} {y1} {x2 - x1} {y2 - y1} 0 0 0 0 0 0"]
    official = tmp_path / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    official.parent.mkdir()
    official.write_text("\n".join(rows) + "\n")
    (tmp_path / "WIDER_train").mkdir()
    (tmp_path / "WIDER_train" / "images").symlink_to(labels.parent / "images")
    train(replace(SMALL, labels=official, epochs=1), tmp_path / "run")
    assert (tmp_path / "run" / "best.pt").exists()
    told = json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]
    assert (set(told), told["images"]["files"]) == ({"labels", "images"}, 12)


def test_the_command_line_knows_it() -> None:
    module, recipe = load_recipe("yolov5_face")
    assert recipe is YOLOv5FaceRecipe
    assert module.train is train


def test_it_learns_from_real_photos(shared: Path) -> None:
    """A few steps on one batch: every part of the loss falls."""
    torch.manual_seed(0)
    recipe = replace(SMALL, sizes_px=(128,), batch_size=6, mosaic_share=0, anchor_crop_share=1.0)
    images = read_widerface(shared / "data" / "widerface-train9" / "label.txt").images
    known = [image for image in images if np.isfinite(image.landmarks).all() and len(image.boxes) < 5][:6]
    batch = YOLOv5FaceSamples(known, recipe, CONFIG).batch(draws(6))
    learner = YOLOv5FaceLearner(YOLOv5FaceNet(CONFIG), recipe)
    optimiser = torch.optim.Adam(learner.parameters(), lr=2e-3)
    told = []
    for _ in range(20):
        optimiser.zero_grad()
        losses = learner(batch)
        losses.total.backward()
        optimiser.step()
        told.append({name: value.item() for name, value in losses._asdict().items()})
    first, last = told[0], told[-1]
    assert last["total"] < first["total"] / 3
    assert last["boxes"] < 0.8 * first["boxes"]
    assert last["landmarks"] < 0.7 * first["landmarks"]


def test_a_run_is_judged_on_widerface_by_the_detector_that_ships(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "widerface-train9"
    some = read_widerface(source / "label.txt").images[:8]
    text = (source / "label.txt").read_text().split("# ")[1:9]
    (tmp_path / "label.txt").write_text("".join(f"# {part}" for part in text))
    (tmp_path / "images").symlink_to(source / "images")
    assert len(some) == len(read_widerface(tmp_path / "label.txt").images) == 8
    dev, ours = shared / "data" / "widerface-dev", tmp_path / "dev"
    (ours / "images").mkdir(parents=True)
    (ours / "ground_truth").symlink_to(dev / "ground_truth")
    for image in sorted((dev / "images").rglob("*.jpg"))[:2]:
        copy = ours / "images" / image.relative_to(dev / "images")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(image, copy)
    recipe = replace(
        SMALL, labels=tmp_path / "label.txt", widerface=ours, validation_px=160, epochs=1, sizes_px=(96,)
    )
    figures = train(recipe, tmp_path / "run")
    assert set(figures) == {"easy", "medium", "hard", "mean_ap"}
    assert all(0 <= value <= 1 for value in figures.values())
    assert (tmp_path / "run" / "validation.csv").exists()


def test_samples_go_to_another_process(images: Sequence[AnnotatedImage]) -> None:
    samples = YOLOv5FaceSamples(images, SMALL, CONFIG)
    copy = pickle.loads(pickle.dumps(samples))
    assert torch.equal(copy.batch(draws(4))[0], samples.batch(draws(4))[0])
