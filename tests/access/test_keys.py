"""Keys: shown once, hashed, compared in constant time, void when revoked."""

import hmac
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from vultus.access.keys import ApiKeys, Scope
from vultus.access.store import Store, store_path
from vultus.errors import CredentialsError, GalleryError, InputError, NotEnrolledError, ScopeError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(store_path(tmp_path / "people.db"))) as made:
        yield made


def test_a_key_opens_until_it_is_revoked(store: Store) -> None:
    keys = ApiKeys(store)
    made, text = keys.create("front door", [Scope.DECIDE])
    assert keys.authenticate(text) == made
    assert text.startswith(f"vultus_{made.id}_")
    assert keys.list() == [made]
    revoked = keys.revoke(made.id)
    assert revoked.revoked is not None
    assert keys.revoke(made.id) == revoked, "the first time counts"
    with pytest.raises(CredentialsError):
        keys.authenticate(text)
    with pytest.raises(NotEnrolledError):
        keys.revoke("nobody")


def test_another_process_sees_a_new_and_a_revoked_key_at_once(store: Store) -> None:
    with closing(Store(store.path)) as opened_again:
        here, there = ApiKeys(store), ApiKeys(opened_again)
        made, text = here.create("ours", [Scope.READ])
        assert there.authenticate(text) == made
        there.revoke(made.id)
        with pytest.raises(CredentialsError):
            here.authenticate(text)


def test_a_changed_key_opens_nothing(store: Store) -> None:
    keys = ApiKeys(store)
    _, text = keys.create("ours", [Scope.READ])
    other, other_text = keys.create("theirs", [Scope.ADMIN])
    swapped = f"vultus_{other.id}_{text.split('_', 2)[2]}"
    for wrong in (
        None,
        "",
        text[:-1],
        text + "x",
        text.upper(),
        text.replace("vultus", "other"),
        swapped,
        "\ud800",
    ):
        with pytest.raises(CredentialsError):
            keys.authenticate(wrong)
    assert keys.authenticate(other_text) == other


def test_the_digest_is_that_of_the_secret(store: Store) -> None:
    made, text = ApiKeys(store).create("ours", [Scope.READ])
    with store.reading() as connection:
        (digest,) = connection.execute("SELECT digest FROM keys WHERE id = ?", (made.id,)).fetchone()
    assert hmac.compare_digest(digest, sha256(text.split("_", 2)[2].encode()).digest())


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ("read", {"read"}),
        ("enrol", {"read", "enrol"}),
        ("decide", {"decide"}),
        ("admin", {"read", "enrol", "decide", "admin"}),
    ],
)
def test_scopes_include_each_other_as_told(store: Store, granted: str, allowed: set[str]) -> None:
    key, _ = ApiKeys(store).create("k", [granted])
    assert {str(scope) for scope in Scope if key.allows(scope)} == allowed
    with pytest.raises(ScopeError) if granted != "admin" else pytest.raises(CredentialsError):
        key.require(Scope.ADMIN)
        raise CredentialsError("it did not refuse")


def test_a_key_needs_a_name_and_known_scopes(store: Store) -> None:
    keys = ApiKeys(store)
    for name, scopes in (
        ("", ["read"]),
        ("a\nb", ["read"]),
        ("x" * 101, ["read"]),
        ("a", []),
        ("a", ["root"]),
    ):
        with pytest.raises(InputError):
            keys.create(name, scopes)
    assert keys.list() == []


def test_the_time_does_not_tell_whether_a_key_exists(store: Store) -> None:
    keys = ApiKeys(store)
    made, _ = keys.create("ours", [Scope.READ])
    candidates = {
        "unknown id": "vultus_000000000000_" + "x" * 43,
        "wrong secret": f"vultus_{made.id}_" + "x" * 43,
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(300):
        for name, candidate in candidates.items():
            began = time.perf_counter()
            with pytest.raises(CredentialsError):
                keys.authenticate(candidate)
            times[name].append(time.perf_counter() - began)
    unknown, wrong = (statistics.median(one) for one in times.values())
    assert abs(unknown - wrong) < 0.5 * max(unknown, wrong), (unknown, wrong)


def test_a_file_that_is_none_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "people.service.db"
    path.write_bytes(b"nonsense " * 1000)
    with pytest.raises(GalleryError, match="cannot be used"):
        Store(path)
    with pytest.raises(GalleryError, match="cannot be made"):
        Store(tmp_path / "nowhere" / "x.db")
    newer = Store(tmp_path / "newer.db")
    with newer.writing() as connection:
        connection.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(GalleryError, match="newer"):
        Store(tmp_path / "newer.db")
