"""Siamese networks: one embedder, two images, one symmetric answer."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vultus.errors import InputError, ShapeError
from vultus.networks.facenet import FaceNet
from vultus.networks.mobilefacenet import MobileFaceNet
from vultus.networks.siamese import Siamese, VerificationHead


class LinearEmbedder(nn.Module):
    """An embedder small enough to compute by hand; counts its calls."""

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 4 * 4, size)
        self.batch_sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 4, 4) to (N, size), not normalised."""
        self.batch_sizes.append(len(images))
        vectors: Tensor = 3.0 * self.linear(images.flatten(1))
        return vectors


def pairs(count: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, 4, 4, generator=generator), torch.randn(count, 3, 4, 4, generator=generator)


def hadsell(u: Tensor, v: Tensor, is_same: Tensor) -> Tensor:
    """The contrastive loss with margin 1, for the hook."""
    distance = (u - v).norm(dim=1)
    return torch.where(is_same, distance.square(), F.relu(1 - distance).square()).mean() / 2


@pytest.fixture
def siamese() -> Siamese:
    torch.manual_seed(1)
    return Siamese(LinearEmbedder(), pair_loss=hadsell)


def test_the_answer_is_the_cosine_of_the_two_embeddings(siamese: Siamese) -> None:
    first, second = pairs()
    with torch.no_grad():
        u, v = siamese.embedder(first), siamese.embedder(second)
        by_hand = [float(u[i] @ v[i] / (u[i].norm() * v[i].norm())) for i in range(6)]
        assert torch.allclose(siamese(first, second), torch.tensor(by_hand), atol=1e-6)


def test_an_image_is_wholly_similar_to_itself_and_the_order_does_not_matter(siamese: Siamese) -> None:
    first, second = pairs()
    with torch.no_grad():
        assert torch.allclose(siamese(first, first), torch.ones(6), atol=1e-6)
        assert torch.allclose(siamese(first, second), siamese(second, first), atol=1e-6)
        assert (siamese(first, second).abs() <= 1).all()


def test_both_images_pass_in_one_batch(siamese: Siamese) -> None:
    siamese(*pairs(6))
    assert isinstance(siamese.embedder, LinearEmbedder)
    assert siamese.embedder.batch_sizes == [12]


@pytest.mark.parametrize("embedder", [MobileFaceNet(), FaceNet(width=0.25)], ids=["raw", "unit"])
def test_any_embedder_fits(embedder: nn.Module) -> None:
    network = Siamese(embedder).eval()
    images = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        u, v = network.embed_pairs(images, images.flip(3))
        expected = F.normalize(embedder(images))
    assert torch.allclose(u, expected, atol=1e-5)
    assert torch.allclose(v.norm(dim=1), torch.ones(2), atol=1e-5)


def test_the_pair_loss_gets_unit_embeddings_and_the_labels(siamese: Siamese) -> None:
    seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def spy(u: Tensor, v: Tensor, is_same: Tensor) -> Tensor:
        seen.append((u, v, is_same))
        return hadsell(u, v, is_same)

    first, second = pairs()
    is_same = torch.tensor([True, False, True, False, True, False])
    loss = Siamese(siamese.embedder, pair_loss=spy).loss(first, second, is_same=is_same)
    (u, v, labels) = seen[0]
    assert torch.equal(labels, is_same)
    assert torch.allclose((u * v).sum(dim=1), siamese(first, second), atol=1e-6)
    assert torch.allclose(u.norm(dim=1), torch.ones(6), atol=1e-6)
    assert loss.item() == pytest.approx(siamese.loss(first, second, is_same=is_same).item())


def test_the_pair_loss_pulls_pairs_together_and_pushes_them_apart(siamese: Siamese) -> None:
    first, second = pairs()
    is_same = torch.tensor([True, True, True, False, False, False])
    before = siamese(first, second).detach()
    optimiser = torch.optim.Adam(siamese.parameters(), lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        torch.autograd.backward(siamese.loss(first, second, is_same=is_same))
        optimiser.step()
    after = siamese(first, second).detach()
    assert (after[:3] > before[:3]).all()
    assert (after[:3] > 0.9).all()
    assert (after[3:] < 0.6).all()


def test_a_network_without_a_pair_loss_says_so(siamese: Siamese) -> None:
    with pytest.raises(InputError, match="pair_loss="):
        Siamese(siamese.embedder).loss(*pairs(), is_same=torch.ones(6, dtype=torch.bool))


def test_batches_of_different_shapes_are_refused(siamese: Siamese) -> None:
    first, second = pairs()
    with pytest.raises(ShapeError, match="one shape"):
        siamese(first, second[:5])


def test_the_head_is_the_weighted_l1_distance(siamese: Siamese) -> None:
    head = VerificationHead(siamese, embedding_size=5)
    first, second = pairs()
    alpha, beta = torch.tensor([-1.0, -2.0, 0.5, 0.0, -3.0]), torch.tensor(0.7)
    head.load_state_dict(head.state_dict() | {"alpha": alpha, "beta": beta})
    with torch.no_grad():
        u, v = siamese.embed_pairs(first, second)
        by_hand = [sum(float(alpha[i] * (u[n, i] - v[n, i]).abs()) for i in range(5)) + 0.7 for n in range(6)]
        assert torch.allclose(head(first, second), torch.tensor(by_hand), atol=1e-5)
        assert torch.allclose(head(first, second), head(second, first), atol=1e-6)


def test_the_head_starts_by_calling_near_pairs_likelier_than_far_ones(siamese: Siamese) -> None:
    head = VerificationHead(siamese, embedding_size=5)
    first, second = pairs()
    with torch.no_grad():
        assert (head(first, first) > head(first, second)).all()


def test_the_head_learns_to_verify(siamese: Siamese) -> None:
    head = VerificationHead(siamese, embedding_size=5)
    first, second = pairs(8)
    is_same = torch.tensor([True, False] * 4)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        torch.autograd.backward(F.binary_cross_entropy_with_logits(head(first, second), is_same.float()))
        optimiser.step()
    assert torch.equal(head(first, second) > 0, is_same)
