"""What holds for every loss of embeddings without classes; the formula of each is tested in its own file."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from vultus.errors import ShapeError
from vultus.training.losses import (
    CenterLoss,
    ContrastiveLoss,
    CoralLoss,
    CosineContrastiveLoss,
    EmbeddingDistillationLoss,
    LogitDistillationLoss,
    MMDLoss,
    MoCoInfoNCELoss,
    NTXentLoss,
    RelationalDistillationLoss,
    SoftmaxCenterLoss,
    TripletLoss,
)
from vultus.training.mining import (
    Miner,
    Triplets,
    hardest_triplets,
    random_triplets,
    semi_hard_triplets,
    violating_triplets,
)

D = 4
LossOfRows = Callable[[Tensor], Tensor]  # (N, D) rows, N even, to a scalar


def labels_of(rows: Tensor) -> Tensor:
    return torch.arange(len(rows)) % 3


def halves(rows: Tensor) -> tuple[Tensor, Tensor]:
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def is_same(rows: Tensor) -> Tensor:
    return torch.arange(len(rows) // 2) % 2 == 0


def teacher_of(rows: Tensor) -> Tensor:
    """In eighths, which are the same numbers in every dtype."""
    rows_in_eighths = torch.randint(-16, 17, rows.shape, generator=torch.Generator().manual_seed(5))
    return (rows_in_eighths / 8).to(rows.dtype)


def of_classes(rows: Tensor, *, loss: type[CenterLoss | SoftmaxCenterLoss]) -> Tensor:
    torch.manual_seed(1)
    module = loss(D, 3).eval().to(torch.promote_types(rows.dtype, torch.float32))
    answer: Tensor = module(rows, labels_of(rows))
    return answer


def of_queries(rows: Tensor) -> Tensor:
    torch.manual_seed(2)
    answer: Tensor = MoCoInfoNCELoss(D, queue_size=16).eval()(rows, teacher_of(rows))
    return answer


def seeded_random(rows: Tensor, labels: Tensor, *, margin_squared_l2: float) -> Triplets:
    generator = torch.Generator().manual_seed(4)
    return random_triplets(rows, labels, margin_squared_l2=margin_squared_l2, generator=generator)


def mined(rows: Tensor, *, miner: Miner) -> Tensor:
    answer: Tensor = TripletLoss(margin_squared_l2=0.7, miner=miner)(rows, labels_of(rows))
    return answer


SINGLE: dict[str, LossOfRows] = {  # these take a batch of one picture or one pair
    "center": partial(of_classes, loss=CenterLoss),
    "softmax-center": partial(of_classes, loss=SoftmaxCenterLoss),
    "contrastive": lambda rows: ContrastiveLoss(margin_l2=3.0)(*halves(rows), is_same(rows)),
    "cosine-contrastive": lambda rows: CosineContrastiveLoss(margin_cos=-0.9)(*halves(rows), is_same(rows)),
    "triplet-random": partial(mined, miner=seeded_random),
    "triplet-hardest": partial(mined, miner=hardest_triplets),
    "triplet-semi-hard": partial(mined, miner=semi_hard_triplets),
    "triplet-violating": partial(mined, miner=violating_triplets),
    "nt-xent": lambda rows: NTXentLoss()(*halves(rows)),
    "moco": of_queries,
    "embedding-cosine": lambda rows: EmbeddingDistillationLoss()(rows, teacher_of(rows)),
    "embedding-l2": lambda rows: EmbeddingDistillationLoss(measure="l2")(rows, teacher_of(rows)),
    "logits": lambda rows: LogitDistillationLoss()(rows, teacher_of(rows)),
    "relations": lambda rows: RelationalDistillationLoss()(rows, teacher_of(rows)),
}
LOSSES: dict[str, LossOfRows] = {
    **SINGLE,
    "mmd": lambda rows: MMDLoss()(*halves(rows)),
    "mmd-absolute": lambda rows: MMDLoss(bandwidths=(0.5, 2.0), is_relative=False)(*halves(rows)),
    "coral": lambda rows: CoralLoss()(*halves(rows)),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def draw(count: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    rows = torch.randn(count, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return rows.to(dtype).requires_grad_()


def assert_learnable(loss: LossOfRows, rows: Tensor) -> None:
    value = loss(rows)
    assert value.ndim == 0
    assert value.isfinite()
    (gradient,) = torch.autograd.grad(value, rows)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"mmd"}))
def test_the_gradient_is_the_derivative(name: str) -> None:
    """Not for the relative MMD, which takes the spread of the batch as a constant."""
    assert torch.autograd.gradcheck(LOSSES[name], (draw(),))


@every_loss
def test_it_teaches_something(loss: LossOfRows) -> None:
    rows = draw()
    (gradient,) = torch.autograd.grad(loss(rows), rows)
    assert gradient.abs().sum() > 0


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_value_of_the_same_rows_in_float64(
    loss: LossOfRows, dtype: torch.dtype
) -> None:
    rows = draw(dtype=dtype)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(rows)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(rows.detach().double()).item(), rel=1e-4, abs=1e-5)
    with torch.autocast("cpu", dtype=dtype):
        assert_learnable(loss, rows)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["coincident", "opposite", "right-angled"])
def test_rows_at_0_90_and_180_degrees_have_a_finite_gradient(
    loss: LossOfRows, kind: str, dtype: torch.dtype
) -> None:
    row = torch.tensor([1.0, 2.0, -1.0, 0.5])
    other = {"coincident": row, "opposite": -row, "right-angled": torch.tensor([2.0, -1.0, 0.0, 0.0])}[kind]
    rows = torch.cat([row.repeat(4, 1), other.repeat(4, 1)]).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        assert_learnable(loss, rows)


@pytest.mark.parametrize("loss", SINGLE.values(), ids=SINGLE.keys())
def test_one_pair_is_a_batch(loss: LossOfRows) -> None:
    assert_learnable(loss, draw(2))


@every_loss
@pytest.mark.parametrize("shape", [(0, D), (8,), (8, D, 1)], ids=str)
def test_what_is_no_batch_of_rows_is_refused(loss: LossOfRows, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"got|empty"):
        loss(torch.ones(shape))


@every_loss
def test_integers_are_refused(loss: LossOfRows) -> None:
    with pytest.raises(ShapeError, match="float"):
        loss(torch.ones(8, D, dtype=torch.int64))
