"""MTCNN detection: an image pyramid, then three networks that look closer at fewer windows.

1. P-Net scores every 12x12 window of every level of a pyramid. Its scales s are 12 / min_face_px, times
   `scale_factor` from level to level, while the shorter side stays at least 12. Cell (x, y) is the window
   x1 = floor((2x + 1) / s), x2 = floor((2x + 12) / s), likewise y. Non-maximum suppression keeps overlaps
   up to 0.5 within a level and 0.7 across levels, the offsets move the edges, windows grow to squares.
2. R-Net looks at each square, reduced to 24x24: suppression at 0.7, offsets, squares again.
3. O-Net looks at each of these, reduced to 48x48: landmarks, offsets (no squares any more), suppression at
   0.7 of the *smaller* box, so that a box inside a face goes too.

Networks see RGB, (x - 127.5) / 128, and answer logits. P(face) = sigmoid(face - not a face) reaches
`min_scores` where the difference reaches the threshold's own logit: only those windows are decoded.

**The +1 convention** is kept as published: a box names its first and its last pixel, counted from 1. Its
pixels therefore reach from the edge x1 - 1 to the edge x2 (`pixel_edges`): this is what is cut out, what
offsets and landmarks of R-Net and O-Net are measured in, and what the last suppression compares. P-Net's
offsets and the other suppressions measure x2 - x1, as the ports of the public weights do. Boxes come out
as all ports give them, unconverted.

Beyond the border of the image a crop is black, as in the authors' code. (Ports that cut the crop at the
border instead stretch the face in it.) Boxes and landmarks reach outside the image where the face does.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks.
IEEE Signal Processing Letters 2016. https://arxiv.org/abs/1604.02878
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from vultus.detect.area_means import AreaMeans
from vultus.errors import InputError
from vultus.geometry.boxes import Floats, moved, nms, squared
from vultus.interfaces import Session
from vultus.runtime.onnx import CPU, OnnxSession
from vultus.types import Detections, FloatArray, Image, checked_image
from vultus.weights import store

WINDOW_PX: Final = 12  # what P-Net sees at once, every 2 pixels
LEVEL_MAX_IOU: Final = 0.5
MAX_IOU: Final = 0.7

STRIP_PX: Final = 65_536  # P-Net runs on strips of about this many pixels, so that its maps stay in the cache
CROPS_PER_RUN: Final = 16  # likewise R-Net and O-Net
PIXELS_PER_GROUP: Final = 4_000_000  # images whose crops share a run: bounds the memory of a long batch

FIRST_PIXEL: Final = np.array([1, 1, 0, 0], np.float32)


class MtcnnOptions(TypedDict, total=False):
    """What can be chosen about MTCNN; see `MtcnnDetector`."""

    min_face_px: float
    scale_factor: float
    min_scores: Sequence[float]


class Windows(NamedTuple):
    """N windows of one image that a network takes for faces.

    Attributes:
        boxes: (N, 4) first and last pixel, counted from 1.
        margins: (N,) logit of "face" minus logit of "not a face".
        offsets: (N, 4) how far the edges of the face lie from those of the box, in box sides.
        landmarks: (N, 10) x1..x5 y1..y5, in box sides from its corner; (N, 0) where the network has none.
    """

    boxes: Floats
    margins: Floats
    offsets: Floats
    landmarks: Floats

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Windows":
        """Those at these positions, or under this mask."""
        return Windows(*(part[chosen] for part in self))


class MtcnnDetector:
    """Finds faces with MTCNN. Safe to call from several threads.

    Args:
        pnet: answers logits (1, 2, rows, columns) and offsets (1, 4, rows, columns) to any (1, 3, H, W).
        rnet: answers logits (N, 2) and offsets (N, 4) to (N, 3, 24, 24).
        onet: answers logits (N, 2), offsets (N, 4) and landmarks (N, 10) to (N, 3, 48, 48).
        min_face_px: faces down to about this size are found. Twice the size takes a quarter of the time.
        scale_factor: from one level of the pyramid to the next. Closer to 1 searches more thoroughly.
        min_scores: what P-Net, R-Net and O-Net must give a window, between 0 and 1.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self,
        *,
        pnet: Session,
        rnet: Session,
        onet: Session,
        min_face_px: float = 20,
        scale_factor: float = 0.709,
        min_scores: Sequence[float] = (0.6, 0.7, 0.7),
    ) -> None:
        if not min_face_px >= 1:
            raise InputError(f"min_face_px must be at least 1, got {min_face_px}")
        if not 0 < scale_factor < 1:
            raise InputError(f"scale_factor must lie between 0 and 1, got {scale_factor}")
        if len(min_scores) != 3 or not all(0 < score < 1 for score in min_scores):
            raise InputError(f"min_scores must be three numbers between 0 and 1, got {min_scores}")
        self._pnet, self._rnet, self._onet = pnet, rnet, onet
        self._min_margins = [math.log(score / (1 - score)) for score in min_scores]
        self.min_face_px = min_face_px
        self.scale_factor = scale_factor
        self.min_scores = tuple(min_scores)

    @classmethod
    def load(
        cls,
        *,
        threads: int | None = None,
        providers: Sequence[str] = (CPU,),
        **options: Unpack[MtcnnOptions],
    ) -> Self:
        """The detector with the public weights, on ONNX Runtime.

        Args:
            threads: threads inside one call of a network; None leaves it to ONNX Runtime.
            providers: execution providers in order of preference.
            options: as for the class.

        Raises:
            WeightsError, ChecksumError: the shipped files are missing or damaged.
            DeviceError: a provider does not run here.
            InputError: an option is out of its range.
        """
        pnet, rnet, onet = (
            OnnxSession(
                store.read("mtcnn", f"mtcnn_{name}.onnx"),
                providers=providers,
                threads=threads,
                max_batch=CROPS_PER_RUN,
            )
            for name in ("pnet", "rnet", "onet")
        )
        return cls(pnet=pnet, rnet=rnet, onet=onet, **options)

    def detect(self, image: Image) -> Detections:
        """The faces of one (H, W, 3) RGB image, best score first; none where it is smaller than any face.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        """The faces of each image, which may differ in size; R-Net and O-Net look at several images at once.

        Raises:
            ShapeError: one of them is not an (H, W, 3) uint8 array.
        """
        groups = in_groups([checked_image(image) for image in images])
        return [faces for group in groups for faces in self._detect_together(group)]

    def _detect_together(self, images: Sequence[Image]) -> list[Detections]:
        pictures = [AreaMeans(image) for image in images]
        _, r_margin, o_margin = self._min_margins
        squares = [self._propose(picture) for picture in pictures]
        seen = look(self._rnet, pictures, squares=squares, size_px=24, min_margin=r_margin)
        squares = [refine(windows) for windows in seen]
        seen = look(self._onet, pictures, squares=squares, size_px=48, min_margin=o_margin)
        return [decide(windows) for windows in seen]

    def _propose(self, picture: AreaMeans) -> Floats:
        """Stage 1: the (N, 4) squares of one image that may hold a face."""
        levels = []
        for scale in pyramid_scales(picture.size_hw, self.min_face_px, scale_factor=self.scale_factor):
            windows = scan(self._pnet, picture, scale=scale, min_margin=self._min_margins[0])
            levels.append(windows.at(nms(windows.boxes, windows.margins, max_iou=LEVEL_MAX_IOU)))
        if not levels:
            return np.zeros((0, 4), np.float32)
        windows = joined(levels)
        windows = windows.at(nms(windows.boxes, windows.margins, max_iou=MAX_IOU))
        return squared(moved(windows.boxes, windows.offsets))


def in_groups(images: Sequence[Image]) -> Iterator[Sequence[Image]]:
    """The images in order, in runs of about `PIXELS_PER_GROUP`; a larger image stands alone."""
    first, pixels = 0, 0
    for i, image in enumerate(images):
        size = image.shape[0] * image.shape[1]
        if i > first and pixels + size > PIXELS_PER_GROUP:
            yield images[first:i]
            first, pixels = i, 0
        pixels += size
    if first < len(images):
        yield images[first:]


def pyramid_scales(size_hw: tuple[int, int], min_face_px: float, *, scale_factor: float) -> list[float]:
    """The scales at which faces of `min_face_px`, and then larger ones, fill P-Net's window."""
    scales = []
    scale = WINDOW_PX / min_face_px
    shorter_side = min(size_hw) * scale
    while shorter_side >= WINDOW_PX:
        scales.append(scale)
        scale *= scale_factor
        shorter_side *= scale_factor
    return scales


