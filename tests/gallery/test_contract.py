"""Vectors of two contracts are never mixed, whichever engine keeps them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from vultus.errors import GalleryError, ShapeError
from vultus.gallery import DurableGallery
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def gallery(engine: Any) -> Iterator[DurableGallery]:
    """An empty gallery of each engine."""
    with engine.open(contract="contract-1", actor="tester") as made:
        yield made


def test_another_contract_is_refused_at_the_door(
    gallery: DurableGallery, faces: MakeFaces, engine: Any
) -> None:
    gallery.enrol("Anna", faces(1))
    with pytest.raises(GalleryError) as caught:
        engine.open(contract="contract-2")
    for part in (gallery.uri, "contract-1", "contract-2", "enrol the people anew"):
        assert part in str(caught.value)


def test_an_empty_gallery_takes_any_contract(gallery: DurableGallery, faces: MakeFaces, engine: Any) -> None:
    assert gallery.contract == "contract-1"
    with engine.open(contract="contract-2") as other:
        other.enrol("Anna", faces(1))
    with pytest.raises(GalleryError, match="contract-2"):
        gallery.enrol("Berta", faces(1))
    with pytest.raises(GalleryError, match="contract-2"):
        gallery.search(np.stack([face.embedding for face in faces(1)]))
    assert gallery.contract == "contract-2"


def test_an_emptied_gallery_takes_another_contract_and_dimension(
    gallery: DurableGallery, faces: MakeFaces, engine: Any
) -> None:
    gallery.remove(gallery.enrol("Anna", faces(1)).id)
    gallery.close()
    with engine.open(contract="contract-2") as other:
        other.enrol("Berta", faces(1, dimension=32))
        assert other.contract == "contract-2"


def test_without_any_contract_nobody_can_be_enrolled(engine: Any, faces: MakeFaces) -> None:
    with engine.open() as gallery:
        assert gallery.contract == ""
        with pytest.raises(GalleryError, match=r"contract=embedder\.contract"):
            gallery.enrol("Anna", faces(1))
        assert gallery.people() == []


def test_whoever_names_no_contract_takes_the_one_that_is_there(
    gallery: DurableGallery, faces: MakeFaces, engine: Any
) -> None:
    gallery.enrol("Anna", faces(1))
    with engine.open() as other:
        assert other.contract == "contract-1"
        other.enrol("Berta", faces(1, seed=2))
    assert len(gallery.people()) == 2


def test_whoever_has_read_one_contract_does_not_go_on_with_another(
    gallery: DurableGallery, faces: MakeFaces, engine: Any
) -> None:
    anna = gallery.enrol("Anna", faces(1))
    probes = np.stack([face.embedding for face in faces(1)])
    with engine.open() as follower:
        assert follower.search(probes)[0][0].name == "Anna"
        gallery.remove(anna.id)
        with engine.open(contract="contract-2") as other:
            other.enrol("Anna", faces(1))
        with pytest.raises(GalleryError, match=r"contract-2.*contract-1"):
            follower.search(probes)


def test_another_dimension_is_refused(gallery: DurableGallery, faces: MakeFaces) -> None:
    gallery.enrol("Anna", faces(1))
    with pytest.raises(ShapeError, match="16 dimensions, like those in the gallery, got 8"):
        gallery.enrol("Berta", faces(1, dimension=8))
    with pytest.raises(ShapeError, match="16 dimensions"):
        gallery.search(np.stack([face.embedding for face in faces(1, dimension=8)]))
