"""Channels cut out: what goes, what stays, and that the rest loads, learns and exports as any network."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError, WeightsError
from vultus.export.pipeline import gate_of
from vultus.export.prune import Importance, Pruned, Pruning, milliseconds, prune
from vultus.export.state import write_state
from vultus.export.subjects import load_subject
from vultus.networks.catalog import NETWORKS
from vultus.networks.compact_resnet import CompactResNet
from vultus.networks.state import MARK, load_state

SMALL = "compact-resnet-slim"


def images(count: int = 4) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(count, 3, 112, 112)


def network(name: str = SMALL) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name].build().eval()


def widths(pruned: nn.Module) -> list[int]:
    return [part.out_channels for part in pruned.modules() if isinstance(part, nn.Conv2d)]


@pytest.fixture(scope="module")
def cut() -> Pruned:
    return prune(network(), images(), Pruning(ratio=0.25))


def test_a_quarter_of_each_layer_goes_and_the_embedding_stays(cut: Pruned) -> None:
    whole = widths(network())
    assert whole[:4] == [24, 32, 32, 32]
    left = widths(cut.network)
    assert left[:4] == [16, 24, 24, 24]  # 18 down to a multiple of 8, and three quarters of 32
    assert left[-1] == whole[-1] == 128
    assert cut.network(images()).shape == (4, 128)
    assert cut.after.params_m < 0.65 * cut.before.params_m
    assert cut.after.gflops < 0.65 * cut.before.gflops


def test_the_network_that_was_given_is_left_as_it_was() -> None:
    given = network()
    prune(given, images(), Pruning(ratio=0.5))
    assert widths(given) == widths(network())
    assert all(parameter.grad is None for parameter in given.parameters())


@pytest.mark.parametrize("name", ["mobilefacenet", "facenet-mobilenet-v1-x0.25"])
def test_depthwise_layers_and_slopes_go_with_their_channels(name: str) -> None:
    pruned = prune(network(name), images(), Pruning(ratio=0.5))
    assert pruned.after.params_m < 0.6 * pruned.before.params_m
    back = load_like(name, pruned.network)
    torch.testing.assert_close(back(images()), pruned.network(images()))


def load_like(name: str, pruned: nn.Module) -> nn.Module:
    """The network of this name with the weights of a pruned one, through a file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pruned.safetensors"
        write_state(pruned, path)
        return load_state(NETWORKS[name].build(), path, what=f"a {name}")


@pytest.mark.parametrize("importance", ["l1", "l2", "bn-scale", "fpgm", "lamp", "taylor", "random"])
def test_every_importance_cuts_as_much(importance: Importance, cut: Pruned) -> None:
    pruned = prune(network(), images(), Pruning(ratio=0.25, importance=importance))
    assert widths(pruned.network) == widths(cut.network)


def test_the_channel_that_matters_least_goes_first() -> None:
    given = network()
    stem = next(part for part in given.modules() if isinstance(part, nn.Conv2d))
    readers = [part for part in given.modules() if isinstance(part, nn.Conv2d) and part.in_channels == 24]
    marked = torch.arange(24) % 3 != 0  # 8 channels of nothing
    with torch.no_grad():
        stem.weight[~marked] = 0
        for reader in readers:
            reader.weight[:, ~marked] = 0
        norm = given.get_submodule("stem.1")
        assert isinstance(norm, nn.BatchNorm2d)
        norm.weight[~marked] = 0
    kept = stem.weight[marked].clone()
    pruned = prune(given, images(), Pruning(ratio=0.25)).network
    left = next(part for part in pruned.modules() if isinstance(part, nn.Conv2d)).weight
    torch.testing.assert_close(left, kept)


@pytest.mark.parametrize("share", [0.8, 0.4])
def test_the_share_of_multiply_adds_is_reached_and_not_by_far(share: float) -> None:
    pruned = prune(network(), images(2), Pruning(flops=share, round_to=1))
    left = pruned.after.gflops / pruned.before.gflops
    assert share - 0.05 < left <= share
    assert 0 < pruned.ratio < 0.95


def test_a_share_that_no_ratio_reaches_is_refused() -> None:
    with pytest.raises(InputError, match=r"even 95% of the channels cut leave .* more than 0\.1%"):
        prune(network(), images(2), Pruning(flops=0.001))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({}, "say what goes"),
        ({"ratio": 0.5, "flops": 0.5}, "say what goes"),
        ({"ratio": 1.0}, "ratio must lie between 0 and 1"),
        ({"ratio": 0.5, "importance": "beauty"}, "importance must be one of l1"),
        ({"ratio": 0.5, "round_to": 0}, "round_to"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Pruning(**wrong)  # type: ignore[arg-type]


def test_a_pruned_network_comes_back_from_its_file_marked_and_trainable(cut: Pruned, tmp_path: Path) -> None:
    write_state(cut.network, tmp_path / "pruned.pt")
    back = load_state(NETWORKS[SMALL].build(), tmp_path / "pruned.pt", what="it")
    torch.testing.assert_close(back(images()), cut.network(images()))
    assert MARK in back.state_dict()
    back.train()(images()).square().mean().backward()
    assert all(parameter.grad is not None for parameter in back.parameters())
    write_state(back, tmp_path / "again.pt")
    again = load_state(NETWORKS[SMALL].build(), tmp_path / "again.pt", what="it")
    assert widths(again) == widths(cut.network)


def test_weights_of_a_narrower_network_without_the_mark_are_refused(tmp_path: Path) -> None:
    write_state(CompactResNet(stem_channels=16), tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="size mismatch"):
        load_state(NETWORKS[SMALL].build(), tmp_path / "other.pt", what="it")


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_exporter")
def test_a_pruned_network_is_exported_like_any_other(cut: Pruned, tmp_path: Path) -> None:
    write_state(cut.network, tmp_path / "pruned.pt")
    subject = load_subject(SMALL, weights=tmp_path / "pruned.pt")
    data = subject.export()
    assert gate_of(subject).check(data).cosine > 0.9999
    assert len(data) < 4.2e6 * cut.after.params_m


def test_time_is_taken() -> None:
    assert 0 < milliseconds(network(), images(2)) < 10_000
