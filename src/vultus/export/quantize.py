"""Int8: weights and activations in eight bits, where that costs too much in float - found by measuring.

Static quantisation writes a QuantizeLinear / DequantizeLinear pair (QDQ) at each activation, with a range
seen on real faces, and int8 weights with a scale for each channel:

    q = clip(round(x / scale) + zero, 0, 255)         x' = (q - zero) scale

The range is what decides: all that was seen (minmax), all but a share of outliers (percentile), or that which
keeps most of the distribution's information (entropy: least Kullback-Leibler divergence).

**Which layers stay in float** is searched. Each layer is quantised alone, and the cosine it costs ranks the
layers; then the fewest of the worst ones go back to float with which the graph passes the gate. Their number
is found by bisection, and what it ends at has passed.

Dynamic quantisation computes ranges at run time, for Gemm and MatMul only: it does almost nothing for a
convolutional network, and is refused where there is nothing for it to do.

Jacob et al.: Quantization and training of neural networks for efficient integer-arithmetic-only inference.
CVPR 2018. https://arxiv.org/abs/1712.05877
"""

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quantize import quantize_dynamic

from vultus.errors import ExportError, InputError
from vultus.export.gate import Feed, Gate, Passed
from vultus.export.layers import cosines
from vultus.export.pixels import PIXELS
from vultus.runtime.onnx import OnnxSession
from vultus.types import Crops, FloatArray

Method: TypeAlias = Literal["entropy", "percentile", "minmax"]
METHODS: Final = {
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
    "minmax": CalibrationMethod.MinMax,
}
LAYERS: Final = ("Conv", "Gemm", "MatMul")
CALIBRATION_BATCH: Final = 8
RANKED_CROPS: Final = 16  # each layer is tried on these; the gate has them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8:
    """How a graph is quantised.

    Attributes:
        method: how ranges are chosen.
        percentile: of that method: the share of values within the range, in percent.
        is_per_channel: a scale for each output channel of a weight, not one for all.
        has_reduced_range: 7-bit weights, for CPUs without VNNI, whose int8 products may overflow.

    Raises:
        InputError: a value out of range.
    """

    method: Method = "entropy"
    percentile: float = 99.99
    is_per_channel: bool = True
    has_reduced_range: bool = False

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise InputError(f"method must be one of {', '.join(get_args(Method))}, got {self.method!r}")
        if not 50 < self.percentile <= 100:
            raise InputError(f"percentile must lie in (50, 100], got {self.percentile}")


@dataclass(frozen=True, slots=True)
class Quantised:
    """A quantised graph that passed the gate.

    Attributes:
        model: its bytes.
        passed: what the gate measured.
        kept: the layers that stayed in float, the most sensitive first.
        sensitivity: layer to the lowest cosine with only that layer quantised.
    """

    model: bytes
    passed: Passed
    kept: tuple[str, ...]
    sensitivity: dict[str, float]


def quantise_static(
    model: bytes, gate: Gate, *, faces: Crops, feed: Feed, how: Int8, max_kept_share: float = 0.5
) -> Quantised:
    """The graph in int8, with the fewest layers in float with which it passes the gate.

    Args:
        model: a float32 graph.
        gate: with the float network as its reference.
        faces: (N, H, W, 3) the crops that ranges are taken from: some hundred real ones.
        feed: makes of crops what the graph takes.
        how: the knobs.
        max_kept_share: give up when more than this share of the layers would have to stay in float.

    Raises:
        ExportError: it does not pass even so.
    """
    named = name_nodes(model)
    ranges = calibrate(named, [feed(some) for some in batches_of(faces)], how=how)
    layers = layers_of(named)
    sensitivity = rank(named, ranges, how=how, batch=feed(gate.crops[:RANKED_CROPS]))
    worst_first = sorted(layers, key=sensitivity.__getitem__)
    attempt = partial(_attempt, named, ranges, gate, how=how, feed=feed)
    most = int(max_kept_share * len(layers))
    fewest, found = _fewest(attempt, worst_first[:most])
    if found is None:
        raise ExportError(
            f"in int8 the graph does not pass the gate, even with {most} of {len(layers)} layers in float: "
            "choose another --method, more faces, or a lower --min-cosine. The worst layers alone: "
            f"{', '.join(f'{name} {sensitivity[name]:.4f}' for name in worst_first[:5])}. Nothing is written"
        )
    return Quantised(*found, tuple(worst_first[:fewest]), sensitivity)


def _fewest(
    attempt: Callable[[Sequence[str]], tuple[bytes, Passed] | None], order: Sequence[str]
) -> tuple[int, tuple[bytes, Passed] | None]:
    """How many layers of `order` in float are the fewest that pass, and what passed; None if all do not."""
    found = attempt([])
    if found is not None:
        return 0, found
    fails, passes, found = 0, len(order), attempt(order)
    while found is not None and passes - fails > 1:
        middle = (fails + passes) // 2
        better = attempt(order[:middle])
        fails, passes = (middle, passes) if better is None else (fails, middle)
        found = better or found
    return passes, found


