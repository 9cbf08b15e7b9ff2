"""Whoever forged or broke an archive: an import brings in nothing, and says why."""

import json
import random
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.errors import GalleryError
from vultus.gallery import SqliteGallery

Members = dict[str, bytes]


def contents(gallery: SqliteGallery) -> list[tuple[object, list[tuple[bytes, bytes | None, float, str]]]]:
    return [
        (
            person,
            [
                (
                    one.embedding.tobytes(),
                    None if one.crop is None else one.crop.tobytes(),
                    one.quality,
                    one.source,
                )
                for one in gallery.templates(person.id)
            ],
        )
        for person in gallery.people()
    ]


def read(archive: Path) -> Members:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write(path: Path, members: Members, *, seal: bool = True, compression: int = zipfile.ZIP_STORED) -> None:
    """Write an archive; `seal` puts the right digests of its lists into the manifest."""
    if seal:
        manifest = json.loads(members["manifest.json"])
        manifest["sha256"] = {name: sha256(members[name]).hexdigest() for name in manifest["sha256"]}
        members = members | {"manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", compression) as opened:
        for name, data in members.items():
            opened.writestr(name, data)


def edit_line(member: str, line: int, /, **changes: object) -> Callable[[Members], Members]:
    """A forger who changes a line of a list."""

    def forge(members: Members) -> Members:
        lines = [json.loads(one) for one in members[member].splitlines()]
        lines[line] |= changes
        return members | {member: "".join(json.dumps(one) + "\n" for one in lines).encode()}

    return forge


def edit_manifest(**changes: object) -> Callable[[Members], Members]:
    """A forger who changes the manifest."""

    def forge(members: Members) -> Members:
        manifest = json.loads(members["manifest.json"]) | changes
        return members | {"manifest.json": json.dumps(manifest).encode()}

    return forge


def edit_vectors(change: Callable[[Any], Any]) -> Callable[[Members], Members]:
    """A forger who changes the matrix."""

    def forge(members: Members) -> Members:
        stream = BytesIO()
        np.save(stream, change(np.load(BytesIO(members["vectors.npy"]))), allow_pickle=True)
        return members | {"vectors.npy": stream.getvalue()}

    return forge


def huge_header(members: Members) -> Members:
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**20)}
    )
    return members | {"vectors.npy": stream.getvalue()}


