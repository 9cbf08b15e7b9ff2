"""How the People tab is laid out, and which action answers to what."""

from collections.abc import Callable
from typing import Any

import gradio

from vultus.ui.desk import Desk
from vultus.ui.fields import button, faces_field, photo_field
from vultus.ui.markup import heading, lead
from vultus.ui.people import (
    ask_before_deleting,
    delete_person,
    enrol_person,
    list_people,
    rename_person,
    show_person,
)

Refresh = Callable[[Any], None]
"""Takes an event, and renews the head of the page after it."""


def people_tab(desk: Desk, tab: gradio.Tab, refresh_header: Refresh) -> Refresh:
    """Lay out the tab, inside of the page that is being built; what it returns renews its list."""
    say = desk.say
    gradio.HTML(lead(say("people_lead")))
    with gradio.Row():
        with gradio.Column(scale=5, min_width=300):
            enrol = _EnrolPanel(desk)
        with gradio.Column(scale=7, min_width=300):
            people = _PeoplePanel(desk)
            person = _PersonPanel(desk, people.person)

    def refresh(event: Any) -> None:
        people.list_after(event)
        refresh_header(event)

    refresh(enrol.start())
    refresh(person.rename())
    refresh(person.delete())
    people.answer(tab)
    return refresh


class _EnrolPanel:
    def __init__(self, desk: Desk) -> None:
        self._desk, say = desk, desk.say
        gradio.HTML(heading(say("people_enrol")))
        self._name = gradio.Textbox(
            label=say("person_name"), placeholder=say("person_name_hint"), max_lines=1, elem_id="enrol-name"
        )
        self._files = gradio.File(
            label=say("person_photos"),
            file_count="multiple",
            file_types=["image"],
            height=150,
            elem_id="enrol-photos",
        )
        with gradio.Accordion(say("person_camera"), open=False):
            self._camera = photo_field(say, say("photo"), elem_id="enrol-camera")
        self._faces = faces_field(say, elem_id="enrol-faces")
        self._start = button(say("enrol_button"), elem_id="enrol-start")
        self._told = gradio.HTML(elem_id="enrol-told")

    def start(self) -> Any:
        kept = (gradio.skip(),) * 3  # a refused photo leaves the fields as they are
        return self._start.click(
            self._desk.answering(enrol_person, blank=kept, scope="enrol", changes="somebody new"),
            inputs=[self._name, self._files, self._camera, self._faces],
            outputs=[self._told, self._name, self._files, self._camera],
            api_visibility="private",
        )


class _PeoplePanel:
    def __init__(self, desk: Desk) -> None:
        self._desk, say = desk, desk.say
        gradio.HTML(heading(say("people_all")))
        self._search = gradio.Textbox(
            label=say("people_search"),
            placeholder=say("people_search_hint"),
            max_lines=1,
            elem_id="people-search",
        )
        self._told = gradio.HTML(elem_id="people-told")
        self._faces = gradio.Gallery(
            show_label=False,
            columns=6,
            fit_columns=False,
            object_fit="cover",
            allow_preview=False,
            buttons=[],
            height="auto",
            format="png",
            elem_id="people-faces",
        )
        self._ids = gradio.State([])
        self._page = gradio.Slider(1, 2, 1, step=1, label=say("people_page"), visible=False)
        self.person = gradio.Dropdown(
            [],
            value=None,
            label=say("person_choose"),
            info=say("person_choose_info"),
            elem_id="people-person",
        )

    def list_after(self, event: Any) -> None:
        event.then(**self._listing())

    def answer(self, tab: gradio.Tab) -> None:
        """Renew the list when the tab is opened, and at every letter of a search."""
        gradio.on([tab.select, self._search.change, self._page.release], **self._listing())
        self._faces.select(
            _id_of,
            inputs=[self._ids],
            outputs=[self.person],
            show_progress="hidden",
            api_visibility="private",
        )

    def _listing(self) -> dict[str, Any]:
        return {
            "fn": self._desk.answering(list_people, blank=([], [], gradio.skip(), gradio.skip())),
            "inputs": [self._search, self._page],
            "outputs": [self._told, self._faces, self._ids, self.person, self._page],
            "show_progress": "hidden",
            "trigger_mode": "always_last",
            "api_visibility": "private",
        }


def _id_of(ids: list[str], event: gradio.SelectData) -> str:
    return str(ids[event.index])


class _PersonPanel:
    def __init__(self, desk: Desk, person: gradio.Dropdown) -> None:
        self._desk, self._person, say = desk, person, desk.say
        with gradio.Column(visible=False, elem_classes="v-panel") as self._panel:
            self._stored = gradio.HTML(elem_id="person-stored")
            with gradio.Row(equal_height=True, elem_classes="v-inline"):
                self._name = gradio.Textbox(
                    label=say("person_new_name"), max_lines=1, scale=3, elem_id="person-name"
                )
                self._rename = button(say("rename_button"), elem_id="person-rename", variant="secondary")
            self._delete = button(say("delete_button"), elem_id="person-delete", variant="secondary")
            with gradio.Column(visible=False) as self._sure:
                self._question = gradio.HTML(elem_id="delete-question")
                with gradio.Row():
                    self._yes = button(say("delete_yes"), elem_id="delete-yes", variant="stop")
                    self._no = button(say("delete_no"), elem_id="delete-no", variant="secondary")
        self._told = gradio.HTML(elem_id="person-told")
        person.change(**self._showing())
        person.input(lambda: "", outputs=[self._told], show_progress="hidden", api_visibility="private")

    def _showing(self) -> dict[str, Any]:
        return {
            "fn": self._desk.answering(show_person, blank=("", "", gradio.update(visible=False))),
            "inputs": [self._person],
            "outputs": [self._told, self._stored, self._name, self._panel],
            "show_progress": "hidden",
            "api_visibility": "private",
        }

    def rename(self) -> Any:
        renamed = gradio.on(
            [self._rename.click, self._name.submit],
            self._desk.answering(rename_person, blank=(), scope="enrol", changes="somebody"),
            inputs=[self._person, self._name],
            outputs=[self._told],
            api_visibility="private",
        )
        return renamed.then(**self._showing())

    def delete(self) -> Any:
        hidden = gradio.update(visible=False)
        self._delete.click(
            self._desk.answering(ask_before_deleting, blank=("", hidden), scope="admin"),
            inputs=[self._person],
            outputs=[self._told, self._question, self._sure],
            api_visibility="private",
        )
        self._no.click(lambda: hidden, outputs=[self._sure], api_visibility="private")
        return self._yes.click(
            self._desk.answering(
                delete_person, blank=(hidden, gradio.skip()), scope="admin", changes="somebody"
            ),
            inputs=[self._person],
            outputs=[self._told, self._sure, self._person],
            api_visibility="private",
        )
