"""Crops in shards and records: what was packed comes out, and the same crops make the same bytes."""

from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.image import load_image, save_image
from vultus.training.data.alignment_manifest import Row
from vultus.training.data.packing import pack_records, pack_shards
from vultus.training.data.record_faces import read_records
from vultus.training.data.shards import read_shards

POINTS = tuple(float(value) for value in range(10))


@pytest.fixture
def crops(tmp_path: Path) -> tuple[Path, list[Row]]:
    """Three crops of two people, one of nobody known, and a reject."""
    rows = []
    for value, (person, name) in enumerate(
        [("Ann", "Ann/1"), ("Zoë", "Zoë/1"), ("Zoë", "Zoë/2"), ("", "loose")]
    ):
        file = tmp_path / "files" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_image(np.full((16, 16, 3), 50 * value, np.uint8), file)
        found = {"score": 0.9, "face_px": 80.0, "landmarks": POINTS}
        rows.append(Row(photo=f"{name}.jpg", sha256="", person=person, crop=f"{name}.png", **found))  # type: ignore[arg-type]  # of several types
    rows.append(Row(photo="Zoë/3.jpg", sha256="", person="Zoë", reason="no face"))
    return tmp_path / "files", rows


def test_shards_hold_the_crops_and_what_is_known_of_them(
    crops: tuple[Path, list[Row]], tmp_path: Path
) -> None:
    folder, rows = crops
    pack_shards(folder, rows, tmp_path / "shards", source="lfw", per_shard=3)
    assert {path.name for path in (tmp_path / "shards").iterdir()} == {
        "faces-000.tar",
        "faces-001.tar",
        "index.csv",
    }
    faces = read_shards(tmp_path / "shards", split="train", sources=["lfw"])
    assert (faces.names, faces.identity_index.tolist()) == (("Ann", "Zoë"), [0, 1, 1, -1])
    assert np.array_equal(faces.landmarks[3], np.array(POINTS).reshape(5, 2))
    for index, row in enumerate(rows[:4]):
        assert np.array_equal(faces.crop(index), load_image(folder / row.crop))


def test_shards_are_the_same_bytes_again(crops: tuple[Path, list[Row]], tmp_path: Path) -> None:
    folder, rows = crops
    for name in ("first", "second"):
        pack_shards(folder, rows, tmp_path / name, source="lfw")
        for path in folder.rglob("*.png"):
            path.touch()
    files = [path.name for path in (tmp_path / "first").iterdir()]
    assert len(files) == 2
    assert all(
        (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        for name in files
    )


def test_records_hold_the_people_who_are_known(crops: tuple[Path, list[Row]], tmp_path: Path) -> None:
    folder, rows = crops
    pack_records(folder, rows, tmp_path / "rec")
    faces = read_records(tmp_path / "rec" / "train.rec")
    assert (len(faces), faces.identity_index.tolist()) == (3, [0, 1, 1])
    assert [round(float(faces.crop(index).mean()) / 50) for index in range(3)] == [0, 1, 2]
    assert (tmp_path / "rec" / "people.csv").read_text("utf-8") == "number,person\n0,Ann\n1,Zoë\n"


def test_nothing_to_pack_is_an_error(crops: tuple[Path, list[Row]], tmp_path: Path) -> None:
    folder, rows = crops
    with pytest.raises(InputError, match="none of 1 photos gave a crop"):
        pack_shards(folder, rows[4:], tmp_path / "shards", source="lfw")
