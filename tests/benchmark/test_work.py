"""Multiply-adds and bytes: of graphs small enough to count by hand, and of one whose figure is known."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.benchmark.work import NO_WORK, Work, work_of
from vultus.weights import store
from vultus.weights.catalog import entry


def graph(nodes: Sequence[onnx.NodeProto], shape: Sequence[str | int], **weights: Sequence[int]) -> bytes:
    stored = [numpy_helper.from_array(np.zeros(sizes, np.float32), name) for name, sizes in weights.items()]
    told = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    answers = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    made = helper.make_graph(list(nodes), "test", told, answers, stored)
    opset = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()
    return data


def test_a_convolution_by_hand() -> None:
    nodes = [helper.make_node("Conv", ["x", "k"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    work = work_of(graph(nodes, ("n", 3, "h", "w"), k=(4, 3, 3, 3)), (2, 3, 8, 10))
    outputs = 2 * 4 * 6 * 8
    assert work.multiply_adds == outputs * 27
    assert work.weight_bytes == 4 * 108
    assert work.map_bytes == 4 * (2 * 3 * 8 * 10 + outputs)  # the ReLU is taken to be fused


def test_a_depthwise_convolution_sees_one_channel() -> None:
    nodes = [helper.make_node("Conv", ["x", "k"], ["y"], group=4)]
    assert work_of(graph(nodes, ("n", 4, 5, 5), k=(4, 1, 3, 3)), (1, 4, 5, 5)).multiply_adds == 4 * 9 * 9


def test_a_matrix_product_by_hand() -> None:
    gemm = [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)]
    assert work_of(graph(gemm, ("n", 6), w=(5, 6)), (3, 6)).multiply_adds == 3 * 5 * 6
    product = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    assert work_of(graph(product, ("n", 6), w=(6, 5)), (3, 6)).multiply_adds == 3 * 5 * 6


def test_a_network_in_int8_does_as_much_work_and_reads_less() -> None:
    floats, int8 = (
        work_of(store.read(entry(name)), (1, 3, 112, 112))
        for name in ("compact-resnet-vultus", "compact-resnet-vultus-int8")
    )
    assert int8.multiply_adds == floats.multiply_adds
    assert 1 / 4 < int8.weight_bytes / floats.weight_bytes < 1 / 3  # five layers are in float
    maps = 4 * 3 * 112 * 112 + 2 * 4 * (32 * 56**2 + 5 * 48 * 28**2 + 5 * 96 * 14**2 + 5 * 192 * 7**2)
    assert floats.map_bytes == pytest.approx(maps, rel=0.1)  # the head has a few more
    assert 1 / 2 < int8.map_bytes / floats.map_bytes < 3 / 4  # what layers write counts as float


def test_works_add_up() -> None:
    assert NO_WORK + Work(1, 2, 3) + Work(10, 20, 30) == Work(11, 22, 33)


def test_a_photo_of_twice_the_sides_is_four_times_the_work() -> None:
    model = store.read(entry("retinaface-mobilenet0.25"))
    small, large = (work_of(model, (1, 3, side, side)) for side in (320, 640))
    assert large.multiply_adds == pytest.approx(4 * small.multiply_adds)
    assert large.weight_bytes == small.weight_bytes
    assert large.multiply_adds == pytest.approx(1.0e9, rel=0.2)
