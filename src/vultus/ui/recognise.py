"""The Recognise tab, for photos: who is it? A face that nobody has can be enrolled at once."""

from typing import Any, Final

import gradio
import numpy as np

from vultus.choices import Answer, FaceChoice
from vultus.draw import KNOWN, UNKNOWN, annotate
from vultus.errors import InputError
from vultus.types import FloatArray, Image, Match, Recognition
from vultus.ui.desk import Desk, Progress
from vultus.ui.markup import notice, table
from vultus.ui.messages import Messages
from vultus.ui.people import enrolled

MARGIN: Final = 0.6  # of the box, around a face that is cut out to be enrolled: detectors want some context


def recognise_photo(
    desk: Desk, photo: str | None, *, on_progress: Progress
) -> tuple[str, Image, str, Any, Any]:
    """Who is in a photo: a notice, the photo with names, a table, the unknown faces, if there are any."""
    say = desk.say
    image = desk.read(photo)
    on_progress(0.2, say("recognise_button"))
    seen = desk.recognizer.identify(image)
    unknown = [
        (say("unknown_choice", number=i), i)
        for i, match in enumerate(seen.matches, start=1)
        if not match.is_known
    ]
    return (
        _summary(seen, say),
        named(image, seen, say),
        _table(seen, say),
        gradio.update(choices=unknown, value=unknown[0][1] if unknown else None),
        gradio.update(visible=bool(unknown)),
    )


def named(image: Image, seen: Recognition, say: Messages) -> Image:
    """The photo with each face framed: green and named where it is known, else amber and numbered."""
    return annotate(
        image,
        seen.faces,
        labels=[_label(i, match, say) for i, match in enumerate(seen.matches, start=1)],
        colours=[KNOWN if match.is_known else UNKNOWN for match in seen.matches],
    )


def _label(number: int, match: Match, say: Messages) -> str:
    return match.name or f"{number} {_guess(match, say)}"


def _guess(match: Match, say: Messages) -> str:
    """Who a face without a name may be."""
    if match.best is not None and match.answer is Answer.UNCERTAIN:
        return say("perhaps", name=match.best.name)
    return say("unknown")


def enrol_unknown(
    desk: Desk, photo: str | None, number: int | None, name: str, *, on_progress: Progress
) -> tuple[str]:
    """Enrol one of the faces of the photo: a notice.

    Args:
        desk: the engine and the language.
        photo: the same photo again.
        number: of the face, from 1, as it was shown.
        name: of the person.
        on_progress: told what is being done.
    """
    say = desk.say
    if not name.strip():
        raise InputError(say("enrol_needs_name"))
    image = desk.read(photo)
    on_progress(0.2, say("enrol_button"))
    faces = desk.recognizer.detect(image)
    if number is None or not 1 <= number <= len(faces):
        raise InputError(say("choose_person"))
    portrait = _around(image, faces.boxes[number - 1])
    return (enrolled(desk, name, [portrait], faces=FaceChoice.CENTRAL),)


def _around(image: Image, box: FloatArray) -> Image:
    """The face with a margin, as far as the photo goes."""
    height, width = image.shape[:2]
    margin = MARGIN * np.tile(box[2:] - box[:2], 2) * (-1, -1, 1, 1)
    x1, y1, x2, y2 = np.clip(box + margin, 0, (width, height, width, height)).round().astype(int)
    return np.ascontiguousarray(image[y1:y2, x1:x2])


def _summary(seen: Recognition, say: Messages) -> str:
    if not seen.matches:
        return notice("warn", say("recognise_no_face"), say("detect_none_more"))
    known = sum(match.is_known for match in seen.matches)
    title = say("recognise_summary", known=known, unknown=len(seen.matches) - known)
    return notice("good" if known else "info", title)


def _table(seen: Recognition, say: Messages) -> str:
    headings = [say("column_number"), say("column_name"), say("column_similarity"), say("column_answer")]
    rows = [
        [i, match.name or _guess(match, say), _similarity(match), _answer(match, say)]
        for i, match in enumerate(seen.matches, start=1)
    ]
    return table(headings, rows, caption=say("result"))


def _similarity(match: Match) -> str:
    return f"{match.best.similarity:.3f}" if match.best else "-"


def _answer(match: Match, say: Messages) -> str:
    if match.best is None:
        return say("empty_gallery")
    words = {
        Answer.KNOWN: say("answer_known"),
        Answer.UNCERTAIN: say("answer_uncertain"),
        Answer.UNKNOWN: f"{say('answer_unknown')}; {say('closest', name=match.best.name)}",
    }
    return f"{words[match.answer]} ({say('threshold')} {match.min_similarity:.3f})"
