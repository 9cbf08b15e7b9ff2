"""P-Net, R-Net and O-Net: the classic names, the public weights, and the layout that goes with them."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vultus.networks.mtcnn import ChannelPReLU, LayoutFlatten, ONet, PNet, RNet, load_public_weights

SIZES_PX = {PNet: 12, RNet: 24, ONet: 48}
FILES = {PNet: "pnet.pt", RNet: "rnet.pt", ONet: "onet.pt"}
every_network = pytest.mark.parametrize("build", [PNet, RNet, ONet])
with_landmark_head = pytest.mark.parametrize(("build", "head"), [(PNet, "conv4_3"), (RNet, "dense5_3")])


def public_state(build: type[nn.Module]) -> dict[str, Tensor]:
    """facenet-pytorch's copy of the public weights: another container, made by other people."""
    package = importlib.util.find_spec("facenet_pytorch")
    if package is None or package.origin is None:
        pytest.skip("needs facenet-pytorch: pip install --no-deps facenet-pytorch==2.6.0")
    state: dict[str, Tensor] = torch.load(
        Path(package.origin).parent / "data" / FILES[build], weights_only=True
    )
    return state


def public_network(build: type[nn.Module]) -> nn.Module:
    return next(network for network in load_public_weights() if isinstance(network, build))


def flattenings(network: nn.Module) -> list[LayoutFlatten]:
    return [part for part in network.modules() if isinstance(part, LayoutFlatten)]


@every_network
def test_the_public_weights_are_exactly_those_of_facenet_pytorch(build: type[nn.Module]) -> None:
    ours, theirs = dict(public_network(build).named_parameters()), public_state(build)
    assert len(ours) > 10
    assert ours.keys() == theirs.keys()
    assert [name for name, weights in theirs.items() if not torch.equal(ours[name], weights)] == []


@every_network
def test_a_public_state_dict_loads_strictly(build: type[nn.Module]) -> None:
    network = build()
    network.load_state_dict(public_state(build), strict=True)
    assert [each.layout for each in flattenings(network)] == ["column_major"] * (build is not PNet)


@every_network
def test_the_public_networks_are_ready_for_inference(build: type[nn.Module]) -> None:
    assert not public_network(build).training


@pytest.mark.parametrize("build", [RNet, ONet])
def test_a_network_trained_here_is_row_major_and_its_checkpoint_says_so(
    build: type[RNet] | type[ONet], tmp_path: Path
) -> None:
    trained = build()
    assert flattenings(trained)[0].layout == "row_major"
    torch.save(trained.state_dict(), tmp_path / "checkpoint.pt")
    resumed = build(layout="column_major")
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert flattenings(resumed)[0].layout == "row_major"


@pytest.mark.parametrize("build", [RNet, ONet])
def test_a_checkpoint_of_the_public_networks_stays_column_major(build: type[RNet] | type[ONet]) -> None:
    fine_tuned = build()
    fine_tuned.load_state_dict(public_network(build).state_dict())
    assert flattenings(fine_tuned)[0].layout == "column_major"


def test_column_major_goes_down_the_first_column_first_with_all_channels_of_each_pixel() -> None:
    features = torch.tensor([[[[1, 2], [3, 4]], [[10, 20], [30, 40]]]])  # (1, 2 channels, 2 rows, 2 columns)
    assert LayoutFlatten("row_major")(features).tolist() == [[1, 2, 3, 4, 10, 20, 30, 40]]
    assert LayoutFlatten("column_major")(features).tolist() == [[1, 10, 3, 30, 2, 20, 4, 40]]


