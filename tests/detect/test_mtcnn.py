"""MTCNN's rules, one by one, by hand: windows, squares, suppression, crops, pyramid, options."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.detect import DETECTORS, MtcnnDetector, load_detector
from vultus.detect.area_means import AreaMeans
from vultus.detect.mtcnn import PIXELS_PER_GROUP, MtcnnSessions, in_groups, pyramid_scales
from vultus.detect.mtcnn_stages import (
    CROPS_PER_RUN,
    Windows,
    cell_boxes,
    decide,
    is_visible,
    look,
    merge,
    refine,
    scan,
    tiles,
)
from vultus.errors import DeviceError, InputError, ShapeError
from vultus.interfaces import Detector, Session
from vultus.runtime.onnx import OnnxSession
from vultus.types import FloatArray, Image
from vultus.weights import store

BLACK = np.zeros((60, 60, 3), np.uint8)


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


class Sees:
    """A session that answers what it was told, and remembers what it was shown."""

    def __init__(self, *answers: Sequence[object]) -> None:
        self.answers = [np.array(answer, np.float32) for answer in answers]
        self.batches: list[FloatArray] = []

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        self.batches.append(batch.copy())
        return self.answers


class Nothing:
    """A P-Net that finds no face anywhere, and counts what it was shown."""

    def __init__(self) -> None:
        self.sizes_hw: list[tuple[int, int]] = []

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        height, width = batch.shape[2:]
        self.sizes_hw.append((height, width))
        cells = ((height - 9) // 2, (width - 9) // 2)
        logits = np.stack([np.full(cells, 9), np.full(cells, -9)]).astype(np.float32)
        return [logits[None], np.zeros((1, 4, *cells), np.float32)]


def windows(boxes: Sequence[Sequence[float]], margins: Sequence[float], **more: FloatArray) -> Windows:
    count = len(boxes)
    return Windows(
        np.array(boxes, np.float32).reshape(count, 4),
        np.array(margins, np.float32),
        more.get("offsets", np.zeros((count, 4), np.float32)),
        more.get("landmarks", np.zeros((count, 10), np.float32)),
    )


def test_the_first_scale_brings_the_smallest_face_to_twelve_pixels() -> None:
    scales = pyramid_scales((480, 640), 20, scale_factor=0.709)
    assert scales[:3] == pytest.approx([0.6, 0.6 * 0.709, 0.6 * 0.709**2])
    assert 480 * scales[-1] >= 12 > 480 * scales[-1] * 0.709
    assert len(scales) == 10


@pytest.mark.parametrize(
    ("size_hw", "min_face_px", "count"),
    [((20, 400), 20, 1), ((19, 400), 20, 0), ((400, 28), 20, 1), ((400, 29), 20, 2), ((12, 12), 12, 1)],
)
def test_the_pyramid_stops_where_the_shorter_side_is_under_twelve(
    size_hw: tuple[int, int], min_face_px: float, count: int
) -> None:
    assert len(pyramid_scales(size_hw, min_face_px, scale_factor=0.709)) == count


def test_a_cell_is_a_window_of_twelve_pixels_at_stride_two() -> None:
    boxes = cell_boxes(np.array([0, 0, 3]), np.array([0, 1, 5]), scale=0.5)
    assert boxes.tolist() == [[2, 2, 24, 24], [6, 2, 28, 24], [22, 14, 44, 36]]
    (box,) = cell_boxes(np.array([8]), np.array([2]), scale=0.3).tolist()
    assert box == [math.floor(5 / 0.3), math.floor(17 / 0.3), math.floor(16 / 0.3), math.floor(28 / 0.3)]


def test_windows_are_rounded_in_single_precision_as_in_the_ports() -> None:
    assert math.floor(15 / 0.3) == 50
    assert cell_boxes(np.array([7]), np.array([7]), scale=0.3)[0, 0] == 49


def test_networks_see_rgb_from_minus_one_to_one() -> None:
    image = np.zeros((12, 12, 3), np.uint8)
    image[..., 0], image[..., 1] = 255, 128
    pnet = Sees([[[[9]], [[-9]]]], [[[[0]]] * 4])
    (tile,) = tiles((12, 12), 0.999)
    scan(tile, pnet=pnet, picture=AreaMeans(image), min_margin=0)
    seen = pnet.batches[0][0]
    assert seen.shape == (3, 12, 12)
    assert [set(plane.ravel().tolist()) for plane in seen] == [{127.5 / 128}, {0.5 / 128}, {-127.5 / 128}]


def test_only_windows_that_reach_the_score_are_decoded() -> None:
    logits = np.zeros((1, 2, 3, 4), np.float32)
    logits[0, 1, 0, 0], logits[0, 1, 2, 3] = 1.5, 0.5
    offsets = np.arange(4 * 12, dtype=np.float32).reshape(1, 4, 3, 4)
    pnet = Sees(logits.tolist(), offsets.tolist())
    (tile,) = tiles((14, 16), 0.999)
    found = scan(tile, pnet=pnet, picture=AreaMeans(np.zeros((14, 16, 3), np.uint8)), min_margin=0.5)
    assert found.margins.tolist() == [1.5, 0.5]  # >=, as `min_score` promises
    assert found.boxes.tolist() == [[1, 1, 12, 12], [7, 5, 18, 16]]
    assert found.offsets.tolist() == [[0, 12, 24, 36], [11, 23, 35, 47]]


@pytest.mark.parametrize("size_hw", [(480, 321), (321, 480), (154, 702)])
def test_tiles_answer_as_the_whole_level_does(size_hw: tuple[int, int]) -> None:
    picture = AreaMeans(np.random.default_rng(5).integers(0, 256, (*size_hw, 3), dtype=np.uint8))
    pnet = OnnxSession(store.read("mtcnn", "mtcnn_pnet.onnx"), threads=1)
    scale = 0.9
    height, width = (int(side * scale + 1) for side in size_hw)
    level = picture.reduced((height, width), slice(0, height), slice(0, width))
    logits, offsets = pnet.run((level[None] - np.float32(127.5)) / np.float32(128))
    margins = logits[0, 1] - logits[0, 0]
    rows, columns = np.divmod(np.arange(margins.size), margins.shape[1])
    expected = np.column_stack(
        [cell_boxes(rows, columns, scale=scale), margins.ravel(), offsets[0].reshape(4, -1).T]
    )

    parts = tiles(size_hw, scale)
    assert len(parts) > 4  # 154 pixels become 139: a tile, and one odd row that is a tile of its own
    seen = [scan(part, pnet=pnet, picture=picture, min_margin=-np.inf) for part in parts]
    actual = np.concatenate([np.column_stack([part.boxes, part.margins, part.offsets]) for part in seen])
    assert actual.shape == expected.shape
    order = np.lexsort((actual[:, 0], actual[:, 1]))  # by row, then column
    np.testing.assert_allclose(actual[order], expected, atol=1e-4)


@pytest.mark.parametrize(("shift", "kept"), [(6, 1), (7, 2)])
def test_windows_of_a_level_may_overlap_by_half(shift: int, kept: int) -> None:
    # Of 20 pixels, shifted by 6: 14 / 26 = 0.54; by 7: 13 / 27 = 0.48.
    assert len(merge([windows([(0, 0, 20, 20), (shift, 0, 20 + shift, 20)], [3, 2])])) == kept


@pytest.mark.parametrize(("shift", "kept"), [(3, 1), (4, 2)])
def test_windows_of_different_levels_may_overlap_by_seven_tenths(shift: int, kept: int) -> None:
    # Of 20 pixels, shifted by 3: 17 / 23 = 0.74; by 4: 16 / 24 = 0.67.
    levels = [windows([(0, 0, 20, 20)], [3]), windows([(shift, 0, 20 + shift, 20)], [2])]
    assert len(merge(levels)) == kept


def test_proposed_windows_are_moved_by_their_offsets_and_become_squares() -> None:
    offsets = np.array([[0.1, 0, -0.1, 0.5]], np.float32)
    (box,) = merge([windows([(10, 20, 30, 40)], [3], offsets=offsets)]).tolist()
    # Of 20 pixels: x from 10 + 2 to 30 - 2, y from 20 to 40 + 10, and about the same centre a square.
    assert box == pytest.approx([5, 20, 35, 50])


def test_refined_windows_become_squares_after_their_offsets() -> None:
    offsets = np.array([[0.1, 0, -0.1, 0.5]], np.float32)
    (box,) = refine(windows([(1, 1, 20, 10)], [3], offsets=offsets)).tolist()
    # Of 20 x 10 pixels: x from 1 + 2 to 20 - 2, y from 1 to 10 + 5, and about the same centre a square.
    assert box == pytest.approx([3, 0.5, 18, 15.5])


@pytest.mark.parametrize(("shift", "kept"), [(3, 1), (4, 2)])
def test_refined_windows_may_overlap_by_seven_tenths_of_their_union(shift: int, kept: int) -> None:
    # Of 20 pixels, shifted by 3: 17 / 23 = 0.74; by 4: 16 / 24 = 0.67.
    boxes = [(0, 0, 20, 20), (shift, 0, 20 + shift, 20)]
    assert len(refine(windows(boxes, [3, 2]))) == kept


def test_the_last_suppression_measures_against_the_smaller_box() -> None:
    inside = [(1, 1, 40, 40), (11, 11, 30, 30)]
    assert len(refine(windows(inside, [3, 2]))) == 2
    assert len(decide(windows(inside, [3, 2]))) == 1


def test_the_last_suppression_sees_the_moved_boxes() -> None:
    offsets = np.array([[0, 0, 0, 0], [1, 0, 1, 0]], np.float32)
    assert len(decide(windows([(1, 1, 40, 40)] * 2, [3, 2], offsets=offsets))) == 2


def test_landmarks_are_measured_in_the_square_before_it_moves() -> None:
    landmarks = np.array([[0, 0.5, 1, 0.25, 0.75, 0, 0.5, 1, 0.25, 0.75]], np.float32)
    offsets = np.full((1, 4), 0.5, np.float32)
    faces = decide(windows([(11, 21, 50, 60)], [2], offsets=offsets, landmarks=landmarks))
    assert faces.landmarks[0].tolist() == [[10, 20], [30, 40], [50, 60], [20, 30], [40, 50]]
    assert faces.boxes[0].tolist() == [31, 41, 70, 80]
    assert faces.scores[0] == pytest.approx(1 / (1 + math.exp(-2)))


def test_faces_come_best_first() -> None:
    faces = decide(windows([(1, 1, 9, 9), (50, 50, 59, 59), (90, 90, 99, 99)], [1, 3, 2]))
    assert faces.boxes[:, 0].tolist() == [50, 90, 1]
    assert (np.diff(faces.scores) < 0).all()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 1, 60, 60), True),
        ((-30, -30, 1, 1), True),  # its last pixel is the image's first
        ((-30, -30, 0.9, 5), False),
        ((60, 60, 90, 90), True),  # its first pixel is the image's last
        ((61, 5, 90, 30), False),
        ((10, 10, 8, 30), False),  # inside out
    ],
)
def test_a_box_is_visible_if_one_of_its_pixels_is(box: tuple[float, ...], expected: bool) -> None:
    assert is_visible(np.array([box], np.float32), (60, 60)).tolist() == [expected]


def test_boxes_and_crops_are_dropped_together(pool: Executor) -> None:
    gray = np.full((60, 60, 3), 200, np.uint8)
    squares: NDArray[np.float32] = np.array(
        [(-50, -50, -10, -10), (1, 1, 24, 24), (100, 1, 124, 24), (11, 1, 34, 24)], np.float32
    )
    network = Sees([[0, 2], [0, 3]], np.zeros((2, 4)).tolist())
    (found,) = look(network, [AreaMeans(gray)], squares=[squares], size_px=24, min_margin=0, pool=pool)
    assert network.batches[0].shape == (2, 3, 24, 24)
    np.testing.assert_allclose(network.batches[0], (200 - 127.5) / 128)  # all of it image: no black
    assert found.boxes.tolist() == squares[[1, 3]].tolist()
    assert found.margins.tolist() == [2, 3]


def test_one_run_looks_at_the_crops_of_several_images_and_each_gets_its_own(pool: Executor) -> None:
    pictures = [AreaMeans(np.full((60, 60, 3), value, np.uint8)) for value in (0, 100, 200)]
    squares = [np.array([(1, 1, 24, 24)] * count, np.float32).reshape(-1, 4) for count in (2, 0, 1)]
    network = Sees([[0, 1], [0, -1], [0, 2]], np.zeros((3, 4)).tolist())
    found = look(network, pictures, squares=squares, size_px=24, min_margin=0, pool=pool)
    assert len(network.batches) == 1
    assert network.batches[0][:, 0, 0, 0].tolist() == [-127.5 / 128, -127.5 / 128, 72.5 / 128]
    assert [each.margins.tolist() for each in found] == [[1], [], [2]]


def test_many_crops_are_looked_at_in_portions(pool: Executor) -> None:
    network = Sees(np.zeros((CROPS_PER_RUN, 2)).tolist(), np.zeros((CROPS_PER_RUN, 4)).tolist())
    squares = [np.array([(i, 1, 23 + i, 24) for i in range(3 * CROPS_PER_RUN)], np.float32)]
    (found,) = look(network, [AreaMeans(BLACK)], squares=squares, size_px=24, min_margin=0, pool=pool)
    assert [len(batch) for batch in network.batches] == [CROPS_PER_RUN] * 3
    np.testing.assert_array_equal(found.boxes, squares[0])


def test_a_landmark_head_on_the_first_networks_is_not_needed_and_does_no_harm(pool: Executor) -> None:
    squares = [np.array([(1, 1, 24, 24)], np.float32)]
    for rnet in (Sees([[0, 2]], [[0] * 4]), Sees([[0, 2]], [[0] * 4], [[0.5] * 10])):
        (found,) = look(rnet, [AreaMeans(BLACK)], squares=squares, size_px=24, min_margin=0, pool=pool)
        assert refine(found).tolist() == [[1, 1, 24, 24]]


def test_every_level_is_seen_once_from_the_largest() -> None:
    pnet = Nothing()
    sessions = MtcnnSessions(pnet, pnet, pnet)
    MtcnnDetector(sessions, min_face_px=24, scale_factor=0.5).detect(np.zeros((100, 120, 3), np.uint8))
    assert pnet.sizes_hw == [(51, 61), (26, 31), (13, 16)]


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 500), (11, 11), (19, 500), (500, 19)])
def test_an_image_smaller_than_any_face_has_none(size_hw: tuple[int, int]) -> None:
    pnet = Nothing()
    detector = MtcnnDetector(MtcnnSessions(pnet, pnet, pnet))
    faces = detector.detect(np.zeros((*size_hw, 3), np.uint8))
    assert len(faces) == 0
    assert pnet.sizes_hw == []


def test_images_are_grouped_by_their_pixels() -> None:
    sizes = [PIXELS_PER_GROUP // 1000 // n for n in (2, 2, 1, 8, 8, 8)] + [2 * PIXELS_PER_GROUP // 1000]
    images: list[Image] = [np.zeros((1000, width, 3), np.uint8) for width in sizes]
    groups = list(in_groups(images))
    assert [len(group) for group in groups] == [2, 1, 3, 1]
    assert [image.shape[1] for group in groups for image in group] == sizes
    assert [len(group) for group in in_groups(images[::-1])] == [1, 3, 1, 2]  # the large one first
    assert list(in_groups([])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_face_px": 0}, "min_face_px must be at least 1, got 0"),
        ({"min_face_px": float("nan")}, "min_face_px"),
        ({"scale_factor": 1.0}, "scale_factor must lie between 0 and 1"),
        ({"scale_factor": 0}, "scale_factor"),
        ({"stage_min_scores": (0.6,)}, "stage_min_scores must be two numbers"),
        ({"min_score": 1.2}, "min_score must lie"),
        ({"stage_min_scores": (0.0, 0.7)}, "stage_min_scores"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_detector("mtcnn", **options)


def test_an_unknown_detector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"unknown detector 'retina'; there are mtcnn, retinaface, yolov5_face"
    ):
        load_detector("retina")


def test_a_provider_that_is_not_here_is_an_error() -> None:
    with pytest.raises(DeviceError):
        load_detector("mtcnn", providers=("NoSuchExecutionProvider",))


def test_the_list_of_detectors_keeps_the_promise() -> None:
    assert "mtcnn" in DETECTORS
    assert isinstance(load_detector("mtcnn"), Detector)
    assert isinstance(Nothing(), Session)


@pytest.mark.parametrize(
    "image",
    [np.zeros((50, 50), np.uint8), np.zeros((50, 50, 4), np.uint8), np.zeros((50, 50, 3), np.float32)],
)
def test_what_is_no_image_is_refused(image: Image) -> None:
    with pytest.raises(ShapeError):
        load_detector("mtcnn").detect(image)
    with pytest.raises(ShapeError):
        load_detector("mtcnn").detect_batch([BLACK, image])
