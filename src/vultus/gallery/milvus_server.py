"""The Milvus server under a gallery, or Milvus Lite in this process; its errors named."""

import logging
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from vultus.errors import GalleryError, InputError
from vultus.gallery.milvus_collections import collections_of, make_rows
from vultus.gallery.milvus_rows import MilvusRows

VERSION = 1
CONNECT_S = 10
LITE_PAUSES_S = (0.5, 2.0)
_UNREACHABLE = 2  # pymilvus's code
_GALLERY = re.compile(r"\w{1,100}", re.ASCII)

# It prints each error with a traceback before raising it; here they are raised as GalleryError, and once.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gallery is.

    Attributes:
        server: `http://host:19530`, or the folder of Milvus Lite.
        token: "user:password" or an API key; empty without.
        database: of the server; empty for its default.
        gallery: its name there.
        where: the same for people, without the password.
    """

    server: str
    token: str
    database: str
    gallery: str
    where: str

    @classmethod
    def parse(cls, uri: str) -> "Address":
        """Take `milvus://user:password@host:19530/database?gallery=NAME` apart; or `milvus:///folder`.

        Raises:
            InputError: no such address, or a name that Milvus does not take.
        """
        parts = urlsplit(uri)
        options = dict(parse_qsl(parts.query))
        gallery, token = options.pop("gallery", "default"), options.pop("token", "")
        if options or not (parts.netloc or parts.path):
            raise InputError(f"expected milvus://host:19530/database?gallery=name&token=key, got {uri}")
        if not _GALLERY.fullmatch(gallery):
            raise InputError(f"a gallery in Milvus is named by up to 100 of A-Z a-z 0-9 _, got '{gallery}'")
        if not parts.netloc:
            return cls(parts.path, "", "", gallery, f"milvus://{parts.path}?gallery={gallery}")
        scheme = "https" if parts.scheme == "https" else "http"
        host = f"{parts.hostname}:{parts.port or 19530}"
        token = token or ":".join(one for one in (parts.username, parts.password) if one)
        where = f"{parts.scheme}://{host}{parts.path}?gallery={gallery}"
        return cls(f"{scheme}://{host}", token, parts.path.strip("/"), gallery, where)

    @property
    def is_lite(self) -> bool:
        """Whether Milvus runs in this process, on a folder."""
        return "://" not in self.server


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Turn what Milvus raises into a GalleryError that names the gallery and says what to do."""
    try:
        yield
    except MilvusException as error:
        reason = "the server refused"
        if error.code == _UNREACHABLE:
            reason = "the server cannot be reached: is it running, and is the address right?"
        raise GalleryError(f"gallery {where}: {reason} ({error.message})") from error


def _connect(address: Address) -> MilvusClient:
    """A client of the server.

    Milvus Lite runs in this process, so it is there; but its gRPC turns away for a moment whoever connects
    many times in a row ("too many pings"). It is asked again.
    """
    for pause_s in LITE_PAUSES_S if address.is_lite else ():
        try:
            return _client(address)
        except MilvusException as error:
            if error.code != _UNREACHABLE:
                raise
            time.sleep(pause_s)
    return _client(address)


def _client(address: Address) -> MilvusClient:
    return MilvusClient(address.server, token=address.token, db_name=address.database, timeout=CONNECT_S)


class MilvusServer:
    """One gallery in a Milvus server, as a `Store`.

    Args:
        uri: `milvus://host:19530/database?gallery=NAME`, or `milvus:///folder?gallery=NAME`.
        create: make the gallery where it is missing.

    Raises:
        InputError: no such address.
        GalleryError: the server is not there, or the gallery is missing or of a newer version.
    """

    def __init__(self, uri: str, *, create: bool = True) -> None:
        self._address = Address.parse(uri)
        self._writing, self._ids = threading.Lock(), threading.Lock()
        self._last_id = 0
        if self._address.is_lite and not create and not Path(self._address.server).exists():
            raise self._missing()
        with naming(self.where):
            self._client = _connect(self._address)
            try:
                self._open(create=create)
            except BaseException:
                self._client.close()
                raise

    @property
    def where(self) -> str:
        """Names the gallery in messages; holds no password."""
        return self._address.where

    def close(self) -> None:
        """Release the connection; closing twice is no mistake."""
        self._client.close()

    @contextmanager
    def reading(self) -> Iterator[MilvusRows]:
        """Within: the gallery as it is; Milvus keeps no state for us while others write.

        Raises:
            GalleryError: the server is not there, or refuses.
        """
        with naming(self.where):
            yield self._rows()

    @contextmanager
    def writing(self) -> Iterator[MilvusRows]:
        """Within: changes are collected; at the end they are written, in an order that leaves no half one.

        Threads of this gallery take turns. Other clients do not wait: see `milvus.py`.

        Raises:
            GalleryError: the server is not there, or refuses.
        """
        with self._writing, naming(self.where):
            rows = self._rows()
            yield rows
            rows.commit()

    def size(self) -> tuple[int, int, str]:
        """Bytes of the vectors, version of the collections, and the index."""
        with self.reading() as rows:
            stored = rows.contract()
        return 4 * stored.dimension * stored.templates, VERSION, "none: every template is compared"

    def _rows(self) -> MilvusRows:
        return MilvusRows(self._client, self._address.gallery, new_ids=self._new_ids, where=self.where)

    def _open(self, *, create: bool) -> None:
        rows, vectors = collections_of(self._address.gallery)
        if not self._client.has_collection(rows):
            if not create:
                raise self._missing()
            make_rows(self._client, rows)
        for name in (rows, vectors):
            if self._client.has_collection(name):
                self._client.load_collection(name)

    def _missing(self) -> GalleryError:
        return GalleryError(
            f"there is no gallery at {self.where}: enrol somebody first (vultus enrol), or name another"
        )

    def _new_ids(self, count: int) -> list[int]:
        """Numbers that rise with time; at random within the microsecond, as other clients have their own."""
        with self._ids:
            first = max(self._last_id + 1, (time.time_ns() // 1000 << 10) + secrets.randbelow(1024))
            self._last_id = first + count - 1
        return list(range(first, first + count))
