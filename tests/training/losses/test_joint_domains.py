"""Joint training on two labelled domains, which aligns nothing."""

import pytest
import torch

from vultus.errors import InputError
from vultus.training.losses import JointDomainsLoss, SoftmaxLoss


def test_it_is_the_mixture_of_the_two_class_losses() -> None:
    torch.manual_seed(0)
    softmax = SoftmaxLoss(3, 4)
    source = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 0])
    target = torch.randn(2, 3), torch.tensor([1, 1])
    expected = 0.7 * softmax(*source).item() + 0.3 * softmax(*target).item()
    assert JointDomainsLoss(softmax)(source, target).item() == pytest.approx(expected)


def test_it_trains_the_class_weights_of_its_loss() -> None:
    assert len(list(JointDomainsLoss(SoftmaxLoss(3, 4)).parameters())) == 2


def test_a_target_without_usable_labels_is_refused() -> None:
    loss = JointDomainsLoss(SoftmaxLoss(3, 4))
    with pytest.raises(InputError, match=r"0\.\.3"):
        loss((torch.ones(1, 3), torch.tensor([0])), (torch.ones(1, 3), torch.tensor([-1])))


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(InputError, match="source_weight"):
        JointDomainsLoss(SoftmaxLoss(3, 4), source_weight=weight)
