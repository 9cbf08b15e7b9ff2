"""What a set of faces is like."""

from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.evaluate.report import Subject
from vultus.image import save_image
from vultus.quality import sharpnesses, turns
from vultus.training.data.folder import FileFaces, read_folder
from vultus.training.data.set_figures import figures_pictures, figures_report, measure
from vultus.training.data.shards import ShardFaces


@pytest.fixture
def people(tmp_path: Path) -> FileFaces:
    """Ann has three crops, Bo one: gray of 10, 20, 30 and 200."""
    for name, value in (("Ann/1", 10), ("Ann/2", 20), ("Ann/3", 30), ("Bo/1", 200)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(np.full((20, 24, 3), value, np.uint8), tmp_path / f"{name}.png")
    return read_folder(tmp_path)


def test_people_are_counted_and_crops_measured(people: FileFaces) -> None:
    measured = measure(people, sample=100)
    assert measured.counts.tolist() == [3, 1]
    assert (measured.n_crops, measured.n_unlabelled) == (4, 0)
    assert sorted(measured.brightness.round(3)) == [10, 20, 30, 200]
    assert set(measured.sizes_px) == {20}
    assert measured.sharpness.tolist() == [0, 0, 0, 0]
    assert len(measured.turns) == 0
    report = figures_report(measured, subject=Subject("faces", {}, "vultus data stats"))
    assert report.figures["people with one crop"] == "1"
    assert report.figures["turn"] == "none is known"
    assert report.details["spread"]["crops per person"]["most"] == 3
    assert "turn.png" not in figures_pictures(measured, title="faces")


def test_real_faces_and_their_landmarks(heldout: ShardFaces) -> None:
    measured = measure(heldout, sample=30, seed=3)
    drawn = np.sort(np.random.default_rng(3).permutation(len(heldout))[:30])
    assert np.allclose(measured.turns, turns(heldout.landmarks[drawn]))
    assert np.allclose(
        measured.sharpness, [sharpnesses(heldout.crop(int(row))[np.newaxis])[0] for row in drawn]
    )
    assert measured.counts.sum() == 4798
    assert measure(heldout, sample=5, seed=3).brightness.shape == (5,)
    pictures = figures_pictures(measured, title="heldout")
    assert set(pictures) == {
        "crops-per-person.png",
        "size-px.png",
        "brightness.png",
        "sharpness.png",
        "turn.png",
    }
    assert pictures["turn.png"]().axes[0].patches


def test_no_sample_is_refused(people: FileFaces) -> None:
    with pytest.raises(InputError, match="at least 1"):
        measure(people, sample=0)
