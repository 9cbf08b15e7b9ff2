"""`vultus detect` on real pictures."""

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
from vultus.image import save_image
from vultus.runtime import openvino
from vultus.weights import store

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


def test_another_detector_is_chosen_by_name(vultus: Command, astronaut: Path) -> None:
    answers = json.loads(vultus("detect", astronaut, "--detector", "mtcnn", "--json").out)
    (face,) = answers[0]["faces"]
    (other,) = json.loads(vultus("detect", astronaut, "--json").out)[0]["faces"]
    assert face["box"] != other["box"]
    assert np.abs(np.array(face["landmarks"]) - other["landmarks"]).max() < 12


def test_explaining_tells_near_misses_in_table_json_and_picture(
    vultus: Command, astronaut: Path, tmp_path: Path
) -> None:
    choice = ("--detector", "retinaface", "--min-face-px", 300)
    outcome = vultus("detect", astronaut, *choice, "--explain")
    assert outcome.code == 0
    assert "why it is no face" in outcome.out
    assert "is smaller than 300" in outcome.out
    assert "no face" in outcome.out
    (answer,) = json.loads(
        vultus("detect", astronaut, *choice, "--explain", "--json", "--draw", tmp_path / "why.png").out
    )
    assert answer["faces"] == []
    miss = answer["near_misses"][0]
    assert (miss["reason"], len(miss["box"])) == ("too_small", 4)
    assert miss["explanation"].endswith("is smaller than 300")
    assert (load_image(tmp_path / "why.png") != load_image(astronaut)).any()
    plain = json.loads(vultus("detect", astronaut, *choice, "--json").out)
    assert plain == [{"image": str(astronaut), "faces": []}]


def test_explaining_and_csv_exclude_each_other(vultus: Command, astronaut: Path) -> None:
    outcome = vultus("detect", astronaut, "--explain", "--csv")
    assert outcome.code == 2
    assert "--explain" in outcome.err


def test_a_sideways_photo_is_found_on_request(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    save_image(np.rot90(load_image(astronaut)), tmp_path / "side.png")
    choice = ("--detector", "mtcnn", "--json")  # RetinaFace finds this one without being asked
    assert json.loads(vultus("detect", tmp_path / "side.png", *choice).out)[0]["faces"] == []
    (answer,) = json.loads(vultus("detect", tmp_path / "side.png", "--retry", "rotate", *choice).out)
    (face,) = answer["faces"]
    (upright,) = json.loads(vultus("detect", astronaut, *choice).out)[0]["faces"]
    x1, y1, x2, _ = upright["box"]
    assert face["box"] == pytest.approx([y1, 512 - x2, upright["box"][3], 512 - x1], abs=0.05)
    outcome = vultus("detect", astronaut, "--retry", "flip")
    assert outcome.code == 2


def test_options_that_a_detector_does_not_have_are_named(vultus: Command, astronaut: Path) -> None:
    outcome = vultus("detect", astronaut, "--detector", "mtcnn", "--longest-px", 640)
    assert outcome.code == 2
    assert "mtcnn has no option 'longest_px'" in outcome.err


def test_the_options_of_the_search_reach_the_detector(vultus: Command, crew: Path) -> None:
    def count(*options: object) -> int:
        return len(
            json.loads(vultus("detect", crew, "--detector", "retinaface", "--json", *options).out)[0]["faces"]
        )

    assert count() == 2
    assert count("--max-faces", 1) == 1
    assert count("--longest-px", 640, "--no-close-up", "--max-iou", 0.3) == 2
    assert count("--longest-px", 40) == 0


@pytest.fixture
def crew(astronaut: Path, tmp_path: Path) -> Path:
    """The same person twice, side by side."""
    image = load_image(astronaut)
    save_image(np.concatenate([image, image], axis=1), tmp_path / "crew.png")
    return tmp_path / "crew.png"


def test_weights_are_chosen_by_name_or_file(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    shutil.copy(store.find("retinaface-mobilenet0.25"), copy)
    by_name, by_file, default = (
        vultus("detect", astronaut, "--detector", "retinaface", "--json", *option).out
        for option in (("--weights", "retinaface-mobilenet0.25"), ("--weights", copy), ())
    )
    assert by_name == by_file == default
    outcome = vultus("detect", astronaut, "--detector", "retinaface", "--weights", tmp_path / "none.onnx")
    assert outcome.code == 3
    assert "none.onnx" in outcome.err
    outcome = vultus("detect", astronaut, "--detector", "yolov5_face")
    assert outcome.code == 3
    assert "GPL-3.0" in outcome.err


@pytest.mark.skipif(not openvino.is_installed(), reason="needs the extra openvino")
def test_the_runtime_is_chosen_by_name_and_finds_the_same_face(vultus: Command, astronaut: Path) -> None:
    told = [
        json.loads(vultus("detect", astronaut, "--runtime", runtime, "--json").out)[0]["faces"][0]["box"]
        for runtime in ("onnx", "openvino-f32", "auto")
    ]
    np.testing.assert_allclose(told[0], told[1], atol=0.5)
    assert told[2] == told[0]  # one image does not repay the start of OpenVINO


def test_an_unknown_runtime_is_named(vultus: Command, astronaut: Path, tmp_path: Path) -> None:
    for command in (["detect"], ["align", "--output", tmp_path / "crops"], ["embed"]):
        outcome = vultus(*command, astronaut, "--runtime", "abacus")
        assert outcome.code == 2
        assert "unknown runtime 'abacus'" in outcome.err
