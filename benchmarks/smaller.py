"""Three ways to a smaller network on one chart: accuracy against milliseconds.

    python -m benchmarks.smaller --lfw LFW --out docs/production \
        'trained:compact-resnet=ours.onnx' 'quantised:int8=ours-int8.onnx' \
        'pruned:80 % of channels=pruned-80.onnx' 'distilled:slim=slim.onnx'

Each file is one that Vultus exported. All see the same detections; times are of one face through the whole
embedder (preprocessing included), the files in turn, medians. Writes smaller.json and smaller.png, and prints
the table.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.embed.embedder import SessionEmbedder
from vultus.embed.self_check import reference_face
from vultus.evaluate.figures import new_figure, save_pictures
from vultus.evaluate.pair_sets import read_pair_set
from vultus.evaluate.provenance import Provenance
from vultus.export.side_by_side import accuracies


class Candidate(NamedTuple):
    """A network on the chart: by which way it was made, its name, its file."""

    way: str
    name: str
    path: Path


def candidate(text: str) -> Candidate:
    way, _, rest = text.partition(":")
    name, _, path = rest.rpartition("=")
    return Candidate(way, name, Path(path))


def milliseconds(embedders: list[SessionEmbedder], *, rounds: int) -> list[float]:
    """The median time of one face for each, taken in turn."""
    crop = reference_face()[np.newaxis]
    times: list[list[float]] = [[] for _ in embedders]
    for _ in range(rounds + 3):
        for taken, embedder in zip(times, embedders, strict=True):
            start = time.perf_counter()
            embedder.embed(crop)
            taken.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(taken[3:]) for taken in times]


def chart(rows: list[dict[str, Any]]) -> Any:
    figure = new_figure("Accuracy against time: three ways to a smaller network")
    axes = figure.subplots()
    for way in dict.fromkeys(row["way"] for row in rows):
        mine = [row for row in rows if row["way"] == way]
        axes.plot([row["ms"] for row in mine], [row["accuracy"] for row in mine], "o", label=way)
        for row in mine:
            axes.annotate(
                row["name"], (row["ms"], row["accuracy"]), xytext=(4, 4), textcoords="offset points"
            )
    axes.set_xlim(0, 1.35 * max(row["ms"] for row in rows))  # room for the names
    axes.set_xlabel("milliseconds for one face")
    axes.set_ylabel("10-fold accuracy on LFW-dev, %")
    axes.legend()
    return figure


def main(
    files: Annotated[list[str], typer.Argument(metavar="WAY:NAME=FILE...")],
    lfw: Annotated[Path, typer.Option(help="A folder with pairs.txt and images.")],
    out: Annotated[Path, typer.Option(help="Where smaller.json and smaller.png go.")],
    rounds: int = 200,
    threads: int = 1,  # with more, the idle threads of the other candidates spin on the same cores
) -> None:
    candidates = [candidate(text) for text in files]
    embedders = [load_embedder(str(each.path), threads=threads) for each in candidates]
    measured = accuracies(read_pair_set("lfw", lfw), embedders, detector=load_detector())
    times = milliseconds(embedders, rounds=rounds)
    rows = [
        {
            "way": each.way,
            "name": each.name,
            "accuracy": round(100 * accuracy, 2),
            "ms": round(ms, 3),
            "bytes": each.path.stat().st_size,
        }
        for each, accuracy, ms in zip(candidates, measured, times, strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    made = Provenance.now("python -m benchmarks.smaller")
    report = {"rows": rows, "machine": made.machine, "commit": made.commit, "threads": threads}
    (out / "smaller.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    save_pictures({"smaller.png": lambda: chart(rows)}, out)
    print("| way | network | accuracy, % | ms a face | bytes |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['way']} | {row['name']} | {row['accuracy']} | {row['ms']} | {row['bytes']:,} |")


if __name__ == "__main__":
    typer.run(main)
