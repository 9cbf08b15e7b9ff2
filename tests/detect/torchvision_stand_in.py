"""As much of torchvision as facenet-pytorch's MTCNN imports: two functions, one for detection, one for crops.

torchvision does not go beside the pinned torch. `batched_nms` is written from its documentation, so that the
oracle owes nothing to the code it judges. Used by the tests and by `benchmarks/detect.py`.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SECONDS = {"batched_nms": 0.0}  # spent in here: the benchmark does not hold them against facenet-pytorch


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Positions of the boxes that survive suppression within their own group, best first."""
    start = time.perf_counter()
    table: NDArray[np.float32] = boxes.numpy()
    groups = idxs.numpy()
    x1, y1, x2, y2 = table.T
    areas = (x2 - x1) * (y2 - y1)
    rest = np.argsort(-scores.numpy(), kind="stable")
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        iou = shared / (areas[best] + areas[rest] - shared)
        rest = rest[(iou <= iou_threshold) | (groups[rest] != groups[best])]
    SECONDS["batched_nms"] += time.perf_counter() - start
    return torch.from_numpy(np.array(kept, dtype=np.int64))


def to_tensor(picture: NDArray[np.float32]) -> Tensor:
    """(H, W, C) to (C, H, W); facenet-pytorch's own cropping calls it, with floats, whose range stays."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


@contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """While this lasts, `import torchvision` finds the two functions above; afterwards nothing remains."""
    functional, boxes = ModuleType("torchvision.transforms.functional"), ModuleType("torchvision.ops.boxes")
    transforms, ops = ModuleType("torchvision.transforms"), ModuleType("torchvision.ops")
    modules = [ModuleType("torchvision"), transforms, functional, ops, boxes]
    vars(functional)["to_tensor"] = to_tensor
    vars(boxes)["batched_nms"] = batched_nms
    vars(transforms)["functional"], vars(ops)["boxes"] = functional, boxes
    sys.modules |= {module.__name__: module for module in modules}
    try:
        yield
    finally:
        for module in modules:
            del sys.modules[module.__name__]
