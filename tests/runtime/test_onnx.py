"""Sessions over graphs made here, small enough to be read, and what ONNX Runtime says about who ran them."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import DeviceError, InputError, ShapeError, WeightsError
from vultus.interfaces import Session
from vultus.runtime import OnnxSession
from vultus.runtime.onnx import CPU, check_providers_loaded
from vultus.types import FloatArray

AZURE = "AzureExecutionProvider"  # comes with the ordinary wheel, loads everywhere, runs no usual operator


def network(
    nodes: Sequence[onnx.NodeProto],
    *,
    weights: Sequence[onnx.TensorProto] = (),
    shape: Sequence[str | int] = ("n", 3, 8, 8),
    outputs: Sequence[str] = ("y",),
) -> bytes:
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        told,
        list(weights),
    )
    opset = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    return data


@pytest.fixture(scope="module")
def two_outputs() -> bytes:
    """y: a convolution of x; z: the mean of y over height and width."""
    kernel = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    return network(
        [
            helper.make_node("Conv", ["x", "kernel"], ["y"]),
            helper.make_node("ReduceMean", ["y"], ["z"], axes=[2, 3], keepdims=0),
        ],
        weights=[numpy_helper.from_array(kernel, "kernel")],
        outputs=("y", "z"),
    )


@pytest.fixture(scope="module")
def images() -> FloatArray:
    return np.random.default_rng(1).normal(size=(11, 3, 8, 8)).astype(np.float32)


def test_a_session_keeps_the_promise(two_outputs: bytes) -> None:
    assert isinstance(OnnxSession(two_outputs), Session)


def test_outputs_come_in_the_graphs_order(two_outputs: bytes, images: FloatArray) -> None:
    y, z = OnnxSession(two_outputs).run(images)
    assert y.shape == (11, 4, 6, 6)
    np.testing.assert_allclose(z, y.mean(axis=(2, 3)), atol=1e-6)


def test_a_file_and_its_bytes_are_the_same_network(
    two_outputs: bytes, images: FloatArray, tmp_path: Path
) -> None:
    path = tmp_path / "größe.onnx"
    path.write_bytes(two_outputs)
    np.testing.assert_array_equal(OnnxSession(path).run(images)[0], OnnxSession(two_outputs).run(images)[0])


@pytest.mark.parametrize("max_batch", [1, 2, 5, 11, 100])
def test_pieces_give_the_same_as_the_whole(two_outputs: bytes, images: FloatArray, max_batch: int) -> None:
    whole = OnnxSession(two_outputs).run(images)
    pieces = OnnxSession(two_outputs, max_batch=max_batch).run(images)
    assert len(whole) == 2
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_an_empty_batch_has_empty_outputs(two_outputs: bytes) -> None:
    y, z = OnnxSession(two_outputs, max_batch=2).run(np.zeros((0, 3, 8, 8), np.float32))
    assert y.shape == (0, 4, 6, 6)
    assert z.shape == (0, 4)


def test_sixteen_threads_get_what_one_gets(two_outputs: bytes, images: FloatArray) -> None:
    session = OnnxSession(two_outputs, threads=1)
    alone = [session.run(images[i : i + 1])[0] for i in range(11)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda k: session.run(images[k % 11 : k % 11 + 1])[0], range(352)))
    assert len(together) == 352
    for k, answer in enumerate(together):
        np.testing.assert_array_equal(answer, alone[k % 11])


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 4, 8, 8), np.float32),
        np.zeros((3, 8, 8), np.float32),
        np.zeros((1, 3, 8, 9), np.float32),
        np.zeros((1, 3, 8, 8), np.float64),
        np.zeros((1, 3, 8, 8), np.uint8),
    ],
    ids=["channels", "no batch axis", "width", "double", "bytes"],
)
def test_another_shape_or_dtype_is_refused_with_what_was_expected(
    two_outputs: bytes, batch: FloatArray
) -> None:
    with pytest.raises(ShapeError, match=r"takes an input of shape \(n, 3, 8, 8\), got \(") as refusal:
        OnnxSession(two_outputs).run(batch)
    assert str(batch.dtype) in str(refusal.value)


def test_an_input_too_small_for_the_kernel_is_refused() -> None:
    kernel = numpy_helper.from_array(np.ones((1, 3, 5, 5), np.float32), "kernel")
    model = network(
        [helper.make_node("Conv", ["x", "kernel"], ["y"])], weights=[kernel], shape=("n", 3, "h", "w")
    )
    with pytest.raises(ShapeError, match="Invalid input shape"):
        OnnxSession(model).run(np.zeros((1, 3, 2, 2), np.float32))


def test_a_failure_while_running_is_typed() -> None:
    sevens = numpy_helper.from_array(np.array([-1, 7]), "sevens")
    model = network([helper.make_node("Reshape", ["x", "sevens"], ["y"])], weights=[sevens], shape=("n", 3))
    with pytest.raises(DeviceError, match=r"failed on an input of shape \(2, 3\)"):
        OnnxSession(model).run(np.zeros((2, 3), np.float32))


UNUSABLE = {
    "empty": b"",
    "garbage": b"certainly not a network",
    "unknown operator": network([helper.make_node("Frobnicate", ["x"], ["y"])]),
    "wrong type": network([helper.make_node("BitShift", ["x", "x"], ["y"], direction="LEFT")]),
    "dangling name": network([helper.make_node("Relu", ["nowhere"], ["y"])]),
}


@pytest.mark.parametrize("model", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_bytes_are_a_weights_error(model: bytes) -> None:
    with pytest.raises(WeightsError, match=f"cannot load the given {len(model)} bytes"):
        OnnxSession(model)


def test_a_truncated_file_is_a_weights_error(two_outputs: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(two_outputs[: len(two_outputs) // 2])
    with pytest.raises(WeightsError, match=r"cut\.onnx"):
        OnnxSession(path)


def test_a_missing_file_is_a_weights_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.onnx"):
        OnnxSession(tmp_path / "absent.onnx")


def test_a_graph_with_two_inputs_is_refused() -> None:
    proto = onnx.load_model_from_string(network([helper.make_node("Add", ["x", "x2"], ["y"])]))
    proto.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1]))
    with pytest.raises(WeightsError, match=r"has 2 \(x, x2"):
        OnnxSession(proto.SerializeToString())


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"max_batch": 0}, {"max_batch": -3}])
def test_counts_below_one_are_refused(two_outputs: bytes, wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        OnnxSession(two_outputs, **wrong)  # type: ignore[arg-type]  # one of two int options


def test_a_provider_that_is_not_installed_is_a_device_error(two_outputs: bytes) -> None:
    cuda = "CUDAExecutionProvider"
    if cuda in onnxruntime.get_available_providers():
        pytest.skip("CUDA is installed here")
    with pytest.raises(DeviceError, match=f"{cuda} is not in this ONNX Runtime; it has .*{CPU}"):
        OnnxSession(two_outputs, providers=(cuda, CPU))


def test_no_provider_at_all_is_a_device_error(two_outputs: bytes) -> None:
    with pytest.raises(DeviceError, match="none given"):
        OnnxSession(two_outputs, providers=())


@pytest.mark.skipif(AZURE not in onnxruntime.get_available_providers(), reason=f"needs {AZURE}")
@pytest.mark.parametrize("providers", [(AZURE,), (AZURE, CPU)])
def test_a_provider_that_loads_but_runs_nothing_is_a_device_error(
    two_outputs: bytes, providers: tuple[str, ...]
) -> None:
    with pytest.raises(
        DeviceError, match=f"{AZURE} loads but runs nothing of this network.*{CPU} \\(2 nodes"
    ):
        OnnxSession(two_outputs, providers=providers)


def test_a_provider_that_was_dropped_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match=f"CUDA.* does not run on this machine .*{CPU}"):
        check_providers_loaded(["CUDAExecutionProvider", CPU], [CPU])


def test_the_node_counts_agree_with_the_profile_of_a_run(
    two_outputs: bytes, images: FloatArray, tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    oracle = onnxruntime.InferenceSession(two_outputs, options, providers=[CPU])
    oracle.run(None, {"x": images})
    events = json.loads(Path(oracle.end_profiling()).read_text(encoding="utf-8"))
    ran = Counter(event["args"]["provider"] for event in events if event["cat"] == "Node")
    assert OnnxSession(two_outputs).node_counts == dict(ran) == {CPU: 2}


def test_free_and_fixed_axes_are_told(two_outputs: bytes) -> None:
    assert OnnxSession(two_outputs).input_shape == ("n", 3, 8, 8)


@pytest.mark.parametrize("max_batch", [None, 4])
def test_a_graph_that_takes_one_row_is_run_row_by_row(images: FloatArray, max_batch: int | None) -> None:
    one_row = network([helper.make_node("Relu", ["x"], ["y"])], shape=(1, 3, 8, 8))
    (y,) = OnnxSession(one_row, max_batch=max_batch).run(images)
    np.testing.assert_array_equal(y, np.maximum(images, 0))


def test_what_a_graph_says_about_itself_is_told(two_outputs: bytes) -> None:
    model = onnx.load_model_from_string(two_outputs)
    helper.set_model_props(model, {"made by": "hand"})
    assert OnnxSession(model.SerializeToString()).metadata == {"made by": "hand"}
    assert OnnxSession(two_outputs).metadata == {}


def test_threads_that_spin_answer_the_same(two_outputs: bytes, images: FloatArray) -> None:
    waiting = OnnxSession(two_outputs, threads=2).run(images)
    spinning = OnnxSession(two_outputs, threads=2, spinning=True).run(images)
    assert len(waiting) == 2
    for one, other in zip(spinning, waiting, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("spinning", [False, True])
def test_threads_take_no_time_after_a_call(spinning: bool) -> None:
    """Where they spin on, those of a detector take the time of the embedder that runs next."""
    relu = network([helper.make_node("Relu", ["x"], ["y"])], shape=("n", 3, 8, 8))
    session = OnnxSession(relu, threads=4, spinning=spinning)
    images = np.zeros((5_000, 3, 8, 8), np.float32)
    session.run(images)
    spent = []
    for _ in range(20):
        session.run(images)
        start = time.process_time()
        time.sleep(0.02)
        spent.append(time.process_time() - start)
    assert statistics.median(spent) < 0.005, f"{sum(spent):.2f} of 0.4 seconds"
