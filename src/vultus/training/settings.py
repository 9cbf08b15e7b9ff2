"""What a training run can be told: the knobs of every recipe. A recipe inherits them and adds its own."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from vultus.errors import InputError
from vultus.training.checks import check_not_negative, check_positive

Optimizer = Literal["sgd", "adam", "adamw", "muon"]
Precision = Literal["32-true", "bf16-mixed"]
Schedule = Literal["cosine", "milestones", "poly", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a network is trained, whatever it learns.

    Attributes:
        epochs: how often each sample is seen.
        batch_size: samples of one step on all processes together, before `accumulate`.
        seed: all chance comes from it: initial weights, order, augmentation, dropout.
        optimizer: sgd (with Nesterov's momentum), adam, adamw, or muon (with adamw for what is no matrix).
        lr: the highest learning rate.
        momentum: of sgd.
        weight_decay: of kernels only: normalisations, PReLU slopes and biases have none.
        schedule: of the learning rate after the warm-up: cosine or poly (to `final_lr_share`), milestones,
            or constant.
        warmup_epochs: the learning rate first grows linearly over so many epochs; a fraction will do.
        milestones: epochs after which the learning rate is multiplied by `gamma`.
        gamma: what the learning rate is multiplied by at each milestone.
        power: of the polynomial.
        final_lr_share: what cosine and poly end at, as a share of `lr`.
        accumulate: batches whose gradients make one step; what an epoch leaves over makes a step too.
        clip_norm: the gradient is shortened to this length; None leaves it.
        precision: 32-true, or bf16-mixed (autocast).
        compile: translate the network by torch.compile: a minute of waiting and a C++ compiler for steps that
            take less time, and round a little differently.
        channels_last: memory order of the network: faster for convolutions on CPUs and tensor cores.
        ema_decay: the network that is judged and kept is a moving average of the trained one; None keeps
            the trained one.
        checkpoint_minutes: time between two checkpoints.
        log_every: steps between two rows of the log.
        validate_every: epochs between two validations; the last epoch is always validated.
        patience: stop after so many validations without a better one; None never stops early.
        workers: processes that prepare samples; 0 prepares them in the training process.
        threads: of torch in each process; None leaves it to torch.
        devices: processes on this machine; torchrun's own number goes first.

    Raises:
        InputError: a value is out of its range.
    """

    epochs: int = 10
    batch_size: int = 32
    seed: int = 0
    optimizer: Optimizer = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    warmup_epochs: float = 0.0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    power: float = 2.0
    final_lr_share: float = 0.0
    accumulate: int = 1
    clip_norm: float | None = None
    precision: Precision = "32-true"
    compile: bool = False
    channels_last: bool = True
    ema_decay: float | None = None
    checkpoint_minutes: float = 5.0
    log_every: int = 10
    validate_every: int = 1
    patience: int | None = None
    workers: int = 0
    threads: int | None = None
    devices: int = 1

    def __post_init__(self) -> None:
        check_positive(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            accumulate=self.accumulate,
            log_every=self.log_every,
            validate_every=self.validate_every,
            devices=self.devices,
        )
        optional = {"clip_norm": self.clip_norm, "patience": self.patience, "threads": self.threads}
        check_positive(**{name: value for name, value in optional.items() if value is not None})
        check_not_negative(
            seed=self.seed,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            warmup_epochs=self.warmup_epochs,
            gamma=self.gamma,
            power=self.power,
            final_lr_share=self.final_lr_share,
            checkpoint_minutes=self.checkpoint_minutes,
            workers=self.workers,
        )
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        if not 0 <= self.final_lr_share <= 1:
            raise InputError(f"final_lr_share must lie in [0, 1], got {self.final_lr_share}")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise InputError(f"milestones must grow, got {self.milestones}")
        _check_word("optimizer", self.optimizer, Optimizer)
        _check_word("schedule", self.schedule, Schedule)
        _check_word("precision", self.precision, Precision)


def _check_word(name: str, word: str, choices: Any) -> None:
    if word not in get_args(choices):
        raise InputError(f"{name} must be one of {', '.join(get_args(choices))}, got {word!r}")


# What may differ when a run goes on: it changes what is written when, and where the work is done.
UNIMPORTANT = frozenset(
    {"checkpoint_minutes", "log_every", "workers", "threads", "devices", "compile", "keep_images", "cache"}
)
