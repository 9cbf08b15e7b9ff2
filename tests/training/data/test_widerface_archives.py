"""The four archives of WIDER FACE are told apart, and each hash could be one."""

import re

from vultus.training.data.widerface_archives import ARCHIVES, Part


def test_every_part_has_an_archive_of_its_own() -> None:
    assert set(ARCHIVES) == set(Part)
    archives = list(ARCHIVES.values())
    for field in ("name", "url", "sha256", "folder", "n_bytes"):
        assert len({getattr(archive, field) for archive in archives}) == len(archives)


def test_an_archive_is_described_in_full() -> None:
    assert ARCHIVES
    for archive in ARCHIVES.values():
        assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
        assert archive.url.endswith(f"/{archive.name}")
        assert archive.n_files > 0


def test_the_image_counts_are_those_of_the_benchmark() -> None:
    assert (ARCHIVES[Part.TRAIN].n_files, ARCHIVES[Part.VAL].n_files) == (12_880, 3_226)
