"""`vultus detect`, `align`, `embed` and `verify` on real pictures."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus import load_image

Command = Callable[..., Any]


def test_detect_prints_a_table(vultus: Command, astronaut: Path) -> None:
    outcome = vultus("detect", astronaut)
    assert outcome.code == 0
    assert "astronaut.png" in outcome.out
    assert "score" in outcome.out


def test_detect_prints_json_of_boxes_inside_the_picture(vultus: Command, astronaut: Path) -> None:
    (answer,) = json.loads(vultus("detect", astronaut, "--json").out)
    assert answer["image"] == str(astronaut)
    (face,) = answer["faces"]
    x1, y1, x2, y2 = face["box"]
    assert 150 < x1 < x2 < 300
    assert 0 < y1 < y2 < 200
    assert len(face["landmarks"]) == 5
    assert 0.9 < face["score"] <= 1


def test_detect_prints_csv_with_one_row_a_face(vultus: Command, astronaut: Path, coffee: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(vultus("detect", astronaut, coffee, "--csv").out)))
    assert [row["image"] for row in rows] == [str(astronaut)]
    assert float(rows[0]["left_eye_x"]) < float(rows[0]["right_eye_x"])


def test_json_and_csv_exclude_each_other(vultus: Command, astronaut: Path) -> None:
    outcome = vultus("detect", astronaut, "--json", "--csv")
    assert outcome.code == 2
    assert "--json" in outcome.err


def test_detect_says_no_face_and_exits_well(vultus: Command, coffee: Path) -> None:
    outcome = vultus("detect", coffee)
    assert outcome.code == 0
    assert "no face" in outcome.out
    assert json.loads(vultus("detect", coffee, "--json").out) == [{"image": str(coffee), "faces": []}]


def test_detect_walks_folders_and_skips_bad_files_with_an_exit_code(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(astronaut, folder / "deep" / "ok.png")
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not looked at")
    outcome = vultus("detect", folder, "--json")
    assert [Path(one["image"]).name for one in json.loads(outcome.out)] == ["ok.png"]
    assert outcome.code == 2
    assert "bad.jpg" in outcome.err
    assert "1 of 2" in outcome.err
    assert "Traceback" not in outcome.err


def test_detect_takes_globs_and_standard_input(
    vultus: Command, astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(astronaut, tmp_path / name)
    assert len(json.loads(vultus("detect", tmp_path / "*.png", "--json").out)) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tmp_path / 'b.png'}\n\n{tmp_path / 'a.png'}\n"))
    answers = json.loads(vultus("detect", "-", "--json").out)
    assert [Path(one["image"]).name for one in answers] == ["b.png", "a.png"]


def test_an_empty_folder_is_an_error_that_names_it(vultus: Command, tmp_path: Path) -> None:
    outcome = vultus("detect", tmp_path)
    assert outcome.code == 2
    assert str(tmp_path) in outcome.err


def test_detect_draws_one_file_or_a_folder(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    vultus("detect", astronaut, "--draw", tmp_path / "one.png")
    drawn = load_image(tmp_path / "one.png")
    assert drawn.shape == load_image(astronaut).shape
    assert (drawn != load_image(astronaut)).any()
    vultus("detect", astronaut, astronaut, "--draw", tmp_path / "many")
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["astronaut-2.png", "astronaut.png"]


def test_min_face_px_and_min_score_narrow_the_answer(vultus: Command, astronaut: Path) -> None:
    assert json.loads(vultus("detect", astronaut, "--json", "--min-face-px", 400).out)[0]["faces"] == []


def test_an_unknown_detector_is_named_with_the_known_ones(vultus: Command, astronaut: Path) -> None:
    outcome = vultus("detect", astronaut, "--detector", "haar")
    assert outcome.code == 2
    assert "mtcnn" in outcome.err


def test_align_writes_upright_crops(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    outcome = vultus("align", astronaut, "--output", tmp_path / "crops", "--size-px", 128, "--json")
    (row,) = json.loads(outcome.out)
    assert load_image(row["crop"]).shape == (128, 128, 3)
    assert 0 < row["residual_px"] < 10


def test_embed_writes_unit_vectors(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    outcome = vultus("embed", astronaut, "--output", tmp_path / "faces.npz", "--json")
    answer = json.loads(outcome.out)
    (face,) = answer["faces"]
    assert np.linalg.norm(face["embedding"]) == pytest.approx(1, abs=1e-5)
    with np.load(tmp_path / "faces.npz") as arrays:
        assert arrays["embeddings"].shape == (1, len(face["embedding"]))
        assert str(arrays["contract"]) == answer["contract"]
        assert list(arrays["images"]) == [str(astronaut)]
    assert "e0" in vultus("embed", astronaut, "--csv").out.splitlines()[0]


def test_verify_answers_with_its_exit_code(vultus: Command, astronaut: Path) -> None:
    outcome = vultus("verify", astronaut, astronaut, "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["is_same"] is True
    assert vultus("verify", astronaut, astronaut, "--min-similarity", 1.0).code in {0, 10}


def test_verify_tells_people_apart(vultus: Command, photos: Path) -> None:
    same = vultus("verify", photos / "obama-1.jpg", photos / "obama-2.jpg")
    assert (same.code, same.out.split(":")[0]) == (0, "same person")
    different = vultus("verify", photos / "obama-1.jpg", photos / "biden-1.jpg")
    assert (different.code, different.out.split(":")[0]) == (10, "different people")


def test_verify_without_a_face_says_so(vultus: Command, astronaut: Path, coffee: Path) -> None:
    outcome = vultus("verify", astronaut, coffee)
    assert outcome.code == 2
    assert "no face" in outcome.err
    assert "coffee.png" in outcome.err
