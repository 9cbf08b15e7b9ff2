"""Our detectors beside facenet-pytorch's MTCNN: the same photos, in one process, turn about.

    python -m benchmarks.detect
    python -m benchmarks.detect --runtime openvino --json > detect.json
    python -m benchmarks.detect --detectors retinaface --longest-px 640

MTCNN has the same weights on both sides, and is measured with the smallest faces of 20 and of 40 pixels.
Other detectors are measured as they are by default, or with the longer side at `--longest-px`, beside
facenet-pytorch with the same smallest faces.

Photos: `six-friends.jpg` fitted to 640x480, and four copies of it, mirrored beside each other, tiled to
1920x1080: a crowd of 24 faces. Where torchvision is not installed, facenet-pytorch gets the stand-in of the
tests; the time spent in that is taken off, so that its non-maximum suppression counts as free.
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import onnxruntime
import torch
from benchmarks.peers_worker import stand_in
from benchmarks.photos import PHOTOS, fitted, tiled

from vultus.detect import load_detector
from vultus.image import load_image
from vultus.interfaces import Detector
from vultus.runtime import RUNTIMES
from vultus.types import Image


def load_peer(fake: ModuleType | None) -> Callable[[float], Any]:
    """facenet-pytorch's MTCNN, given the smallest face in pixels."""
    with fake.torchvision_stand_in() if fake else nullcontext(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch import MTCNN
    return lambda min_face_px: MTCNN(keep_all=True, min_face_size=min_face_px)


def compare(
    ours: Detector, image: Image, *, peer: Any, fake: ModuleType | None, rounds: int
) -> dict[str, Any]:
    """Time both, one after the other, `rounds` times, after one call each that does not count."""
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
        "faces": counts,
        "median_ms": medians,
        "ratio": medians["facenet-pytorch"] / medians["vultus"],
    }


def settings(names: Sequence[str], longest_px: int | None) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Name, options, and the peer's smallest face, of each row."""
    for name in names:
        if name == "mtcnn":
            yield from ((name, {"min_face_px": px, "min_score": 0.7}, px) for px in (20, 40))
        else:
            given: dict[str, Any] = {} if longest_px is None else {"longest_px": longest_px}
            yield from ((name, given, px) for px in (20, 40))


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
    parser.add_argument("--detectors", default="mtcnn,retinaface", help="names with commas between")
    parser.add_argument("--longest-px", type=int, help="of the detectors that take it")
    parser.add_argument("--runtime", default="onnx", choices=RUNTIMES)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    fake = stand_in()
    make_peer = load_peer(fake)
    photo = load_image(PHOTOS / "six-friends.jpg")
    results: list[dict[str, Any]] = [
        {"detector": name, "options": options, "peer_min_face_px": px}
        | compare(
            load_detector(name, threads=arguments.threads, runtime=arguments.runtime, **options),
            image,
            peer=make_peer(px),
            fake=fake,
            rounds=arguments.rounds,
        )
        for image in (fitted(photo, (480, 640)), tiled(photo, (1080, 1920)))
        for name, options, px in settings(arguments.detectors.split(","), arguments.longest_px)
    ]
    about = machine(arguments.threads, fake)
    if arguments.json:
        print(json.dumps({"machine": about, "results": results}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("| photo | ours | their smallest face | faces: ours, theirs | ms: ours | theirs | times as fast |")
    print("|---|---|---|---|---|---|---|")
    for each in results:
        height, width = each["size_hw"]
        faces, medians = each["faces"], each["median_ms"]
        options = ", ".join(f"{key} {value}" for key, value in each["options"].items())
        print(
            f"| {width}x{height} | {each['detector']} {options} | {each['peer_min_face_px']} "
            f"| {faces['vultus']}, {faces['facenet-pytorch']} "
            f"| {medians['vultus']:.0f} | {medians['facenet-pytorch']:.0f} | {each['ratio']:.1f} |"
        )


if __name__ == "__main__":
    main()
