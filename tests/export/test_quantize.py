"""Int8 and half precision: what is quantised, what stays in float, and that the gate judges it."""

import logging
from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ExportError, InputError
from vultus.export.crops import default_crops
from vultus.export.gate import Gate, Limits
from vultus.export.precision import Half, emulate, half_precision, halve
from vultus.export.quantize import (
    Int8,
    Method,
    calibrate,
    layers_of,
    name_nodes,
    quantise_dynamic,
    quantise_static,
    rank,
    with_ranges,
)
from vultus.export.reference import OnnxReference
from vultus.export.subjects import Subject
from vultus.runtime import OnnxSession
from vultus.types import Crops, FloatArray

CROPS = default_crops((32, 32))
PAIRS = {"QuantizeLinear", "DequantizeLinear"}


@pytest.fixture(autouse=True)
def quiet_quantiser() -> Iterator[None]:
    """It advises by warnings of the root logger."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def gate_with(graph: bytes, toy: Subject, *, min_cosine: float) -> Gate:
    return Gate(
        reference=OnnxReference(graph),
        crops=CROPS,
        reference_feed=toy.feed,
        limits=Limits(min_cosine=min_cosine),
    )


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(model).graph.node)


def weight_types(model: bytes) -> Counter[int]:
    return Counter(tensor.data_type for tensor in onnx.load_model_from_string(model).graph.initializer)


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_every_method_quantises_every_layer_where_the_gate_allows_it(
    method: Method, toy: Subject, graph: bytes
) -> None:
    gate = gate_with(graph, toy, min_cosine=0.9)
    made = quantise_static(graph, gate, faces=CROPS, feed=toy.feed, how=Int8(method=method))
    assert made.kept == ()
    assert 0.9 <= made.passed.cosine < 1
    onnx.checker.check_model(made.model, full_check=True)  # its nodes in order, for readers that trust it
    counted = operators(made.model)
    assert counted["QuantizeLinear"] >= len(layers_of(name_nodes(graph)))
    assert weight_types(made.model)[TensorProto.INT8] >= 4
    assert set(made.sensitivity) == set(layers_of(name_nodes(graph)))


def test_the_worst_layers_go_back_to_float_until_it_passes_and_no_more_than_need_be(
    toy: Subject, graph: bytes
) -> None:
    how = Int8(method="minmax")
    named = name_nodes(graph)
    whole = quantise_static(graph, gate_with(graph, toy, min_cosine=0.5), faces=CROPS, feed=toy.feed, how=how)
    stricter = gate_with(graph, toy, min_cosine=(1 + whole.passed.cosine) / 2)
    made = quantise_static(graph, stricter, faces=CROPS, feed=toy.feed, how=how, max_kept_share=0.99)
    assert made.kept
    assert made.passed.cosine >= stricter.limits.min_cosine > whole.passed.cosine
    worst_first = sorted(made.sensitivity, key=made.sensitivity.__getitem__)
    assert list(made.kept) == worst_first[: len(made.kept)]
    ranges = calibrate(named, [toy.feed(CROPS)], how=how)
    with pytest.raises(ExportError):
        stricter.check(with_ranges(named, ranges, how=how, kept=made.kept[:-1]))


def test_what_cannot_pass_is_refused_with_the_worst_layers(toy: Subject, graph: bytes) -> None:
    gate = gate_with(graph, toy, min_cosine=0.9999999)
    with pytest.raises(
        ExportError, match=r"even with 0 of 6 layers in float.*The worst layers alone: \S+ [01]\."
    ):
        quantise_static(
            graph, gate, faces=CROPS, feed=toy.feed, how=Int8(method="minmax"), max_kept_share=0.0
        )


def test_a_scale_for_each_channel_is_a_vector(toy: Subject, graph: bytes) -> None:
    named = name_nodes(graph)
    shapes = {}
    for is_per_channel in (True, False):
        how = Int8(method="minmax", is_per_channel=is_per_channel)
        ranges = calibrate(named, [toy.feed(CROPS)], how=how)
        proto = onnx.load_model_from_string(with_ranges(named, ranges, how=how))
        scales = [t for t in proto.graph.initializer if t.name == "body.0.weight_scale"]
        assert len(scales) == 1
        shapes[is_per_channel] = tuple(scales[0].dims)
    assert shapes == {True: (16,), False: ()}


def test_the_percentile_cuts_the_range(toy: Subject, graph: bytes) -> None:
    """An outlier of one crop widens what minmax takes, and is left out of a percentile."""
    named = name_nodes(graph)
    batch = toy.feed(CROPS)
    batch[0, 0, 0, 0] = 50
    widths = {}
    for method in ("minmax", "percentile"):
        ranges = calibrate(named, [batch], how=Int8(method=method, percentile=99.0))
        low, high = ranges["images"].range_value
        widths[method] = float(np.ravel(high)[0] - np.ravel(low)[0])
    assert widths["percentile"] < 0.5 * widths["minmax"]


def test_a_layer_alone_costs_less_than_all_of_them(toy: Subject, graph: bytes) -> None:
    how = Int8(method="minmax")
    named = name_nodes(graph)
    ranges = calibrate(named, [toy.feed(CROPS)], how=how)
    alone = rank(named, ranges, how=how, batch=toy.feed(CROPS))
    assert list(alone) == layers_of(named)
    assert all(0.9 < cosine <= 1 for cosine in alone.values())
    assert min(alone.values()) < 1


@pytest.mark.parametrize(
    ("wrong", "match"), [({"method": "best"}, "method must be"), ({"percentile": 3}, "percentile")]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Int8(**wrong)  # type: ignore[arg-type]


def test_dynamic_quantisation_is_refused_for_a_convolutional_network(toy: Subject, graph: bytes) -> None:
    with pytest.raises(InputError, match="this graph has none: it is convolutional"):
        quantise_dynamic(graph, gate_with(graph, toy, min_cosine=0.9), feed=toy.feed)


def linear() -> bytes:
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.normal(size=(3, 16)).astype(np.float32), "w")
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["y"]),
    ]
    axes = numpy_helper.from_array(np.array([1, 2]), "axes")
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 32, 32, 3))
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 16))
    graph = helper.make_graph(nodes, "test", [given], [answer], [weight, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString())


def test_dynamic_quantisation_turns_products_of_matrices_into_int8() -> None:
    def feed(crops: Crops) -> FloatArray:
        return crops.astype(np.float32)

    gate = Gate(
        reference=OnnxReference(linear()), crops=CROPS, reference_feed=feed, limits=Limits(min_cosine=0.99)
    )
    made = quantise_dynamic(linear(), gate, feed=feed)
    assert operators(made.model)["MatMulInteger"] == 1
    assert made.passed.cosine < 1


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_half_precision_passes_the_gate_with_the_last_layer_in_float32(
    half: Half, toy: Subject, graph: bytes
) -> None:
    data, passed = half_precision(graph, gate_with(graph, toy, min_cosine=0.999), half, feed=toy.feed)
    assert 0.999 <= passed.cosine < 1
    stored = {t.name: t.data_type for t in onnx.load_model_from_string(data).graph.initializer}
    narrow = TensorProto.FLOAT16 if half == "fp16" else TensorProto.BFLOAT16
    assert stored[f"body.0.weight/{half}"] == narrow
    assert stored["embedding/weight"] == TensorProto.FLOAT
    inferred = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(data)).graph
    types = {each.name: each.type.tensor_type.elem_type for each in inferred.value_info}
    assert types["body.2"] == narrow
    assert {each.type.tensor_type.elem_type for each in (*inferred.input, *inferred.output)} == {
        TensorProto.FLOAT
    }


def test_the_emulation_rounds_as_the_graph_in_half_precision_does(toy: Subject, graph: bytes) -> None:
    """For fp16, which ONNX Runtime computes here: what is judged is close to what runs."""
    halved, emulated = onnx.load_model_from_string(graph), onnx.load_model_from_string(graph)
    halve(halved, "fp16")
    emulate(emulated, "fp16")
    batch = toy.feed(CROPS)
    truth, true_half, rounded = (
        OnnxSession(model).run(batch)[0]
        for model in (graph, halved.SerializeToString(), emulated.SerializeToString())
    )
    error = np.abs(true_half - truth).mean()
    assert error > 1e-5
    assert 0.3 < np.abs(rounded - truth).mean() / error < 3


def test_bf16_is_rounded_harder_than_fp16(toy: Subject, graph: bytes) -> None:
    batch = toy.feed(CROPS)
    (truth,) = OnnxSession(graph).run(batch)
    errors = []
    for half in ("fp16", "bf16"):
        model = onnx.load_model_from_string(graph)
        emulate(model, half)
        errors.append(float(np.abs(OnnxSession(model.SerializeToString()).run(batch)[0] - truth).mean()))
    assert 3 < errors[1] / errors[0] < 20  # 8 bits of mantissa, and 11


def test_a_weight_beyond_fp16_is_refused(graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "body.0.weight")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(1e7), kernel.name))
    with pytest.raises(ExportError, match=r"the weight body\.0\.weight reaches .*fp16 only 65504"):
        halve(model, "fp16")