def _attempt(
    model: bytes, ranges: Any, gate: Gate, kept: Collection[str], *, how: Int8, feed: Feed
) -> tuple[bytes, Passed] | None:
    """The graph with these layers in float and what the gate measured; None where it does not pass."""
    quantised = with_ranges(model, ranges, how=how, kept=kept)
    try:
        return quantised, gate.check(quantised, feed=feed)
    except ExportError:
        return None


def calibrate(model: bytes, batches: Sequence[FloatArray], *, how: Int8) -> Any:
    """The ranges of all activations, in ONNX Runtime's own form.

    Args:
        model: a float32 graph whose nodes have names.
        batches: what it is fed.
        how: the method.
    """
    name = onnx.load_model_from_string(model).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        calibrator = create_calibrator(
            path,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=METHODS[how.method],
            extra_options={"percentile": how.percentile} if how.method == "percentile" else {},
        )
        for batch in batches:  # one by one: a calibrator holds all activations of what it is given
            calibrator.collect_data(_Batches(name, [batch]))
        return calibrator.compute_data()


def with_ranges(
    model: bytes, ranges: Any, *, how: Int8, kept: Collection[str] = (), only: Collection[str] = ()
) -> bytes:
    """The graph with these ranges in QDQ form.

    Args:
        model: a float32 graph whose nodes have names.
        ranges: of `calibrate`.
        how: the knobs.
        kept: nodes that stay in float, besides the preprocessing.
        only: quantise only these nodes; empty for all.
    """
    proto = onnx.load_model_from_string(model)
    inside = [node.name for node in proto.graph.node if node.name.startswith(f"{PIXELS}/")]
    inside += [node.name for node in proto.graph.node if node.input[:1] == [f"{PIXELS}/centred"]]
    quantizer = QDQQuantizer(
        proto,
        per_channel=how.is_per_channel,
        reduce_range=how.has_reduced_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=list(only),
        nodes_to_exclude=[*kept, *inside],
        op_types_to_quantize=list(LAYERS) if only else [*LAYERS, *BETWEEN],
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()  # ONNX wants it; the quantiser appends its nodes at the end
    data: bytes = quantizer.model.model.SerializeToString(deterministic=True)
    return data


# Kept in int8 between two quantised layers, so that nothing is widened on the way.
BETWEEN: Final = ("Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape")


def rank(model: bytes, ranges: Any, *, how: Int8, batch: FloatArray) -> dict[str, float]:
    """Each layer's name, and the lowest cosine of any answer if only that layer is quantised."""
    expected = OnnxSession(model).run(batch)
    return {
        name: _lowest(OnnxSession(with_ranges(model, ranges, how=how, only=[name])).run(batch), expected)
        for name in layers_of(model)
    }


def _lowest(ours: Sequence[FloatArray], theirs: Sequence[FloatArray]) -> float:
    return min(float(cosines(one, other).min()) for one, other in zip(ours, theirs, strict=True))


def quantise_dynamic(model: bytes, gate: Gate, *, feed: Feed) -> Quantised:
    """The graph with Gemm and MatMul in int8, whose inputs' ranges are computed at run time.

    Raises:
        InputError: it has no such layers.
        ExportError: it does not pass the gate.
    """
    linear = [node for node in onnx.load_model_from_string(model).graph.node if node.op_type in LAYERS[1:]]
    if not linear:
        raise InputError(
            "dynamic quantisation is for Gemm and MatMul, and this graph has none: it is convolutional, and "
            "wants static quantisation (--to int8)"
        )
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(name_nodes(model))
        quantize_dynamic(before, after, op_types_to_quantize=list(LAYERS[1:]), per_channel=True)
        data = after.read_bytes()
    return Quantised(data, gate.check(data, feed=feed), (), {})


def name_nodes(model: bytes) -> bytes:
    """The graph with each node named after its first output, so that nodes can be chosen by name."""
    proto = onnx.load_model_from_string(model)
    for node in proto.graph.node:
        node.name = node.output[0]
    data: bytes = proto.SerializeToString()
    return data


def layers_of(model: bytes) -> list[str]:
    """The nodes with weights, in order."""
    return [node.name for node in onnx.load_model_from_string(model).graph.node if node.op_type in LAYERS]


def batches_of(faces: Crops) -> list[Crops]:
    """The crops in batches for calibration."""
    return [faces[first : first + CALIBRATION_BATCH] for first in range(0, len(faces), CALIBRATION_BATCH)]


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # ships no types
    """What ONNX Runtime's calibration reads."""

    def __init__(self, name: str, batches: Sequence[FloatArray]) -> None:
        self._left = iter([{name: np.ascontiguousarray(batch)} for batch in batches])

    def get_next(self) -> dict[str, FloatArray] | None:
        """The next batch by the name of the input, or None."""
        return next(self._left, None)
