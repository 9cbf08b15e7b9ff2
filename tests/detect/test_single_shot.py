"""One look at whole images: batches of mixed sizes, the close-up, what is decoded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from vultus.detect.close_up import SIZE_PX
from vultus.detect.search import Candidates, Search
from vultus.detect.single_shot import MAX_CANDIDATES, PIXELS_PER_RUN, Look, explain, find, groups
from vultus.errors import InputError, ShapeError
from vultus.types import FloatArray, Image
from vultus.weights.description import Preprocessing


class Sizes:
    """A network that answers, for each image, its red mean; and remembers what it was shown."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        self.shapes.append(batch.shape)
        return [batch[:, 0].mean(axis=(1, 2))]


def whole_input(
    outputs: Sequence[FloatArray], size_hw: tuple[int, int], min_score: float
) -> list[Candidates]:
    """One face per image that fills the input, with the mean as its score in percent."""
    height, width = size_hw
    box = np.array([[0, 0, width, height]], np.float64)
    return [Candidates(box, np.array([mean / 100]), np.zeros((1, 5, 2))) for mean in outputs[0]]


def look(**changes: Any) -> tuple[Look, Sizes]:
    network = Sizes()
    return Look(network, Preprocessing(), whole_input, **changes), network


def gray(value: int, size_hw: tuple[int, int] = (60, 80)) -> Image:
    return np.full((*size_hw, 3), value, np.uint8)


def test_each_image_gets_its_own_answer_in_its_own_pixels() -> None:
    eye, network = look()
    images = [gray(90), gray(60, (30, 20)), gray(70), gray(80, (30, 20))]
    found = find(images, eye, Search())
    assert [round(float(faces.scores[0]), 2) for faces in found] == [0.9, 0.6, 0.7, 0.8]
    assert [faces.boxes[0, 2:].tolist() for faces in found] == [[80, 60], [20, 30], [80, 60], [20, 30]]
    assert network.shapes == [(2, 3, 60, 80), (2, 3, 30, 20)]
    assert find([], eye, Search()) == []


def test_boxes_come_back_through_resizing_and_bars() -> None:
    eye, network = look(multiple=32, pad_value=90)
    (faces,) = find([gray(90, (600, 900))], eye, Search(longest_px=320))
    assert network.shapes == [(1, 3, 224, 320)]
    above = (224 - 213) // 2 / (213 / 600)  # the bar above the image, in its pixels
    np.testing.assert_allclose(faces.boxes[0], [0, -above, 900, 224 / (213 / 600) - above], rtol=1e-4)


def test_runs_are_bounded_and_a_large_image_stands_alone() -> None:
    size_hw = (500, 1000)
    count = PIXELS_PER_RUN // 500_000
    portions = list(groups([size_hw] * (count + 1) + [(4000, 3000)] * 2))
    assert [len(portion) for portion in portions] == [count, 1, 1, 1]
    assert sorted(i for portion in portions for i in portion) == list(range(count + 3))


def test_a_large_image_is_looked_at_again_and_a_small_one_is_not() -> None:
    eye, network = look()
    images = [gray(90, (600, 800)), gray(90, (480, 640))]
    assert [len(faces) for faces in find(images, eye, Search())] == [1, 1]
    assert network.shapes == [(1, 3, 600, 800), (1, 3, 480, 640), (1, 3, 240, SIZE_PX)]
    network.shapes.clear()
    find(images, eye, Search(close_up=False))
    assert network.shapes == [(1, 3, 600, 800), (1, 3, 480, 640)]
    network.shapes.clear()
    find(images, eye, Search(longest_px=640))
    assert network.shapes == [(2, 3, 480, 640)]


@pytest.mark.parametrize(
    ("search", "seen_hw"),
    [
        (Search(min_face_px=40), (702, 1248)),  # 40 px become 26
        (Search(min_face_px=26), (1080, 1920)),
        (Search(min_face_px=400), (360, 640)),  # no smaller than what needs no second look
        (Search(min_face_px=40, longest_px=1600), (900, 1600)),  # as it was asked
    ],
)
def test_who_wants_large_faces_only_is_spared_the_work(search: Search, seen_hw: tuple[int, int]) -> None:
    eye, network = look()
    (faces,) = find([gray(90, (1080, 1920))], eye, search)
    assert network.shapes[0] == (1, 3, *seen_hw)
    np.testing.assert_allclose(faces.boxes[0], [0, 0, 1920, 1080], rtol=1e-4)
    network.shapes.clear()
    find([gray(90, (480, 640))], eye, Search(min_face_px=400))
    assert network.shapes == [(1, 3, 480, 640)]


def test_a_network_of_one_size_is_never_given_another() -> None:
    network = Sizes()
    eye = Look(network, Preprocessing(size_hw=(96, 64)), whole_input)
    images = [gray(90), gray(90, (400, 300)), gray(90, (10, 10))]
    find(images, eye, Search(longest_px=None))
    find(images, eye, Search(longest_px=640))
    assert {shape[1:] for shape in network.shapes} == {(3, 96, 64)}


def test_only_the_best_candidates_are_compared() -> None:
    count = MAX_CANDIDATES + 10
    scores = np.linspace(0.5, 0.9, count)
    side = np.arange(count)[:, None] * 10
    boxes = np.concatenate([side, side, side + 5, side + 5], axis=1).astype(np.float64)
    eye = Look(Sizes(), Preprocessing(), lambda *_: [Candidates(boxes, scores, np.zeros((count, 5, 2)))])
    (faces,) = find([gray(1)], eye, Search())
    assert len(faces) == MAX_CANDIDATES
    assert faces.scores.min() == pytest.approx(scores[10], abs=1e-6)


def test_explaining_finds_the_same_faces() -> None:
    eye, _ = look()
    explained = explain(gray(30), eye, Search(min_score=0.2), floor=0.1)
    assert len(explained.faces) == 1
    assert explained.near_misses == ()
    explained = explain(gray(30), eye, Search(), floor=0.1)
    assert len(explained.faces) == 0
    assert [miss.explanation for miss in explained.near_misses] == ["score 0.300 is below 0.5"]
    assert explain(gray(5), eye, Search(), floor=0.1).near_misses == ()
    with pytest.raises(InputError, match="floor"):
        explain(gray(30), eye, Search(), floor=0)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))]
)
def test_what_is_no_image_is_refused(image: Image) -> None:
    eye, _ = look()
    with pytest.raises(ShapeError):
        find([gray(1), image], eye, Search())
    with pytest.raises(ShapeError):
        explain(image, eye, Search(), floor=0.1)
