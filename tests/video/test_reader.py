"""Frames of a video: as many as asked, evenly spread, upright RGB; everything else is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vultus.errors import ImageError, InputError
from vultus.video import Video

COUNT, FPS = 20, 5
SIZE_WH = (64, 48)


def write(path: Path, coding: str) -> Path:
    """Frame i is red of strength 10 i."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*coding), FPS, SIZE_WH)
    for number in range(COUNT):
        frame = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
        frame[:, :, 2] = 10 * number  # BGR
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("video") / "red.avi", "MJPG")


def test_frames_are_evenly_spread_and_the_first_is_one_of_them(clip: Path) -> None:
    with Video(clip) as video:
        frames = list(video.sample(max_frames=4))
        assert (video.frame_count, video.fps, video.seconds) == (COUNT, FPS, 4.0)
    assert [frame.index for frame in frames] == [0, 5, 10, 15]
    assert [frame.seconds for frame in frames] == [0, 1, 2, 3]


def test_frames_are_the_right_ones_in_rgb(clip: Path) -> None:
    with Video(clip) as video:
        frames = list(video.sample(max_frames=4))
    assert len(frames) == 4
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
        assert red == pytest.approx(10 * frame.index, abs=4)
        assert max(green, blue) < 4


@pytest.mark.parametrize(("suffix", "coding"), [("mp4", "mp4v"), ("mkv", "mp4v"), ("mov", "mp4v")])
def test_the_usual_kinds_are_read(tmp_path: Path, suffix: str, coding: str) -> None:
    with Video(write(tmp_path / f"clip.{suffix}", coding)) as video:
        assert len(list(video.sample(max_frames=3))) == 3


def test_a_short_video_gives_every_frame_once(clip: Path) -> None:
    with Video(clip) as video:
        assert video.indices(1000) == list(range(COUNT))


@pytest.mark.parametrize("max_frames", [0, -1])
def test_no_frames_are_no_sample(clip: Path, max_frames: int) -> None:
    with Video(clip) as video, pytest.raises(InputError, match="max_frames"):
        list(video.sample(max_frames=max_frames))


def test_frames_over_the_cap_are_refused(clip: Path) -> None:
    with pytest.raises(ImageError, match="3,072 pixels, allowed are 1,000"):
        Video(clip, max_pixels=1000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no video",
        b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
    ],
    ids=["empty", "text", "playlist", "concat", "sound"],
)
def test_other_files_are_not_even_opened(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"film\.mp4 is no video of a known kind"):
        Video(path)


@pytest.mark.parametrize("kept", [12, 100, 2000])
def test_a_truncated_file_is_refused(clip: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(clip.read_bytes()[:kept])
    with pytest.raises(ImageError, match=r"cut\.avi"), Video(path) as video:
        list(video.sample(max_frames=2))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere"):
        Video(tmp_path / "nowhere.mp4")
