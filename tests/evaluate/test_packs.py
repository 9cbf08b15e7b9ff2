"""Verification packs: whatever wrote them is read; what asks for more than data is refused, unexecuted."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.errors import ImageError, InputError
from vultus.evaluate import read_pack, read_pairs, write_pack
from vultus.image import encode_png, load_image

IMAGES = [b"\xff\xd8 one", b"\xff\xd8 two", b"\x89PNG three", b"\xff\xd8 one"]
SAME = [True, False]


def packed(tmp_path: Path, content: Any, *, protocol: int = 4) -> Path:
    path = tmp_path / "set.bin"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


def test_a_pack_is_read_as_pairs_of_images_each_listed_once(tmp_path: Path) -> None:
    pack = read_pack(packed(tmp_path, (IMAGES, SAME)), folds=2)
    assert pack.encoded == tuple(IMAGES[:3])
    assert len(pack) == 3
    assert pack.pairs.left.tolist() == [0, 2]
    assert pack.pairs.right.tolist() == [1, 0]
    assert pack.pairs.is_genuine.tolist() == SAME
    assert pack.pairs.images == ("0", "1", "2")


def test_folds_are_runs_of_equal_length(tmp_path: Path) -> None:
    images = [str(i).encode() for i in range(120)]
    pack = read_pack(packed(tmp_path, (images, [True, False] * 30)))
    assert pack.pairs.fold.tolist() == [fold for fold in range(10) for _ in range(6)]


def short_string(data: bytes) -> bytes:
    return b"U" + bytes([len(data)]) + data


def test_a_pack_of_python_2_written_byte_by_byte_is_read(tmp_path: Path) -> None:
    """As cPickle wrote it with protocol 2: str of bytes, long and short, and one value used twice."""
    long_image = b"\xff\xd8" + bytes(range(256))
    program = b"".join([
        b"\x80\x02",  # protocol 2
        b"]q\x00(",  # a list, kept as 0; a mark
        short_string(b"\xff\xd8 one"), b"q\x01",  # kept as 1
        b"T", struct.pack("<i", len(long_image)), long_image, b"q\x02",
        short_string(b"two"), b"q\x03",
        b"h\x01",  # the value that was kept as 1
        b"e",  # append what is above the mark
        b"]q\x04(\x88\x89e",  # True, False
        b"\x86q\x05.",  # a tuple of two; stop
    ])  # fmt: skip
    pack = read_pack(packed(tmp_path, program), folds=2)
    assert pack.encoded == (b"\xff\xd8 one", long_image, b"two")
    assert pack.pairs.is_genuine.tolist() == SAME


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        [np.frombuffer(image, np.uint8) for image in IMAGES],
        [np.frombuffer(image, np.uint8).copy() for image in IMAGES],
        [np.frombuffer(image, np.uint8).copy().reshape(-1, 1) for image in IMAGES],  # OpenCV's encoder
    ],
    ids=["bytes", "read-only array", "array", "column"],
)
@pytest.mark.parametrize(
    "same",
    [SAME, tuple(SAME), [1, 0], [np.bool_(True), np.bool_(False)], np.array(SAME)],
    ids=["list", "tuple", "int", "numpy", "array"],
)
def test_bytes_and_truth_values_of_every_kind_are_read(
    images: Any, same: Any, protocol: int, tmp_path: Path
) -> None:
    pack = read_pack(packed(tmp_path, (images, same), protocol=protocol), folds=2)
    assert pack.encoded == tuple(IMAGES[:3])
    assert pack.pairs.is_genuine.tolist() == SAME


def test_byte_arrays_are_bytes(tmp_path: Path) -> None:
    images = [bytearray(image) for image in IMAGES]
    assert read_pack(packed(tmp_path, (images, SAME), protocol=5), folds=2).encoded == tuple(IMAGES[:3])


def test_what_is_written_is_read_by_us_and_by_everybody(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    encoded = encode_png(image)
    write_pack(tmp_path / "new.bin", [(encoded, IMAGES[0], True), (IMAGES[1], IMAGES[2], False)])
    pack = read_pack(tmp_path / "new.bin", folds=2)
    assert pack.encoded == (encoded, *IMAGES[:3])
    np.testing.assert_array_equal(pack.crop(0), image)
    with (tmp_path / "new.bin").open("rb") as stream:
        images, same = pickle.load(stream, encoding="bytes")  # what InsightFace's loader does
    assert images == [encoded, *IMAGES[:3]]
    assert same == SAME


def test_a_pack_of_real_photos_gives_the_protocol_back(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "lfw-dev"
    listed = read_pairs(folder / "pairs.txt")
    paths = listed.find_images(folder / "images")
    write_pack(
        tmp_path / "lfw-dev.bin",
        (
            (paths[left].read_bytes(), paths[right].read_bytes(), bool(same))
            for left, right, same in zip(listed.left, listed.right, listed.is_genuine, strict=True)
        ),
    )
    pack = read_pack(tmp_path / "lfw-dev.bin")
    assert len(pack) == len(paths)
    for name in ("left", "right", "is_genuine", "fold"):
        np.testing.assert_array_equal(getattr(pack.pairs, name), getattr(listed, name))
    np.testing.assert_array_equal(pack.crop(7), load_image(paths[7]))


def test_an_image_that_is_none_is_named_by_its_number(tmp_path: Path) -> None:
    pack = read_pack(packed(tmp_path, (IMAGES, SAME)), folds=2)
    with pytest.raises(ImageError, match=r"image 2 of .*set\.bin"):
        pack.crop(2)


class Hostile:
    """Pickles as the call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def touch(path: Path) -> Hostile:
    return Hostile(exec, f"open({str(path)!r}, 'w').close()")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("where", ["whole", "images", "image", "flags", "flag", "array"])
