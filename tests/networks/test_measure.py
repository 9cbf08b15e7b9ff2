"""Costs against counts by hand."""

import pytest
from torch import nn

from vultus.networks.measure import cost, cpu_ms, deviation, example_images, parameter_count
from vultus.networks.variant import Variant


def small_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


SMALL = Variant(small_network, (32, 48))


def test_parameters_and_multiply_adds_are_those_counted_by_hand() -> None:
    own = cost(SMALL)
    assert own.params_m * 1e6 == 8 * 3 * 9 + 2 * 8 + 8 + (8 * 9 + 8) + (8 * 5 + 5)
    cells = 16 * 24
    assert own.gflops * 1e9 == pytest.approx(cells * (8 * 3 * 9) + cells * (8 * 9) + 8 * 5)


def test_frozen_parameters_count_too() -> None:
    network = small_network()
    before = parameter_count(network)
    for parameter in network.parameters():
        parameter.requires_grad = False
    assert parameter_count(network) == before > 0


def test_a_network_of_two_images_gets_two_batches() -> None:
    pair = Variant(small_network, (8, 12), image_count=2)
    assert [tuple(images.shape) for images in example_images(pair, batch=3)] == [(3, 3, 8, 12)] * 2


def test_a_call_takes_time_and_leaves_no_gradients_behind() -> None:
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(small_network())
        return built[-1]

    times_ms = cpu_ms(Variant(build, (32, 32)), batches=(2, 1), repeats=3)
    assert len(times_ms) == 2
    assert all(0 < ms < 10_000 for ms in times_ms)
    assert not built[0].training
    assert all(parameter.grad is None for parameter in built[0].parameters())


def test_counting_computes_nothing() -> None:
    huge = Variant(lambda: nn.Conv2d(3, 1024, 7), (20_000, 20_000))  # 1.6 TB of output, if it were computed
    assert cost(huge).gflops == pytest.approx(19_994**2 * 1024 * 3 * 49 / 1e9)


def test_a_deviation_is_relative_to_the_published_figure() -> None:
    assert deviation(1.02, 1.0) == pytest.approx(0.02)
    assert deviation(0.9, 1.0) == pytest.approx(-0.1)
    assert deviation(1.0, None) is None
