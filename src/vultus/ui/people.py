"""The People tab: who is enrolled; enrol, rename, and delete after being asked."""

from collections.abc import Sequence
from typing import Any, Final

import gradio
import numpy as np

from vultus.choices import FaceChoice
from vultus.errors import InputError
from vultus.pipeline import EnrolmentPolicy
from vultus.types import Identity, Image
from vultus.ui.desk import Desk, Progress
from vultus.ui.markup import crops, facts, notice

PAGE: Final = 24  # people whose faces are shown at once
_NO_CROP: Final = np.full((112, 112, 3), 200, np.uint8)  # shown for who was enrolled without keeping pictures


def enrol_person(
    desk: Desk,
    name: str,
    files: Sequence[str] | None,
    camera: str | None,
    faces: str,
    *,
    on_progress: Progress,
) -> tuple[str, str, None, None]:
    """Enrol a person from uploaded photos and one of the camera: a notice, and emptied fields."""
    say = desk.say
    photos = [*(files or []), *([camera] if camera else [])]
    if not name.strip():
        raise InputError(say("enrol_needs_name"))
    if not photos:
        raise InputError(say("enrol_needs_photo"))
    images = [desk.read(photo) for photo in photos]
    on_progress(0.2, say("enrol_button"))
    return enrolled(desk, name, images, faces=FaceChoice(faces)), "", None, None


def enrolled(desk: Desk, name: str, images: Sequence[Image], *, faces: FaceChoice) -> str:
    """Enrol, and tell about it: the notice warns where the engine does."""
    say = desk.say
    done = desk.recognizer.enrol(name, list(images), policy=EnrolmentPolicy(faces=faces))
    more = say(
        "enrol_done_more",
        count=len(done.faces),
        total=done.identity.template_count,
        quality=min(quality.score for quality in done.qualities),
    )
    return notice(
        "warn" if done.warnings else "good",
        say("enrol_done", name=done.identity.name),
        more,
        detail=" ".join(done.warnings),
        detail_label=say("error_detail"),
    )


def list_people(desk: Desk, search: str, page: float, *, on_progress: Progress) -> tuple[Any, ...]:
    """Whose name contains `search`: a notice, a page of faces, their ids, the choice of names, the pages."""
    say = desk.say
    everybody = desk.recognizer.gallery.people()
    found = [person for person in everybody if search.strip().casefold() in person.name.casefold()]
    pages = max(1, -(-len(found) // PAGE))
    at = min(max(int(page), 1), pages)
    shown = found[(at - 1) * PAGE : at * PAGE]
    pictures = []
    for number, person in enumerate(shown):
        on_progress(number / len(shown), person.name)
        pictures.append((_portrait(desk, person), person.name))
    if found:
        told = f'<p class="v-count">{say("people_count", shown=len(shown), total=len(everybody))}</p>'
    else:
        told = notice("info", say("people_no_match") if everybody else say("people_none"))
    return (
        told,
        pictures,
        [person.id for person in shown],
        gradio.update(choices=[(person.name, person.id) for person in found]),
        gradio.update(maximum=max(pages, 2), value=at, visible=pages > 1),
    )


def _portrait(desk: Desk, person: Identity) -> Image:
    kept = (template.crop for template in desk.recognizer.gallery.templates(person.id))
    return next((crop for crop in kept if crop is not None), _NO_CROP)


def show_person(desk: Desk, person_id: str | None, *, on_progress: Progress) -> tuple[Any, str, str, Any]:
    """One person: the notice as it is, what is stored, the name to change, and whether the panel is seen."""
    if not person_id:
        return gradio.skip(), "", "", gradio.update(visible=False)
    say = desk.say
    on_progress(0.5, say("person_choose"))
    person = desk.recognizer.gallery.find(person_id)
    templates = desk.recognizer.gallery.templates(person_id)
    stored = {
        say("column_name"): person.name,
        say("person_templates"): person.template_count,
        say("person_since"): person.created[:10],
        say("person_id"): person.id[:8],
    }
    captions = [
        say("person_quality", quality=template.quality) if template.crop is not None else say("no_crop")
        for template in templates
    ]
    kept = [_NO_CROP if template.crop is None else template.crop for template in templates]
    shown = facts(stored | dict(person.metadata)) + crops(kept, captions)
    return gradio.skip(), shown, person.name, gradio.update(visible=True)


def rename_person(desk: Desk, person_id: str | None, name: str, *, on_progress: Progress) -> tuple[str]:
    """Give a person another name: a notice."""
    before = _chosen(desk, person_id)
    on_progress(0.5, desk.say("rename_button"))
    after = desk.recognizer.gallery.rename(before.id, name)
    return (notice("good", desk.say("rename_done", before=before.name, after=after.name)),)


def ask_before_deleting(desk: Desk, person_id: str | None, *, on_progress: Progress) -> tuple[str, str, Any]:
    """No notice, but the question, and the panel with its two answers."""
    person = _chosen(desk, person_id)
    on_progress(0.5, desk.say("delete_button"))
    question = desk.say("delete_ask", name=person.name, count=person.template_count)
    return "", notice("warn", question), gradio.update(visible=True)


def delete_person(desk: Desk, person_id: str | None, *, on_progress: Progress) -> tuple[str, Any, None]:
    """Delete a person and their photos: a notice, the panel with the answers closed, nobody chosen."""
    person = _chosen(desk, person_id)
    on_progress(0.5, desk.say("delete_button"))
    desk.recognizer.gallery.remove(person.id)
    desk.host.forget(person.id)
    told = notice("good", desk.say("delete_done", name=person.name, count=person.template_count))
    return told, gradio.update(visible=False), None


def _chosen(desk: Desk, person_id: str | None) -> Identity:
    if not person_id:
        raise InputError(desk.say("choose_person"))
    return desk.recognizer.gallery.find(person_id)