def test_a_pack_that_would_run_code_is_refused_and_does_not(
    where: str, protocol: int, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    hostile: Any = touch(victim)
    content = {
        "whole": hostile,
        "images": (hostile, SAME),
        "image": ([hostile, *IMAGES[1:]], SAME),
        "flags": (IMAGES, hostile),
        "flag": (IMAGES, [hostile, False]),
        "array": (IMAGES, np.array([hostile, False], dtype=object)),
    }[where]
    path = packed(tmp_path, content, protocol=protocol)
    with pytest.raises(InputError, match=r"set\.bin is no verification pack"):
        read_pack(path, folds=2)
    assert not victim.exists()
    pickle.loads(path.read_bytes())
    assert victim.exists()  # so the test would have noticed


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "pair of lists"),
        (b"(]cposix\nsystem\n(S'true'\ntR]t.", "pair of lists"),
        (b"(]cbuiltins\neval\n(V1\ntRa](I01\net.", r"a call of builtins\.eval"),
        (b"(]c__builtin__\ngetattr\n)Ra](I01\net.", r"a call of __builtin__\.getattr"),
        (b"(]cnumpy.core.multiarray\n_reconstruct\n)R(I1\n)cnumpy\nx\nI0\nS'x'\ntba](I01\net.", "type u1"),
        (
            b"(]cnumpy.evil\n_reconstruct\n)R(I1\n(I1\ntcnumpy\ndtype\n(S'u1'\ntRI0\nS'x'\ntba](I01\net.",
            r"a call of numpy\.evil",
        ),
        (
            b"(]cevil.numpy\n_frombuffer\n(S'x'\ncnumpy\ndtype\n(S'u1'\ntR(I1\ntS'C'\ntRa](I01\net.",
            r"a call of evil\.numpy",
        ),
        (b"(](S'x'\ne](cevil\nscalar\n(cnumpy\ndtype\n(S'b1'\ntRS'x'\ntRet.", r"a call of evil\.scalar"),
        (b"(]cnumpy.load\nload\n(S'x'\ntRa](I01\net.", r"a call of numpy\.load"),
        (b"(]cnumpy\nload\n(S'x'\ntRa](I01\net.", r"a call of numpy\.load"),
        (b"(]c_codecs\nencode\n(V1\nS'rot13'\ntRa](I01\net.", r"a call of _codecs\.encode"),
        (b"(ios\nsystem\nS'true'\n.", "the instruction INST"),
        (b"(cos\nsystem\nS'true'\no.", "the instruction OBJ"),
        (b"Pos.system\n.", "the instruction PERSID"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1"),
        (b"\x80\x02cos\nsystem\n)\x81.", "the instruction NEWOBJ"),
        (b"\x80\x04}(\x8c\x01aK\x01u.", "the instruction EMPTY_DICT"),
        (b"](I1\nub.", "the instruction SETITEMS"),
        (b"])b.", "restore the state of something"),
        (b")I1\na.", "append to something"),
        (b"\x85.", "more values than there are"),
        (b"\x80\x04]\x93.", "damaged"),
        (b"e.", "damaged"),
        (b"h\x05.", "damaged"),
        (b"cos\nsystem", "damaged"),
        (b"\x80\x02U\xffabc", "damaged"),
        (b"X\xff\xff\xff\x7fabc", "damaged"),
        (b"\x8e" + b"\xff" * 8 + b"abc", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"", "damaged"),
        (b".", "damaged"),
    ],
)  # fmt: skip
def test_odd_programs_are_refused_with_a_reason(program: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_pack(packed(tmp_path, program), folds=2)


def test_a_memo_of_two_billion_places_takes_no_memory(tmp_path: Path) -> None:
    program = b"]r\xff\xff\xff\x7f."  # LONG_BINPUT 2147483647: CPython's own machine makes room for them all
    with pytest.raises(InputError, match="pair of lists"):
        read_pack(packed(tmp_path, program))


def test_a_thousandfold_nested_call_is_no_deep_recursion(tmp_path: Path) -> None:
    nested = b"(]c_codecs\nencode\n" + b")R" * 5000 + b"a](I01\net."
    with pytest.raises(InputError, match="expected bytes"):
        read_pack(packed(tmp_path, nested), folds=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((IMAGES, [True]), "4 images for 1 pairs"),
        ((IMAGES[:2], [True]), "at least a pair for each of 2 folds"),
        (([], []), "0 images for 0 pairs"),
        ((IMAGES, SAME, SAME), "pair of lists"),
        ((IMAGES, [True, 2]), "expected True or False, got int"),
        ((IMAGES, [True, None]), "expected True or False, got NoneType"),
        ((["text", *IMAGES[1:]], SAME), "expected bytes, got str"),
        (([np.zeros((4, 4), np.uint8), *IMAGES[1:]], SAME), "an array in one row"),
        (([np.zeros(4, np.float32), *IMAGES[1:]], SAME), "an array of type u1"),
        ((IMAGES, np.array([1.0, 0.0])), "an array of type b1"),
    ],
)
def test_lists_that_do_not_fit_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_pack(packed(tmp_path, content), folds=2)


def test_a_missing_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the verification pack .*none\.bin"):
        read_pack(tmp_path / "none.bin")
