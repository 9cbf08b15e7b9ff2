"""The loop: what a step does, what is kept, when it stops. Resuming has its own file, test_resume.py."""

import csv
import math
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]  # no stubs
    EventAccumulator,
)
from torch import Tensor, nn
from torch._dynamo.utils import counters

from vultus.errors import TrainingError
from vultus.training.run import Run, open_run
from vultus.training.samples import Draw
from vultus.training.settings import TrainSettings
from vultus.training.trainer import Validation, chance_of_step, fit

SIZE = 3


class Losses(NamedTuple):
    total: Tensor
    squares: Tensor


class Vectors:
    """Sample i is the same vector in every epoch."""

    def __init__(self, count: int = 8) -> None:
        self.inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(count, SIZE))).float()

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
        inputs = self.inputs[[draw.sample for draw in draws]]
        return inputs, inputs.sum(1, keepdim=True)


class Learner(nn.Module):
    """A linear layer; after `poisoned_at` batches its loss is not a number."""

    def __init__(self, *, poisoned_at: int | None = None, factor: float = math.nan) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Linear(SIZE, 1)
        self.seen: list[int] = []
        self.poisoned_at = poisoned_at
        self.factor = factor

    def forward(self, batch: tuple[Tensor, Tensor]) -> Losses:
        inputs, targets = batch
        squares = (self.network(inputs) - targets).square().mean()
        total = squares * self.factor if len(self.seen) == self.poisoned_at else squares
        self.seen.append(len(inputs))
        return Losses(total, squares)


class Layer(nn.Linear):
    """A layer of somebody's own."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(TrainSettings):
    """Small defaults."""

    epochs: int = 2
    batch_size: int = 4
    lr: float = 0.05
    momentum: float = 0.0
    schedule: Any = "constant"
    log_every: int = 1
    threads: int | None = 1


def run_in(folder: Path, recipe: TrainSettings) -> Run:
    return open_run(folder, recipe, data={})


def trained(folder: Path, *, samples: Vectors | None = None, **knobs: Any) -> tuple[Learner, Run]:
    learner, recipe = Learner(), Recipe(**knobs)
    run = run_in(folder, recipe)
    fit(learner, samples or Vectors(), settings=recipe, run=run)
    return learner, run


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert found
    return found


def by_hand(*, batches: Sequence[Sequence[int]], lr: float = 0.05) -> Tensor:
    """The weight after a plain gradient step on each of the batches."""
    learner, samples = Learner(), Vectors()
    for indices in batches:
        losses = learner(samples.batch([Draw(0, 0, index) for index in indices]))
        weight, bias = torch.autograd.grad(losses.total, list(learner.network.parameters()))
        with torch.no_grad():
            learner.network.weight.sub_(weight, alpha=lr)
            learner.network.bias.sub_(bias, alpha=lr)
    return learner.network.weight.detach()


def test_a_step_is_that_of_the_formula(tmp_path: Path) -> None:
    batches = [[0, 1, 2, 3], [4, 5, 6, 7]]
    learner, recipe = Learner(), Recipe(epochs=1, weight_decay=0)
    fit(learner, Vectors(), settings=recipe, run=run_in(tmp_path, recipe), plan=lambda _: batches)
    torch.testing.assert_close(learner.network.weight.detach(), by_hand(batches=batches))


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    batches, large = [[0, 1], [2, 3], [4, 5], [6, 7]], [[0, 1, 2, 3, 4, 5], [6, 7]]
    learner, recipe = Learner(), Recipe(epochs=1, weight_decay=0, accumulate=3)
    run = run_in(tmp_path, recipe)
    fit(learner, Vectors(), settings=recipe, run=run, plan=lambda _: batches)
    torch.testing.assert_close(learner.network.weight.detach(), by_hand(batches=large))
    assert learner.seen == [2, 2, 2, 2]
    assert [row["step"] for row in rows(run.log)] == ["1", "2"], "the fourth batch makes a step of its own"


def test_the_log_tells_the_loss_of_all_batches_of_a_step(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, accumulate=2)
    run = run_in(tmp_path, recipe)
    fit(Learner(), Vectors(), settings=recipe, run=run, plan=lambda _: [[0, 1], [2, 3]])
    whole = Learner()(Vectors().batch([Draw(0, 0, index) for index in range(4)]))
    assert float(rows(run.log)[0]["total"]) == pytest.approx(whole.total.item(), rel=1e-5)


def test_a_gradient_is_shortened(tmp_path: Path) -> None:
    learner, _ = trained(tmp_path, epochs=1, batch_size=8, clip_norm=1e-3, lr=1.0, weight_decay=0)
    before = Learner().network
    moved = torch.cat(
        [
            (now - then).flatten()
            for now, then in zip(learner.network.parameters(), before.parameters(), strict=True)
        ]
    )
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_log_has_a_row_for_every_few_steps(tmp_path: Path) -> None:
    _, run = trained(tmp_path, epochs=3, batch_size=2, log_every=5)
    log = rows(run.log)
    assert [(row["epoch"], row["step"]) for row in log] == [("1", "5"), ("2", "10")]
    assert all(float(row["samples_per_second"]) > 0 for row in log)
    assert set(log[0]) == {"epoch", "step", "lr", "samples_per_second", "total", "squares"}


def test_the_log_tells_the_learning_rate_that_made_the_step(tmp_path: Path) -> None:
    _, run = trained(tmp_path, epochs=2, batch_size=4, schedule="milestones", milestones=(1,))
    assert [float(row["lr"]) for row in rows(run.log)] == pytest.approx([0.05, 0.05, 0.005, 0.005])


def test_a_run_can_be_looked_at(tmp_path: Path) -> None:
    _, run = trained(tmp_path)
    assert run.curves.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.glob("events.*"))


def test_without_validation_the_last_network_is_kept(tmp_path: Path) -> None:
    learner, run = trained(tmp_path)
    torch.testing.assert_close(torch.load(run.best), learner.network.state_dict())


class Watched(Learner):
    """A learner that remembers in which mode, and in which order of memory, its network was."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[bool, bool]] = []
        self.kernel = nn.Parameter(torch.ones(1, 2, 3, 3))

    def forward(self, batch: tuple[Tensor, Tensor]) -> Losses:
        is_last = self.kernel.is_contiguous(memory_format=torch.channels_last)
        self.found.append((self.network.training, is_last))
        losses = super().forward(batch)
        return losses._replace(total=losses.total + 0 * self.kernel.sum())


