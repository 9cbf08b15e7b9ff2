"""RetinaFace: the reading of its answers by hand, and the public weights against plain PyTorch."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vultus.detect import RetinaFaceDetector, load_detector
from vultus.detect.retinaface import anchors_of, decode
from vultus.errors import InputError, ShapeError, WeightsError
from vultus.geometry.anchors import encode_boxes, encode_landmarks
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.networks.retinaface import RetinaFaceNet, load_retinaface
from vultus.runtime.onnx import OnnxSession
from vultus.types import Detections, FloatArray, Image
from vultus.weights import store
from vultus.weights.catalog import entry
from vultus.weights.description import Preprocessing, RetinaFaceDecoding

# ONNX Runtime may add in another order for another batch or thread.
SAME_PX, SAME_SCORE = 0.02, 1e-4

Photo = Callable[[str], Image]
DECODING = RetinaFaceDecoding(activation="leaky_relu_0.1")


class Reference(NamedTuple):
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]


def plain_detect(network: RetinaFaceNet, image: Image, min_score: float) -> Reference:
    """The textbook, in PyTorch: all anchors decoded by softmax and loops over levels, then a loop of NMS."""
    bgr = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        logits, boxes, points = network(bgr - torch.tensor([104.0, 117, 123])[:, None, None])
    rows = []
    for step, sides in zip((8, 16, 32), ((16, 32), (64, 128), (256, 512)), strict=True):
        for i in range(math.ceil(image.shape[0] / step)):
            for j in range(math.ceil(image.shape[1] / step)):
                rows += [((j + 0.5) * step, (i + 0.5) * step, side) for side in sides]
    x, y, side = torch.tensor(rows, dtype=torch.float64).T
    scores = logits[0].double().softmax(-1)[:, 1]
    boxes, points = boxes[0].double(), points[0].double().reshape(-1, 5, 2)
    cx, cy = x + 0.1 * boxes[:, 0] * side, y + 0.1 * boxes[:, 1] * side
    w, h = side * torch.exp(0.2 * boxes[:, 2]), side * torch.exp(0.2 * boxes[:, 3])
    corners = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=1).numpy()
    landmarks = torch.stack([x, y], dim=1)[:, None] + 0.1 * points * side[:, None, None]
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if scores[index] < min_score:
            break
        if not kept or iou(corners[[index]], corners[kept]).max() <= 0.4:
            kept.append(index)
    return Reference(corners[kept], scores.numpy()[kept], landmarks.numpy()[kept])


@pytest.fixture(scope="module")
def network(shared: Path) -> RetinaFaceNet:
    return load_retinaface(shared / "weights" / "retinaface-mobilenet0.25.pth")


@pytest.fixture(scope="module")
def detector() -> RetinaFaceDetector:
    return RetinaFaceDetector.load(threads=1)


def assert_same(actual: Detections, expected: Detections) -> None:
    assert len(actual) == len(expected)
    np.testing.assert_allclose(actual.boxes, expected.boxes, atol=SAME_PX)
    np.testing.assert_allclose(actual.landmarks, expected.landmarks, atol=SAME_PX)
    np.testing.assert_allclose(actual.scores, expected.scores, atol=SAME_SCORE)


def assert_equals_reference(faces: Detections, expected: Reference) -> None:
    assert len(faces) == len(expected.scores)
    if len(faces):
        table = iou(faces.boxes, expected.boxes)
        partner = table.argmax(axis=1)
        assert sorted(partner.tolist()) == list(range(len(faces)))
        assert table.max(axis=1).min() >= 0.99
        np.testing.assert_allclose(faces.scores, expected.scores[partner], atol=1e-3)
        np.testing.assert_allclose(faces.landmarks, expected.landmarks[partner], atol=0.2)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("six-friends.jpg", 6),
        ("two-people.jpg", 2),
        ("no-faces.jpg", 0),
        ("crowd-25.jpg", 208),
        ("biden-1.jpg", 1),
    ],
)
def test_the_public_weights_find_what_plain_pytorch_finds(
    name: str, count: int, photo: Photo, network: RetinaFaceNet
) -> None:
    detector = RetinaFaceDetector.load(threads=1, close_up=False)
    faces = detector.detect(photo(name))
    assert len(faces) == count
    assert_equals_reference(faces, plain_detect(network, photo(name), 0.5))


def test_they_do_on_wider_face_too_down_to_faint_faces(shared: Path, network: RetinaFaceNet) -> None:
    images = sorted((shared / "data" / "widerface-dev" / "images").rglob("*.jpg"))[::19]
    assert len(images) == 9
    detector = RetinaFaceDetector.load(threads=1, close_up=False, min_score=0.1)
    counts = []
    for path in images:
        image = load_image(path)
        faces = detector.detect(image)
        assert_equals_reference(faces, plain_detect(network, image, 0.1))
        counts.append(len(faces))
    assert sum(counts) > 100


def test_swapped_colours_score_lower(photo: Photo, detector: RetinaFaceDetector) -> None:
    changes = []
    for name in ("six-friends.jpg", "meeting.jpg", "crowd-6.jpg", "two-people.jpg"):
        rgb, bgr = detector.detect(photo(name)), detector.detect(photo(name)[..., ::-1])
        table = iou(rgb.boxes, bgr.boxes)
        rivals = [bgr.scores[table[i] > 0.5].max(initial=0.0) for i in range(len(rgb))]
        changes += (np.array(rivals) - rgb.scores).tolist()
    assert len(changes) > 20
    assert np.mean(changes) < 0
    assert np.mean(np.array(changes) < 0) > 0.75
    crowd = photo("crowd-25.jpg")
    assert detector.detect(crowd[..., ::-1]).scores.sum() < 0.8 * detector.detect(crowd).scores.sum()


def test_only_anchors_that_reach_the_score_are_decoded_and_as_the_paper_says() -> None:
    anchors = anchors_of((64, 96), DECODING)
    chosen = [0, 7, len(anchors) - 1]
    boxes = np.array([[1, 2, 11, 22], [30, 8, 60, 50], [-20, -10, 200, 220]], np.float32)
    points = np.random.default_rng(0).uniform(0, 60, (3, 5, 2)).astype(np.float32)
    logits = np.zeros((2, len(anchors), 2), np.float32)
    logits[..., 0] = 5
    logits[1, chosen, 1] = 5 + np.array([0, 3, -0.01])  # 0.5, 0.95, just below 0.5
    box_deltas = np.full((2, len(anchors), 4), np.nan, np.float32)
    landmark_deltas = np.full((2, len(anchors), 10), np.nan, np.float32)
    box_deltas[1, chosen] = encode_boxes(boxes, anchors[chosen])
    landmark_deltas[1, chosen] = encode_landmarks(points, anchors[chosen])
    nothing, found = decode((logits, box_deltas, landmark_deltas), (64, 96), 0.5, decoding=DECODING)
    assert len(nothing.scores) == 0
    np.testing.assert_allclose(found.boxes, boxes[:2], atol=1e-4)
    np.testing.assert_allclose(found.landmarks, points[:2], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.5, 1 / (1 + math.exp(-3))], rtol=1e-6)


def test_networks_that_answer_probabilities_are_read_alike() -> None:
    rng = np.random.default_rng(1)
    count = len(anchors_of((40, 40), DECODING))
    logits = rng.normal(0, 3, (1, count, 2)).astype(np.float32)
    boxes, points = (rng.normal(0, 1, (1, count, n)).astype(np.float32) for n in (4, 10))
    exps = np.exp(logits)
    probabilities = exps / exps.sum(axis=-1, keepdims=True)
    published = replace(DECODING, outputs="boxes_probabilities_landmarks")
    (ours,) = decode((logits, boxes, points), (40, 40), 0.3, decoding=DECODING)
    (theirs,) = decode((boxes, probabilities, points), (40, 40), 0.3, decoding=published)
    assert len(ours.scores) > 5
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    certain = np.array([[[0, 1]] * count], np.float32)
    (found,) = decode((boxes, certain, points), (40, 40), 0.3, decoding=published)
    assert (found.scores == 1).all()


class Recording:
    """The public network, which remembers what it was shown."""

    def __init__(self) -> None:
        self.network = OnnxSession(store.read("retinaface-mobilenet0.25"), threads=1)
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        self.shapes.append(batch.shape)
        return self.network.run(batch)


def test_the_network_sees_the_image_at_its_own_size_without_bars(photo: Photo) -> None:
    network, known = Recording(), entry("retinaface-mobilenet0.25")
    detector = RetinaFaceDetector(network, preprocessing=known.preprocessing, decoding=DECODING)
    detector.detect(photo("no-faces.jpg")[:101, :77])
    assert network.shapes == [(1, 3, 101, 77)]


@pytest.mark.parametrize("longest_px", [None, 640])
def test_a_batch_of_mixed_sizes_gives_what_single_calls_give(longest_px: int | None, photo: Photo) -> None:
    detector = RetinaFaceDetector.load(threads=1, longest_px=longest_px)
    names = ["two-people.jpg", "no-faces.jpg", "rotated-0.jpg", "two-people.jpg"]
    images = [photo(name) for name in names] + [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((5, 700, 3), np.uint8),
    ]
    images[3] = images[3][:, ::-1]
    together = detector.detect_batch(images)
    assert [len(faces) for faces in together] == [2, 0, 1, 2, 0, 0]
    for faces, image in zip(together, images, strict=True):
        assert_same(faces, detector.detect(image))
    assert detector.detect_batch([]) == []


def test_eight_threads_get_what_one_gets(photo: Photo, detector: RetinaFaceDetector) -> None:
    images = [photo(name) for name in ("rotated-0.jpg", "two-people.jpg", "no-faces.jpg")]
    expected = [detector.detect(image) for image in images]
    assert [len(faces) for faces in expected] == [1, 2, 0]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: detector.detect(images[i % 3]), range(9)))
    for i, faces in enumerate(answers):
        assert_same(faces, expected[i % 3])


def test_a_face_that_fills_a_large_photo_is_found_in_the_close_up(photo: Photo) -> None:
    """Without it the background beside the face, and its parts, are taken for faces."""
    image = np.repeat(np.repeat(photo("biden-2.jpg")[100:860, 380:900], 2, axis=0), 2, axis=1)
    truth = np.array([[80, 184, 990, 1328]])
    assert image.shape == (1520, 1040, 3)
    faces = RetinaFaceDetector.load(threads=1).detect(image)
    assert len(faces) == 1
    assert iou(faces.boxes, truth)[0, 0] > 0.8
    left_eye, right_eye, nose, left_mouth, right_mouth = faces.landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    alone = RetinaFaceDetector.load(threads=1, close_up=False).detect(image)
    assert len(alone) == 0 or iou(alone.boxes, truth).max() < 0.5


def test_the_longer_side_is_what_was_asked_for_up_or_down(photo: Photo) -> None:
    network, known = Recording(), entry("retinaface-mobilenet0.25")
    detector = RetinaFaceDetector(
        network, preprocessing=known.preprocessing, decoding=DECODING, longest_px=400
    )
    image = photo("two-people.jpg")
    faces = detector.detect_batch([image, image[:200, :200]])[0]
    assert network.shapes == [(1, 3, 235, 400), (1, 3, 400, 400)]
    assert len(faces) == 2
    assert iou(faces.boxes, RetinaFaceDetector.load(threads=1).detect(image).boxes).max(axis=1).min() > 0.8


def test_explaining_tells_the_same_faces_and_why_others_are_none(
    photo: Photo, detector: RetinaFaceDetector
) -> None:
    image = photo("six-friends.jpg")
    assert_same(detector.explain(image).faces, detector.detect(image))
    as_it_is = max(image.shape)  # large faces only would be looked for in a reduced image
    strict = RetinaFaceDetector.load(threads=1, min_score=0.9998, min_face_px=100, longest_px=as_it_is)
    explained = strict.explain(image)
    assert_same(explained.faces, strict.detect(image))
    reasons = [str(miss.reason) for miss in explained.near_misses]
    assert len(explained.faces) + len(reasons) >= 6
    assert {"too_small", "below_min_score"} <= set(reasons)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 90), (33, 17), (64, 64), (700, 3)])
def test_noise_of_any_size_is_no_crash(size_hw: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    faces = RetinaFaceDetector.load(threads=1, min_score=0.01).detect(noise)
    assert np.isfinite(faces.boxes).all()
    assert np.isfinite(faces.landmarks).all()


@pytest.mark.parametrize("image", [np.zeros((50, 50), np.uint8), np.zeros((50, 50, 3), np.float32)])
def test_what_is_no_image_is_refused(image: Image, detector: RetinaFaceDetector) -> None:
    with pytest.raises(ShapeError):
        detector.detect(image)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_score": 2}, InputError, "min_score must lie"),
        ({"scale_factor": 0.5}, InputError, "retinaface has no option 'scale_factor'; it has min_score"),
        ({"retry": "flip"}, InputError, "retry must be 'rotate' or None"),
        ({"weights": "sface"}, WeightsError, "sface is SFace.*this detector takes an ONNX file, or one of"),
        ({"weights": "retinaface-mobilenet0.25-pth"}, WeightsError, "PyTorch; this detector takes an ONNX"),
        ({"weights": "nowhere.onnx"}, WeightsError, "no weights named 'nowhere.onnx', and no such file"),
    ],
)
def test_what_cannot_be_loaded_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_detector("retinaface", **options)


def test_a_file_that_does_not_say_how_to_feed_it_is_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.onnx"
    silent.write_bytes(store.read("mtcnn", "mtcnn_pnet.onnx") + b"\x72\x04\x0a\x00\x12\x00")
    with pytest.raises(WeightsError, match="must say under 'vultus' how to feed it"):
        RetinaFaceDetector.load(silent)
    silent.write_bytes(b"no graph")
    with pytest.raises(WeightsError, match="cannot load"):
        RetinaFaceDetector.load(silent)


def test_a_file_of_the_catalogue_is_known_by_its_bytes(tmp_path: Path, photo: Photo) -> None:
    copy = tmp_path / "renamed.onnx"
    copy.write_bytes(store.read("retinaface-mobilenet0.25"))
    faces = RetinaFaceDetector.load(copy, threads=1).detect(photo("rotated-0.jpg"))
    assert_same(faces, RetinaFaceDetector.load(threads=1).detect(photo("rotated-0.jpg")))


@pytest.mark.parametrize(
    ("name", "count"), [("crowd-6.jpg", 14), ("six-friends.jpg", 6), ("no-faces.jpg", 0)]
)
def test_our_own_weights_find_the_people(name: str, count: int, photo: Photo) -> None:
    ours = RetinaFaceDetector.load("retinaface-vultus", threads=1, min_score=0.8).detect(photo(name))
    public = RetinaFaceDetector.load(threads=1).detect(photo(name))
    assert len(ours) == count
    if count:
        assert (iou(ours.boxes, public.boxes).max(axis=1) > 0.6).all()


def test_the_wrong_order_of_colours_is_a_matter_of_the_entry(photo: Photo) -> None:
    session = OnnxSession(store.read("retinaface-mobilenet0.25"), threads=1)
    wrong = RetinaFaceDetector(
        session, preprocessing=Preprocessing(mean=(123.0, 117.0, 104.0)), decoding=DECODING
    )
    image = photo("six-friends.jpg")
    assert wrong.detect(image).scores.sum() < RetinaFaceDetector.load(threads=1).detect(image).scores.sum()
