"""How good each stage of MTCNN is in the cascade, on images that it was not trained on.

    P-Net   the share of the faces that its first N proposals of an image cover: what it misses stays missed
    R-Net   average precision of its boxes, and the share of the faces that O-Net will get to see
    O-Net   average precision of the detector that ships, and the error of its landmarks

All of it runs through the detector's own stages. Faces under `min_face_px` are ignored.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np
from torch import nn

from vultus.detect.area_means import AreaMeans
from vultus.detect.mtcnn import MtcnnDetector, MtcnnSessions
from vultus.detect.mtcnn_stages import MAX_IOU, look, moved_by_pixels, pixel_edges
from vultus.detect.search import logit, sigmoid
from vultus.evaluate.box_ap import box_ap
from vultus.evaluate.landmark_error import landmark_nme
from vultus.geometry.boxes import Floats, iou, nms, squared
from vultus.interfaces import Session
from vultus.networks.torch_session import TorchSession
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.mtcnn_mining import Cascade
from vultus.training.data.mtcnn_targets import is_learnt
from vultus.training.data.sample import LoadedSamples
from vultus.types import Detections

COVERING_IOU: Final = 0.5  # of a proposal and the square of the face that it is to cover
MIN_SCORE: Final = 0.02  # of the last stage that is judged: average precision wants low scores too
PNET_MIN_SCORE: Final = 0.3


class MtcnnValidation:
    """Judges the network that comes after the given stages.

    Args:
        images: annotated ones.
        stages: the networks before it: none, P-Net, or P-Net and R-Net.
        min_face_px: smaller faces do not count, and the pyramid starts there.
        proposal_counts: of P-Net's best proposals, how many may cover the faces.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        stages: Sequence[Session] = (),
        *,
        min_face_px: float = 16.0,
        proposal_counts: Sequence[int] = (50, 200),
    ) -> None:
        self._truth = [
            replace(image, is_ignored=~is_learnt(image, min_face_px))  # as smaller faces are too
            for image in images
        ]
        self._samples = LoadedSamples(images, keep=True)
        self._stages = tuple(stages)
        self._min_face_px = min_face_px
        self._proposal_counts = tuple(proposal_counts)

    @property
    def best(self) -> str:
        """The figure that is to be as high as possible."""
        return f"recall_{self._proposal_counts[0]}" if not self._stages else "ap"

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        """The figures of the network."""
        session = TorchSession(network)
        measure = (self._judge_pnet, self._judge_rnet, self._judge_onet)[len(self._stages)]
        return measure(session)

    def _judge_pnet(self, pnet: Session) -> Mapping[str, float]:
        covered = dict.fromkeys(self._proposal_counts, 0)
        faces, proposals = 0, 0
        for number, truth in enumerate(self._truth):
            squares = self._proposals(AreaMeans(self._samples[number].image), pnet, min_score=PNET_MIN_SCORE)
            wanted = squared(truth.boxes[~truth.is_ignored])
            faces, proposals = faces + len(wanted), proposals + len(squares)
            for count in covered:
                overlap = iou(wanted, pixel_edges(squares[:count])).max(axis=1, initial=0)
                covered[count] += int((overlap >= COVERING_IOU).sum())
        recalls = {f"recall_{count}": each / max(1, faces) for count, each in covered.items()}
        return recalls | {"proposals": proposals / len(self._truth)}

    def _judge_rnet(self, rnet: Session) -> Mapping[str, float]:
        found = [
            self._refined(AreaMeans(self._samples[number].image), rnet) for number in range(len(self._truth))
        ]
        curve = box_ap(found, self._truth)
        return {"ap": curve.average_precision, "recall": curve.highest_recall}

    def _judge_onet(self, onet: Session) -> Mapping[str, float]:
        pnet, rnet = self._stages
        detector = MtcnnDetector(
            MtcnnSessions(pnet, rnet, onet), min_face_px=self._min_face_px, min_score=MIN_SCORE
        )
        found = [by_edges(detector.detect(self._samples[number].image)) for number in range(len(self._truth))]
        curve = box_ap(found, self._truth)
        error = landmark_nme(found, self._truth)
        return {"ap": curve.average_precision, "recall": curve.highest_recall, "nme": error.nme}

    def _proposals(self, picture: AreaMeans, pnet: Session, *, min_score: float) -> Floats:
        cascade = Cascade([pnet], min_scores=(min_score, min_score), min_face_px=self._min_face_px)
        return cascade.squares(picture)

    def _refined(self, picture: AreaMeans, rnet: Session) -> Detections:
        """What R-Net takes for faces, as a detector's answer: one box for a face, as after O-Net.

        O-Net gets to see several boxes of a face. Counted as false alarms, they would hide what R-Net knows.
        """
        squares = self._proposals(picture, self._stages[0], min_score=0.6)
        with ThreadPoolExecutor(1) as pool:
            (windows,) = look(
                rnet, [picture], squares=[squares], size_px=24, min_margin=logit(MIN_SCORE), pool=pool
            )
        boxes = pixel_edges(moved_by_pixels(windows)).astype(np.float32)
        kept = nms(boxes, windows.margins, max_iou=MAX_IOU, overlap="minimum")
        boxes, scores = boxes[kept], sigmoid(windows.margins[kept]).astype(np.float32)
        return Detections(boxes=boxes, scores=scores, landmarks=np.zeros((len(boxes), 5, 2), np.float32))


def by_edges(faces: Detections) -> Detections:
    """The boxes by their edges: the detector names the first and the last pixel."""
    return replace(faces, boxes=pixel_edges(faces.boxes).astype(np.float32))
