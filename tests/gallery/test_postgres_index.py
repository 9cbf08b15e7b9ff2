"""The approximate index: used where it is, measured when it is built, gone when it does not fit."""

import threading
import uuid
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest

from vultus.errors import GalleryError, InputError
from vultus.gallery.postgres import PostgresGallery
from vultus.gallery.postgres_index import PROBE_SIMILARITY
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def uri(postgres: str) -> str:
    """The address of a gallery that nobody else uses."""
    return f"{postgres}{'&' if '?' in postgres else '?'}gallery={uuid.uuid4().hex}"


@pytest.fixture
def crowd(uri: str, faces: MakeFaces) -> Iterator[PostgresGallery]:
    """Forty people with ten templates of 32 dimensions each."""
    with PostgresGallery(uri, contract="c") as gallery:
        for seed in range(40):
            gallery.enrol(f"person {seed:02}", faces(10, seed=seed, dimension=32, crops=False))
        yield gallery


def probes_of(faces: MakeFaces) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.stack([faces(10, seed=seed, dimension=32, crops=False)[3].embedding for seed in range(40)])


def test_a_search_uses_the_index_and_answers_the_same(
    crowd: PostgresGallery, faces: MakeFaces, postgres: str
) -> None:
    probes = probes_of(faces)
    exact = crowd.search(probes)
    assert crowd.stats().index == "none: every template is compared"
    built = crowd.build_index(m=8, ef_construction=32, ef_search=40)
    assert built.recall >= 0.99
    assert (built.m, built.ef_construction, built.probes, built.templates) == (8, 32, 400, 400)
    assert built.ef_search % 40 == 0
    assert crowd.stats().index == str(built)
    assert "recall at rank 1 " in str(built)
    with crowd._server.reading() as rows:
        rows.nearest(probes[0], 64, exact=False)
        before = scans(rows.connection)
        rows.nearest(probes[0], 64, exact=True)
        assert scans(rows.connection) == before, "an exact search does not use it"
        rows.nearest(probes[0], 64, exact=False)
        assert scans(rows.connection) > before
    approximate = crowd.search(probes)
    agreeing = [a[0] == b[0] for a, b in zip(approximate, exact, strict=True)]
    assert sum(agreeing) >= 39
    assert crowd.search(probes, exact=True) == exact
    assert crowd.search(probes, aggregate="mean") == crowd.search(probes, aggregate="mean", exact=True)


def scans(connection: psycopg.Connection) -> int:
    """How often this transaction has used approximate indexes."""
    row = connection.execute(
        "SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_stat_user_indexes "
        "WHERE indexrelname LIKE 'templates_hnsw_%'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_whoever_is_enrolled_later_is_in_the_index(crowd: PostgresGallery, faces: MakeFaces) -> None:
    crowd.build_index()
    (late,) = faces(1, seed=999, dimension=32)
    person = crowd.enrol("Zoe", [late])
    assert crowd.search(late.embedding[np.newaxis], top_k=1)[0][0].id == person.id
    crowd.remove(person.id)
    assert crowd.search(late.embedding[np.newaxis], top_k=1)[0][0].id != person.id


def test_an_index_answers_as_many_people_as_there_are(crowd: PostgresGallery, faces: MakeFaces) -> None:
    crowd.build_index(ef_search=10, min_recall=0.0)
    (answer,) = crowd.search(probes_of(faces)[:1], top_k=40)
    assert len({one.id for one in answer}) == 40


def test_an_index_that_finds_too_few_is_not_used(crowd: PostgresGallery, faces: MakeFaces) -> None:
    probes = probes_of(faces)
    exact = crowd.search(probes)
    crowd.build_index()
    found = crowd.build_index(m=4, ef_construction=8, ef_search=1, min_recall=0.0)
    assert found.ef_search == 1
    assert found.recall < 0.9, "otherwise the next lines test nothing"
    raised = crowd.build_index(m=4, ef_construction=8, ef_search=1, min_recall=0.9)
    assert raised.ef_search > 1
    assert raised.recall >= 0.9
    try:
        best = crowd.build_index(m=2, ef_construction=4, ef_search=1, min_recall=1.0)
    except GalleryError as error:
        assert "dropped, searches stay exact" in str(error)  # noqa: PT017 (graphs differ; either is right)
        assert crowd.stats().index == "none: every template is compared"
    else:
        assert best.recall == 1.0
    crowd.drop_index()
    assert crowd.stats().index == "none: every template is compared"
    assert crowd.search(probes) == exact


def test_more_candidates_than_pgvector_takes_are_found_by_scanning_on(
    crowd: PostgresGallery, faces: MakeFaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = probes_of(faces)
    monkeypatch.setattr("vultus.gallery.postgres_rows.SCAN_CANDIDATES", 1)
    few = crowd.build_index(m=4, ef_construction=8, ef_search=1, min_recall=0.0)
    assert few.recall < 0.9, "otherwise the next lines test nothing"
    many = crowd.build_index(m=4, ef_construction=8, ef_search=200, min_recall=0.0)
    assert many.recall > 0.98
    agreeing = [
        a[0] == b[0] for a, b in zip(crowd.search(probes), crowd.search(probes, exact=True), strict=True)
    ]
    assert sum(agreeing) >= 39
    with crowd._server.reading() as rows:
        for probe in probes:
            near = [one.similarity for one in rows.nearest(probe, 20, exact=False)]
            assert len(near) == 20
            assert near == sorted(near, reverse=True)


def test_an_index_goes_with_the_vectors_it_was_built_for(
    crowd: PostgresGallery, faces: MakeFaces, uri: str
) -> None:
    crowd.build_index()
    for person in crowd.people():
        crowd.remove(person.id)
    with PostgresGallery(uri, contract="other") as other:
        other.enrol("Anna", faces(1, dimension=16))
        assert other.stats().index == "none: every template is compared"
        assert other.search(faces(1, dimension=16)[0].embedding[np.newaxis])[0][0].name == "Anna"


def test_an_empty_gallery_has_no_index(uri: str) -> None:
    with PostgresGallery(uri, contract="c") as gallery, pytest.raises(GalleryError, match="it is empty"):
        gallery.build_index()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"m": 1}, "m must lie in 2..100"),
        ({"m": 20, "ef_construction": 39}, "ef_construction must lie in 40..1000"),
        ({"ef_search": 8001}, "ef_search must lie in 1..8000"),
        ({"min_recall": 1.1}, r"min_recall must lie in 0..1"),
    ],
)
def test_settings_that_pgvector_does_not_know_are_refused(
    crowd: PostgresGallery, settings: dict[str, int], message: str
) -> None:
    built = crowd.build_index()
    with pytest.raises(InputError, match=message):
        crowd.build_index(**settings)
    assert crowd.stats().index == str(built), "the index that was there stays"


def test_indexes_that_are_built_at_the_same_time_wait_for_each_other(
    crowd: PostgresGallery, uri: str, faces: MakeFaces
) -> None:
    with PostgresGallery(f"{uri}-other", contract="c") as other:
        other.enrol("Anna", faces(20, dimension=32))
        start, built = threading.Barrier(2), []

        def work(gallery: PostgresGallery) -> None:
            start.wait(timeout=60)
            built.append(gallery.build_index(m=8, ef_construction=32).templates)

        threads = [threading.Thread(target=work, args=(gallery,)) for gallery in (crowd, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(built) == [20, 400]


def test_probes_are_as_close_as_another_photo() -> None:
    assert 0.4 < PROBE_SIMILARITY < 0.8