@pytest.mark.parametrize("channels_last", [True, False])
def test_it_learns_in_training_mode_also_after_a_validation(channels_last: bool, tmp_path: Path) -> None:
    learner, recipe = Watched(), Recipe(channels_last=channels_last)
    run, validation = run_in(tmp_path, recipe), Validation(Script([0.5, 0.5]), "score")
    fit(learner, Vectors(), settings=recipe, run=run, validation=validation)
    assert learner.found == [(True, channels_last)] * 4


class Script:
    """A validation that answers what it is told, and remembers the networks."""

    def __init__(self, answers: Sequence[float]) -> None:
        self.answers = list(answers)
        self.networks: list[dict[str, Tensor]] = []

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        assert not network.training
        assert not torch.is_grad_enabled()
        self.networks.append({key: value.clone() for key, value in network.state_dict().items()})
        numbers: dict[str, Any] = {"other": 0, "score": np.float32(self.answers[len(self.networks) - 1])}
        return numbers


def judged(folder: Path, script: Script, **knobs: Any) -> tuple[Mapping[str, float], Run]:
    recipe = Recipe(**knobs)
    run = run_in(folder, recipe)
    validation = Validation(script, "score")
    return fit(Learner(), Vectors(), settings=recipe, run=run, validation=validation), run


def test_the_best_network_is_kept(tmp_path: Path) -> None:
    script = Script([0.25, 0.75, 0.5, 0.75])
    figures, run = judged(tmp_path, script, epochs=4)
    assert figures == {"other": 0.0, "score": 0.75}, "those of the last validation"
    torch.testing.assert_close(torch.load(run.best), script.networks[1], atol=0, rtol=0)
    assert [row["score"] for row in rows(run.validations)] == ["0.25", "0.75", "0.5", "0.75"]


def test_what_is_judged_and_kept_is_the_average(tmp_path: Path) -> None:
    plain, averaged = Script([0.5] * 3), Script([0.5] * 3)
    judged(tmp_path / "plain", plain, epochs=3, batch_size=8)
    _, run = judged(tmp_path / "averaged", averaged, epochs=3, batch_size=8, ema_decay=0.25)
    weights = [network["weight"] for network in plain.networks]
    mean = weights[0]
    for count, weight in enumerate(weights[1:], 1):
        kept = min(0.25, (1 + count) / (10 + count))
        mean = kept * mean + (1 - kept) * weight
    torch.testing.assert_close(averaged.networks[2]["weight"], mean)
    assert torch.equal(torch.load(run.best)["weight"], averaged.networks[0]["weight"])


def test_it_stops_when_it_no_longer_gets_better(tmp_path: Path) -> None:
    script = Script([0.5, 0.6, 0.6, 0.4])
    figures, _ = judged(tmp_path, script, epochs=9, patience=2)
    assert len(script.networks) == 4
    assert figures["score"] == pytest.approx(0.4)


def test_the_last_epoch_is_validated_too(tmp_path: Path) -> None:
    _, run = judged(tmp_path, Script([0.5] * 9), epochs=5, validate_every=2)
    assert [row["epoch"] for row in rows(run.validations)] == ["2", "4", "5"]


def test_a_run_that_is_over_answers_its_figures_again(tmp_path: Path) -> None:
    figures, _ = judged(tmp_path, Script([0.5, 0.25]))
    assert judged(tmp_path, Script([]))[0] == figures == {"other": 0.0, "score": 0.25}


