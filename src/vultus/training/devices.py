"""Where a run computes: the device, the precision, and the processes that share its batches.

The batch norms of each process see its own part of a batch, and those of the first process are kept. torch's
SyncBatchNorm, which sees the whole batch, does not exist on CPUs.
"""

import logging
import os
from datetime import timedelta

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from vultus.training.settings import TrainSettings

PATIENCE = timedelta(hours=3)  # while the first process judges the network, the others wait for it


def make_fabric(settings: TrainSettings) -> Fabric:
    """A launched Fabric over torchrun's processes, or over `devices` on this machine."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # `described` tells it in one line
    local = int(os.environ.get("LOCAL_WORLD_SIZE", settings.devices))
    nodes = int(os.environ.get("WORLD_SIZE", local)) // local
    fabric = Fabric(
        accelerator="auto",
        devices=local,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=PATIENCE) if local * nodes > 1 else "auto",
        precision=settings.precision,
    )
    fabric.launch()
    return fabric


def described(fabric: Fabric, *, threads: int) -> str:
    """The device, the processes and the precision in words."""
    processes = f"{fabric.world_size} process" + "es" * (fabric.world_size > 1)
    device = fabric.device.type
    if device == "cpu":
        device += f" with {threads} thread" + "s" * (threads > 1)
    return f"{processes} on {device}, {fabric.strategy.precision.precision}"
