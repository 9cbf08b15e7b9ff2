"""The losses of the detectors over a batch that two processes share, and over one that nobody shares.

    python shared_losses.py FOLDER

Writes FOLDER/rank-0.pt, rank-1.pt and alone.pt: of each case the total and the gradient of what was answered.
The two ranks are forked from this process before anything is computed; they meet in a file: no port.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from vultus.training.losses.anchor_imitation import AnchorImitationLoss
from vultus.training.losses.hints import hint_loss
from vultus.training.losses.mtcnn_multitask import CropKind, CropTargets, MTCNNMultitaskLoss
from vultus.training.losses.multibox import AnchorTargets, MultiBoxLoss
from vultus.training.losses.yolov5_face import LevelTargets, YOLOv5FaceLoss

COUNT, RANKS = 7, 2  # samples: four on one rank, three on the other
CROPS = 31
Part = Sequence[int]
Loss = Callable[[Tensor, Part], Tensor]


def noise(*shape: int, seed: int) -> Tensor:
    """The same on every process, in float64."""
    return 2 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def multibox(faces: int) -> Loss:
    """16 values for each of 40 anchors; so many of all anchors are faces."""
    targets = noise(COUNT, 40, 14, seed=1)
    classes = torch.zeros(COUNT * 40, dtype=torch.int64)
    classes[torch.randperm(COUNT * 40, generator=torch.Generator().manual_seed(2))[:faces]] = 1
    classes = classes.reshape(COUNT, 40)
    has_landmarks = noise(COUNT, 40, seed=3) > 0

    def loss(values: Tensor, part: Part) -> Tensor:
        given = (classes, targets[..., :4], targets[..., 4:], has_landmarks)
        answers = torch.split(values.reshape(-1, 40, 16), [2, 4, 10], dim=2)
        targets_of_part = AnchorTargets(*(each[list(part)] for each in given))
        total: Tensor = MultiBoxLoss()(*answers, targets=targets_of_part).total
        return total

    return loss


def imitation(values: Tensor, part: Part) -> Tensor:
    """16 values for each of 40 anchors."""
    teacher = torch.split(noise(COUNT, 40, 16, seed=4)[list(part)], [2, 4, 10], dim=2)
    student = torch.split(values.reshape(-1, 40, 16), [2, 4, 10], dim=2)
    total: Tensor = AnchorImitationLoss()(
        (student[0], student[1], student[2]), (teacher[0], teacher[1], teacher[2])
    ).total
    return total


def hints(values: Tensor, part: Part) -> Tensor:
    """Maps of 10 channels, 8 x 8."""
    return hint_loss([values.reshape(-1, 10, 8, 8)], [1 + noise(COUNT, 10, 8, 8, seed=5)[list(part)]])


def multitask(values: Tensor, part: Part) -> Tensor:
    """16 values for each crop."""
    kinds = torch.tensor(list(CropKind) * CROPS)[:CROPS]
    kinds[20:] = CropKind.NEGATIVE  # on one rank the crops are harder than on the other
    given = (kinds, noise(CROPS, 4, seed=6), noise(CROPS, 10, seed=7))
    targets = CropTargets(*(each[list(part)] for each in given))
    total: Tensor = MTCNNMultitaskLoss()(*torch.split(values, [2, 4, 10], dim=1), targets=targets).total
    return total


def yolo(values: Tensor, part: Part) -> Tensor:
    """40 predictions in each image; image i has i // 2 faces."""
    rows = [place * 40 + 3 * face for place, image in enumerate(part) for face in range(image // 2)]
    faces = [image * 10 + face for image in part for face in range(image // 2)]
    cells, sizes = noise(10 * COUNT, 2, seed=8)[faces], noise(10 * COUNT, 2, seed=9)[faces].abs() + 1
    targets = LevelTargets(
        rows=torch.tensor(rows, dtype=torch.int64),
        cells=cells,
        anchors_wh=sizes,
        boxes_cxcywh=torch.cat([cells + 0.3, sizes + 0.5], dim=1),
        landmarks=noise(10 * COUNT, 5, 2, seed=10)[faces],
        is_labelled=noise(10 * COUNT, 5, seed=11)[faces] > 0,
        ignored_rows=torch.tensor([40 * place + 1 for place in range(len(part))]),
    )
    total: Tensor = YOLOv5FaceLoss(level_balance=(1.0,))([values.reshape(-1, 16)], [targets]).total
    return total


CASES: dict[str, tuple[Loss, tuple[int, ...]]] = {
    "multibox": (multibox(20), (COUNT, 40 * 16)),
    "multibox with one face": (multibox(1), (COUNT, 40 * 16)),
    "multibox without faces": (multibox(0), (COUNT, 40 * 16)),
    "anchor imitation": (imitation, (COUNT, 40 * 16)),
    "hints": (hints, (COUNT, 640)),
    "mtcnn": (multitask, (CROPS, 16)),
    "yolov5-face": (yolo, (COUNT, 40 * 16)),
}


def answers(rank: int, rank_count: int) -> dict[str, Any]:
    """Of each case: the loss of this rank's samples, and its gradient at all samples."""
    told = {}
    for name, (loss, shape) in CASES.items():
        values = noise(*shape, seed=0).requires_grad_()
        part = range(rank, shape[0], rank_count)
        total = loss(values[list(part)], part)
        (gradient,) = torch.autograd.grad(total, values)
        told[name] = (total.item(), gradient)
    return told


def be_rank(folder: Path, rank: int) -> None:
    """In a group of two."""
    dist.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=300),
    )
    torch.save(answers(rank, RANKS), folder / f"rank-{rank}.pt")
    dist.destroy_process_group()


def main(folder: Path) -> None:
    """Two ranks, then this process alone."""
    torch.set_num_threads(1)
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if not child:
            try:
                be_rank(folder, rank)
                os._exit(0)
            finally:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    torch.save(answers(0, 1), folder / "alone.pt")
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
