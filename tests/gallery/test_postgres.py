"""What only a gallery in PostgreSQL promises: tenants, errors of the server, migrations, damage."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest

from vultus.errors import GalleryError, InputError, NotEnrolledError, ShapeError
from vultus.gallery import open_gallery
from vultus.gallery.postgres import PostgresGallery
from vultus.gallery.postgres_schema import VERSION, check_server
from vultus.gallery.postgres_server import Address
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


@pytest.fixture
def uri(postgres: str) -> str:
    """The address of a gallery that nobody else uses."""
    return with_option(postgres, f"gallery={uuid.uuid4().hex}")


def with_option(uri: str, option: str) -> str:
    return f"{uri}{'&' if '?' in uri else '?'}{option}"


@pytest.fixture
def gallery(uri: str) -> Iterator[PostgresGallery]:
    with PostgresGallery(uri, contract="contract-1", actor="tester") as made:
        yield made


def probe(template: Template) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return template.embedding[np.newaxis]


def test_galleries_of_one_database_see_nothing_of_each_other(
    gallery: PostgresGallery, uri: str, faces: MakeFaces
) -> None:
    mine, theirs = faces(2, seed=1), faces(2, seed=2)
    anna = gallery.enrol("Anna", mine)
    with PostgresGallery(f"{uri}-other", contract="contract-2", actor="neighbour") as other:
        assert other.people() == []
        assert other.search(probe(mine[0])) == [()]
        same_name = other.enrol("Anna", theirs)
        assert same_name.id != anna.id
        assert [one.id for one in other.search(probe(mine[0]))[0]] == [same_name.id]
        assert [one.id for one in gallery.search(probe(theirs[0]))[0]] == [anna.id]
        for change in (
            lambda: other.remove(anna.id),
            lambda: other.rename(anna.id, "Berta"),
            lambda: other.find(anna.id),
            lambda: other.templates(anna.id),
            lambda: other.remove_template(same_name.id, gallery.template_ids(anna.id)[0]),
        ):
            with pytest.raises(NotEnrolledError):
                change()
        assert {entry.actor for entry in other.audit()} == {"neighbour"}
        assert (gallery.contract, other.contract) == ("contract-1", "contract-2")
        other.remove(same_name.id)
        assert other.stats().templates == other.template_count() == 0
    assert gallery.people() == [anna]
    assert gallery.stats().templates == gallery.template_count() == 2
    assert gallery.check().is_clean


@pytest.mark.parametrize(
    ("uri", "gallery", "where"),
    [
        ("postgresql://u:secret@h:7/d?gallery=a%20b", "a b", "postgresql://h:7/d?gallery=a b"),
        (
            "postgresql:///d?host=/run/p&password=secret",
            "default",
            "postgresql:///run/p:5432/d?gallery=default",
        ),
        ("postgres://h", "default", "postgresql://h:5432/?gallery=default"),
    ],
)
def test_an_address_is_shown_without_its_password(uri: str, gallery: str, where: str) -> None:
    address = Address.parse(uri)
    assert (address.gallery, address.where) == (gallery, where)
    assert "gallery" not in address.conninfo
    assert ("secret" in address.conninfo) == ("secret" in uri)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InputError, match=r"nonsense.*expected postgresql://user@host:5432/database"):
        open_gallery("postgresql://h/d?nonsense=1")
    with pytest.raises(InputError, match=r"begins with postgresql:// or milvus://, got mysql://"):
        open_gallery("mysql://h/d")


def test_a_server_that_is_not_there_is_named_and_the_password_is_not() -> None:
    with pytest.raises(GalleryError, match=r"postgresql://127\.0\.0\.1:1/d.*cannot be reached") as caught:
        open_gallery("postgresql://somebody:secret@127.0.0.1:1/d")
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(postgres: str) -> None:
    with pytest.raises(GalleryError, match="no_such_database"):
        PostgresGallery(urlsplit(postgres)._replace(path="/no_such_database").geturl())


@pytest.mark.parametrize(
    ("server", "pgvector", "message"),
    [
        (140011, "0.8.0", "PostgreSQL 14, a gallery needs 15"),
        (170002, None, "lacks the extension pgvector.*postgresql-17-pgvector"),
        (170002, "0.7.4", "pgvector 0.7.4, a gallery needs 0.8.0.*ALTER EXTENSION vector UPDATE"),
        (170002, "0.10.0", None),
        (150000, "0.8.0", None),
    ],
)
def test_a_server_of_the_wrong_version_is_refused(
    server: int, pgvector: str | None, message: str | None
) -> None:
    if message is None:
        check_server(server, pgvector, where="there")
    else:
        with pytest.raises(GalleryError, match=message):
            check_server(server, pgvector, where="there")


def test_a_user_who_may_not_make_tables_is_told_so(database: str) -> None:
    role = f"visitor_{uuid.uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        address = with_option(database, f"user={role}&password=secret").replace("postgres:@", "")
        try:
            with pytest.raises(GalleryError, match=r"may not make the tables.*CREATE EXTENSION vector"):
                PostgresGallery(address)
        finally:
            connection.execute(f"DROP ROLE {role}")


def test_tables_are_made_once_however_many_come_first(database: str, faces: MakeFaces) -> None:
    start = threading.Barrier(6)
    names: list[str] = []

    def work(number: int) -> None:
        start.wait(timeout=60)
        with PostgresGallery(database, contract="c") as gallery:
            names.append(gallery.enrol(f"person {number}", faces(1, seed=number)).name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 6
    with PostgresGallery(database) as gallery:
        assert [person.name for person in gallery.people()] == sorted(names)
        assert gallery.stats().schema_version == VERSION
    with psycopg.connect(database) as connection:
        versions = connection.execute("SELECT version FROM vultus.schema_versions ORDER BY 1").fetchall()
    assert versions == [(number,) for number in range(1, VERSION + 1)]


def test_tables_of_a_newer_vultus_are_not_touched(database: str) -> None:
    with PostgresGallery(database):
        pass
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO vultus.schema_versions (version) VALUES (99)")
        with pytest.raises(
            GalleryError, match=r"schema version is 99, made by a newer Vultus.*upgrade Vultus"
        ):
            PostgresGallery(with_option(database, "gallery=new"))
        assert connection.execute("SELECT name FROM vultus.galleries").fetchall() == [("default",)]


def test_older_tables_are_not_upgraded_by_whoever_only_reads(database: str) -> None:
    with PostgresGallery(database):
        pass
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE vultus.schema_versions SET version = -version")
        with pytest.raises(GalleryError, match=r"schema version is -\d+, this Vultus reads"):
            PostgresGallery(database, read_only=True)
        connection.execute("UPDATE vultus.schema_versions SET version = -version")
    with PostgresGallery(database, read_only=True) as gallery:
        assert gallery.stats().schema_version == VERSION


def test_looking_makes_neither_tables_nor_a_gallery(
    database: str, gallery: PostgresGallery, uri: str
) -> None:
    for read_only, create in ((True, True), (False, False)):
        with pytest.raises(GalleryError, match="there is no gallery at"):
            PostgresGallery(database, read_only=read_only, create=create)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regnamespace('vultus')").fetchone() == (None,)
    for read_only, create in ((True, True), (False, False)):
        with pytest.raises(GalleryError, match="there is no gallery at"):
            PostgresGallery(f"{uri}-other", read_only=read_only, create=create)
    with PostgresGallery(uri, create=False) as opened:
        assert opened.people() == []


def test_a_gallery_that_was_opened_read_only_is_only_read(
    gallery: PostgresGallery, uri: str, faces: MakeFaces
) -> None:
    anna = gallery.enrol("Anna", faces(2))
    with PostgresGallery(uri, read_only=True) as reader:
        assert reader.people() == [anna]
        for change in (
            lambda: reader.enrol("Berta", faces(1)),
            lambda: reader.remove(anna.id),
            reader.build_index,
            reader.drop_index,
        ):
            with pytest.raises(GalleryError, match="opened read-only"):
                change()
    assert gallery.people() == [anna]


@pytest.mark.parametrize(
    ("change", "found", "action"),
    [
        ("UPDATE vultus.templates SET vector = vector * array_fill(1.0000001::real, ARRAY[16])::vector "
         "WHERE id = %s", "template", "search"),
        ("UPDATE vultus.templates SET quality = 0.5 WHERE id = %s", "template", "templates"),
        ("UPDATE vultus.templates SET contract = 'contract-2' WHERE id = %s", "template", "search"),
        ("UPDATE vultus.templates SET crop = 'x' WHERE id = %s", "the crop of template", "templates"),
        ("UPDATE vultus.people SET name = 'Hanna' FROM vultus.templates AS t WHERE t.id = %s AND people.id = "
         "t.identity_id", "the record", "search"),
        ("DELETE FROM vultus.templates WHERE id = %s", "the record", "templates"),
        ("UPDATE vultus.audit SET actor = 'nobody' FROM vultus.templates AS t WHERE t.id = %s AND "
         "audit.identity_id = t.identity_id", "audit entry 1", "audit"),
    ],
)  # fmt: skip
def test_a_row_that_was_changed_behind_the_gallery_is_found(
    gallery: PostgresGallery, postgres: str, faces: MakeFaces, change: str, found: str, action: str
) -> None:
    templates = faces(2, seed=1)
    anna = gallery.enrol("Anna", templates)
    gallery.enrol("Berta", faces(1, seed=2))
    assert gallery.check().is_clean
    with psycopg.connect(postgres) as connection:
        assert connection.execute(change, (gallery.template_ids(anna.id)[0],)).rowcount == 1
    actions: dict[str, Callable[[], object]] = {
        "search": lambda: gallery.search(probe(templates[0])),
        "templates": lambda: gallery.templates(anna.id),
        "audit": gallery.audit,
    }
    with pytest.raises(GalleryError, match=rf"damaged: {found}.*vultus gallery check"):
        actions[action]()
    (damage,) = gallery.check().damaged
    assert damage.what.startswith(found)


def test_a_damaged_template_can_be_removed(gallery: PostgresGallery, postgres: str, faces: MakeFaces) -> None:
    anna = gallery.enrol("Anna", faces(2))
    first, second = gallery.template_ids(anna.id)
    with psycopg.connect(postgres) as connection:
        connection.execute("UPDATE vultus.templates SET quality = 0.5 WHERE id = %s", (first,))
    assert gallery.remove_template(anna.id, first).template_count == 1
    assert gallery.template_ids(anna.id) == [second]
    assert gallery.check().is_clean


@pytest.mark.parametrize("table", ["people", "templates", "audit"])
def test_a_change_that_fails_half_way_leaves_no_trace(database: str, faces: MakeFaces, table: str) -> None:
    with (
        PostgresGallery(database, contract="c") as gallery,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        anna = gallery.enrol("Anna", faces(2))
        connection.execute("""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'the power went'; END $$""")
        connection.execute(f"CREATE TRIGGER fail AFTER INSERT ON vultus.{table} EXECUTE FUNCTION fail()")
        for name in ("Anna", "Berta"):
            with pytest.raises(GalleryError, match="the power went"):
                gallery.enrol(name, faces(3, seed=1))
        connection.execute(f"DROP TRIGGER fail ON vultus.{table}")
        assert gallery.people() == [anna]
        assert gallery.check().is_clean
        assert gallery.template_count() == 2
        assert len(gallery.audit()) == 1
        assert gallery.enrol("Berta", faces(3, seed=1)).template_count == 3, "the gallery goes on"


def test_what_takes_too_long_is_given_up(
    gallery: PostgresGallery, uri: str, postgres: str, faces: MakeFaces
) -> None:
    gallery.enrol("Anna", faces(1))
    with PostgresGallery(uri, statement_timeout_s=0.3) as impatient:
        with psycopg.connect(postgres) as other:
            other.execute("SELECT * FROM vultus.galleries FOR UPDATE")
            assert impatient.search(probe(faces(1)[0]))[0], "reading goes on while somebody writes"
            start = time.monotonic()
            with pytest.raises(GalleryError, match="longer than statement_timeout allows"):
                impatient.enrol("Berta", faces(1, seed=1))
            assert time.monotonic() - start < 20
        assert impatient.enrol("Berta", faces(1, seed=1)).name == "Berta"
    assert len(gallery.people()) == 2


def test_connections_that_were_cut_are_replaced(uri: str, postgres: str, faces: MakeFaces) -> None:
    name = uuid.uuid4().hex
    with PostgresGallery(with_option(uri, f"application_name={name}"), contract="c") as gallery:
        anna = gallery.enrol("Anna", faces(1))
        with psycopg.connect(postgres, autocommit=True) as other:
            cut = other.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
                (name,),
            ).fetchone()
        assert cut is not None
        assert cut[0] > 0
        assert gallery.people() == [anna]
        assert gallery.enrol("Anna", faces(1, seed=1)).template_count == 2


def test_text_that_postgresql_does_not_have_is_written_out(uri: str, faces: MakeFaces) -> None:
    with PostgresGallery(uri, contract="c", actor="a\0b") as gallery:
        anna = gallery.enrol("Anna", [Template(faces(1)[0].embedding, source="a\0b.jpg")])
        assert gallery.templates(anna.id)[0].source == "a\\x00b.jpg"
        assert gallery.audit()[0].actor == "a\\x00b"
        assert gallery.check().is_clean


def test_vectors_that_do_not_fit_a_page_are_refused(gallery: PostgresGallery, faces: MakeFaces) -> None:
    with pytest.raises(ShapeError, match="at most 1900 dimensions, got 1901"):
        gallery.enrol("Anna", faces(1, dimension=1901))
    longest = Template(faces(1, dimension=1900)[0].embedding, source="x" * 4096)
    anna = gallery.enrol("Anna", [longest])
    assert gallery.templates(anna.id)[0].embedding.tobytes() == longest.embedding.tobytes()


def test_a_closed_gallery_says_so(gallery: PostgresGallery) -> None:
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="it is closed"):
        gallery.people()


def test_many_threads_share_few_connections(uri: str, faces: MakeFaces) -> None:
    errors: list[BaseException] = []

    def work(gallery: PostgresGallery, number: int) -> None:
        try:
            for turn in range(4):
                face = faces(1, seed=100 * number + turn)[0]
                person = gallery.enrol(f"person {number}-{turn}", [face])
                (best,) = gallery.search(probe(face), top_k=1)[0]
                assert best.id == person.id
                if turn % 2:
                    gallery.remove(person.id)
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            errors.append(error)

    with PostgresGallery(uri, contract="c", connections=3) as gallery:
        threads = [threading.Thread(target=work, args=(gallery, number)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        assert len(gallery.people()) == 12 * 2
        assert [entry.seq for entry in gallery.audit()] == list(range(1, 12 * 6 + 1))
        assert gallery.check().is_clean
