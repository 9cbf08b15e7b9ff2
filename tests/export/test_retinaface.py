"""The ONNX file of RetinaFace: equal to PyTorch at any batch and size, and made from the public weights."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vultus.detect import RetinaFaceDetector
from vultus.errors import ExportError, InputError
from vultus.export.onnx import Shape, check_parity
from vultus.export.retinaface import (
    INPUT_RANGE,
    OUTPUTS,
    configuration,
    description_of,
    export_retinaface,
    main,
)
from vultus.networks.retinaface import RetinaFaceConfig, RetinaFaceNet, load_retinaface
from vultus.runtime.onnx import OnnxSession
from vultus.weights import store
from vultus.weights.catalog import entry


@cache
def shipped() -> bytes:
    return store.read("retinaface-mobilenet0.25")


@pytest.fixture(scope="module")
def network(shared: Path) -> RetinaFaceNet:
    return load_retinaface(shared / "weights" / "retinaface-mobilenet0.25.pth")


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 37, 301), (3, 3, 131, 97), (16, 3, 40, 40)])
def test_the_shipped_file_answers_as_pytorch_does(shape: Shape, network: RetinaFaceNet) -> None:
    batch = np.random.default_rng(3).uniform(*INPUT_RANGE, shape).astype(np.float32)
    with torch.no_grad():
        expected = [answer.numpy() for answer in network(torch.from_numpy(batch))]
    actual = OnnxSession(shipped(), threads=1).run(batch)
    assert [answer.shape[-1] for answer in actual] == [2, 4, 10]
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_file_says_what_the_catalogue_says_and_nothing_about_where_it_was_made() -> None:
    known = entry("retinaface-mobilenet0.25")
    assert description_of(RetinaFaceConfig()) == (known.preprocessing, known.decoding)
    assert not [word for word in (b"site-packages", b".py", b"/home", b"/work") if word in shipped()]
    model = onnx.load_model_from_string(shipped())
    onnx.checker.check_model(model, full_check=True)
    assert [each.name for each in model.graph.input] == ["images"]
    assert tuple(each.name for each in model.graph.output) == OUTPUTS
    free = [axis.dim_param for axis in model.graph.input[0].type.tensor_type.shape.dim]
    assert free == ["batch", "", "height", "width"]


def test_the_command_makes_the_shipped_file(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        main(shared / "weights" / "retinaface-mobilenet0.25.pth", tmp_path / "made.onnx")
    made, known = tmp_path / "made.onnx", entry("retinaface-mobilenet0.25").files[0]
    fresh, stored = (onnx.load_model_from_string(data).graph for data in (made.read_bytes(), shipped()))
    assert len(fresh.initializer) == len(stored.initializer) > 50
    for one, other in zip(fresh.initializer, stored.initializer, strict=True):
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(one), onnx.numpy_helper.to_array(other))
    printed = capsys.readouterr().out
    assert f"n_bytes={made.stat().st_size}" in printed
    assert known.n_bytes == len(shipped())


def test_a_network_trained_on_rgb_says_so_and_is_fed_rgb(tmp_path: Path) -> None:
    config = configuration("mobilenet0.25", "RGB")
    assert (config.channel_order, config.channel_means) == ("RGB", (123.0, 117.0, 104.0))
    torch.manual_seed(0)
    network = RetinaFaceNet(config).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (tmp_path / "ours.onnx").write_bytes(export_retinaface(network))
    detector = RetinaFaceDetector.load(tmp_path / "ours.onnx", threads=1, min_score=0.01)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert len(detector.detect(image)) > 0


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown backbone 'vgg'; choose one of mobilenet0\.25"):
        configuration("vgg", "BGR")


def test_a_graph_that_disagrees_with_pytorch_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(
        ExportError, match=r"class_logits of RetinaFaceNet for an input of shape \(1, 3, 9, 9\)"
    ):
        check_parity(RetinaFaceNet().eval(), shipped(), shapes=[(1, 3, 9, 9)], output_names=OUTPUTS)
