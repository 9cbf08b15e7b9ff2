"""The Recognise tab, for videos: who is seen, from when to when."""

from dataclasses import dataclass, field
from typing import Any, Final

from vultus.errors import InputError
from vultus.types import Image, Recognition
from vultus.ui.desk import Desk, Progress
from vultus.ui.markup import notice, table
from vultus.ui.messages import Messages
from vultus.ui.recognise import named
from vultus.video import Frame, Video

MAX_SHOWN: Final = 12  # frames


@dataclass(slots=True)
class Sighting:
    """When one person is seen.

    Attributes:
        name: of the person.
        first: seconds from the beginning.
        last: likewise.
        frames: in how many of the frames that were looked at.
        similarity: the best of them.
    """

    name: str
    first: float
    last: float
    frames: int = 0
    similarity: float = -1.0


@dataclass(slots=True)
class Sightings:
    """Who was seen so far.

    Attributes:
        people: by id, in the order of their first frame.
        unknown: faces without a name, each time they are seen.
        looked: frames.
    """

    people: dict[str, Sighting] = field(default_factory=dict)
    unknown: int = 0
    looked: int = 0

    def add(self, frame: Frame, seen: Recognition) -> bool:
        """Count one frame; whether it shows somebody for the first time, or an unknown face."""
        self.looked += 1
        is_new = False
        for match in seen.matches:
            if match.best is None or not match.is_known:
                self.unknown += 1
                is_new = True
                continue
            is_new |= match.best.id not in self.people
            person = self.people.setdefault(
                match.best.id, Sighting(match.best.name, first=frame.seconds, last=frame.seconds)
            )
            person.last = frame.seconds
            person.frames += 1
            person.similarity = max(person.similarity, match.best.similarity)
        return is_new


def recognise_video(
    desk: Desk, path: str | None, max_frames: float, *, on_progress: Progress
) -> tuple[str, list[tuple[Image, str]], str]:
    """Who is in a video: a notice, frames that show somebody new or unknown, a table of people and times."""
    say = desk.say
    if path is None:
        raise InputError(say("choose_video"))
    sightings, shown = Sightings(), list[tuple[Image, str]]()
    with Video(path, max_pixels=desk.max_pixels) as video:
        total = len(video.indices(int(max_frames)))
        for done, frame in enumerate(video.sample(max_frames=int(max_frames)), start=1):
            on_progress(done / total, say("video_working", done=done, total=total))
            seen = desk.recognizer.identify(frame.image)
            if sightings.add(frame, seen) and len(shown) < MAX_SHOWN:
                shown.append((named(frame.image, seen, say), clock(frame.seconds)))
        told = _summary(sightings, say, seconds=video.seconds, step=video.seconds / total)
    return told, shown, _table(sightings, say)


def clock(seconds: float) -> str:
    """Minutes and seconds, as a player shows them."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def _summary(sightings: Sightings, say: Messages, **times: float) -> str:
    more = say("video_done_more", **times)
    if not sightings.people and not sightings.unknown:
        return notice("warn", say("video_none", looked=sightings.looked), more)
    title = say(
        "video_done", people=len(sightings.people), unknown=sightings.unknown, looked=sightings.looked
    )
    return notice("good" if sightings.people else "info", title, more)


def _table(sightings: Sightings, say: Messages) -> str:
    columns = ("column_person", "column_first", "column_last", "column_frames", "column_best")
    rows: list[list[Any]] = [
        [one.name, clock(one.first), clock(one.last), one.frames, f"{one.similarity:.3f}"]
        for one in sightings.people.values()
    ]
    return table([say(key) for key in columns], rows, caption=say("result"))
