"""Pretended int8 against the real one, by hand and through ONNX Runtime."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from vultus.export.crops import default_crops
from vultus.export.fake_quant import FakeActivation, FakeWeight, plain_state, pretend_int8
from vultus.export.layers import cosines
from vultus.export.quantize import Int8, calibrate, name_nodes, with_ranges
from vultus.export.subjects import Subject
from vultus.runtime import OnnxSession


def pretended(toy: Subject) -> nn.Module:
    network = copy.deepcopy(toy.network).eval()
    pretend_int8(network, torch.zeros(2, 3, 32, 32))
    return network


def test_a_weight_keeps_255_levels_of_each_folded_channel() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(2).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, -0.5]))
        assert norm.running_var is not None
        norm.running_var.copy_(torch.tensor([4.0, 0.25]))
    weight = torch.randn(2, 3, 3, 3)
    fold = [2.0 / (4 + norm.eps) ** 0.5, -0.5 / (0.25 + norm.eps) ** 0.5]
    expected = np.empty(weight.shape)
    for channel in range(2):
        folded = weight[channel].numpy().astype(np.float64) * fold[channel]
        scale = np.abs(folded).max() / 127
        expected[channel] = np.round(folded / scale) * scale / fold[channel]
    np.testing.assert_allclose(FakeWeight(norm)(weight).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_an_activation_keeps_256_levels_between_its_usual_extremes() -> None:
    fake = FakeActivation()
    values = torch.tensor([-1.0, 0.0, 0.013, 4.1])
    assert torch.equal(fake.eval()(values), values)  # nothing is known yet
    fake.train()(values)
    scale = 5.1 / 255
    expected = np.round(values.numpy() / scale) * scale
    np.testing.assert_allclose(fake.eval()(values).numpy(), expected, atol=1e-5)
    assert fake(torch.tensor([100.0])).item() == pytest.approx(4.1, abs=scale)  # clipped
    fake.train()(torch.tensor([0.0, 8.2]))
    assert fake.high.item() == pytest.approx(4.1 + 0.05 * 4.1)


def test_a_range_that_leaves_zero_out_is_widened_to_it() -> None:
    fake = FakeActivation()
    fake.train()(torch.tensor([3.0, 5.0]))
    assert (fake.low.item(), fake.high.item()) == (0, 5)


def test_the_gradient_passes_the_rounding_and_stops_at_the_clipping() -> None:
    fake = FakeActivation()
    fake.train()(torch.tensor([0.0, 1.0]))
    values = torch.tensor([0.5, 7.0], requires_grad=True)
    fake.eval()(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 0]


def test_pretended_int8_is_close_to_the_real_one(toy: Subject, graph: bytes) -> None:
    """Off from float by the same order, where the graph's answer and its rewritten PReLU stay in float."""
    batch = toy.feed(default_crops((32, 32)))
    how = Int8(method="minmax")
    named = name_nodes(graph)
    ranges = calibrate(named, [batch], how=how)
    kept = ["stem.2/mirrored", "stem.2/scaled", "embedding/maps", "embedding"]
    (real,) = OnnxSession(with_ranges(named, ranges, how=how, kept=kept)).run(batch)
    network = pretended(toy)
    with torch.no_grad():
        truth = toy.network(torch.from_numpy(batch)).numpy()
        for part in network.modules():
            if isinstance(part, FakeActivation):
                part.train()
        network(torch.from_numpy(batch))
        answer = network.eval()(torch.from_numpy(batch)).numpy()
    errors = [1 - cosines(each, truth).mean() for each in (real, answer)]
    assert errors[0] > 1e-8
    assert 0.1 < errors[1] / errors[0] < 10


def test_every_layer_with_weights_is_pretended_and_each_has_its_norm(toy: Subject) -> None:
    network = pretended(toy)
    layers = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(layers) == 4
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)


def test_the_plain_state_is_that_of_the_network_before(toy: Subject) -> None:
    state = plain_state(pretended(toy).state_dict())
    expected = toy.network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)
