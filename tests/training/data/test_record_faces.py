"""Faces in MXNet records: InsightFace's table of people, plain records, and the way back."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from vultus.errors import ImageError, InputError
from vultus.image import encode_png
from vultus.training.data.identities import IdentitySet, labelled, select
from vultus.training.data.record import ImageRecord, RecordWriter
from vultus.training.data.record_faces import read_records, write_records
from vultus.training.data.shards import ShardFaces

PNGS = [encode_png(np.full((4, 4, 3), value, np.uint8)) for value in range(6)]


def by_hand(
    key: int, image: bytes, *, label: float | None = None, between: tuple[int, int] | None = None
) -> bytes:
    """A record to the published layout, without our writer."""
    if between is None:
        data = struct.pack("<IfQQ", 0, label, key, 0) + image
    else:
        data = struct.pack("<IfQQ2f", 2, 0.0, key, 0, *between)
    return struct.pack("<II", 0xCED7230A, len(data)) + data + b"\0" * (-len(data) % 4)


# Five images of people 10, 10, 10, 2, 30, and the table: keys 6 to 8 are the people.
IMAGES = [by_hand(1 + i, PNGS[i], label=label) for i, label in enumerate((10, 10, 10, 2, 30))]
TABLE = [
    by_hand(0, b"", between=(6, 9)),
    by_hand(6, b"", between=(1, 4)),
    by_hand(7, b"", between=(4, 5)),
    by_hand(8, b"", between=(5, 6)),
]


def written(tmp_path: Path, records: list[bytes], *, with_index: bool = False) -> Path:
    path = tmp_path / "train.rec"
    path.write_bytes(b"".join(records))
    if with_index:
        places = np.cumsum([0, *map(len, records)]).tolist()
        keys = [struct.unpack_from("<Q", record, 16)[0] for record in records]
        lines = [f"{key}\t{place}\n" for key, place in zip(keys, places, strict=False)]
        path.with_suffix(".idx").write_text("".join(lines), encoding="ascii")
    return path


def colours(faces: IdentitySet) -> list[int]:
    return [int(faces.crop(i)[0, 0, 0]) for i in range(len(faces))]


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("records", [[*IMAGES, *TABLE], [*TABLE, *IMAGES], IMAGES])
def test_insightface_records_written_by_hand_are_read(
    tmp_path: Path, records: list[bytes], with_index: bool
) -> None:
    faces = read_records(written(tmp_path, records, with_index=with_index))
    assert len(faces) == 5
    assert faces.names == ("2", "10", "30")
    assert faces.identity_index.tolist() == [1, 1, 1, 0, 2]
    assert colours(faces) == [0, 1, 2, 3, 4]
    assert faces.keys.tolist() == [1, 2, 3, 4, 5]


def test_images_that_the_table_gives_to_nobody_are_left_out(tmp_path: Path) -> None:
    table = [
        by_hand(0, b"", between=(6, 8)),
        by_hand(6, b"", between=(1, 4)),
        by_hand(7, b"", between=(5, 6)),
    ]
    faces = read_records(written(tmp_path, [*IMAGES, *table]))
    assert faces.keys.tolist() == [1, 2, 3, 5]
    assert faces.names == ("10", "30")


def test_a_person_without_images_is_nobody(tmp_path: Path) -> None:
    table = [*TABLE[:3], by_hand(8, b"", between=(5, 5))]
    assert read_records(written(tmp_path, [*IMAGES, *table])).names == ("2", "10")


def test_negative_labels_are_nobody_known(tmp_path: Path) -> None:
    faces = read_records(written(tmp_path, [by_hand(1, PNGS[0], label=-1), by_hand(2, PNGS[1], label=0)]))
    assert (faces.identity_index.tolist(), faces.names) == ([-1, 0], ("0",))


def test_of_two_labels_the_first_is_the_person(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "train.rec") as writer:
        writer.write(ImageRecord(1, (4.0, 1.0), PNGS[2], has_label_list=True))
    faces = read_records(tmp_path / "train.rec")
    assert faces.names == ("4",)
    assert colours(faces) == [2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            [by_hand(0, b"", between=(6, 10)), *TABLE[1:]],
            "record 0 to name a range of records that are there",
        ),
        ([*TABLE[:3], by_hand(8, b"", between=(9, 12))], "record 8 to name a range"),
        ([*TABLE[:3], by_hand(8, b"", between=(5, 4))], "record 8 to name a range"),
        ([TABLE[0], by_hand(6, b"", between=(1, 5)), *TABLE[2:]], "the first is labelled 10, the last 2"),
        ([*TABLE[:2], by_hand(7, b"", between=(3, 4)), TABLE[3]], "record 7 names the images of one person"),
        ([*TABLE[:3], by_hand(8, PNGS[0], label=1)], "record 8 to name a range"),
        ([by_hand(0, b"", between=(6, 6))], "has no record of an image"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, table: list[bytes], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_records(written(tmp_path, [*IMAGES, *table]))


def test_a_record_that_is_no_image_is_named(tmp_path: Path) -> None:
    faces = read_records(written(tmp_path, [by_hand(1, b"\xff\xd8 nothing", label=0)]))
    with pytest.raises(ImageError, match=r"record 1 of .*train\.rec"):
        faces.crop(0)


def test_the_fingerprint_follows_the_file(tmp_path: Path) -> None:
    before = read_records(written(tmp_path, IMAGES)).fingerprint
    assert read_records(tmp_path / "train.rec").fingerprint == before
    assert read_records(written(tmp_path, IMAGES[:4])).fingerprint != before


def test_real_faces_go_into_records_and_come_back(heldout: ShardFaces, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    faces = select(heldout, chance.choice(len(heldout), 60, replace=False))  # people come mixed
    write_records(tmp_path / "train.rec", faces, jpeg_quality=95)
    order = np.argsort(faces.identity_index, kind="stable")
    assert len(faces.names) > 20
    for with_index in (True, False):
        if not with_index:
            (tmp_path / "train.idx").unlink()
        again = read_records(tmp_path / "train.rec")
        assert again.keys.tolist() == list(range(1, 61))
        assert again.identity_index.tolist() == faces.identity_index[order].tolist()
        assert again.names == tuple(str(i) for i in range(len(faces.names)))
        errors = [
            np.abs(again.crop(i).astype(int) - faces.crop(int(row))).mean() for i, row in enumerate(order)
        ]
        assert max(errors) < 4  # RGB stays RGB, and JPEG at 95 is close


def test_the_layout_is_the_one_that_insightface_reads(heldout: ShardFaces, tmp_path: Path) -> None:
    """Its training code: images are the keys from 1 to label[0] - 1, people from label[0] to label[1] - 1."""
    faces = select(heldout, [3000, 3, 5, 3001])
    write_records(tmp_path / "train.rec", faces)
    lines = (tmp_path / "train.idx").read_text(encoding="ascii").splitlines()
    places = {int(key): int(place) for key, place in (line.split("\t") for line in lines)}
    data = (tmp_path / "train.rec").read_bytes()

    def read(key: int) -> tuple[tuple[float, ...], bytes]:
        magic, length = struct.unpack_from("<II", data, places[key])
        assert magic == 0xCED7230A
        flag, label, number, _ = struct.unpack_from("<IfQQ", data, places[key] + 8)
        assert number == key
        rest = data[places[key] + 32 : places[key] + 8 + length]
        return (struct.unpack_from(f"<{flag}f", rest), b"") if flag else ((label,), rest)

    assert read(0)[0] == (5.0, 7.0)
    assert [read(key)[0] for key in (5, 6)] == [(1.0, 3.0), (3.0, 5.0)]
    assert [read(key)[0][0] for key in (1, 2, 3, 4)] == sorted(faces.identity_index.tolist())
    decoded = cv2.imdecode(np.frombuffer(read(1)[1], np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (128, 128, 3)
    assert sorted(places) == list(range(7))


def test_faces_of_nobody_known_have_no_place(tmp_path: Path) -> None:
    faces = read_records(written(tmp_path, [by_hand(1, PNGS[0], label=-1), by_hand(2, PNGS[1], label=0)]))
    with pytest.raises(InputError, match=r"1 of 2 crops are of nobody known.*labelled\(faces\)"):
        write_records(tmp_path / "new.rec", faces)
    write_records(tmp_path / "new.rec", labelled(faces))
    assert len(read_records(tmp_path / "new.rec")) == 1
