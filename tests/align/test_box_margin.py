"""FaceNet's crop against facenet-pytorch's own, and its arithmetic by hand."""

import importlib.util
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage

from vultus.align.box_margin import alignable, crop_boxes
from vultus.errors import InputError, ShapeError
from vultus.types import Image

with PillowImage.open(str(files("skimage") / "data" / "astronaut.png")) as portrait:
    PORTRAIT: Image = np.array(portrait)  # 512 x 512

Oracle = Callable[[Image, NDArray[np.float64], int, int], NDArray[np.float32]]


@pytest.fixture(scope="module")
def extract_face() -> Oracle:
    """facenet-pytorch's function, its file imported with a stand-in for the two it takes of torchvision."""
    package = importlib.util.find_spec("facenet_pytorch")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs facenet-pytorch as an oracle: pip install --no-deps facenet-pytorch==2.6.0")
    path = Path(package.submodule_search_locations[0]) / "models" / "utils" / "detect_face.py"
    stand_ins = {
        name: ModuleType(name)
        for name in ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.ops.boxes")
    }
    functional: Any = ModuleType("functional")
    functional.to_tensor = lambda face: face
    stand_ins["torchvision.transforms"].functional = functional  # type: ignore[attr-defined]  # made here
    stand_ins["torchvision.ops.boxes"].batched_nms = None  # type: ignore[attr-defined]  # never called
    spec = importlib.util.spec_from_file_location("facenet_pytorch_detect_face", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    oracle: Oracle = module.extract_face
    return oracle


@settings(max_examples=60)
@given(
    x=st.floats(-80, 440),
    y=st.floats(-80, 440),
    width=st.floats(82, 400),
    height=st.floats(82, 400),
    size_px=st.sampled_from([112, 160]),
    margin_px=st.sampled_from([0, 14, 32, 44]),
)
def test_crops_are_those_of_facenet_pytorch(
    extract_face: Oracle, x: float, y: float, width: float, height: float, size_px: int, margin_px: int
) -> None:
    box = np.array([x, y, x + width, y + height])
    expected = extract_face(PORTRAIT, box, size_px, margin_px)
    (crop,) = crop_boxes(PORTRAIT, box[None], size_px=size_px, margin_px=margin_px)
    np.testing.assert_array_equal(crop, expected.astype(np.uint8))


def test_a_box_of_the_crops_own_size_is_copied() -> None:
    (crop,) = crop_boxes(PORTRAIT, np.array([[100.9, 50.2, 260.0, 210.7]]), size_px=160)
    np.testing.assert_array_equal(crop, PORTRAIT[50:210, 100:260])  # corners rounded towards zero


def test_the_margin_is_counted_in_pixels_of_the_crop() -> None:
    """80 px of box and 20 + 20 px of margin, seen at twice the size: 160 + 80 of 240 px."""
    (crop,) = crop_boxes(PORTRAIT, np.array([[120.0, 120, 200, 200]]), size_px=120, margin_px=40)
    np.testing.assert_array_equal(crop, PORTRAIT[100:220, 100:220])


def test_crops_come_in_the_order_of_the_boxes() -> None:
    boxes = np.array([[0.0, 0, 160, 160], [200, 100, 360, 260]])
    crops = crop_boxes(PORTRAIT, boxes)
    np.testing.assert_array_equal(crops, [PORTRAIT[:160, :160], PORTRAIT[100:260, 200:360]])


def test_no_boxes_are_no_crops() -> None:
    assert crop_boxes(PORTRAIT, np.zeros((0, 4)), size_px=99).shape == (0, 99, 99, 3)


NOTHING = {
    "right of it": (600, 10, 700, 90),
    "above it": (10, -90, 90, -10),
    "no width": (50, 50, 50, 90),
    "inside out": (90, 90, 10, 10),
    "nan": (np.nan, 0, 9, 9),
    "infinite": (0, 0, np.inf, 9),
}


@pytest.mark.parametrize("box", NOTHING.values(), ids=NOTHING)
def test_a_box_that_shows_nothing_is_refused_with_its_number(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box 1 of 2 shows nothing of an image of 512 x 512 px"):
        crop_boxes(PORTRAIT, np.array([(0, 0, 160, 160), box]))


def test_what_is_no_box_is_known_beforehand() -> None:
    is_box = alignable(np.array(list(NOTHING.values())))
    assert is_box.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("margin_px", [-1, 160, 200])
def test_a_margin_that_leaves_nothing_is_refused(margin_px: int) -> None:
    with pytest.raises(InputError, match="no room for a margin"):
        crop_boxes(PORTRAIT, np.array([[0.0, 0, 9, 9]]), margin_px=margin_px)


@pytest.mark.parametrize("shape", [(4,), (1, 5), (2, 2)])
def test_boxes_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"boxes must have shape \(N, 4\)"):
        crop_boxes(PORTRAIT, np.ones(shape))
