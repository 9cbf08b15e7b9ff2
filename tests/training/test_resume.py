"""A run that is killed again and again ends as one that never was: same samples, same numbers to the bit."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from vultus.training.samples import shuffled

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("killed_run.py")
COUNT, EPOCHS = 27, 3
BATCHES = 7  # of 4 samples; the last one has 3
DEATHS = 3

PLAIN: dict[str, Any] = {
    "epochs": EPOCHS,
    "batch_size": 4,
    "lr": 0.02,
    "checkpoint_minutes": 0,  # after every step
    "log_every": 1,
    "validate_every": 2,  # and after the last epoch
    "ema_decay": 0.9,
    "threads": 1,
}
RUNS: dict[str, dict[str, Any]] = {
    "sgd": {"accumulate": 3, "schedule": "milestones", "milestones": [1, 2], "clip_norm": 0.5},
    "adamw": {"optimizer": "adamw", "accumulate": 2, "warmup_epochs": 0.5, "workers": 2},
    "bfloat16": {"optimizer": "adam", "precision": "bf16-mixed", "schedule": "poly", "ema_decay": None},
    "other workers": {},
    "two processes": {"accumulate": 2, "workers": 1},
    "other processes": {},
}
SHARED = ("two processes", "other processes")
WORKERS, PROCESSES = (0, 2, 2, 1), (2, 1, 2, 1)  # of each attempt
CHOSEN: dict[str, list[tuple[str, int]]] = {
    # After the validation of the second epoch, before it is saved: it is done again.
    "bfloat16": [("save", 2 * BATCHES + 1), ("forward", 0), ("save", 0)],
    # All in the first epoch; the second change of workers is none.
    "other workers": [("forward", 3), ("forward", 2), ("save", 1)],
}


def attempts(name: str) -> list[dict[str, Any]]:
    """Deaths in a forward pass, or between a step and its checkpoint, most at random; the last survives."""
    chance, window = random.Random(name), RUNS[name].get("accumulate", 1)
    forwards = BATCHES * EPOCHS // DEATHS
    places = [("forward", forwards), ("forward", forwards), ("save", forwards // window)]
    drawn = [(place, chance.randint(0, most)) for place, most in chance.choices(places, k=DEATHS)]
    made: list[dict[str, Any]] = [{"death": list(death)} for death in CHOSEN.get(name, drawn)]
    made.append({})
    for attempt, workers, processes in zip(made, WORKERS, PROCESSES, strict=True):
        if name == "other workers":
            attempt["knobs"] = {"workers": workers}
        if name in SHARED:
            attempt["processes"] = processes if name == "other processes" else 2
    return made


def cases() -> dict[str, Any]:
    """Each run with its deaths, and without; what is shared also by one process."""
    told: dict[str, Any] = {}
    for name, own in RUNS.items():
        case = {"knobs": PLAIN | own, "is_shared": name in SHARED}
        alive = {"processes": 2 if name in SHARED else 1}
        told[name] = case | {"attempts": attempts(name)}
        told[f"{name}, uninterrupted"] = case | {"attempts": [alive]}
    told["one process"] = told["two processes"] | {"attempts": [{}]}
    return told


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "cases.json").write_text(json.dumps(cases()))
    done = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


every_run = pytest.mark.parametrize("name", RUNS)
every_exact_run = pytest.mark.parametrize("name", [*RUNS][:-1])


def seen(run: Path, attempt: int, rank: int = 0) -> list[list[tuple[int, int, int]]]:
    """The draws (epoch, batch, sample) of each forward pass."""
    diary = run / f"seen-{attempt}-{rank}.jsonl"
    return [[tuple(draw) for draw in json.loads(line)] for line in diary.read_text().splitlines()]


def rows(file: Path) -> list[dict[str, str]]:
    """Of log.csv or validation.csv, without what no two runs share."""
    with file.open(newline="") as stream:
        found = [
            {key: row[key] for key in row if key != "samples_per_second"} for row in csv.DictReader(stream)
        ]
    assert found
    return found


def weights(file: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    assert found
    return found


def checkpoint(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(run / "last.ckpt", weights_only=True)
    return found


@every_run
def test_an_epoch_has_each_sample_once(name: str, runs: Path) -> None:
    whole = runs / f"{name}, uninterrupted"
    draws = [
        draw for rank in range(2 if name in SHARED else 1) for batch in seen(whole, 0, rank) for draw in batch
    ]
    assert len(draws) == EPOCHS * COUNT
    for epoch in range(EPOCHS):
        assert sorted(sample for number, _, sample in draws if number == epoch) == list(range(COUNT))


@every_run
def test_a_killed_run_goes_on_at_the_very_batch(name: str, runs: Path) -> None:
    """Each attempt repeats at most the step in which the one before died, and leaves nothing out."""
    plan = shuffled(COUNT, PLAIN["batch_size"], seed=0)
    window, end, begins = RUNS[name].get("accumulate", 1), 0, []
    for number, attempt in enumerate(attempts(name)):
        batches = seen(runs / name, number)
        places = [epoch * BATCHES + batch for epoch, batch, _ in (batch[0] for batch in batches)]
        begin = places[0] if places else end
        assert end - window <= begin <= end
        assert places == list(range(begin, begin + len(places)))
        for batch in batches:
            epoch, place, _ = batch[0]
            assert [draw[2] for draw in batch] == plan(epoch)[place][:: attempt.get("processes", 1)]
        begins.append(begin)
        end = begin + len(places)
    assert end == EPOCHS * BATCHES
    assert max(begins) > 0


@every_exact_run
def test_it_ends_with_the_same_bits(name: str, runs: Path) -> None:
    killed, whole = runs / name, runs / f"{name}, uninterrupted"
    kept, kept_whole = weights(killed / "best.pt"), weights(whole / "best.pt")
    assert kept.keys() == kept_whole.keys()
    assert all(torch.equal(kept[key], value) for key, value in kept_whole.items())
    last, expected = checkpoint(killed), checkpoint(whole)
    for part in ("learner", "average") if "average" in expected else ("learner",):
        assert all(torch.equal(last[part][key], value) for key, value in expected[part].items())
    assert last["position"] == expected["position"]


@every_exact_run
def test_its_log_is_that_of_a_run_that_never_stopped(name: str, runs: Path) -> None:
    killed, whole = runs / name, runs / f"{name}, uninterrupted"
    log = rows(killed / "log.csv")
    assert [int(row["step"]) for row in log] == list(range(1, len(log) + 1))
    assert log == rows(whole / "log.csv")
    assert rows(killed / "validation.csv") == rows(whole / "validation.csv")


def test_two_processes_learn_what_one_does(runs: Path) -> None:
    """Also from the last batch, whose three samples they do not share equally."""
    two, one = (rows(runs / name / "log.csv") for name in ("two processes, uninterrupted", "one process"))
    assert len(two) == len(one) == 12
    for row, expected in zip(two, one, strict=True):
        assert float(row["total"]) == pytest.approx(float(expected["total"]), rel=1e-4)
    kept = weights(runs / "two processes, uninterrupted" / "best.pt")
    for key, value in weights(runs / "one process" / "best.pt").items():
        torch.testing.assert_close(kept[key], value, atol=1e-4, rtol=1e-4)


def test_with_other_processes_it_learns_the_same(runs: Path) -> None:
    killed, whole = (
        rows(runs / name / "log.csv") for name in ("other processes", "other processes, uninterrupted")
    )
    for row, expected in zip(killed, whole, strict=True):
        assert float(row["total"]) == pytest.approx(float(expected["total"]), rel=1e-4)


def test_the_deaths_are_of_both_kinds() -> None:
    """Else a test above would not show what it says."""
    deaths = [attempt.get("death") for name in RUNS for attempt in attempts(name)]
    assert {death[0] for death in deaths if death} == {"forward", "save"}
    assert all(attempt.get("death") is None for name in RUNS for attempt in attempts(name)[-1:])
