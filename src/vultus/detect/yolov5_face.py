"""YOLOv5-Face detection: one look at the letterboxed image.

The network answers, for three anchors in each cell of each map, 16 numbers t: box 4, objectness, landmarks
10, class. In row i, column j of the map with stride s, for an anchor of a_w x a_h pixels:

    x = (2 sigmoid(t_x) - 0.5 + j) s      w = (2 sigmoid(t_w))^2 a_w      landmark x = t a_w + j s

(y and h alike, with i); the score is sigmoid(t_objectness) sigmoid(t_class). It cannot reach `min_score`
unless objectness alone does: only those anchors are decoded.

Some exported networks decode by themselves, and answer rows of box centre and size, objectness, landmarks and
class; the catalogue entry says which, and so does an ONNX file that Vultus exported.

Written from the paper. Differs from YOLOv5: the letterbox is exact (no minimum rectangle, no rounding on the
way back), boxes and landmarks are not clipped to the image.

Qi, Tan, Yao, Liu: YOLO5Face: Why reinventing a face detector. ECCVW 2022. https://arxiv.org/abs/2105.12931
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self, Unpack

import numpy as np

from vultus.detect.explanation import FLOOR, Explained
from vultus.detect.loading import open_weights, weights_names
from vultus.detect.search import Candidates, Search, SearchOptions, joined, logit, sigmoid
from vultus.detect.single_shot import Look, explain, find, needed_px
from vultus.errors import WeightsError
from vultus.interfaces import Session
from vultus.runtime.onnx import CPU
from vultus.runtime.opening import Runtime
from vultus.types import Detections, FloatArray, Image
from vultus.weights.description import Preprocessing, Yolov5FaceDecoding

FULL_FACE_PX: Final = 480  # of 23 faces that fill the photo, n-0.5 finds 22 at 480 px, and 15 at 640
OBJECTNESS: Final = 4  # positions among the 16 numbers
LANDMARKS: Final = slice(5, 15)
CLASS: Final = 15


class Yolov5FaceDetector:
    """Finds faces with YOLOv5-Face. Safe to call from several threads.

    Args:
        session: the network: answers (N, 3, H / s, W / s, 16) for each stride s, finest first, to any
            (N, 3, H, W) whose sides are multiples of the largest stride (or to one size only).
        preprocessing: its colours, and its input's size where that is fixed.
        decoding: its strides and anchors, and the form of its outputs.
        options: as for `Search`; `longest_px` is 640 unless given.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self,
        session: Session,
        *,
        preprocessing: Preprocessing,
        decoding: Yolov5FaceDecoding,
        **options: Unpack[SearchOptions],
    ) -> None:
        self.search = Search(**(SearchOptions(longest_px=640) | options))
        self._look = Look(
            session,
            preprocessing,
            lambda outputs, _, min_score: decode(outputs, min_score, decoding=decoding),
            multiple=decoding.strides[-1],
            pad_value=decoding.pad_value,
            full_face_px=FULL_FACE_PX,
        )

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        *,
        threads: int | None = None,
        providers: Sequence[str] = (CPU,),
        runtime: Runtime = "onnx",
        **options: Unpack[SearchOptions],
    ) -> Self:
        """The detector on ONNX Runtime, or on OpenVINO.

        Args:
            weights: a name in the catalogue, or an ONNX file: one that the catalogue knows by its SHA-256, or
                one that Vultus exported. None come with the package: the public ones are GPL-3.0.
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
        if weights is None:
            names = ", ".join(weights_names(Yolov5FaceDecoding))
            raise WeightsError(
                f"no weights come with yolov5_face, because the public ones are GPL-3.0: say which you want. "
                f"There are {names}; or an ONNX file that vultus.export.yolov5_face made"
            )
        opened = open_weights(
            weights, Yolov5FaceDecoding, threads=threads, providers=providers, runtime=runtime
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
    outputs: Sequence[FloatArray], min_score: float, *, decoding: Yolov5FaceDecoding
) -> list[Candidates]:
    """What the network found in each image of a batch, in pixels of its input.

    Args:
        outputs: one map per stride; or (N, A, 16) rows, if the network decodes by itself.
        min_score: anchors whose objectness alone does not reach it are not decoded.
        decoding: strides, anchors, and the form of the outputs.
    """
    if decoding.outputs == "rows":
        return [decode_rows(rows, min_score) for rows in outputs[0]]
    levels = list(zip(outputs, decoding.strides, decoding.anchors_wh, strict=True))
    return [
        joined(
            [
                decode_map(output[i], min_score, stride=stride, anchors_wh=anchors_wh)
                for output, stride, anchors_wh in levels
            ]
        )
        for i in range(len(outputs[0]))
    ]


def decode_map(
    output: FloatArray, min_score: float, *, stride: int, anchors_wh: Sequence[tuple[int, int]]
) -> Candidates:
    """What one image's map of shape (3, rows, columns, 16) shows."""
    anchor, row, column = np.nonzero(output[..., OBJECTNESS] >= logit(min_score))
    values = output[anchor, row, column].astype(np.float64)  # (K, 16)
    corners = np.stack([column, row], axis=1) * stride  # (K, 2) where the cells begin
    sizes = np.array(anchors_wh)[anchor]  # (K, 2)
    centres = (2 * sigmoid(values[:, :2]) - 0.5) * stride + corners
    halves = (2 * sigmoid(values[:, 2:4])) ** 2 * sizes / 2
    points = values[:, LANDMARKS].reshape(-1, 5, 2) * sizes[:, None] + corners[:, None]
    scores = sigmoid(values[:, OBJECTNESS]) * sigmoid(values[:, CLASS])
    return Candidates(np.concatenate([centres - halves, centres + halves], axis=1), scores, points)


def decode_rows(rows: FloatArray, min_score: float) -> Candidates:
    """What one image's (A, 16) rows show: centre x, centre y, width, height; objectness; landmarks; class."""
    values = rows[rows[:, OBJECTNESS] >= min_score].astype(np.float64)
    centres, halves = values[:, :2], values[:, 2:4] / 2
    return Candidates(
        np.concatenate([centres - halves, centres + halves], axis=1),
        values[:, OBJECTNESS] * values[:, CLASS],
        values[:, LANDMARKS].reshape(-1, 5, 2),
    )
