"""The official ground truth: the whole set, faces and lists, and what is said of other files."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from vultus.errors import InputError, MissingExtraError
from vultus.evaluate import WiderTruth, read_widerface_truth
from vultus.evaluate.widerface import DIFFICULTIES


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "data" / "widerface-dev" / "ground_truth"


@pytest.fixture(scope="module")
def truth(folder: Path) -> WiderTruth:
    return read_widerface_truth(folder)


def test_it_is_the_whole_validation_set(truth: WiderTruth) -> None:
    assert len(truth.images) == len(set(truth.images)) == 3226
    assert truth.boxes.shape == (39708, 4)
    assert truth.first_face.tolist()[0] == 0
    assert truth.first_face[-1] == 39708
    assert {name: int(counts.sum()) for name, counts in truth.counts.items()} == {
        "easy": 7211,
        "medium": 13319,
        "hard": 31958,
    }


def test_easy_faces_are_medium_and_medium_ones_are_hard(truth: WiderTruth) -> None:
    easy, medium, hard = (truth.counts[name] for name in DIFFICULTIES)
    assert (~easy | medium).all()
    assert (~medium | hard).all()


def test_an_image_has_its_own_faces_and_lists(truth: WiderTruth) -> None:
    """The first image, as its rows stand in the file: x y w h, and faces 31, 32 and 125 are hard."""
    i = truth.images.index("0--Parade/0_Parade_marchingband_1_465.jpg")
    boxes = truth.boxes[truth.faces_of(i)]
    assert boxes[0].tolist() == [345, 211, 345 + 4, 211 + 4]
    assert (np.flatnonzero(truth.counts["hard"][truth.faces_of(i)]) + 1).tolist() == [31, 32, 125]
    assert not truth.counts["easy"][truth.faces_of(i)].any()


def test_no_face_is_listed_twice(folder: Path, truth: WiderTruth) -> None:
    """The official code counts the entries of the lists; here listed faces are counted."""
    for name in DIFFICULTIES:
        lists = loadmat(folder / f"wider_{name}_val.mat")["gt_list"]
        entries = sum(image[0].size for event in lists for image in event[0])
        assert entries == truth.counts[name].sum() > 0


def test_the_images_at_hand_are_of_the_set(shared: Path, truth: WiderTruth) -> None:
    names = (shared / "data" / "widerface-dev" / "images.txt").read_text(encoding="utf-8").split()
    assert len(names) == 153
    assert set(names) <= set(truth.images)


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copyfile(folder / "wider_face_val.mat", tmp_path / "wider_face_val.mat")
    with pytest.raises(InputError, match=r"cannot read the ground truth .*wider_easy_val\.mat"):
        read_widerface_truth(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not MATLAB at all", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_a_file_that_is_not_matlab_is_an_error(content: bytes, tmp_path: Path) -> None:
    for name in ("face", *DIFFICULTIES):
        (tmp_path / f"wider_{name}_val.mat").write_bytes(content)
    with pytest.raises(InputError, match="ground truth"):
        read_widerface_truth(tmp_path)


def test_a_truncated_file_is_an_error(folder: Path, tmp_path: Path) -> None:
    for name in ("face", *DIFFICULTIES):
        content = (folder / f"wider_{name}_val.mat").read_bytes()
        (tmp_path / f"wider_{name}_val.mat").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"ground truth .*wider_face_val\.mat"):
        read_widerface_truth(tmp_path)


def test_another_matlab_file_is_an_error(tmp_path: Path) -> None:
    for name in ("face", *DIFFICULTIES):
        savemat(tmp_path / f"wider_{name}_val.mat", {"file_list": np.zeros(3)})
    with pytest.raises(InputError, match="does not hold the official ground truth"):
        read_widerface_truth(tmp_path)


def test_lists_of_another_set_are_an_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "truth")
    (tmp_path / "truth").chmod(0o755)
    target = tmp_path / "truth" / "wider_easy_val.mat"
    target.unlink()
    lists = loadmat(folder / "wider_easy_val.mat")["gt_list"]
    savemat(target, {"gt_list": lists[:60]})
    with pytest.raises(InputError, match="expected lists for 3,226 images"):
        read_widerface_truth(tmp_path / "truth")


def test_without_scipy_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scipy", "scipy.io"):
        monkeypatch.setitem(sys.modules, name, None)  # how Python itself marks what cannot be imported
    with pytest.raises(MissingExtraError, match=r"pip install 'vultus\[evaluate\]'"):
        read_widerface_truth(folder)
