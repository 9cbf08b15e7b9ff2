"""One rank of a gloo group, for test_of_all_ranks.py: data-parallel steps on its part of the batch.

    python gathered_rank.py FOLDER RANK RANK_COUNT

Reads FOLDER/case.pt, writes FOLDER/rank-RANK.pt. The group meets in a file of the folder: no port.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vultus.training.losses.collectives import OfAllRanks


class Learner(nn.Module):
    """A network and the loss of what it says."""

    def __init__(self, network: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.loss = OfAllRanks(loss)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = self.loss(self.network(inputs), labels)
        return value


def main(folder: Path, rank: int, rank_count: int) -> None:
    """Three steps; what is left of the learner, and the losses."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=rank_count,
        timeout=timedelta(seconds=60),
    )
    network, loss, inputs, labels = torch.load(folder / "case.pt", weights_only=False)
    learner = Learner(network, loss)
    wrapped = DistributedDataParallel(learner)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        value = wrapped(inputs[rank::rank_count], labels[rank::rank_count])
        value.backward()
        optimizer.step()
        losses.append(value.item())
    torch.save((losses, network.state_dict(), loss.state_dict()), folder / f"rank-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    # DistributedDataParallel keeps its group, destroyed or not: threads of gloo that let a tensor go
    # while Python shuts down abort the process. An exception above still ends with its own code.
    os._exit(0)
