"""The Recognise tab, for videos: who, from when to when, in a bounded number of frames."""

from pathlib import Path

import pytest

from vultus.errors import ImageError, InputError
from vultus.image import load_image
from vultus.ui.desk import Desk
from vultus.ui.recognise_video import MAX_SHOWN, clock, recognise_video


def test_a_person_is_seen_from_when_to_when(desk: Desk, album: dict[str, str], clip: str) -> None:
    desk.recognizer.enrol("Eileen", load_image(album["person"]))
    done: list[float] = []
    told, shown, rows = recognise_video(desk, clip, 8, on_progress=lambda share, _: done.append(share))
    assert "1 known, 0 unknown faces, in 8 frames" in told
    assert "One frame every 0.5 s, of 4 s" in told
    for cell in ("Eileen", "0:01.0", "0:02.4", "4"):
        assert f"<td>{cell}</td>" in rows
    assert [caption for _, caption in shown] == ["0:01.0"]
    assert done == [pytest.approx(i / 8) for i in range(1, 9)]


def test_unknown_faces_are_counted_and_shown_up_to_a_number(desk: Desk, clip: str) -> None:
    told, shown, rows = recognise_video(desk, clip, 300, on_progress=lambda *_: None)
    assert "0 known, 14 unknown faces, in 28 frames" in told
    assert len(shown) == MAX_SHOWN
    assert rows == ""


def test_what_is_no_video_is_refused(desk: Desk, album: dict[str, str]) -> None:
    with pytest.raises(ImageError, match=r"person\.png is no video of a known kind"):
        recognise_video(desk, album["person"], 8, on_progress=lambda *_: None)
    with pytest.raises(InputError, match="Choose a video first"):
        recognise_video(desk, None, 8, on_progress=lambda *_: None)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (600, "10:00.0")]
)
def test_times_are_shown_as_players_do(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_clip_is_a_file(clip: str) -> None:
    assert Path(clip).stat().st_size > 10_000
