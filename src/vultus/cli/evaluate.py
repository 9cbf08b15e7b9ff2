"""`vultus evaluate`: measure the whole pipeline on labelled images, by the rules of the field."""

from __future__ import annotations

import typer

from vultus.cli import (
    evaluate_detection,
    evaluate_ijb,
    evaluate_pairs,
    evaluate_people,
    evaluate_report,
    evaluate_slices,
)
from vultus.cli.evaluate_pairs import set_command

app = typer.Typer(
    no_args_is_help=True, help="Measure the pipeline on labelled images: accuracy, error rates, thresholds."
)
PAIRS, PEOPLE, OTHERS = "Verification (1:1)", "Folders of people", "Detection, reports"

_FOLDS = "6,000 pairs in ten folds"

app.command(rich_help_panel=PAIRS)(evaluate_pairs.pairs)
app.command(
    "lfw",
    rich_help_panel=PAIRS,
    help=f"LFW, view 2: {_FOLDS}; DIR holds pairs.txt and lfw-deepfunneled/, lfw_funneled/ or lfw/ (raw)."
    "\n\nExample: vultus evaluate lfw --data lfw --report runs/lfw",
)(set_command("lfw"))
app.command(rich_help_panel=PAIRS)(evaluate_pairs.cfp)
app.command(
    "agedb",
    rich_help_panel=PAIRS,
    help=f"AgeDB-30, 30 years apart: {_FOLDS}; DIR holds agedb_30_pair.txt and agedb30_align_112/ or images/."
    "\n\nExample: vultus evaluate agedb --data agedb-30 --aligned --flip",
)(set_command("agedb-30"))
app.command(
    "calfw",
    rich_help_panel=PAIRS,
    help=f"CALFW, across age: {_FOLDS}; DIR holds pairs_CALFW.txt and 'aligned images/' or images/."
    "\n\nExample: vultus evaluate calfw --data calfw",
)(set_command("calfw"))
app.command(
    "cplfw",
    rich_help_panel=PAIRS,
    help=f"CPLFW, across pose: {_FOLDS}; DIR holds pairs_CPLFW.txt and 'aligned images/' or images/."
    "\n\nExample: vultus evaluate cplfw --data cplfw",
)(set_command("cplfw"))
app.command("bin", rich_help_panel=PAIRS)(evaluate_pairs.pack)
app.command(rich_help_panel=PAIRS)(evaluate_ijb.ijb)
app.command(rich_help_panel=PEOPLE)(evaluate_people.people)
app.command(rich_help_panel=PEOPLE)(evaluate_people.identify)
app.command(rich_help_panel=PEOPLE)(evaluate_people.classify)
app.command(rich_help_panel=PEOPLE)(evaluate_slices.robustness)
app.command(rich_help_panel=PEOPLE)(evaluate_slices.slices)
app.command(rich_help_panel=OTHERS)(evaluate_detection.widerface)
app.command(rich_help_panel=OTHERS)(evaluate_report.report)
