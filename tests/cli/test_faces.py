"""`vultus align`, `embed` and `verify` on real pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus import load_image

Command = Callable[..., Any]


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
