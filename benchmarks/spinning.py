"""Do ONNX Runtime's threads gain or lose by spinning? A detector and an embedder in turn, with and without.

    python -m benchmarks.spinning                 # alone on the machine
    python -m benchmarks.spinning --busy 1        # while another process keeps a core busy

Each round runs both networks once, as a photo of six faces does; spinning and waiting sessions take turns.
Milliseconds of wall time, and of processor time, which spinning takes from others.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from typing import Any

import numpy as np

from vultus.embed.loading import read_model
from vultus.runtime import OnnxSession
from vultus.runtime.device import usable_cores
from vultus.weights import store
from vultus.weights.catalog import entry


def keep_busy() -> None:
    """What another process may do all day."""
    matrix = np.ones((300, 300))
    while True:
        matrix @ matrix


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--busy", type=int, default=0, help="other processes that compute meanwhile")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    photo = random.uniform(-120, 130, (1, 3, 480, 640)).astype(np.float32)
    faces = random.uniform(0, 255, (6, 3, 112, 112)).astype(np.float32)
    models = store.read(entry("retinaface-mobilenet0.25")), read_model(entry("sface-int8bq"))
    sides = {
        name: [OnnxSession(model, threads=arguments.threads, spinning=name == "spinning") for model in models]
        for name in ("spinning", "waiting")
    }
    others = [multiprocessing.Process(target=keep_busy, daemon=True) for _ in range(arguments.busy)]
    for other in others:
        other.start()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for round_ in range(arguments.rounds + 1):
        for name, (detector, embedder) in sides.items():
            wall, processor = time.perf_counter(), time.process_time()
            detector.run(photo)
            embedder.run(faces)
            if round_:
                times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    for other in others:
        other.terminate()
    told: dict[str, Any] = {}
    for name, pairs in times.items():
        wall_s, processor_s = (statistics.median(each) for each in zip(*pairs, strict=True))
        told[name] = {"wall_ms": 1e3 * wall_s, "processor_ms": 1e3 * processor_s}
    print(json.dumps(vars(arguments) | told, indent=2))


if __name__ == "__main__":
    main()
