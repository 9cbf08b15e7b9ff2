"""The losses, one file each: small functions under a thin module. Needs the extra `train`.

Classification: class weights, and how a cosine becomes a logit. `ArcFaceLoss(512, 1000)(embeddings, labels)`
is the mean loss of a batch; `PartialFC(partial(ArcFaceLoss, 512), 1_000_000)` spreads the same over
processes.

Pairs and triplets of embeddings: contrastive, cosine contrastive, triplet (its mining is in
`training/mining.py`). Detectors: what MTCNN, RetinaFace and YOLOv5-Face learn by. Distillation, domain
adaptation (MMD, CORAL, joint) and learning without labels (NT-Xent, MoCo).
"""

from vultus.training.losses.a_softmax import ASoftmaxLoss
from vultus.training.losses.adaface import AdaFaceLoss
from vultus.training.losses.arcface import ArcFaceLoss
from vultus.training.losses.center import CenterLoss, SoftmaxCenterLoss
from vultus.training.losses.circle import CircleLoss, circle_pair_loss
from vultus.training.losses.combined_margin import CombinedMarginLoss
from vultus.training.losses.contrastive import ContrastiveLoss
from vultus.training.losses.coral import CoralLoss
from vultus.training.losses.cosface import CosFaceLoss
from vultus.training.losses.cosine_contrastive import CosineContrastiveLoss
from vultus.training.losses.curricularface import CurricularFaceLoss
from vultus.training.losses.distillation import (
    EmbeddingDistillationLoss,
    LogitDistillationLoss,
    RelationalDistillationLoss,
)
from vultus.training.losses.joint_domains import JointDomainsLoss
from vultus.training.losses.l_softmax import LSoftmaxLoss
from vultus.training.losses.magface import MagFaceLoss
from vultus.training.losses.margin_softmax import MarginLoss
from vultus.training.losses.mmd import MMDLoss
from vultus.training.losses.moco_info_nce import MoCoInfoNCELoss
from vultus.training.losses.mtcnn_multitask import MTCNNMultitaskLoss
from vultus.training.losses.multibox import MultiBoxLoss
from vultus.training.losses.normface import NormFaceLoss
from vultus.training.losses.nt_xent import NTXentLoss
from vultus.training.losses.partial_fc import PartialFC
from vultus.training.losses.softmax import SoftmaxLoss
from vultus.training.losses.triplet import TripletLoss
from vultus.training.losses.wing import WingLoss
from vultus.training.losses.yolov5_face import YOLOv5FaceLoss

__all__ = [
    "ASoftmaxLoss",
    "AdaFaceLoss",
    "ArcFaceLoss",
    "CenterLoss",
    "CircleLoss",
    "CombinedMarginLoss",
    "ContrastiveLoss",
    "CoralLoss",
    "CosFaceLoss",
    "CosineContrastiveLoss",
    "CurricularFaceLoss",
    "EmbeddingDistillationLoss",
    "JointDomainsLoss",
    "LSoftmaxLoss",
    "LogitDistillationLoss",
    "MMDLoss",
    "MTCNNMultitaskLoss",
    "MagFaceLoss",
    "MarginLoss",
    "MoCoInfoNCELoss",
    "MultiBoxLoss",
    "NTXentLoss",
    "NormFaceLoss",
    "PartialFC",
    "RelationalDistillationLoss",
    "SoftmaxCenterLoss",
    "SoftmaxLoss",
    "TripletLoss",
    "WingLoss",
    "YOLOv5FaceLoss",
    "circle_pair_loss",
]
