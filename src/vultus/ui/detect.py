"""The Detect tab: every face in a photo, and on request what was nearly one."""

import gradio
import numpy as np

from vultus.defaults import DEFAULT_DETECTOR
from vultus.detect import DETECTORS, Explained, NearMiss, Reason
from vultus.draw import annotate, sketch
from vultus.types import FloatArray, Image
from vultus.ui.desk import Desk, Progress, detector_with, stopwatch
from vultus.ui.fields import button, photo_field, picture_field
from vultus.ui.markup import lead, notice, table
from vultus.ui.messages import Messages


def find_faces(  # noqa: PLR0917  one for each field of the tab
    desk: Desk,
    photo: str | None,
    detector: str,
    min_score: float,
    min_face_px: float,
    is_explained: bool,
    *,
    on_progress: Progress,
) -> tuple[str, Image, str]:
    """The faces of a photo: a notice, the photo with them drawn in, and a table.

    Args:
        desk: the engine and the language.
        photo: path of the uploaded file.
        detector: one of `DETECTORS`.
        min_score: 0 takes the detector's own.
        min_face_px: 0 takes the detector's own.
        is_explained: whether near misses are told, too.
        on_progress: told what is being done.
    """
    say = desk.say
    image = desk.read(photo)
    on_progress(0.2, say("detect_button"))
    options = {"min_score": min_score, "min_face_px": min_face_px}
    finder = detector_with(detector, **{name: value for name, value in options.items() if value > 0})
    with stopwatch() as seconds:
        seen = finder.explain(image) if is_explained else Explained(finder.detect(image), ())
        took = say("took", width=image.shape[1], height=image.shape[0], seconds=seconds())
    return _notice(len(seen.faces), took, say), _drawn(image, seen), _tables(seen, say)


def _notice(count: int, took: str, say: Messages) -> str:
    if count == 0:
        return notice("warn", say("detect_none"), f"{say('detect_none_more')} ({took})")
    return notice("good", say("detect_one") if count == 1 else say("detect_many", count=count), took)


def _drawn(image: Image, seen: Explained) -> Image:
    """Near misses below, faces with their numbers on top."""
    if seen.near_misses:
        boxes = np.stack([miss.box for miss in seen.near_misses])
        image = sketch(image, boxes, labels=[f"{miss.score:.2f}" for miss in seen.near_misses])
    return annotate(image, seen.faces, labels=[f"{i}" for i in range(1, len(seen.faces) + 1)])


def _tables(seen: Explained, say: Messages) -> str:
    faces = [
        [i, f"{float(face.scores[0]):.3f}", *_place(face.boxes[0])]
        for i, face in enumerate(seen.faces, start=1)
    ]
    misses = [[f"{miss.score:.3f}", *_place(miss.box), _why(miss, say)] for miss in seen.near_misses]
    columns = [say("column_score"), say("column_size"), say("column_place")]
    found = table([say("column_number"), *columns], faces, caption=say("result"))
    return found + table([*columns, say("column_why")], misses, caption=say("near_misses"))


def _place(box: FloatArray) -> tuple[str, str]:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return f"{x2 - x1} x {y2 - y1}", f"{x1}, {y1}"


def _why(miss: NearMiss, say: Messages) -> str:
    match miss.reason:
        case Reason.BELOW_MIN_SCORE:
            return say("why_below_min_score", score=miss.score, limit=miss.limit)
        case Reason.OVERLAPS:
            return say("why_overlaps", overlap=miss.overlap, limit=miss.limit)
        case Reason.TOO_SMALL:
            return say("why_too_small", size=miss.size_px, limit=miss.limit)
        case Reason.TOO_MANY:
            return say("why_too_many", limit=miss.limit)


def detect_tab(desk: Desk) -> None:
    """Lay out the tab, inside of the page that is being built."""
    say = desk.say
    gradio.HTML(lead(say("detect_lead")))
    with gradio.Row():
        with gradio.Column(scale=5, min_width=300):
            photo = photo_field(say, say("photo"), elem_id="detect-photo")
            with gradio.Accordion(say("settings"), open=False, elem_id="detect-settings"):
                detector = gradio.Dropdown(list(DETECTORS), value=DEFAULT_DETECTOR, label=say("detector"))
                score = gradio.Slider(
                    0, 0.99, 0, step=0.01, label=say("min_score"), info=say("min_score_info")
                )
                size = gradio.Slider(
                    0, 200, 0, step=5, label=say("min_face_px"), info=say("min_face_px_info")
                )
                explain = gradio.Checkbox(
                    label=say("explain"), info=say("explain_info"), elem_id="detect-explain"
                )
            start = button(say("detect_button"), elem_id="detect-start")
        with gradio.Column(scale=7, min_width=300):
            told = gradio.HTML(elem_id="detect-told")
            picture = picture_field(say, say("result"), elem_id="detect-picture")
            rows = gradio.HTML()
    start.click(
        desk.answering(find_faces, blank=(None, "")),
        inputs=[photo, detector, score, size, explain],
        outputs=[told, picture, rows],
        api_visibility="private",
    )
