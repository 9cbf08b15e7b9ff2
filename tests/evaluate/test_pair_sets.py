"""Verification sets where they were unpacked."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.evaluate import PAIR_SETS, read_pair_set


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "file", "images"),
    [
        ("agedb-30", "agedb_30_pair.txt", "agedb30_align_112"),
        ("agedb-30", "agedb_30_pair.txt", "."),
        ("calfw", "pairs_CALFW.txt", "aligned images"),
        ("cplfw", "pairs_CPLFW.txt", "images"),
    ],
)
def test_a_set_is_found_where_it_was_unpacked(name: str, file: str, images: str, tmp_path: Path) -> None:
    blocks = [
        line.replace("x", str(fold)) for fold in range(10) for line in ("x.jpg y.jpg 1", "y.jpg x.jpg 0")
    ]
    two_lines = [f"{i}.jpg {int(i < 20)}" for i in range(40)]
    write(tmp_path / file, *(blocks if name == "agedb-30" else two_lines))
    (tmp_path / images).mkdir(exist_ok=True)
    found = read_pair_set(name, tmp_path)
    assert found.images == tmp_path / images
    with pytest.raises(InputError, match="images of the pairs are missing"):
        found.paths()
    for image in found.pairs.images:
        (found.images / image).touch()
    assert found.paths() == [found.images / image for image in found.pairs.images]


def test_the_development_set_is_laid_out_like_lfw(shared: Path) -> None:
    found = read_pair_set("lfw", shared / "data" / "lfw-dev")
    assert len(found.pairs) == 2000
    assert len(found.paths()) == len(found.pairs.images)


def test_an_unknown_set_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lfw, cfp-ff, cfp-fp, agedb-30, calfw, cplfw; got 'megaface'"):
        read_pair_set("megaface", tmp_path)
    with pytest.raises(InputError, match="no folder"):
        read_pair_set("lfw", tmp_path / "none")
    assert len(PAIR_SETS) == 6
