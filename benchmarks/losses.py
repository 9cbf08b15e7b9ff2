"""Each identity loss trains the same small network on the same faces for the same number of steps.

    OMP_NUM_THREADS=1 python -m benchmarks.losses --jobs 2 --report docs/algorithms
    python -m benchmarks.losses --losses softmax arcface --steps 20 --json > losses.json
    python -m benchmarks.losses --measured losses.json --report docs/algorithms

20 people train a small MobileFaceNet; 80 others, in 2,000 pairs, tell what it has learnt. Then a copy with a
2-D embedding goes on with 8 of the 20 people, for the picture.

Losses that do not learn identities (detection, distillation, domains) are not here; neither is MoCo, which
needs a second encoder, nor Partial FC, which is the loss it spreads.
"""

import argparse
import copy
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.losses_faces import PEOPLE, PLANE_PEOPLE, PLAY, SIZE, TRAINED, Faces, read_faces
from benchmarks.losses_report import table, write_report
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from vultus.evaluate import ScoredPairs, VerificationResult, verification
from vultus.networks.embedding import unit
from vultus.networks.mobilefacenet import MobileFaceNet
from vultus.training import losses
from vultus.training.losses.multiplied_angle import Annealing
from vultus.types import Crops

ROOT = Path(__file__).resolve().parents[1]
FACES = Path(os.environ.get("VULTUS_SHARED", ROOT.parent / "shared")) / "data" / "faces"

FIRST_OF_ROW = (0, 5, 6, 12, 13)  # the bottlenecks that stay: one of each row of the paper's table 1
PEOPLE_PER_BATCH, PICTURES_PER_BATCH = 16, 4
PROBED = 12  # pictures of each person of the held-out split
RATE = 3e-3
SCALE = 16.0  # of all cosines; the published 64 is for 10,000 classes and more
EMBEDDING_SIZE = 128

Criterion = Callable[[Tensor, Tensor], Tensor]


class Recipe(NamedTuple):
    """How a loss is made for (embedding size, classes, steps), and what the table says about it."""

    make: Callable[[int, int, int], Criterion]
    settings: str


class BalancedPairs(nn.Module):
    """A pair loss on all genuine pairs of a batch, and as many impostor pairs drawn by chance."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.chance = torch.Generator().manual_seed(0)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) embeddings, compared at length 1, with (N,) labels."""
        pairs = torch.combinations(torch.arange(len(labels)))
        is_same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
        genuine, impostor = pairs[is_same], pairs[~is_same]
        drawn = torch.randperm(len(impostor), generator=self.chance)[: len(genuine)]
        chosen = torch.cat([genuine, impostor[drawn]])
        rows = unit(embeddings)[chosen]  # (pairs, 2, D)
        loss: Tensor = self.loss(rows[:, 0], rows[:, 1], torch.arange(len(chosen)) < len(genuine))
        return loss


def supervised_views(embeddings: Tensor, labels: Tensor) -> Tensor:
    """NT-Xent where two pictures of a person are the two views; each person once in a comparison."""
    del labels  # the batch is ordered by people
    views = embeddings.view(-1, PICTURES_PER_BATCH, embeddings.shape[1]).unbind(1)
    nt_xent = losses.NTXentLoss(temperature=0.1)
    parts = [nt_xent(first, second) for first, second in zip(views[::2], views[1::2], strict=True)]
    return torch.stack(parts).mean()


def hurried(steps: int) -> Annealing:
    """The published course of lambda, compressed: its floor of 5 is reached after half of the steps."""
    published = Annealing()
    return Annealing(rate=(published.start / published.floor - 1) / (steps / 2))


def magface(embedding_size: int, classes: int, steps: int) -> Criterion:
    """The published lengths (10, 110) are for 512-d; a batch norm's output has a length of about sqrt(D)."""
    del steps
    ratio = (embedding_size / 512) ** 0.5
    lengths = (10 * ratio, 110 * ratio)
    return losses.MagFaceLoss(embedding_size, classes, length_range=lengths, scale=SCALE)


