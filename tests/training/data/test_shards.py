"""Crops in tar shards: the real ones, made ones, and damaged ones."""

import csv
import io
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import ImageError, InputError
from vultus.image import encode_png
from vultus.training.data.shards import ShardFaces, members, read_shards

POINTS = [
    f"{point}_{axis}"
    for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    for axis in "xy"
]
COLUMNS = ["shard", "file", "source", "identity", "split", *POINTS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards, whose members stand in another order than the index names them."""
    crops = {name: np.full((16, 16, 3), value, np.uint8) for value, name in enumerate("abcde")}
    for shard, names in (("one.tar", "bac"), ("two.tar", "ed")):
        with tarfile.open(tmp_path / shard, "w") as archive:
            folder = tarfile.TarInfo("people")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            for name in names:
                data = encode_png(crops[name])
                member = tarfile.TarInfo(f"people/{name}.png")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    rows = [
        ("one.tar", "a", "web", "Ann", "train"),
        ("two.tar", "d", "web", "", "train"),
        ("one.tar", "c", "film", "Bo", "heldout"),
        ("one.tar", "b", "film", "Ann", "train"),
        ("two.tar", "e", "web", "Bo", "train"),
    ]
    with (tmp_path / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for i, (shard, name, *rest) in enumerate(rows):
            landmarks = [""] * 10 if i == 1 else [i + n / 10 for n in range(10)]
            writer.writerow([shard, f"people/{name}.png", *rest, *landmarks])
    return tmp_path


def values(faces: ShardFaces) -> list[int]:
    return [int(faces.crop(i)[0, 0, 0]) for i in range(len(faces))]


def test_every_row_of_the_index_is_its_crop(folder: Path) -> None:
    faces = read_shards(folder)
    assert values(faces) == [0, 3, 2, 1, 4]
    assert faces.names == ("Ann", "Bo")
    assert faces.identity_index.tolist() == [0, -1, 1, 0, 1]
    assert faces.sources == ("web", "web", "film", "film", "web")
    assert faces.rows.tolist() == [0, 1, 2, 3, 4]


def test_landmarks_are_points_and_unknown_ones_are_no_numbers(folder: Path) -> None:
    landmarks = read_shards(folder).landmarks
    assert landmarks.shape == (5, 5, 2)
    np.testing.assert_allclose(landmarks[2, 1], [2.2, 2.3], atol=1e-6)  # the right eye: x, y
    assert np.isnan(landmarks[1]).all()
    assert np.isfinite(landmarks[[0, 2, 3, 4]]).all()


def test_a_split_or_source_keeps_the_rows_of_the_index(folder: Path) -> None:
    faces = read_shards(folder, split="train", sources=["web"])
    assert faces.rows.tolist() == [0, 1, 4]
    assert values(faces) == [0, 3, 4]
    assert faces.names == ("Ann", "Bo")
    assert read_shards(folder, sources=["film"]).identity_index.tolist() == [1, 0]


def test_threads_read_side_by_side_and_processes_get_it_by_post(folder: Path) -> None:
    faces = read_shards(folder)
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda i: int(faces.crop(i % 5)[0, 0, 0]), range(100)))
    assert seen == [0, 3, 2, 1, 4] * 20
    assert values(pickle.loads(pickle.dumps(faces))) == [0, 3, 2, 1, 4]


def test_the_fingerprint_follows_the_shards_that_are_used(folder: Path) -> None:
    whole, film = read_shards(folder), read_shards(folder, sources=["film"])
    assert read_shards(folder).fingerprint == whole.fingerprint != film.fingerprint
    (folder / "two.tar").write_bytes((folder / "two.tar").read_bytes() + bytes(512))
    assert read_shards(folder).fingerprint != whole.fingerprint
    assert read_shards(folder, sources=["film"]).fingerprint == film.fingerprint


def test_a_member_that_is_not_there_is_named(folder: Path) -> None:
    index = folder / "index.csv"
    index.write_text(
        index.read_text(encoding="utf-8").replace("people/c.png", "people/x.png"), encoding="utf-8"
    )
    faces = read_shards(folder)
    with pytest.raises(InputError, match=r"one\.tar has no file 'people/x\.png'"):
        faces.crop(2)
    assert int(faces.crop(0)[0, 0, 0]) == 0


def test_a_truncated_shard_is_refused(folder: Path) -> None:
    whole = (folder / "one.tar").read_bytes()
    (folder / "one.tar").write_bytes(whole[: members(folder / "one.tar")["people/a.png"][0] + 10])
    with pytest.raises(InputError, match=r"cannot read the shard .*one\.tar"):
        read_shards(folder).crop(0)


def test_a_member_that_is_no_image_is_named(folder: Path) -> None:
    start, size = members(folder / "one.tar")["people/a.png"]
    whole = (folder / "one.tar").read_bytes()
    (folder / "one.tar").write_bytes(whole[:start] + bytes(size) + whole[start + size :])
    with pytest.raises(ImageError, match=r"'people/a\.png' in .*one\.tar"):
        read_shards(folder).crop(0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("identity", "who", "there is no identity"),
        (",3.4,", ",three,", "expected numbers for the landmarks"),
        ("one.tar", "gone.tar", r"gone\.tar"),
        (",3.4,", ",", "shorter or longer"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    index = folder / "index.csv"
    index.write_text(index.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_shards(folder).crop(0)


def test_no_index_and_no_row_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="5 rows, none of split test, source any"):
        read_shards(folder, split="test")
    with pytest.raises(InputError, match="none of split any, source radio"):
        read_shards(folder, sources=["radio"])
    with pytest.raises(InputError, match=r"cannot read the index .*index\.csv"):
        read_shards(tmp_path / "none")


def test_the_real_shards_are_as_described(shared: Path, heldout: ShardFaces) -> None:
    folder = shared / "data" / "faces"
    faces = read_shards(folder)
    teacher = np.load(folder / "teacher-sface.npy", mmap_mode="r")
    assert len(faces) == len(teacher) > 50_000
    assert len(heldout.names) == 80
    assert (heldout.identity_index >= 0).all()
    is_train = np.isin(faces.rows, heldout.rows, invert=True)
    train = {faces.names[number] for number in np.unique(faces.identity_index[is_train]) if number >= 0}
    assert len(train) > 5000
    assert not train & set(heldout.names)
    assert set(faces.sources) == {"pins", "celeba", "celeba_small", "utkface", "humans"}
    picked = heldout.crop(100)
    assert picked.shape == (128, 128, 3)
    np.testing.assert_array_equal(picked, faces.crop(int(heldout.rows[100])))
    eyes = np.nanmedian(heldout.landmarks[:, :2, 0], axis=0)
    assert 38 < eyes[0] < 50 < 78 < eyes[1] < 90  # 8 px of margin around the 112 template
