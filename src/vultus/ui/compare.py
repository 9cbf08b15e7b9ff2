"""The Compare tab: do two photos show the same person?"""

import gradio

from vultus.choices import Answer
from vultus.pipeline import calibration_for
from vultus.types import Verification
from vultus.ui.desk import Desk, Progress
from vultus.ui.fields import button, faces_field, photo_field
from vultus.ui.markup import crops, heading, lead, meter, notice, rounded_down, text
from vultus.ui.messages import Messages


def compare_faces(
    desk: Desk, first: str | None, second: str | None, faces: str, *, on_progress: Progress
) -> tuple[str, str]:
    """Two photos against each other: the verdict, and what it means, with the faces as they were compared."""
    say = desk.say
    images = [desk.read(first), desk.read(second)]
    on_progress(0.2, say("compare_button"))
    verification = desk.recognizer.verify(images[0], images[1], faces=faces)
    aligned = [
        desk.recognizer.embedder.align(image, face)[0]
        for image, face in zip(images, verification.faces, strict=True)
    ]
    named = [say("compare_first"), say("compare_second")]
    return _verdict(verification, say), (
        meter(verification.similarity, verification.min_similarity, say=say)
        + heading(say("crops"))
        + crops(aligned, named)
        + f'<p class="v-fine">{text(_meaning(desk, verification.min_similarity))}</p>'
    )


def _verdict(verification: Verification, say: Messages) -> str:
    more = f"{say('similarity')} {verification.similarity:.3f}. {_rarity(verification, say)}"
    match verification.answer:
        case Answer.KNOWN:
            return notice("good", say("compare_same"), more)
        case Answer.UNCERTAIN:
            return notice("warn", say("compare_uncertain"), more)
        case _:
            return notice("info", say("compare_different"), more)


def _rarity(verification: Verification, say: Messages) -> str:
    """How often strangers are as alike as these two faces, where that was measured."""
    if verification.fmr is None:
        return ""
    return say("compare_fmr", count=rounded_down(1 / verification.fmr))


def _meaning(desk: Desk, min_similarity: float) -> str:
    words = desk.say("compare_meaning", threshold=min_similarity)
    calibration = calibration_for(desk.recognizer.embedder, desk.recognizer.gallery)
    data = "" if calibration is None else calibration.about.get("data", "")
    return f"{words} {desk.say('measured_on', data=data)}" if data else words


def compare_tab(desk: Desk) -> None:
    """Lay out the tab, inside of the page that is being built."""
    say = desk.say
    gradio.HTML(lead(say("compare_lead")))
    with gradio.Row():
        with gradio.Column(scale=7, min_width=300):
            with gradio.Row():
                first = photo_field(say, say("compare_first"), elem_id="compare-first")
                second = photo_field(say, say("compare_second"), elem_id="compare-second")
            faces = faces_field(say, elem_id="compare-faces")
            start = button(say("compare_button"), elem_id="compare-start")
        with gradio.Column(scale=5, min_width=300):
            told = gradio.HTML(elem_id="compare-told")
            shown = gradio.HTML(elem_id="compare-shown")
    start.click(
        desk.answering(compare_faces, blank=("",)),
        inputs=[first, second, faces],
        outputs=[told, shown],
        api_visibility="private",
    )
