"""The fields that several tabs share."""

from typing import Any, Final

import gradio

from vultus.choices import FaceChoice
from vultus.ui.messages import Messages

PHOTO_PX: Final = 340  # how high an uploaded photo is shown; the file stays as it is
_CHOICES: Final = {choice: f"faces_{choice}" for choice in FaceChoice}


def photo_field(say: Messages, label: str, *, elem_id: str) -> gradio.Image:
    """A photo from a file, the camera or the clipboard; an action gets the path of the uploaded file.

    Gradio opens a photo before the action is called: with no cap of ours on its pixels, and with an error in
    its own words. So the field only hands on the path, which Gradio has checked to be one of its uploads, and
    the engine reads the file as it reads every other.
    """
    field = gradio.Image(
        label=label,
        type="filepath",
        sources=["upload", "webcam", "clipboard"],
        height=PHOTO_PX,
        placeholder=say("photo_hint"),
        buttons=[],
        elem_id=elem_id,
    )
    field.preprocess = _path_of  # type: ignore[method-assign]  # a subclass makes Gradio write files into src/
    return field


def _path_of(payload: Any) -> str | None:
    return None if payload is None else payload.path


def picture_field(say: Messages, label: str, *, elem_id: str) -> gradio.Image:
    """A picture that the engine drew."""
    return gradio.Image(
        label=label,
        interactive=False,
        format="jpeg",
        buttons=["download", "fullscreen"],
        alt_text=say("photo_alt"),
        elem_id=elem_id,
    )


def faces_field(say: Messages, *, elem_id: str) -> gradio.Radio:
    """Which face of a photo is meant."""
    return gradio.Radio(
        [(say(key), str(choice)) for choice, key in _CHOICES.items()],
        value=str(FaceChoice.ONLY),
        label=say("which_face"),
        elem_id=elem_id,
    )


def button(label: str, *, elem_id: str, variant: Any = "primary") -> gradio.Button:
    """What starts an action."""
    return gradio.Button(label, variant=variant, elem_id=elem_id)
