"""A wide SFace in a narrower one: what is solved for is nearer than what was dropped."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.export.conftest import trained_looking
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.export.narrow import (
    Narrowed,
    _depthwise,
    _pointwise,
    _solution,
    narrow,
    sensitivities,
    widths,
)
from vultus.networks.sface import SFace

WIDE = (4, 8, 8, 8, 8, 8, 12, 12, 12, 12, 12, 12, 16, 16)
SLIM = (4, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8)


def faces(count: int) -> Tensor:
    """Smooth pictures: noise of 7 x 7 positions, enlarged."""
    chance = torch.Generator().manual_seed(count)
    made: Tensor = F.interpolate(torch.randn(count, 3, 7, 7, generator=chance), size=112, mode="bilinear")
    return made


def layers_of(network: SFace, block: int) -> Any:
    """Depthwise, batch norm, activation, pointwise, batch norm, activation."""
    return network.blocks[block]


def wide() -> SFace:
    torch.manual_seed(0)
    network = SFace(channels=WIDE, embedding_size=16)
    trained_looking(network)
    with torch.no_grad():  # embeddings as far apart as trained ones: their mean is none of them
        norm: Any = network.bn
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.running_mean += network(faces(32)).mean(0) / scale
    return network


@pytest.fixture(scope="module")
def narrowed() -> Narrowed:
    torch.manual_seed(1)
    slim = SFace(channels=SLIM, embedding_size=16, stem_stride=2, activation="relu")
    return narrow(wide(), slim, faces(64), steps=2)


def test_the_form_is_that_of_the_narrow_network(narrowed: Narrowed) -> None:
    assert list(narrowed.cosines) == ["channels dropped", "stem learnt", "layers solved"]
    assert widths(narrowed.network) == list(SLIM)
    assert not narrowed.network.training
    assert narrowed.after.gflops < narrowed.before.gflops


def test_what_another_channel_tells_is_made_up_for() -> None:
    doubled = wide()
    # The last two channels behind a block say the same, also behind the filter that comes next.
    both = [*layers_of(doubled, 6)[3:], *layers_of(doubled, 7)[:3]]
    with torch.no_grad():
        for tensor in (one for layer in both for one in (*layer.parameters(), *layer.buffers())):
            if tensor.ndim:
                tensor[-1] = tensor[-2]
        layers_of(doubled, 7)[3].weight[:, -2:] *= 4
    channels = [*WIDE]
    channels[7] -= 1
    slim = SFace(channels=channels, embedding_size=16)
    for few, many in zip(slim.modules(), doubled.modules(), strict=True):
        if isinstance(few, nn.PReLU):
            few.load_state_dict({"weight": many.state_dict()["weight"][: few.num_parameters]})
    cosines = narrow(doubled, slim, faces(64), steps=2).cosines
    assert cosines["channels dropped"] < 0.8
    assert cosines["layers solved"] > 0.95


def test_the_cosine_is_that_of_the_faces_kept_aside(narrowed: Narrowed) -> None:
    with torch.no_grad():
        own, theirs = narrowed.network(faces(64)[::8]), wide()(faces(64)[::8])
    assert narrowed.cosines["layers solved"] == pytest.approx(float(F.cosine_similarity(own, theirs).mean()))


def test_the_same_width_and_form_is_the_same_network() -> None:
    same = SFace(channels=WIDE, embedding_size=16, activation="prelu")
    for few, many in zip(same.modules(), wide().modules(), strict=True):
        if isinstance(few, nn.PReLU):
            few.load_state_dict(many.state_dict())
    filled = narrow(wide(), same, faces(64), steps=2)
    assert filled.cosines["channels dropped"] == pytest.approx(1, abs=1e-5)


def test_the_wide_network_is_left_as_it_was() -> None:
    given, before = wide(), wide().state_dict()
    slim = SFace(channels=SLIM, embedding_size=16, stem_stride=2, activation="relu")
    told: list[int] = []
    narrow(given, slim, faces(9), steps=2, on_progress=told.append)
    assert sum(told) == 2 + 11
    for name, tensor in given.state_dict().items():
        torch.testing.assert_close(tensor, before[name])
    assert all(one.requires_grad and one.grad is None for one in given.parameters())


def test_a_channel_that_nothing_reads_moves_nothing() -> None:
    network = wide().requires_grad_(False)
    layers_of(network, 5)[0].weight[3] = 0  # nobody sees the fourth channel behind block 4
    network.map_bn.weight[7] = 0
    scores = sensitivities(network, faces(8), chance=torch.Generator().manual_seed(0))
    assert [len(score) for score in scores] == list(WIDE)
    assert scores[5][3] == 0
    assert scores[-1][7] == 0
    assert (scores[5] > 0).sum() == len(scores[5]) - 1


@pytest.mark.parametrize("stride", [1, 2])
def test_least_squares_find_the_weights_that_made_the_answers(stride: int) -> None:
    torch.manual_seed(0)
    maps = torch.randn(6, 5, 9, 9)
    depthwise = nn.Conv2d(5, 5, 3, stride, 1, groups=5)
    pointwise = nn.Conv2d(5, 4, 1)
    with torch.no_grad():
        found = _solution(*_depthwise(maps, depthwise(maps), stride))
        torch.testing.assert_close(found[:, :9, 0], depthwise.weight.flatten(1), atol=1e-3, rtol=1e-2)
        torch.testing.assert_close(found[:, 9, 0], depthwise.bias, atol=1e-3, rtol=1e-2)
        found = _solution(*_pointwise(maps, pointwise(maps), 1))
        torch.testing.assert_close(found[:-1].T, pointwise.weight.flatten(1), atol=1e-3, rtol=1e-2)
        torch.testing.assert_close(found[-1], pointwise.bias, atol=1e-3, rtol=1e-2)


def test_a_dead_channel_gets_weights_that_are_numbers() -> None:
    maps = torch.zeros(2, 3, 5, 5)
    found = _solution(*_depthwise(maps, torch.ones(2, 3, 5, 5), 1))
    assert torch.isfinite(found).all()


def test_what_does_not_fit_is_refused() -> None:
    wider = SFace(channels=(*WIDE[:-1], 99), embedding_size=16)
    with pytest.raises(InputError, match="no layer may become wider"):
        narrow(wide(), wider, faces(8), steps=2)
    with pytest.raises(InputError, match="8 faces or more"):
        narrow(wide(), wide(), faces(7), steps=2)
    longer = SFace(channels=SLIM, embedding_size=32)
    with pytest.raises(InputError, match="embeddings keep their size"):
        narrow(wide(), longer, faces(8), steps=2)
