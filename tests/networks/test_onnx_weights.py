from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from vultus.errors import WeightsError
from vultus.networks.blocks import conv_bn_act
from vultus.networks.onnx_weights import load_onnx_convolutions

EXAMPLE = torch.zeros(1, 3, 8, 8)


class OutOfOrder(nn.Module):
    """Registers its layers in another order than it computes them in."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(5, 2, 1)
        self.first = conv_bn_act(3, 5)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.last(self.first(images))
        return scores


def random_array(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.fixture
def folded(tmp_path: Path) -> Path:
    """Convolution with bias, ReLU, convolution with bias: what an exporter makes of `OutOfOrder`."""
    weights = {
        "w1": random_array(5, 3, 3, 3),
        "b1": random_array(5),
        "w2": random_array(2, 5, 1, 1),
        "b2": random_array(2),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("Conv", ["r", "w2", "b2"], ["scores"]),
        ],
        "folded",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2, 8, 8])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path / "folded.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_the_loaded_network_computes_what_the_file_computes(folded: Path) -> None:
    images = random_array(1, 3, 8, 8)
    session = onnxruntime.InferenceSession(folded, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"images": images})

    network = OutOfOrder()
    network(torch.randn(4, 3, 8, 8))  # statistics that the file does not know
    load_onnx_convolutions(network, folded, example=EXAMPLE)

    with torch.no_grad():
        scores = network.eval()(torch.from_numpy(images))
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_loading_leaves_the_mode_and_no_hooks(folded: Path) -> None:
    network = OutOfOrder().train()
    load_onnx_convolutions(network, folded, example=EXAMPLE)
    assert network.training
    assert all(module.training for module in network.modules())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_a_loaded_network_can_be_trained_further(folded: Path) -> None:
    network = OutOfOrder()
    load_onnx_convolutions(network, folded, example=EXAMPLE)
    network(torch.randn(4, 3, 8, 8)).square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert len(gradients) == 5
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_other_shapes_are_refused_with_the_first_that_differs(folded: Path) -> None:
    network = nn.Sequential(conv_bn_act(3, 5), nn.Conv2d(5, 4, 1))
    with pytest.raises(WeightsError, match=r"\(\(2, 5, 1, 1\), \(4, 5, 1, 1\)\)"):
        load_onnx_convolutions(network, folded, example=EXAMPLE)


def test_another_number_of_convolutions_is_refused(folded: Path) -> None:
    with pytest.raises(WeightsError, match="must hold the 1 convolutions of this network, got 2"):
        load_onnx_convolutions(conv_bn_act(3, 5), folded, example=EXAMPLE)


def test_weights_that_are_computed_are_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["w"], ["positive"]),
            helper.make_node("Conv", ["images", "positive"], ["scores"], name="first"),
        ],
        "computed",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2, 8, 8])],
        [numpy_helper.from_array(random_array(2, 3, 1, 1), "w")],
    )
    onnx.save(helper.make_model(graph), tmp_path / "computed.onnx")
    with pytest.raises(WeightsError, match=r"convolution first .* computes its weights"):
        load_onnx_convolutions(OutOfOrder(), tmp_path / "computed.onnx", example=EXAMPLE)


@pytest.mark.parametrize("content", [None, b"not an ONNX file"])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="must be an ONNX file"):
        load_onnx_convolutions(OutOfOrder(), path, example=EXAMPLE)
