"""Do ONNX Runtime's threads gain or lose by spinning? A detector and an embedder in turn, three ways.

    python -m benchmarks.spinning                 # alone on the machine
    python -m benchmarks.spinning --faces 1 --size 250 250
    python -m benchmarks.spinning --busy 1        # while another process keeps a core busy

Each round runs both default networks, as a photo does: with threads that spin on when a call has ended (what
ONNX Runtime does by itself), that spin within a call (`OnnxSession(spinning=True)`), that never spin
(`OnnxSession`). The three take turns, each in a process of its own, with a pause in which the first's threads
come to rest. Milliseconds of wall time, and of processor time, which spinning takes from others.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import onnxruntime

from vultus.defaults import DEFAULT_EMBEDDER
from vultus.embed.loading import read_model
from vultus.runtime.device import usable_cores
from vultus.weights import store
from vultus.weights.catalog import entry

WAYS = {  # whether threads spin; whether they stop when a call ends
    "spin on": (True, False),
    "spin within a call": (True, True),
    "never spin": (False, True),
}
PAUSE_S = 0.1


def keep_busy() -> None:
    """What another process may do all day."""
    matrix = np.ones((300, 300))
    while True:
        matrix @ matrix


def session(model: bytes, way: str, threads: int) -> onnxruntime.InferenceSession:
    """The model, with threads that wait in one of the `WAYS`."""
    spins, stops = WAYS[way]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    options.add_session_config_entry("session.force_spinning_stop", str(int(stops)))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def work(pipe: Connection, way: str, threads: int, size_hw: tuple[int, int], face_count: int) -> None:
    """For every message run both networks; answer with seconds of wall time and of processor time."""
    random = np.random.default_rng(0)
    photo = random.uniform(-120, 130, (1, 3, *size_hw)).astype(np.float32)
    faces = random.uniform(0, 255, (face_count, 3, 112, 112)).astype(np.float32)
    detector = session(store.read(entry("retinaface-mobilenet0.25")), way, threads)
    embedder = session(read_model(entry(DEFAULT_EMBEDDER)), way, threads)
    while pipe.recv():
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(3):  # the first one finds what the others left in the caches
            detector.run(None, {detector.get_inputs()[0].name: photo})
            embedder.run(None, {embedder.get_inputs()[0].name: faces})
        pipe.send(((time.perf_counter() - wall) / 3, (time.process_time() - processor) / 3))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--faces", type=int, default=6)
    parser.add_argument("--busy", type=int, default=0, help="other processes that compute meanwhile")
    arguments = parser.parse_args()
    pipes = {}
    for way in WAYS:
        pipes[way], far = multiprocessing.Pipe()
        told_to = far, way, arguments.threads, tuple(arguments.size), arguments.faces
        multiprocessing.Process(target=work, args=told_to, daemon=True).start()
    for _ in range(arguments.busy):
        multiprocessing.Process(target=keep_busy, daemon=True).start()
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for round_ in range(arguments.rounds + 1):
        for way, pipe in pipes.items():
            time.sleep(PAUSE_S)
            pipe.send(True)
            seconds = pipe.recv()
            if round_:
                times[way].append(seconds)
    told: dict[str, Any] = {}
    for way, pairs in times.items():
        wall_s, processor_s = (statistics.median(each) for each in zip(*pairs, strict=True))
        told[way] = {"wall_ms": round(1e3 * wall_s, 1), "processor_ms": round(1e3 * processor_s, 1)}
    print(json.dumps(vars(arguments) | told, indent=2))


if __name__ == "__main__":
    main()
