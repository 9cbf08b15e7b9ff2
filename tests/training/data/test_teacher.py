"""A teacher's embeddings, computed once: of the middle of each crop and its mirror image, killed or not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.embed import load_embedder
from vultus.errors import InputError
from vultus.training.data.identities import Selection, select
from vultus.training.data.shards import ShardFaces
from vultus.training.data.teacher import middle, mirror_averaged, read_teacher, teacher_embeddings
from vultus.types import Crops, Detections, Embeddings, Image


class Corner:
    """A teacher that sees the first column of each crop, and dies after some calls."""

    contract = "corner"
    min_similarity = None

    def __init__(self, *, calls: int | None = None) -> None:
        self.calls = calls
        self.seen = 0

    def alignable(self, faces: Detections) -> NDArray[np.bool_]:
        raise NotImplementedError

    def align(self, image: Image, faces: Detections) -> Crops:
        raise NotImplementedError

    def embed(self, crops: Crops) -> Embeddings:
        if self.calls == 0:
            raise KeyboardInterrupt
        if self.calls is not None:
            self.calls -= 1
        self.seen += len(crops)
        assert crops.shape[1:] == (112, 112, 3)
        raw = crops[:, :, 0].mean(axis=1) + 1.0
        return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def faces(heldout: ShardFaces) -> Selection:
    return select(heldout, np.arange(0, 4798, 480))


def expected(faces: Selection) -> NDArray[np.float32]:
    """By hand: the middle of each crop, first and last column."""
    rows = []
    for number in range(len(faces)):
        crop = faces.crop(number)[8:120, 8:120].astype(np.float64)
        sides = [column.mean(axis=0) + 1 for column in (crop[:, 0], crop[:, -1])]
        total = sum(side / np.linalg.norm(side) for side in sides)
        rows.append(total / np.linalg.norm(total))
    return np.array(rows, np.float32)


def test_the_target_is_the_mean_of_a_face_and_its_mirror_image(faces: Selection, tmp_path: Path) -> None:
    path = teacher_embeddings(faces, Corner(), tmp_path)
    rows = read_teacher(path, np.arange(len(faces)))
    np.testing.assert_allclose(rows, expected(faces), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_what_a_killed_run_has_computed_is_not_computed_again(faces: Selection, tmp_path: Path) -> None:
    whole = read_teacher(teacher_embeddings(faces, Corner(), tmp_path / "whole"), np.arange(10))
    with pytest.raises(KeyboardInterrupt):
        teacher_embeddings(faces, Corner(calls=4), tmp_path / "killed", piece_rows=3)  # two calls for a piece
    (parts,) = (path for path in (tmp_path / "killed").iterdir() if path.is_dir())
    (parts / ".half-written.tmp").touch()  # as SIGKILL leaves it
    rest = Corner()
    path = teacher_embeddings(faces, rest, tmp_path / "killed", piece_rows=3)
    assert rest.seen == 2 * (10 - 6)
    np.testing.assert_array_equal(read_teacher(path, np.arange(10)), whole)
    assert [file.name for file in path.parent.glob("*") if file.suffix != ".lock"] == [path.name]


def test_embeddings_are_computed_once_for_each_teacher_and_set(faces: Selection, tmp_path: Path) -> None:
    path = teacher_embeddings(faces, Corner(), tmp_path)
    again = Corner()
    assert teacher_embeddings(faces, again, tmp_path) == path
    assert again.seen == 0
    assert teacher_embeddings(select(faces, [1, 0]), Corner(), tmp_path) != path
    other = Corner()
    other.contract = "other"
    assert teacher_embeddings(faces, other, tmp_path) != path


def test_the_teacher_that_ships_gives_the_kept_embeddings(
    heldout: ShardFaces, faces: Selection, shared: Path
) -> None:
    """The file beside the shards comes from the same network before its weights became blocks of int8."""
    kept = read_teacher(shared / "data" / "faces" / "teacher-sface.npy", heldout.rows[faces.indices])
    crops = np.stack([middle(faces.crop(number), 112) for number in range(len(faces))])
    ours = mirror_averaged(load_embedder("accurate"), crops)
    likeness = (ours * kept).sum(axis=1)
    assert likeness.min() > 0.95
    swapped = mirror_averaged(load_embedder("accurate"), np.ascontiguousarray(crops[..., ::-1]))
    assert likeness.mean() > (swapped * kept).sum(axis=1).mean() + 0.02


def test_rows_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "rows.npy"
    np.save(file, np.array([[2, 0], [0, 3], [4, 4]], np.float16))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(read_teacher(file, np.array([2, 0])), [[half, half], [1, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (np.ones((2, 3), np.float32), r"at least 3 crops, got float32 \(2, 3\)"),
        (np.ones((3, 2), np.int64), "must hold floats"),
        (np.array([[1, 0], [0, 0], [1, 1]], np.float32), "no embedding in row 1"),
        (np.array([[1, 0], [1, 0], [np.nan, 1]], np.float32), "no embedding in row 2"),
    ],
)
def test_what_is_no_embedding_is_refused(rows: NDArray[np.generic], complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.npy"
    np.save(file, rows)
    with pytest.raises(InputError, match=complaint):
        read_teacher(file, np.arange(3))


def test_a_file_that_is_not_there_or_no_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read a teacher's embeddings"):
        read_teacher(tmp_path / "none.npy", np.arange(3))
    (tmp_path / "text.npy").write_text("1 2 3")
    with pytest.raises(InputError, match="cannot read a teacher's embeddings"):
        read_teacher(tmp_path / "text.npy", np.arange(3))


def test_a_crop_that_is_smaller_than_the_teacher_wants_is_refused() -> None:
    with pytest.raises(InputError, match="at least 112 px, got 100 x 128"):
        middle(np.zeros((100, 128, 3), np.uint8), 112)
