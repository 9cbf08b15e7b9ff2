"""What each choice of the distillation is worth: one thing changed at a time, the same faces and budget.

    python -m benchmarks.ablations                       # all; some minutes each
    python -m benchmarks.ablations "no relations" slim   # some
    python -m benchmarks.ablations --page docs/training/distillation.md

Every eighth training crop of `shared/data/faces` (6,040), three epochs from the same fresh weights, by
`vultus train distil`, with one thread; the two MobileFaceNets compiled, as they would take too long. Judged
by the 80 held-out people, all pairs of 8 crops each, in the run's own last validation. Milliseconds: one
face, one thread, ONNX Runtime, fp32, all networks turn about in this process. What is measured is kept in
`runs/ablations`; `--page` writes the table from that between the marks in the page.

So few faces and steps rank the choices; they do not say how good a network becomes.
"""

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.recipes import (
    HELDOUT_CROPS,
    ROOT,
    folder_name,
    index_rows,
    shortened,
    write_between,
    write_index,
)

from vultus.evaluate.provenance import commit
from vultus.export.onnx import to_onnx
from vultus.networks.catalog import NETWORKS
from vultus.networks.measure import cost
from vultus.runtime.device import processor
from vultus.runtime.onnx import OnnxSession

RUNS = ROOT / "runs" / "ablations"
SUBSET = RUNS / "faces"
BEGIN, END = "<!-- measured: benchmarks/ablations.py -->", "<!-- end of ablations -->"
EVERY = 8
COMMON = {
    "network": "compact-resnet",
    "augmentation": "light",
    "relation_weight": "1",
    "margin_weight": "0",
    "epochs": "3",
    "batch_size": "64",
    "threads": "1",
}
CASES: Mapping[str, Mapping[str, str]] = {
    "as shipped": {},
    "slim": {"network": "compact-resnet-slim"},
    "MobileFaceNet, PReLU": {"network": "mobilefacenet", "compile": "true"},
    "MobileFaceNet, ReLU": {"network": "mobilefacenet-relu", "compile": "true"},
    "no relations": {"relation_weight": "0"},
    "margin head": {"margin_weight": "0.02", "margin_scale": "30"},
    "blends": {"blends": "0.5", "epochs": "2"},
    "augmentation none": {"augmentation": "none"},
    "augmentation mirror": {"augmentation": "mirror"},
    "augmentation strong": {"augmentation": "strong"},
}


def write_subset() -> None:
    """Every eighth training crop, and the held-out people."""
    if (SUBSET / "teacher.npy").exists():
        return
    rows = index_rows()
    learnt = [number for number, row in enumerate(rows) if row["split"] == "train"][::EVERY]
    seen: Counter[str] = Counter()
    judged = []
    for number, row in enumerate(rows):
        if row["split"] == "heldout" and row["identity"]:
            seen[row["identity"]] += 1
            if seen[row["identity"]] <= HELDOUT_CROPS:
                judged.append(number)
    write_index(SUBSET, rows, sorted(learnt + judged))


def measure(name: str) -> None:
    """Train one case, and keep what its last validation said."""
    folder = RUNS / folder_name(name)
    shutil.rmtree(folder, ignore_errors=True)
    knobs = {
        **COMMON,
        "faces": str(SUBSET),
        "heldout": str(SUBSET),
        "teacher_embeddings": str(SUBSET / "teacher.npy"),
        "cache": str(RUNS / "cache"),
        "validate_every": COMMON["epochs"],
        **CASES[name],
    }
    sets = [part for knob, value in knobs.items() for part in ("--set", f"{knob}={value}")]
    command = [sys.executable, "-m", "vultus", "train", "distil", "--run", str(folder), *sets]
    began = time.monotonic()
    subprocess.run(command, check=True)
    with (folder / "validation.csv").open(newline="", encoding="utf-8") as stream:
        figures = {key: float(value) for key, value in list(csv.DictReader(stream))[-1].items()}
    with (folder / "log.csv").open(newline="", encoding="utf-8") as stream:
        rates = [float(row["samples_per_second"]) for row in csv.DictReader(stream)]
    result = {
        "name": name,
        "network": knobs["network"],
        "figures": figures,
        "samples_per_second": statistics.median(rates),
        "wall_s": time.monotonic() - began,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result), flush=True)


def milliseconds(names: Sequence[str], *, rounds: int = 40) -> dict[str, float]:
    """Of one face, for each network with fresh weights: medians of calls in turn."""
    face = np.random.default_rng(0).normal(size=(1, 3, 112, 112)).astype(np.float32)
    sessions = {}
    for name in names:
        model = to_onnx(
            NETWORKS[name].build().eval(),
            example_shape=(2, 3, 112, 112),
            free_axes={0: torch.export.Dim("batch")},
            output_names=["embeddings"],
            facts={},
        )
        sessions[name] = OnnxSession(model, threads=1)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, session in sessions.items():
            began = time.perf_counter()
            session.run(face)
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values[2:]) for name, values in times.items()}


def page() -> str:
    """The table of all that was measured."""
    files = (RUNS / folder_name(name) / "result.json" for name in CASES)
    results: list[dict[str, Any]] = [json.loads(file.read_text()) for file in files if file.exists()]
    times = milliseconds(sorted({result["network"] for result in results}))
    rates = [key for key in results[0]["figures"] if key.startswith("tar")][:2]
    titles = [f"TAR@FAR={rate.removeprefix('tar_at_').replace('-0', '-')}" for rate in rates]
    head = ["changed", "M parameters", "GFLOPs", "ms a face", "faces/s in training", "EER", *titles]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for result in results:
        price = cost(NETWORKS[result["network"]])
        figures = [f"{100 * result['figures'][key]:.1f} %" for key in ("eer", *rates)]
        cells = [
            result["name"],
            f"{price.params_m:.2f}",
            f"{price.gflops:.2f}",
            f"{times[result['network']]:.1f}",
            f"{result['samples_per_second']:.0f}",
            *figures,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    dates = sorted({result["date"] for result in results})
    commits = sorted({shortened(str(result["commit"])) for result in results})
    lines += [
        "",
        f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {processor()[0]}, one thread, "
        f"PyTorch {torch.__version__}, commit {', '.join(commits)}. PReLU is timed as rewritten at load.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {'; '.join(CASES)}; all by default")
    parser.add_argument("--page", type=Path, help="write the table into this page, and stop")
    arguments = parser.parse_args()
    if arguments.page is not None:
        write_between(arguments.page, page(), marks=(BEGIN, END))
        return
    write_subset()
    for name in arguments.names or CASES:
        measure(name)


if __name__ == "__main__":
    main()
