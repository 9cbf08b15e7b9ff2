"""What this machine can do at best: multiply-adds a second, and bytes a second.

Multiply-adds: a 3 x 3 convolution of 256 channels on 56 x 56 positions, run by the very runtime, in the very
precision and on as many threads as the network that it is compared with: a large, regular piece of work that
fits the cache. Bytes: copying an array that fits no cache, which reads and writes.

A network can take no less than its multiply-adds at that rate, nor than its bytes at that rate: the roofline.

Williams, Waterman, Patterson: Roofline: an insightful visual performance model for multicore architectures.
Communications of the ACM 2009. https://doi.org/10.1145/1498765.1498785
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from vultus.benchmark.timing import times_of
from vultus.benchmark.work import Work
from vultus.interfaces import Session
from vultus.runtime import Runtime, open_session

CHANNELS: Final = 256
POSITIONS: Final = 56
COPIED_BYTES: Final = 1 << 28
ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Peak:
    """What was reached.

    Attributes:
        giga_multiply_adds: 10^9 multiply-adds a second.
        gigabytes: 10^9 bytes a second, read and written ones together.
    """

    giga_multiply_adds: float
    gigabytes: float

    def least_ms(self, work: Work) -> float:
        """What the work takes at least: the longer of computing it and of moving it."""
        computing_s = work.multiply_adds / (1e9 * self.giga_multiply_adds)
        moving_s = (work.weight_bytes + work.map_bytes) / (1e9 * self.gigabytes)
        return 1e3 * max(computing_s, moving_s)


def measure_peak(*, runtime: Runtime, threads: int, is_bf16_faithful: bool) -> Peak:
    """What this machine can do with this runtime, on so many threads."""
    session = open_session(convolution(), runtime=runtime, threads=threads, is_bf16_faithful=is_bf16_faithful)
    return Peak(_giga_multiply_adds(session), _gigabytes(threads))


def convolution() -> bytes:
    """The network: one convolution."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    shape = [1, CHANNELS, POSITIONS, POSITIONS]
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    node = helper.make_node("Conv", ["x", "kernel"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "peak", told[:1], told[1:], [numpy_helper.from_array(kernel, "kernel")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def _giga_multiply_adds(session: Session) -> float:
    maps = np.random.default_rng(1).normal(size=(1, CHANNELS, POSITIONS, POSITIONS)).astype(np.float32)
    best_s = min(times_of(lambda: session.run(maps), rounds=ROUNDS))
    return CHANNELS * CHANNELS * 9 * POSITIONS * POSITIONS / best_s / 1e9


def _gigabytes(threads: int) -> float:
    source = np.ones(COPIED_BYTES // 8)
    target = np.empty_like(source)
    pieces = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        best_s = min(times_of(lambda: list(pool.map(lambda each: np.copyto(*each), pieces)), rounds=ROUNDS))
    return 2 * COPIED_BYTES / best_s / 1e9
