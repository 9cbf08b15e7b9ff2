"""The one training loop, for detectors and recognisers: forward, backward, clip, step - in order, visible.

A recipe brings a learner, whose `forward(batch)` answers a NamedTuple of scalar losses with a `total`, and
`Samples`. Lightning Fabric knows the device, the precision and the other processes; torchdata's loader knows
which batch comes next. Everything else happens here.

**Resuming is exact.** Samples and their augmentation are functions of (seed, epoch, place), dropout's chance
of (seed, step, process), and the checkpoint holds network, average, optimiser, schedule and the loader's
place. A run that is killed goes on from its last checkpoint with the same numbers as if it had never stopped,
and its log forgets what came after. Ctrl-C and SIGTERM save first.

**Gradient accumulation** steps what an epoch leaves over too: each step divides by the batches it really has.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from vultus.errors import TrainingError
from vultus.image import replace_file
from vultus.training.averages import averaged
from vultus.training.devices import described, make_fabric
from vultus.training.journal import Journal
from vultus.training.losses.collectives import mean_over_ranks
from vultus.training.optimizers import make_optimizer
from vultus.training.run import Run
from vultus.training.samples import Plan, PlannedBatches, Samples, make_loader, shuffled
from vultus.training.schedules import lr_factor
from vultus.training.settings import TrainSettings
from vultus.training.stopping import StopRequest, interrupts_held

Validate = Callable[[nn.Module], Mapping[str, float]]


class Validation(NamedTuple):
    """How a run is judged.

    Attributes:
        measure: the figures of the network, which is in evaluation mode.
        best: the name of the figure that is to be as high as possible.
    """

    measure: Validate
    best: str


@dataclass(slots=True)
class Position:
    """Where a run is.

    Attributes:
        epoch: the one that goes on, from 0.
        batches: of this epoch that are done.
        step: steps of the optimiser that are done, in all.
        best: the highest figure so far.
        worse: validations since then.
        figures: of the last validation.
    """

    epoch: int = 0
    batches: int = 0
    step: int = 0
    best: float = -math.inf
    worse: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)


def fit(
    learner: nn.Module,
    samples: Samples,
    *,
    settings: TrainSettings,
    run: Run,
    plan: Plan | None = None,
    validation: Validation | None = None,
) -> Mapping[str, float]:
    """Train `learner.network`, from the start or from where the run's folder stopped.

    Args:
        learner: `forward(batch)` gives a NamedTuple of scalar losses, of which `total` is minimised;
            its `network` is what is validated, averaged and kept.
        samples: what is learnt from.
        settings: the knobs.
        run: the folder, from `open_run`.
        plan: which samples make which batch; by default shuffled, each once in an epoch. The schedule counts
            on epochs of as many batches as the first one.
        validation: how the network is judged; without it the last network is kept.

    Returns:
        The figures of the last validation. The best network's weights are in `run.best`.

    Raises:
        TrainingError: the loss or a weight is no finite number, or a validation lacks the figure that it is
            judged by.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the checkpoint is written.
    """
    return Trainer(
        learner,
        samples,
        settings=settings,
        run=run,
        plan=plan or shuffled(len(samples), settings.batch_size, seed=settings.seed),
        validation=validation,
    ).fit()


class Trainer:
    """One run; see `fit`."""

    def __init__(
        self,
        learner: nn.Module,
        samples: Samples,
        *,
        settings: TrainSettings,
        run: Run,
        plan: Plan,
        validation: Validation | None,
    ) -> None:
        self.settings, self.run, self.validation = settings, run, validation
        self.fabric = fabric = make_fabric(settings)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        if settings.channels_last:
            learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to its stubs
        self.network = learner.get_submodule("network")
        self.learner, self.optimizer = fabric.setup(learner, make_optimizer(learner, settings))
        self.average = averaged(self.network, settings.ema_decay) if settings.ema_decay is not None else None
        if settings.compile:
            self.network.compile()  # in place: names of weights stay as they are
        self.batches = PlannedBatches(plan, rank=fabric.global_rank, rank_count=fabric.world_size)
        self.loader = make_loader(samples, self.batches, workers=settings.workers)
        self.steps_per_epoch = math.ceil(len(self.batches) / settings.accumulate)
        self.schedule = LambdaLR(self.optimizer, self._lr_factor)
        self.position = Position()
        self.saved_at = time.monotonic()

    def _lr_factor(self, step: int) -> float:
        return lr_factor(step, settings=self.settings, steps_per_epoch=self.steps_per_epoch)

    def fit(self) -> Mapping[str, float]:
        """Train to the end; see `fit` above."""
        if self.run.checkpoint.exists():
            self._load()
        position = self.position
        self.journal = Journal(
            self.run,
            self.settings,
            epoch=position.epoch,
            step=position.step,
            is_kept=self.fabric.is_global_zero,
        )
        with StopRequest() as self.stop, self.journal:
            self._introduce()
            while position.epoch < self.settings.epochs and not self._has_lost_patience():
                self._train_epoch()
                position.epoch, position.batches = position.epoch + 1, 0
                if self._is_judged():
                    self._validate()
                self._save()
            if self.validation is None:
                self._keep()
            self.journal.finish()
        return position.figures

    def _train_epoch(self) -> None:
        """The rest of an epoch, step by step."""
        settings, position = self.settings, self.position
        self.learner.train()
        self.batches.epoch = position.epoch
        count = len(self.batches)
        self.journal.start_epoch(position.epoch, batches=count, done=position.batches)
        with interrupts_held():  # this starts the workers
            batches = iter(self.loader) if position.batches < count else iter(())
        while position.batches < count:
            window = list(islice(batches, settings.accumulate))
            lr = settings.lr * self._lr_factor(position.step)
            losses, is_due, is_stopped = self._agreed(self._step(window))
            position.batches += len(window)
            position.step += 1
            self._check_finite(losses)
            self.journal.stepped(losses, epoch=position.epoch, step=position.step, batches=len(window), lr=lr)
            if is_due or is_stopped:
                self._save()
            if is_stopped:
                self._leave()
        self.batches.skipped = 0
        self.journal.end_epoch(position.epoch)

    def _step(self, window: Sequence[Any]) -> Mapping[str, Tensor]:
        """One step of the optimiser on the batches of one window; the means of their losses."""
        fabric, settings = self.fabric, self.settings
        torch.manual_seed(chance_of_step(settings.seed, self.position.step, fabric.global_rank))  # dropout's
        means: dict[str, Tensor] = {}
        self.optimizer.zero_grad()
        for number, batch in enumerate(window, 1):
            with fabric.no_backward_sync(self.learner, enabled=number < len(window)):
                losses = self.learner(fabric.to_device(batch))
                fabric.backward(losses.total / len(window))
            for name, loss in losses._asdict().items():
                means[name] = means.get(name, 0) + loss.detach() / len(window)
        if settings.clip_norm is not None:
            self._clip(settings.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return means

    def _clip(self, max_norm: float) -> None:
        try:
            self.fabric.clip_gradients(self.learner, self.optimizer, max_norm=max_norm)
        except RuntimeError as error:  # a length of inf or nan, which torch refuses to clip
            raise self._diverged("the length of the gradient") from error

    def _agreed(self, losses: Mapping[str, Tensor]) -> tuple[dict[str, float], bool, bool]:
        """The mean losses, whether a checkpoint is due, whether to stop: alike on all processes."""
        is_due = time.monotonic() - self.saved_at > 60 * self.settings.checkpoint_minutes
        wishes = torch.tensor([is_due, self.stop.is_made], dtype=torch.float32, device=self.fabric.device)
        values = torch.stack([loss.float() for loss in losses.values()])
        *means, due, stop = mean_over_ranks(torch.cat([values, wishes])).tolist()
        return dict(zip(losses, means, strict=True)), due > 0, stop > 0

    def _is_judged(self) -> bool:
        done = self.position.epoch
        return self.validation is not None and (
            done % self.settings.validate_every == 0 or done == self.settings.epochs
        )

    def _judged(self) -> nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self.network if self.average is None else self.average.module

    def _validate(self) -> None:
        """Measure the network on the first process, keep it if it is the best so far."""
        self._check_weights()
        position, validation = self.position, self.validation
        figures: dict[str, float] = {}
        if validation is not None and self.fabric.is_global_zero:
            with torch.no_grad():
                measured = validation.measure(self._judged().eval())
            figures = {name: float(value) for name, value in measured.items()}
        position.figures = figures = self.fabric.broadcast(figures)
        figure = self._decisive(figures)
        position.worse += 1
        if figure > position.best:
            position.best, position.worse = figure, 0
            self._keep()
        self.journal.judged(figures, epoch=position.epoch, step=position.step, is_best=position.worse == 0)

    def _decisive(self, figures: Mapping[str, float]) -> float:
        """The figure that is to be as high as possible."""
        name = self.validation.best if self.validation else ""
        if name not in figures:
            raise TrainingError(
                f"the run is judged by {name!r}, which its validation does not measure: there is "
                f"{', '.join(figures) or 'nothing'}"
            )
        return figures[name]

    def _has_lost_patience(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.position.worse >= patience

    def _keep(self) -> None:
        """Write the judged network's weights to best.pt, whole or not at all."""
        if self.fabric.is_global_zero:
            with replace_file(self.run.best) as stream:
                torch.save(self._judged().state_dict(), stream)

    def _check_finite(self, losses: Mapping[str, float]) -> None:
        if not math.isfinite(losses["total"]):
            raise self._diverged("the loss")

    def _check_weights(self) -> None:
        """No checkpoint and no validation of a network that is lost."""
        if not all(bool(weight.isfinite().all()) for weight in self.learner.parameters()):
            raise self._diverged("a weight")

    def _diverged(self, what: str) -> TrainingError:
        return TrainingError(
            f"{what} became no finite number in step {self.position.step} of epoch {self.position.epoch}. "
            f"The last checkpoint in {self.run.folder}, if there is one, is older. Start again in another "
            "folder with a lower lr, longer warmup_epochs, or clip_norm"
        )

    def _introduce(self) -> None:
        """The first lines on the terminal."""
        position = self.position
        self.journal.say(described(self.fabric, threads=torch.get_num_threads()) + f"; {self.run.folder}")
        if position.step:
            self.journal.say(f"going on after step {position.step}, in epoch {position.epoch + 1}")

    def _leave(self) -> None:
        self.journal.say(f"stopped after step {self.position.step}: the same command goes on from there")
        raise KeyboardInterrupt

    def _save(self) -> None:
        self._check_weights()
        is_within = 0 < self.position.batches < len(self.batches)
        rest = {
            "position": asdict(self.position),
            "loader": self.loader.state_dict() if is_within else None,
            "workers": self.settings.workers,
            "skipped": self.batches.skipped,
        }
        temporary = self.run.checkpoint.with_suffix(".tmp")
        self.fabric.save(temporary, self._state() | rest)
        if self.fabric.is_global_zero:
            temporary.replace(self.run.checkpoint)
        self.fabric.barrier()
        self.saved_at = time.monotonic()

    def _load(self) -> None:
        rest = self.fabric.load(self.run.checkpoint, self._state())
        self.position = Position(**rest["position"])
        self.batches.epoch = self.position.epoch
        if rest["loader"] is None:
            return
        if rest["workers"] == self.settings.workers:
            self.batches.skipped = rest["skipped"]
            self.loader.load_state_dict(rest["loader"])
        else:  # a loader's state is bound to its number of workers; the batches themselves are not
            self.batches.skipped = self.position.batches

    def _state(self) -> dict[str, Any]:
        state = {"learner": self.learner, "optimizer": self.optimizer, "schedule": self.schedule}
        return state if self.average is None else state | {"average": self.average}


def chance_of_step(seed: int, step: int, rank: int) -> int:
    """What torch is seeded with before a step: dropout's chance."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])
