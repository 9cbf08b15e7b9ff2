"""How long does scoring the whole validation set of WIDER FACE take?

    python benchmarks/detection_ap.py widerface/val/ground_truth --boxes 500

The faces are the official ones; the predictions are made up: each face once, shifted by chance, and boxes
anywhere for the rest. Detecting is not part of it.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from vultus.evaluate import read_widerface_truth, widerface_ap
from vultus.types import Detections


def made_up(
    faces: np.ndarray[Any, np.dtype[np.float64]], count: int, *, chance: np.random.Generator
) -> Detections:
    """`count` predictions for an image with these (N, 4) faces."""
    sizes = np.tile(faces[:, 2:] - faces[:, :2], 2)
    near = faces + chance.normal(0, 0.1, faces.shape) * sizes
    corners = chance.uniform(0, 1000, (count, 2))
    far = np.concatenate([corners, corners + chance.uniform(5, 100, (count, 2))], axis=1)
    boxes = np.concatenate([near, far])[:count].astype(np.float32)
    scores = np.sort(chance.random(count, np.float32))[::-1]
    return Detections(boxes, scores, np.zeros((count, 5, 2), np.float32))


def measure(folder: Path, boxes: int) -> dict[str, Any]:
    started = time.perf_counter()
    truth = read_widerface_truth(folder)
    read_s = time.perf_counter() - started
    chance = np.random.default_rng(0)
    predictions = {
        name: made_up(truth.boxes[truth.faces_of(i)], boxes, chance=chance)
        for i, name in enumerate(truth.images)
    }
    started, cpu_started = time.perf_counter(), time.process_time()
    result = widerface_ap(predictions, truth)
    score_s, score_cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "images": result.n_images,
        "faces": len(truth.boxes),
        "predictions": boxes * result.n_images,
        "read_truth_s": round(read_s, 2),
        "score_s": round(score_s, 2),
        "score_cpu_s": round(score_cpu_s, 2),
        "hard": round(result.hard, 4),
        "machine": platform.processor() or platform.machine(),
        "numpy": np.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ground_truth", type=Path, help="the folder of the four .mat files")
    parser.add_argument("--boxes", type=int, default=500, help="predictions per image")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.ground_truth, arguments.boxes)
    if arguments.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key:14} {value}")


if __name__ == "__main__":
    main()
