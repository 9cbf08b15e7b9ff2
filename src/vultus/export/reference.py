"""What an exported graph has to agree with: the network in PyTorch, or the graph that it was made from."""

from collections.abc import Sequence
from typing import Protocol

import onnx
import torch
from torch import nn

from vultus.export.layers import probe, watch
from vultus.networks.torch_session import TorchSession
from vultus.runtime.onnx import OnnxSession
from vultus.types import FloatArray


class Reference(Protocol):
    """A network that is known to be right."""

    @property
    def name(self) -> str:
        """What it is, for messages: "PyTorch"."""
        ...

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        """Its answers to a batch."""
        ...

    def layers(self, batch: FloatArray) -> dict[str, FloatArray]:
        """What its layers answer on the way, by their names."""
        ...


class TorchReference:
    """A PyTorch network in evaluation mode, in float32 on the CPU."""

    name = "PyTorch"

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval()
        self._session = TorchSession(network)

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        """Its answers to a batch."""
        with torch.no_grad():
            return self._session.run(batch)

    def layers(self, batch: FloatArray) -> dict[str, FloatArray]:
        """What its layers answer on the way, by their paths."""
        return watch(self._network, batch)


class OnnxReference:
    """A float32 graph whose descendants are judged."""

    name = "the float32 graph"

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._session = OnnxSession(model)

    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        """Its answers to a batch."""
        return self._session.run(batch)

    def layers(self, batch: FloatArray) -> dict[str, FloatArray]:
        """All values on the way."""
        graph = onnx.load_model_from_string(self._model).graph
        return probe(self._model, [name for node in graph.node for name in node.output], batch)
