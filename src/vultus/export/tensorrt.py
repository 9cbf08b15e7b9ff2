"""An FP16 engine for NVIDIA's GPUs: built on the very GPU that runs it, and behind the gate.

    float32 graph --halve--> fp16 graph, its tail in fp32 --gate--> engine --gate--> file

TensorRT's networks are strongly typed (the only kind since version 11): the precision of each layer stands in
the graph. So `vultus.export.precision` decides it, the last layer (with its batch norm folded in) and the
normalisation stay in fp32, and the fp16 graph is judged before an engine is built of it. The batch is
explicit, with one optimisation profile: least, usual and greatest. A timing cache makes the next build of the
same layers a matter of seconds.

**What was not run.** The machines that this was developed on have no NVIDIA GPU. The conversion and its gate
are tested for real; the calls to TensorRT are tested against a stand-in that has the names of TensorRT 11.4's
bindings and nothing else. Building and running an engine was not tried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import onnx
import torch

from vultus.errors import DeviceError, ExportError, InputError, MissingExtraError
from vultus.export.gate import Gate, Passed
from vultus.export.precision import half_precision
from vultus.types import FloatArray

MEGABYTE: Final = 1 << 20
SIDE_PX: Final = 640  # the usual side of a free height or width, which detectors have


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """For which shapes an engine is built, and tuned.

    Attributes:
        least: the smallest batch.
        usual: the one that it is tuned for.
        greatest: the largest.
        least_px: of a free height or width.
        usual_px: likewise.
        greatest_px: likewise.

    Raises:
        InputError: they do not grow.
    """

    least: int = 1
    usual: int = 8
    greatest: int = 32
    least_px: int = 64
    usual_px: int = SIDE_PX
    greatest_px: int = 2 * SIDE_PX

    def __post_init__(self) -> None:
        for what, sizes in (
            ("batches", (self.least, self.usual, self.greatest)),
            ("sizes in pixels", (self.least_px, self.usual_px, self.greatest_px)),
        ):
            if not 1 <= sizes[0] <= sizes[1] <= sizes[2]:
                raise InputError(f"{what} of a profile must grow from 1 or more, got {sizes}")

    def shapes(self, declared: Sequence[int]) -> list[tuple[int, ...]]:
        """Least, usual and greatest shape of an input whose free axes are -1; the first is the batch."""
        return [
            tuple(
                length if length > 0 else (batch if axis == 0 else px) for axis, length in enumerate(declared)
            )
            for batch, px in (
                (self.least, self.least_px),
                (self.usual, self.usual_px),
                (self.greatest, self.greatest_px),
            )
        ]


@dataclass(frozen=True, slots=True)
class Engine:
    """A built engine.

    Attributes:
        data: what TensorRT loads; it fits this kind of GPU and this version of TensorRT only.
        timing_cache: what was measured while building; it makes the next build fast.
    """

    data: bytes
    timing_cache: bytes


def export_tensorrt(
    model: bytes, gate: Gate, *, profile: Profile, timing_cache: bytes = b"", workspace_mb: int = 1024
) -> tuple[Engine, Passed]:
    """An FP16 engine that passed the gate on this machine's GPU.

    Args:
        model: a float32 graph.
        gate: with the float network as its reference.
        profile: for which batches.
        timing_cache: of an earlier build, or nothing.
        workspace_mb: memory that the builder may use on the GPU.

    Raises:
        MissingExtraError: TensorRT is not installed.
        DeviceError: there is no NVIDIA GPU here.
        ExportError: the fp16 graph or the engine does not pass, or TensorRT builds none.
    """
    trt = load_tensorrt()
    halved, _ = half_precision(model, gate, "fp16", feed=gate.reference_feed)
    if not torch.cuda.is_available():
        raise DeviceError(
            "a TensorRT engine is built on the GPU that is to run it, and PyTorch finds none here. The fp16 "
            "graph passed the gate: `vultus quantize --to fp16` writes it, to be built elsewhere"
        )
    engine = build_engine(halved, trt, profile=profile, timing_cache=timing_cache, workspace_mb=workspace_mb)
    names = [each.name for each in onnx.load_model_from_string(model).graph.output]
    return engine, gate.judge(EngineSession(engine.data, trt, output_names=names))


def load_tensorrt() -> Any:
    """The module of TensorRT.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import tensorrt
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "TensorRT is not installed, which needs an NVIDIA GPU: pip install 'vultus[tensorrt]'"
        ) from error
    return tensorrt


def build_engine(
    model: bytes, trt: Any, *, profile: Profile, timing_cache: bytes = b"", workspace_mb: int = 1024
) -> Engine:
    """An engine of a graph that says itself in which precision each layer computes.

    Args:
        model: the graph.
        trt: the module of TensorRT, or what has its names.
        profile: for which batches.
        timing_cache: of an earlier build, or nothing.
        workspace_mb: memory that the builder may use on the GPU.

    Raises:
        ExportError: TensorRT does not understand the graph, or builds nothing.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    strongly_typed = 1 << int(
        trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    )  # what 10.x asks for; 11 is so
    network = builder.create_network(strongly_typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        errors = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise ExportError(f"TensorRT does not understand the graph: {errors}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mb * MEGABYTE)
    cache = config.create_timing_cache(timing_cache)
    config.set_timing_cache(cache, False)  # not one of another GPU or version
    config.add_optimization_profile(_optimisation_profile(builder, network, profile))
    serialised = builder.build_serialized_network(network, config)
    if serialised is None:
        raise ExportError("TensorRT built no engine; its log above says why")
    return Engine(bytes(serialised), bytes(config.get_timing_cache().serialize()))


def _optimisation_profile(builder: Any, network: Any, profile: Profile) -> Any:
    """TensorRT's own profile, for every input."""
    made = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        given = network.get_input(number)
        made.set_shape(given.name, *profile.shapes(tuple(given.shape)))
    return made


class EngineSession:
    """A `Session` over an engine, on the GPU that PyTorch uses. Not safe to call from several threads.

    Args:
        engine: its bytes.
        trt: the module of TensorRT.
        output_names: the order of the answers.

    Raises:
        DeviceError: this GPU or this TensorRT cannot run it.
    """

    def __init__(self, engine: bytes, trt: Any, *, output_names: Sequence[str]) -> None:
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))  # must outlive the engine
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise DeviceError("TensorRT cannot load the engine: it was built for another GPU or version")
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        (self._input,) = (
            name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        )
        self._outputs = tuple(output_names)

    def run(self, batch: FloatArray) -> list[FloatArray]:
        """The answers to a batch, in float32.

        Raises:
            DeviceError: the engine does not take this shape, or failed.
        """
        given = torch.from_numpy(batch).cuda()
        if not self._context.set_input_shape(self._input, tuple(given.shape)):
            raise DeviceError(f"the engine takes no input of shape {tuple(given.shape)}: see its profile")
        answers: Mapping[str, torch.Tensor] = {
            name: torch.empty(tuple(self._context.get_tensor_shape(name)), device=given.device)
            for name in self._outputs
        }
        for name, tensor in ({self._input: given} | dict(answers)).items():
            self._context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise DeviceError("TensorRT failed while running; its log above says why")
        stream.synchronize()
        return [answers[name].cpu().numpy() for name in self._outputs]
