from pathlib import Path

import numpy as np
import pytest

from vultus.errors import ImageError
from vultus.image import save_image
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.sample import load_sample


def annotated(path: Path, count: int) -> AnnotatedImage:
    boxes = np.tile(np.array([[1, 2, 5, 8]], np.float32), (count, 1))
    landmarks = np.full((count, 5, 2), np.nan, np.float32)
    return AnnotatedImage(path, boxes, landmarks, np.arange(count) % 2 == 1)


@pytest.mark.parametrize("count", [0, 3])
def test_a_sample_is_the_image_with_the_faces_that_were_marked_in_it(tmp_path: Path, count: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    save_image(image, tmp_path / "a.png")
    sample = load_sample(annotated(tmp_path / "a.png", count))
    np.testing.assert_array_equal(sample.image, image)
    assert sample.size_hw == (20, 30)
    assert sample.boxes.shape == (count, 4)
    assert sample.landmarks.shape == (count, 5, 2)
    np.testing.assert_array_equal(sample.is_ignored, [False, True, False][:count])


def test_a_gray_file_becomes_rgb(tmp_path: Path) -> None:
    save_image(np.full((8, 9, 3), 77, np.uint8), tmp_path / "gray.png")
    assert load_sample(annotated(tmp_path / "gray.png", 1)).image.shape == (8, 9, 3)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.png"):
        load_sample(annotated(tmp_path / "absent.png", 1))
