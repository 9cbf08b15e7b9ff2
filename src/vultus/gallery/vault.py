"""Encryption at rest: vectors and crops are sealed row by row, with AES-256-GCM.

A random *data key* seals the rows; the *user's key* seals only the data keys, which lie so wrapped in the
gallery's settings. A sealed value is

    number of the data key (4 bytes) | nonce (12) | ciphertext | tag (16)

and its associated data name the gallery, the template, the person, the contract and the kind: a value that is
moved to another row, person or gallery does not open. Names, metadata and the audit log are not encrypted.

Random 96-bit nonces are safe for 2^32 rows under one data key. The rows' checksums are taken over what is
stored, so a gallery is checked and salvaged without the key.

NIST SP 800-38D, Recommendation for block cipher modes of operation: GCM. 2007.
"""

import base64
import json
import secrets
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from vultus.errors import GalleryError, MissingExtraError
from vultus.gallery.keys import checked_key, environment_key, new_key
from vultus.gallery.rows import TemplateRow, digest

SETTING: Final = "encryption"
_NUMBER, _NONCE, _TAG = 4, 12, 16


@dataclass(frozen=True, slots=True)
class DataKeys:
    """The data keys of a gallery, open.

    Attributes:
        gallery: a random name, so that values do not open in another gallery.
        active: the number of the key that seals new rows.
        keys: by number; several only while a rotation is under way.
        is_whole: whether every row is sealed; False only while encryption is under way.
    """

    gallery: str
    active: int
    keys: Mapping[int, bytes] = field(repr=False)
    is_whole: bool

    @classmethod
    def new(cls) -> Self:
        """For a gallery whose rows are not sealed yet."""
        return cls(uuid.uuid4().hex, 1, {1: new_key()}, is_whole=False)

    def with_another(self) -> "DataKeys":
        """With one more key, which becomes the active one."""
        number = max(self.keys) + 1
        return replace(self, active=number, keys={**self.keys, number: new_key()})

    def only_active(self) -> "DataKeys":
        """Without those that no row needs any more."""
        return replace(self, keys={self.active: self.keys[self.active]}, is_whole=True)

    def to_json(self, user_key: bytes) -> str:
        """As stored, each key wrapped."""
        wrapped = {
            str(number): base64.b64encode(_seal(user_key, one, self._about(number))).decode()
            for number, one in self.keys.items()
        }
        return json.dumps(
            {"gallery": self.gallery, "active": self.active, "keys": wrapped, "is_whole": self.is_whole}
        )

    @classmethod
    def from_json(cls, text: str, user_key: bytes) -> Self:
        """Out of what is stored.

        Raises:
            GalleryError: the user's key is another.
        """
        value = json.loads(text)
        shut = cls(value["gallery"], value["active"], {}, is_whole=value["is_whole"])
        opened = {
            int(number): _open(user_key, base64.b64decode(one), shut._about(int(number)))
            for number, one in value["keys"].items()
        }
        return replace(shut, keys=opened)

    def _about(self, number: int) -> bytes:
        return f"vultus data key {number} of {self.gallery}".encode()


