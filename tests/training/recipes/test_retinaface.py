"""The RetinaFace recipe: what is drawn, what is learnt from it, and that the detector reads it back."""

import csv
import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vultus.errors import InputError
from vultus.export.retinaface import configuration
from vultus.geometry.boxes import iou
from vultus.image import load_image, save_image
from vultus.networks.retinaface import RetinaFaceNet, retinaface
from vultus.networks.torch_session import TorchSession
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.sample import Sample
from vultus.training.data.targets import match_anchors
from vultus.training.data.widerface import read_widerface
from vultus.training.losses.multibox import AnchorTargets
from vultus.training.recipes.retinaface import (
    RetinaFaceLearner,
    RetinaFaceRecipe,
    RetinaFaceSamples,
    anchors_of,
    detector_of,
    take_trunk,
    train,
)
from vultus.training.run import open_run
from vultus.training.samples import Draw, shuffled
from vultus.training.trainer import fit
from vultus.types import FloatArray

CONFIG = configuration("mobilenet0.25", "RGB")
SMALL = RetinaFaceRecipe(
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


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy pictures of 160 x 120 px with one white face each; the first has no landmarks."""
    folder = tmp_path_factory.mktemp("synthetic")
    (folder / "images").mkdir()
    chance = np.random.default_rng(0)
    rows = []
    for number in range(10):
        image = chance.integers(0, 160, (120, 160, 3)).astype(np.uint8)
        x, y = chance.integers((10, 10), (110, 60)).tolist()
        image[y : y + 50, x : x + 40] = 255
        points = [(x + 10, y + 15), (x + 30, y + 15), (x + 20, y + 28), (x + 12, y + 40), (x + 28, y + 40)]
        marked = " ".join(f"{px} {py} 0.0" for px, py in (points if number else [(-1, -1)] * 5))
        rows += [f"# {number}.png", f"{x} {y} 40 50 {marked} 0.9"]
        save_image(image, folder / "images" / f"{number}.png")
    (folder / "label.txt").write_text("\n".join(rows) + "\n")
    return folder / "label.txt"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict in the layout of the public weights."""
    torch.manual_seed(5)
    network = retinaface("mobilenet0.25")
    for name, value in network.named_parameters():
        if name.startswith("ClassHead") and name.endswith("weight"):
            torch.nn.init.normal_(value, std=0.5)  # so that it sees some faces
    file = tmp_path_factory.mktemp("teacher") / "teacher.pth"
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture
def images(labels: Path) -> Sequence[AnnotatedImage]:
    return read_widerface(labels).images


def draws(count: int, *, epoch: int = 0, batch: int = 0) -> list[Draw]:
    return [Draw(epoch, batch, number) for number in range(count)]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_batch_is_a_function_of_its_draws(images: Sequence[AnnotatedImage]) -> None:
    pixels, targets = RetinaFaceSamples(images, SMALL, CONFIG).batch(draws(4))
    again, same = RetinaFaceSamples(images, SMALL, CONFIG).batch(draws(4))
    other, _ = RetinaFaceSamples(images, SMALL, CONFIG).batch(draws(4, epoch=1))
    reseeded, _ = RetinaFaceSamples(images, replace(SMALL, seed=1), CONFIG).batch(draws(4))
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (4, 3, 64, 64))
    assert targets.classes.shape == (4, len(anchors_of(64, CONFIG)))
    assert torch.equal(pixels, again)
    assert all(torch.equal(*pair) for pair in zip(targets, same, strict=True))
    assert not torch.equal(pixels, other)
    assert not torch.equal(pixels, reseeded)


def test_background_is_drawn_as_often_as_the_recipe_says(images: Sequence[AnnotatedImage]) -> None:
    shares = []
    for share in (0.0, 0.5):
        recipe = replace(SMALL, background_crop_share=share, background_crop_scales=(0.05, 0.1))
        samples = RetinaFaceSamples(images, recipe, CONFIG)
        batches = [samples.batch(draws(10, batch=number))[1] for number in range(10)]
        shares.append(float(torch.cat([(each.classes > 0).any(dim=1) for each in batches]).float().mean()))
    assert shares[0] > 0.9, "all other crops show a face"
    assert shares[1] < shares[0] - 0.25


