"""MTCNN with the public weights on real photos: what it finds, and what must not change it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from vultus.detect import MtcnnDetector, load_detector
from vultus.detect.mtcnn import FILES, MtcnnSessions
from vultus.errors import WeightsError
from vultus.geometry.boxes import iou
from vultus.interfaces import Detector
from vultus.networks.mtcnn import LayoutFlatten, load_public_weights
from vultus.types import Detections, FloatArray, Image
from vultus.weights import store

# ONNX Runtime may add in another order for another batch or thread.
SAME_PX, SAME_SCORE = 0.02, 1e-4

Photo = Callable[[str], Image]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("mtcnn", min_face_px=40)


class TorchSession:
    """A PyTorch network as a session."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        with torch.no_grad():
            return [answer.numpy() for answer in self.network(torch.from_numpy(batch))]


def detector_with_layout(layout: str) -> MtcnnDetector:
    networks = load_public_weights()
    for network in networks:
        for part in network.modules():
            if isinstance(part, LayoutFlatten):
                part.layout = "row_major" if layout == "row_major" else "column_major"
    return MtcnnDetector(MtcnnSessions(*map(TorchSession, networks)), min_face_px=40)


def assert_same(actual: Detections, expected: Detections) -> None:
    assert len(actual) == len(expected)
    np.testing.assert_allclose(actual.boxes, expected.boxes, atol=SAME_PX)
    np.testing.assert_allclose(actual.landmarks, expected.landmarks, atol=SAME_PX)
    np.testing.assert_allclose(actual.scores, expected.scores, atol=SAME_SCORE)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("biden-1.jpg", 1),
        ("crowd-6.jpg", 14),
        ("group-of-six.jpg", 6),
        ("meeting.jpg", 5),
        ("obama-partial.jpg", 1),
        ("rgba-32bit.png", 1),
        ("six-friends.jpg", 6),
        ("two-people.jpg", 2),
        ("no-faces.jpg", 0),
        ("mask_blue.jpg", 0),
        ("mask_white.jpg", 0),
    ],
)
def test_the_faces_that_people_see_are_found(name: str, count: int, photo: Photo, detector: Detector) -> None:
    faces = detector.detect(photo(name))
    assert len(faces) == count
    assert (faces.scores > 0.9).all()


def test_landmarks_lie_where_a_face_has_them(photo: Photo, detector: Detector) -> None:
    faces = detector.detect(photo("group-of-six.jpg"))
    assert len(faces) == 6
    left_eye, right_eye, nose, left_mouth, right_mouth = faces.landmarks.transpose(1, 0, 2)
    assert (left_eye[:, 0] < right_eye[:, 0]).all()
    assert (left_mouth[:, 0] < right_mouth[:, 0]).all()
    assert (np.maximum(left_eye[:, 1], right_eye[:, 1]) < nose[:, 1]).all()
    assert (nose[:, 1] < np.minimum(left_mouth[:, 1], right_mouth[:, 1])).all()
    assert (faces.landmarks >= faces.boxes[:, None, :2]).all()
    assert (faces.landmarks <= faces.boxes[:, None, 2:]).all()


def test_a_mirrored_photo_has_mirrored_faces_and_left_stays_left(photo: Photo, detector: Detector) -> None:
    image = photo("two-people.jpg")
    faces, mirrored = detector.detect(image), detector.detect(image[:, ::-1])
    assert len(faces) == len(mirrored) == 2
    back = mirrored.boxes.copy()
    back[:, [0, 2]] = image.shape[1] - mirrored.boxes[:, [2, 0]]
    assert (iou(back, faces.boxes).max(axis=0) > 0.8).all()
    assert (mirrored.landmarks[:, 0, 0] < mirrored.landmarks[:, 1, 0]).all()


def test_swapped_colours_score_lower(photo: Photo) -> None:
    names = [
        "group-of-six.jpg",
        "meeting.jpg",
        "six-friends.jpg",
        "crowd-6.jpg",
        "two-people.jpg",
        "bus-street.jpg",
    ]
    detector = load_detector("mtcnn", min_face_px=40, min_score=0.3)
    changes = []
    for name in names:
        rgb, bgr = detector.detect(photo(name)), detector.detect(photo(name)[..., ::-1])
        table = iou(rgb.boxes, bgr.boxes)
        for i in range(len(rgb)):
            rival = bgr.scores[table[i] > 0.5].max(initial=0.0)
            changes.append(float(rival - rgb.scores[i]))
    assert len(changes) > 30
    assert np.mean(changes) < -0.01
    assert np.mean(np.array(changes) < 0) > 0.7


def test_the_wrong_layout_misplaces_faces_and_invents_others(photo: Photo) -> None:
    image = photo("group-of-six.jpg")
    right, wrong = (detector_with_layout(layout).detect(image) for layout in ("column_major", "row_major"))
    assert_same(right, load_detector("mtcnn", min_face_px=40).detect(image))
    assert len(right) == 6
    assert len(wrong) > 12
    assert (iou(right.boxes, wrong.boxes).max(axis=1) < 0.6).all()


def test_transposing_the_images_too_would_be_once_too_often(photo: Photo) -> None:
    """The kernels are upright already: a transposed image is a face on its side."""
    image = photo("crowd-6.jpg")
    detector = load_detector("mtcnn", min_face_px=40)
    assert (
        len(detector.detect(np.ascontiguousarray(image.transpose(1, 0, 2)))) < len(detector.detect(image)) / 2
    )