class Vault:
    """Seals and opens the rows of one gallery file; leaves them as they are where it is not encrypted.

    Args:
        key: the user's; None takes the one that the environment names, if any is needed.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._user_key = None if key is None else checked_key(key)
        self._stored: str | None = None
        self._keys: DataKeys | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether the file is, as of the last transaction."""
        return self._stored is not None

    @property
    def user_key(self) -> bytes | None:
        """The user's key, as given or as the environment names it."""
        return self._user_key if self._user_key is not None else environment_key()

    def use(self, key: bytes) -> None:
        """Take another key of the user from now on."""
        self._user_key, self._stored, self._keys = checked_key(key), None, None

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read which keys the file has; called when a transaction begins.

        Raises:
            GalleryError: the user's key does not open them.
        """
        record = connection.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
        stored = None if record is None else str(record[0])
        if stored == self._stored:
            return
        key = self.user_key
        self._keys = DataKeys.from_json(stored, key) if stored is not None and key is not None else None
        self._stored = stored

    def keys(self) -> DataKeys:
        """The data keys.

        Raises:
            GalleryError: the user's key is missing, or the file is not encrypted.
        """
        if self._keys is None:
            raise GalleryError(
                "the gallery is encrypted, and no key was given: name it (key=..., --key), or set "
                "VULTUS_GALLERY_KEY_FILE"
                if self.is_encrypted
                else "the gallery is not encrypted"
            )
        return self._keys

    def sealed(self, row: TemplateRow, crop: bytes | None) -> tuple[TemplateRow, bytes | None]:
        """A row with its ids, and its crop, as they are stored.

        Raises:
            GalleryError: the user's key is missing.
        """
        if not self.is_encrypted:
            return row, crop
        keys = self.keys()
        vector = _sealed(keys, row, "vector", row.vector)
        return replace(row, vector=vector), None if crop is None else _sealed(keys, row, "crop", crop)

    def opened(self, row: TemplateRow, crop: bytes | None) -> tuple[TemplateRow, bytes | None]:
        """A stored row and its crop as they were given to `sealed`.

        Raises:
            GalleryError: the user's key is missing, or the row was sealed elsewhere or not at all.
        """
        if not self.is_encrypted:
            return row, crop
        keys = self.keys()
        if not is_sealed(row):
            if keys.is_whole:
                raise GalleryError(
                    f"template {row.id} is not encrypted, though the gallery is: it was put there"
                )
            return row, crop
        vector = _opened(keys, row, "vector", row.vector)
        plain = None if crop is None else _opened(keys, row, "crop", crop)
        crop_digest = None if plain is None else digest("crop", blob=plain)
        return replace(row, vector=vector, crop_digest=crop_digest).sealed(), plain


class SealingConnection(sqlite3.Connection):
    """A connection that knows how rows are sealed in its file."""

    vault: Vault


def vault_of(connection: sqlite3.Connection) -> Vault:
    """How rows are sealed in the file behind a connection."""
    return connection.vault if isinstance(connection, SealingConnection) else Vault()


def is_sealed(row: TemplateRow) -> bool:
    """Whether a stored row is encrypted: it is longer than its vector then."""
    return len(row.vector) == 4 * row.dimension + _NUMBER + _NONCE + _TAG


def key_number(row: TemplateRow) -> int:
    """The number of the data key that a row is sealed with; 0 for none."""
    return int.from_bytes(row.vector[:_NUMBER], "little") if is_sealed(row) else 0


def _sealed(keys: DataKeys, row: TemplateRow, kind: str, plain: bytes) -> bytes:
    number = keys.active.to_bytes(_NUMBER, "little")
    return number + _seal(keys.keys[keys.active], plain, _about(keys, row, kind))


def _opened(keys: DataKeys, row: TemplateRow, kind: str, value: bytes) -> bytes:
    key = keys.keys.get(int.from_bytes(value[:_NUMBER], "little"))
    if key is None:
        raise GalleryError(f"template {row.id} was sealed with a key that is gone")
    return _open(key, value[_NUMBER:], _about(keys, row, kind))


def _about(keys: DataKeys, row: TemplateRow, kind: str) -> bytes:
    contract = row.contract if kind == "vector" else ""  # a crop stays when another network takes over
    return json.dumps([keys.gallery, row.id, row.identity_id, contract, kind]).encode()


def _seal(key: bytes, plain: bytes, about: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    sealed: bytes = _cipher(key).encrypt(nonce, plain, about)
    return nonce + sealed


def _open(key: bytes, value: bytes, about: bytes) -> bytes:
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        plain: bytes = cipher.decrypt(value[:_NONCE], value[_NONCE:], about)
    except InvalidTag as error:
        raise GalleryError(
            "this key does not open the gallery, or what it should open was changed or put elsewhere "
            "(AES-GCM tag). If the key was rotated, open it with the new one"
        ) from error
    return plain


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingExtraError("encrypted galleries need: pip install 'vultus[encryption]'") from error
    return AESGCM(key)
