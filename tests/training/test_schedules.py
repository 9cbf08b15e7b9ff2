"""The learning rate against values worked out by hand."""

import math
from typing import Any

import pytest

from vultus.training.schedules import lr_factor
from vultus.training.settings import TrainSettings


def factors(count: int, *, steps_per_epoch: int = 4, **knobs: Any) -> list[float]:
    settings = TrainSettings(**knobs)
    return [lr_factor(step, settings=settings, steps_per_epoch=steps_per_epoch) for step in range(count)]


def test_the_warm_up_grows_linearly_and_ends_at_one() -> None:
    assert factors(6, schedule="constant", warmup_epochs=1.0) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors(3, schedule="constant", warmup_epochs=0.5) == [0.5, 1, 1]


def test_milestones_divide_from_their_epoch_on() -> None:
    told = factors(16, epochs=4, schedule="milestones", milestones=(1, 3), gamma=0.1)
    assert told == pytest.approx([1] * 4 + [0.1] * 8 + [0.01] * 4)


def test_the_cosine_falls_from_one_to_its_end() -> None:
    told = factors(9, epochs=2, schedule="cosine")
    expected = [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)]
    assert told == pytest.approx(expected)
    assert told[4] == pytest.approx(0.5)
    assert told[8] == pytest.approx(0.0)


def test_after_the_warm_up_the_whole_cosine_follows() -> None:
    told = factors(8, epochs=2, schedule="cosine", warmup_epochs=1.0, final_lr_share=0.2)
    assert told[3:5] == [1, 1]
    assert told[6] == pytest.approx(0.2 + 0.8 * 0.5)


def test_the_polynomial_is_a_power_of_what_is_left() -> None:
    told = factors(4, epochs=1, schedule="poly", power=2.0)
    assert told == pytest.approx([1, 9 / 16, 4 / 16, 1 / 16])
    assert factors(3, epochs=1, schedule="poly", power=1.0, final_lr_share=0.5)[2] == pytest.approx(0.75)


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
def test_beyond_the_end_it_stays(schedule: str) -> None:
    assert factors(20, epochs=1, schedule=schedule, final_lr_share=0.1)[-1] == pytest.approx(0.1)


def test_a_warm_up_as_long_as_the_run_is_no_crash() -> None:
    assert factors(5, epochs=1, schedule="cosine", warmup_epochs=1.0) == [0.25, 0.5, 0.75, 1, 1]
