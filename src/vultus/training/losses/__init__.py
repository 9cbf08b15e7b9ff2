"""The losses, one file each: small functions under a thin module. Needs the extra `train`.

Classification: class weights, and how a cosine becomes a logit. `ArcFaceLoss(512, 1000)(embeddings, labels)`
is the mean loss of a batch; `PartialFC(partial(ArcFaceLoss, 512), 1_000_000)` spreads the same over
processes.
"""

from vultus.training.losses.a_softmax import ASoftmaxLoss
from vultus.training.losses.adaface import AdaFaceLoss
from vultus.training.losses.arcface import ArcFaceLoss
from vultus.training.losses.circle import CircleLoss, circle_pair_loss
from vultus.training.losses.combined_margin import CombinedMarginLoss
from vultus.training.losses.cosface import CosFaceLoss
from vultus.training.losses.curricularface import CurricularFaceLoss
from vultus.training.losses.l_softmax import LSoftmaxLoss
from vultus.training.losses.magface import MagFaceLoss
from vultus.training.losses.margin_softmax import MarginLoss
from vultus.training.losses.normface import NormFaceLoss
from vultus.training.losses.partial_fc import PartialFC
from vultus.training.losses.softmax import SoftmaxLoss

__all__ = [
    "ASoftmaxLoss",
    "AdaFaceLoss",
    "ArcFaceLoss",
    "CircleLoss",
    "CombinedMarginLoss",
    "CosFaceLoss",
    "CurricularFaceLoss",
    "LSoftmaxLoss",
    "MagFaceLoss",
    "MarginLoss",
    "NormFaceLoss",
    "PartialFC",
    "SoftmaxLoss",
    "circle_pair_loss",
]
