"""RecordIO: files written by hand to the published layout, round trips, and every kind of damage."""

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.training.data.record import MAGIC, ImageRecord, RecordFile, RecordWriter, pack, unpack

# One record, byte by byte: magic; kind 0 and length 24 + 5; flag 0, label 3.0, id 7, id2 0; "hello"; padding.
BY_HAND = bytes.fromhex(
    "0a23d7ce" "1d000000"
    "00000000" "00004040" "0700000000000000" "0000000000000000"
    "68656c6c6f" "000000"
)  # fmt: skip
# The same with two labels, 3.0 and 0.5, which follow the header: flag 2, and no label in the header.
TWO_LABELS = bytes.fromhex(
    "0a23d7ce" "25000000"
    "02000000" "00000000" "0800000000000000" "0000000000000000" "00004040" "0000003f"
    "68656c6c6f" "000000"
)  # fmt: skip
# "abcd" + magic + "efgh" + magic + "ij" behind the header, in three parts; the magic numbers are left out.
IN_PARTS = bytes.fromhex(
    "0a23d7ce" "1c000020" "00000000" "00000040" "0900000000000000" "0000000000000000" "61626364"
    "0a23d7ce" "04000040" "65666768"
    "0a23d7ce" "02000060" "696a" "0000"
)  # fmt: skip
HEAD = 8


def written(tmp_path: Path, data: bytes, index: str | None = None) -> RecordFile:
    path = tmp_path / "train.rec"
    path.write_bytes(data)
    if index is None:
        return RecordFile(path, index=None)
    (tmp_path / "train.idx").write_text(index, encoding="ascii")
    return RecordFile(path, index=tmp_path / "train.idx")


@pytest.mark.parametrize("index", [None, "7\t0\n8\t40\n9\t88\n", "9\t88\n7\t0\n8\t40\n"])
def test_records_written_by_hand_are_read(tmp_path: Path, index: str | None) -> None:
    assert [len(BY_HAND), len(TWO_LABELS)] == [40, 48]
    records = written(tmp_path, BY_HAND + TWO_LABELS + IN_PARTS, index)
    assert records.keys.tolist() == [7, 8, 9]
    assert records.read(7) == ImageRecord(7, (3.0,), b"hello")
    assert records.read(8) == ImageRecord(8, (3.0, 0.5), b"hello", has_label_list=True)
    assert records.read(9) == ImageRecord(9, (2.0,), b"abcd" + MAGIC + b"efgh" + MAGIC + b"ij")


def test_what_is_written_is_what_stands_there_by_hand(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "new.rec") as writer:
        writer.write(ImageRecord(7, (3.0,), b"hello"))
        writer.write(ImageRecord(8, (3.0, 0.5), b"hello", has_label_list=True))
        writer.write(ImageRecord(9, (2.0,), b"abcd" + MAGIC + b"efgh" + MAGIC + b"ij"))
    assert (tmp_path / "new.rec").read_bytes() == BY_HAND + TWO_LABELS + IN_PARTS
    assert (tmp_path / "new.idx").read_text(encoding="ascii") == "7\t0\n8\t40\n9\t88\n"


def test_labels_of_a_record_without_an_image_may_be_float64() -> None:
    header = struct.pack("<IfQQ", 2, 0.0, 0, 0)
    assert unpack(header + struct.pack("<2d", 2**24 + 1, 3)).labels == (16777217.0, 3.0)
    assert unpack(header + struct.pack("<2f", 5, 3)).labels == (5.0, 3.0)


# Bytes in which the magic number is not rare, at every alignment.
PIECES = st.lists(st.one_of(st.just(MAGIC), st.binary(max_size=6)), max_size=8).map(b"".join)


@given(images=st.lists(PIECES, min_size=1, max_size=4), several=st.booleans())
def test_whatever_is_written_is_read(
    images: list[bytes], several: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    labels = (4.0, -1.0) if several else (4.0,)
    # Labels of a record without an image may pass for float64 ones if the image has just their length.
    images = [image + b"." if several and len(image) == 8 else image for image in images]
    wanted = [ImageRecord(key, labels, image, several) for key, image in enumerate(images)]
    path = tmp_path_factory.mktemp("records") / "train.rec"
    with RecordWriter(path) as writer:
        for record in wanted:
            writer.write(record)
    for index in (None, path.with_suffix(".idx")):
        records = RecordFile(path, index=index)
        assert [records.read(key) for key in range(len(wanted))] == wanted
    words = path.read_bytes()
    starts = [place for place in range(0, len(words), 4) if words[place : place + 4] == MAGIC]
    assert len(starts) == sum(
        len(list(parts_of(pack(record)))) for record in wanted
    )  # the magic is nowhere else


def parts_of(data: bytes) -> list[bytes]:
    """Cut at aligned magic numbers, the slow way."""
    parts, place = [b""], 0
    while place < len(data):
        if place % 4 == 0 and data[place : place + 4] == MAGIC:
            parts.append(b"")
            place += 4
        else:
            parts[-1] += data[place : place + 1]
            place += 1
    return parts


def write_two_of_which_one_fails(writer: RecordWriter) -> None:
    writer.write(ImageRecord(1, (0.0,), b"x"))
    writer.write(ImageRecord(2, (2.0**24 + 1,), b"x"))


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"record 2: float32 does not hold the labels \(16777217"),
        RecordWriter(tmp_path / "new.rec") as writer,
    ):
        write_two_of_which_one_fails(writer)
    assert list(tmp_path.iterdir()) == []


