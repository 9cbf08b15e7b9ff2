"""What belongs to the gallery rather than to a person: kept, sealed, checked, salvaged."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery, salvage
from vultus.types import Calibration, Interval, Template, ThresholdRates

MakeFaces = Callable[..., list[Template]]

CALIBRATION = Calibration(
    "contract-1",
    (ThresholdRates(0.4, 1e-3, Interval(5e-4, 2e-3), 0.01, 10, 10_000, 100),),
    fmr=1e-3,
    fpir=1e-2,
    about={"data": "photos of staff"},
)


def test_a_calibration_is_kept_with_the_gallery(gallery: SqliteGallery, path: Path) -> None:
    assert gallery.calibration() is None
    gallery.set_calibration(CALIBRATION)
    gallery.set_calibration(replace(CALIBRATION, fpir=1e-3))
    gallery.close()
    with SqliteGallery(path, contract="contract-1") as again:
        assert again.calibration() == replace(CALIBRATION, fpir=1e-3)
        assert [entry.action for entry in again.audit()] == ["set_calibration"] * 2


def test_it_is_given_out_for_its_contract_only(gallery: SqliteGallery, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    gallery.set_calibration(replace(CALIBRATION, contract="contract-2"))
    assert gallery.calibration() is None
    gallery.set_calibration(CALIBRATION)
    assert gallery.calibration() == CALIBRATION


def test_one_without_a_contract_is_refused(gallery: SqliteGallery) -> None:
    with pytest.raises(InputError, match="contract"):
        gallery.set_calibration(replace(CALIBRATION, contract=""))


def test_a_changed_one_is_found_out(gallery: SqliteGallery, path: Path, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    gallery.set_calibration(CALIBRATION)
    gallery.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE settings SET value = replace(value, '0.001', '0.1')")
    with SqliteGallery(path) as broken:
        with pytest.raises(GalleryError, match="setting 'calibration/contract-1'"):
            broken.calibration()
        assert [damage.what for damage in broken.check().damaged] == ["the setting 'calibration/contract-1'"]


def test_salvage_takes_it_along(gallery: SqliteGallery, path: Path, tmp_path: Path, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    gallery.set_calibration(CALIBRATION)
    gallery.close()
    assert salvage(path, tmp_path / "new.db").damaged == ()
    with SqliteGallery(tmp_path / "new.db") as copy:
        assert copy.calibration() == CALIBRATION


def test_templates_are_counted(gallery: SqliteGallery, faces: MakeFaces) -> None:
    assert gallery.template_count() == 0
    anna = gallery.enrol("Anna", faces(3))
    assert gallery.template_count() == 3
    gallery.remove(anna.id)
    assert gallery.template_count() == 0
