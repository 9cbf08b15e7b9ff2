"""The ONNX file of YOLOv5-Face: from our module, with the numbers of the published export."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vultus.detect import Yolov5FaceDetector, load_detector
from vultus.errors import WeightsError
from vultus.export.yolov5_face import export_yolov5_face, main, shapes_for
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.networks.onnx_weights import load_onnx_convolutions
from vultus.networks.yolov5_face import yolov5_face
from vultus.runtime.onnx import OnnxSession


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    return shared / "weights" / "yolov5n-0.5-face.onnx"


@pytest.fixture(scope="module")
def exported(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published weights, by way of our module and a state dict, as our ONNX file."""
    network = yolov5_face("n-0.5")
    load_onnx_convolutions(network, published, example=torch.zeros(1, 3, 64, 64))
    folder = tmp_path_factory.mktemp("yolo")
    torch.save(network.state_dict(), folder / "state.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        main(folder / "state.pt", folder / "ours.onnx")
    return folder / "ours.onnx"


def test_it_answers_as_the_published_file_does(published: Path, exported: Path) -> None:
    batch = np.random.default_rng(0).uniform(0, 1, (1, 3, 640, 640)).astype(np.float32)
    theirs = OnnxSession(published, threads=1).run(batch)
    ours = OnnxSession(exported, threads=1).run(batch)
    assert [output.shape for output in ours] == [(1, 3, side, side, 16) for side in (80, 40, 20)]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-4)


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 3, 160, 96), (1, 3, 64, 352)])
def test_it_takes_any_batch_and_any_multiple_of_the_largest_stride(
    shape: tuple[int, int, int, int], exported: Path
) -> None:
    outputs = OnnxSession(exported, threads=1).run(np.zeros(shape, np.float32))
    assert [output.shape[:4] for output in outputs] == [
        (shape[0], 3, shape[2] // stride, shape[3] // stride) for stride in (8, 16, 32)
    ]


def test_it_says_how_to_feed_it_and_finds_what_the_published_file_finds(
    published: Path, exported: Path, photos: Path
) -> None:
    image = load_image(photos / "two-people.jpg")
    ours = load_detector("yolov5_face", weights=exported, threads=1).detect(image)
    theirs = Yolov5FaceDetector.load(published, threads=1).detect(image)
    assert len(ours) == len(theirs) == 2
    assert iou(ours.boxes, theirs.boxes).max(axis=1).min() > 0.9  # other bars: multiples of 32 instead of 640
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    assert not [
        word for word in (b"site-packages", b".py", b"/home", b"/work") if word in exported.read_bytes()
    ]


def test_a_network_with_a_fourth_stride_is_exported_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (tmp_path / "n6.onnx").write_bytes(export_yolov5_face(yolov5_face("n6").eval()))
    assert shapes_for(64)[0] == (1, 3, 64, 64)
    detector = Yolov5FaceDetector.load(tmp_path / "n6.onnx", threads=1, min_score=0.00001)
    assert len(detector.detect(np.zeros((50, 90, 3), np.uint8))) > 0


def test_a_state_dict_of_another_size_is_refused(tmp_path: Path) -> None:
    torch.save(yolov5_face("n-0.5").state_dict(), tmp_path / "state.pt")
    with pytest.raises(WeightsError, match="must hold the state dict of a YOLOv5-Face of size n6"):
        main(tmp_path / "state.pt", tmp_path / "out.onnx", size="n6")
    assert not (tmp_path / "out.onnx").exists()
