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
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter
from torchdata.stateful_dataloader import StatefulDataLoader

from vultus.errors import TrainingError
from vultus.training.losses.collectives import max_over_ranks
from vultus.training.optimizers import make_optimizer
from vultus.training.progress import Display
from vultus.training.run import Run, append_row, forget_after
from vultus.training.samples import Drawn, Plan, PlannedBatches, Samples, shuffled
from vultus.training.schedules import lr_factor
from vultus.training.settings import TrainSettings

Validate = Callable[[nn.Module], Mapping[str, float]]


class Validation(NamedTuple):
    """How a run is judged.

    Attributes:
        measure: the figures of the network, which is in evaluation mode.
        best: the name of the figure that is to be as high as possible.
    """

    measure: Validate
    best: str


class Progress:
    """Where a run is.

    Attributes:
        epoch: the one that goes on, from 0.
        batches: of this epoch that are done.
        step: steps of the optimiser that are done, in all.
        best: the highest figure so far.
        worse: validations since then.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.batches = 0
        self.step = 0
        self.best = -math.inf
        self.worse = 0


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
        plan: which samples make which batch; by default shuffled, each once in an epoch.
        validation: how the network is judged; without it the last network is kept.

    Returns:
        The figures of the last validation. The best network's weights are in `run.best`.

    Raises:
        TrainingError: the loss is no finite number.
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
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.fabric = make_fabric(settings)
        self.fabric.launch()
        if settings.channels_last:
            learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to its stubs
        network = learner.network  # promised by `fit`
        assert isinstance(network, nn.Module)  # noqa: S101
        self.network = network
        self.learner, self.optimizer = self.fabric.setup(learner, make_optimizer(learner, settings))
        self.average = averaged(network, settings.ema_decay) if settings.ema_decay is not None else None
        self.batches = PlannedBatches(plan, rank=self.fabric.global_rank, rank_count=self.fabric.world_size)
        self.loader = make_loader(samples, self.batches, workers=settings.workers)
        self.steps_per_epoch = math.ceil(len(self.batches) / settings.accumulate)
        self.schedule = LambdaLR(self.optimizer, self._lr_factor)
        self.progress = Progress()
        self.is_stopped = False
        self.saved_at = time.monotonic()

    def _lr_factor(self, step: int) -> float:
        return lr_factor(step, settings=self.settings, steps_per_epoch=self.steps_per_epoch)

    def fit(self) -> Mapping[str, float]:
        """Train to the end; see `fit` above."""
        figures: Mapping[str, float] = {}
        if self.run.checkpoint.exists():
            self._load()
        is_first = self.fabric.is_global_zero
        self.writer = SummaryWriter(self.run.folder, purge_step=self.progress.step) if is_first else None
        with self._stopping_gently(), Display(self.settings.epochs, is_shown=is_first) as self.display:
            while self.progress.epoch < self.settings.epochs and not self._has_lost_patience():
                self._train_epoch()
                self.progress.epoch += 1
                self.progress.batches = 0
                if self._is_judged():
                    figures = self._validate()
                self._save()
        if self.writer:
            self.writer.close()
        if self.validation is None and is_first:
            save_atomically(self._judged().state_dict(), self.run.best)
        return figures

    def _train_epoch(self) -> None:
        """The rest of an epoch, step by step."""
        self.learner.train()
        self.batches.epoch = self.progress.epoch
        count = len(self.batches)
        self.display.start_epoch(self.progress.epoch, batches=count, done=self.progress.batches)
        batches = iter(self.loader)
        while self.progress.batches < count:
            window = list(islice(batches, self.settings.accumulate))
            losses = self._step(window)
            self.progress.batches += len(window)
            self.progress.step += 1
            self._log(losses, window=window)
            self._save_if_due()
        self.display.end_epoch(self.progress.epoch)

    def _step(self, window: Sequence[Any]) -> Mapping[str, Tensor]:
        """One step of the optimiser on the batches of one window; the losses of the last of them."""
        fabric, settings = self.fabric, self.settings
        torch.manual_seed(hash((settings.seed, self.progress.step, fabric.global_rank)))  # dropout's chance
        self.optimizer.zero_grad()
        for number, batch in enumerate(window, 1):
            with fabric.no_backward_sync(self.learner, enabled=number < len(window)):
                losses = self.learner(fabric.to_device(batch))
                fabric.backward(losses.total / len(window))
        if settings.clip_norm is not None:
            fabric.clip_gradients(self.learner, self.optimizer, max_norm=settings.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        named: Mapping[str, Tensor] = losses._asdict()
        return named

    def _log(self, losses: Mapping[str, Tensor], *, window: Sequence[Any]) -> None:
        """Progress every step; a row of the log every `log_every` steps."""
        self.display.advance(len(window))
        progress, step = self.progress, self.progress.step
        if step % self.settings.log_every:
            return
        values = {
            name: self.fabric.all_reduce(value.detach(), reduce_op="mean") for name, value in losses.items()
        }
        row = {name: round(float(value), 6) for name, value in values.items()}  # type: ignore[arg-type]  # a tensor for a tensor
        if not math.isfinite(row["total"]):
            raise TrainingError(
                f"the loss became {row['total']} in step {step} of epoch {progress.epoch}: {row}. The last "
                f"checkpoint ({self.run.checkpoint}) is older. Lower lr, lengthen "
                "warmup_epochs, or set clip_norm"
            )
        if self.writer is None:
            return
        lr = self.optimizer.param_groups[0]["lr"]
        speed = self.display.batches_per_second * self.settings.batch_size
        told = {
            "epoch": progress.epoch,
            "step": step,
            "lr": f"{lr:.3g}",
            "samples_per_second": f"{speed:.1f}",
        }
        append_row(self.run.log, told | row)
        for name, value in (row | {"lr": lr}).items():
            self.writer.add_scalar(f"training/{name}", value, step)
        self.display.tell(row)

    def _is_judged(self) -> bool:
        done = self.progress.epoch
        return self.validation is not None and (
            done % self.settings.validate_every == 0 or done == self.settings.epochs
        )

    def _judged(self) -> nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self.network if self.average is None else self.average.module

    def _validate(self) -> Mapping[str, float]:
        """Measure the network on the first process, keep it if it is the best so far."""
        assert self.validation is not None  # noqa: S101  # _is_judged
        figures: Mapping[str, float] = {}
        if self.fabric.is_global_zero:
            network = self._judged().eval()
            with torch.no_grad():
                figures = self.validation.measure(network)
            network.train()
            self._keep_if_best(figures, network)
        self.fabric.barrier()
        figures, self.progress.best, self.progress.worse = self.fabric.broadcast(
            (figures, self.progress.best, self.progress.worse)
        )
        return figures

    def _keep_if_best(self, figures: Mapping[str, float], network: nn.Module) -> None:
        assert self.validation is not None  # noqa: S101  # _is_judged
        assert self.writer is not None  # noqa: S101  # the first process has one
        progress = self.progress
        told = {"epoch": progress.epoch, "step": progress.step}
        append_row(self.run.validations, told | {name: round(value, 5) for name, value in figures.items()})
        for name, value in figures.items():
            self.writer.add_scalar(f"validation/{name}", value, progress.step)
        progress.worse += 1
        if figures[self.validation.best] > progress.best:
            progress.best, progress.worse = figures[self.validation.best], 0
            save_atomically(network.state_dict(), self.run.best)
        self.display.judged(progress.epoch, figures, is_best=progress.worse == 0)

    def _has_lost_patience(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.progress.worse >= patience

    def _save_if_due(self) -> None:
        """Save every `checkpoint_minutes`, and before stopping; all processes decide alike."""
        is_due = time.monotonic() - self.saved_at > 60 * self.settings.checkpoint_minutes
        wishes = max_over_ranks(
            torch.tensor([float(is_due), float(self.is_stopped)], device=self.fabric.device)
        )
        is_due, is_stopped = (bool(wish) for wish in wishes)
        if is_due or is_stopped:
            self._save()
        if is_stopped:
            raise KeyboardInterrupt

    def _save(self) -> None:
        state = self._state() | {
            "progress": vars(self.progress),
            # An epoch that is over starts anew; within one, the loader knows which batch comes next.
            "loader": self.loader.state_dict() if self.progress.batches else None,
        }
        temporary = self.run.checkpoint.with_suffix(".tmp")
        self.fabric.save(temporary, state)
        if self.fabric.is_global_zero:
            temporary.replace(self.run.checkpoint)
        self.fabric.barrier()
        self.saved_at = time.monotonic()

    def _load(self) -> None:
        rest = self.fabric.load(self.run.checkpoint, self._state())
        vars(self.progress).update(rest["progress"])
        if rest["loader"]:
            self.batches.epoch = self.progress.epoch
            self.loader.load_state_dict(rest["loader"])
        if self.fabric.is_global_zero:
            for file in (self.run.log, self.run.validations):
                forget_after(file, self.progress.step)
        self.fabric.barrier()

    def _state(self) -> dict[str, Any]:
        state = {"learner": self.learner, "optimizer": self.optimizer, "schedule": self.schedule}
        return state if self.average is None else state | {"average": self.average}

    @contextmanager
    def _stopping_gently(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a checkpoint after this step; a second Ctrl-C does not wait."""

        def stop(number: int, _frame: object) -> None:
            self.is_stopped = True
            signal.signal(number, before[signal.Signals(number)])

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def make_fabric(settings: TrainSettings) -> Fabric:
    """The device, the precision and the other processes: torchrun's, or `devices` on this machine."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", settings.devices))
    nodes = int(os.environ.get("WORLD_SIZE", local)) // local
    is_shared = local * nodes > 1
    return Fabric(
        accelerator="auto",
        devices=local,
        num_nodes=nodes,
        strategy="ddp" if is_shared else "auto",
        precision=settings.precision,
    )


def make_loader(samples: Samples, batches: PlannedBatches, *, workers: int) -> StatefulDataLoader[Any]:
    """The loader of one process, which can say where it is."""
    with warnings.catch_warnings():
        # torchdata 0.11 calls something that torch 2.13 no longer wants to be called
        warnings.filterwarnings("ignore", "'set_vital' is deprecated", UserWarning)
        return StatefulDataLoader(
            Drawn(samples),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=unchanged,
            persistent_workers=workers > 0,
        )


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A moving average of the weights and of the batch norms' statistics; young, it forgets faster.

    The decay after n steps is min(decay, (1 + n) / (10 + n)), so that a short run is not judged by its start.
    """

    def average(mean: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        return mean + (1 - kept) * (new - mean) if mean.is_floating_point() else new

    return AveragedModel(network, avg_fn=average, use_buffers=True)


def save_atomically(state: Mapping[str, Tensor], path: os.PathLike[str]) -> None:
    """Write a state dict, whole or not at all."""
    from vultus.image import replace_file

    with replace_file(path) as stream:
        torch.save(state, stream)


def unchanged(batch: Any) -> Any:
    """Samples bring their own collation."""
    return batch
