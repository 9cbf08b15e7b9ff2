"""Compiled networks on disk: what was made of a network for this machine, for the next start.

A file is the SHA-256 of what follows, then that. A runtime takes a compiled network with a flipped byte in
its weights as it is, and answers nonsense; so a damaged file counts as none. These files can be deleted at
any time: a folder that cannot be written costs time at every start and nothing else.
"""

import hashlib
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

_HASH_BYTES: Final = hashlib.sha256().digest_size


def read_compiled(path: Path) -> bytes | None:
    """What was written there; None where there is nothing, or nothing that is intact."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    kept, blob = data[:_HASH_BYTES], data[_HASH_BYTES:]
    return blob if hashlib.sha256(blob).digest() == kept else None


def write_compiled(path: Path, blob: bytes) -> None:
    """Keep it, whole or not at all; processes that write the same file do not disturb each other."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
