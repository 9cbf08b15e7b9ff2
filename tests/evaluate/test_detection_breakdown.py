"""Parts of the measurement: their faces, their mistakes, and nobody else's."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vultus.evaluate import WiderTruth
from vultus.evaluate.detection_ap import match_widerface
from vultus.evaluate.detection_breakdown import Part, by_event, by_height
from vultus.types import Detections

Box = tuple[float, float, float, float]  # x y w h


def xyxy(boxes: Sequence[Box]) -> NDArray[np.float32]:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def truth_of(images: Mapping[str, Sequence[Box]], *, not_easy: Sequence[int] = ()) -> WiderTruth:
    boxes = xyxy([box for faces in images.values() for box in faces]).astype(np.float64)
    everything = np.ones(len(boxes), np.bool_)
    first_face = np.cumsum([0, *map(len, images.values())])
    counts = {"easy": ~np.isin(np.arange(len(boxes)), not_easy), "medium": everything, "hard": everything}
    return WiderTruth(tuple(images), first_face, boxes, counts)


def found(*rows: tuple[Box, float]) -> Detections:
    scores = np.array([score for _, score in rows], np.float32)
    return Detections(xyxy([box for box, _ in rows]), scores, np.zeros((len(rows), 5, 2), np.float32))


SMALL: Box = (0, 0, 12, 12)
LARGE: Box = (100, 100, 80, 80)
LARGEST: Box = (200, 200, 300, 300)


def test_events_have_their_own_faces_and_mistakes() -> None:
    """One event is perfect, the other has a mistake before its hit, the third has no image here."""
    truth = truth_of({"0--Parade/a.jpg": [LARGE], "1--Riot/b.jpg": [LARGE, SMALL], "2--Spa/c.jpg": [LARGE]})
    predictions = {
        "0--Parade/a.jpg": found((LARGE, 0.5)),
        "1--Riot/b.jpg": found((LARGEST, 0.9), (LARGE, 0.2)),
    }
    matches = match_widerface(predictions, truth, only_present=True)
    assert by_event(matches) == (
        Part("0--Parade", n_faces=1, average_precision=1.0, recall=1.0),
        Part("1--Riot", n_faces=2, average_precision=0.25, recall=0.5),
    )


def test_parts_share_the_thresholds_of_the_whole_set() -> None:
    """Beside scores up to 1, 0.0002 and 0.0001 are one point of their event: 1/2. Alone they are two."""
    truth = truth_of({"a/1.jpg": [LARGE], "b/2.jpg": [LARGE]})
    faint = found((LARGE, 0.0002), (SMALL, 0.0001))
    predictions = {"a/1.jpg": faint, "b/2.jpg": found((LARGE, 1.0), (LARGEST, 0.0))}
    assert [part.average_precision for part in by_event(match_widerface(predictions, truth))] == [0.5, 1.0]
    alone = match_widerface({"a/1.jpg": faint}, truth, only_present=True)
    assert [part.average_precision for part in by_event(alone)] == [1.0]


def test_heights_have_their_own_faces_and_mistakes() -> None:
    """The mistake is 300 px high: it spoils that range, and no other."""
    truth = truth_of({"a/1.jpg": [SMALL, LARGE, LARGEST]})
    mistake: Box = (900, 900, 10, 300)
    matches = match_widerface({"a/1.jpg": found((mistake, 0.9), (LARGE, 0.8), (LARGEST, 0.3))}, truth)
    assert by_height(matches) == (
        Part("under 16 px", n_faces=1, average_precision=0.0, recall=0.0),
        Part("64 to 128 px", n_faces=1, average_precision=1.0, recall=1.0),
        Part("256 px and more", n_faces=1, average_precision=0.5, recall=1.0),
    )


def test_a_face_of_the_edge_belongs_to_the_upper_range() -> None:
    truth = truth_of({"a/1.jpg": [(0, 0, 16, 16), (50, 0, 16, 15.9)]})
    matches = match_widerface({"a/1.jpg": Detections.empty()}, truth)
    assert [(part.name, part.n_faces) for part in by_height(matches)] == [
        ("under 16 px", 1),
        ("16 to 32 px", 1),
    ]


def test_the_difficulty_decides_which_faces_count() -> None:
    truth = truth_of({"a/1.jpg": [LARGE, (400, 100, 80, 80)]}, not_easy=[1])
    matches = match_widerface({"a/1.jpg": found((LARGE, 0.9))}, truth)
    for divide in (by_event, by_height):
        assert [part.recall for part in divide(matches)] == [0.5]
        assert [part.recall for part in divide(matches, difficulty="easy")] == [1.0]
