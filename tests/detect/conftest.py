"""What the tests of detectors share: real photos, and facenet-pytorch's MTCNN as an oracle."""

import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from vultus.image import load_image
from vultus.types import Detections, Image

Oracle = Callable[[Image, float], Detections]


@pytest.fixture(scope="session")
def photo(photos: Path) -> Callable[[str], Image]:
    """Reads a photo by its file name, once."""
    return cache(lambda name: load_image(photos / name))


@pytest.fixture(scope="session")
def facenet_pytorch_mtcnn() -> Oracle:
    """What facenet-pytorch's MTCNN finds in an image, given the smallest face in pixels."""
    if importlib.util.find_spec("facenet_pytorch") is None:
        pytest.skip("needs facenet-pytorch: pip install --no-deps facenet-pytorch==2.6.0")
    path = Path(__file__).with_name("torchvision_stand_in.py")
    spec = importlib.util.spec_from_file_location("torchvision_stand_in", path)
    assert spec is not None
    assert spec.loader is not None
    stand_in = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_in)
    with stand_in.torchvision_stand_in(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch import MTCNN

    detector = cache(lambda min_face_px: MTCNN(keep_all=True, min_face_size=min_face_px))
    known: dict[tuple[int, float], tuple[Image, Detections]] = {}  # the image too: so its id stays its own

    def detect(image: Image, min_face_px: float) -> Detections:
        if (id(image), min_face_px) not in known:
            found = detector(min_face_px).detect(np.ascontiguousarray(image), landmarks=True)
            faces = Detections.empty() if found[0] is None else Detections(*found)
            known[id(image), min_face_px] = image, faces
        return known[id(image), min_face_px][1]

    return detect
