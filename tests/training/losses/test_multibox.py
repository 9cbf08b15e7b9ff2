"""MultiBox: hard negatives seven to one, encoded boxes and landmarks, and faces without landmark labels."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vultus.errors import InputError, ShapeError
from vultus.geometry.anchors import encode_boxes, encode_landmarks, square_anchors
from vultus.networks.retinaface import retinaface
from vultus.training.losses.multibox import AnchorTargets, MultiBoxLoss, hard_negative_cross_entropy

Answers = tuple[Tensor, Tensor, Tensor]


def batch(image_count: int = 3, anchor_count: int = 40) -> tuple[Answers, AnchorTargets]:
    """Two or so faces per image, one anchor in ten ignored, half of the faces without landmarks."""
    generator = torch.Generator().manual_seed(0)
    values = 2 * torch.randn(image_count, anchor_count, 30, generator=generator, dtype=torch.float64)
    logits, boxes, landmarks, box_targets, landmark_targets = torch.split(values, [2, 4, 10, 4, 10], dim=2)
    chance = torch.rand(image_count, anchor_count, generator=generator)
    classes = torch.where(chance < 0.06, 1, torch.where(chance > 0.9, -1, 0))
    has_landmarks = torch.rand(image_count, anchor_count, generator=generator) < 0.5
    return (logits, boxes, landmarks), AnchorTargets(classes, box_targets, landmark_targets, has_landmarks)


def smooth_l1(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def by_loop(answers: Answers, targets: AnchorTargets, *, ratio: int) -> tuple[float, float, float]:
    classification = boxes = landmarks = 0.0
    face_count = labelled_count = 0
    for image, classes in enumerate(targets.classes.tolist()):
        negatives = []
        for anchor, kind in enumerate(classes):
            no, yes = answers[0][image, anchor].tolist()
            log_z = math.log(math.exp(no) + math.exp(yes))
            if kind == 0:
                negatives.append(log_z - no)
            if kind != 1:
                continue
            face_count += 1
            classification += log_z - yes
            boxes += sum(map(smooth_l1, (answers[1] - targets.box_deltas)[image, anchor].tolist()))
            if targets.has_landmarks[image, anchor]:
                labelled_count += 1
                landmarks += sum(
                    map(smooth_l1, (answers[2] - targets.landmark_deltas)[image, anchor].tolist())
                )
        classification += sum(sorted(negatives, reverse=True)[: ratio * classes.count(1)])
    assert 0 < labelled_count < face_count
    return classification / face_count, boxes / face_count, landmarks / labelled_count


@pytest.mark.parametrize("ratio", [1, 3, 7])
def test_it_is_the_formula(ratio: int) -> None:
    answers, targets = batch()
    losses = MultiBoxLoss(negative_ratio=ratio)(*answers, targets=targets)
    assert tuple(loss.item() for loss in losses[1:]) == pytest.approx(
        by_loop(answers, targets, ratio=ratio), abs=1e-9
    )
    weighted = losses.classification + 2 * losses.boxes + losses.landmarks
    assert losses.total.item() == pytest.approx(weighted.item())


def test_seven_hard_negatives_are_taught_for_each_face_of_their_own_image() -> None:
    classes = torch.zeros(3, 50, dtype=torch.int64)
    classes[0, 0], classes[1, :2] = 1, 1
    logits = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = hard_negative_cross_entropy(logits, classes, ratio=7)
    taught = torch.autograd.grad(loss, logits)[0].abs().sum(2) > 0
    assert taught.sum(1).tolist() == [1 + 7, 2 + 14, 0]
    likeness = (logits[..., 1] - logits[..., 0]).detach()
    is_negative = classes[0] == 0
    assert likeness[0][taught[0] & is_negative].min() > likeness[0][~taught[0] & is_negative].max()


def test_a_face_without_landmarks_teaches_class_and_box_only() -> None:
    answers, targets = batch()
    for answer in answers:
        answer.requires_grad_()
    unlabelled = targets._replace(has_landmarks=torch.zeros_like(targets.has_landmarks))
    some, none = (MultiBoxLoss()(*answers, targets=given) for given in (targets, unlabelled))
    assert none.landmarks.item() == 0
    assert none.boxes.item() == some.boxes.item() > 0
    assert none.classification.item() == some.classification.item() > 0
    gradient = torch.autograd.grad(none.total, answers[2])[0]
    assert gradient.abs().sum() == 0, "a graph, with nothing in it"


def test_unlabelled_faces_do_not_dilute_the_landmark_loss() -> None:
    """It is divided by the labelled faces, not by all."""
    answers, targets = batch()
    is_labelled = (targets.classes == 1) & targets.has_landmarks
    fewer_faces = targets._replace(classes=torch.where(is_labelled, 1, 0))
    all_faces, labelled_faces = (
        MultiBoxLoss()(*answers, targets=given).landmarks for given in (targets, fewer_faces)
    )
    assert all_faces.item() == pytest.approx(labelled_faces.item())


def test_what_stands_where_nothing_is_labelled_does_not_matter() -> None:
    answers, targets = batch()
    is_face = targets.classes == 1
    junk = AnchorTargets(
        targets.classes,
        targets.box_deltas.masked_fill(~is_face[..., None], torch.nan),
        targets.landmark_deltas.masked_fill(~(is_face & targets.has_landmarks)[..., None], -1e30),
        targets.has_landmarks,
    )
    assert torch.equal(
        MultiBoxLoss()(*answers, targets=junk).total, MultiBoxLoss()(*answers, targets=targets).total
    )


def test_ignored_anchors_are_no_negatives() -> None:
    answers, targets = batch()
    logits = answers[0].clone()
    logits[targets.classes == -1] = torch.tensor([-50.0, 50.0], dtype=torch.float64)
    assert (targets.classes == -1).any()
    changed = MultiBoxLoss()(logits, *answers[1:], targets=targets)
    assert torch.equal(changed.total, MultiBoxLoss()(*answers, targets=targets).total)


def test_images_without_faces_cost_nothing_and_can_be_trained_on() -> None:
    answers, targets = batch()
    for answer in answers:
        answer.requires_grad_()
    losses = MultiBoxLoss()(*answers, targets=targets._replace(classes=torch.zeros_like(targets.classes)))
    assert losses.total.item() == 0
    assert all(gradient.abs().sum() == 0 for gradient in torch.autograd.grad(losses.total, answers))


def test_targets_encoded_at_the_anchors_are_matched_exactly() -> None:
    anchors = square_anchors((64, 64))
    count = len(anchors)
    boxes = np.tile(np.array([[10, 12, 40, 50]], np.float32), (count, 1))
    points = np.array([[18, 25], [32, 25], [25, 33], [19, 41], [31, 41]], np.float32)
    deltas = torch.from_numpy(encode_boxes(boxes, anchors))[None]
    landmark_deltas = torch.from_numpy(encode_landmarks(np.tile(points, (count, 1, 1)), anchors))[None]
    everyone = torch.ones(1, count, dtype=torch.bool)
    targets = AnchorTargets(everyone.long(), deltas, landmark_deltas, everyone)
    losses = MultiBoxLoss()(torch.zeros(1, count, 2), deltas, landmark_deltas, targets=targets)
    assert (losses.boxes.item(), losses.landmarks.item()) == (0, 0)
    assert losses.classification.item() == pytest.approx(math.log(2), abs=1e-6)


def test_it_takes_what_retinaface_answers_and_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = retinaface("mobilenet0.25")
    answers = network(torch.rand(2, 3, 64, 64))
    count = answers[0].shape[1]
    assert count == len(square_anchors((64, 64)))
    is_face = torch.arange(2 * count).reshape(2, count) % 20 == 0
    targets = AnchorTargets(is_face.long(), torch.zeros(2, count, 4), torch.zeros(2, count, 10), is_face)
    MultiBoxLoss()(*answers, targets=targets).total.backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_the_gradient_is_the_derivative() -> None:
    answers, targets = batch(2, 25)
    loss = MultiBoxLoss()
    inputs = tuple(answer.requires_grad_() for answer in answers)
    assert torch.autograd.gradcheck(lambda *values: loss(*values, targets=targets).total, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_sure_answers_stay_finite(dtype: torch.dtype) -> None:
    answers, targets = batch()
    halves = tuple((100 * answer).to(dtype).requires_grad_() for answer in answers)
    with torch.autocast("cpu", dtype=dtype):
        total = MultiBoxLoss()(*halves, targets=targets).total
    assert total.dtype == torch.float64, "the targets are"
    assert total.isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(total, halves))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_answer_of_another_shape_is_refused(position: int) -> None:
    answers, targets = batch()
    wrong = list(answers)
    wrong[position] = wrong[position][..., :-1]
    with pytest.raises(ShapeError, match=["class_logits", "box_deltas", "landmark_deltas"][position]):
        MultiBoxLoss()(*wrong, targets=targets)


@pytest.mark.parametrize("kind", [2, -2])
def test_a_class_that_is_none_is_refused(kind: int) -> None:
    answers, targets = batch()
    with pytest.raises(InputError, match="1, 0 or -1"):
        MultiBoxLoss()(*answers, targets=targets._replace(classes=torch.full_like(targets.classes, kind)))


@pytest.mark.parametrize("knobs", [{"negative_ratio": 0}, {"box_weight": -1}], ids=str)
def test_knobs_out_of_range_are_refused(knobs: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be"):
        MultiBoxLoss(**knobs)
