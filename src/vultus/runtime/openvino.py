"""A network in an ONNX file, run by OpenVINO: the fastest there is on processors that multiply in bfloat16.

Networks that were quantised to int8 (QDQ nodes) run in int8 as they are. An fp32 network runs in fp32, or
in bfloat16 where that is asked for: matrix units (AMX) make it three to five times as fast, AVX-512's dot
products (Zen 4) twice, and it keeps 8 bits of each number. Whether a network bears that is measured, not
assumed (`vultus.runtime.opening`).

Where PReLU was taken apart for ONNX Runtime, it is put together again: OpenVINO has a kernel for it.

OpenVINO is the extra `openvino`; it is imported when the first session is made.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import deque
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from vultus.errors import DeviceError, InputError, MissingExtraError, ShapeError, WeightsError
from vultus.runtime.compiled_files import read_compiled, write_compiled
from vultus.runtime.device import usable_cores
from vultus.runtime.graph import read_graph
from vultus.runtime.onnx import OnnxShape, shape_told
from vultus.runtime.prelu import restore_prelu

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openvino import CompiledModel, Core, InferRequest

    from vultus.types import FloatArray

Precision: TypeAlias = Literal["f32", "bf16"]

KEPT_KERNELS: Final = 500
"""OpenVINO makes kernels for each shape of an input and by itself keeps 5,000, so that photos of ever other
sizes took 8 MB more for each size. 500 are those of the last sizes: a network has up to a hundred at once."""

_ONE_CORE: Final = threading.Lock()
_CORES: list[Core] = []  # OpenVINO's own word for its entry point: one for the whole process


class OpenVinoSession:
    """A `Session` over OpenVINO. Safe to call from several threads.

    Args:
        model: an ONNX file, or its bytes. The graph has one input.
        threads: threads inside one call; None takes one per core. With fewer threads than cores as many
            calls run side by side as there is room for; more wait for each other.
        precision: "bf16" lets fp32 networks run in bfloat16.
        max_batch: a longer batch is run in pieces of at most this many rows; None runs it whole.
        compiled: a folder in which the compiled network is kept, so that the next start is sooner; None
            keeps nothing.

    Attributes:
        precision: as given.
        input_shape: lengths of the input's axes; None where an axis is free.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        WeightsError: the file or bytes are no usable ONNX graph.
        InputError: `threads` or `max_batch` is less than 1.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        threads: int | None = None,
        precision: Precision = "f32",
        max_batch: int | None = None,
        compiled: Path | None = None,
    ) -> None:
        for name, count in (("threads", threads), ("max_batch", max_batch)):
            if count is not None and count < 1:
                raise InputError(f"{name} must be at least 1, or None, got {count}")
        self._model = _read(model)
        self._network = _compiled(self._model, _settings(threads, precision), folder=compiled)
        if len(self._network.inputs) != 1:
            raise WeightsError(
                f"a network with one input was expected, this graph has {len(self._network.inputs)}"
            )
        axes = self._network.inputs[0].partial_shape
        self.input_shape: OnnxShape = tuple(axis.get_length() if axis.is_static else None for axis in axes)
        self._dtype = self._network.inputs[0].element_type.to_dtype()
        self.precision = precision
        self._max_batch = 1 if self.input_shape[:1] == (1,) else max_batch
        self._idle: deque[InferRequest] = deque()  # its ends are safe to use from several threads

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What the graph says about itself."""
        return {each.key: each.value for each in read_graph(self._model).metadata_props}

    def run(self, batch: FloatArray) -> list[FloatArray]:
        """The network's outputs for (N, ...) inputs, in the order of the graph's output list.

        Raises:
            ShapeError: the network does not take this shape or dtype.
            DeviceError: OpenVINO failed while running.
        """
        self._check(batch)
        if self._max_batch is None or len(batch) <= self._max_batch:
            return self._run_once(batch)
        starts = range(0, len(batch), self._max_batch)
        pieces = [self._run_once(batch[i : i + self._max_batch]) for i in starts]
        return [np.concatenate(outputs) for outputs in zip(*pieces, strict=True)]

    def _run_once(self, batch: FloatArray) -> list[FloatArray]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._network.create_infer_request()
        try:
            answers = request.infer({0: np.ascontiguousarray(batch)}, share_inputs=True)
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO failed on an input of shape {batch.shape}: {error}") from error
        self._idle.append(request)  # one that failed is not used again
        return [np.asarray(answers[output]) for output in self._network.outputs]

    def _check(self, batch: FloatArray) -> None:
        """OpenVINO itself would convert any dtype, and run a network of free axes on any shape."""
        is_fitting = len(batch.shape) == len(self.input_shape) and all(
            stated in (None, length)
            for stated, length in zip(self.input_shape[1:], batch.shape[1:], strict=True)
        )
        if not is_fitting or batch.dtype != self._dtype:
            raise ShapeError(
                f"the network takes an input of shape {shape_told(self.input_shape)} {self._dtype}, "
                f"got {batch.shape} {batch.dtype}"
            )


def is_installed() -> bool:
    """Whether the extra `openvino` is here; nothing is imported."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


def _core() -> Core:
    """OpenVINO's entry point, made once: it holds the libraries that run networks.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("running OpenVINO needs: pip install 'vultus[openvino]'") from error
    with _ONE_CORE:
        if not _CORES:
            _CORES.append(openvino.Core())
    return _CORES[0]


def _settings(threads: int | None, precision: Precision) -> dict[str, Any]:
    """What OpenVINO is told: how many cores a call takes, and how many calls run at once."""
    cores = usable_cores()
    per_call = min(threads or cores, cores)
    calls = max(1, cores // per_call)
    return {
        "INFERENCE_NUM_THREADS": per_call * calls,
        "NUM_STREAMS": calls,
        "INFERENCE_PRECISION_HINT": precision,
        "CPU_RUNTIME_CACHE_CAPACITY": KEPT_KERNELS,
        "ENABLE_CPU_PINNING": False,  # pinned threads wait for their core while another one is free
    }


def _read(model: Path | bytes) -> bytes:
    if isinstance(model, bytes):
        return model
    try:
        return model.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {model}: {error.strerror or error}") from error


def _compiled(model: bytes, settings: dict[str, Any], *, folder: Path | None) -> CompiledModel:
    """The network for this processor: out of the folder, where it was compiled before."""
    core = _core()
    if folder is None:
        return _compile(core, model, settings)
    path = folder / f"{_fingerprint(model, settings)}.openvino"
    blob = read_compiled(path)
    if blob is not None:
        try:
            return core.import_model(io.BytesIO(blob), "CPU", settings)
        except RuntimeError:  # written by another build of OpenVINO, or for another processor
            pass
    network = _compile(core, model, settings)
    write_compiled(path, network.export_model().getvalue())
    return network


def _compile(core: Core, model: bytes, settings: dict[str, Any]) -> CompiledModel:
    try:
        return core.compile_model(core.read_model(restore_prelu(model)), "CPU", settings)
    except RuntimeError as error:
        raise WeightsError(f"OpenVINO cannot load the given {len(model)} bytes: {error}") from error


def _fingerprint(model: bytes, settings: dict[str, Any]) -> str:
    """What a compiled network depends on, as a file name."""
    import openvino

    told = json.dumps([openvino.__version__, _core().get_property("CPU", "FULL_DEVICE_NAME"), settings])
    return hashlib.sha256(model + told.encode()).hexdigest()[:32]
