"""CompactResNet: its layers as documented, counted by hand."""

from itertools import pairwise

import pytest
import torch

from vultus.errors import InputError, ShapeError
from vultus.networks.compact_resnet import CompactResNet
from vultus.networks.measure import parameter_count


def on_meta(**options: object) -> CompactResNet:
    with torch.device("meta"):
        return CompactResNet(**options).eval()  # type: ignore[arg-type]  # the tests vary every option


def conv_bn(before: int, after: int, kernel: int) -> int:
    return before * after * kernel**2 + 2 * after


def test_its_parameters_are_those_of_the_table() -> None:
    widths = (32, 48, 96, 192)
    stem = conv_bn(3, 32, 3)
    stages = sum(
        conv_bn(before, after, 3) + 2 * 2 * conv_bn(after, after, 3) for before, after in pairwise(widths)
    )
    head = conv_bn(192, 512, 1) + (512 * 49 + 2 * 512) + 512 * 128 + 2 * 128
    assert parameter_count(on_meta()) == stem + stages + head == 2_158_528


def test_only_the_last_convolution_is_depthwise() -> None:
    network = on_meta()
    grouped = [module for module in network.modules() if getattr(module, "groups", 1) > 1]
    assert grouped == [network.gdconv[0]]


def test_each_stage_halves_the_map() -> None:
    network = on_meta()
    maps = network.stem(torch.zeros(1, 3, 112, 112, device="meta"))
    assert maps.shape == (1, 32, 56, 56)
    for stage, expected in zip(network.stages, [(48, 28, 28), (96, 14, 14), (192, 7, 7)], strict=True):
        maps = stage(maps)
        assert maps.shape == (1, *expected)


def test_a_block_without_weights_is_the_identity_of_what_is_positive() -> None:
    network = CompactResNet(channels=(4, 4, 4), blocks=(1, 0, 0)).eval()
    block = network.stages[0][1]  # type: ignore[index]  # a Sequential
    torch.nn.init.zeros_(block.second[0].weight)
    maps = torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(block(maps), maps)


def test_another_crop_size_is_refused_unless_it_was_built_for_it() -> None:
    with pytest.raises(ShapeError, match=r"\(112, 112\)"):
        on_meta()(torch.zeros(1, 3, 96, 96, device="meta"))
    assert on_meta(size_hw=(96, 96))(torch.zeros(1, 3, 96, 96, device="meta")).shape == (1, 128)


def test_it_has_three_stages() -> None:
    with pytest.raises(InputError, match="three stages"):
        CompactResNet(channels=(48, 96), blocks=(2, 2))