@pytest.mark.parametrize("build", [RNet, ONet])
def test_the_wrong_layout_raises_nothing_and_answers_otherwise(build: type[RNet] | type[ONet]) -> None:
    network = public_network(build)
    crops = torch.rand(4, 3, SIZES_PX[build], SIZES_PX[build], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        right = network(crops)[0]
        flattenings(network)[0].layout = "row_major"
        wrong = network(crops)[0]
    assert (right - wrong).abs().max() > 0.1


@pytest.mark.parametrize("height", range(12, 22))
@pytest.mark.parametrize("width", [12, 13, 50, 51])
def test_the_proposal_network_scores_a_window_every_two_pixels_and_one_for_an_odd_pixel(
    height: int, width: int
) -> None:
    logits, offsets = PNet()(torch.zeros(2, 3, height, width))
    cells = (2, (height - 9) // 2, (width - 9) // 2)  # the pool rounds up: 13 pixels make two windows
    assert (logits.shape[0], *logits.shape[2:]) == cells
    assert (logits.shape[1], offsets.shape[1]) == (2, 4)


@every_network
def test_answers_are_raw_numbers_not_probabilities(build: type[nn.Module]) -> None:
    size_px = SIZES_PX[build]
    crops = torch.rand(8, 3, size_px, size_px, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        logits = public_network(build)(crops)[0].reshape(8, 2)
    assert not torch.allclose(logits.sum(dim=1), torch.ones(8), atol=0.05)


def test_only_the_output_network_has_landmarks_in_the_public_weights() -> None:
    pnet, rnet, onet = load_public_weights()
    assert len(pnet(torch.zeros(1, 3, 12, 12))) == 2
    assert len(rnet(torch.zeros(1, 3, 24, 24))) == 2
    assert [answer.shape[1] for answer in onet(torch.zeros(1, 3, 48, 48))] == [2, 4, 10]


@with_landmark_head
def test_training_may_add_a_landmark_head_that_changes_nothing_else(
    build: type[PNet] | type[RNet], head: str
) -> None:
    with_head = build(has_landmarks=True)
    missing, unexpected = with_head.load_state_dict(public_state(build), strict=False)
    assert sorted(missing) == [f"{head}.bias", f"{head}.weight"]
    assert unexpected == []
    crops = torch.rand(3, 3, SIZES_PX[build], SIZES_PX[build])
    with torch.no_grad():
        expected, actual = public_network(build)(crops), with_head.eval()(crops)
    assert len(actual) == 3
    assert actual[2].shape[:2] == (3, 10)
    assert [torch.equal(one, other) for one, other in zip(expected, actual[:2], strict=True)] == [True] * 2


@pytest.mark.parametrize(
    "network", [PNet(has_landmarks=True), RNet(has_landmarks=True), ONet()], ids=["P-Net", "R-Net", "O-Net"]
)
def test_gradients_reach_every_parameter(network: nn.Module) -> None:
    size_px = SIZES_PX[type(network)]
    answers = network(torch.rand(4, 3, size_px, size_px) - 0.5)
    assert len(answers) == 3
    torch.stack([answer.square().sum() for answer in answers]).sum().backward()  # type: ignore[no-untyped-call]
    parameters = dict(network.named_parameters())
    assert parameters
    assert [name for name, each in parameters.items() if each.grad is None or not each.grad.any()] == []


@every_network
def test_every_channel_has_a_slope_of_its_own(build: type[nn.Module]) -> None:
    slopes = {name: weights for name, weights in public_network(build).named_parameters() if "prelu" in name}
    assert len(slopes) >= 3
    assert all(len(set(weights.tolist())) == weights.numel() > 1 for weights in slopes.values())


@every_network
def test_a_fresh_network_starts_with_zero_biases_and_quarter_slopes(build: type[nn.Module]) -> None:
    parameters = dict(build().named_parameters())
    assert all(not weights.any() for name, weights in parameters.items() if name.endswith("bias"))
    assert all((weights == 0.25).all() for name, weights in parameters.items() if "prelu" in name)
    assert all(weights.std() > 0.01 for weights in parameters.values() if weights.ndim > 1)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (7, 4)])
def test_prelu_in_bfloat16_is_pytorchs_with_its_gradients(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours, theirs = ChannelPReLU(4), nn.PReLU(4)
    nn.init.normal_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    values, weights = torch.randn(shape).bfloat16(), torch.randn(shape).bfloat16()
    results = []
    for layer in (ours, theirs):
        features = values.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            answer = layer(features)
        (answer * weights).sum().backward()
        results.append((answer, features.grad, layer.weight.grad))
    for mine, expected in zip(*results, strict=True):
        assert mine is not None
        assert mine.dtype == expected.dtype
        torch.testing.assert_close(mine.float(), expected.float(), rtol=0.02, atol=0.02)


def test_prelu_is_pytorchs_own_wherever_that_is_faster() -> None:
    layer, values = ChannelPReLU(4), torch.randn(3, 4, 5, 5)
    assert torch.equal(layer(values), nn.functional.prelu(values, layer.weight))
    assert torch.equal(layer.eval()(values), nn.functional.prelu(values, layer.weight))
