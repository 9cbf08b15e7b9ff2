"""IJB's lists of templates: read as they are passed on, or refused."""

from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.evaluate import read_ijb

FACES = ["1.jpg 1 69544", "2.jpg 1 69545", "3.jpg 7 69545"]
POINTS = [f"{i}.jpg " + " ".join(str(i + n / 4) for n in range(10)) + f" 0.9{i}" for i in (1, 2, 3)]
PAIRS = ["1 7 0", "7 7 1"]


def write(
    folder: Path, faces: list[str] = FACES, points: list[str] = POINTS, pairs: list[str] = PAIRS
) -> Path:
    (folder / "meta").mkdir(exist_ok=True)
    for name, lines in (("face_tid_mid", faces), ("name_5pts_score", points), ("template_pair_label", pairs)):
        (folder / "meta" / f"ijbc_{name}.txt").write_text(
            "".join(f"{line}\n" for line in lines), encoding="utf-8"
        )
    return folder


def test_the_lists_are_read_in_their_order(tmp_path: Path) -> None:
    templates = read_ijb(write(tmp_path), name="ijbc")
    assert templates.images == ("1.jpg", "2.jpg", "3.jpg")
    assert templates.template_ids.tolist() == [1, 1, 7]
    assert templates.media_ids.tolist() == [69544, 69545, 69545]
    assert templates.landmarks.shape == (3, 5, 2)
    assert templates.landmarks[1, 2].tolist() == [3.0, 3.25]  # the nose: third point, x before y
    np.testing.assert_allclose(templates.face_scores, [0.91, 0.92, 0.93], atol=1e-6)
    assert (templates.left.tolist(), templates.right.tolist()) == ([1, 7], [7, 7])
    assert templates.is_genuine.tolist() == [False, True]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"faces": FACES[:2]}, "2 faces, that of landmarks 3"),
        ({"points": [POINTS[1], POINTS[0], POINTS[2]]}, "differ from row 1 on"),
        ({"faces": ["1.jpg 1", "2.jpg 1", "3.jpg 7"]}, "expected rows of 3 columns, got 3 of 2"),
        ({"faces": ["1.jpg one 69544", *FACES[1:]]}, "expected numbers for the templates and media"),
        ({"points": [POINTS[0].replace("0.91", "high"), *POINTS[1:]]}, "expected numbers for the landmarks"),
        ({"points": [POINTS[0] + " 1", *POINTS[1:]]}, "cannot read the list"),
        ({"pairs": ["1 8 0", *PAIRS]}, r"1 templates have none \(8\)"),
        ({"pairs": ["1 7 2", *PAIRS]}, "labelled 0 or 1"),
        ({"pairs": ["1 7 no", *PAIRS]}, "cannot read the list"),
        ({"pairs": []}, "expected rows of 3 columns, got 0"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    changed: dict[str, list[str]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_ijb(write(tmp_path, **changed), name="ijbc")


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ijbb_face_tid_mid\.txt"):
        read_ijb(write(tmp_path), name="ijbb")
