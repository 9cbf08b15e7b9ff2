"""OpenVINO behind the same promise: what ONNX Runtime answers, from several threads, from its folder."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import InputError, ShapeError, WeightsError
from vultus.interfaces import Session
from vultus.runtime import OnnxSession, OpenVinoSession
from vultus.runtime.compiled_files import read_compiled, write_compiled
from vultus.types import FloatArray

pytest.importorskip("openvino", reason="needs the extra openvino")


def network(
    nodes: Sequence[onnx.NodeProto],
    *,
    weights: Sequence[onnx.TensorProto] = (),
    shape: Sequence[str | int] = ("n", 3, 8, 8),
    outputs: Sequence[str] = ("y",),
) -> bytes:
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    images = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    graph = helper.make_graph(list(nodes), "test", images, told, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"made": "here"})
    data: bytes = model.SerializeToString()
    return data


KERNEL = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def two_outputs() -> bytes:
    """y: a convolution of x; z: the mean of y over height and width."""
    return network(
        [
            helper.make_node("Conv", ["x", "kernel"], ["y"]),
            helper.make_node("ReduceMean", ["y"], ["z"], axes=[2, 3], keepdims=0),
        ],
        weights=[numpy_helper.from_array(KERNEL, "kernel")],
        outputs=("y", "z"),
    )


@pytest.fixture(scope="module")
def images() -> FloatArray:
    return np.random.default_rng(1).normal(size=(11, 3, 8, 8)).astype(np.float32)


def test_a_session_keeps_the_promise(two_outputs: bytes) -> None:
    assert isinstance(OpenVinoSession(two_outputs), Session)


def test_both_runtimes_answer_alike_in_the_graphs_order(two_outputs: bytes, images: FloatArray) -> None:
    expected = OnnxSession(two_outputs).run(images)
    answers = OpenVinoSession(two_outputs).run(images)
    assert len(answers) == 2
    for ours, theirs in zip(answers, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_an_answer_stays_when_the_next_call_comes(two_outputs: bytes, images: FloatArray) -> None:
    session = OpenVinoSession(two_outputs)
    first = session.run(images)[0]
    kept = first.copy()
    session.run(images * 2)
    np.testing.assert_array_equal(first, kept)


def test_the_input_stays_as_it_was(two_outputs: bytes, images: FloatArray) -> None:
    given = images.copy()
    OpenVinoSession(two_outputs).run(given)
    np.testing.assert_array_equal(given, images)


def test_views_of_an_array_are_read_in_their_own_order(two_outputs: bytes, images: FloatArray) -> None:
    session = OpenVinoSession(two_outputs)
    mirrored = images[::-1, :, :, ::-1]
    np.testing.assert_array_equal(session.run(mirrored)[0], session.run(mirrored.copy())[0])


@pytest.mark.parametrize("max_batch", [1, 2, 5, 11, 100])
def test_pieces_give_the_same_as_the_whole(two_outputs: bytes, images: FloatArray, max_batch: int) -> None:
    whole = OpenVinoSession(two_outputs).run(images)
    pieces = OpenVinoSession(two_outputs, max_batch=max_batch).run(images)
    assert len(whole) == 2
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_an_empty_batch_has_empty_outputs(two_outputs: bytes) -> None:
    y, z = OpenVinoSession(two_outputs).run(np.zeros((0, 3, 8, 8), np.float32))
    assert y.shape == (0, 4, 6, 6)
    assert z.shape == (0, 4)


def test_a_graph_of_one_row_is_run_row_by_row(images: FloatArray) -> None:
    kernel = numpy_helper.from_array(KERNEL, "kernel")
    one_row = network(
        [helper.make_node("Conv", ["x", "kernel"], ["y"])], weights=[kernel], shape=(1, 3, 8, 8)
    )
    assert OpenVinoSession(one_row).run(images)[0].shape == (11, 4, 6, 6)


def test_sixteen_threads_get_what_one_gets(two_outputs: bytes, images: FloatArray) -> None:
    session = OpenVinoSession(two_outputs, threads=1)
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
    ],
    ids=["channels", "axes", "width", "dtype"],
)
def test_a_batch_that_does_not_fit_is_refused_with_both_shapes(two_outputs: bytes, batch: FloatArray) -> None:
    with pytest.raises(ShapeError, match=r"takes an input of shape \(any, 3, 8, 8\) float32, got "):
        OpenVinoSession(two_outputs).run(batch)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the given 7 bytes are no ONNX graph"):
        OpenVinoSession(b"rubbish")
    with pytest.raises(WeightsError, match="cannot read"):
        OpenVinoSession(tmp_path / "missing.onnx")


def test_two_inputs_are_refused() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("a", "b", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "two", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(WeightsError, match="one input was expected, this graph has 2"):
        OpenVinoSession(model.SerializeToString())


def test_counts_below_one_are_refused(two_outputs: bytes) -> None:
    with pytest.raises(InputError, match="threads must be at least 1"):
        OpenVinoSession(two_outputs, threads=0)
    with pytest.raises(InputError, match="max_batch must be at least 1"):
        OpenVinoSession(two_outputs, max_batch=0)


def test_a_graph_says_about_itself_what_was_written_into_it(two_outputs: bytes) -> None:
    assert dict(OpenVinoSession(two_outputs).metadata) == {"made": "here"}


def test_int8_weights_run_as_they_are(images: FloatArray) -> None:
    quantised = np.random.default_rng(2).integers(-127, 128, KERNEL.shape, dtype=np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "zero"], ["x_r"]),
        helper.make_node("DequantizeLinear", ["k", "k_scale", "zero"], ["kernel"]),
        helper.make_node("Conv", ["x_r", "kernel"], ["y"]),
    ]
    weights = [
        numpy_helper.from_array(quantised, "k"),
        numpy_helper.from_array(np.array(0.02, np.float32), "k_scale"),
        numpy_helper.from_array(np.array(0.03, np.float32), "x_scale"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    model = network(nodes, weights=weights)
    expected = OnnxSession(model).run(images)[0]
    np.testing.assert_allclose(OpenVinoSession(model).run(images)[0], expected, atol=1e-4)


def test_a_network_compiled_once_answers_the_same_from_its_folder(
    two_outputs: bytes, images: FloatArray, tmp_path: Path
) -> None:
    fresh = OpenVinoSession(two_outputs, compiled=tmp_path / "kept").run(images)
    (file,) = (tmp_path / "kept").iterdir()
    written = file.stat().st_mtime_ns
    again = OpenVinoSession(two_outputs, compiled=tmp_path / "kept").run(images)
    assert file.stat().st_mtime_ns == written
    for one, other in zip(fresh, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_settings_and_other_weights_are_other_files(two_outputs: bytes, tmp_path: Path) -> None:
    OpenVinoSession(two_outputs, compiled=tmp_path)
    OpenVinoSession(two_outputs, compiled=tmp_path, precision="bf16")
    OpenVinoSession(two_outputs.replace(b"here", b"away"), compiled=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_file_counts_as_none(two_outputs: bytes, images: FloatArray, tmp_path: Path) -> None:
    expected = OpenVinoSession(two_outputs, compiled=tmp_path).run(images)[0]
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    weights_at = data.find(KERNEL.tobytes()[:16])
    data[weights_at if weights_at > 0 else len(data) // 2] ^= 0x40
    file.write_bytes(bytes(data))
    np.testing.assert_array_equal(OpenVinoSession(two_outputs, compiled=tmp_path).run(images)[0], expected)
    assert read_compiled(file) is not None  # written anew


def test_a_file_of_another_build_is_compiled_anew(
    two_outputs: bytes, images: FloatArray, tmp_path: Path
) -> None:
    expected = OpenVinoSession(two_outputs, compiled=tmp_path).run(images)[0]
    (file,) = tmp_path.iterdir()
    write_compiled(file, b"what another build of OpenVINO wrote")
    np.testing.assert_array_equal(OpenVinoSession(two_outputs, compiled=tmp_path).run(images)[0], expected)


def test_a_folder_that_cannot_be_written_is_done_without(
    two_outputs: bytes, images: FloatArray, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    assert len(OpenVinoSession(two_outputs, compiled=blocked / "below").run(images)) == 2


def test_compiled_files_come_back_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.openvino"
    assert read_compiled(path) is None
    write_compiled(path, b"compiled")
    assert read_compiled(path) == b"compiled"
    path.write_bytes(path.read_bytes()[:-1])
    assert read_compiled(path) is None
    assert [each.name for each in path.parent.iterdir()] == ["one.openvino"]


def test_ever_other_sizes_of_images_do_not_fill_the_memory() -> None:
    """In a process of its own, as memory that other tests let go would hide what this one takes."""
    told = subprocess.run(
        [sys.executable, "-c", GROWTH], check=True, capture_output=True, text=True, timeout=300
    ).stdout
    early, late = (float(each) for each in told.split())
    assert late - early < 70, (
        "megabytes for 100 sizes: 19 were seen, and 150 with what OpenVINO keeps by itself"
    )


GROWTH = """
import numpy as np
from vultus.benchmark.fresh import resident_mb
from vultus.detect import load_detector

detector = load_detector("retinaface", runtime="openvino-f32", threads=1)
for number in range(200):
    if number == 100:
        print(resident_mb())
    detector.detect(np.zeros((480 + number, 480 - number, 3), np.uint8))
print(resident_mb())
"""
