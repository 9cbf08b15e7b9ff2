"""Face detectors: data only."""

from typing import Final

from vultus.weights.description import (
    Bf16Gate,
    DistributionFile,
    Licence,
    ManualFile,
    Metric,
    MtcnnDecoding,
    Preprocessing,
    RetinaFaceDecoding,
    ShippedFile,
    UrlFile,
    WeightsEntry,
    WeightsFile,
    Yolov5FaceDecoding,
)

_UNIFACE: Final = "https://github.com/yakhyo/uniface/releases/download/weights"
_YOLO: Final = "https://github.com/yakhyo/yolov5-face-onnx-inference/releases/download/weights"

_MTCNN_PAPER: Final = (
    "Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional "
    "Networks. IEEE SPL 2016. https://arxiv.org/abs/1604.02878"
)
_RETINAFACE_PAPER: Final = (
    "Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace. CVPR 2020. https://arxiv.org/abs/1905.00641"
)
_YOLO_PAPER: Final = "Qi, Tan, Yao, Liu: YOLO5Face. ECCVW 2022. https://arxiv.org/abs/2105.12931"
_YUNET_PAPER: Final = (
    "Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector. Machine Intelligence Research 2023. "
    "https://doi.org/10.1007/s11633-023-1423-y"
)

# The classic RetinaFace preprocessing: whole images of any size, BGR minus the ImageNet mean.
_BGR_MINUS_MEAN: Final = Preprocessing(channels="BGR", mean=(104.0, 117.0, 123.0), interpolation="area")
_RGB_MINUS_MEAN: Final = Preprocessing(channels="RGB", mean=(123.0, 117.0, 104.0), interpolation="area")
_LETTERBOX_640: Final = Preprocessing(
    size_hw=(640, 640), channels="RGB", std=(255.0, 255.0, 255.0), interpolation="area"
)
# What the published ONNX files of RetinaFace answer; Vultus' own exports end at the logits.
_PUBLISHED_ONNX: Final = "boxes_probabilities_landmarks"
_MTCNN_PREPROCESSING: Final = Preprocessing(
    channels="RGB", mean=(127.5, 127.5, 127.5), std=(128.0, 128.0, 128.0), interpolation="area"
)

_MTCNN_LICENCE: Final = Licence(code="MIT", weights="MIT", data="WIDER FACE and CelebA")
_WIDER_NC: Final = Licence(
    code="MIT", weights="MIT", data="WIDER FACE (non-commercial)", is_data_research_only=True
)
_OURS_WIDER: Final = Licence(
    code="Apache-2.0",
    weights="Apache-2.0; trunk and teacher MIT, as their publisher states",
    data="WIDER FACE (non-commercial)",
    is_data_research_only=True,
)
_OURS_MTCNN: Final = Licence(
    code="Apache-2.0",
    weights="Apache-2.0; teacher MIT, as its publisher states",
    data="WIDER FACE, CelebA and other aligned faces (non-commercial)",
    is_data_research_only=True,
)
_GPL: Final = Licence(
    code="GPL-3.0", weights="GPL-3.0", data="WIDER FACE (non-commercial)", is_data_research_only=True
)

_MTCNN_CAUTION: Final = "the publisher states MIT; the data sets' own terms are for research"


def _wider(easy: float, medium: float, hard: float, *, scale: str) -> tuple[Metric, ...]:
    """Average precision on the WIDER FACE validation set, in percent."""
    parts = {"easy": easy, "medium": medium, "hard": hard}
    return tuple(Metric("WIDER FACE val", percent, part, scale) for part, percent in parts.items())