FORGERIES: Mapping[str, Callable[[Members], Members]] = {
    "another format": edit_manifest(format="photos"),
    "a later version": edit_manifest(version=2),
    "no contract": edit_manifest(contract=None),
    "an empty contract": edit_manifest(contract=""),
    "a manifest that is a list": lambda m: m | {"manifest.json": b"[]"},
    "a manifest that is no JSON": lambda m: m | {"manifest.json": b"{"},
    "a manifest that is a tower": lambda m: m | {"manifest.json": b"[" * 100_000},
    "another dimension": edit_manifest(dimension=8),
    "a dimension that is text": edit_manifest(dimension="16"),
    "a missing crop": lambda m: {name: data for name, data in m.items() if name != "crops/00000001.png"},
    "a missing list": lambda m: {name: data for name, data in m.items() if name != "people.jsonl"},
    "one member too many": lambda m: m | {"readme.txt": b"hello"},
    "a path that climbs": lambda m: m | {"../../evil.sh": b"#!/bin/sh"},
    "an absolute path": lambda m: m | {"/etc/cron.d/evil": b"* * * * * root sh"},
    "another crop": lambda m: m | {"crops/00000000.png": m["crops/00000001.png"]},
    "a crop that is no picture": lambda m: edit_line(
        "templates.jsonl", 0, crop=sha256(b"no picture").hexdigest()
    )(m | {"crops/00000000.png": b"no picture"}),
    "an id that is none": edit_line("people.jsonl", 0, id="../1"),
    "an id that is a number": edit_line("people.jsonl", 0, id=7),
    "one id twice": lambda m: (
        m | {"people.jsonl": m["people.jsonl"] + m["people.jsonl"].splitlines()[0] + b"\n"}
    ),
    "one name twice": edit_line("people.jsonl", 1, name="ANNA"),
    "an empty name": edit_line("people.jsonl", 0, name=" "),
    "a name with a control character": edit_line("people.jsonl", 0, name="a\x1b[2Jb"),
    "a name that is a list": edit_line("people.jsonl", 0, name=["Anna"]),
    "metadata that is a list": edit_line("people.jsonl", 0, metadata=[1]),
    "a time that is none": edit_line("people.jsonl", 0, created="yesterday"),
    "a person that is a number": lambda m: m | {"people.jsonl": b"7\n"},
    "a template of nobody": edit_line("templates.jsonl", 2, person="0" * 32),
    "a template of a list": edit_line("templates.jsonl", 2, person=[]),
    "a quality of 7": edit_line("templates.jsonl", 0, quality=7),
    "a quality that is text": edit_line("templates.jsonl", 0, quality="good"),
    "a quality that is not a number": edit_line("templates.jsonl", 0, quality=float("nan")),
    "a source that is a number": edit_line("templates.jsonl", 0, source=7),
    "a source without end": edit_line("templates.jsonl", 0, source="x" * 5000),
    "a template's time that is none": edit_line("templates.jsonl", 0, created=None),
    "fewer vectors": edit_vectors(lambda vectors: vectors[:2]),
    "longer vectors": edit_vectors(lambda vectors: vectors * 2),
    "vectors that are not numbers": edit_vectors(lambda vectors: vectors * np.float32("nan")),
    "doubles": edit_vectors(lambda vectors: vectors.astype(np.float64)),
    "big-endian vectors": edit_vectors(lambda vectors: vectors.astype(">f4")),
    "pickled vectors": edit_vectors(lambda vectors: np.array([{"a": 1}], dtype=object)),
    "a matrix without end": huge_header,
    "a matrix that is text": lambda m: m | {"vectors.npy": b"no matrix"},
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_archive_changes_nothing(
    archive: Path, other: SqliteGallery, forge: Callable[[Members], Members]
) -> None:
    forged = forge(read(archive))
    try:
        write(archive, forged)
    except (KeyError, TypeError, ValueError, RecursionError):  # too broken a manifest to put digests in
        write(archive, forged, seal=False)
    with other:
        before, log = contents(other), other.audit()
        with pytest.raises(GalleryError, match=r"export\.zip"):
            other.import_from(archive)
        assert contents(other) == before
        assert other.audit() == log
        assert other.check().is_clean


@pytest.mark.parametrize("name", ["people.jsonl", "templates.jsonl", "vectors.npy", "crops/00000000.png"])
def test_every_member_is_verified(archive: Path, other: SqliteGallery, name: str) -> None:
    members = read(archive)
    members[name] = members[name].replace(members[name][-9:-8], b"\x01")
    write(archive, members, seal=False)
    with other, pytest.raises(GalleryError, match="SHA-256"):
        other.import_from(archive)


def test_compressed_members_are_refused_unread(archive: Path, other: SqliteGallery) -> None:
    write(archive, read(archive) | {"vectors.npy": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)
    assert archive.stat().st_size < 100_000
    with other, pytest.raises(GalleryError, match="stored, not compressed"):
        other.import_from(archive)


def test_members_that_lie_on_top_of_each_other_are_refused(archive: Path, other: SqliteGallery) -> None:
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("crops/big.png", bytes(100_000))
        big = opened.filelist[-1]
        for number in range(50):
            twin = zipfile.ZipInfo(f"crops/{number + 10:08d}.png")
            twin.header_offset, twin.CRC = big.header_offset, big.CRC
            twin.file_size = twin.compress_size = big.file_size
            opened.filelist.append(twin)
    with other, pytest.raises(GalleryError, match="overlap"):
        other.import_from(archive)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 1000, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(tmp_path: Path, gallery: SqliteGallery, content: bytes) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(content)
    for wrong in (path, tmp_path, tmp_path / "missing.zip"):
        with pytest.raises(GalleryError, match="it cannot be imported, nothing was changed"):
            gallery.import_from(wrong)


def test_a_truncated_archive_changes_nothing(archive: Path, other: SqliteGallery) -> None:
    content = archive.read_bytes()
    with other:
        before = contents(other)
        for length in range(0, len(content) - 1, 211):
            archive.write_bytes(content[:length])
            with pytest.raises(GalleryError):
                other.import_from(archive)
        assert contents(other) == before


def test_no_flipped_byte_brings_in_anything_else(
    gallery: SqliteGallery, archive: Path, other: SqliteGallery
) -> None:
    intact = archive.read_bytes()
    generator = random.Random(0)
    refused = 0
    with other:
        before = contents(other)
        for _ in range(300):
            content = bytearray(intact)
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            archive.write_bytes(content)
            try:
                other.import_from(archive)
            except GalleryError:
                refused += 1
                assert contents(other) == before
            else:  # a byte that means nothing, such as a date
                assert contents(other)[:2] == contents(gallery)
                for person in gallery.people():
                    other.remove(person.id)
    assert refused > 200
