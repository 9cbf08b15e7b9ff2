"""MTCNN beside facenet-pytorch's MTCNN: the same weights, the same photos, in one process, turn about.

    python benchmarks/detect.py
    python benchmarks/detect.py --json > detect.json

Photos: `six-friends.jpg` fitted to 640x480, and four copies of it, mirrored beside each other, tiled to
1920x1080: a crowd of 24 faces. Where torchvision is not installed, facenet-pytorch gets the stand-in of the
tests; the time spent in that is taken off, so that its non-maximum suppression counts as free.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch

from vultus.detect import load_detector
from vultus.image import load_image
from vultus.types import Image

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = Path(os.environ.get("VULTUS_SHARED", ROOT.parent / "shared")) / "data" / "photos"


def fitted(image: Image, size_hw: tuple[int, int]) -> Image:
    """The image as large as it fits into the size, in its middle, on black."""
    scale = min(size_hw[0] / image.shape[0], size_hw[1] / image.shape[1])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    canvas = np.zeros((*size_hw, 3), np.uint8)
    top, left = (size_hw[0] - height) // 2, (size_hw[1] - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA
    )
    return canvas


def tiled(image: Image, size_hw: tuple[int, int]) -> Image:
    """Two by two copies, mirrored left to right beside each other."""
    quarter = fitted(image, (size_hw[0] // 2, size_hw[1] // 2))
    row = np.hstack([quarter, quarter[:, ::-1]])
    return np.ascontiguousarray(np.vstack([row, row[:, ::-1]]))


def stand_in() -> ModuleType | None:
    """The tests' stand-in for torchvision, unless the real one is here."""
    if importlib.util.find_spec("torchvision") is not None:
        return None
    spec = importlib.util.spec_from_file_location(
        "torchvision_stand_in", ROOT / "tests" / "detect" / "torchvision_stand_in.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_peer(fake: ModuleType | None) -> Callable[[float], Any]:
    """facenet-pytorch's MTCNN, given the smallest face in pixels."""
    with fake.torchvision_stand_in() if fake else nullcontext(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch import MTCNN
    return lambda min_face_px: MTCNN(keep_all=True, min_face_size=min_face_px)


def compare(
    image: Image, min_face_px: float, *, peer: Any, fake: ModuleType | None, rounds: int, threads: int
) -> dict[str, Any]:
    """Time both, one after the other, `rounds` times, after one call each that does not count."""
    ours = load_detector(min_face_px=min_face_px, min_score=0.7, threads=threads)
    counts = {"vultus": len(ours.detect(image)), "facenet-pytorch": len(peer.detect(image)[0])}
    times: dict[str, list[float]] = {name: [] for name in counts}
    for _ in range(rounds):
        start = time.perf_counter()
        ours.detect(image)
        times["vultus"].append(time.perf_counter() - start)
        free_before = fake.SECONDS["batched_nms"] if fake else 0.0
        start = time.perf_counter()
        peer.detect(image)
        elapsed = time.perf_counter() - start
        free = fake.SECONDS["batched_nms"] - free_before if fake else 0.0
        times["facenet-pytorch"].append(elapsed - free)
    medians = {name: 1000 * statistics.median(values) for name, values in times.items()}
    return {
        "size_hw": list(image.shape[:2]),
        "min_face_px": min_face_px,
        "faces": counts,
        "median_ms": medians,
        "ratio": medians["facenet-pytorch"] / medians["vultus"],
    }


def machine(threads: int, fake: ModuleType | None) -> dict[str, Any]:
    """What the figures depend on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "torchvision": "the tests' stand-in, its time taken off" if fake else "installed",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11, help="timed calls of each (default 11)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for both (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    fake = stand_in()
    make_peer = load_peer(fake)
    photo = load_image(PHOTOS / "six-friends.jpg")
    results = [
        compare(image, px, peer=make_peer(px), fake=fake, rounds=arguments.rounds, threads=arguments.threads)
        for image in (fitted(photo, (480, 640)), tiled(photo, (1080, 1920)))
        for px in (20, 40)
    ]
    about = machine(arguments.threads, fake)
    if arguments.json:
        print(json.dumps({"machine": about, "results": results}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("| photo | min face | faces: ours / theirs | ours, ms | facenet-pytorch, ms | times as fast |")
    print("|---|---|---|---|---|---|")
    for each in results:
        height, width = each["size_hw"]
        faces, medians = each["faces"], each["median_ms"]
        print(
            f"| {width}x{height} | {each['min_face_px']} | {faces['vultus']} / {faces['facenet-pytorch']} "
            f"| {medians['vultus']:.0f} | {medians['facenet-pytorch']:.0f} | {each['ratio']:.1f} |"
        )


if __name__ == "__main__":
    main()
