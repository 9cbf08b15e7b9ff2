"""How the Report tab is laid out, and which action answers to what."""

from typing import Final

import gradio

from vultus.ui.desk import Desk
from vultus.ui.fields import button
from vultus.ui.markup import heading, lead, notice
from vultus.ui.report import meaning, measure_gallery, show_report, strangers, titles

RATES: Final = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def report_tab(desk: Desk) -> None:
    """Lay out the tab, inside of the page that is being built."""
    gradio.HTML(lead(desk.say("report_lead")))
    with gradio.Row():
        with gradio.Column(scale=7, min_width=300):
            _gallery(desk)
        with gradio.Column(scale=5, min_width=300):
            gradio.HTML(heading(desk.say("report_meaning"), desk.say("report_meaning_lead")))
            gradio.HTML(lambda: meaning(desk), elem_id="report-meaning")
            _strangers(desk)
    _files(desk)


def _gallery(desk: Desk) -> None:
    say = desk.say
    gradio.HTML(heading(say("report_gallery"), say("report_gallery_lead")))
    start = button(say("report_button"), elem_id="report-start")
    told = gradio.HTML(elem_id="report-told")
    figures = gradio.HTML(elem_id="report-figures")
    plot = gradio.Image(
        label=say("report_scores"),
        visible=False,
        interactive=False,
        format="png",
        buttons=["download"],
        elem_id="report-plot",
    )
    start.click(
        desk.answering(measure_gallery, blank=("", gradio.update(visible=False))),
        outputs=[told, figures, plot],
        api_visibility="private",
    )


def _strangers(desk: Desk) -> None:
    say = desk.say
    gradio.HTML(heading(say("report_strangers"), say("report_strangers_lead")))
    rate = gradio.Dropdown(
        [(f"1 : {round(1 / rate):,}", rate) for rate in RATES], value=RATES[1], label=say("report_fmr_choice")
    )
    people = gradio.Number(1000, label=say("report_size"), precision=0, minimum=1, elem_id="report-size")
    at_first = strangers(desk, RATES[1], people.value, on_progress=lambda *_: None)
    told = gradio.HTML(*at_first, elem_id="report-strangers")
    gradio.on(
        [rate.change, people.change],
        desk.answering(strangers, blank=()),
        inputs=[rate, people],
        outputs=[told],
        show_progress="hidden",
        api_visibility="private",
    )


def _files(desk: Desk) -> None:
    say = desk.say
    gradio.HTML(heading(say("report_files")))
    if not desk.reports:
        gradio.HTML(notice("info", say("report_files_none")))
        return
    choices = titles(desk)
    choice = gradio.Dropdown(choices, value=None, label=say("report_choice"), elem_id="report-choice")
    told = gradio.HTML()
    shown = gradio.HTML(elem_id="report-shown")
    plots = gradio.Gallery(
        show_label=False, columns=2, format="png", buttons=["download"], object_fit="contain"
    )
    choice.change(
        desk.answering(show_report, blank=("", [])),
        inputs=[choice],
        outputs=[told, shown, plots],
        api_visibility="private",
    )
