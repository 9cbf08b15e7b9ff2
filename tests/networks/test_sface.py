import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from vultus.embed import load_embedder
from vultus.errors import InputError, ShapeError, WeightsError
from vultus.networks.embedding import unit
from vultus.networks.sface import CHANNELS, SFace, read_sface
from vultus.weights import store


def test_the_public_weights_compute_the_same_as_their_file() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    network = read_sface(store.read("sface-int8bq"))
    with torch.no_grad():
        own = unit(network((torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 127.5) / 128))
    np.testing.assert_allclose(own, load_embedder("sface-int8bq").embed(crops), atol=1e-5)


def test_a_graph_of_another_network_is_refused() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    with pytest.raises(WeightsError, match="layers of SFace"):
        read_sface(helper.make_model(graph).SerializeToString())


def test_the_same_layers_with_weights_of_another_size_are_refused() -> None:
    model = onnx.load_model_from_string(store.read("sface-int8bq"))
    stem = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    beta = next(tensor for tensor in model.graph.initializer if tensor.name == stem.input[2])
    beta.CopyFrom(onnx.numpy_helper.from_array(np.zeros(7, np.float32), beta.name))
    with pytest.raises(WeightsError, match="weights of SFace; BatchNormalization"):
        read_sface(model.SerializeToString())


def test_a_layer_without_its_weights_is_refused() -> None:
    model = onnx.load_model_from_string(store.read("sface-int8bq"))
    last = next(node for node in model.graph.node if node.op_type == "Gemm")
    del last.input[2]
    with pytest.raises(WeightsError, match="weights of SFace; Gemm"):
        read_sface(model.SerializeToString())


def test_a_stem_of_stride_2_gives_the_later_maps_the_same_size() -> None:
    crops = torch.zeros(1, 3, 112, 112)
    for stride in (1, 2):
        network = SFace(stem_stride=stride).eval()
        maps = network.stem(crops)
        assert maps.shape[-1] == 112 // stride
        sizes = []
        for block in network.blocks:
            maps = block(maps)
            sizes.append(maps.shape[-1])
        assert sizes[1:] == [56, 56, 28, 28, 14, 14, 14, 14, 14, 14, 7, 7]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="14 widths"):
        SFace(channels=CHANNELS[:-1])
    with pytest.raises(ShapeError):
        SFace()(torch.zeros(1, 3, 128, 128))
