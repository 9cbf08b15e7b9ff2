"""Networks to be made smaller, read by name."""

import onnx
import pytest
from onnx import TensorProto

from vultus.errors import WeightsError
from vultus.export.files import read_file


@pytest.mark.parametrize("name", ["compact-resnet-vultus", "fast"])
def test_weights_stored_in_half_are_read_as_float32(name: str) -> None:
    file = read_file(name)
    assert file.facts is not None
    assert file.facts.name == "compact-resnet-vultus"
    graph = onnx.load_model_from_string(file.model).graph
    assert TensorProto.FLOAT16 not in {tensor.data_type for tensor in graph.initializer}
    assert "Cast" not in {node.op_type for node in graph.node}


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(WeightsError, match="'faste' is no name in the catalogue"):
        read_file("faste")