def test_a_sample_is_the_same_in_any_company(images: Sequence[AnnotatedImage]) -> None:
    samples = RetinaFaceSamples(images, SMALL, CONFIG)
    together, _ = samples.batch(draws(4))
    alone, _ = samples.batch(draws(4)[2:3])
    assert torch.equal(together[2:3], alone)


def test_all_crops_of_a_batch_have_one_size_and_batches_differ(images: Sequence[AnnotatedImage]) -> None:
    samples = RetinaFaceSamples(images, replace(SMALL, sizes_px=(32, 64, 96)), CONFIG)
    sides = {samples.batch(draws(2, batch=number))[0].shape[2:] for number in range(12)}
    assert sides == {(32, 32), (64, 64), (96, 96)}


def test_a_face_without_landmarks_is_learnt_without_them(images: Sequence[AnnotatedImage]) -> None:
    samples = RetinaFaceSamples(images, replace(SMALL, anchor_crop_share=1.0), CONFIG)
    for number, is_known in ((0, False), (1, True)):
        _, targets = samples.batch([Draw(0, 0, number)])
        is_face = targets.classes == 1
        assert is_face.any()
        assert bool(targets.has_landmarks[is_face].any()) == is_known


class Answering:
    """A session that always gives the same answer."""

    def __init__(self, answer: Sequence[FloatArray]) -> None:
        self.answer = answer

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        assert batch.shape == (1, 3, 320, 320)
        return self.answer


def test_the_detector_that_ships_reads_back_what_was_to_be_learnt() -> None:
    centres = np.array([[30, 40], [100, 60], [250, 90], [60, 250], [220, 240]], np.float32)
    sides = np.array([14, 30, 70, 120, 200], np.float32)[:, None]
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    shares = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0.1], [-0.15, 0.3], [0.15, 0.3]], np.float32)
    landmarks = centres[:, None] + shares * sides[:, None]
    image = np.zeros((320, 320, 3), np.uint8)
    sample = Sample(image, boxes, landmarks, np.zeros(len(boxes), np.bool_))
    matched = match_anchors(sample, anchors_of(320, CONFIG))
    logits = np.where(matched.classes[:, None] == 1, [-9, 9], [9, -9]).astype(np.float32)
    answer = [each[None].astype(np.float32) for each in (logits, matched.box_deltas, matched.landmark_deltas)]
    detector = detector_of(Answering(answer), CONFIG, longest_px=320)
    faces = detector.detect(image)
    assert len(faces.scores) == len(boxes)
    order = iou(boxes, faces.boxes).argmax(axis=1)
    np.testing.assert_allclose(faces.boxes[order], boxes, atol=1e-3)
    np.testing.assert_allclose(faces.landmarks[order], landmarks, atol=1e-3)


def batch_of(labels: Path, recipe: RetinaFaceRecipe) -> tuple[Tensor, AnchorTargets]:
    return RetinaFaceSamples(read_widerface(labels).images, recipe, CONFIG).batch(draws(4))


def test_the_total_is_the_weighted_sum(labels: Path) -> None:
    torch.manual_seed(0)
    recipe = replace(SMALL, box_weight=0.3, landmark_weight=0.1, teacher_weight=0.5, hint_weight=0.7)
    network, teacher = RetinaFaceNet(CONFIG), retinaface()
    losses = RetinaFaceLearner(network, recipe, teacher=teacher)(batch_of(labels, recipe))
    expected = losses.classification + 0.3 * losses.boxes + 0.1 * losses.landmarks
    expected = expected + 0.5 * losses.imitation + 0.7 * losses.hints
    assert min(losses) > 0
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_a_teacher_nothing_is_imitated(labels: Path) -> None:
    losses = RetinaFaceLearner(RetinaFaceNet(CONFIG), SMALL)(batch_of(labels, SMALL))
    assert (losses.imitation.item(), losses.hints.item()) == (0, 0)


