"""YOLOv5-Face's loss: decoding in cells, CIoU as objectness, and landmarks masked where unlabelled."""

import math

import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.networks.yolov5_face import yolov5_face
from vultus.training.losses.ciou import ciou
from vultus.training.losses.yolov5_face import (
    LevelTargets,
    YOLOv5FaceLoss,
    YOLOv5FaceWeights,
    decode_matched,
    objectness_targets,
)


def level(prediction_count: int = 30, face_count: int = 4, *, seed: int = 0) -> tuple[Tensor, LevelTargets]:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(prediction_count, 16, generator=generator, dtype=torch.float64)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    cells = (8 * draw(face_count, 2)).floor()
    centres, sizes = cells + draw(face_count, 2), 0.5 + 2 * draw(face_count, 2)
    return raw, LevelTargets(
        rows=torch.randperm(prediction_count, generator=generator)[:face_count],
        cells=cells,
        anchors_wh=0.5 + 2 * draw(face_count, 2),
        boxes_cxcywh=torch.cat([centres, sizes], dim=1),
        landmarks=cells[:, None] + 2 * draw(face_count, 5, 2),
        is_labelled=draw(face_count, 5) < 0.7,
        ignored_rows=torch.randperm(prediction_count, generator=generator)[: 2 * face_count],
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bce(logit: float, target: float) -> float:
    return -target * math.log(sigmoid(logit)) - (1 - target) * math.log(1 - sigmoid(logit))


def decoded(t: list[float], cell: list[float], anchor: list[float]) -> tuple[list[float], list[list[float]]]:
    centre = [2 * sigmoid(t[i]) - 0.5 + cell[i] for i in (0, 1)]
    size = [(2 * sigmoid(t[2 + i])) ** 2 * anchor[i] for i in (0, 1)]
    points = [[t[5 + 2 * p + i] * anchor[i] + cell[i] for i in (0, 1)] for p in range(5)]
    return centre + size, points


def by_loop(raw: Tensor, targets: LevelTargets) -> tuple[float, float, float, float]:
    objectness = [0.0] * len(raw)
    boxes, classes, wings = [], [], []
    for m, row in enumerate(targets.rows.tolist()):
        t = raw[row].tolist()
        box, points = decoded(t, targets.cells[m].tolist(), targets.anchors_wh[m].tolist())
        overlap = ciou(torch.tensor([box], dtype=torch.float64), targets.boxes_cxcywh[m : m + 1]).item()
        boxes.append(1 - overlap)
        objectness[row] = max(objectness[row], overlap, 0.0)
        classes.append(bce(t[15], 1.0))
        for p in range(5):
            for i in (0, 1):
                x = abs(points[p][i] - targets.landmarks[m, p, i].item())
                if targets.is_labelled[m, p]:
                    wings.append(10 * math.log(1 + x / 2) if x < 10 else x - 10 + 10 * math.log(6))
    is_counted = set(range(len(raw))) - set(targets.ignored_rows.tolist()) | set(targets.rows.tolist())
    objects = [
        bce(logit, target) * (p in is_counted)
        for p, (logit, target) in enumerate(zip(raw[:, 4].tolist(), objectness, strict=True))
    ]
    return tuple(sum(part) / len(part) for part in (boxes, objects, classes, wings))  # type: ignore[return-value] # four


def test_it_is_the_formula() -> None:
    levels = [level(seed=seed) for seed in range(3)]
    losses = YOLOv5FaceLoss()(*zip(*levels, strict=True))
    parts = [by_loop(*given) for given in levels]
    boxes, classes, landmarks = (sum(part[i] for part in parts) for i in (0, 2, 3))
    objectness = sum(b * part[1] for b, part in zip((4.0, 1.0, 0.4), parts, strict=True))
    assert losses.boxes.item() == pytest.approx(boxes, abs=1e-9)
    assert losses.objectness.item() == pytest.approx(objectness, abs=1e-9)
    assert losses.classes.item() == pytest.approx(classes, abs=1e-9)
    assert losses.landmarks.item() == pytest.approx(landmarks, abs=1e-9)
    expected = 0.05 * boxes + objectness + 0.5 * classes + 0.005 * landmarks
    assert losses.total.item() == pytest.approx(expected, abs=1e-9)


def test_raw_zeros_mean_the_middle_of_the_cell_the_anchor_and_its_corner() -> None:
    boxes, landmarks = decode_matched(
        torch.zeros(1, 16), cells=torch.tensor([[3.0, 7.0]]), anchors_wh=torch.tensor([[2.0, 5.0]])
    )
    assert boxes.tolist() == [[3.5, 7.5, 2.0, 5.0]]
    assert landmarks.tolist() == [[[3.0, 7.0]] * 5]


def test_the_landmarks_are_the_ten_between_objectness_and_class() -> None:
    raw = torch.arange(16.0)[None]
    _, landmarks = decode_matched(raw, cells=torch.zeros(1, 2), anchors_wh=torch.tensor([[1.0, 10.0]]))
    assert landmarks.tolist() == [[[5, 60], [7, 80], [9, 100], [11, 120], [13, 140]]]


def test_two_faces_at_one_prediction_leave_it_the_better_overlap() -> None:
    targets = objectness_targets(torch.tensor([0.3, 0.8, -0.4]), torch.tensor([2, 2, 0]), count=4)
    assert targets.tolist() == pytest.approx([0, 0, 0.8, 0])


def test_objectness_is_a_target_and_passes_no_gradient_to_the_boxes() -> None:
    raw, targets = level()
    raw.requires_grad_()
    loss = YOLOv5FaceLoss(YOLOv5FaceWeights(boxes=0, classes=0, landmarks=0), level_balance=(1.0,))
    targets = targets._replace(ignored_rows=torch.tensor([], dtype=torch.int64))
    gradient = torch.autograd.grad(loss([raw], [targets]).total, raw)[0]
    assert gradient[:, 4].abs().min() > 0
    assert gradient[:, [*range(4), *range(5, 16)]].abs().sum() == 0


def test_what_would_find_an_ignored_face_learns_nothing_unless_it_is_to_find_another() -> None:
    raw, targets = level()
    face, other = int(targets.rows[0]), int(next(row for row in range(30) if row not in targets.rows))
    targets = targets._replace(ignored_rows=torch.tensor([face, other, other]))
    raw.requires_grad_()
    gradient = torch.autograd.grad(YOLOv5FaceLoss(level_balance=(1.0,))([raw], [targets]).total, raw)[0]
    assert gradient[other].abs().sum() == 0
    assert (gradient[:, 4] == 0).sum() == 1
    assert gradient[face, 4] != 0


def test_landmarks_without_label_have_no_gradient() -> None:
    raw, targets = level()
    raw.requires_grad_()
    loss = YOLOv5FaceLoss(level_balance=(1.0,))
    gradient = torch.autograd.grad(loss([raw], [targets]).landmarks, raw)[0][targets.rows, 5:15].reshape(
        -1, 5, 2
    )
    assert torch.equal(gradient.abs().sum(2) > 0, targets.is_labelled)


@pytest.mark.parametrize("count", [1, 3])
def test_a_level_without_faces_teaches_objectness_only(count: int) -> None:
    raw, targets = level(face_count=0)
    raw.requires_grad_()
    losses = YOLOv5FaceLoss(level_balance=(1.0,) * count)([raw] * count, [targets] * count)
    assert (losses.boxes.item(), losses.classes.item(), losses.landmarks.item()) == (0, 0, 0)
    gradient = torch.autograd.grad(losses.total, raw)[0]
    assert gradient[:, 4].abs().min() > 0


@pytest.mark.parametrize("size", ["n-0.5", "s6"])
def test_it_takes_what_the_network_answers_and_reaches_every_parameter(size: str) -> None:
    torch.manual_seed(0)
    network = yolov5_face(size)
    maps = network(torch.rand(2, 3, 64, 64))
    flat = [answer.reshape(-1, 16) for answer in maps]
    targets = [
        LevelTargets(
            *(
                part if part.dtype in {torch.int64, torch.bool} else part.float()
                for part in level(len(raw), 2)[1]
            )
        )
        for raw in flat
    ]
    losses = YOLOv5FaceLoss()(flat, targets)
    losses.total.backward()
    assert losses.total.isfinite()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_learning_by_it_finds_the_face() -> None:
    torch.manual_seed(0)
    _, targets = level(9, 1)
    raw = torch.zeros(9, 16, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([raw], lr=0.1)
    loss = YOLOv5FaceLoss(level_balance=(1.0,))
    for _ in range(300):
        optimiser.zero_grad()
        loss([raw], [targets]).total.backward()
        optimiser.step()
    boxes, landmarks = decode_matched(raw[targets.rows], cells=targets.cells, anchors_wh=targets.anchors_wh)
    assert ciou(boxes, targets.boxes_cxcywh).item() > 0.95
    assert (landmarks - targets.landmarks)[targets.is_labelled].abs().max() < 0.1
    assert int(raw[:, 4].argmax()) == int(targets.rows)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_sure_answers_stay_finite(dtype: torch.dtype) -> None:
    raw, targets = level()
    half = (30 * raw).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        total = YOLOv5FaceLoss(level_balance=(1.0,))([half], [targets]).total
    assert total.isfinite()
    assert torch.autograd.grad(total, half)[0].isfinite().all()


def test_predictions_of_another_width_are_refused() -> None:
    raw, targets = level()
    with pytest.raises(ShapeError, match="predictions"):
        YOLOv5FaceLoss(level_balance=(1.0,))([raw[:, :15]], [targets])


def test_a_row_that_is_none_of_the_predictions_is_refused() -> None:
    raw, targets = level()
    with pytest.raises(InputError, match=r"^rows must lie in 0\.\.29"):
        YOLOv5FaceLoss(level_balance=(1.0,))([raw], [targets._replace(rows=targets.rows + 30)])
    with pytest.raises(InputError, match=r"^ignored_rows must lie in 0\.\.29"):
        YOLOv5FaceLoss(level_balance=(1.0,))([raw], [targets._replace(ignored_rows=targets.rows - 30)])


def test_levels_that_do_not_agree_are_refused() -> None:
    raw, targets = level()
    with pytest.raises(InputError, match="same levels"):
        YOLOv5FaceLoss()([raw] * 3, [targets] * 2)
    with pytest.raises(InputError, match="same levels"):
        YOLOv5FaceLoss()([raw] * 2, [targets] * 2)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match="landmarks"):
        YOLOv5FaceLoss(YOLOv5FaceWeights(landmarks=-1.0))
