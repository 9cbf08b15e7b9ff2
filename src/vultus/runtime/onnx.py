"""A network in an ONNX file, run by ONNX Runtime."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from vultus.errors import DeviceError, InputError, ShapeError, WeightsError
from vultus.types import FloatArray

CPU: Final = "CPUExecutionProvider"

OnnxShape: TypeAlias = tuple[int | str | None, ...]

# They have no common root but Exception.
_LOAD_ERRORS: Final = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NoModel,
    onnxruntime_errors.NoSuchFile,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)
_RUN_ERRORS: Final = (
    onnxruntime_errors.EPFail,
    onnxruntime_errors.Fail,
    onnxruntime_errors.RuntimeException,
)


class OnnxSession:
    """A `Session` over ONNX Runtime. Safe to call from several threads.

    Args:
        model: an ONNX file, or its bytes. The graph has one input.
        providers: execution providers in order of preference. All of them must load, and the first must be
            given at least one node of the graph to run.
        threads: threads inside one call; None leaves it to ONNX Runtime (one per physical core).
        max_batch: a longer batch is run in pieces of at most this many rows; None runs it whole. A graph that
            takes one row only is run row by row.
        spinning: whether threads wait for the next operator of a call by trying over and over. Sooner by a
            tenth where nothing else runs, later where something does, and up to half as much processor time
            again (`docs/decisions/012-waiting-threads.md`). Of no matter with one thread.

    Attributes:
        node_counts: how many nodes of the graph each execution provider runs.
        input_shape: lengths of the input's axes; a free axis has a name, or None.
        metadata: what the graph says about itself.

    Raises:
        DeviceError: a provider is not installed, its libraries do not load on this machine, or it can run
            nothing of this graph.
        WeightsError: the file or bytes are no usable ONNX graph.
        InputError: `threads` or `max_batch` is less than 1.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        providers: Sequence[str] = (CPU,),
        threads: int | None = None,
        max_batch: int | None = None,
        spinning: bool = False,
    ) -> None:
        for name, count in (("threads", threads), ("max_batch", max_batch)):
            if count is not None and count < 1:
                raise InputError(f"{name} must be at least 1, or None, got {count}")
        check_providers_installed(providers)
        self._session = _load(model, providers=providers, threads=threads, spinning=spinning)
        check_providers_loaded(providers, self._session.get_providers())
        self.node_counts: Mapping[str, int] = _count_nodes(self._session)
        check_provider_used(providers[0], self.node_counts)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs[:3])
            raise WeightsError(
                f"a network with one input was expected, this graph has {len(inputs)} ({names}, ...). "
                "If they are weights, vultus.runtime.graph.repair_graph removes them from the inputs."
            )
        self._input_name: str = inputs[0].name
        self._first_provider = providers[0]
        self.input_shape: OnnxShape = tuple(inputs[0].shape)
        self._max_batch = 1 if self.input_shape[:1] == (1,) else max_batch
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, batch: FloatArray) -> list[FloatArray]:
        """The network's outputs for (N, ...) inputs, in the order of the graph's output list.

        Raises:
            ShapeError: the network does not take this shape or dtype.
            DeviceError: the provider failed while running.
        """
        if self._max_batch is None or len(batch) <= self._max_batch:
            return self._run_once(batch)
        starts = range(0, len(batch), self._max_batch)
        pieces = [self._run_once(batch[i : i + self._max_batch]) for i in starts]
        return [np.concatenate(outputs) for outputs in zip(*pieces, strict=True)]

    def _run_once(self, batch: FloatArray) -> list[FloatArray]:
        try:
            outputs: list[FloatArray] = self._session.run(None, {self._input_name: batch})
        except onnxruntime_errors.InvalidArgument as error:
            raise ShapeError(
                f"the network takes an input of shape {shape_told(self.input_shape)}, "
                f"got {batch.shape} {batch.dtype}: {error}"
            ) from error
        except _RUN_ERRORS as error:
            raise DeviceError(
                f"{self._first_provider} failed on an input of shape {batch.shape}: {error}"
            ) from error
        return outputs


def _load(
    model: Path | bytes, *, providers: Sequence[str], threads: int | None, spinning: bool
) -> onnxruntime.InferenceSession:
    """ONNX Runtime's own session, or a WeightsError."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the log would only tell it twice
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")  # for _count_nodes
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    # By itself ONNX Runtime spins on after a call: a detector's threads would take an embedder's time.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=list(providers))
    except _LOAD_ERRORS as error:
        where = f"the given {len(model)} bytes" if isinstance(model, bytes) else str(model)
        raise WeightsError(f"ONNX Runtime cannot load {where}: {error}") from error


def _count_nodes(session: onnxruntime.InferenceSession) -> dict[str, int]:
    """How many nodes each execution provider was given."""
    counts: Counter[str] = Counter()
    for subgraph in session.get_provider_graph_assignment_info():
        counts[subgraph.ep_name] += len(subgraph.get_nodes())
    return dict(counts)


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


def check_provider_used(asked: str, node_counts: Mapping[str, int]) -> None:
    """Refuse the other silent fallback: a provider that loads, takes no node, and leaves all to the CPU.

    Raises:
        DeviceError: with the providers named that do run the graph.
    """
    if asked != CPU and not node_counts.get(asked):
        running = ", ".join(f"{name} ({count} nodes)" for name, count in node_counts.items())
        raise DeviceError(
            f"execution provider {asked} loads but runs nothing of this network: all of it would silently "
            f"run on {running}. Ask for {CPU}, or for a provider that supports the network's operators."
        )


def shape_told(shape: OnnxShape) -> str:
    """The shape as people write it: (batch, 3, 112, 112)."""
    return f"({', '.join('any' if length is None else str(length) for length in shape)})"
