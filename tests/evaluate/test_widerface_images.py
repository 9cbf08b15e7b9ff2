"""From the folder to the predictions: every image of the set, or those that are there if so wanted."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import ImageError, InputError
from vultus.evaluate import WiderTruth
from vultus.evaluate.widerface_images import detect_images, find_widerface_images
from vultus.types import Detections, Image

NAMES = ("a/1.jpg", "a/2.jpg", "b/3.jpg")


@pytest.fixture
def truth() -> WiderTruth:
    return WiderTruth(NAMES, np.zeros(4, np.intp), np.zeros((0, 4)), {})


@pytest.fixture
def folder(tmp_path: Path, astronaut: Path) -> Path:
    """Two of the three images, and one that is not of the set."""
    for name in ("b/3.jpg", "a/1.jpg", "a/other.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(astronaut, tmp_path / name)
    return tmp_path


class Many:
    """Finds 900 faces in every image."""

    def detect(self, image: Image) -> Detections:
        scores = np.linspace(1, 0, 900, dtype=np.float32)
        return Detections(np.ones((900, 4), np.float32), scores, np.ones((900, 5, 2), np.float32))

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


def test_a_missing_image_is_an_error_unless_a_subset_is_wanted(folder: Path, truth: WiderTruth) -> None:
    with pytest.raises(InputError, match="1 of the 3 validation images are missing"):
        find_widerface_images(folder, truth)
    present = find_widerface_images(folder, truth, only_present=True)
    assert list(present.items()) == [("a/1.jpg", folder / "a/1.jpg"), ("b/3.jpg", folder / "b/3.jpg")]


def test_no_image_at_all_is_an_error_even_of_a_subset(tmp_path: Path, truth: WiderTruth) -> None:
    with pytest.raises(InputError, match="none of the 3 validation images"):
        find_widerface_images(tmp_path, truth, only_present=True)


def test_the_best_750_are_kept(folder: Path, truth: WiderTruth) -> None:
    done: list[int] = []
    paths = find_widerface_images(folder, truth, only_present=True)
    found = detect_images(paths, Many(), on_progress=done.append)
    assert list(found) == ["a/1.jpg", "b/3.jpg"]
    assert [len(faces) for faces in found.values()] == [750, 750]
    assert found["a/1.jpg"].scores[0] == 1.0
    assert done == [1, 1]


def test_a_damaged_image_stops_the_measurement(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"1\.jpg"):
        detect_images({"a/1.jpg": tmp_path / "1.jpg"}, Many())
