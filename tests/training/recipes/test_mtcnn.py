"""MTCNN's recipe: three stages from one command, each on what the ones before it let through."""

import shutil
import tarfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vultus.detect.mtcnn import MtcnnDetector
from vultus.errors import InputError, TrainingError, WeightsError
from vultus.image import load_image, save_image
from vultus.networks.mtcnn import ONet, RNet
from vultus.runtime.onnx import OnnxSession
from vultus.training.data.mtcnn_batches import CropBatch
from vultus.training.data.mtcnn_crops import read_crops
from vultus.training.data.widerface import read_widerface
from vultus.training.losses.anchor_imitation import AnchorImitationLoss
from vultus.training.losses.mtcnn_multitask import TASK_WEIGHTS, CropKind, CropTargets
from vultus.training.recipes.mtcnn import STAGES, MtcnnLearner, MTCNNRecipe, as_anchors, split, train

FILES = [f"mtcnn_{stage.name}.onnx" for stage in STAGES]
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # the exporter


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight noisy pictures with two drawn faces each, and a label file in RetinaFace's format."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "images").mkdir()
    chance = np.random.default_rng(0)
    lines = []
    for number in range(8):
        image = chance.integers(0, 120, (90, 120, 3), np.uint8)
        lines.append(f"# {number}.png")
        for x, y, side in ((10, 20, 30), (60, 30, 40)):
            image[y : y + side, x : x + side] = 230
            points = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
            places = [(x + u * side, y + v * side) for u, v in points]
            for u, v in places:
                image[int(v) - 2 : int(v) + 2, int(u) - 2 : int(u) + 2] = 20
            lines.append(f"{x} {y} {side} {side} " + " ".join(f"{u} {v}" for u, v in places) + " 0 0 0 0")
        save_image(image, folder / "images" / f"{number}.png")
    (folder / "label.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder / "label.txt"


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of five drawn aligned faces, one of them of another split, and its index."""
    folder = tmp_path_factory.mktemp("aligned")
    points = [(46, 60), (81, 60), (64, 80), (50, 100), (79, 100)]
    names = [
        f"{point}_{axis}"
        for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
        for axis in "xy"
    ]
    lines = [",".join(["shard", "file", "source", "identity", "split", *names])]
    with tarfile.open(folder / "a.tar", "w") as archive:
        for number in range(5):
            image = np.full((128, 128, 3), 200 - 10 * number, np.uint8)
            for x, y in points:
                image[y - 4 : y + 4, x - 4 : x + 4] = 20
            save_image(image, folder / f"{number}.png")
            archive.add(folder / f"{number}.png", f"{number}.png")
            where = ",".join(str(value) for point in points for value in point)
            lines.append(f"a.tar,{number}.png,drawn,,{'train' if number else 'heldout'},{where}")
    (folder / "index.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recipe(labels: Path, faces: Path | None = None) -> MTCNNRecipe:
    return MTCNNRecipe(
        labels=labels,
        faces=faces,
        held_out=0.2,
        stage_epochs=(2, 2, 2),
        stage_batches=(20, 10, 5),
        stage_batch_sizes=(64, 32, 16),
        aligned_faces=(3, 5, 5),
        precision="32-true",
        validate_every=2,
    )


@pytest.fixture(scope="module")
def run(labels: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went through."""
    folder = tmp_path_factory.mktemp("runs") / "mtcnn"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, while they are imported and export
        figures = train(recipe(labels, faces), folder)
    assert list(figures) == ["ap", "recall", "nme"]
    return folder


def test_one_command_leaves_three_files_that_the_detector_runs(run: Path, labels: Path) -> None:
    detector = MtcnnDetector.load(run, min_face_px=20, stage_min_scores=(0.1, 0.1), min_score=0.02)
    faces = detector.detect(load_image(labels.parent / "images" / "0.png"))
    assert faces.landmarks.shape == (len(faces), 5, 2)
    for stage in STAGES:
        assert {"log.csv", "validation.csv", "best.pt"} <= {
            path.name for path in (run / stage.name).iterdir()
        }


def test_the_files_say_what_they_are_and_carry_no_head_that_detection_does_not_use(run: Path) -> None:
    for name, outputs in zip(FILES, (2, 2, 3), strict=True):
        model = onnx.load(run / name)
        facts = {each.key: each.value for each in model.metadata_props}
        assert [output.name for output in model.graph.output] == ["logits", "offsets", "landmarks"][:outputs]
        assert facts["layout"] == ("fully convolutional" if "pnet" in name else "row_major")
        assert facts["source"] == "trained by vultus train mtcnn"


def test_checkpoints_record_the_layout_and_load_into_the_networks(run: Path) -> None:
    rnet, onet = RNet(layout="column_major", has_landmarks=True), ONet(layout="column_major")
    rnet.load_state_dict(torch.load(run / "rnet" / "best.pt", weights_only=True))
    onet.load_state_dict(torch.load(run / "onet" / "best.pt", weights_only=True))
    assert (rnet.flatten.layout, onet.flatten.layout) == ("row_major", "row_major")


def test_every_stage_has_crops_of_every_kind_and_size(run: Path) -> None:
    for stage in STAGES:
        crops = read_crops(run / f"{stage.name}-windows")
        assert crops.images.shape[1:] == (3, stage.size_px, stage.size_px)
        assert set(crops.kinds.tolist()) == {int(kind) for kind in CropKind}


def test_aligned_faces_of_the_training_split_teach_every_stage(run: Path) -> None:
    for stage, count in zip(STAGES, (3, 4, 4), strict=True):
        kinds = read_crops(run / f"{stage.name}-aligned").kinds
        assert (kinds == CropKind.NEGATIVE).sum() == count  # one for each face; four are of the split
        assert (kinds == CropKind.POSITIVE).any()


def test_a_run_that_is_done_is_not_done_again(run: Path, labels: Path, faces: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert train(recipe(labels, faces), run) == {}
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_with_the_same_numbers(
    run: Path, labels: Path, faces: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "mtcnn"
    shutil.copytree(run, stopped)
    for path in (*stopped.glob("onet*"), *stopped.glob("mtcnn_[ro]net.onnx"), stopped / "rnet-windows"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    shutil.rmtree(stopped / "rnet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(recipe(labels, faces), stopped)
    for name in FILES:
        assert (stopped / name).read_bytes() == (run / name).read_bytes()


def test_a_folder_of_another_recipe_is_refused(run: Path, labels: Path, faces: Path) -> None:
    with pytest.raises(TrainingError, match="hard_share"):
        train(replace(recipe(labels, faces), hard_share=0.5), run)


def test_images_are_held_out_and_faces_without_landmarks_are_not_learnt(labels: Path) -> None:
    images = list(read_widerface(labels).images)
    unlabelled = np.full_like(images[3].landmarks, np.nan)
    images[3] = replace(images[3], landmarks=unlabelled)
    learnt, held_out = split(images, recipe(labels))
    assert (len(learnt), len(held_out)) == (6, 2)
    assert {image.path for image in learnt} | {image.path for image in held_out} == {i.path for i in images}
    ignored = {image.path for image in learnt if image.is_ignored.all()}
    assert ignored == {images[3].path} - {image.path for image in held_out}
    all_learnt, _ = split(images, replace(recipe(labels), needs_landmarks=False))
    assert not any(image.is_ignored.any() for image in all_learnt)


def test_too_few_images_are_an_error(labels: Path) -> None:
    with pytest.raises(InputError, match="1 usable images"):
        split(read_widerface(labels).images[:1], recipe(labels))


def test_every_stage_imitates_its_teacher_beside_the_labels(run: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for stage, file in zip(STAGES, FILES, strict=True):
        count = 6
        images = torch.rand(count, 3, stage.size_px, stage.size_px, generator=generator)
        offsets, landmarks = (torch.rand(count, size, generator=generator) for size in (4, 10))
        targets = CropTargets(torch.arange(count) % len(CropKind), offsets, landmarks)
        torch.manual_seed(1)
        network = stage.make(True)
        teacher = OnnxSession(run / file)
        learners = [
            MtcnnLearner(network, TASK_WEIGHTS[stage.name], hard_share=0.7, teacher=each, teacher_weight=0.5)
            for each in (None, teacher)
        ]
        alone, taught = (learner(CropBatch(images, targets)) for learner in learners)
        assert alone.imitation == 0
        assert taught.imitation > 0
        torch.testing.assert_close(taught.total, alone.total + 0.5 * taught.imitation)


def test_whoever_says_what_the_teacher_says_imitates_it() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, offsets, landmarks = (torch.randn(8, size, generator=generator) for size in (2, 4, 10))
    answer = as_anchors([logits, offsets, landmarks])
    assert AnchorImitationLoss()(answer, answer).total.item() == pytest.approx(0, abs=1e-6)
    further = as_anchors([logits, offsets, landmarks + 0.05])
    faces = logits.softmax(1)[:, 1] >= 0.5
    assert faces.any()
    # Ten coordinates, each half a unit of a tenth of a side off: smooth L1 is half the square.
    assert AnchorImitationLoss()(further, answer).landmarks.item() == pytest.approx(10 * 0.5 * 0.5**2)


def test_a_teacher_is_found_in_the_catalogue(labels: Path, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mtcnn"
    folder.mkdir()
    for name in FILES[:2]:
        shutil.copy(run / name, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(replace(recipe(labels), teacher="mtcnn", precision="bf16-mixed"), folder)
    log = (folder / "onet" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert log[0].endswith("imitation")
    assert float(log[1].rsplit(",", 1)[1]) > 0
    with pytest.raises(WeightsError, match="nobody"):
        train(replace(recipe(labels), teacher="nobody"), tmp_path / "other")


def test_a_stage_goes_on_from_another_run(run: Path, labels: Path, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mtcnn"
    folder.mkdir()
    for name in FILES[:2]:
        shutil.copy(run / name, folder)
    still = replace(
        recipe(labels, faces), start=run, stage_lrs=(1e-12, 1e-12, 1e-12), ema_decay=None, weight_decay=0.0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(still, folder)
    before, after = (
        torch.load(each / "onet" / "best.pt", weights_only=True)["conv1.weight"] for each in (run, folder)
    )
    torch.testing.assert_close(after, before)
