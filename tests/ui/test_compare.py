"""The Compare tab: one verdict of three, with the numbers behind it."""

from dataclasses import replace
from typing import Any

import pytest

from vultus.errors import FaceCountError, InputError
from vultus.pipeline import FaceRecognizer
from vultus.ui.compare import compare_faces
from vultus.ui.desk import Desk
from vultus.ui.messages import Messages


def nothing(*_: Any) -> None:
    pass


def test_one_person_twice_is_the_same_person(desk: Desk, album: dict[str, str]) -> None:
    told, shown = compare_faces(desk, album["person"], album["changed"], "only", on_progress=nothing)
    assert "The same person" in told
    assert shown.count('<img src="data:image/png') == 2
    assert f"From {desk.recognizer.min_similarity:.3f} on" in shown


def test_a_threshold_that_nobody_reaches_makes_them_different(desk: Desk, album: dict[str, str]) -> None:
    engine = desk.recognizer
    strict = FaceRecognizer(
        engine.gallery, detector=engine.detector, embedder=engine.embedder, min_similarity=1.0
    )
    told, shown = compare_faces(
        replace(desk, recognizer=strict), album["person"], album["changed"], "only", on_progress=nothing
    )
    assert "Different people" in told
    assert "From 1.000 on" in shown


def test_two_faces_are_refused_unless_one_is_meant(desk: Desk, album: dict[str, str]) -> None:
    with pytest.raises(FaceCountError):
        compare_faces(desk, album["person"], album["twice"], "only", on_progress=nothing)
    told, _ = compare_faces(desk, album["person"], album["twice"], "largest", on_progress=nothing)
    assert "The same person" in told


def test_it_speaks_chinese(desk: Desk, album: dict[str, str]) -> None:
    chinese = replace(desk, say=Messages("zh"))
    told, _ = compare_faces(chinese, album["person"], album["changed"], "only", on_progress=nothing)
    assert "同一个人" in told
    with pytest.raises(InputError, match="请先选择一张照片"):
        compare_faces(chinese, album["person"], None, "only", on_progress=nothing)
