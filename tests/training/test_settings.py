"""Knobs out of their range are refused with their name."""

from typing import Any

import pytest

from vultus.errors import InputError
from vultus.training.settings import UNIMPORTANT, TrainSettings


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("epochs", 0),
        ("batch_size", -1),
        ("seed", -1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("momentum", -0.1),
        ("weight_decay", -1e-4),
        ("warmup_epochs", -1.0),
        ("final_lr_share", 1.5),
        ("accumulate", 0),
        ("clip_norm", 0.0),
        ("ema_decay", 1.0),
        ("ema_decay", -0.1),
        ("log_every", 0),
        ("validate_every", 0),
        ("patience", 0),
        ("workers", -1),
        ("threads", 0),
        ("devices", 0),
        ("milestones", (5, 3)),
        ("milestones", (3, 3)),
        ("optimizer", "lion"),
        ("schedule", "linear"),
        ("precision", "16-mixed"),
    ],
)
def test_a_knob_out_of_range_is_refused(knob: str, value: Any) -> None:
    with pytest.raises(InputError, match=knob):
        TrainSettings(**{knob: value})


@pytest.mark.parametrize("knob", ["clip_norm", "ema_decay", "patience", "threads"])
def test_what_is_optional_can_be_none(knob: str) -> None:
    nothing: dict[str, Any] = {knob: None}
    assert getattr(TrainSettings(**nothing), knob) is None


def test_what_may_change_when_a_run_goes_on_changes_no_number() -> None:
    assert {"lr", "batch_size", "seed", "epochs", "precision", "ema_decay"}.isdisjoint(UNIMPORTANT)
    assert {"checkpoint_minutes", "workers", "threads", "devices", "log_every"} <= UNIMPORTANT