def test_a_figure_that_is_not_measured_cannot_decide(tmp_path: Path) -> None:
    recipe = Recipe()
    with pytest.raises(TrainingError, match=r"judged by 'mean_ap'.* there is other, score"):
        fit(
            Learner(),
            Vectors(),
            settings=recipe,
            run=run_in(tmp_path, recipe),
            validation=Validation(Script([0.5]), "mean_ap"),
        )


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(factor: float, tmp_path: Path) -> None:
    recipe = Recipe(batch_size=2, checkpoint_minutes=0, log_every=100)
    learner = Learner(poisoned_at=2, factor=factor)
    with pytest.raises(TrainingError, match=r"the loss became no finite number in step 3 of epoch 0"):
        fit(learner, Vectors(), settings=recipe, run=run_in(tmp_path, recipe))
    saved = torch.load(tmp_path / "last.ckpt")
    assert saved["position"]["step"] == 2, "the checkpoint is of the last good step"
    assert all(value.isfinite().all() for value in saved["learner"].values())


def test_a_gradient_that_is_no_number_is_not_stepped(tmp_path: Path) -> None:
    recipe = Recipe(clip_norm=1.0)
    learner = Learner(poisoned_at=0, factor=3e38)  # the loss is finite, its gradient is not
    learner.network.weight.data.mul_(1e-3)
    with pytest.raises(TrainingError, match="the length of the gradient became no finite number"):
        fit(learner, Vectors(), settings=recipe, run=run_in(tmp_path, recipe))
    assert learner.network.weight.isfinite().all()


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=8, lr=3e38)
    with pytest.raises(TrainingError, match="a weight became no finite number"):
        fit(Learner(), Vectors(), settings=recipe, run=run_in(tmp_path, recipe))
    assert not (tmp_path / "last.ckpt").exists()


class Rolling(Learner):
    """A learner that looks at torch's chance in each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.rolled: list[float] = []

    def forward(self, batch: tuple[Tensor, Tensor]) -> Losses:
        self.rolled.append(torch.rand(1).item())
        return super().forward(batch)


def test_chance_differs_from_batch_to_batch_and_is_that_of_the_seed(tmp_path: Path) -> None:
    rolled: dict[str, list[float]] = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(rolled))
        learner, recipe = Rolling(), Recipe(batch_size=2, accumulate=2, seed=seed)
        fit(learner, Vectors(), settings=recipe, run=run_in(tmp_path / name, recipe))
        rolled[name] = learner.rolled
    assert len(set(rolled["a"])) == len(rolled["a"]) == 8
    assert rolled["a"] == rolled["b"]
    assert not set(rolled["a"]) & set(rolled["c"])


def test_each_process_has_a_chance_of_its_own() -> None:
    seeds = {chance_of_step(seed, step, rank) for seed in (0, 1) for step in (0, 1) for rank in (0, 1)}
    assert len(seeds) == 8


class Interrupted(Learner):
    """A learner during whose third batch somebody sends a signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, batch: tuple[Tensor, Tensor]) -> Losses:
        if len(self.seen) == 2:
            signal.raise_signal(self.number)
        return super().forward(batch)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_the_run_which_then_goes_on(number: int, tmp_path: Path) -> None:
    recipe = Recipe(batch_size=2, epochs=2)
    run = run_in(tmp_path, recipe)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(number), Vectors(), settings=recipe, run=run)
    assert signal.getsignal(number) == before
    assert torch.load(run.checkpoint)["position"]["step"] == 3
    learner = Learner()
    fit(learner, Vectors(), settings=recipe, run=run)
    assert len(learner.seen) == 8 - 3
    whole, _ = trained(tmp_path / "whole", batch_size=2, epochs=2)
    assert torch.equal(learner.network.weight, whole.network.weight)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("training/total")] == [*range(1, 9)]


def test_rows_of_a_run_that_had_no_checkpoint_are_forgotten(tmp_path: Path) -> None:
    recipe = Recipe(batch_size=2, epochs=1)
    run = run_in(tmp_path, recipe)
    with pytest.raises(TrainingError):
        fit(Learner(poisoned_at=2), Vectors(), settings=recipe, run=run)
    assert not run.checkpoint.exists()
    assert len(rows(run.log)) == 2
    fit(Learner(), Vectors(), settings=recipe, run=run)
    assert [row["step"] for row in rows(run.log)] == ["1", "2", "3", "4"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: apt install g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_a_translated_network_learns_the_same_under_the_same_names(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path / "plain")
    learner, recipe = Learner(), Recipe(compile=True)
    learner.network.__class__ = Layer  # a layer of torch's own is not worth translating to it
    run = run_in(tmp_path / "translated", recipe)
    graphs = counters["stats"]["unique_graphs"]
    fit(learner, Vectors(), settings=recipe, run=run)
    assert counters["stats"]["unique_graphs"] > graphs
    for ours, expected in zip(learner.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    assert list(torch.load(run.best, weights_only=True)) == ["weight", "bias"]
    goes_on, _ = trained(tmp_path / "translated", compile=False)  # may change on the way
    torch.testing.assert_close(goes_on.network.weight, learner.network.weight)
