"""A network in an ONNX file, run by ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime

from vultus.errors import DeviceError, ShapeError, WeightsError
from vultus.types import FloatArray

CPU = "CPUExecutionProvider"


class OnnxSession:
    """A `Session` over ONNX Runtime. Safe to call from several threads.

    Args:
        model: an ONNX file, or its bytes.
        providers: execution providers in order of preference; every one of them must truly load.
        threads: threads inside one call; None leaves it to ONNX Runtime (one per physical core).
        max_batch: a longer batch is run in pieces of at most this many rows; None runs it whole.

    Raises:
        DeviceError: a provider is not installed, or its libraries do not load on this machine.
        WeightsError: the bytes are no usable ONNX graph.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        providers: Sequence[str] = (CPU,),
        threads: int | None = None,
        max_batch: int | None = None,
    ) -> None:
        check_providers_installed(providers)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # warnings about third-party graphs are no use to our users
        if threads is not None:
            options.intra_op_num_threads = threads
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=list(providers))
        except Exception as error:  # ONNX Runtime raises a dozen types with no common root
            where = "the given bytes" if isinstance(model, bytes) else str(model)
            raise WeightsError(f"ONNX Runtime cannot load {where}: {error}") from error
        check_providers_loaded(providers, self._session.get_providers())
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._max_batch = max_batch
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self.threads = threads

    @classmethod
    def from_file(cls, path: Path, *, threads: int | None = None) -> Self:
        """A session on the CPU."""
        return cls(path, threads=threads)

    def run(self, batch: FloatArray) -> list[FloatArray]:
        """The network's outputs for (N, ...) inputs, in the order of the graph's output list."""
        if self._max_batch is None or len(batch) <= self._max_batch:
            return self._run_once(batch)
        starts = range(0, len(batch), self._max_batch)
        pieces = [self._run_once(batch[i : i + self._max_batch]) for i in starts]
        return [np.concatenate(outputs) for outputs in zip(*pieces, strict=True)]

    def _run_once(self, batch: FloatArray) -> list[FloatArray]:
        try:
            outputs: list[FloatArray] = self._session.run(None, {self._inputs[0]: batch})
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            raise ShapeError(f"the network does not take an input of shape {batch.shape}: {error}") from error
        return outputs


def check_providers_installed(providers: Sequence[str]) -> None:
    """Refuse a provider that this build of ONNX Runtime does not have.

    Raises:
        DeviceError: with the installed ones named.
    """
    installed = onnxruntime.get_available_providers()
    missing = [name for name in providers if name not in installed]
    if missing or not providers:
        raise DeviceError(
            f"execution provider {', '.join(missing) or '(none given)'} is not in this ONNX Runtime; "
            f"it has {', '.join(installed)}. For CUDA install onnxruntime-gpu instead of onnxruntime."
        )


def check_providers_loaded(asked: Sequence[str], loaded: Sequence[str]) -> None:
    """Refuse the silent fallback: ONNX Runtime drops a provider whose libraries do not load, and goes on.

    Raises:
        DeviceError: an asked provider is not among the loaded ones.
    """
    dropped = [name for name in asked if name not in loaded]
    if dropped:
        raise DeviceError(
            f"execution provider {', '.join(dropped)} is installed but does not run on this machine "
            f"(ONNX Runtime would silently use {', '.join(loaded)}). Check its driver and libraries, "
            f"or ask for {CPU}."
        )
