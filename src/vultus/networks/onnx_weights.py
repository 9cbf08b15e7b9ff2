"""Reads the weights of an exported network back into its module.

Some public networks exist only as ONNX files, in which each batch norm is folded into its convolution:

    W' = W gamma / sigma      b' = beta - mu gamma / sigma

The convolutions of the file and of the module are matched in the order of computation. The folded weight goes
into the convolution; the folded bias into the batch norm, whose statistics become those of a new one and
whose gamma undoes its epsilon. So the network computes the same, and can be trained further.
"""

import math
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from onnx import numpy_helper
from torch import Tensor, nn

from vultus.errors import WeightsError


def load_onnx_convolutions(network: nn.Module, path: Path, *, example: Tensor) -> None:
    """Put the convolutions of an ONNX file into a network of the same architecture.

    Args:
        network: its convolutions and batch norms take the weights; it may have other layers without weights.
        path: the ONNX file; its convolutions must stand in the order in which `network` computes them.
        example: an input that `network` accepts; it is computed once, to see the order.

    Raises:
        WeightsError: not a readable ONNX file, or one with other convolutions.
    """
    stored = _read_convolutions(path)
    layers = convolutions_in_order(network, example)
    shapes = [tuple(weight.shape) for weight, _ in stored]
    expected = [tuple(convolution.weight.shape) for convolution, _ in layers]
    if shapes != expected:
        differing = [pair for pair in zip(shapes, expected, strict=False) if pair[0] != pair[1]]
        raise WeightsError(
            f"{path} must hold the {len(expected)} convolutions of this network, got {len(shapes)}; "
            f"first shape that differs (file, network): {differing[0] if differing else 'none'}"
        )
    with torch.no_grad():
        for (weight, bias), (convolution, norm) in zip(stored, layers, strict=True):
            convolution.weight.copy_(weight)
            if norm is not None:
                norm.reset_running_stats()
                norm.weight.fill_(math.sqrt(1 + norm.eps))
                norm.bias.copy_(bias)
            elif convolution.bias is not None:
                convolution.bias.copy_(bias)


def _read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias (zero where there is none) of each convolution, in the order of the graph."""
    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise WeightsError(f"{path} must be an ONNX file; {error}") from error
    constants = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = []
    for node in graph.node:
        if node.op_type == "Conv":
            if not all(name in constants for name in node.input[1:]):
                raise WeightsError(
                    f"convolution {node.name} in {path} computes its weights (is it quantised?)"
                )
            weight, *bias = (
                torch.from_numpy(numpy_helper.to_array(constants[name]).copy()) for name in node.input[1:]
            )
            convolutions.append((weight, bias[0] if bias else torch.zeros(len(weight))))
    return convolutions


def convolutions_in_order(
    network: nn.Module, example: Tensor
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Each convolution, with the batch norm computed right after it, if any."""
    order: list[nn.Conv2d | nn.BatchNorm2d] = []
    hooks = [
        module.register_forward_pre_hook(lambda layer, _: order.append(layer))
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(example)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    following = [*order[1:], None]
    return [
        (layer, after if isinstance(after, nn.BatchNorm2d) else None)
        for layer, after in zip(order, following, strict=True)
        if isinstance(layer, nn.Conv2d)
    ]
