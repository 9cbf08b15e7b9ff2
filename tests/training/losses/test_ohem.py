"""Online hard example mining: the largest losses of each row, among the candidates."""

import torch

from vultus.training.losses.ohem import is_hardest

LOSSES = torch.tensor([[0.1, 0.9, 0.5, 0.7], [4.0, 3.0, 2.0, 1.0]])
EVERYONE = torch.ones(2, 4, dtype=torch.bool)


def test_each_row_has_a_count_of_its_own() -> None:
    chosen = is_hardest(LOSSES, torch.tensor([2, 1]), is_candidate=EVERYONE)
    assert chosen.tolist() == [[False, True, False, True], [True, False, False, False]]


def test_only_candidates_are_chosen_however_many_are_asked_for() -> None:
    candidates = torch.tensor([[True, False, True, False], [False] * 4])
    chosen = is_hardest(LOSSES, torch.tensor([3, 3]), is_candidate=candidates)
    assert torch.equal(chosen, candidates)


def test_no_count_chooses_nobody() -> None:
    assert not is_hardest(LOSSES, torch.tensor([0, 0]), is_candidate=EVERYONE).any()


def test_of_equal_losses_exactly_the_count_is_chosen() -> None:
    chosen = is_hardest(torch.zeros(1, 4), torch.tensor([2]), is_candidate=EVERYONE[:1])
    assert chosen.tolist() == [[True, True, False, False]]


def test_the_choice_has_no_gradient() -> None:
    assert not is_hardest(
        LOSSES.clone().requires_grad_(), torch.tensor([1, 1]), is_candidate=EVERYONE
    ).requires_grad
