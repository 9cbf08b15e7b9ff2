"""Presentation-attack detectors (is this a living face, or a picture of one?): data only."""

from typing import Final

from vultus.weights.description import (
    NOT_STATED,
    BoxScale,
    Licence,
    LivenessDecoding,
    Preprocessing,
    UrlFile,
    WeightsEntry,
    WeightsFile,
)

_RELEASE: Final = "https://github.com/yakhyo/face-anti-spoofing/releases/download/weights"
_PAPER: Final = "no paper; Minivision: Silent-Face-Anti-Spoofing. https://github.com/minivision-ai/Silent-Face-Anti-Spoofing"
_LICENCE: Final = Licence(code="Apache-2.0", weights="Apache-2.0", data=NOT_STATED)
_NOTES: Final = ("wants BGR 0..255: dividing by 255 calls every face fake",)

ENTRIES: Final = (
    WeightsEntry(
        name="minifasnet-v2",
        task="liveness",
        architecture="MiniFASNetV2, ONNX",
        files=(
            WeightsFile(
                "MiniFASNetV2.onnx",
                UrlFile(f"{_RELEASE}/MiniFASNetV2.onnx"),
                sha256="b32929adc2d9c34b9486f8c4c7bc97c1b69bc0ea9befefc380e4faae4e463907",
                about_mb=1.7,
            ),
        ),
        preprocessing=Preprocessing(
            size_hw=(80, 80), channels="BGR", alignment=BoxScale(size_px=80, scale=2.7)
        ),
        decoding=LivenessDecoding(),
        licence=_LICENCE,
        paper=_PAPER,
        notes=_NOTES,
    ),
    WeightsEntry(
        name="minifasnet-v1se",
        task="liveness",
        architecture="MiniFASNetV1SE, ONNX",
        files=(
            WeightsFile(
                "MiniFASNetV1SE.onnx",
                UrlFile(f"{_RELEASE}/MiniFASNetV1SE.onnx"),
                sha256="ebab7f90c7833fbccd46d3a555410e78d969db5438e169b6524be444862b3676",
                about_mb=1.7,
            ),
        ),
        preprocessing=Preprocessing(
            size_hw=(80, 80), channels="BGR", alignment=BoxScale(size_px=80, scale=4.0)
        ),
        decoding=LivenessDecoding(),
        licence=_LICENCE,
        paper=_PAPER,
        notes=_NOTES,
    ),
)