def test_a_trunk_that_saw_colours_in_the_other_order_answers_alike() -> None:
    torch.manual_seed(3)
    network, trained = RetinaFaceNet(CONFIG).eval(), retinaface("mobilenet0.25").eval()
    assert network.config.channel_order != trained.config.channel_order
    take_trunk(network, trained)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    ours, theirs = (each.body.pyramid(each.prepare(images)) for each in (network, trained))
    for level, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(level, expected, rtol=1e-3, atol=1e-4)  # sums in another order
    ours_rest, theirs_rest = (each.fpn.state_dict()["merge1.0.weight"] for each in (network, trained))
    assert not torch.equal(ours_rest, theirs_rest)


def test_a_run_starts_from_the_trunk_it_is_given(labels: Path, teacher: Path, tmp_path: Path) -> None:
    still = replace(SMALL, labels=labels, pretrained=teacher, lr=1e-12, ema_decay=None, epochs=1)
    train(still, tmp_path)
    kept = torch.load(tmp_path / "best.pt", weights_only=True)
    name = "body.stage2.0.0.weight"
    given = torch.load(teacher, weights_only=True)
    torch.testing.assert_close(kept[name], given.get(name, given.get(f"module.{name}")))
    assert json.loads((tmp_path / "recipe.json").read_text())["data"]["pretrained"]


def test_a_run_goes_on_from_the_whole_network_it_is_given(labels: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    trained = RetinaFaceNet(CONFIG)
    torch.save(trained.state_dict(), tmp_path / "trained.pt")
    still = replace(
        SMALL, labels=labels, start=tmp_path / "trained.pt", lr=1e-12, ema_decay=None, epochs=1, teacher=None
    )
    train(still, tmp_path / "run")
    kept = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    for name, value in trained.named_parameters():
        torch.testing.assert_close(kept[name], value.detach())
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]["start"]


