"""A torch module as a `Session`: validation during training runs through the very code that ships."""

from collections.abc import Sequence

import torch
from torch import nn

from vultus.types import FloatArray


class TorchSession:
    """Runs a network in evaluation mode, without gradients, on its own device.

    Args:
        network: answers one tensor or several to an input batch. After each run, all its parts are in the
            mode that they were in.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @torch.no_grad()
    def run(self, batch: FloatArray) -> Sequence[FloatArray]:
        """The network's outputs, in its order."""
        modes = [(part, part.training) for part in self._network.modules()]
        device = next(self._network.parameters()).device
        try:
            outputs = self._network.eval()(torch.tensor(batch, device=device))
        finally:
            for part, mode in modes:
                part.training = mode
        each = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        return [output.float().cpu().numpy() for output in each]
