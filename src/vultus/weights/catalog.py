"""Every public set of weights that Vultus knows, by name. Facts only; `store` fetches the files.

The entries stand in one module per task, the words they are written in stand in `description`.
"""

import difflib
from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType
from typing import Final

from vultus.defaults import ACCURATE_EMBEDDER
from vultus.errors import WeightsError
from vultus.weights import detection_entries, liveness_entries, recognition_entries
from vultus.weights.description import (
    NOT_STATED,
    Alignment,
    BoxMargin,
    BoxScale,
    Decoding,
    DistributionFile,
    FivePoint,
    Licence,
    LivenessDecoding,
    ManualFile,
    Metric,
    Preprocessing,
    RetinaFaceDecoding,
    ShippedFile,
    Source,
    Task,
    UrlFile,
    WeightsEntry,
    WeightsFile,
    Yolov5FaceDecoding,
)

__all__ = [
    "ALIASES",
    "CATALOG",
    "NOT_STATED",
    "Alignment",
    "BoxMargin",
    "BoxScale",
    "Decoding",
    "DistributionFile",
    "FivePoint",
    "Licence",
    "LivenessDecoding",
    "ManualFile",
    "Metric",
    "Preprocessing",
    "RetinaFaceDecoding",
    "ShippedFile",
    "Source",
    "Task",
    "UrlFile",
    "WeightsEntry",
    "WeightsFile",
    "Yolov5FaceDecoding",
    "entry",
    "find",
]

CATALOG: Final[Mapping[str, WeightsEntry]] = MappingProxyType(
    {
        known.name: known
        for known in (*detection_entries.ENTRIES, *recognition_entries.ENTRIES, *liveness_entries.ENTRIES)
    }
)

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "accurate": ACCURATE_EMBEDDER,
        "fast": "compact-resnet-vultus",
        "fastest": "compact-resnet-vultus-int8",
    }
)


def entry(name: str) -> WeightsEntry:
    """What is known about the weights of this name, or of what an alias stands for.

    Raises:
        WeightsError: no such name; the message offers close ones.
    """
    known = find(name)
    if known is None:
        close = difflib.get_close_matches(name, CATALOG, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known names: {', '.join(CATALOG)}"
        raise WeightsError(f"there are no weights named {name!r}; {hint}")
    return known


def find(name: str | PathLike[str]) -> WeightsEntry | None:
    """The same, or None: what was given is then a file, or a mistake."""
    return CATALOG.get(ALIASES.get(str(name), str(name)))
