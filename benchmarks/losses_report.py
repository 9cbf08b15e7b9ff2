"""The page and the picture that `losses.py` makes of its figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.losses_faces import FOLDS, PAIRS_PER_KIND, PLANE_PEOPLE, UNSEEN

PAGE = """\
# Losses, side by side

A toy, but real learning: each identity loss trains the same small network on the same 20 people, and is asked
about 80 others. Written by `benchmarks/losses.py`.

{table}

Accuracy: mean and standard error of ten folds, each judged at the threshold that the nine others chose.
CPU s: of the {steps} steps.

{unclear}

![Embeddings in two dimensions, one panel for each loss](losses.png)

Pictures that were not trained on, of 8 of the 20 people, one colour each, as the 2-D embedding leaves the
network (not normalised); the cross is the origin. As in figure 2 of the center-loss paper, but of faces. So
short a training does not part them in a plane: people overlap under every loss.

## Protocol

- Training: the 20 PINS people with the most pictures in split `train`, 150 pictures of each, 32 px, mirrored
  and shifted by chance. {steps} batches of {batch} (16 people x 4 pictures), Adam, one-cycle to 0.003.
- Network: MobileFaceNet with ReLU and one bottleneck for each row of the paper's table 1, 128-d. With all 15
  it hardly leaves the start in so few steps. Initial weights, batches, their order and the schedule are the
  same for every loss.
- Start: the initial weights after the batch norms have seen 20 batches.
- Verification: all 80 people of split `heldout` (PINS and CelebA), 12 pictures of each; a fixed list of
  {pairs} pairs, half of them genuine, in ten folds, no person in two of them. Cosine similarity.
- Plane: the trained trunk under a fresh 2-D embedding, {plane_steps} more batches with 8 people.
- Settings: margins as published; scale 16 where 64 is published (NormFace: 30), 64 where 256 is, as there are
  20 classes and few steps. A course or a momentum meant for long runs is shortened, as the table says. None
  was searched for, but for circle_pairs: with the settings of circle it did not leave the start, and now has
  the paper's for retrieval. The learning rate and the network were chosen with softmax. All that was done by
  these same pairs, so the leads over the start are a little too friendly.
- Not here: losses of detection, distillation and domain adaptation, which do not learn identities; MoCo,
  which needs a second encoder; Partial FC, which is the loss it spreads.

```
{command}
```

{date}; {machine}; {minutes} minutes in all.

## What this does not show

Which loss is best. One seed, 20 people, 32 px, {steps} steps: margins are made for thousands of people and
many epochs. The standard errors are those of the pairs, not of training: another seed moves a row by a few
points more, so differences of four points between losses say nothing.
"""


def write_report(measured: dict[str, Any], folder: Path) -> None:
    """Write losses.md and losses.png."""
    (folder / "losses.md").write_text(page(measured), encoding="utf-8")
    plot(measured["results"], folder / "losses.png")


def unclear(measured: dict[str, Any]) -> str:
    """Which losses did not leave the start by two standard errors of the difference."""
    start = measured["start"]
    names = [
        each["loss"]
        for each in measured["results"]
        if each["accuracy"] - start["accuracy"]
        < 2 * np.hypot(each["standard_error"], start["standard_error"])
    ]
    if not names:
        return "Every loss is above the start by more than two standard errors of the difference."
    told = ", ".join(names)
    return f"**Not clearly above the start** (less than two standard errors of the difference): {told}."


def plot(results: Sequence[dict[str, Any]], path: Path) -> None:
    """One panel for each loss: the unseen pictures of 8 people in the plane, a colour for each person."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(6, len(results))
    lines = -(-len(results) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(2.2 * columns, 2.35 * lines), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    people = np.repeat(np.arange(PLANE_PEOPLE), UNSEEN)
    for axis, each in zip(axes.flat, results, strict=False):
        x, y = np.array(each["points"]).T
        axis.axis("on")
        axis.scatter(x, y, c=people, cmap="Set1", vmax=8, s=5, linewidths=0)
        axis.plot(0, 0, "k+", markersize=6)
        axis.set_title(each["loss"], fontsize=9)
        axis.set_aspect("equal", "datalim")
        axis.set(xticks=[], yticks=[])
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def table(measured: dict[str, Any]) -> str:
    """Markdown, in the order in which they ran; the start is the first row."""
    start = measured["start"]
    softmax = next((each for each in measured["results"] if each["loss"] == "softmax"), None)
    lines = [
        "| loss | settings | accuracy, % | beside softmax | EER, % | CPU s |",
        "|---|---|---|---|---|---|",
        f"| (start) | untrained | {percent(start)} | | {100 * start['eer']:.1f} | |",
    ]
    for each in measured["results"]:
        lead = "" if softmax is None else f"{100 * (each['accuracy'] - softmax['accuracy']):+.1f}"
        lines.append(
            f"| {each['loss']} | {each['settings']} | {percent(each)} | {lead} "
            f"| {100 * each['eer']:.1f} | {each['cpu_seconds']:.0f} |"
        )
    return "\n".join(lines)


def percent(each: dict[str, Any]) -> str:
    """Accuracy with its standard error."""
    return f"{100 * each['accuracy']:.1f} ± {100 * each['standard_error']:.1f}"


def page(measured: dict[str, Any]) -> str:
    """The page of the documentation."""
    told = {name: measured[name] for name in ("command", "date", "machine", "steps", "plane_steps", "batch")}
    pairs = 2 * FOLDS * PAIRS_PER_KIND
    told["unclear"] = unclear(measured)
    return PAGE.format(table=table(measured), pairs=pairs, minutes=f"{measured['seconds'] / 60:.1f}", **told)