def scan(pnet: Session, picture: AreaMeans, *, scale: float, min_margin: float) -> Windows:
    """The windows of one level of the pyramid that P-Net takes for faces.

    It looks at one horizontal strip after the other. The answer is that of the whole level: the convolutions
    are unpadded, and each strip starts at an even row, where P-Net's pooling starts a window too.
    """
    height, width = (int(side * scale + 1) for side in picture.size_hw)
    row_count = (
        height - 9
    ) // 2  # of cells: one in 12 rows of pixels, and one more for every 2, begun or full
    step = max(1, STRIP_PX // (2 * width))
    strips = []
    for first in range(0, row_count, step):
        pixel_rows = slice(2 * first, min(2 * (first + step) + 10, height))
        strip = picture.reduced((height, width), pixel_rows)
        logits, offsets = pnet.run(network_input(strip[None]))[:2]
        margins = logits[0, 1] - logits[0, 0]  # (rows, columns)
        rows, columns = np.nonzero(margins >= min_margin)
        boxes = cell_boxes(rows + first, columns, scale=scale)
        strips.append(Windows(boxes, margins[rows, columns], offsets[0, :, rows, columns], boxes[:, :0]))
    return joined(strips)


def cell_boxes(rows: NDArray[np.intp], columns: NDArray[np.intp], *, scale: float) -> FloatArray:
    """The (N, 4) windows of P-Net's cells, in pixels of the original image: first and last, counted from 1.

    In float32, as in the ports: near whole numbers, rounding decides what `floor` makes of a quotient.
    """
    corners = 2 * np.stack([columns, rows, columns, rows], axis=1) + [1, 1, WINDOW_PX, WINDOW_PX]
    boxes: FloatArray = np.floor(corners.astype(np.float32) / np.float32(scale))
    return boxes


def look(
    network: Session,
    pictures: Sequence[AreaMeans],
    *,
    squares: Sequence[Floats],
    size_px: int,
    min_margin: float,
) -> list[Windows]:
    """What a network for crops takes for faces among the squares of each image, all in one run."""
    visible = [
        boxes[is_visible(boxes, picture.size_hw)] for picture, boxes in zip(pictures, squares, strict=True)
    ]
    crops = [
        picture.crops(crop_edges(boxes), size_px) for picture, boxes in zip(pictures, visible, strict=True)
    ]
    boxes = np.concatenate(visible)
    if not len(boxes):
        return [Windows(none, none[:, 0], none, np.zeros((0, 10), np.float32)) for none in visible]
    logits, offsets, *landmarks = network.run(network_input(np.concatenate(crops)))
    windows = Windows(
        boxes, logits[:, 1] - logits[:, 0], offsets, landmarks[0] if landmarks else boxes[:, :0]
    )
    is_face = windows.margins > min_margin
    image_indices = np.repeat(np.arange(len(visible)), [len(boxes) for boxes in visible])
    return [windows.at(is_face & (image_indices == i)) for i in range(len(visible))]


def refine(windows: Windows) -> Floats:
    """Stage 2: the (N, 4) squares that remain of what R-Net takes for faces."""
    windows = windows.at(nms(windows.boxes, windows.margins, max_iou=MAX_IOU))
    return squared(moved_by_pixels(windows))


def decide(windows: Windows) -> Detections:
    """Stage 3: the faces among what O-Net takes for faces."""
    boxes = moved_by_pixels(windows)
    kept = nms(pixel_edges(boxes), windows.margins, max_iou=MAX_IOU, overlap="minimum")
    corners, sides = pixel_edges(windows.boxes)[kept, None, :2], pixel_counts(windows.boxes)[kept, None]
    landmarks = windows.landmarks[kept].reshape(-1, 2, 5).transpose(0, 2, 1)  # (K, 5, 2)
    return Detections(
        boxes=boxes[kept].astype(np.float32),
        scores=(1 / (1 + np.exp(-windows.margins[kept]))).astype(np.float32),
        landmarks=(landmarks * sides + corners).astype(np.float32),
    )


def moved_by_pixels(windows: Windows) -> Floats:
    """The (N, 4) boxes after their offsets, which R-Net and O-Net measure in pixels that the box names."""
    return windows.boxes + windows.offsets * np.tile(pixel_counts(windows.boxes), 2)


def pixel_counts(boxes: Floats) -> Floats:
    """(N, 2) how many pixels wide and high each box is: it names its first and its last."""
    return boxes[:, 2:] - boxes[:, :2] + 1


def pixel_edges(boxes: Floats) -> Floats:
    """(N, 4) where these pixels begin and end: the first, counted from 1, begins at x1 - 1."""
    return boxes - FIRST_PIXEL


def crop_edges(boxes: Floats) -> NDArray[np.int64]:
    """The edges of whole pixels, for cutting out."""
    return pixel_edges(np.floor(boxes)).astype(np.int64)


def is_visible(boxes: Floats, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) whether any pixel of the box lies in the image."""
    x1, y1, x2, y2 = crop_edges(boxes).T
    height, width = size_hw
    is_across = np.maximum(x1, 0) < np.minimum(x2, width)
    return np.asarray(is_across & (np.maximum(y1, 0) < np.minimum(y2, height)))


def network_input(means: FloatArray) -> FloatArray:
    """What the networks were trained on: 0..255 brought to about -1..1, in place."""
    means -= 127.5
    means /= 128
    return means


def joined(parts: Sequence[Windows]) -> Windows:
    """All windows in one."""
    return Windows(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))
