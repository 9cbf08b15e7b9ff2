"""`vultus data`, run as a user runs it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage

Vultus = Callable[..., Any]

LABELS = """\
# crew.png
10 20 30 40 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 0 0 1 0
50 20 0 40 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 0 1 1 0
# gone.png
10 20 30 40 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 0 0 1 0
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    PillowImage.new("RGB", (200, 100)).save(tmp_path / "pictures" / "crew.png")
    path = tmp_path / "label.txt"
    path.write_text(LABELS, encoding="utf-8")
    return path


def test_check_counts_and_shows_what_would_not_be_used(vultus: Vultus, labels: Path) -> None:
    outcome = vultus("data", "check", labels)
    assert outcome.code == 0
    for part in ("faces of 16-32 px", "label.txt", "50 20 0 40", "the box has no area"):
        assert part in outcome.out
    assert "gone.png" not in outcome.out


def test_check_opens_the_images_if_told_where_they_are(vultus: Vultus, labels: Path) -> None:
    outcome = vultus("data", "check", labels, "--images", labels.parent / "pictures", "--json")
    report = json.loads(outcome.out)
    assert (report["images"], report["faces"], report["rejected"]) == (1, 1, 2)
    assert report["by_size_px"]["16-32"] == 1
    assert [(row["line"], Path(row["file"])) for row in report["rejected_rows"]] == [(3, labels), (4, labels)]
    assert "there is no file" in report["rejected_rows"][1]["reason"]


def test_check_shows_the_first_of_many_bad_rows_and_says_how_many_there_are(
    vultus: Vultus, tmp_path: Path
) -> None:
    path = tmp_path / "label.txt"
    path.write_text("# a.jpg\n" + "1 2 3 4\n" + "".join(f"{x} 2 0 4\n" for x in range(25)), encoding="utf-8")
    outcome = vultus("data", "check", path)
    assert outcome.out.count("the box has no area") == 20
    assert "and 5 more: --json shows all" in outcome.out
    assert len(json.loads(vultus("data", "check", path, "--json").out)["rejected_rows"]) == 25


def test_check_refuses_what_is_no_label_file(vultus: Vultus, tmp_path: Path) -> None:
    outcome = vultus("data", "check", tmp_path / "gone.txt")
    assert outcome.code == 2
    assert "cannot read the labels" in outcome.err


def test_widerface_names_what_to_fetch_by_hand_where_the_network_is_forbidden(
    vultus: Vultus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    outcome = vultus("data", "widerface", tmp_path / "data")
    assert outcome.code == 3
    assert "WIDER_train.zip" in outcome.err
    assert "e23b76129c825cafae8be944f65310b2e1ba1c76885afe732f179c41e5ed6d59" in outcome.err


def test_widerface_counts_what_is_there_already(
    vultus: Vultus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    truth = tmp_path / "eval_tools" / "ground_truth"
    truth.mkdir(parents=True)
    for name in ("face", "easy", "medium"):
        (truth / f"wider_{name}_val.mat").write_bytes(b"")
    outcome = vultus("data", "widerface", tmp_path, "--part", "evaluation")
    assert outcome.code == 2
    assert "expected 4 files" in outcome.err
    (truth / "wider_hard_val.mat").write_bytes(b"")
    outcome = vultus("data", "widerface", tmp_path, "--part", "evaluation")
    assert (outcome.code, outcome.out.strip()) == (0, str(tmp_path / "eval_tools"))


def test_widerface_does_not_unpack_another_archive(
    vultus: Vultus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VULTUS_OFFLINE", "1")
    (tmp_path / "WIDER_val.zip").write_bytes(b"mine")
    outcome = vultus("data", "widerface", tmp_path, "--part", "val")
    assert outcome.code == 3
    assert hashlib.sha256(b"mine").hexdigest() in outcome.err
    assert not (tmp_path / "WIDER_val").exists()
