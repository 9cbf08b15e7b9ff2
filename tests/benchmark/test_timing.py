"""Percentiles are times that did occur; what warms up does not count."""

import pytest

from vultus.benchmark.timing import MIN_ROUNDS, WARM_UP, latency_of, times_of


def test_percentiles_by_hand() -> None:
    latency = latency_of([0.001 * i for i in range(1, 101)])
    assert latency.rounds == 100
    assert latency.median_ms == pytest.approx(51)
    assert latency.p90_ms == pytest.approx(91)
    assert latency.p99_ms == pytest.approx(100)
    assert latency.least_ms == pytest.approx(1)


def test_one_call_is_all_of_its_percentiles() -> None:
    latency = latency_of([0.25])
    assert (latency.median_ms, latency.p99_ms, latency.least_ms) == (250, 250, 250)


def test_calls_that_warm_up_are_not_timed() -> None:
    calls: list[int] = []
    assert len(times_of(lambda: calls.append(1), rounds=7)) == 7
    assert len(calls) == 7 + WARM_UP


def test_no_further_call_is_begun_after_the_time_is_up() -> None:
    assert len(times_of(lambda: None, rounds=1000, max_seconds=0)) == MIN_ROUNDS
