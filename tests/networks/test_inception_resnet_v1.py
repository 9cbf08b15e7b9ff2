"""Inception-ResNet-V1 against facenet-pytorch's class, which made the public weights' layout."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vultus.errors import ShapeError, WeightsError
from vultus.networks.inception_resnet_v1 import InceptionResNetV1, InceptionResNetV1Trunk

ORACLE = "facenet_pytorch_without_torchvision"


@pytest.fixture(scope="module")
def oracle_class() -> Any:
    """facenet-pytorch's class, imported past its package, whose `__init__` wants torchvision."""
    spec = importlib.util.find_spec("facenet_pytorch")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs facenet-pytorch as an oracle: pip install --no-deps facenet-pytorch==2.6.0")
    root = Path(spec.submodule_search_locations[0])
    for name, folder in ((ORACLE, root), (f"{ORACLE}.models", root / "models")):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return importlib.import_module(f"{ORACLE}.models.inception_resnet_v1").InceptionResnetV1


@pytest.fixture(scope="module")
def theirs(oracle_class: Any) -> nn.Module:
    """Their network with random weights and lived-in batch norms."""
    torch.manual_seed(0)
    network: nn.Module = oracle_class(classify=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    network.train()
    with torch.no_grad():
        network(torch.randn(4, 3, 160, 160))
    return network.eval()


@pytest.fixture(scope="module")
def ours(theirs: nn.Module) -> InceptionResNetV1:
    network = InceptionResNetV1()
    network.load_state_dict(theirs.state_dict(), strict=True)
    return network.eval()


def images(count: int = 2, height: int = 160, width: int = 160) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_the_keys_and_their_order_are_those_of_facenet_pytorch(
    theirs: nn.Module, ours: InceptionResNetV1
) -> None:
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.parametrize("size_hw", [(160, 160), (149, 181), (75, 76)])
def test_the_embeddings_are_those_of_facenet_pytorch(
    theirs: nn.Module, ours: InceptionResNetV1, size_hw: tuple[int, int]
) -> None:
    faces = images(2, *size_hw)
    with torch.inference_mode():
        assert torch.allclose(ours(faces), theirs(faces), rtol=0, atol=1e-5)


def test_training_moves_the_same_statistics_and_drops_the_same_features(
    theirs: nn.Module, ours: InceptionResNetV1
) -> None:
    outputs, means = [], []
    for network in (theirs, ours):
        state = {name: value.clone() for name, value in network.state_dict().items()}
        network.train()
        torch.manual_seed(7)
        with torch.no_grad():
            outputs.append(network(images(3)))
        means.append(network.state_dict()["last_bn.running_mean"].clone())
        network.load_state_dict(state)
        network.eval()
    assert torch.allclose(outputs[0], outputs[1], rtol=0, atol=1e-5)
    assert torch.allclose(means[0], means[1], rtol=0, atol=1e-5)


def test_the_gradients_are_those_of_facenet_pytorch(theirs: nn.Module, ours: InceptionResNetV1) -> None:
    gradients = []
    for network in (theirs, ours):
        network.zero_grad()
        network(images(2, 99, 99))[:, 0].sum().backward()
        gradients.append(network.get_parameter("conv2d_1a.conv.weight").grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    scale = gradients[0].abs().max()
    assert scale > 0
    assert torch.allclose(gradients[0], gradients[1], rtol=0, atol=float(1e-4 * scale))


def test_the_logits_are_those_of_facenet_pytorch(oracle_class: Any) -> None:
    torch.manual_seed(2)
    theirs = oracle_class(classify=True, num_classes=7).eval()
    ours = InceptionResNetV1(class_count=7).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.inference_mode():
        expected = theirs(images(2, 96, 96))
        assert expected.shape == (2, 7)
        assert torch.allclose(ours(images(2, 96, 96)), expected, rtol=0, atol=1e-5)


def test_the_published_form_loads_without_its_classifier_and_with_it(oracle_class: Any) -> None:
    torch.manual_seed(3)
    published = oracle_class(classify=True, num_classes=9).eval()
    faces = images(2, 96, 96)
    embedder = InceptionResNetV1.from_public(published.state_dict()).eval()
    classifier = InceptionResNetV1.from_public(published.state_dict(), keeps_classifier=True).eval()
    with torch.inference_mode():
        published.classify = False  # facenet-pytorch's own switch from logits to embeddings
        assert torch.allclose(embedder(faces), published(faces), rtol=0, atol=1e-5)
        published.classify = True
        assert torch.allclose(classifier(faces), published(faces), rtol=0, atol=1e-5)


def test_a_foreign_state_dict_is_refused() -> None:
    with pytest.raises(WeightsError, match="no Inception-ResNet-V1 weights"):
        InceptionResNetV1.from_public({"conv1.weight": torch.zeros(3)})
    damaged = InceptionResNetV1().state_dict()
    del damaged["mixed_6a.branch0.conv.weight"]
    with pytest.raises(WeightsError, match="mixed_6a"):
        InceptionResNetV1.from_public(damaged)


def test_the_embedding_has_length_one_and_the_raw_feature_has_not(ours: InceptionResNetV1) -> None:
    with torch.inference_mode():
        feature = ours.forward_feature(images(3, 96, 96))
        assert torch.equal(ours(images(3, 96, 96)), feature.embedding)
    lengths = feature.raw.norm(dim=1)
    assert ((lengths - 1).abs() > 0.1).all()
    assert torch.allclose(feature.embedding * lengths[:, None], feature.raw, atol=1e-5)
    assert torch.allclose(feature.embedding.norm(dim=1), torch.ones(3), atol=1e-6)


def test_the_classifier_reads_the_raw_feature() -> None:
    torch.manual_seed(4)
    network = InceptionResNetV1(class_count=5).eval()
    assert network.logits is not None
    with torch.inference_mode():
        raw = network.forward_feature(images(2, 80, 80)).raw
        assert torch.allclose(network(images(2, 80, 80)), network.logits(raw))


def test_an_image_that_would_shrink_to_nothing_is_refused(ours: InceptionResNetV1) -> None:
    with pytest.raises(ShapeError, match="at least 75 x 75"):
        ours(images(1, 74, 160))


def test_the_trunk_alone_has_the_same_keys_and_gives_the_last_map(ours: InceptionResNetV1) -> None:
    trunk = InceptionResNetV1Trunk().eval()
    head = ("last_linear.", "last_bn.")
    assert list(trunk.state_dict()) == [name for name in ours.state_dict() if not name.startswith(head)]
    with torch.inference_mode():
        assert trunk(images(1)).shape == (1, 1792, 3, 3)


@pytest.mark.parametrize("embedding_size", [128, 512])
def test_the_embedding_size_is_a_parameter(embedding_size: int) -> None:
    with torch.device("meta"):
        network = InceptionResNetV1(embedding_size=embedding_size).eval()
        assert network(torch.zeros(2, 3, 160, 160)).shape == (2, embedding_size)


def test_weights_start_with_glorots_variance() -> None:
    torch.manual_seed(5)
    network = InceptionResNetV1()
    weight = network.get_parameter("repeat_2.0.branch1.1.conv.weight").detach()  # 128 x 128 x 1 x 7
    assert float(weight.var()) == pytest.approx(2 / (7 * 128 + 7 * 128), rel=0.02)
    bias = network.get_parameter("repeat_1.0.conv2d.bias")
    assert not bias.any()
