"""YOLOv5-Face: the reading of its answers by hand, and the exported n-0.5 against a plain decoding."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.detect import Yolov5FaceDetector, load_detector
from vultus.detect.yolov5_face import decode
from vultus.errors import ShapeError, WeightsError
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.runtime.onnx import OnnxSession
from vultus.types import Detections, FloatArray, Image
from vultus.weights.catalog import entry
from vultus.weights.description import Yolov5FaceDecoding

Photo = Callable[[str], Image]
DECODING = Yolov5FaceDecoding()


@pytest.fixture(scope="module")
def onnx_file(shared: Path) -> Path:
    return shared / "weights" / "yolov5n-0.5-face.onnx"


@pytest.fixture(scope="module")
def detector(onnx_file: Path) -> Yolov5FaceDetector:
    return Yolov5FaceDetector.load(onnx_file, threads=1)


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def plain_decode(
    t: Sequence[float], stride: int, row: int, column: int, anchor: tuple[int, int]
) -> list[float]:
    """The paper's decoding of an anchor's 16 numbers: score, x1 y1 x2 y2, five points, in input pixels."""
    x = (2 * sigmoid(t[0]) - 0.5 + column) * stride
    y = (2 * sigmoid(t[1]) - 0.5 + row) * stride
    half_w = (2 * sigmoid(t[2])) ** 2 * anchor[0] / 2
    half_h = (2 * sigmoid(t[3])) ** 2 * anchor[1] / 2
    points = [
        value * anchor[axis] + (column, row)[axis] * stride
        for value, axis in zip(t[5:15], [0, 1] * 5, strict=True)
    ]
    score = sigmoid(t[4]) * sigmoid(t[15])
    return [score, x - half_w, y - half_h, x + half_w, y + half_h, *points]


def plain_rows(outputs: Sequence[FloatArray], min_score: float) -> NDArray[np.float64]:
    """(N, 15) every anchor that scores enough, one after the other."""
    rows = []
    for output, stride, anchors in zip(outputs, DECODING.strides, DECODING.anchors_wh, strict=True):
        for anchor, row, column in np.argwhere(output[0, ..., 4] > -8).tolist():
            values = output[0, anchor, row, column].astype(float).tolist()
            decoded = plain_decode(values, stride, row, column, anchors[anchor])
            if decoded[0] >= min_score:
                rows.append(decoded)
    return np.array(rows, np.float64).reshape(-1, 15)


def plain_detect(session: OnnxSession, image: Image, min_score: float = 0.5) -> NDArray[np.float64]:
    """Letterbox by hand, run, decode, suppress, and undo the letterbox."""
    height, width = image.shape[:2]
    scale = 640 / max(height, width)
    inner_h, inner_w = round(height * scale), round(width * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    top, left = (640 - inner_h) // 2, (640 - inner_w) // 2
    canvas = np.full((640, 640, 3), 114, np.uint8)
    canvas[top : top + inner_h, left : left + inner_w] = cv2.resize(
        image, (inner_w, inner_h), interpolation=method
    )
    rows = plain_rows(session.run((canvas.transpose(2, 0, 1)[None] / 255).astype(np.float32)), min_score)
    kept: list[NDArray[np.float64]] = []
    for row in rows[np.argsort(-rows[:, 0])]:
        if not kept or iou(row[None, 1:5], np.array(kept)[:, 1:5]).max() <= 0.4:
            kept.append(row)
    found = np.array(kept).reshape(-1, 15)
    found[:, 1::2] = (found[:, 1::2] - left) * width / inner_w
    found[:, 2::2] = (found[:, 2::2] - top) * height / inner_h
    return found


def assert_equals_plain(faces: Detections, expected: NDArray[np.float64]) -> None:
    assert len(faces) == len(expected)
    if len(faces):
        table = iou(faces.boxes, expected[:, 1:5])
        partner = table.argmax(axis=1)
        assert sorted(partner.tolist()) == list(range(len(faces)))
        assert table.max(axis=1).min() >= 0.99
        np.testing.assert_allclose(faces.scores, expected[partner, 0], atol=1e-3)
        np.testing.assert_allclose(faces.landmarks.reshape(-1, 10), expected[partner, 5:], atol=0.1)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("six-friends.jpg", 6),
        ("two-people.jpg", 2),
        ("no-faces.jpg", 0),
        ("crowd-25.jpg", 256),
        ("rotated-0.jpg", 1),
    ],
)
def test_the_exported_weights_find_what_a_plain_decoding_finds(
    name: str, count: int, photo: Photo, onnx_file: Path
) -> None:
    faces = Yolov5FaceDetector.load(onnx_file, threads=1, close_up=False).detect(photo(name))
    assert len(faces) == count
    assert_equals_plain(faces, plain_detect(OnnxSession(onnx_file, threads=1), photo(name)))


def test_they_do_on_wider_face_too(shared: Path, onnx_file: Path) -> None:
    images = sorted((shared / "data" / "widerface-dev" / "images").rglob("*.jpg"))[::38]
    assert len(images) == 5
    detector = Yolov5FaceDetector.load(onnx_file, threads=1, close_up=False, min_score=0.2)
    session = OnnxSession(onnx_file, threads=1)
    counts = []
    for image in map(load_image, images):
        faces = detector.detect(image)
        assert_equals_plain(faces, plain_detect(session, image, 0.2))
        counts.append(len(faces))
    assert sum(counts) > 40


def test_every_anchor_is_decoded_as_the_paper_says() -> None:
    rng = np.random.default_rng(0)
    outputs = [rng.normal(0, 2, (1, 3, 64 // s, 96 // s, 16)).astype(np.float32) for s in (8, 16, 32)]
    (found,) = decode(outputs, 0.3, decoding=DECODING)
    is_enough = found.scores >= 0.3
    expected = plain_rows(outputs, 0.3)
    assert len(expected) > 20
    actual = np.column_stack([found.scores, found.boxes, found.landmarks.reshape(-1, 10)])[is_enough]
    np.testing.assert_allclose(
        actual[np.lexsort(actual.T)], expected[np.lexsort(expected.T)], rtol=1e-6, atol=1e-6
    )


def test_each_image_of_a_batch_keeps_its_own() -> None:
    outputs = [np.full((2, 3, 64 // s, 64 // s, 16), -9, np.float32) for s in (8, 16, 32)]
    outputs[1][1, 2, 3, 1, 4] = outputs[1][1, 2, 3, 1, 15] = 9
    nothing, one = decode(outputs, 0.5, decoding=DECODING)
    assert (len(nothing.scores), len(one.scores)) == (0, 1)


def test_rows_that_the_network_decoded_itself_are_read_alike() -> None:
    rows = np.zeros((1, 4, 16), np.float32)
    rows[0, 1] = [50, 40, 20, 10, 0.9, *range(10), 0.8]
    rows[0, 2, 4] = 0.4
    (found,) = decode([rows], 0.5, decoding=replace(DECODING, outputs="rows"))
    assert found.boxes.tolist() == [[40, 35, 60, 45]]
    assert found.landmarks.tolist() == [[[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]]
    np.testing.assert_allclose(found.scores, [0.72], rtol=1e-6)


def test_swapped_colours_score_lower(photo: Photo, detector: Yolov5FaceDetector) -> None:
    names = ("six-friends.jpg", "meeting.jpg", "crowd-6.jpg", "two-people.jpg", "group-of-six.jpg")
    rgb, bgr = (
        sum(float(detector.detect(photo(name)[..., ::step]).scores.sum()) for name in names)
        for step in (1, -1)
    )
    assert rgb > 28
    assert bgr < rgb


def test_a_batch_of_mixed_sizes_gives_what_single_calls_give(
    photo: Photo, detector: Yolov5FaceDetector
) -> None:
    images = [
        photo("two-people.jpg"),
        photo("no-faces.jpg"),
        np.zeros((3, 9, 3), np.uint8),
        photo("rotated-0.jpg"),
    ]
    together = detector.detect_batch(images)
    assert [len(faces) for faces in together] == [2, 0, 0, 1]
    for faces, image in zip(together, images, strict=True):
        alone = detector.detect(image)
        np.testing.assert_allclose(faces.boxes, alone.boxes, atol=0.02)
        np.testing.assert_allclose(faces.landmarks, alone.landmarks, atol=0.02)


def test_a_face_that_fills_the_photo_is_found_in_the_close_up(photo: Photo, onnx_file: Path) -> None:
    image = photo("biden-2.jpg")[192:764, 420:875]
    faces = Yolov5FaceDetector.load(onnx_file, threads=1).detect(image)
    assert len(faces) == 1
    assert iou(faces.boxes, np.array([[0, 0, 455, 572]]))[0, 0] > 0.8


def test_explaining_tells_the_same_faces(photo: Photo, detector: Yolov5FaceDetector) -> None:
    explained = detector.explain(photo("crowd-25.jpg"), floor=0.2)
    np.testing.assert_array_equal(explained.faces.boxes, detector.detect(photo("crowd-25.jpg")).boxes)
    assert len(explained.near_misses) > 10
    assert all(miss.score >= 0.2 for miss in explained.near_misses)
    assert "below_min_score" in {str(miss.reason) for miss in explained.near_misses}


def test_what_is_no_image_is_refused(detector: Yolov5FaceDetector) -> None:
    with pytest.raises(ShapeError):
        detector.detect(np.zeros((5, 5), np.uint8))


def test_weights_must_be_named_and_the_error_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"GPL-3.0.* There are yolov5n-0.5-face, yolov5n-face, yolov5s-face"
    ):
        load_detector("yolov5_face")
    with pytest.raises(WeightsError, match=r"this detector takes an ONNX file, or one of yolov5n-0\.5-face"):
        load_detector("yolov5_face", weights="retinaface-mobilenet0.25")


def test_weights_that_nobody_serves_are_asked_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="put it there"):
        load_detector("yolov5_face", weights="yolov5n-0.5-face")


def test_the_exported_file_is_known_by_its_bytes_and_has_one_size(detector: Yolov5FaceDetector) -> None:
    assert detector.search.longest_px == 640
    assert entry("yolov5n-0.5-face").preprocessing.size_hw == (640, 640)
