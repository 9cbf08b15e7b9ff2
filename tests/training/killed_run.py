"""Runs that are killed and go on, for test_resume.py: trains, dies by SIGKILL, trains again, to the end.

    python killed_run.py FOLDER

Reads FOLDER/cases.json: for each run its knobs, whether it is one that several processes may share, and the
attempts to make: other knobs if need be, a number of processes, and when the first of them kills itself, in
the call of a `forward` or of a `save`, counted from 0 (null: it goes to the end). Every process is forked
from this one, which has imported everything but computed nothing. What a learner sees goes to
FOLDER/NAME/seen-ATTEMPT-RANK.jsonl, a line for each batch.
"""

import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.figure  # noqa: F401  # once, before forking
import numpy as np
import torch
from torch import Tensor, nn

from vultus.training.losses.collectives import mean_count
from vultus.training.run import open_run
from vultus.training.samples import Draw, chance_of
from vultus.training.settings import TrainSettings
from vultus.training.trainer import Validation, fit

COUNT, SIZE = 27, 6


class Batch(NamedTuple):
    """Inputs, what is to be said of them, and who they are: (N, 6), (N, 1), (N, 3)."""

    inputs: Tensor
    targets: Tensor
    draws: Tensor


class Losses(NamedTuple):
    """Scalars."""

    total: Tensor
    error: Tensor


class Noisy:
    """Samples that are another vector in each epoch."""

    def __len__(self) -> int:
        return COUNT

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """Chance, of each draw its own."""
        inputs = np.stack([chance_of(3, draw).normal(size=SIZE) for draw in draws])
        targets = inputs.sum(1, keepdims=True) + np.array([[draw.sample] for draw in draws]) / COUNT
        return Batch(torch.from_numpy(inputs).float(), torch.from_numpy(targets).float(), torch.tensor(draws))


class Learner(nn.Module):
    """Batch norm and dropout (where no batch is shared), a diary, and an end that may come suddenly."""

    def __init__(self, diary: Path, *, is_shared: bool, death: Sequence[Any] | None) -> None:
        super().__init__()
        norm = nn.Identity() if is_shared else nn.BatchNorm1d(8)
        drop = nn.Dropout(0.0 if is_shared else 0.3)
        self.network = nn.Sequential(nn.Linear(SIZE, 8), norm, nn.PReLU(), drop, nn.Linear(8, 1))
        self.diary = diary
        self.death = death
        self.calls = {"forward": 0, "save": 0}

    def state_dict(self, **options: Any) -> dict[str, Any]:  # type: ignore[override]  # simpler
        """What a checkpoint keeps."""
        self.live("save")
        return super().state_dict(**options)

    def live(self, where: str) -> None:
        """Die, if it is time."""
        if self.death == [where, self.calls[where]]:
            os.kill(os.getpid(), signal.SIGKILL)
        self.calls[where] += 1

    def forward(self, batch: Batch) -> Losses:
        """The mean squared error over the batch of all processes."""
        with self.diary.open("a") as stream:
            stream.write(json.dumps(batch.draws.tolist()) + "\n")
        self.live("forward")
        errors = (self.network(batch.inputs) - batch.targets).square()
        error = errors.sum() / mean_count(len(errors), device=errors.device)
        return Losses(error, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(TrainSettings):
    """Nothing of its own."""


def judge(network: nn.Module) -> Mapping[str, float]:
    """Figures that tell any change of weights or statistics."""
    inputs = torch.from_numpy(np.random.default_rng(9).normal(size=(50, SIZE))).float()
    answers = network(inputs)
    return {"likeness": -float((answers - inputs.sum(1, keepdim=True)).square().mean())}


def train(folder: Path, number: int, attempt: Mapping[str, Any], *, case: Mapping[str, Any]) -> None:
    """One process of one attempt, from the start to the end or to its death."""
    rank = int(os.environ.get("RANK", "0"))
    recipe = Recipe(**case["knobs"], **attempt.get("knobs", {}))
    torch.manual_seed(recipe.seed)
    diary, death = folder / f"seen-{number}-{rank}.jsonl", None if rank else attempt.get("death")
    fit(
        Learner(diary, is_shared=case["is_shared"], death=death),
        Noisy(),
        settings=recipe,
        run=open_run(folder, recipe, data={}),
        validation=Validation(judge, "likeness"),
    )


def forked(environment: Mapping[str, str], act: Callable[[], None]) -> int:
    """The process id of a child that does this and ends."""
    child = os.fork()
    if child:
        return child
    os.environ.update(environment)
    try:
        act()
        os._exit(0)
    finally:  # not back into the loop of the parent
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def environments(count: int) -> list[dict[str, str]]:
    """What torchrun would tell each of its processes; nothing if there is only one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    shared = {
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "GROUP_RANK": "0",
    }
    ranks = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    return ranks if count > 1 else [{}]


def make(folder: Path, number: int, attempt: Mapping[str, Any], *, case: Mapping[str, Any]) -> None:
    """One attempt with all its processes; ends this one if the first of them did not end as it should."""
    death = attempt.get("death")
    act = partial(train, folder, number, attempt, case=case)
    children = [forked(environment, act) for environment in environments(attempt.get("processes", 1))]
    _, status = os.waitpid(children[0], 0)
    for child in children[1:]:
        if death is not None:
            os.kill(child, signal.SIGKILL)  # as torchrun does when one of them has died
        os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended != (0 if death is None else -signal.SIGKILL):
        sys.exit(f"{folder.name}, attempt {number}: ended with {ended}")


def main(folder: Path) -> None:
    """All attempts of all cases."""
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        (folder / name).mkdir()
        for number, attempt in enumerate(case["attempts"]):
            make(folder / name, number, attempt, case=case)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
