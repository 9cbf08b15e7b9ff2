"""Every recogniser's recipe on the same few faces with one budget, verified on new people.

    python benchmarks/recipes.py                     # all; a recipe takes a minute or two
    python benchmarks/recipes.py cosface distil      # some
    python benchmarks/recipes.py --kill cosface      # again, with kill -9 on the way: does it end alike?
    python benchmarks/recipes.py --page docs/training/recipes.md

The faces: 40 people of `shared/data/faces`, 20 of PINS and 20 of CelebA, with 30 crops each at most.
Adaptation goes from PINS to CelebA; all others learn from both. Judged by the 80 held-out people, all pairs
of 8 crops each. All start from the same fresh weights, by `vultus train`, each in a process of its own with
one thread. What is measured is kept in `runs/recipes`; `--page` writes the table from that between the marks
in the page.
"""

import argparse
import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vultus.evaluate.provenance import commit
from vultus.networks.catalog import NETWORKS
from vultus.networks.state import load_state
from vultus.runtime.device import processor
from vultus.training.data.reading import read_faces
from vultus.training.recognition import (
    RecogniserSettings,
    VerificationOfPeople,
    encoder_of,
    network_of,
)

ROOT = Path(__file__).resolve().parents[1]
FACES = Path(os.environ.get("VULTUS_SHARED", ROOT.parent / "shared")) / "data" / "faces"
RUNS = ROOT / "runs" / "recipes"
SUBSET = RUNS / "faces"
BEGIN, END = "<!-- measured: benchmarks/recipes.py -->", "<!-- end -->"

PER_SOURCE, CROPS, HELDOUT_CROPS = 20, 30, 8
NETWORK = "compact-resnet-slim"
COMMON = {
    "network": NETWORK,
    "heldout": "none",
    "augmentation": "mirror",
    "epochs": "6",
    "batch_size": "32",
    "optimizer": "adamw",
    "lr": "0.002",
    "weight_decay": "0.05",
    "schedule": "cosine",
    "warmup_epochs": "0.5",
    "precision": "bf16-mixed",
    "threads": "1",
    "log_every": "1",
}
ADAPT = {"sources": "pins", "target": str(SUBSET), "target_sources": "celeba", "scale": "16", "epochs": "3"}
CASES: Mapping[str, Mapping[str, str]] = {
    "facenet_triplet": {},
    "center_loss": {},
    "siamese_contrastive": {"batch_size": "16", "epochs": "2"},
    "sphereface": {"lambda_rate": "100"},
    "cosface": {"scale": "16"},
    "arcface": {"scale": "16", "margin_rad": "0.3"},
    "arcface, Partial FC": {"scale": "16", "margin_rad": "0.3", "sampling_rate": "0.5"},
    "distil": {"teacher_embeddings": str(SUBSET / "teacher.npy")},
    "distil, margin": {
        "teacher_embeddings": str(SUBSET / "teacher.npy"),
        "margin_weight": "0.05",
        "margin_scale": "16",
    },
    "adapt, joint": ADAPT | {"method": "joint"},
    "adapt, mmd": ADAPT | {"method": "mmd"},
    "adapt, coral": ADAPT | {"method": "coral"},
    "moco": {
        "batch_size": "32",
        "epochs": "3",
        "queue_size": "256",
        "key_momentum": "0.99",
        "augmentation": "light",
    },
}


def write_subset() -> None:
    """An index of some rows of the shards, links to them, and the teacher's rows."""
    if (SUBSET / "teacher.npy").exists():
        return
    rows = index_rows()
    by_person: dict[tuple[str, str, str], list[int]] = {}
    for number, row in enumerate(rows):
        if row["identity"] and row["source"] in ("pins", "celeba"):
            by_person.setdefault((row["split"], row["source"], row["identity"]), []).append(number)
    chosen: list[int] = []
    for source in ("pins", "celeba"):
        people = sorted(key for key in by_person if key[:2] == ("train", source))
        most = sorted(people, key=lambda key: -len(by_person[key]))[:PER_SOURCE]
        chosen += [number for key in most for number in by_person[key][:CROPS]]
    heldout = [key for key in by_person if key[0] == "heldout"]
    chosen += [number for key in heldout for number in by_person[key][:HELDOUT_CROPS]]
    write_index(SUBSET, rows, sorted(chosen))


