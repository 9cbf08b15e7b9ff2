"""What is done to a graph on its way to a file: it must compute the same, in fewer nodes or fewer bytes."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ExportError
from vultus.export.crops import default_crops, resized
from vultus.export.half import LARGEST, store_half
from vultus.export.pixels import take_pixels
from vultus.export.simplify import simplify
from vultus.export.subjects import Subject
from vultus.runtime import OnnxSession
from vultus.types import FloatArray
from vultus.weights.description import Preprocessing


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(model).graph.node)


def expected(toy: Subject, batch: FloatArray) -> FloatArray:
    with torch.no_grad():
        answer: FloatArray = toy.network(torch.from_numpy(batch)).numpy()
    return answer


def test_every_batch_norm_is_folded_and_every_prelu_rewritten(graph: bytes) -> None:
    counted = operators(graph)
    assert counted["Conv"] == 4 + 2  # two for the PReLU
    assert not {"BatchNormalization", "PRelu", "Expand", "Shape"} & set(counted)
    onnx.checker.check_model(onnx.load_model_from_string(graph), full_check=True)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_graph_answers_as_pytorch_does(batch: int, toy: Subject, graph: bytes) -> None:
    fed = toy.feed(default_crops((32, 32))[:batch])
    (answer,) = OnnxSession(graph).run(fed)
    np.testing.assert_allclose(answer, expected(toy, fed), atol=1e-5)


def flattened_norm(positions: int) -> onnx.ModelProto:
    """A convolution to 2 channels of some positions, flattened, and a norm of each value."""
    rng = np.random.default_rng(0)
    count = 2 * positions
    weights = {
        "w": rng.normal(size=(2, 3, 1, 1)),
        "b": rng.normal(size=2),
        "shape": np.array([-1, count]),
        **{name: rng.uniform(0.5, 2, count) for name in ("gamma", "beta", "mean", "variance")},
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["maps"]),
        helper.make_node("Reshape", ["maps", "shape"], ["flat"]),
        helper.make_node(
            "BatchNormalization", ["flat", "gamma", "beta", "mean", "variance"], ["y"], epsilon=0.1
        ),
    ]
    initializers = [
        numpy_helper.from_array(value.astype(np.int64 if name == "shape" else np.float32), name)
        for name, value in weights.items()
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 3, 1, positions))
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", count))
    graph = helper.make_graph(nodes, "test", [given], [answer], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(("positions", "norms_left"), [(1, 0), (4, 1)])
def test_a_norm_behind_a_flattening_is_folded_where_it_has_a_value_for_each_channel(
    positions: int, norms_left: int
) -> None:
    model = flattened_norm(positions)
    before = model.SerializeToString()
    simplify(model)
    after = model.SerializeToString()
    assert operators(after)["BatchNormalization"] == norms_left
    batch = np.random.default_rng(1).normal(size=(5, 3, 1, positions)).astype(np.float32)
    np.testing.assert_allclose(OnnxSession(after).run(batch)[0], OnnxSession(before).run(batch)[0], atol=1e-6)


def test_pixels_give_the_very_same_answers(toy: Subject, graph: bytes) -> None:
    crops = default_crops((32, 32))
    model = onnx.load_model_from_string(graph)
    fed = take_pixels(model, toy.preprocessing)
    session = OnnxSession(model.SerializeToString())
    assert session.input_shape == ("batch", 32, 32, 3)
    assert (fed.layout, fed.channels, fed.mean, fed.std) == ("NHWC", "RGB", (0, 0, 0), (1, 1, 1))
    (ours,) = session.run(crops)  # type: ignore[arg-type]  # pixels
    (theirs,) = OnnxSession(graph).run(toy.feed(crops))
    np.testing.assert_array_equal(ours, theirs)


def test_only_planes_can_take_pixels_instead(graph: bytes) -> None:
    with pytest.raises(ExportError, match="can take pixels"):
        take_pixels(onnx.load_model_from_string(graph), Preprocessing(layout="NHWC"))


def test_half_the_bytes_and_the_same_answers(toy: Subject, graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    store_half(model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kernels = [name for name, tensor in stored.items() if tensor.data_type == TensorProto.FLOAT16]
    assert set(kernels) == {"body.0.weight/fp16", "pooled.weight/fp16", "embedding/weight/fp16"}
    fed = toy.feed(default_crops((32, 32)))
    (ours,) = OnnxSession(model.SerializeToString()).run(fed)
    np.testing.assert_allclose(ours, expected(toy, fed), rtol=2e-3, atol=2e-3)


def test_onnx_runtime_widens_stored_weights_once_when_it_loads_them(graph: bytes, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(graph)
    store_half(model)
    assert operators(model.SerializeToString())["Cast"] == 3
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert operators((tmp_path / "optimised.onnx").read_bytes())["Cast"] == 0


def test_what_fp16_cannot_hold_stays_in_fp32(graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "body.0.weight")
    kernel.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(100 * LARGEST), kernel.name)
    )
    store_half(model)
    kept = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    assert "body.0.weight" in kept
    assert "pooled.weight" not in kept


def test_crops_of_the_right_size_are_left_alone() -> None:
    crops = default_crops((112, 112))
    assert resized(crops, (112, 112)) is crops
