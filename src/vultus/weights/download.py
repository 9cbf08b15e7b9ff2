"""Downloading one file: whole, verified, put in place in one step, by one process at a time.

The bytes go to a `.part` file beside the target, moved over it once it has the published SHA-256: a reader
sees what was there before or the right file, nothing between. A connection that breaks is tried again from
the start. A process that finds the lock taken waits, then uses what the other has fetched.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests
from filelock import FileLock
from pooch import HTTPDownloader
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from vultus.errors import ChecksumError, WeightsError
from vultus.weights.environment import is_offline

TIMEOUT_S: Final = 30.0  # without one byte from the server
PAUSES_S: Final = (1.0, 2.0)  # three attempts
_CHUNK_BYTES: Final = 1 << 16


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str,
    replace: bool = False,
    timeout_s: float = TIMEOUT_S,
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Bring the file at `url` to `path`, unless it is there already.

    Args:
        url: http or https.
        path: the target; its folder is made.
        sha256: what the bytes must be.
        replace: fetch even if the target exists; it stays as it is until the new bytes are verified.
        timeout_s: give up an attempt when the server sends nothing for so long.
        pauses_s: how long to wait before each further attempt.

    Raises:
        WeightsError: offline, no such file, no connection, or the folder is not writable. The message says
            how to put the file there by hand.
        ChecksumError: the server sent other bytes. Nothing is left of them.
    """
    by_hand = f"To do without the network, put the file at {path}; its SHA-256 must be {sha256}."
    if is_offline():
        raise WeightsError(f"VULTUS_OFFLINE forbids fetching {path.name} from {url}. {by_hand}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # No time limit: whoever holds the lock gives up after timeout_s, and the system frees it if they die.
        with FileLock(path.with_name(f".{path.name}.lock")):
            if replace or not path.exists():
                _fetch_with_retries(url, path, sha256=sha256, timeout_s=timeout_s, pauses_s=pauses_s)
    except requests.RequestException as error:
        raise WeightsError(f"cannot download {path.name} from {url}: {error}. {by_hand}") from error
    except OSError as error:
        raise WeightsError(
            f"cannot write {path}: {error.strerror or error}. "
            "Choose a folder that can be written (for weights, set VULTUS_HOME), or have the file put there "
            "by someone who may."
        ) from error


def _fetch_with_retries(
    url: str, path: Path, *, sha256: str, timeout_s: float, pauses_s: Sequence[float]
) -> None:
    for pause_s in (*pauses_s, None):
        try:
            _fetch_once(url, path, sha256=sha256, timeout_s=timeout_s)
        except requests.RequestException as error:
            if error.response is not None:
                error.response.close()  # pooch leaves a refused request's connection open
            if pause_s is None or not _may_pass(error):
                raise
            time.sleep(pause_s)
        else:
            return


def _fetch_once(url: str, path: Path, *, sha256: str, timeout_s: float) -> None:
    part = path.with_name(f".{path.name}.part")  # always the same: a killed process leaves one file, not many
    try:
        with part.open("wb+") as file, _ProgressBar(path.name) as bar:
            HTTPDownloader(progressbar=bar, chunk_size=_CHUNK_BYTES, timeout=timeout_s)(url, file, None)
            os.fsync(file.fileno())
            file.seek(0)
            received = hashlib.file_digest(file, "sha256").hexdigest()
            n_bytes = file.tell()
        if received != sha256:
            raise ChecksumError(
                f"{url} sent {n_bytes:,} bytes that are not {path.name}: expected SHA-256 {sha256}, "
                f"got {received}. Nothing was kept. Perhaps a proxy or a login page answered instead."
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _may_pass(error: requests.RequestException) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code == 429 or error.response.status_code >= 500
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, broken)


class _ProgressBar:
    """What pooch asks of a progress bar, drawn on standard error if that is a terminal.

    Attributes:
        total: bytes to come; pooch sets it once the server has said so (0 if it does not).
    """

    def __init__(self, title: str) -> None:
        self.total = 0
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, n_bytes: int) -> None:
        self._progress.update(self._task, total=self.total or None, advance=n_bytes)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        """Nothing to do: the `with` block stops the bar, also when the connection breaks."""