ENTRIES: Final = (
    WeightsEntry(
        name="mtcnn",
        task="detection",
        architecture="MTCNN (P-Net, R-Net, O-Net), ONNX",
        files=(
            WeightsFile(
                "mtcnn_pnet.onnx",
                ShippedFile("files/mtcnn_pnet.onnx"),
                sha256="79ed6aca50fa8615269c1028bccac156bf565fe93aec311f3c04260ff76bfccb",
                n_bytes=29_525,
            ),
            WeightsFile(
                "mtcnn_rnet.onnx",
                ShippedFile("files/mtcnn_rnet.onnx"),
                sha256="335775f8feb9777506aa320f382177e88ebaee184011034d4448f9269a6bbe7c",
                n_bytes=404_452,
            ),
            WeightsFile(
                "mtcnn_onet.onnx",
                ShippedFile("files/mtcnn_onet.onnx"),
                sha256="44e37439954f1f2f2d5b483f1a2260dae799cd6ee953d18fe0a396d0a9179130",
                n_bytes=1_561_517,
            ),
        ),
        preprocessing=_MTCNN_PREPROCESSING,
        licence=_MTCNN_LICENCE,
        paper=_MTCNN_PAPER,
        metrics=_wider(83.3, 80.9, 62.2, scale="scale not stated"),
        notes=(
            "converted from mtcnn-lz4: the same numbers in another container",
            "only O-Net predicts landmarks",
            _MTCNN_CAUTION,
        ),
    ),
    WeightsEntry(
        name="mtcnn-vultus",
        task="detection",
        architecture="MTCNN (P-Net, R-Net, O-Net), ONNX",
        files=(
            WeightsFile(
                "mtcnn_vultus_pnet.onnx",
                ShippedFile("files/mtcnn_vultus_pnet.onnx"),
                sha256="59ddc2c13727b722a62b219784d26d7e130feba6e06f2c4fce3788b249625974",
                n_bytes=29_428,
            ),
            WeightsFile(
                "mtcnn_vultus_rnet.onnx",
                ShippedFile("files/mtcnn_vultus_rnet.onnx"),
                sha256="df77b5746f72c663d9f9affb64a99bf709520744f6b7dc1ef98ea32a0ff8cc6e",
                n_bytes=404_313,
            ),
            WeightsFile(
                "mtcnn_vultus_onet.onnx",
                ShippedFile("files/mtcnn_vultus_onet.onnx"),
                sha256="a4ac45a3091185ee1ad97b889ce23c648a3147fd73bdbf958c007e6930da965a",
                n_bytes=1_561_340,
            ),
        ),
        preprocessing=_MTCNN_PREPROCESSING,
        decoding=MtcnnDecoding(stage_min_scores=(0.6, 0.4)),
        licence=_OURS_MTCNN,
        paper=_MTCNN_PAPER,
        metrics=tuple(
            Metric("WIDER FACE val, 153 images of it", percent, part, "original size")
            for part, percent in (("easy", 77.2), ("medium", 73.9), ("hard", 58.7))
        ),
        notes=(
            "trained by Vultus on 1,340 images and aligned faces, taught by mtcnn; model card: "
            "docs/models/mtcnn-vultus.md",
            "mtcnn is better",
        ),
    ),
    WeightsEntry(
        name="mtcnn-lz4",
        task="detection",
        architecture="MTCNN (P-Net, R-Net, O-Net), joblib + lz4",
        files=(
            WeightsFile(
                "pnet.lz4",
                DistributionFile("mtcnn", "1.0.0", "mtcnn/assets/weights/pnet.lz4"),
                sha256="ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
                n_bytes=27_119,
            ),
            WeightsFile(
                "rnet.lz4",
                DistributionFile("mtcnn", "1.0.0", "mtcnn/assets/weights/rnet.lz4"),
                sha256="cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
                n_bytes=401_659,
            ),
            WeightsFile(
                "onet.lz4",
                DistributionFile("mtcnn", "1.0.0", "mtcnn/assets/weights/onet.lz4"),
                sha256="94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
                n_bytes=1_557_637,
            ),
        ),
        preprocessing=_MTCNN_PREPROCESSING,
        licence=_MTCNN_LICENCE,
        paper=_MTCNN_PAPER,
        metrics=_wider(83.3, 80.9, 62.2, scale="scale not stated"),
        notes=(
            "for training and export; to detect, use mtcnn",
            "outputs: P-Net and R-Net box then class, O-Net box, landmarks, class; "
            "convolutions are HWIO, dense layers transposed",
            "descends from MATLAB: the first dense layers of R-Net and O-Net read their input as (W, H, C)",
            _MTCNN_CAUTION,
        ),
    ),
    WeightsEntry(
        name="retinaface-mobilenet0.25",
        task="detection",
        architecture="RetinaFace, MobileNetV1 x 0.25, ONNX",
        files=(
            WeightsFile(
                "retinaface_mobilenet0.25.onnx",
                ShippedFile("files/retinaface_mobilenet0.25.onnx"),
                sha256="f97694da40910337e729be90d05d792ce16ee3ed301c0f5e242b55e2616e7e2e",
                n_bytes=1_719_803,
            ),
        ),
        preprocessing=_BGR_MINUS_MEAN,
        decoding=RetinaFaceDecoding(activation="leaky_relu_0.1"),
        licence=_WIDER_NC,
        paper=_RETINAFACE_PAPER,
        metrics=_wider(90.70, 88.16, 73.82, scale="original size"),
        notes=(
            "converted from retinaface-mobilenet0.25-pth: the same numbers in another container",
            "the publisher states MIT; the data set's own terms are for research",
        ),
        bf16=Bf16Gate(
            is_passed=True,
            figures="153 WIDER FACE images at original size: AP 91.3, 88.1, 74.2 in fp32 and 91.2, 88.0, "
            "74.2; 225 faces on 26 photos at 640 px: those from 0.6 on have an IoU of 0.84 at least and "
            "scores within 0.02 (benchmarks/fidelity.py)",
        ),
    ),
    WeightsEntry(
        name="retinaface-vultus",
        task="detection",
        architecture="RetinaFace, MobileNetV1 x 0.25, ONNX",
        files=(
            WeightsFile(
                "retinaface_vultus.onnx",
                ShippedFile("files/retinaface_vultus.onnx"),
                sha256="9e63093dc2acc73530ec4a182e6d89d5879883d9f14e492ddd63949e1f9861a9",
                n_bytes=1_720_634,
            ),
        ),
        preprocessing=_RGB_MINUS_MEAN,
        decoding=RetinaFaceDecoding(activation="leaky_relu_0.1"),
        licence=_OURS_WIDER,
        paper=_RETINAFACE_PAPER,
        metrics=tuple(
            Metric("WIDER FACE val, 153 images of it", percent, part, "original size")
            for part, percent in (("easy", 87.9), ("medium", 84.0), ("hard", 68.2))
        ),
        notes=(
            "trained by Vultus on 1,426 images, taught by retinaface-mobilenet0.25-pth; model card: "
            "docs/models/retinaface-vultus.md",
            "finds faces in blurred backgrounds: set min_score to 0.8; retinaface-mobilenet0.25 is better",
        ),
    ),
    WeightsEntry(
        name="retinaface-mobilenet0.25-pth",
        task="detection",
        architecture="RetinaFace, MobileNetV1 x 0.25, PyTorch",
        files=(
            WeightsFile(
                "mobilenet0.25_Final.pth",
                UrlFile(
                    "https://github.com/elliottzheng/face-detection/releases/download/0.0.1/mobilenet0.25_Final.pth"
                ),
                sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
                n_bytes=1_789_735,
            ),
        ),
        preprocessing=_BGR_MINUS_MEAN,
        decoding=RetinaFaceDecoding(activation="leaky_relu_0.1"),
        licence=_WIDER_NC,
        paper=_RETINAFACE_PAPER,
        metrics=_wider(90.70, 88.16, 73.82, scale="original size"),
        notes=("for training and export; to detect, use retinaface-mobilenet0.25",),
    ),
    WeightsEntry(
        name="retinaface-mobilenet0.25-onnx",
        task="detection",
        architecture="RetinaFace, MobileNetV1 x 0.25, ONNX",
        files=(
            WeightsFile(
                "retinaface_mv1_0.25.onnx",
                UrlFile(f"{_UNIFACE}/retinaface_mv1_0.25.onnx"),
                sha256="b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5",
                about_mb=1.7,
            ),
        ),
        preprocessing=_BGR_MINUS_MEAN,
        decoding=RetinaFaceDecoding(activation="leaky_relu_0.1", outputs=_PUBLISHED_ONNX),
        licence=_WIDER_NC,
        paper=_RETINAFACE_PAPER,
        metrics=_wider(90.70, 88.12, 73.82, scale="original size"),
    ),
    WeightsEntry(
        name="retinaface-resnet34",
        task="detection",
        architecture="RetinaFace, ResNet-34, ONNX",
        files=(
            WeightsFile(
                "retinaface_r34.onnx",
                UrlFile(f"{_UNIFACE}/retinaface_r34.onnx"),
                sha256="bd0263dc2a465d32859555cb1741f2d98991eb0053696e8ee33fec583d30e630",
                about_mb=56,
            ),
        ),
        preprocessing=_BGR_MINUS_MEAN,
        decoding=RetinaFaceDecoding(activation="relu", outputs=_PUBLISHED_ONNX),
        licence=_WIDER_NC,
        paper=_RETINAFACE_PAPER,
        metrics=_wider(95.07, 93.48, 84.40, scale="original size"),
    ),
    WeightsEntry(
        name="retinaface-resnet50",
        task="detection",
        architecture="RetinaFace, ResNet-50, ONNX",
        files=(
            WeightsFile(
                "retinaface_r50.onnx",
                UrlFile(f"{_UNIFACE}/retinaface_r50.onnx"),
                sha256="905eac744dc165dbcd62960938a191de3fecea6bef198fb1c5e13e690bc6a828",
            ),
        ),
        preprocessing=_BGR_MINUS_MEAN,
        decoding=RetinaFaceDecoding(activation="relu", outputs=_PUBLISHED_ONNX),
        licence=_WIDER_NC,
        paper=_RETINAFACE_PAPER,
    ),
    WeightsEntry(
        name="yolov5n-0.5-face",
        task="detection",
        architecture="YOLOv5-Face n-0.5, ONNX",
        files=(
            WeightsFile(
                "yolov5n-0.5-face.onnx",
                ManualFile("export yolov5n-0.5 of https://github.com/deepcam-cn/yolov5-face to ONNX"),
                sha256="ffeda7b88900bd8fb3c3cd71876d199aca389a1378d11e07d22faf4c5fc6b4ae",
                n_bytes=1_809_111,
            ),
        ),
        preprocessing=_LETTERBOX_640,
        decoding=Yolov5FaceDecoding(),
        licence=_GPL,
        paper=_YOLO_PAPER,
        metrics=_wider(90.76, 88.12, 73.82, scale="long side 640"),
        notes=("an oracle for tests: never shipped",),
    ),
    WeightsEntry(
        name="yolov5n-face",
        task="detection",
        architecture="YOLOv5-Face n, ONNX",
        files=(
            WeightsFile(
                "yolov5n_face.onnx",
                UrlFile(f"{_YOLO}/yolov5n_face.onnx"),
                sha256="eb244a06e36999db732b317c2b30fa113cd6cfc1a397eaf738f2d6f33c01f640",
                about_mb=11,
            ),
        ),
        preprocessing=_LETTERBOX_640,
        decoding=Yolov5FaceDecoding(outputs="rows"),
        licence=_GPL,
        paper=_YOLO_PAPER,
        metrics=_wider(93.61, 91.52, 80.53, scale="long side 640"),
    ),
    WeightsEntry(
        name="yolov5s-face",
        task="detection",
        architecture="YOLOv5-Face s, ONNX",
        files=(
            WeightsFile(
                "yolov5s_face.onnx",
                UrlFile(f"{_YOLO}/yolov5s_face.onnx"),
                sha256="fc682801cd5880e1e296184a14aea0035486b5146ec1a1389d2e7149cb134bb2",
                about_mb=28,
            ),
        ),
        preprocessing=_LETTERBOX_640,
        decoding=Yolov5FaceDecoding(outputs="rows"),
        licence=_GPL,
        paper=_YOLO_PAPER,
        metrics=_wider(94.33, 92.61, 83.15, scale="long side 640"),
    ),
    WeightsEntry(
        name="yunet",
        task="detection",
        architecture="YuNet 2023mar, ONNX",
        files=(
            WeightsFile(
                "face_detection_yunet_2023mar.onnx",
                UrlFile(
                    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
                    "face_detection_yunet_2023mar.onnx"
                ),
                sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
                n_bytes=232_589,
            ),
        ),
        preprocessing=Preprocessing(channels="BGR"),
        licence=Licence(code="MIT", weights="MIT", data="WIDER FACE"),
        paper=_YUNET_PAPER,
        metrics=_wider(88.44, 86.56, 75.03, scale="original size"),
        notes=(
            "for comparison: OpenCV's FaceDetectorYN runs it",
            "the publisher states MIT; the data set's own terms are for research",
        ),
    ),
)
