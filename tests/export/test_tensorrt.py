"""The TensorRT builder without a GPU: which calls it makes, on a stand-in with the names of TensorRT 11.4.

The stand-in knows names that the bindings of 11.4.0.106 have, and no others: a call of a removed one (such as
BuilderFlag.FP16) is an AttributeError here as there.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from vultus.errors import DeviceError, ExportError, InputError, MissingExtraError
from vultus.export.crops import default_crops
from vultus.export.gate import Gate
from vultus.export.precision import half_precision
from vultus.export.reference import OnnxReference
from vultus.export.subjects import Subject
from vultus.export.tensorrt import (
    MEGABYTE,
    EngineSession,
    Profile,
    build_engine,
    export_tensorrt,
    load_tensorrt,
)
from vultus.types import FloatArray


class StandIn:
    """What `import tensorrt` would give, as far as the builder uses it. It notes what it is asked for."""

    def __init__(self, *, errors: tuple[str, ...] = (), engine: bytes | None = b"engine") -> None:
        self.errors, self.engine = errors, engine
        self.parsed = b""
        self.flags = 0
        self.limits: dict[str, int] = {}
        self.cache = b""
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}
        self.profiles: list[Any] = []
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")

    class Logger:
        WARNING = 2

        def __init__(self, severity: int) -> None:
            self.severity = severity

    def Builder(self, logger: Any) -> Any:  # noqa: N802  # TensorRT's name
        def create_network(flags: int) -> Any:
            self.flags = flags
            given = SimpleNamespace(name="images", shape=(-1, 3, 32, 32))
            return SimpleNamespace(num_inputs=1, get_input=lambda number: given)

        def set_shape(name: str, *shapes: tuple[int, ...]) -> None:
            self.shapes[name] = shapes

        cache = SimpleNamespace(serialize=lambda: self.cache + b"+measured")
        config = SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: self.limits.update({pool: size}),
            create_timing_cache=self._remember,
            set_timing_cache=lambda cache, ignore_mismatch: not ignore_mismatch,
            get_timing_cache=lambda: cache,
            add_optimization_profile=self.profiles.append,
        )
        return SimpleNamespace(
            create_network=create_network,
            create_builder_config=lambda: config,
            create_optimization_profile=lambda: SimpleNamespace(set_shape=set_shape),
            build_serialized_network=lambda network, config: self.engine,
        )

    def _remember(self, serialized: bytes) -> bytes:
        self.cache = serialized
        return serialized

    def OnnxParser(self, network: Any, logger: Any) -> Any:  # noqa: N802  # TensorRT's name
        def parse(model: bytes) -> bool:
            self.parsed = model
            return not self.errors

        return SimpleNamespace(
            parse=parse, num_errors=len(self.errors), get_error=lambda number: self.errors[number]
        )

    def Runtime(self, logger: Any) -> Any:  # noqa: N802  # TensorRT's name
        return SimpleNamespace(deserialize_cuda_engine=lambda data: None)


def test_a_strongly_typed_network_is_built_with_profile_cache_and_workspace(graph: bytes) -> None:
    trt = StandIn()
    engine = build_engine(
        graph, trt, profile=Profile(least=1, usual=4, greatest=16), timing_cache=b"known", workspace_mb=64
    )
    assert engine.data == b"engine"
    assert engine.timing_cache == b"known+measured"
    assert trt.parsed == graph
    assert trt.flags == 1 << 1  # the flag's bit, not its number
    assert trt.limits == {"workspace": 64 * MEGABYTE}
    assert trt.shapes == {"images": ((1, 3, 32, 32), (4, 3, 32, 32), (16, 3, 32, 32))}
    assert len(trt.profiles) == 1


def test_free_sides_get_sizes_of_their_own() -> None:
    profile = Profile(least=1, usual=2, greatest=4, least_px=32, usual_px=320, greatest_px=640)
    assert profile.shapes((-1, 3, -1, -1)) == [(1, 3, 32, 32), (2, 3, 320, 320), (4, 3, 640, 640)]


@pytest.mark.parametrize("sizes", [{"least": 4, "usual": 2}, {"usual": 64}, {"least": 0}, {"least_px": 9999}])
def test_a_profile_that_does_not_grow_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must grow"):
        Profile(**sizes)


def test_what_tensorrt_says_against_the_graph_is_told(graph: bytes) -> None:
    with pytest.raises(ExportError, match="does not understand the graph: no such operator; nor this one"):
        build_engine(graph, StandIn(errors=("no such operator", "nor this one")), profile=Profile())


def test_an_engine_that_is_not_built_is_an_error(graph: bytes) -> None:
    with pytest.raises(ExportError, match="built no engine"):
        build_engine(graph, StandIn(engine=None), profile=Profile())


def test_an_engine_of_another_gpu_is_an_error() -> None:
    with pytest.raises(DeviceError, match="another GPU or version"):
        EngineSession(b"engine", StandIn(), output_names=["embedding"])


def test_the_graph_for_tensorrt_passes_the_gate_with_its_tail_in_fp32(toy: Subject, graph: bytes) -> None:
    gate = Gate(reference=OnnxReference(graph), crops=default_crops((32, 32)), reference_feed=toy.feed)
    data, passed = half_precision(graph, gate, "fp16", feed=toy.feed)
    assert passed.cosine > 0.9999
    proto = onnx.load_model_from_string(data)
    last = [node for node in proto.graph.node if node.op_type == "Conv"][-1]
    stored = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    assert stored[last.input[1]] == onnx.TensorProto.FLOAT


class Wrong:
    """A session that answers something else."""

    def run(self, batch: FloatArray) -> list[FloatArray]:
        return [np.ones((len(batch), 32), np.float32)]


def test_an_engine_is_judged_like_a_graph_but_not_looked_into(toy: Subject, graph: bytes) -> None:
    gate = Gate(reference=OnnxReference(graph), crops=default_crops((32, 32)), reference_feed=toy.feed)
    with pytest.raises(ExportError, match="its layers cannot be looked into"):
        gate.judge(Wrong())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, on which the builder would run")
def test_without_tensorrt_or_a_gpu_it_says_what_is_missing(toy: Subject, graph: bytes) -> None:
    gate = Gate(reference=OnnxReference(graph), crops=default_crops((32, 32)), reference_feed=toy.feed)
    with pytest.raises((MissingExtraError, DeviceError), match=r"NVIDIA GPU|finds none here"):
        export_tensorrt(graph, gate, profile=Profile())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and TensorRT")
def test_an_engine_answers_as_the_graph_does(toy: Subject, graph: bytes) -> None:
    pytest.importorskip("tensorrt")
    gate = Gate(reference=OnnxReference(graph), crops=default_crops((32, 32)), reference_feed=toy.feed)
    engine, passed = export_tensorrt(graph, gate, profile=Profile(greatest=16))
    assert passed.cosine > 0.999
    assert load_tensorrt() is not None
    assert engine.timing_cache
