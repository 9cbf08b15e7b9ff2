"""API keys: made once, shown once, stored as a hash, compared in constant time.

A key reads `vultus_<id>_<secret>`. The id is public and finds the row; the secret has 256 random bits, so
that one SHA-256 is enough (a slow hash protects what people choose, not what chance does). Whether an id
exists cannot be told from the time an answer takes: an unknown one is compared with a digest all the same.
"""

import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from vultus.access.store import Store
from vultus.errors import CredentialsError, InputError, NotEnrolledError, ScopeError

PREFIX: Final = "vultus"
MAX_NAME: Final = 100
_NOBODY: Final = bytes(32)  # no secret has this digest, as far as anybody knows


class Scope(StrEnum):
    """What a key is for."""

    READ = "read"  # detect, compare and identify; see who is enrolled
    ENROL = "enrol"  # read, and change people and their templates
    DECIDE = "decide"  # ask whether a door may open, and nothing else: for a camera at a door
    ADMIN = "admin"  # everything, exporting and importing all people included


_INCLUDED: Final[Mapping[Scope, frozenset[Scope]]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.ENROL: frozenset({Scope.READ, Scope.ENROL}),
    Scope.DECIDE: frozenset({Scope.DECIDE}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: without its secret.

    Attributes:
        id: public, stands in logs.
        name: whose it is, for people.
        scopes: as granted.
        created: ISO 8601, UTC.
        revoked: since when it is void, or None.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: str
    revoked: str | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether one of the granted scopes includes this one."""
        return any(scope in _INCLUDED[granted] for granted in self.scopes)

    def require(self, scope: Scope) -> None:
        """Refuse what the key is not for.

        Raises:
            ScopeError: it is not.
        """
        if not self.allows(scope):
            granted = ", ".join(self.scopes)
            raise ScopeError(f"this needs a key of scope '{scope}', the given one has: {granted}")


class ApiKeys:
    """The keys of one service. A key that another process makes or revokes counts at once.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: str, scopes: Collection[Scope | str]) -> tuple[ApiKey, str]:
        """Make a key.

        Returns:
            What is stored of it, and the key itself, which cannot be shown again.

        Raises:
            InputError: no name, or no or unknown scopes.
        """
        key = ApiKey(secrets.token_hex(6), _checked_name(name), _checked_scopes(scopes), _now())
        secret = secrets.token_urlsafe(32)
        with self._store.writing() as connection:
            connection.execute(
                "INSERT INTO keys (id, name, scopes, digest, created) VALUES (?, ?, ?, ?, ?)",
                (key.id, key.name, " ".join(key.scopes), _digest(secret), key.created),
            )
        return key, f"{PREFIX}_{key.id}_{secret}"

    def list(self) -> list[ApiKey]:
        """All keys, oldest first, the revoked ones included."""
        with self._store.reading() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created, id").fetchall()  # noqa: S608
        return [_key(row) for row in rows]

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key void, for good; revoking it again changes nothing.

        Raises:
            NotEnrolledError: there is no such key.
        """
        with self._store.writing() as connection:
            connection.execute(
                "UPDATE keys SET revoked = coalesce(revoked, ?) WHERE id = ?", (_now(), key_id)
            )
            row = connection.execute(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,)).fetchone()  # noqa: S608
        if row is None:
            raise NotEnrolledError(f"there is no key {key_id!r}; `vultus keys list` shows those there are")
        return _key(row)

    def authenticate(self, text: str | None) -> ApiKey:
        """The key of this text.

        Raises:
            CredentialsError: none was given, or one that is unknown, wrong or revoked; which of these is
                not told.
        """
        if not text:
            raise CredentialsError(
                "this needs an API key, and none was given: send the header 'Authorization: Bearer KEY' or "
                "'X-API-Key: KEY'"
            )
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        with self._store.reading() as connection:
            query = f"SELECT {_COLUMNS}, digest FROM keys WHERE id = ?"  # noqa: S608 (constants)
            row = connection.execute(query, (key_id,)).fetchone()
        is_right = hmac.compare_digest(_digest(secret), _NOBODY if row is None else row[-1])
        if row is None or not is_right or prefix != PREFIX or row[4] is not None:
            raise CredentialsError("this API key is not valid")
        return _key(row[:-1])


_COLUMNS = "id, name, scopes, created, revoked"


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, name, scopes, created, revoked = row
    return ApiKey(key_id, name, tuple(Scope(scope) for scope in scopes.split()), created, revoked)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _checked_name(name: str) -> str:
    clean = name.strip()
    if not clean or len(clean) > MAX_NAME or not clean.isprintable():
        raise InputError(f"a key needs a name of 1 to {MAX_NAME} printable characters, got {name!r:.120}")
    return clean


def _checked_scopes(scopes: Collection[Scope | str]) -> tuple[Scope, ...]:
    unknown = [str(scope) for scope in scopes if scope not in set(Scope)]
    if unknown or not scopes:
        raise InputError(
            f"a key needs one or more of the scopes {', '.join(Scope)}, got {', '.join(unknown) or 'none'}"
        )
    return tuple(scope for scope in Scope if scope in scopes)
