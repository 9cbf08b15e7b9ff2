"""The gate: what passes, what does not, and whether the error says where it broke."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from vultus.errors import ExportError, InputError
from vultus.export.crops import default_crops
from vultus.export.gate import Gate, Limits, People, tar_of
from vultus.export.layers import cosines, first_difference, probe, watch
from vultus.export.pipeline import gate_of
from vultus.export.reference import OnnxReference
from vultus.export.subjects import Subject
from vultus.types import Crops


def changed(graph: bytes, weight: str, factor: float) -> bytes:
    """The graph with one weight tensor turned into another."""
    model = onnx.load_model_from_string(graph)
    found = [tensor for tensor in model.graph.initializer if tensor.name == weight]
    assert len(found) == 1, [tensor.name for tensor in model.graph.initializer]
    values = numpy_helper.to_array(found[0])
    noise = np.random.default_rng(0).normal(0, factor, values.shape).astype(np.float32)
    found[0].CopyFrom(numpy_helper.from_array(values + noise, weight))
    return bytes(model.SerializeToString())


def people(count: int) -> People:
    """Crops of `count` people who look like noise, four of each."""
    rng = np.random.default_rng(2)
    faces = rng.integers(0, 256, (count, 1, 32, 32, 3))
    crops = faces + rng.integers(-40, 41, (count, 4, 32, 32, 3))
    flat: Crops = crops.clip(0, 255).astype(np.uint8).reshape(-1, 32, 32, 3)
    return People(flat, np.repeat(np.arange(count), 4))


def test_an_export_passes_at_batch_1_3_and_16_on_faces(toy: Subject, graph: bytes) -> None:
    passed = gate_of(toy).check(graph)
    assert passed.cosine > 0.999999
    assert passed.crop_count == 16
    assert passed.tar is None


def test_the_crops_without_data_are_sixteen_different_views_of_a_face() -> None:
    crops = default_crops((48, 40))
    assert crops.shape == (16, 48, 40, 3)
    assert len({crop.tobytes() for crop in crops}) == 16


@pytest.mark.parametrize(
    ("weight", "layer"),
    [("stem.0.weight", "stem.1"), ("body.0.weight", "body.1"), ("pooled.weight", "pooled")],
)
def test_a_broken_layer_is_named_and_so_is_the_last_one_that_agrees(
    weight: str, layer: str, toy: Subject, graph: bytes
) -> None:
    with pytest.raises(ExportError, match=f"the first layer that differs is {layer} ") as refused:
        gate_of(toy).check(changed(graph, weight, 1.0))
    assert "does not answer as PyTorch does: output 0" in str(refused.value)
    assert "Nothing is written" in str(refused.value)
    assert f"{layer} (cosine" in str(refused.value).split(", after ")[0]


def test_a_difference_behind_the_last_layer_is_said_to_be_there(toy: Subject, graph: bytes) -> None:
    with pytest.raises(ExportError, match=r"all layers agree up to pooled \(1\.0+\)"):
        gate_of(toy).check(changed(graph, "embedding/weight", 1.0))


def test_a_graph_of_one_batch_size_is_refused(toy: Subject, graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    with pytest.raises(ExportError, match=r"takes no batch of (1|16)"):
        gate_of(toy).check(model.SerializeToString())


def test_tar_is_compared_and_told(toy: Subject, graph: bytes) -> None:
    passed = gate_of(toy, people=people(12), limits=Limits(far=1e-2)).check(graph)
    assert passed.tar == passed.reference_tar
    assert passed.tar is not None
    assert passed.tar > 0.5
    assert passed.far == 1e-2


def test_a_tar_that_moved_is_refused_though_the_cosines_pass(toy: Subject, graph: bytes) -> None:
    limits = Limits(min_cosine=-1, max_tar_distance=0.002, far=1e-2)
    worse = changed(graph, "pooled.weight", 3.0)
    with pytest.raises(
        ExportError, match=r"TAR at FAR 0\.01 moved from .* \(PyTorch\) to .*by more than 0\.002"
    ):
        gate_of(toy, people=people(12), limits=limits).check(worse)


def test_tar_wants_somebody_with_two_crops() -> None:
    one_each = People(people(3).crops[::4], np.arange(3))
    with pytest.raises(InputError, match="somebody with two crops"):
        tar_of(lambda crops: crops.reshape(len(crops), -1).astype(np.float32), one_each, far=0.1)


def test_a_graph_may_be_judged_by_the_one_it_was_made_from(toy: Subject, graph: bytes) -> None:
    gate = Gate(reference=OnnxReference(graph), crops=default_crops((32, 32)), reference_feed=toy.feed)
    assert gate.check(graph).cosine == 1
    with pytest.raises(ExportError, match=r"as the float32 graph does.*first layer that differs is body\.1 "):
        gate.check(changed(graph, "body.0.weight", 1.0))


def test_values_carry_the_names_of_the_layers_that_torch_answers_with(toy: Subject, graph: bytes) -> None:
    batch = toy.feed(default_crops((32, 32))[:3])
    theirs = watch(toy.network, batch)
    ours = probe(graph, list(theirs), batch)
    assert list(ours) == ["stem.1", "stem.2", "body.1", "body.2", "pooled"]
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-4)


def test_cosines_by_hand() -> None:
    ours = np.array([[1, 0], [1, 1], [0, 0]], np.float32)
    theirs = np.array([[0, 2], [3, 3], [0, 0]], np.float32)
    np.testing.assert_allclose(cosines(ours, theirs), [0, 1, 1], atol=1e-12)
    assert (cosines(ours, theirs[:2]) == -1).all()
    assert (cosines(np.full((1, 2), np.nan, np.float32), theirs[:1]) == -1).all()


def test_the_first_difference_by_hand() -> None:
    right = {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 2), np.float32)}
    wrong = {"a": right["a"], "unknown": right["a"], "b": np.array([[1, -1]], np.float32)}
    told = first_difference(wrong, right, min_cosine=0.999)
    assert told == "the first layer that differs is b (cosine 0.000000), after a (1.000000)"


def test_hooks_are_taken_off_again(toy: Subject) -> None:
    watch(toy.network, np.zeros((1, 3, 32, 32), np.float32))
    assert not any(module._forward_hooks for module in toy.network.modules())
