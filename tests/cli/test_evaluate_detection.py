"""`vultus evaluate widerface` on a few real images: the same figures in print, JSON and files."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vultus.cli import app
from vultus.errors import InputError, WeightsError

COMMAND = ["evaluate", "widerface"]


@pytest.fixture(scope="module")
def small_set(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of the development set, with the ground truth of the whole."""
    source, folder = shared / "data" / "widerface-dev", tmp_path_factory.mktemp("widerface")
    names = (source / "images.txt").read_text(encoding="utf-8").split()[30:34]
    assert len(names) == 4
    for name in names:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "images" / name, folder / "images" / name)
    shutil.copytree(source / "ground_truth", folder / "ground_truth", copy_function=os.symlink)
    return folder


@pytest.fixture(scope="module")
def measured(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one run has filled: report/, predictions/ and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    places = ["--report", str(folder / "report"), "--save-predictions", str(folder / "predictions")]
    options = ["--detector", "mtcnn", "--images", "present", "--scale", "400", "--threads", "1", "--json"]
    done = CliRunner().invoke(app, [*COMMAND, str(small_set), *options, *places])
    assert done.exit_code == 0, done.output
    (folder / "printed.json").write_text(done.stdout, encoding="utf-8")
    return folder


def test_what_is_printed_is_the_report(measured: Path) -> None:
    printed = json.loads((measured / "printed.json").read_text(encoding="utf-8"))
    assert json.loads((measured / "report" / "report.json").read_text(encoding="utf-8")) == printed
    assert printed["title"] == "WIDER FACE validation (subset)"
    assert printed["figures"]["images"] == "4 of 3,226, a subset"
    assert 0.4 < printed["details"]["ap"]["easy"] <= 1
    assert printed["setting"]["scale"] == "longer side 400 px"
    assert "79ed6aca50fa8615269c1028bccac156bf565fe93aec311f3c04260ff76bfccb" in printed["setting"]["weights"]
    assert printed["provenance"]["machine"]


def test_the_folder_holds_data_and_pictures(measured: Path) -> None:
    names = {path.name for path in (measured / "report").iterdir()}
    assert names == {"report.json", "report.md", "curves.csv", "curves.png", "heights.png", "events.png"}
    assert "![curves.png](curves.png)" in (measured / "report" / "report.md").read_text(encoding="utf-8")


def test_saved_predictions_give_the_same_figures(small_set: Path, measured: Path) -> None:
    files = list((measured / "predictions").glob("*/*.txt"))
    assert len(files) == 4
    arguments = [str(small_set), "--images", "present", "--json"]
    places = ["--predictions", str(measured / "predictions")]
    done = CliRunner().invoke(app, [*COMMAND, *arguments, *places])
    assert done.exit_code == 0, done.output
    again, first = (
        json.loads(done.stdout),
        json.loads((measured / "printed.json").read_text(encoding="utf-8")),
    )
    assert again["figures"] == first["figures"]
    assert again["details"] == first["details"]
    assert again["setting"] == {"predictions": str(measured / "predictions")}


def test_a_table_is_printed_for_people(small_set: Path, measured: Path) -> None:
    done = CliRunner().invoke(
        app, [*COMMAND, str(small_set), "--images", "present", "--predictions", str(measured / "predictions")]
    )
    assert done.exit_code == 0, done.output
    for text in ("easy", "medium", "hard, 16 to 32 px", "a subset", "recall"):
        assert text in done.stdout


def test_smaller_images_show_fewer_small_faces(small_set: Path, measured: Path) -> None:
    done = CliRunner().invoke(
        app, [*COMMAND, str(small_set), "--images", "present", "--scale", "100", "--json"]
    )
    assert done.exit_code == 0, done.output
    small, large = (
        json.loads(done.stdout),
        json.loads((measured / "printed.json").read_text(encoding="utf-8")),
    )
    assert small["details"]["recall"]["hard"] < large["details"]["recall"]["hard"]


def test_a_subset_is_never_judged_unasked(small_set: Path) -> None:
    done = CliRunner().invoke(app, [*COMMAND, str(small_set)])
    assert isinstance(done.exception, InputError)
    assert "3,222 of the 3,226 validation images are missing" in str(done.exception)


@pytest.mark.parametrize("scale", ["0", "-640", "large", "640.5", ""])
def test_a_scale_that_is_none_is_refused(scale: str, small_set: Path) -> None:
    done = CliRunner().invoke(app, [*COMMAND, str(small_set), "--images", "present", f"--scale={scale}"])
    assert isinstance(done.exception, InputError)
    assert "'original' or a number of pixels" in str(done.exception)


def test_other_detectors_resize_the_images_themselves(small_set: Path, shared: Path) -> None:
    """RetinaFace with the weights that come along, YOLOv5-Face with a file of its own."""
    yolo = shared / "weights" / "yolov5n-0.5-face.onnx"
    for detector, weights in (("retinaface", []), ("yolov5_face", ["--weights", str(yolo)])):
        options = ["--detector", detector, "--scale", "640", "--threads", "1", "--json", *weights]
        done = CliRunner().invoke(app, [*COMMAND, str(small_set), "--images", "present", *options])
        assert done.exit_code == 0, done.output
        printed = json.loads(done.stdout)
        assert printed["details"]["ap"]["easy"] > 0.8
        assert printed["setting"]["detector"] == detector
        assert printed["setting"]["scale"] == "longer side 640 px"
    assert "ffeda7b88900bd8fb3c3cd71876d199aca389a1378d11e07d22faf4c5fc6b4ae" in printed["setting"]["weights"]


def test_unknown_detectors_and_weights_are_refused(small_set: Path) -> None:
    arguments = [*COMMAND, str(small_set), "--images", "present"]
    assert isinstance(CliRunner().invoke(app, [*arguments, "--detector", "viola"]).exception, InputError)
    done = CliRunner().invoke(app, [*arguments, "--detector", "retinaface", "--weights", "nothing.onnx"])
    assert isinstance(done.exception, WeightsError)
    done = CliRunner().invoke(app, [*arguments, "--detector", "yolov5_face"])
    assert isinstance(done.exception, WeightsError)
    assert "no weights come with yolov5_face" in str(done.exception)
