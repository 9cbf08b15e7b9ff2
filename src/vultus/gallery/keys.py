"""Keys of encrypted galleries: 32 random bytes as one line of base64, and the places where they are kept.

    file:/run/secrets/people.key     a file (a bare path means the same)
    env:PEOPLE_KEY                   an environment variable
    keyring:vultus/people            the system's keyring: service and user name

Where none is named, `VULTUS_GALLERY_KEY` (the key itself), then `VULTUS_GALLERY_KEY_FILE` is taken.
"""

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Final

from vultus.errors import GalleryError, InputError, MissingExtraError

KEY_BYTES: Final = 32
KEY_VARIABLE: Final = "VULTUS_GALLERY_KEY"
FILE_VARIABLE: Final = "VULTUS_GALLERY_KEY_FILE"


def new_key() -> bytes:
    """A new random key."""
    return secrets.token_bytes(KEY_BYTES)


def write_key(key: bytes, path: Path) -> None:
    """Write a key into a new file, readable by its owner only.

    Raises:
        InputError: the file exists, or cannot be written: a key is never overwritten.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise InputError(f"the key file {path} cannot be made: {error}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(source: str) -> bytes:
    """The key at `file:PATH`, `env:NAME` or `keyring:SERVICE/USER`; a bare path is a file.

    Raises:
        InputError: it is not there, or is no key.
        MissingExtraError: a keyring is named and the package `keyring` is not installed.
    """
    kind, _, name = source.partition(":")
    if kind == "env":
        return _parsed(os.environ.get(name), source)
    if kind == "keyring":
        return _parsed(_from_keyring(*name.partition("/")[::2]), source)
    path = Path(name if kind == "file" else source)
    try:
        return _parsed(path.read_text(encoding="ascii"), source)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the key file {path} cannot be read: {error}") from error


def environment_key() -> bytes | None:
    """The key that the environment names; None where it names none.

    Raises:
        InputError: what it names is no key.
    """
    if os.environ.get(KEY_VARIABLE):
        return read_key(f"env:{KEY_VARIABLE}")
    path = os.environ.get(FILE_VARIABLE)
    return read_key(f"file:{path}") if path else None


def checked_key(key: bytes) -> bytes:
    """The same key, once it is known to be one.

    Raises:
        InputError: not 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise InputError(
            f"a gallery's key has {KEY_BYTES} bytes, got {len(key)}; `vultus gallery new-key` makes one"
        )
    return key


def _parsed(text: str | None, source: str) -> bytes:
    if not text or not text.strip():
        raise InputError(f"there is no key at {source}")
    try:
        return checked_key(base64.b64decode(text.strip(), validate=True))
    except binascii.Error as error:
        raise InputError(f"what stands at {source} is no key: one line of base64 is expected") from error


def _from_keyring(service: str, user: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise MissingExtraError("a key in the system's keyring needs: pip install keyring") from error
    try:
        key: str | None = keyring.get_password(service, user)
    except KeyringError as error:
        raise GalleryError(f"the keyring does not give the key {service}/{user}: {error}") from error
    return key