def index_rows() -> list[dict[str, str]]:
    """What the index says of each of the shared faces."""
    with (FACES / "index.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_index(folder: Path, rows: Sequence[Mapping[str, str]], chosen: Sequence[int]) -> None:
    """An index of the chosen rows in a fresh folder, with links to their shards, and the teacher's rows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[number] for number in chosen)
    for shard in sorted({rows[number]["shard"] for number in chosen}):
        (folder / shard).symlink_to(FACES / shard)
    np.save(folder / "teacher.npy", np.load(FACES / "teacher-sface.npy", mmap_mode="r")[list(chosen)])


def folder_name(case: str) -> str:
    """A case's name without spaces and commas."""
    return case.replace(", ", "-").replace(" ", "_")


def command_of(name: str, folder: Path) -> list[str]:
    """What trains a case."""
    knobs = {**COMMON, "faces": str(SUBSET), "cache": str(RUNS / "cache"), **CASES[name]}
    recipe = name.split(",", maxsplit=1)[0]
    sets = [part for knob, value in knobs.items() for part in ("--set", f"{knob}={value}")]
    return [sys.executable, "-m", "vultus", "train", recipe, "--run", str(folder), *sets]


def verified(weights: Path | None) -> dict[str, float]:
    """The held-out figures of these weights, or of the fresh ones that every run starts from."""
    settings = RecogniserSettings(network=NETWORK)
    heldout = read_faces(SUBSET, split="heldout", cache=RUNS / "cache")
    judge = VerificationOfPeople(heldout, encoder_of(settings), per_person=HELDOUT_CROPS)
    if weights is None:
        network = network_of(settings).eval()
    else:
        network = load_state(NETWORKS[NETWORK].build(), weights, what=f"a {NETWORK}")
    return dict(judge(network))


def measure(name: str) -> None:
    """Train a case, verify it before and after, keep the figures."""
    folder = RUNS / folder_name(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = verified(None)
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command_of(name, folder), check=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {
        "name": name,
        "steps": steps_of(folder),
        "cpu_s": now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime,
        "wall_s": time.monotonic() - began,
        "before": before,
        "after": verified(folder / "best.pt"),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result), flush=True)


def kill(name: str) -> None:
    """Train a case again with kill -9 at a random step, go on, compare with the run that was not killed."""
    whole = RUNS / folder_name(name)
    folder = whole.with_name(f"{whole.name}-killed")
    shutil.rmtree(folder, ignore_errors=True)
    total = steps_of(whole)
    step = random.randint(total // 4, 3 * total // 4)
    command = [*command_of(name, folder), "--set", "checkpoint_minutes=0.05"]
    child = subprocess.Popen(command)
    while child.poll() is None and steps_of(folder) < step:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    died = steps_of(folder)
    subprocess.run(command, check=True)
    states = [torch.load(run / "best.pt", weights_only=True) for run in (whole, folder)]
    is_alike = all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    result = {"name": name, "killed_at": died, "steps": steps_of(folder), "is_alike": is_alike}
    (folder / "killed.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result), flush=True)


def steps_of(folder: Path) -> int:
    """The last step in a run's log."""
    file = folder / "log.csv"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return int(lines[-1].split(",")[1]) if len(lines) > 1 else 0


def page() -> str:
    """The table of all that was measured, and what became of the killed run."""
    results = [
        json.loads(file.read_text())
        for file in (RUNS / folder_name(name) / "result.json" for name in CASES)
        if file.exists()
    ]
    rates = [name for name in results[0]["before"] if name.startswith("tar")][:2]
    titles = [f"TAR@FAR={rate.removeprefix('tar_at_').replace('-0', '-')}" for rate in rates]
    head = ["recipe", "steps", "pictures", "CPU seconds", "EER", *titles]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    start = results[0]["before"]
    for told in [{"name": "the start of all", "steps": 0, "cpu_s": 0, "after": start}, *results]:
        figures = [f"{told['after'][key]:.1%}".replace("%", " %") for key in ("eer", *rates)]
        seconds = "not kept" if told["cpu_s"] is None else f"{told['cpu_s']:.0f}"  # None: it was stopped once
        spent = f"{told['steps']} | {pictures_of(told):,} | {seconds}"
        lines.append(f"| {told['name']} | {spent} | {' | '.join(figures)} |")
    lines += ["", *told_of(results)]
    return "\n".join(lines)


def pictures_of(result: Mapping[str, Any]) -> int:
    """How many pictures the network has learnt from: pairs, and MoCo's views, are two."""
    batch_size = int({**COMMON, **CASES.get(result["name"], {})}["batch_size"])
    return int(result["steps"]) * batch_size * (2 if result["name"] in ("siamese_contrastive", "moco") else 1)


def told_of(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """When and where it was measured; the killed run."""
    dates = sorted({result["date"] for result in results})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    commits = sorted({shortened(str(result["commit"])) for result in results})
    lines = [
        f"Measured {days} on {processor()[0]}, one thread for each run, others at work on the same "
        f"machine (hence CPU seconds), PyTorch {torch.__version__}, commit {', '.join(commits)}.",
    ]
    for file in sorted(RUNS.glob("*/killed.json")):
        told = json.loads(file.read_text())
        outcome = "the same weights to the bit" if told["is_alike"] else "OTHER weights"
        lines += [
            "",
            f"`{told['name']}` was killed by `kill -9` after step {told['killed_at']} of {told['steps']}; "
            f"the same command went on and ended with {outcome} as the run that was left alone.",
        ]
    return lines


def shortened(commit: str) -> str:
    """Seven digits, and whether the files differed from it."""
    return commit[:7] + " with changes" * commit.endswith("+")


def write_between(file: Path, table: str, *, marks: tuple[str, str]) -> None:
    """Put a table between two marks of a page."""
    begin, end = marks
    text = file.read_text(encoding="utf-8")
    before, after = text.split(begin)[0], text.split(end)[1]
    file.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {'; '.join(CASES)}; all by default")
    parser.add_argument("--kill", action="store_true", help="train again with kill -9 on the way")
    parser.add_argument("--page", type=Path, help="write the table into this page, and stop")
    arguments = parser.parse_args()
    if arguments.page is not None:
        write_between(arguments.page, page(), marks=(BEGIN, END))
        return
    torch.set_num_threads(1)
    write_subset()
    for name in arguments.names or CASES:
        (kill if arguments.kill else measure)(name)


if __name__ == "__main__":
    main()
