"""Who runs a network, and why: what "auto" takes, what rules it out, and when bfloat16 is allowed."""

from pathlib import Path

import numpy as np
import pytest

from vultus.embed import load_embedder
from vultus.embed.self_check import reference_face
from vultus.errors import InputError
from vultus.runtime import OnnxSession, OpenVinoSession, choose_runtime, open_session, opening, openvino
from vultus.runtime.opening import REPAID_AFTER_IMAGES, choose_precision
from vultus.weights import store
from vultus.weights.catalog import CATALOG, entry

CUDA = ("CUDAExecutionProvider",)
needs_openvino = pytest.mark.skipif(not openvino.is_installed(), reason="needs the extra openvino")


@pytest.fixture(scope="module")
def model() -> bytes:
    return store.read(entry("mtcnn"), "mtcnn_onet.onnx")


@needs_openvino
def test_auto_takes_openvino_where_the_work_has_no_known_end() -> None:
    choice = choose_runtime("auto")
    assert choice.runtime == "openvino"
    assert "is installed" in choice.reason


@needs_openvino
@pytest.mark.parametrize(
    ("images", "expected"),
    [(1, "onnx"), (REPAID_AFTER_IMAGES, "onnx"), (REPAID_AFTER_IMAGES + 1, "openvino")],
)
def test_auto_takes_openvino_once_enough_images_follow(images: int, expected: str) -> None:
    choice = choose_runtime("auto", images=images)
    assert choice.runtime == expected
    assert choice.reason.startswith(f"{images} images are too few") == (expected == "onnx")


def test_another_provider_belongs_to_onnx_runtime() -> None:
    choice = choose_runtime("auto", providers=CUDA)
    assert (choice.runtime, choice.reason) == ("onnx", "ONNX Runtime has CUDAExecutionProvider")
    with pytest.raises(InputError, match="OpenVINO does not run on CUDAExecutionProvider"):
        choose_runtime("openvino", providers=CUDA)


@pytest.mark.parametrize("asked", ["onnx", "openvino", "openvino-f32"])
def test_what_was_asked_for_by_name_stays(asked: str) -> None:
    assert choose_runtime(asked, images=1).runtime == asked  # type: ignore[arg-type]  # from a list of text


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown runtime 'tflite'; there are auto, onnx, openvino"):
        choose_runtime("tflite")  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    ("units", "precision"),
    [
        (("avx2", "avx512f", "amx_bf16"), "bf16"),
        (("avx2", "avx512f", "avx512_bf16"), "bf16"),
        (("avx2", "avx512f"), "f32"),
    ],
)
def test_weights_run_in_bfloat16_only_if_they_passed_and_the_processor_gains_by_it(
    units: tuple[str, ...], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "processor", lambda: ("a processor", units))
    assert choose_precision("openvino", is_bf16_faithful=True) == precision
    assert choose_precision("openvino", is_bf16_faithful=False) == "f32"
    assert choose_precision("openvino-f32", is_bf16_faithful=True) == "f32"


def test_onnx_runtime_is_what_runs_by_default(model: bytes) -> None:
    assert isinstance(open_session(model), OnnxSession)


@needs_openvino
def test_a_session_is_opened_as_chosen(model: bytes, tmp_path: Path) -> None:
    session = open_session(model, runtime="openvino-f32", is_bf16_faithful=True, compiled=tmp_path)
    assert isinstance(session, OpenVinoSession)
    assert session.precision == "f32"
    assert len(list(tmp_path.iterdir())) == 1
    batch = np.random.default_rng(0).uniform(-1, 1, (5, 3, 48, 48)).astype(np.float32)
    expected = open_session(model).run(batch)
    assert len(expected) == 3
    for ours, theirs in zip(session.run(batch), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_only_weights_whose_figures_are_told_may_run_in_bfloat16() -> None:
    passed = [weights for weights in CATALOG.values() if weights.is_bf16_faithful]
    assert {weights.name for weights in passed} == {
        "compact-resnet-vultus",
        "compact-resnet-vultus-int8",
        "retinaface-mobilenet0.25",
        "sface-int8bq",
    }
    assert all(weights.bf16 and "benchmarks/fidelity.py" in weights.bf16.figures for weights in passed)
    assert not entry("mtcnn").is_bf16_faithful  # nobody has measured


@needs_openvino
def test_bfloat16_stays_within_the_gate_of_the_default_embedder() -> None:
    face = reference_face()[np.newaxis]
    fp32, gated = (load_embedder("sface-int8bq", runtime=each) for each in ("onnx", "openvino"))
    assert float(np.sum(fp32.embed(face) * gated.embed(face))) > 0.999
    assert fp32.contract == gated.contract
