"""From a trained network to a file: export, fold the preprocessing in, store in fp16 - and the gate.

    PyTorch --to_onnx--> graph --take_pixels?--> --store_half?--> gate --> file, and a card beside it

The bytes that are written are the bytes that passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import onnx

from vultus.errors import InputError
from vultus.export.card import write_card
from vultus.export.crops import default_crops, resized
from vultus.export.gate import STRICT, Feed, Gate, Limits, Passed, People
from vultus.export.half import store_half
from vultus.export.pixels import take_pixels
from vultus.export.reference import TorchReference
from vultus.export.subjects import Subject
from vultus.image import replace_file
from vultus.types import Crops
from vultus.weights.exported import facts_to_metadata

Storage = Literal["fp32", "fp16"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A graph that passed the gate.

    Attributes:
        model: its bytes.
        passed: what the gate measured.
    """

    model: bytes
    passed: Passed


def export_onnx(
    subject: Subject,
    *,
    has_pixel_input: bool = False,
    storage: Storage = "fp32",
    crops: Crops | None = None,
    people: People | None = None,
    limits: Limits = STRICT,
) -> Exported:
    """The network as an ONNX graph that passed the gate.

    Args:
        subject: what to export.
        has_pixel_input: fold the preprocessing in: the graph takes (N, H, W, 3) uint8 RGB.
        storage: of the weights; fp16 halves the file and computes in fp32 all the same.
        crops: real ones for the gate; None takes the face that comes with the package.
        people: labelled crops, to compare TAR of an embedding network.
        limits: what passes.

    Raises:
        InputError: the network takes no pixels, or people are given for one that embeds none.
        ExportError: PyTorch gives no graph, or it does not pass.
    """
    if people is not None and subject.facts is None:
        raise InputError(f"{subject.name} embeds no faces: TAR cannot be compared")
    if has_pixel_input and subject.is_pair:
        raise InputError(f"{subject.name} takes pairs of images, not pixels: leave the preprocessing outside")
    model = onnx.load_model_from_string(subject.export())
    feed: Feed | None = None
    if has_pixel_input:
        _say_pixels(model, subject)
        feed = as_they_are
    if storage == "fp16":
        store_half(model)
    data: bytes = model.SerializeToString(deterministic=True)
    gate = gate_of(subject, crops=crops, people=people, limits=limits)
    return Exported(data, gate.check(data, feed=feed))


def gate_of(
    subject: Subject,
    *,
    crops: Crops | None = None,
    people: People | None = None,
    limits: Limits = STRICT,
) -> Gate:
    """The gate before files of this network: PyTorch, on crops of its size."""
    chosen = default_crops(subject.gate_hw) if crops is None else resized(crops, subject.gate_hw)
    if people is not None:
        people = People(resized(people.crops, subject.gate_hw), people.identity_index)
    return Gate(
        reference=TorchReference(subject.network),
        crops=chosen,
        reference_feed=subject.feed,
        limits=limits,
        people=people,
    )


def write(exported: Exported, path: Path, *, told: Mapping[str, Any]) -> Path:
    """Write the file, whole or not at all, and its card.

    Args:
        exported: what passed.
        path: of the file.
        told: what else the card says.

    Returns:
        The card's path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as stream:
        stream.write(exported.model)
    return write_card(path, exported.model, gate=exported.passed, told=told)


def as_they_are(crops: Crops) -> Any:
    """The feed of a graph that takes pixels."""
    return crops


def _say_pixels(model: onnx.ModelProto, subject: Subject) -> None:
    """Fold the preprocessing in, and let the metadata say so."""
    fed = take_pixels(model, subject.preprocessing)
    if subject.facts is not None:
        onnx.helper.set_model_props(model, facts_to_metadata(replace(subject.facts, preprocessing=fed)))
    else:
        model.metadata_props.add(key="pixels", value="(N, H, W, 3) uint8 RGB; the preprocessing is inside")
