"""Files are moved out of the way and back, and never lost."""

from pathlib import Path

import pytest

from vultus.errors import InputError
from vultus.training.data.quarantine import MOVED, put_back, quarantine_of, take_out


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for name in ("Zoë/1.png", "Zoë/2.png", "Ann/1.png"):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_text(name, encoding="utf-8")
    return tmp_path / "faces"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_taken_out_can_be_put_back(faces: Path) -> None:
    before = {path: path.read_bytes() for path in faces.rglob("*.png")}
    place = quarantine_of(faces)
    assert place == faces.parent / "faces-quarantine"
    assert take_out(faces, [(faces / "Zoë" / "1.png", "mislabelled", "0.1, x")], quarantine=place) == 1
    assert names(faces) == {"Zoë/2.png", "Ann/1.png"}
    assert names(place) == {MOVED, "Zoë/1.png"}
    assert '"0.1, x"' in (place / MOVED).read_text("utf-8")
    take_out(faces, [(faces / "Ann" / "1.png", "same bytes", "")], quarantine=place)
    assert put_back(faces, quarantine=place) == 2
    assert {path: path.read_bytes() for path in faces.rglob("*.png")} == before
    assert not place.exists()


def test_a_run_that_was_killed_before_a_move_loses_nothing(faces: Path) -> None:
    place = quarantine_of(faces)
    take_out(faces, [(faces / "Zoë" / "1.png", "mislabelled", "")], quarantine=place)
    with (place / MOVED).open("a", encoding="utf-8") as stream:
        stream.write("Ann/1.png,mislabelled,\n")
    assert put_back(faces, quarantine=place) == 1
    assert names(faces) == {"Zoë/1.png", "Zoë/2.png", "Ann/1.png"}


def test_nothing_is_overwritten(faces: Path) -> None:
    place = quarantine_of(faces)
    file = faces / "Zoë" / "1.png"
    take_out(faces, [(file, "mislabelled", "")], quarantine=place)
    file.write_text("another", encoding="utf-8")
    with pytest.raises(InputError, match="is there again"):
        put_back(faces, quarantine=place)
    with pytest.raises(InputError, match="is there already"):
        take_out(faces, [(file, "mislabelled", "")], quarantine=place)
    assert file.read_text("utf-8") == "another"
    assert (place / "Zoë" / "1.png").read_text("utf-8") == "Zoë/1.png"


def test_a_list_cannot_lead_out_of_the_folder(faces: Path) -> None:
    place = quarantine_of(faces)
    place.mkdir()
    (place / MOVED).write_text("file,kind,note\n../../x.png,mislabelled,\n", encoding="utf-8")
    with pytest.raises(InputError, match="not below"):
        put_back(faces, quarantine=place)


def test_a_quarantine_is_no_person(faces: Path) -> None:
    with pytest.raises(InputError, match="taken for a person"):
        take_out(faces, [], quarantine=faces / "quarantine")
    with pytest.raises(InputError, match="nothing to put back"):
        put_back(faces, quarantine=faces.parent / "none")
