"""How the Recognise tab is laid out, and which action answers to what."""

from typing import Any, Final

import gradio

from vultus.ui.desk import Desk
from vultus.ui.fields import button, photo_field, picture_field
from vultus.ui.markup import heading, lead
from vultus.ui.people_tab import Refresh
from vultus.ui.recognise import enrol_unknown, recognise_photo
from vultus.ui.recognise_video import recognise_video

MAX_FRAMES: Final = 300
USUAL_FRAMES: Final = 30

# What a new photo makes of the last answer: told, picture, rows, number, panel, enrol_told. In the browser,
# because a way to the server and back may take longer than the answer to a quick click, and would wipe it.
NOTHING_YET: Final = """() => [
    "", null, "", {__type__: "update", choices: [], value: null}, {__type__: "update", visible: false}, ""
]"""


def recognise_tab(desk: Desk, refresh_people: Refresh) -> None:
    """Lay out the tab, inside of the page that is being built."""
    gradio.HTML(lead(desk.say("recognise_lead")))
    with gradio.Tabs():
        with gradio.Tab(desk.say("recognise_photo"), elem_id="recognise-photo-tab"):
            _photo(desk, refresh_people)
        with gradio.Tab(desk.say("recognise_video"), elem_id="recognise-video-tab"):
            _video(desk)


def _photo(desk: Desk, refresh_people: Refresh) -> None:
    say = desk.say
    with gradio.Row():
        with gradio.Column(scale=5, min_width=300):
            photo = photo_field(say, say("photo"), elem_id="recognise-photo")
            start = button(say("recognise_button"), elem_id="recognise-start")
            with gradio.Column(visible=False, elem_classes="v-panel") as panel:
                gradio.HTML(heading(say("unknown_enrol")))
                number = gradio.Radio([], label=say("unknown_face"), elem_id="unknown-face")
                name = gradio.Textbox(
                    label=say("person_name"),
                    placeholder=say("person_name_hint"),
                    max_lines=1,
                    elem_id="unknown-name",
                )
                enrol = button(say("enrol_button"), elem_id="unknown-enrol", variant="secondary")
            enrol_told = gradio.HTML(elem_id="unknown-told")
        with gradio.Column(scale=7, min_width=300):
            told = gradio.HTML(elem_id="recognise-told")
            picture = picture_field(say, say("result"), elem_id="recognise-picture")
            rows = gradio.HTML(elem_id="recognise-rows")
    hidden = gradio.update(visible=False)
    results = [told, picture, rows, number, panel]
    recognising: dict[str, Any] = {
        "fn": desk.answering(recognise_photo, blank=(None, "", gradio.update(choices=[]), hidden)),
        "inputs": [photo],
        "outputs": results,
        "api_visibility": "private",
    }
    photo.change(fn=None, js=NOTHING_YET, outputs=[*results, enrol_told], api_visibility="private")
    start.click(**recognising)
    done = gradio.on(
        [enrol.click, name.submit],
        desk.answering(enrol_unknown, blank=(), scope="enrol", changes="somebody new"),
        inputs=[photo, number, name],
        outputs=[enrol_told],
        api_visibility="private",
    )
    done.then(**recognising)
    refresh_people(done)


def _video(desk: Desk) -> None:
    say = desk.say
    with gradio.Row():
        with gradio.Column(scale=5, min_width=300):
            video = gradio.File(
                label=f"{say('video')} ({say('video_hint')})",
                file_types=[".mp4", ".mov", ".mkv", ".webm", ".avi"],
                height=180,
                elem_id="video-file",
            )
            frames = gradio.Slider(
                1, MAX_FRAMES, USUAL_FRAMES, step=1, label=say("video_frames"), info=say("video_frames_info")
            )
            start = button(say("video_button"), elem_id="video-start")
        with gradio.Column(scale=7, min_width=300):
            told = gradio.HTML(elem_id="video-told")
            rows = gradio.HTML(elem_id="video-rows")
            shown = gradio.Gallery(
                label=say("video_frames_shown"),
                columns=3,
                fit_columns=False,  # or a single frame would fill the place, and be cut off
                object_fit="contain",
                height="auto",
                format="jpeg",
                buttons=["fullscreen"],
                elem_id="video-frames",
            )
    start.click(
        desk.answering(recognise_video, blank=([], "")),
        inputs=[video, frames],
        outputs=[told, shown, rows],
        api_visibility="private",
    )