def test_records_are_read_by_several_threads(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "new.rec") as writer:
        for key in range(50):
            writer.write(ImageRecord(key, (float(key),), bytes([key]) * (100 + key)))
    records = RecordFile(tmp_path / "new.rec", index=tmp_path / "new.idx")
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda i: records.read(i % 50).image, range(500)))
    assert images == [bytes([i % 50]) * (100 + i % 50) for i in range(500)]


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    for label in (1.0, 2.0):
        with RecordWriter(tmp_path / "new.rec") as writer:
            writer.write(ImageRecord(0, (label,), bytes(int(label))))
        assert RecordFile(tmp_path / "new.rec", index=None).read(0).labels == (label,)


def changed(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "are empty: 0 bytes"),
        (b"\xff\xd8\xff\xe0 a photo", "byte 0: expected the magic number 0a23d7ce, got ffd8ffe0"),
        (BY_HAND[:4], "byte 0: expected the head of a record, got the end of 4 bytes"),
        (BY_HAND[:20], "byte 0: expected 29 bytes, got 12"),
        (BY_HAND[:-3], "byte 0: expected 29 bytes, got 29"),  # the padding is missing
        (BY_HAND + BY_HAND[:10], "byte 40: expected 29 bytes, got 2"),
        (BY_HAND + b"\0\0\0\0" + TWO_LABELS, "byte 40: expected the magic number"),
        (changed(BY_HAND, 4, b"\xff\xff\xff\x1f"), "byte 0: expected 536,870,911 bytes, got 32"),
        (changed(BY_HAND, 4, b"\x1d\0\0\xe0"), "byte 0: expected the first part, got kind 7"),
        (changed(BY_HAND, 4, b"\x1d\0\0\x40"), "byte 0: expected the first part, got kind 2"),
        (changed(IN_PARTS, HEAD + 28 + 4, b"\x04\0\0\x20"), "byte 36: expected the next part, got kind 1"),
        (IN_PARTS[:36], "byte 36: expected the head of a record, got the end of 36 bytes"),
        (changed(BY_HAND, 4, b"\x14\0\0\0")[:28], "record at byte 0: expected a header of 24 bytes, got 20"),
        (changed(TWO_LABELS, HEAD, b"\xff\xff\xff\xff"), "record at byte 0: expected 4294967295 labels"),
        (changed(TWO_LABELS, HEAD, b"\x04\0\0\0"), "record at byte 0: expected 4 labels, got 13 bytes"),
        (changed(BY_HAND, HEAD + 4, b"\0\0\xc0\x7f"), "record at byte 0: expected labels of at most"),  # NaN
        (
            changed(BY_HAND, HEAD + 4, b"\0\0\x80\x7f"),
            "record at byte 0: expected labels of at most",
        ),  # infinity
        (BY_HAND + BY_HAND, "several records of key 7; .* cannot be read without its .idx"),
    ],
)
def test_damage_is_told_with_the_byte(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        written(tmp_path, data)


@pytest.mark.parametrize(
    ("index", "key", "message"),
    [
        ("7\t0\n", 8, "has no record 8"),
        ("7\t0\n8\t44\n", 8, "byte 44: expected the magic number"),
        ("7\t0\n8\t41\n", 8, "byte 41: expected the head of a record"),
        ("7\t0\n8\t4000\n", 8, "byte 4,000: expected the head of a record, got the end of 88 bytes"),
        ("7\t0\n8\t-4\n", 8, "byte -4: expected the head"),
        ("7\t0\n7\t40\n", 7, r"train\.idx has several records of key 7"),
        ("7 zero\n", 7, "cannot read the list"),
        ("7\n", 7, "expected rows of 2 columns"),
        ("", 7, "expected rows of 2 columns, got 0"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, index: str, key: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        written(tmp_path, BY_HAND + TWO_LABELS, index).read(key)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the records .*none\.rec"):
        RecordFile(tmp_path / "none.rec", index=None)


def test_an_image_of_half_a_gigabyte_is_refused(tmp_path: Path) -> None:
    huge = ImageRecord(1, (0.0,), bytes(1 << 29))
    with RecordWriter(tmp_path / "new.rec") as writer, pytest.raises(InputError, match="got 536,870,912"):
        writer.write(huge)
