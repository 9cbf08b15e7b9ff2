"""How many images per second does RetinaFace-mobilenet0.25 learn from?

    python benchmarks/train.py widerface/label.txt --teacher retinaface-mobilenet0.25.pth

A step is forward, losses, backward, clip, AdamW on one batch, in bfloat16 and float32, with a teacher and
without, turn about in one process; the best of each counts, for what a shared machine adds is not the code's.
CPU time, so that more threads do not look faster than they are; preparing the batch is told apart.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch

from vultus.export.retinaface import configuration
from vultus.networks.retinaface import RetinaFaceNet, load_retinaface
from vultus.training.data.widerface import read_widerface
from vultus.training.optimizers import make_optimizer
from vultus.training.recipes.retinaface import RetinaFaceLearner, RetinaFaceRecipe, RetinaFaceSamples
from vultus.training.samples import Draw

CONFIG = configuration("mobilenet0.25", "RGB")


def stepper(
    batch: Any, recipe: RetinaFaceRecipe, *, teacher: Path | None, is_narrow: bool
) -> Callable[[], None]:
    """One step of a network of its own."""
    torch.manual_seed(0)
    teaching = load_retinaface(teacher) if teacher else None
    learner = RetinaFaceLearner(RetinaFaceNet(CONFIG), recipe, teacher=teaching)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to its stubs
    optimizer = make_optimizer(learner, recipe)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_narrow):
            total: torch.Tensor = learner(batch).total
        total.backward()  # type: ignore[no-untyped-call]  # torch gives it no type
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 10.0)
        optimizer.step()

    return step


def cpu_seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def measure(
    labels: Path, teacher: Path | None, *, batch_size: int, size_px: int, rounds: int
) -> dict[str, Any]:
    recipe = RetinaFaceRecipe(labels=labels, sizes_px=(size_px,), batch_size=batch_size)
    images = [image for image in read_widerface(labels).images if (~image.is_ignored).any()]
    samples = RetinaFaceSamples(images, recipe, CONFIG)
    draws = [Draw(0, 0, 7 * number % len(images)) for number in range(batch_size)]
    batch = samples.batch(draws)  # decoded and kept
    acts: dict[str, Callable[[], object]] = {"preparing": lambda: samples.batch(draws)}
    for is_narrow, path in product((True, False), dict.fromkeys((None, teacher))):
        name = f"{'bfloat16' if is_narrow else 'float32'}{', with a teacher' if path else ''}"
        acts[name] = stepper(batch, recipe, teacher=path, is_narrow=is_narrow)
    best = {name: min(cpu_seconds(act) for act in [act] * 2) for name, act in acts.items()}  # warm
    for _ in range(rounds):
        best = {name: min(best[name], cpu_seconds(act)) for name, act in acts.items()}
    return {name: {"images_per_cpu_second": round(batch_size / seconds, 1)} for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size-px", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    told = measure(
        given.labels, given.teacher, batch_size=given.batch_size, size_px=given.size_px, rounds=given.rounds
    )
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    print(json.dumps(told | machine | {"threads": given.threads}, indent=2))


if __name__ == "__main__":
    main()
