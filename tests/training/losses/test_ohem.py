"""Online hard example mining: the largest losses of each row, among the candidates."""

import pytest
import torch

from vultus.training.losses.ohem import is_hardest, is_hardest_share

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


@pytest.mark.parametrize(("share", "expected"), [(0.5, [1, 3]), (0.75, [1, 2, 3]), (0.1, [1])])
def test_a_share_of_a_batch_is_taken_at_least_one(share: float, expected: list[int]) -> None:
    chosen, count = is_hardest_share(LOSSES[0], share, is_candidate=EVERYONE[0])
    assert chosen.nonzero().squeeze(1).tolist() == expected
    assert count.item() == len(expected)


def test_a_share_is_one_of_the_candidates() -> None:
    chosen, _ = is_hardest_share(LOSSES[0], 0.5, is_candidate=torch.tensor([True, False, True, False]))
    assert chosen.tolist() == [False, False, True, False]
    chosen, count = is_hardest_share(LOSSES[0], 0.5, is_candidate=~EVERYONE[0])
    assert not chosen.any()
    assert count.item() == 1


def test_a_loss_that_is_no_number_is_not_hidden() -> None:
    chosen, _ = is_hardest_share(torch.tensor([0.1, torch.nan, 0.2]), 0.3, is_candidate=EVERYONE[0, :3])
    assert chosen.tolist() == [False, True, False]
