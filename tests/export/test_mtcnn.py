"""The ONNX files of MTCNN: equal to PyTorch at any batch and size, and made from the public weights."""

import io
import warnings
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from vultus.errors import ExportError
from vultus.export.mtcnn import OUTPUTS, SHAPES, export_mtcnn
from vultus.export.onnx import Shape, check_parity, forget_origin
from vultus.networks.mtcnn import PNet, load_public_weights
from vultus.runtime.onnx import OnnxSession
from vultus.weights import store

NETWORKS = dict(zip(SHAPES, load_public_weights(), strict=True))
every_file = pytest.mark.parametrize("name", SHAPES)


@cache
def made() -> dict[str, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        return export_mtcnn()


def weights(data: bytes) -> list[NDArray[np.float32]]:
    graph = onnx.load_model_from_string(data).graph
    return [onnx.numpy_helper.to_array(each) for each in graph.initializer]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("mtcnn_pnet.onnx", (batch, 3, *size)) for batch in (1, 3, 16) for size in ((12, 12), (25, 38))),
        ("mtcnn_pnet.onnx", (1, 3, 301, 417)),
        *(
            (f"mtcnn_{name}net.onnx", (batch, 3, px, px))
            for batch in (1, 3, 16)
            for name, px in (("r", 24), ("o", 48))
        ),
    ],
)
def test_the_shipped_file_answers_as_pytorch_does(name: str, shape: Shape) -> None:
    batch = np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)
    with torch.no_grad():
        expected = [answer.numpy() for answer in NETWORKS[name](torch.from_numpy(batch))]
    actual = OnnxSession(store.read("mtcnn", name)).run(batch)
    assert len(expected) >= 2
    assert [answer.shape for answer in actual] == [answer.shape for answer in expected]
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-5)


@every_file
def test_the_command_makes_the_shipped_file(name: str) -> None:
    fresh, shipped = weights(made()[name]), weights(store.read("mtcnn", name))
    assert len(fresh) > 5
    assert len(fresh) == len(shipped)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(fresh, shipped, strict=True))


@every_file
def test_the_file_tells_its_layout_and_licence_and_nothing_about_where_it_was_made(name: str) -> None:
    data = store.read("mtcnn", name)
    facts = {each.key: each.value for each in onnx.load_model_from_string(data).metadata_props}
    layout = "fully convolutional" if "pnet" in name else "column_major"
    assert (facts["layout"], facts["licence"]) == (layout, "MIT")
    assert facts["input"] == "RGB, (x - 127.5) / 128"
    assert not [word for word in (b"site-packages", b".py", b"/home", b"/work") if word in data]


@every_file
def test_the_file_is_a_valid_graph_without_slow_prelu(name: str) -> None:
    model = onnx.load_model_from_string(store.read("mtcnn", name))
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") > 5
    assert kinds.count("PRelu") == (0 if "pnet" in name else 1)  # only the one behind the dense layer
    assert [each.name for each in model.graph.input] == ["images"]


def test_a_graph_that_disagrees_with_pytorch_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(ExportError, match=r"logits of PNet for an input of shape \(1, 3, 12, 12\)"):
        check_parity(
            PNet(), store.read("mtcnn", "mtcnn_pnet.onnx"), shapes=[(1, 3, 12, 12)], output_names=OUTPUTS
        )


def test_notes_of_the_exporter_are_dropped() -> None:
    model = onnx.load(io.BytesIO(store.read("mtcnn", "mtcnn_pnet.onnx")))
    model.graph.node[0].doc_string = "made by somebody, in /somewhere"
    model.graph.node[0].metadata_props.add(key="trace", value="/somewhere.py")
    forget_origin(model)
    assert b"somewhere" not in model.SerializeToString()
