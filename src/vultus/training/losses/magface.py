"""MagFace: the embedding's length learns to say how good the image is.

    logit_y = s phi(theta_y; m(a)),    others s cos(theta_j)
    L = softmax cross-entropy + lambda_g g(a),    a = |x| cut to [l_a, u_a]
    m(a) = l_m + (u_m - l_m) (a - l_a) / (u_a - l_a)        the margin grows with the length
    g(a) = 1 / a + a / u_a^2                                falls to 0 slope at u_a: it wants faces long

Easy faces can afford the larger margin and become long, hard ones stay short. phi is ArcFace's, with its
tail. [l_a, u_a] is `length_range` (paper 10 to 110), [l_m, u_m] is `margin_range_rad` (paper 0.45 to 0.8),
lambda_g is `penalty_weight` (paper 35), s is `scale` (paper 64). The gradient reaches the length by both
terms; outside [l_a, u_a] there is none, as in the authors' code.
Differs from that code: its default is the easy margin, whose logit jumps up at a right angle.

Meng, Zhao, Huang, Zhou: MagFace: a universal representation for face recognition and quality assessment.
CVPR 2021. https://arxiv.org/abs/2103.06627
"""

from torch import Tensor, nn

from vultus.errors import InputError
from vultus.training.losses.arcface import add_angle, check_margin
from vultus.training.losses.cosines import Cosines, class_weights
from vultus.training.losses.margin_softmax import margin_softmax


class MagFaceLoss(nn.Module):
    """Softmax with a margin that grows with the embedding's length, and the reward for length.

    Args:
        embedding_size: D.
        class_count: C.
        length_range: l_a and u_a, the lengths between which the margin grows.
        margin_range_rad: l_m and u_m, the margin at these.
        penalty_weight: lambda_g.
        scale: s.

    Attributes:
        weight: (C, D).

    Raises:
        InputError: a range does not rise, the lengths do not start above 0, or a margin is outside [0, pi).
    """

    def __init__(
        self,
        embedding_size: int,
        class_count: int,
        *,
        length_range: tuple[float, float] = (10.0, 110.0),
        margin_range_rad: tuple[float, float] = (0.45, 0.8),
        penalty_weight: float = 35.0,
        scale: float = 64.0,
    ) -> None:
        super().__init__()
        if not 0 < length_range[0] < length_range[1]:
            raise InputError(f"length_range must rise from above 0, got {length_range}")
        if not margin_range_rad[0] <= margin_range_rad[1]:
            raise InputError(f"margin_range_rad must rise, got {margin_range_rad}")
        for margin_rad in margin_range_rad:
            check_margin(margin_rad)
        self.weight = class_weights(class_count, embedding_size)
        self.length_range = length_range
        self.margin_range_rad = margin_range_rad
        self.penalty_weight = penalty_weight
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of (N, D) un-normalised embeddings with (N,) int64 labels; see `margin_softmax`."""
        return margin_softmax(self, embeddings, labels)

    def logits(self, cosines: Cosines) -> Tensor:
        """(N, C)."""
        (shortest, longest), (smallest, largest) = self.length_range, self.margin_range_rad
        share = (cosines.lengths.clamp(shortest, longest) - shortest) / (longest - shortest)
        own = add_angle(cosines.target, smallest + (largest - smallest) * share)
        return self.scale * cosines.place(cosines.values, own)

    def penalty(self, lengths: Tensor) -> Tensor:
        """lambda_g times the mean of g over (N,) lengths."""
        shortest, longest = self.length_range
        cut = lengths.clamp(shortest, longest)
        return self.penalty_weight * (1 / cut + cut / longest**2).mean()
