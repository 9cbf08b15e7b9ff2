"""The official text format: what is written can be read, by us and by the official tools."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.evaluate.widerface_predictions import read_widerface_predictions, write_widerface_predictions
from vultus.types import Detections

IMAGE = "0--Parade/0_Parade_marchingband_1_465.jpg"
FILE = "0--Parade/0_Parade_marchingband_1_465.txt"


def faces(boxes: list[list[float]], scores: list[float]) -> Detections:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(corners, np.array(scores, np.float32), np.zeros((len(scores), 5, 2), np.float32))


def write(folder: Path, text: str) -> Path:
    path = folder / FILE
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return folder


def test_the_format_is_the_official_one(tmp_path: Path) -> None:
    found = faces([[345.5, 211, 359.75, 227], [26, 192, 32, 200]], [0.998, 0.41])
    write_widerface_predictions({IMAGE: found, "1--Handshaking/a.jpg": Detections.empty()}, tmp_path)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert text.splitlines() == [
        "0_Parade_marchingband_1_465.jpg",
        "2",
        "345.5 211 14.25 16 0.998000026",
        "26 192 6 8 0.409999996",
    ]
    assert (tmp_path / "1--Handshaking" / "a.txt").read_text(encoding="utf-8") == "a.jpg\n0\n"


@given(
    st.lists(
        st.tuples(
            *[st.floats(-500, 5000, width=32)] * 2,
            *[st.floats(0, 2000, width=32)] * 2,
            st.floats(0, 1, width=32),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("predictions")
    rows = sorted(rows, key=lambda row: -row[4])
    written = faces([[x, y, x + w, y + h] for x, y, w, h, _ in rows], [row[4] for row in rows])
    write_widerface_predictions({IMAGE: written}, folder)
    read = read_widerface_predictions(folder)
    assert list(read) == [IMAGE]
    np.testing.assert_array_equal(read[IMAGE].scores, written.scores)
    np.testing.assert_array_equal(read[IMAGE].boxes[:, :2], written.boxes[:, :2])
    np.testing.assert_allclose(read[IMAGE].boxes, written.boxes, rtol=0, atol=1e-3)
    assert np.isnan(read[IMAGE].landmarks).all()


@pytest.mark.parametrize(
    "name", ["0_Parade_marchingband_1_465", "0_Parade_marchingband_1_465.jpg", IMAGE, " " + IMAGE]
)
def test_other_tools_write_the_name_in_other_ways(name: str, tmp_path: Path) -> None:
    assert read_widerface_predictions(write(tmp_path, f"{name}\n1\n10 20 30 40 0.5\n"))[
        IMAGE
    ].boxes.tolist() == [[10, 20, 40, 60]]


def test_the_best_score_comes_first(tmp_path: Path) -> None:
    read = read_widerface_predictions(
        write(tmp_path, f"{IMAGE}\n3\n1 1 9 9 0.2\n2 2 9 9 0.9\n3 3 9 9 0.2\n")
    )[IMAGE]
    assert read.boxes[:, 0].tolist() == [2, 1, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begin with the image's name"),
        ("another.jpg\n0\n", "begin with the image's name"),
        (f"{IMAGE}\n", "a count"),
        (f"{IMAGE}\n2\n1 2 3 4 0.5\n", "announce its 1 boxes"),
        (f"{IMAGE}\nmany\n", "announce its 0 boxes"),
        (f"{IMAGE}\n1\n1 2 3 4\n", "five finite numbers, got '1 2 3 4'"),
        (f"{IMAGE}\n1\n1 2 3 4 nan\n", "five finite numbers"),
        (f"{IMAGE}\n1\n1 2 3 four 0.5\n", "expected x y w h score, got '1 2 3 four 0.5'"),
    ],
)
def test_what_does_not_fit_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_widerface_predictions(write(tmp_path, text))


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path, "")
    (folder / FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read the predictions"):
        read_widerface_predictions(folder)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder per event"):
        read_widerface_predictions(tmp_path)


@pytest.mark.parametrize("image", ["a.jpg", "a/b/c.jpg", "../a.jpg", "/a.jpg"])
def test_a_file_is_never_written_elsewhere(image: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="EVENT/FILE"):
        write_widerface_predictions({image: Detections.empty()}, tmp_path / "out")
    assert list(tmp_path.rglob("*.txt")) == []