RECIPES = {
    "softmax": Recipe(lambda d, c, _: losses.SoftmaxLoss(d, c), "baseline"),
    "center": Recipe(
        lambda d, c, _: losses.SoftmaxCenterLoss(d, c), "joint with softmax, lambda 0.003, alpha 0.5"
    ),
    "normface": Recipe(lambda d, c, _: losses.NormFaceLoss(d, c, scale=SCALE), "s 16"),
    "l_softmax": Recipe(
        lambda d, c, steps: losses.LSoftmaxLoss(d, c, annealing=hurried(steps)),
        "m 4, lambda 1500 to 5 within half of the steps",
    ),
    "a_softmax": Recipe(
        lambda d, c, steps: losses.ASoftmaxLoss(d, c, annealing=hurried(steps)),
        "m 4, lambda 1500 to 5 within half of the steps",
    ),
    "cosface": Recipe(lambda d, c, _: losses.CosFaceLoss(d, c, scale=SCALE), "s 16, m 0.35"),
    "arcface": Recipe(lambda d, c, _: losses.ArcFaceLoss(d, c, scale=SCALE), "s 16, m 0.5"),
    "combined_margin": Recipe(
        lambda d, c, _: losses.CombinedMarginLoss(d, c, scale=SCALE), "s 16, CM1 (1, 0.3, 0.2)"
    ),
    "adaface": Recipe(
        lambda d, c, _: losses.AdaFaceLoss(d, c, scale=SCALE, momentum=0.1),
        "s 16, m 0.4, h 0.333, momentum 0.1 for 0.01",
    ),
    "magface": Recipe(magface, "s 16, lengths (10, 110) x sqrt(D / 512), margins (0.45, 0.8)"),
    "curricularface": Recipe(
        lambda d, c, _: losses.CurricularFaceLoss(d, c, scale=SCALE, momentum=0.1),
        "s 16, m 0.5, momentum 0.1 for 0.01",
    ),
    "circle": Recipe(
        lambda d, c, _: losses.CircleLoss(d, c, scale=4 * SCALE), "against classes, gamma 64 for 256, m 0.25"
    ),
    "circle_pairs": Recipe(
        lambda *_: partial(losses.circle_pair_loss, margin_cos=0.4, scale=20.0),
        "between faces, gamma 20 for 80, m 0.4",
    ),
    "contrastive": Recipe(
        lambda *_: BalancedPairs(losses.ContrastiveLoss()), "unit vectors, m 1, balanced pairs"
    ),
    "cosine_contrastive": Recipe(
        lambda *_: BalancedPairs(losses.CosineContrastiveLoss()), "m 0.5, balanced pairs"
    ),
    "triplet": Recipe(lambda *_: losses.TripletLoss(), "semi-hard, alpha 0.2"),
    "nt_xent": Recipe(lambda *_: supervised_views, "supervised: views are two pictures of a person; tau 0.1"),
}


def to_input(crops: Crops) -> Tensor:
    """(N, 3, H, W) as the network expects it."""
    scaled = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 127.5) / 128
    return scaled.contiguous(memory_format=torch.channels_last)  # the faster order on a CPU


def centre(crops: Crops) -> Crops:
    """The middle 32 x 32 px."""
    low = PLAY // 2
    return crops[:, low : low + SIZE, low : low + SIZE]


