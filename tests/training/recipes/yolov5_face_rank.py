"""One process's part of a batch, for test_yolov5_face.py: its losses and gradients.

    python yolov5_face_rank.py LABELS FOLDER RANK    0 or 1 of a gloo group, or "alone": all of the batch

Writes FOLDER/RANK.pt. The group meets in a file of the folder: no port.
"""

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from vultus.networks.yolov5_face import CONFIGS, YOLOv5FaceNet
from vultus.training.data.widerface import read_widerface
from vultus.training.recipes.yolov5_face import YOLOv5FaceLearner, YOLOv5FaceRecipe, YOLOv5FaceSamples
from vultus.training.samples import Draw


def main(labels: Path, folder: Path, rank: str) -> None:
    """Batch norm uses its running statistics: those of a batch would be another's on each process."""
    torch.set_num_threads(1)
    recipe = YOLOv5FaceRecipe(sizes_px=(64,), batch_size=8, min_face_px=2)
    torch.manual_seed(0)
    learner = YOLOv5FaceLearner(YOLOv5FaceNet(CONFIGS["n-0.5"]), recipe).eval()
    draws = [Draw(0, 0, number) for number in range(8)]
    if rank != "alone":
        dist.init_process_group(
            "gloo",
            init_method=f"file://{folder / 'group'}",
            rank=int(rank),
            world_size=2,
            timeout=timedelta(seconds=600),
        )
        draws = draws[int(rank) :: 2]
    samples = YOLOv5FaceSamples(read_widerface(labels).images, recipe, CONFIGS["n-0.5"])
    losses = learner(samples.batch(draws))
    losses.total.backward()
    told = {name: value.detach() for name, value in losses._asdict().items()}
    told |= {name: value.grad for name, value in learner.named_parameters()}
    torch.save(told, folder / f"{rank}.pt")
    if rank != "alone":
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
