"""RetinaFace detection: one look at the whole image, at any size.

The network answers, for each of A anchors, two class logits and what moves the anchor onto a face and its
landmarks (`vultus.geometry.anchors` has the equations). P(face) = sigmoid(face - not a face) reaches
`min_score` where the difference of the logits reaches the score's own logit: only those anchors are decoded.

What a checkpoint does not tell (activation, anchor sides, channel order) stands in its catalogue entry, or in
the ONNX file that Vultus exported. The image is fed as it is, without padding: the network takes any size.

Differs from the public code: the score is compared with >=, boxes are in edges (no +1), nothing is rounded.

Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Self, Unpack

import numpy as np

from vultus.detect.explanation import FLOOR, Explained
from vultus.detect.loading import open_weights
from vultus.detect.search import Candidates, Search, SearchOptions, logit, sigmoid
from vultus.detect.single_shot import Look, explain, find, needed_px
from vultus.geometry.anchors import decode_boxes, decode_landmarks, square_anchors
from vultus.interfaces import Session
from vultus.runtime.onnx import CPU
from vultus.runtime.opening import Runtime
from vultus.types import Detections, FloatArray, Image
from vultus.weights.description import Preprocessing, RetinaFaceDecoding

DEFAULT_WEIGHTS: Final = "retinaface-mobilenet0.25"


class RetinaFaceDetector:
    """Finds faces with RetinaFace. Safe to call from several threads.

    Args:
        session: the network: answers class logits (N, A, 2), background first, box deltas (N, A, 4) and
            landmark deltas (N, A, 10) to any (N, 3, H, W).
        preprocessing: its colours.
        decoding: its anchors.
        options: as for `Search`.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self,
        session: Session,
        *,
        preprocessing: Preprocessing,
        decoding: RetinaFaceDecoding,
        **options: Unpack[SearchOptions],
    ) -> None:
        self.search = Search(**options)
        self._look = Look(session, preprocessing, partial(decode, decoding=decoding))

    @classmethod
    def load(
        cls,
        weights: str | Path = DEFAULT_WEIGHTS,
        *,
        threads: int | None = None,
        providers: Sequence[str] = (CPU,),
        runtime: Runtime = "onnx",
        **options: Unpack[SearchOptions],
    ) -> Self:
        """The detector on ONNX Runtime, or on OpenVINO.

        Args:
            weights: a name in the catalogue, or an ONNX file that Vultus exported; by default the public
                mobilenet0.25, which comes with the package.
            threads: threads inside one call of the network; None leaves it to the runtime.
            providers: execution providers in order of preference.
            runtime: which library runs the network.
            options: as for the class.

        Raises:
            WeightsError: the weights are unknown, missing, another architecture's, or say too little.
            ChecksumError: a file of the catalogue is damaged.
            DeviceError: a provider does not run here.
            MissingExtraError: the runtime is not installed.
            InputError: an option is out of its range.
        """
        opened = open_weights(
            weights, RetinaFaceDecoding, threads=threads, providers=providers, runtime=runtime
        )
        return cls(opened.session, preprocessing=opened.preprocessing, decoding=opened.decoding, **options)

    @property
    def needed_px(self) -> int | None:
        """From which longer side on a larger image shows it nothing more; None where every pixel counts."""
        return needed_px(self._look, self.search)

    def detect(self, image: Image) -> Detections:
        """The faces of one (H, W, 3) RGB image, best score first.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        """The faces of each image, which may differ in size; those of one input size are run together.

        Raises:
            ShapeError: one of them is not an (H, W, 3) uint8 array.
        """
        return find(images, self._look, self.search)

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        """The faces of one image, and what scored at least `floor` without becoming one.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
            InputError: `floor` does not lie between 0 and 1.
        """
        return explain(image, self._look, self.search, floor=floor)


def decode(
    outputs: Sequence[FloatArray],
    size_hw: tuple[int, int],
    min_score: float,
    *,
    decoding: RetinaFaceDecoding,
) -> list[Candidates]:
    """What the network found in each image of a batch, in pixels of its input.

    Args:
        outputs: in the order of `decoding.outputs`: class logits or probabilities (N, A, 2), box deltas
            (N, A, 4), landmark deltas (N, A, 10).
        size_hw: height and width of the network's input.
        min_score: only anchors with at least this score are decoded.
        decoding: the anchors, and the order of the outputs.
    """
    if decoding.outputs == "boxes_probabilities_landmarks":
        box_deltas, probabilities, landmark_deltas = outputs
        with np.errstate(divide="ignore"):  # a network may be certain
            class_logits = np.log(probabilities)
    else:
        class_logits, box_deltas, landmark_deltas = outputs
    anchors, variances = anchors_of(size_hw, decoding), decoding.variances
    margins = class_logits[..., 1] - class_logits[..., 0]  # (N, A)
    candidates = []
    for i, is_face in enumerate(margins >= logit(min_score)):
        chosen = anchors[is_face]
        candidates.append(
            Candidates(
                decode_boxes(box_deltas[i, is_face], chosen, variances=variances),
                sigmoid(margins[i, is_face]),
                decode_landmarks(landmark_deltas[i, is_face], chosen, variances=variances),
            )
        )
    return candidates


@lru_cache(maxsize=8)
def anchors_of(size_hw: tuple[int, int], decoding: RetinaFaceDecoding) -> FloatArray:
    """(A, 4) centre x, centre y, width, height; kept, since images of one size often follow each other."""
    anchors = square_anchors(size_hw, min_sizes=decoding.min_sizes, strides=decoding.steps)
    anchors.flags.writeable = False
    return anchors