def test_a_batch_of_mixed_sizes_gives_what_single_calls_give(photo: Photo, detector: Detector) -> None:
    names = [
        "six-friends.jpg",
        "no-faces.jpg",
        "rotated-0.jpg",
        "bus-street.jpg",
        "crowd-6.jpg",
        "two-people.jpg",
    ]
    images = [photo(name) for name in names]
    images.insert(2, np.zeros((5, 7, 3), np.uint8))
    together = detector.detect_batch(images)
    assert [len(faces) for faces in together] == [6, 0, 0, 1, 2, 14, 2]
    for faces, image in zip(together, images, strict=True):
        assert_same(faces, detector.detect(image))
    assert detector.detect_batch([]) == []


def test_sixteen_threads_get_what_one_gets(photo: Photo, detector: Detector) -> None:
    images = [photo(name) for name in ("rotated-0.jpg", "spoof-real-1.jpg", "meeting.jpg", "no-faces.jpg")]
    expected = [detector.detect(image) for image in images]
    assert [len(faces) for faces in expected] == [1, 1, 5, 0]
    gate = threading.Barrier(16)

    def work(i: int) -> Detections:
        gate.wait()
        return detector.detect(images[i % len(images)])

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(work, range(16)))
    for i, faces in enumerate(answers):
        assert_same(faces, expected[i % len(images)])


def test_the_image_is_neither_changed_nor_needed_writeable(photo: Photo, detector: Detector) -> None:
    image = photo("rotated-0.jpg").copy()
    before = image.copy()
    image.flags.writeable = False
    assert len(detector.detect(image)) == 1
    np.testing.assert_array_equal(image, before)


def test_higher_demands_leave_a_part_of_the_faces(photo: Photo) -> None:
    image = photo("crowd-25.jpg")
    few, many = (
        load_detector("mtcnn", min_face_px=40, min_score=score).detect(image) for score in (0.99, 0.7)
    )
    assert 0 < len(few) < len(many)
    np.testing.assert_array_equal(few.boxes, many.boxes[: len(few)])
    assert (few.scores >= 0.99).all()


def test_explaining_tells_the_same_faces_and_what_the_last_network_saw(photo: Photo) -> None:
    image = photo("crowd-6.jpg")
    detector = load_detector("mtcnn", min_face_px=40)
    explained = detector.explain(image)
    assert_same(explained.faces, detector.detect(image))
    assert len(explained.near_misses) > 0
    assert all(0.1 <= miss.score < 0.9 for miss in explained.near_misses)
    lenient = load_detector("mtcnn", min_face_px=40, min_score=0.1).detect(image)
    for miss in explained.near_misses:  # boxes as the detector tells them: where a lower score would find one
        assert np.abs(lenient.boxes - miss.box).max(axis=1).min() < SAME_PX
    strict = load_detector("mtcnn", min_face_px=40, max_faces=3)
    few = strict.explain(image)
    assert_same(few.faces, strict.detect(image))
    assert_same(few.faces, detector.detect(image)[:3])
    assert [str(miss.reason) for miss in few.near_misses][:11] == ["too_many"] * 11


def test_weights_may_lie_in_a_folder(photo: Photo, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(store.read("mtcnn", name))
    found = load_detector("mtcnn", weights=tmp_path, min_face_px=40).detect(photo("rotated-0.jpg"))
    assert_same(found, load_detector("mtcnn", min_face_px=40).detect(photo("rotated-0.jpg")))
    (tmp_path / FILES[1]).unlink()
    with pytest.raises(WeightsError, match=r"no folder of that name with mtcnn_pnet.onnx.*mtcnn_rnet.onnx"):
        load_detector("mtcnn", weights=tmp_path)


@pytest.mark.parametrize("name", ["sface", "mtcnn-lz4"])
def test_weights_of_other_networks_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match="mtcnn takes its three networks as ONNX"):
        load_detector("mtcnn", weights=name)


def test_the_smallest_face_is_a_matter_of_choice(photo: Photo) -> None:
    image = photo("crowd-25.jpg")
    found = {px: load_detector("mtcnn", min_face_px=px).detect(image) for px in (20, 40, 80)}
    assert len(found[20]) > 2 * len(found[40]) > 0
    assert len(found[80]) == 0
    assert (found[40].sizes_px > 12).all()


def test_a_photo_of_thirty_megapixels_is_searched(photo: Photo) -> None:
    image = cv2.resize(photo("two-people.jpg"), (7_000, 4_300)).astype(np.uint8, copy=False)
    faces = load_detector("mtcnn", min_face_px=500).detect(image)
    assert len(faces) == 2
    assert (faces.sizes_px > 600).all()


@pytest.mark.parametrize("size_hw", [(12, 12), (13, 97), (21, 20), (64, 33), (101, 103), (20, 900)])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_any_size_is_no_crash(size_hw: tuple[int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    faces = load_detector("mtcnn", min_face_px=12, stage_min_scores=(0.01, 0.01), min_score=0.01).detect(
        noise
    )
    assert np.isfinite(faces.boxes).all()
    assert np.isfinite(faces.landmarks).all()
    assert ((faces.scores > 0) & (faces.scores <= 1)).all()