def test_every_parameter_learns_and_the_teacher_does_not(labels: Path) -> None:
    torch.manual_seed(0)
    network, teacher = RetinaFaceNet(CONFIG), retinaface()
    learner = RetinaFaceLearner(network, SMALL, teacher=teacher).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    learner(batch_of(labels, replace(SMALL, anchor_crop_share=1.0))).total.backward()
    named = list(learner.named_parameters())
    assert len(named) > 100
    assert [name for name, value in named if value.grad is None or not value.grad.abs().sum() > 0] == []
    assert all(name.startswith("network.") for name in learner.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any(value.requires_grad for value in teacher.parameters())


@pytest.mark.parametrize("is_taught", [False, True], ids=["alone", "taught"])
def test_a_run_leaves_its_network_and_its_log(
    is_taught: bool, labels: Path, teacher: Path, tmp_path: Path
) -> None:
    recipe = replace(SMALL, labels=labels, teacher=teacher if is_taught else None, precision="bf16-mixed")
    assert train(recipe, tmp_path) == {}
    log = rows(tmp_path / "log.csv")
    assert [int(row["step"]) for row in log] == [1, 2, 3, 4]
    assert all((float(row["imitation"]) > 0) == is_taught for row in log)
    assert float(log[-1]["total"]) < float(log[0]["total"])
    network = RetinaFaceNet(CONFIG)
    network.load_state_dict(torch.load(tmp_path / "best.pt"))
    detector_of(TorchSession(network), CONFIG, longest_px=64).detect(
        load_image(labels.parent / "images/1.png")
    )
    data = json.loads((tmp_path / "recipe.json").read_text())["data"]
    assert set(data) == {"labels", "images"} | ({"teacher"} if is_taught else set())


class Interrupting(RetinaFaceSamples):
    """Presses Ctrl-C in the middle of the second epoch."""

    def batch(self, drawn: Sequence[Draw]) -> tuple[Tensor, AnchorTargets]:
        if drawn[0].epoch == 1 and drawn[0].batch == 1:
            signal.raise_signal(signal.SIGINT)
        return super().batch(drawn)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(labels: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, labels=labels, batch_size=3)
    images = read_widerface(labels).images

    def go(folder: str, samples: RetinaFaceSamples) -> list[str]:
        torch.manual_seed(0)
        run = open_run(tmp_path / folder, recipe, data={"labels": labels})
        learner = RetinaFaceLearner(RetinaFaceNet(CONFIG), recipe)
        fit(learner, samples, settings=recipe, run=run, plan=shuffled(10, 3, seed=0, drop_last=True))
        return [f"{row['step']} {row['total']}" for row in rows(run.log)]

    whole = go("whole", RetinaFaceSamples(images, recipe, CONFIG))
    with pytest.raises(KeyboardInterrupt):
        go("stopped", Interrupting(images, recipe, CONFIG))
    assert go("stopped", RetinaFaceSamples(images, recipe, CONFIG)) == whole
    ours, theirs = (torch.load(tmp_path / name / "best.pt") for name in ("whole", "stopped"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_two_processes_learn_what_one_does(labels: Path, teacher: Path, tmp_path: Path) -> None:
    """The same loss on the same batches of five, three of one process and two of the other, step for step."""
    script = Path(__file__).with_name("retinaface_together.py")
    done = subprocess.run(
        [sys.executable, script, labels, teacher, tmp_path],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    two, one = (rows(tmp_path / name / "log.csv") for name in ("two", "one"))
    assert len(two) == len(one) == 4
    for row, expected in zip(two, one, strict=True):
        for name in ("total", "classification", "boxes", "landmarks", "imitation", "hints"):
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-4)
            assert float(row[name]) > 0
    kept, alone = (torch.load(tmp_path / name / "best.pt") for name in ("two", "one"))
    for name, value in alone.items():
        torch.testing.assert_close(kept[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"backbone": "vgg"}, "unknown backbone 'vgg'"), ({"batch_size": 11}, "10 samples do not make a batch")],
)
def test_what_cannot_be_trained_is_refused(
    changed: dict[str, object], message: str, labels: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(SMALL, labels=labels, **changed), tmp_path)  # type: ignore[arg-type]  # of many kinds


@pytest.fixture
def handful(shared: Path, tmp_path: Path) -> RetinaFaceRecipe:
    """Eight training images of WIDER FACE, three of its validation set, and the public weights as teacher."""
    data = shared / "data"
    lines = (data / "widerface-train9" / "label.txt").read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("#")]
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "label.txt").write_text("\n".join(lines[: starts[8]]) + "\n")
    (tmp_path / "train" / "images").symlink_to(data / "widerface-train9" / "images")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "ground_truth").symlink_to(data / "widerface-dev" / "ground_truth")
    for file in first(data / "widerface-dev" / "images", 3):
        copy = tmp_path / "dev" / "images" / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(file)
    return replace(
        SMALL,
        labels=tmp_path / "train" / "label.txt",
        widerface=tmp_path / "dev",
        teacher=shared / "weights" / "retinaface-mobilenet0.25.pth",
        sizes_px=(96,),
        validation_px=160,
        precision="bf16-mixed",
        epochs=1,
    )


def first(folder: Path, count: int) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.jpg"))[:count]


def test_it_learns_from_real_images_and_is_judged_on_real_images(
    handful: RetinaFaceRecipe, tmp_path: Path
) -> None:
    figures = train(handful, tmp_path / "run")
    assert set(figures) == {"easy", "medium", "hard", "mean_ap"}
    assert all(0 <= figure <= 1 for figure in figures.values())
    assert len(rows(tmp_path / "run" / "log.csv")) == 2
    assert (tmp_path / "run" / "best.pt").exists()
    assert train(handful, tmp_path / "run") == figures, "it is over, and says so again"


def test_samples_go_to_another_process(images: Sequence[AnnotatedImage]) -> None:
    samples = RetinaFaceSamples(images, SMALL, CONFIG)
    copy = pickle.loads(pickle.dumps(samples))
    assert torch.equal(copy.batch(draws(4))[0], samples.batch(draws(4))[0])
