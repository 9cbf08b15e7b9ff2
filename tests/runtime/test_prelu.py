"""What was taken apart becomes a PReLU again, and nothing else does."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import WeightsError
from vultus.runtime import OnnxSession
from vultus.runtime.graph import repair_graph
from vultus.runtime.prelu import restore_prelu
from vultus.weights import store
from vultus.weights.catalog import entry

SLOPES = np.array([0.25, -0.5, 1.5], np.float32)


def network(*nodes: onnx.NodeProto, **weights: np.ndarray) -> bytes:
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    images = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 6, 6])]
    answers = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(list(nodes), "test", images, answers, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


@pytest.fixture(scope="module")
def with_prelu() -> bytes:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)
    return network(
        helper.make_node("Conv", ["x", "kernel"], ["z"]),
        helper.make_node("PRelu", ["z", "slope"], ["y"]),
        kernel=kernel,
        slope=SLOPES.reshape(3, 1, 1),
    )


def test_what_was_taken_apart_is_put_together(with_prelu: bytes) -> None:
    apart = repair_graph(with_prelu)
    assert operators(apart) == ["Conv", "Relu", "Conv", "Relu", "Conv", "Add"]
    together = restore_prelu(apart)
    assert operators(together) == ["Conv", "PRelu"]
    batch = np.random.default_rng(1).normal(size=(2, 3, 6, 6)).astype(np.float32)
    expected = OnnxSession(with_prelu).run(batch)[0]
    np.testing.assert_allclose(OnnxSession(together).run(batch)[0], expected, atol=1e-6)


def test_a_graph_without_any_stays_byte_for_byte(with_prelu: bytes) -> None:
    assert restore_prelu(with_prelu) is with_prelu


@pytest.mark.parametrize("mirror", [1.0, -2.0])
def test_another_factor_is_no_prelu(mirror: float) -> None:
    weights = {"m": np.full((3, 1, 1, 1), mirror, np.float32), "s": SLOPES.reshape(3, 1, 1, 1)}
    model = network(
        helper.make_node("Relu", ["x"], ["p"]),
        helper.make_node("Conv", ["x", "m"], ["a"], group=3),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "s"], ["c"], group=3),
        helper.make_node("Add", ["p", "c"], ["y"]),
        **weights,
    )
    assert restore_prelu(model) is model


def test_the_ways_around_a_residual_block_are_no_prelu() -> None:
    kernel = np.random.default_rng(2).normal(size=(3, 3, 1, 1)).astype(np.float32)
    model = network(
        helper.make_node("Relu", ["x"], ["p"]),
        helper.make_node("Conv", ["p", "k"], ["a"]),
        helper.make_node("Add", ["p", "a"], ["y"]),
        k=kernel,
    )
    assert restore_prelu(model) is model


def test_mtcnns_own_file_gets_its_prelus_back() -> None:
    model = store.read(entry("mtcnn"), "mtcnn_onet.onnx")
    restored = restore_prelu(model)
    assert operators(restored).count("PRelu") == 5  # the fifth stands behind a matrix product
    batch = np.random.default_rng(3).uniform(-1, 1, (3, 3, 48, 48)).astype(np.float32)
    answers = OnnxSession(restored).run(batch)
    assert len(answers) == 3
    for ours, theirs in zip(answers, OnnxSession(model).run(batch), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(WeightsError, match="the given 7 bytes are no ONNX graph"):
        restore_prelu(b"rubbish")