def batches(training: Crops, people: int, *, steps: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Always the same for one seed: up to 16 people x 4 pictures, mirrored and shifted by chance."""
    chance = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = chance.permutation(people)[:PEOPLE_PER_BATCH]
        crops, labels = [], []
        for person in chosen:
            for picture in chance.choice(TRAINED, PICTURES_PER_BATCH, replace=False):
                y, x = chance.integers(PLAY + 1, size=2)
                crop = training[person * TRAINED + picture, y : y + SIZE, x : x + SIZE]
                crops.append(crop[:, ::-1] if chance.random() < 0.5 else crop)
                labels.append(person)
        yield to_input(np.stack(crops)), torch.tensor(labels)


def train(
    network: nn.Module, criterion: Criterion, batches: Iterator[tuple[Tensor, Tensor]], *, steps: int
) -> list[float]:
    """Adam under a one-cycle rate; the loss of each step."""
    parameters = list(network.parameters())
    if isinstance(criterion, nn.Module):
        parameters += criterion.parameters()
    optimizer = torch.optim.Adam(parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps)
    network.train()
    course = []
    for images, labels in batches:
        loss = criterion(network(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        schedule.step()
        course.append(loss.item())
    return course


@torch.no_grad()
def embed(network: nn.Module, crops: Crops) -> Tensor:
    """(N, D) of (N, 36, 36, 3), not normalised."""
    network.eval()
    return torch.cat([network(part) for part in to_input(centre(crops)).split(256)])  # type: ignore[no-untyped-call]  # torch's own


def verify(network: nn.Module, faces: Faces) -> VerificationResult:
    """The ten-fold protocol on the held-out pairs."""
    embeddings = unit(embed(network, faces.probes)).numpy()
    similarities = (embeddings[faces.left] * embeddings[faces.right]).sum(1)
    return verification(ScoredPairs(similarities, faces.is_genuine, faces.fold))


def small_network(embedding_size: int, seed: int) -> nn.Module:
    """MobileFaceNet without the repeats: with all 15 bottlenecks, so few steps hardly leave the start."""
    torch.manual_seed(seed)
    network = MobileFaceNet(embedding_size=embedding_size, activation="relu", size_hw=(SIZE, SIZE))
    network.bottlenecks = nn.Sequential(*(network.bottlenecks[block] for block in FIRST_OF_ROW))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to its stubs
    return network


def initial_network(faces: Faces, seed: int) -> nn.Module:
    """Random weights; only the batch norms have seen faces, without which the start would look too bad."""
    network = small_network(EMBEDDING_SIZE, seed).train()
    with torch.no_grad():
        for images, _ in batches(faces.training, PEOPLE, steps=20, seed=seed):
            network(images)
    return network


def in_the_plane(network: nn.Module, seed: int) -> nn.Module:
    """The same trunk under a fresh 2-D embedding."""
    plane = small_network(2, seed)
    is_head = ("project", "bn")
    trunk = {name: value for name, value in network.state_dict().items() if not name.startswith(is_head)}
    plane.load_state_dict(plane.state_dict() | trunk)
    return plane


def run(name: str, start: nn.Module, faces: Faces, *, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train in 128 dimensions, verify; go on in two, and say where the unseen pictures lie."""
    torch.set_num_threads(arguments.threads)
    steps, plane_steps, seed = arguments.steps, arguments.plane_steps, arguments.seed
    recipe, network = RECIPES[name], copy.deepcopy(start)
    torch.manual_seed(seed)
    criterion = recipe.make(EMBEDDING_SIZE, PEOPLE, steps)
    used = time.process_time()
    course = train(network, criterion, batches(faces.training, PEOPLE, steps=steps, seed=seed), steps=steps)
    cpu_seconds = time.process_time() - used
    result = verify(network, faces)
    plane = in_the_plane(network, seed)
    criterion = recipe.make(2, PLANE_PEOPLE, plane_steps)
    flat = batches(faces.training, PLANE_PEOPLE, steps=plane_steps, seed=seed)
    train(plane, criterion, flat, steps=plane_steps)
    return {
        "loss": name,
        "settings": recipe.settings,
        **figures(result),
        "loss_first": course[0],
        "loss_last": course[-1],
        "cpu_seconds": cpu_seconds,
        "points": embed(plane, faces.unseen).tolist(),
    }


def figures(result: VerificationResult) -> dict[str, float]:
    """What the table shows of a verification."""
    return {
        "accuracy": result.accuracy,
        "standard_error": result.standard_error,
        "eer": result.equal_error.rate,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All losses, `jobs` at a time; the order and the number of jobs change no figure but the time."""
    console = Console(stderr=True)
    with console.status("Reading faces"):
        faces = read_faces(arguments.faces, arguments.seed)
        start = initial_network(faces, arguments.seed)
    began = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = []
    work = partial(run, start=start, faces=faces, arguments=arguments)
    with (
        ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool,
        Progress(*columns, console=console) as bar,
    ):
        for each in bar.track(pool.map(work, arguments.losses), total=len(arguments.losses)):
            results.append(each)
            console.print(f"{each['loss']:20} {each['accuracy']:.3f}")
    return {
        "command": f"python -m benchmarks.losses {' '.join(sys.argv[1:])}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "seconds": time.perf_counter() - began,
        "steps": arguments.steps,
        "batch": PEOPLE_PER_BATCH * PICTURES_PER_BATCH,
        "plane_steps": arguments.plane_steps,
        "start": figures(verify(start, faces)),
        "results": results,
    }


def machine() -> str:
    """What the times depend on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, default=FACES, help="folder with index.csv and the shards")
    parser.add_argument("--losses", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="LOSS")
    parser.add_argument("--steps", type=int, default=150, help="batches for each loss (default 150)")
    parser.add_argument("--plane-steps", type=int, default=60, help="batches in two dimensions (default 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="losses trained at once (default 1)")
    parser.add_argument("--threads", type=int, default=1, help="of each job (default 1)")
    parser.add_argument("--report", type=Path, help="folder for losses.md and losses.png")
    parser.add_argument("--measured", type=Path, help="report what an earlier run printed with --json")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measured:
        measured = json.loads(arguments.measured.read_text(encoding="utf-8"))
    else:
        measured = measure(arguments)
    if arguments.report:
        write_report(measured, arguments.report)
    print(json.dumps(measured) if arguments.json else table(measured))


if __name__ == "__main__":
    main()
