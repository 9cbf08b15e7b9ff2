"""MTCNN detection: an image pyramid, then three networks that look closer at fewer windows.

1. P-Net scores every 12x12 window of every level of a pyramid. Its scales s are 12 / min_face_px, times
   `scale_factor` from level to level, while the shorter side stays at least 12. Cell (x, y) is the window
   x1 = floor((2x + 1) / s), x2 = floor((2x + 12) / s), likewise y. Non-maximum suppression keeps overlaps
   up to 0.5 within a level and 0.7 across levels, the offsets move the edges, windows grow to squares.
2. R-Net looks at each square, reduced to 24x24: suppression at 0.7, offsets, squares again.
3. O-Net looks at each of these, reduced to 48x48: landmarks, offsets (no squares any more), suppression at
   0.7 of the *smaller* box, so that a box inside a face goes too.

Networks see RGB, (x - 127.5) / 128, and answer logits. P(face) = sigmoid(face - not a face) reaches
its threshold where the difference reaches the threshold's own logit: only those windows are decoded.

**The +1 convention** is kept as published: a box names its first and its last pixel, counted from 1. It is
x2 - x1 + 1 pixels wide (`pixel_counts`), from the edge x1 - 1 to the edge x2 (`pixel_edges`): this is what is
cut out, what offsets and landmarks of R-Net and O-Net are measured in, and what the last suppression
compares. P-Net's offsets and the other suppressions measure x2 - x1, as the ports of the public weights do.
Boxes come out as all ports give them, unconverted.

Beyond the border of the image a crop is black, as in the authors' code. (Ports that cut the crop at the
border instead stretch the face in it.) Boxes and landmarks reach outside the image where the face does.

The stages are in `vultus.detect.mtcnn_stages`, the crops and the pyramid in `vultus.detect.area_means`.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks.
IEEE Signal Processing Letters 2016. https://arxiv.org/abs/1604.02878
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self, TypedDict, Unpack

from vultus.detect.area_means import AreaMeans
from vultus.detect.explanation import FLOOR, Explained, checked_floor
from vultus.detect.mtcnn_stages import (
    MAX_IOU,
    WINDOW_PX,
    Windows,
    decide,
    look,
    nearly_decided,
    propose,
    refine,
)
from vultus.detect.search import Search, logit
from vultus.errors import InputError, WeightsError
from vultus.interfaces import Session
from vultus.runtime.device import usable_cores
from vultus.runtime.onnx import CPU
from vultus.runtime.opening import Runtime, open_session
from vultus.types import Detections, Image, checked_image
from vultus.weights import store
from vultus.weights.catalog import find
from vultus.weights.description import MtcnnDecoding
from vultus.weights.environment import compiled_folder

DEFAULT_WEIGHTS: Final = "mtcnn"
FILES: Final = ("mtcnn_pnet.onnx", "mtcnn_rnet.onnx", "mtcnn_onet.onnx")
PIXELS_PER_GROUP: Final = 4_000_000  # images that are searched together: bounds the memory of a long batch


class MtcnnSessions(NamedTuple):
    """The three networks, ready to run.

    Attributes:
        pnet: answers logits (1, 2, rows, columns) and offsets (1, 4, rows, columns) to any (1, 3, H, W).
        rnet: answers logits (N, 2) and offsets (N, 4) to (N, 3, 24, 24).
        onet: answers logits (N, 2), offsets (N, 4) and landmarks (N, 10) to (N, 3, 48, 48).
    """

    pnet: Session
    rnet: Session
    onet: Session


class MtcnnOptions(TypedDict, total=False):
    """What can be chosen about MTCNN; see `MtcnnDetector`."""

    min_face_px: float
    scale_factor: float
    stage_min_scores: Sequence[float]
    min_score: float
    max_faces: int | None


class MtcnnDetector:
    """Finds faces with MTCNN. Safe to call from several threads.

    Args:
        sessions: the networks.
        min_face_px: faces down to about this size are found. Twice the size takes a quarter of the time.
        scale_factor: from one level of the pyramid to the next. Closer to 1 searches more thoroughly.
        stage_min_scores: what P-Net and R-Net must give a window for the next network to look at it.
        min_score: what O-Net must give a face. The ports of the public weights take 0.7. With 0.9 each of
            2,317 LFW images still has a face, and a sixth of those with several have one only.
        max_faces: of more faces than this, only those with the best scores are kept; None keeps all.
        threads: how many runs of a network go on at once within one call.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self,
        sessions: MtcnnSessions,
        *,
        min_face_px: float = 20,
        scale_factor: float = 0.709,
        stage_min_scores: Sequence[float] = (0.6, 0.7),
        min_score: float = 0.9,
        max_faces: int | None = None,
        threads: int = 1,
    ) -> None:
        if not min_face_px >= 1:
            raise InputError(f"min_face_px must be at least 1, got {min_face_px}")
        if not 0 < scale_factor < 1:
            raise InputError(f"scale_factor must lie between 0 and 1, got {scale_factor}")
        if len(stage_min_scores) != 2 or not all(0 < score < 1 for score in stage_min_scores):
            raise InputError(f"stage_min_scores must be two numbers between 0 and 1, got {stage_min_scores}")
        if threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        self.search = Search(min_score=min_score, max_faces=max_faces, max_iou=MAX_IOU, overlap="minimum")
        self._sessions = sessions
        self._stage_min_margins = [logit(score) for score in stage_min_scores]
        self.min_face_px = min_face_px
        self.scale_factor = scale_factor
        self.threads = threads

    @classmethod
    def load(
        cls,
        weights: str | Path = DEFAULT_WEIGHTS,
        *,
        threads: int | None = None,
        providers: Sequence[str] = (CPU,),
        runtime: Runtime = "onnx",
        **options: Unpack[MtcnnOptions],
    ) -> Self:
        """The detector on ONNX Runtime, or on OpenVINO.

        Args:
            weights: a name in the catalogue, or a folder with `FILES`; by default the public ones, which come
                with the package.
            threads: how many runs of a network go on at once within one call; None means one per core. Each
                run keeps to one thread: networks this small lose more by dividing a run than they gain.
            providers: execution providers in order of preference.
            runtime: which library runs the networks.
            options: as for the class; `stage_min_scores` are by default those of the weights.

        Raises:
            WeightsError: the weights are unknown, missing, or another architecture's.
            ChecksumError: a file of the catalogue is damaged.
            DeviceError: a provider does not run here.
            MissingExtraError: the runtime is not installed.
            InputError: an option is out of its range.
        """
        known = find(weights)
        sessions = [
            open_session(
                model,
                runtime=runtime,
                providers=providers,
                threads=1,
                is_bf16_faithful=known is not None and known.is_bf16_faithful,
                compiled=compiled_folder(),
            )
            for model in read_models(weights)
        ]
        if known is not None and isinstance(known.decoding, MtcnnDecoding):
            options.setdefault("stage_min_scores", known.decoding.stage_min_scores)
        return cls(
            MtcnnSessions(*sessions), threads=usable_cores() if threads is None else threads, **options
        )

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
        found = self._look(images, min_score=self.search.min_score)
        return [decide(windows)[: self.search.max_faces] for windows in found]

    def explain(self, image: Image, *, floor: float = FLOOR) -> Explained:
        """The faces of one image, and what O-Net gave at least `floor` without its becoming one.

        Raises:
            ShapeError: not an (H, W, 3) uint8 array.
            InputError: `floor` does not lie between 0 and 1.
        """
        search = self.search
        (windows,) = self._look([image], min_score=checked_floor(floor, min_score=search.min_score))
        faces = decide(windows.at(windows.margins >= logit(search.min_score)))[: search.max_faces]
        return Explained(faces, nearly_decided(windows, search))

    def _look(self, images: Sequence[Image], *, min_score: float) -> list[Windows]:
        """What O-Net takes for faces in each image."""
        groups = in_groups([checked_image(image) for image in images])
        with ThreadPoolExecutor(self.threads) as pool:  # one per call: a lasting one would not survive a fork
            together = partial(self._look_together, pool=pool, min_score=min_score)
            return [windows for group in groups for windows in together(group)]

    def _look_together(self, images: Sequence[Image], *, pool: Executor, min_score: float) -> list[Windows]:
        pictures = [AreaMeans(image) for image in images]
        pnet, rnet, onet = self._sessions
        p_margin, r_margin = self._stage_min_margins
        scales = [
            pyramid_scales(picture.size_hw, self.min_face_px, scale_factor=self.scale_factor)
            for picture in pictures
        ]
        squares = propose(pnet, pictures, scales=scales, min_margin=p_margin, pool=pool)
        seen = look(rnet, pictures, squares=squares, size_px=24, min_margin=r_margin, pool=pool)
        squares = [refine(windows) for windows in seen]
        return look(onet, pictures, squares=squares, size_px=48, min_margin=logit(min_score), pool=pool)


def read_models(weights: str | Path) -> list[bytes]:
    """The three ONNX files, of an entry of the catalogue or in a folder.

    Raises:
        WeightsError: neither of that name, or one of the files is missing.
        ChecksumError: a file of the catalogue is damaged.
    """
    known = find(weights)
    if known is None:
        try:
            return [(Path(weights) / name).read_bytes() for name in FILES]
        except OSError as error:
            raise WeightsError(
                f"there are no weights named {str(weights)!r}, and no folder of that name with "
                f"{', '.join(FILES)}: {error}"
            ) from error
    if [Path(file.name).suffix for file in known.files] != [".onnx"] * len(FILES):
        raise WeightsError(f"{known.name} is {known.architecture}; mtcnn takes its three networks as ONNX")
    return [store.read(known, file.name) for file in known.files]


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
