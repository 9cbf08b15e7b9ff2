"""What an ONNX file says about itself comes back as it was written, or is refused."""

import json

import pytest

from vultus.errors import WeightsError
from vultus.weights.catalog import entry
from vultus.weights.description import Preprocessing, RetinaFaceDecoding, Yolov5FaceDecoding
from vultus.weights.metadata import KEY, from_metadata, to_metadata

RETINAFACE = RetinaFaceDecoding(activation="relu", min_sizes=((10, 20), (40,), (99, 100, 101)))
YOLO = Yolov5FaceDecoding(strides=(8, 16), anchors_wh=(((1, 2),), ((3, 4),)), outputs="rows")
COLOURS = Preprocessing(size_hw=(96, 64), channels="BGR", mean=(1.5, 2, 3), interpolation="area")


def test_facts_come_back_equal() -> None:
    assert from_metadata(to_metadata(COLOURS, RETINAFACE), RetinaFaceDecoding) == (COLOURS, RETINAFACE)
    assert from_metadata(to_metadata(COLOURS, YOLO), Yolov5FaceDecoding) == (COLOURS, YOLO)


def test_what_comes_back_is_hashable_as_in_the_catalogue() -> None:
    known = entry("retinaface-mobilenet0.25")
    assert isinstance(known.decoding, RetinaFaceDecoding)
    read = from_metadata(to_metadata(known.preprocessing, known.decoding), RetinaFaceDecoding)
    assert hash(read) == hash((known.preprocessing, known.decoding))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"other": "{}"},
        {KEY: "no json"},
        {KEY: "[]"},
        {KEY: json.dumps({"preprocessing": {}})},
        {KEY: json.dumps({"preprocessing": {"colour": "RGB"}, "RetinaFaceDecoding": {"activation": "relu"}})},
        to_metadata(COLOURS, YOLO),
    ],
)
def test_facts_that_are_missing_damaged_or_anothers_are_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match=r"must say under 'vultus' how to feed it.*RetinaFaceDecoding"):
        from_metadata(metadata, RetinaFaceDecoding)
