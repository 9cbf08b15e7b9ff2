"""One rank of a gloo group, for test_partial_fc.py: runs every case on its part of the batch.

    python sharded_rank.py FOLDER RANK RANK_COUNT

Reads FOLDER/cases.pt, writes FOLDER/rank-RANK.pt. The group meets in a file of the folder: no port.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from vultus.errors import InputError, ShapeError
from vultus.training.losses import PartialFC
from vultus.training.losses.collectives import gather_rows


def head(case: dict[str, Any]) -> PartialFC:
    """The case's loss, with this rank's part of the case's weights."""
    loss = PartialFC(case["build"], case["class_count"], **case["options"]).double()
    with torch.no_grad():
        loss.loss.weight.copy_(case["weight"][slice(*loss.class_range)])
    return loss


def run(case: dict[str, Any], rank: int, rank_count: int) -> dict[str, Any]:
    """Loss and gradients of this rank's part, and the state after two steps."""
    loss = head(case)
    embeddings = case["embeddings"].chunk(rank_count)[rank].clone().requires_grad_()
    labels = case["labels"].chunk(rank_count)[rank]
    values = [loss(embeddings, labels) for _ in range(2)]
    values[0].backward()
    return {
        "values": [value.item() for value in values],
        "embeddings": embeddings.grad,
        "weight": loss.loss.weight.grad,
        "class_range": loss.class_range,
        "state": {key: value for key, value in loss.loss.state_dict().items() if key != "weight"},
    }


def refusals(case: dict[str, Any], rank: int) -> dict[str, str]:
    """What rank 1 alone does wrong, and every rank must refuse: waiting for the other would never end."""
    loss, told = head(case), {}
    try:
        loss(torch.ones(2, 6).double(), torch.tensor([0, 99 if rank else 1]))
    except InputError as error:
        told["label"] = str(error)
    try:
        gather_rows(torch.ones(2 + rank, 6))
    except ShapeError as error:
        told["rows"] = str(error)
    return told


def main(folder: Path, rank: int, rank_count: int) -> None:
    """Run all cases as one rank of the group."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=rank_count,
        timeout=timedelta(seconds=60),
    )
    cases = torch.load(folder / "cases.pt", weights_only=False)
    answers: dict[str, Any] = {name: run(case, rank, rank_count) for name, case in cases.items()}
    torch.manual_seed(5)  # the same on every rank, as training scripts do
    case = cases["cosface"]
    fresh = PartialFC(case["build"], case["class_count"]).loss.weight.detach()
    answers |= {"fresh": fresh, "refusals": refusals(case, rank)}
    torch.save(answers, folder / f"rank-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
