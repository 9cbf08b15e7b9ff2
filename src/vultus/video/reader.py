"""Frames of a video file, spread evenly over its length.

Recognising every frame of an hour takes hours; people stay in view for seconds. So a bounded number of frames
is taken, each reached by a jump, and whoever asks is told how far they lie apart: what happens in between is
not seen.

The file is opened only if it begins as an MP4, MOV, MKV, WebM or AVI does. FFmpeg reads playlists too, which
name further files and addresses to read: these are refused.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import cv2
import numpy as np

from vultus.errors import ImageError, InputError
from vultus.image import DEFAULT_MAX_PIXELS
from vultus.types import Image

_MATROSKA: Final = b"\x1a\x45\xdf\xa3"
_UNTOLD_FRAMES: Final = 1_000_000_000  # beyond this a header's number of frames is no number


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: its number, from 0.
        seconds: when it is shown, from the beginning.
        image: (H, W, 3) RGB, upright.
    """

    index: int
    seconds: float
    image: Image


class Video:
    """A video file that is open for reading; use it in a `with` statement.

    Example:
        >>> with Video("door.mp4") as video:
        ...     for frame in video.sample(max_frames=60):
        ...         print(frame.seconds, recognizer.identify(frame.image).names)

    Args:
        path: the file.
        max_pixels: larger frames are refused.

    Attributes:
        frame_count: how many frames the file says it has.
        fps: frames per second.

    Raises:
        ImageError: missing, no video, of an unknown kind, without a length, or over the cap.
    """

    def __init__(self, path: str | PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._name = Path(fspath(path)).name
        _check_kind(Path(fspath(path)))
        self._capture = cv2.VideoCapture(fspath(path), cv2.CAP_FFMPEG)
        with ExitStack() as stack:
            stack.callback(self.close)
            self.fps = self._measured(cv2.CAP_PROP_FPS)
            self.frame_count = int(self._measured(cv2.CAP_PROP_FRAME_COUNT))
            self._check_size(max_pixels)
            stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is no mistake."""
        self._capture.release()

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frame_count / self.fps

    def indices(self, max_frames: int) -> list[int]:
        """Which frames `sample` takes: the first, and up to `max_frames` in all, evenly spread.

        Raises:
            InputError: `max_frames` below 1.
        """
        if max_frames < 1:
            raise InputError(f"max_frames must be at least 1, got {max_frames}")
        wanted = min(max_frames, self.frame_count)
        return [i * self.frame_count // wanted for i in range(wanted)]

    def sample(self, *, max_frames: int) -> Iterator[Frame]:
        """Up to `max_frames` frames, evenly spread; those that are damaged are left out.

        Raises:
            InputError: `max_frames` below 1.
            ImageError: not one frame can be read.
        """
        read = 0
        for index in self.indices(max_frames):
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            is_read, picture = self._capture.read()
            if is_read:
                read += 1
                yield Frame(index, index / self.fps, _rgb(picture))
        if read == 0:
            raise ImageError(
                f"{self._name}: no frame can be read; the file is damaged, or coded in an unknown way"
            )

    def _check_size(self, max_pixels: int) -> None:
        size_px = self._measured(cv2.CAP_PROP_FRAME_WIDTH) * self._measured(cv2.CAP_PROP_FRAME_HEIGHT)
        if size_px > max_pixels:
            raise ImageError(
                f"{self._name}: its frames have {size_px:,.0f} pixels, allowed are {max_pixels:,}"
            )

    def _measured(self, what: int) -> float:
        """A figure from the file's header.

        Raises:
            ImageError: the file says nothing, or nonsense.
        """
        value = float(self._capture.get(what)) if self._capture.isOpened() else 0.0
        if not 0 < value < _UNTOLD_FRAMES:
            raise ImageError(f"{self._name} is no video that can be read here: damaged, or without a length")
        return value


def _rgb(picture: Any) -> Image:
    return np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)  # OpenCV reads BGR


def _check_kind(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    is_known = head[4:8] == b"ftyp" or head[:4] == _MATROSKA or (head[:4] == b"RIFF" and head[8:] == b"AVI ")
    if not is_known:
        raise ImageError(f"{path.name} is no video of a known kind: expected MP4, MOV, MKV, WebM or AVI")
