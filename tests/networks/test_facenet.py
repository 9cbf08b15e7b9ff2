"""FaceNet: both sides of its L2 layer, and the classifier that must not stand on the wrong one."""

from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.embedding import Feature
from vultus.networks.facenet import Backbone, FaceNet, FaceNetClassifier
from vultus.networks.inception_resnet_v1 import InceptionResNetV1
from vultus.networks.mobilenet_v1 import MobileNetV1


def images(count: int = 3, height: int = 96, width: int = 80) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> FaceNet:
    torch.manual_seed(0)
    small = FaceNet(width=0.25).train()
    with torch.no_grad():
        for _ in range(20):
            small(images(8))
    return small.eval()


class FixedFeatures(nn.Module):
    """A network of one learnt feature per person, to watch a classifier alone."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(count, size, generator=torch.Generator().manual_seed(2)))

    def forward_feature(self, images: Tensor) -> Feature:
        """The features of all people, whatever the images."""
        return Feature.of(self.raw)


def test_forward_answers_unit_vectors_and_forward_feature_both_sides(network: FaceNet) -> None:
    with torch.inference_mode():
        feature = network.forward_feature(images())
        assert torch.equal(network(images()), feature.embedding)
    lengths = feature.raw.norm(dim=1, keepdim=True)
    assert ((lengths - 1).abs() > 0.1).all()
    assert torch.allclose(feature.embedding, feature.raw / lengths, atol=1e-6)
    assert torch.allclose(feature.embedding.norm(dim=1), torch.ones(3), atol=1e-6)


@pytest.mark.parametrize("embedding_size", [128, 512])
@pytest.mark.parametrize(
    ("backbone", "width"),
    [("mobilenet-v1", 1.0), ("mobilenet-v1", 0.5), ("mobilenet-v1", 0.33), ("inception-resnet-v1", 1.0)],
)
def test_every_trunk_width_and_embedding_size_fits(
    backbone: Backbone, width: float, embedding_size: int
) -> None:
    with torch.device("meta"):
        network = FaceNet(backbone, width=width, embedding_size=embedding_size).eval()
        assert network(torch.zeros(2, 3, 160, 160)).shape == (2, embedding_size)
        assert network(torch.zeros(1, 3, 111, 133)).shape == (1, embedding_size)


def test_it_is_pooling_bottleneck_batch_norm_and_l2_on_the_trunk(network: FaceNet) -> None:
    with torch.inference_mode():
        pooled = network.backbone(images()).mean(dim=(2, 3))
        raw = pooled @ network.bottleneck.weight.T
        statistics = network.last_bn.state_dict()
        raw = (raw - statistics["running_mean"]) / (statistics["running_var"] + 1e-3).sqrt()
        assert torch.allclose(network(images()), F.normalize(raw), atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(3)
    network = FaceNet(width=0.25, dropout=0.999)
    pooled: list[Tensor] = []
    network.bottleneck.register_forward_pre_hook(lambda _module, inputs: pooled.append(inputs[0]))
    with torch.no_grad():
        network.train()(images())
        network.eval()(images())
    assert (pooled[0] == 0).float().mean() > 0.9
    assert (pooled[1] == 0).float().mean() < 0.9


def test_with_the_inception_trunk_it_is_the_public_network() -> None:
    torch.manual_seed(4)
    public = InceptionResNetV1().eval()
    network = FaceNet("inception-resnet-v1", embedding_size=512).eval()
    renamed = {"last_linear.weight": "bottleneck.weight"}
    state = {
        renamed.get(name, name if name.startswith("last_bn") else f"backbone.{name}"): value
        for name, value in public.state_dict().items()
    }
    network.load_state_dict(state, strict=True)
    with torch.inference_mode():
        assert torch.allclose(network(images(2)), public(images(2)), atol=1e-6)


def test_with_the_mobilenet_trunk_the_last_map_is_mobilenets() -> None:
    torch.manual_seed(5)
    trunk = MobileNetV1(0.25).eval()
    network = FaceNet(width=0.25).eval()
    for source, target in zip(
        trunk.state_dict().values(), network.backbone.state_dict().values(), strict=True
    ):
        target.copy_(source)
    with torch.inference_mode():
        assert torch.equal(network.backbone(images()), trunk.pyramid(images())[-1])


def test_the_classifier_reads_the_raw_feature_by_default(network: FaceNet) -> None:
    classifier = FaceNetClassifier(network, embedding_size=128, class_count=6).eval()
    with torch.inference_mode():
        feature = network.forward_feature(images())
        logits, embedding = classifier(images())
        assert torch.allclose(logits, classifier.classifier(feature.raw), atol=1e-6)
        assert torch.equal(embedding, feature.embedding)
    assert logits.shape == (3, 6)


def test_the_classifier_with_a_scale_reads_the_scaled_embedding(network: FaceNet) -> None:
    classifier = FaceNetClassifier(network, embedding_size=128, class_count=6, scale=30.0).eval()
    with torch.inference_mode():
        embedding = network(images())
        expected = 30.0 * embedding @ classifier.classifier.weight.T  # the bias starts at 0
        assert torch.allclose(classifier(images()).logits, expected, atol=1e-5)


def test_the_bound_of_a_softmax_on_unit_vectors_is_7_27_for_casia() -> None:
    assert log(1 + 10_574 * exp(-2)) == pytest.approx(7.27, abs=0.005)


def final_loss(class_count: int, *, scale: float | None, has_unit_weights: bool = False) -> float:
    """Cross-entropy after 200 steps on one free feature per person: the best that this head can do."""
    torch.manual_seed(6)
    head = FaceNetClassifier(
        FixedFeatures(class_count, 32), embedding_size=32, class_count=class_count, scale=scale
    )
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    labels = torch.arange(class_count)
    loss = torch.zeros(())
    for _ in range(200):
        if has_unit_weights:
            head.classifier.load_state_dict(
                {"weight": F.normalize(head.classifier.weight.detach()), "bias": torch.zeros(class_count)}
            )
        loss = F.cross_entropy(head(torch.zeros(1)).logits, labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return loss.item()


def test_a_softmax_on_unit_vectors_stays_above_its_bound() -> None:
    bound = log(1 + 19 * exp(-2))  # 1.27 for 20 people
    assert final_loss(20, scale=1.0, has_unit_weights=True) > bound


@pytest.mark.parametrize(("scale", "has_unit_weights"), [(None, False), (30.0, True)])
def test_the_raw_feature_and_the_scaled_embedding_converge(
    scale: float | None, has_unit_weights: bool
) -> None:
    assert final_loss(20, scale=scale, has_unit_weights=has_unit_weights) < 0.01


def test_softmax_and_triplet_losses_can_train_together() -> None:
    torch.manual_seed(7)
    classifier = FaceNetClassifier(FaceNet(width=0.25), embedding_size=128, class_count=4).train()
    logits, embedding = classifier(images(4))
    loss = F.cross_entropy(logits, torch.arange(4)) + F.triplet_margin_loss(
        embedding[:1], embedding[1:2], embedding[2:3]
    )
    torch.autograd.backward(loss)
    gradients = [parameter.grad for parameter in classifier.parameters()]
    assert gradients
    assert all(gradient is not None for gradient in gradients)


def test_the_inception_trunk_refuses_tiny_images_and_a_width() -> None:
    with torch.device("meta"):
        network = FaceNet("inception-resnet-v1").eval()
        with pytest.raises(ShapeError, match="75 x 75"):
            network(torch.zeros(1, 3, 74, 74))
        with pytest.raises(InputError, match="no width"):
            FaceNet("inception-resnet-v1", width=0.5)


def test_an_unknown_backbone_and_a_bad_scale_are_refused(network: FaceNet) -> None:
    with pytest.raises(InputError, match="mobilenet-v1, inception-resnet-v1, got 'resnet'"):
        FaceNet("resnet")  # type: ignore[arg-type]  # what a user may type
    with pytest.raises(InputError, match="scale must be above 0"):
        FaceNetClassifier(network, embedding_size=128, class_count=2, scale=0.0)


def test_the_bottleneck_starts_with_glorots_variance() -> None:
    torch.manual_seed(8)
    weight = FaceNet(embedding_size=512).bottleneck.weight.detach()  # 512 x 1024
    assert float(weight.var()) == pytest.approx(2 / (512 + 1024), rel=0.02)
