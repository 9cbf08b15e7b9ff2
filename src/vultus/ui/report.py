"""The Report tab: what similarities and thresholds mean, in this gallery and in published measurements."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gradio
import numpy as np

from vultus.evaluate import genuine_similarities, impostor_similarities, rates_at, read_report
from vultus.evaluate.verification_plots import scores_figure
from vultus.image import load_image
from vultus.match import expected_fpir
from vultus.pipeline import calibration_for
from vultus.types import Embeddings, Image
from vultus.ui.desk import Desk, Progress
from vultus.ui.markup import facts, heading, notice, rounded_down, table, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_RATES: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # false match rates of the table


def measure_gallery(desk: Desk, *, on_progress: Progress) -> tuple[str, str, Any]:
    """How well the enrolled photos tell people apart: a notice, the figures, the two distributions."""
    say, threshold = desk.say, desk.recognizer.min_similarity
    embeddings, owners = _enrolled(desk, on_progress)
    people = len(set(owners))
    if people < 3 or len(owners) == people:
        more = say("report_too_few_more", people=people, templates=len(owners))
        return notice("info", say("report_too_few"), more), "", gradio.update(visible=False)
    rates = rates_at(embeddings, owners, threshold=threshold)
    figures = {
        say("report_genuine"): f"{rates.n_genuine:,}",
        say("report_impostor"): f"{rates.n_impostors:,}",
        say("report_fmr", threshold=threshold): f"{rates.fmr:.3%}",
        say("report_interval"): f"{rates.fmr_interval.low:.3%} - {rates.fmr_interval.high:.3%}",
        say("report_fnmr", threshold=threshold): f"{rates.fnmr:.2%}",
    }
    plot = scores_figure(
        genuine_similarities(embeddings, owners),
        impostor_similarities(embeddings, owners),
        title="",
        thresholds={"min_similarity": threshold},
    )
    told = notice("good", say("report_done", people=people, templates=len(owners)), say("report_small"))
    return told, facts(figures), gradio.update(value=_drawn(plot), visible=True)


def _enrolled(desk: Desk, on_progress: Progress) -> tuple[Embeddings, list[int]]:
    """The (M, D) embeddings of everybody, and whose they are."""
    everybody = desk.recognizer.gallery.people()
    rows, owners = [np.zeros((0, 1), np.float32)], list[int]()
    for number, person in enumerate(everybody):
        on_progress(
            number / len(everybody), desk.say("report_working", done=number + 1, total=len(everybody))
        )
        templates = desk.recognizer.gallery.templates(person.id)
        rows.append(np.stack([template.embedding for template in templates]))
        owners += [number] * len(templates)
    return np.concatenate(rows[1:] or rows), owners


def _drawn(figure: "Figure") -> Image:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return load_image(picture.getvalue())


def meaning(desk: Desk) -> str:
    """What similarities mean: error rates at some thresholds, and what they were measured on."""
    say = desk.say
    calibration = calibration_for(desk.recognizer.embedder, desk.recognizer.gallery)
    if calibration is None:
        return notice("info", say("report_no_calibration"))
    shown = [next((one for one in calibration.rates if one.fmr <= fmr), None) for fmr in SHOWN_RATES]
    rows = [
        [f"{one.threshold:.3f}", say("one_in", count=rounded_down(1 / one.fmr)), f"{one.fnmr:.1%}"]
        for one in shown
        if one is not None and one.fmr > 0
    ]
    headings = [say("column_threshold"), say("column_fmr"), say("column_fnmr")]
    data = calibration.about.get("data", "")
    below = f'<p class="v-fine">{text(say("measured_on", data=data))}</p>' if data else ""
    return table(headings, rows, caption=say("report_meaning")) + below


def strangers(desk: Desk, fmr: float, people: float | None, *, on_progress: Progress) -> tuple[str]:
    """How many strangers match somebody among so many people."""
    on_progress(0.5, desk.say("report_strangers"))
    count = int(people or 0)
    share = expected_fpir(fmr, gallery_size=count)
    told = desk.say("report_fpir", share=f"{share:.2%}", people=f"{count:,}")
    return (f'<p class="v-figure">{text(told)}</p>',)


def show_report(
    desk: Desk, number: int | None, *, on_progress: Progress
) -> tuple[str, str, list[tuple[Image, str]]]:
    """One of the reports: no notice, its figures and protocol, its plots."""
    if number is None:
        return "", "", []
    say, folder = desk.say, desk.reports[number]
    on_progress(0.3, say("report_choice"))
    report = read_report(folder)
    tables = report.tables()
    headings = {"Figures": "report_figures", "Setting": "report_setting", "Measured": "report_measured"}
    shown = heading(report.title, report.protocol) + "".join(
        f"<h3>{text(say(key))}</h3>{facts(tables[name])}" for name, key in headings.items()
    )
    return "", shown, [(_picture(folder, name), Path(name).stem) for name in report.pictures]


def _picture(folder: Path, name: str) -> Image:
    return load_image(folder / Path(name).name)  # a report names files beside it, whatever it says


def titles(desk: Desk) -> list[tuple[str, Any]]:
    """The reports to choose from: each folder's name and its number."""
    return [(folder.name, number) for number, folder in enumerate(desk.reports)]
