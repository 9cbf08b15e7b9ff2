"""One aligned face through our embedder, SFace, and MobileFaceNet as PyTorch exports it: how much faster?

    python -m benchmarks.one_face

ONNX Runtime, fp32, the networks in turn in one process; medians. SFace is folded to fp32 and has its PReLUs
rewritten, as it runs here. MobileFaceNet has random weights, which take the same time, and keeps its PReLUs:
what `torch.onnx.export` gives by itself.
"""

import argparse
import json

import numpy as np
import torch
from benchmarks.exports import medians_ms, plain_export, trained_looking

from vultus.embed.loading import read_model
from vultus.export.subjects import subject_of
from vultus.interfaces import Session
from vultus.networks.catalog import NETWORKS
from vultus.runtime.device import processor, usable_cores
from vultus.runtime.onnx import OnnxSession
from vultus.weights.catalog import entry

OURS, TEACHER, PLAIN = "compact-resnet-vultus", "sface-int8bq", "mobilefacenet"


def candidates(*, threads: int) -> dict[str, Session]:
    """The three networks, ready."""
    torch.manual_seed(0)
    plain = plain_export(subject_of(PLAIN, trained_looking(NETWORKS[PLAIN].build())))
    return {
        OURS: OnnxSession(read_model(entry(OURS)), threads=threads),
        TEACHER: OnnxSession(read_model(entry(TEACHER)), threads=threads),
        f"{PLAIN}, plain": OnnxSession(plain, threads=threads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    sessions = candidates(threads=arguments.threads)
    face = np.random.default_rng(0).uniform(-1, 1, (1, 3, 112, 112)).astype(np.float32)
    times = medians_ms(sessions, face, rounds=arguments.rounds)
    told = {
        "cpu": processor()[0],
        "threads": arguments.threads,
        "ms": {name: round(value, 2) for name, value in times.items()},
        "times slower than ours": {name: round(value / times[OURS], 1) for name, value in times.items()},
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
