"""What a network's ONNX file says about itself: how to feed it and how to read its answer.

Networks of one architecture differ in what no tensor shows: the order of the colours, the anchors. Vultus
writes these facts into the files that it exports, as JSON under one key, so that nobody's network is fed
wrongly.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, TypeVar

from vultus.errors import WeightsError
from vultus.weights.description import Preprocessing, RetinaFaceDecoding, Yolov5FaceDecoding

KEY: Final = "vultus"
FamilyDecoding = TypeVar("FamilyDecoding", RetinaFaceDecoding, Yolov5FaceDecoding)


def to_metadata(
    preprocessing: Preprocessing, decoding: RetinaFaceDecoding | Yolov5FaceDecoding
) -> dict[str, str]:
    """The facts as ONNX metadata."""
    facts = {"preprocessing": asdict(preprocessing), type(decoding).__name__: asdict(decoding)}
    return {KEY: json.dumps(facts)}


def from_metadata(
    metadata: Mapping[str, str], decoding: type[FamilyDecoding]
) -> tuple[Preprocessing, FamilyDecoding]:
    """The facts that `to_metadata` wrote, for a network of the family that this decoding belongs to.

    Raises:
        WeightsError: they are not there, damaged, or those of another family.
    """
    try:
        facts = json.loads(metadata[KEY])
        return (
            Preprocessing(**_tuples(facts["preprocessing"])),
            decoding(**_tuples(facts[decoding.__name__])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the file must say under {KEY!r} how to feed it and how to read its answer, as those do that "
            f"Vultus exports: preprocessing and {decoding.__name__}; {error!r}"
        ) from error


def _tuples(value: Any) -> Any:
    """Lists turned into tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _tuples(one) for key, one in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
