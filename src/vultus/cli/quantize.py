"""`vultus quantize`: fewer bits, behind the same gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vultus.cli import options
from vultus.cli.export import (
    Far,
    MaxTarDistance,
    Out,
    Split,
    Tar,
    limits_of,
    needs_torch,
    read_gate_faces,
    show,
    sized,
)
from vultus.cli.reporting import counted
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.export.files import OnnxFile
    from vultus.export.gate import Gate
    from vultus.export.quantize import Quantised

CALIBRATION_FACES = 256

To = Literal["int8", "dynamic", "fp16", "bf16"]
Model = Annotated[
    str,
    typer.Argument(
        metavar="FILE|NAME",
        help="An ONNX file of `vultus export onnx`, or a name in the catalogue.",
        show_default=False,
    ),
]


def quantize(
    model: Model,
    out: Out,
    *,
    to: Annotated[To, typer.Option("--to", help="The numbers that it computes with.")] = "int8",
    faces: Annotated[
        Path | None,
        typer.Option(
            "--faces",
            metavar="DIR",
            help="Aligned faces: ranges are taken from them, and the gate judges on others of them.",
            show_default=False,
        ),
    ] = None,
    split: Split = "heldout",
    method: Annotated[
        Literal["entropy", "percentile", "minmax"], typer.Option(help="Of int8: how ranges are chosen.")
    ] = "entropy",
    percentile: Annotated[
        float, typer.Option(min=50, max=100, help="Of that method: the share of values within the range.")
    ] = 99.99,
    is_per_channel: Annotated[
        bool,
        typer.Option(
            "--per-channel/--per-tensor", help="A scale for each channel of a weight, or one for all."
        ),
    ] = True,
    has_reduced_range: Annotated[
        bool, typer.Option("--reduced-range", help="7-bit weights, for CPUs without VNNI.")
    ] = False,
    min_cosine: Annotated[
        float | None,
        typer.Option("--min-cosine", min=-1, max=1, help="What passes.", show_default="0.999; of int8: 0.99"),
    ] = None,
    tar: Tar = False,
    far: Far = 1e-3,
    max_tar_distance: MaxTarDistance = 0.002,
    lfw: Annotated[
        Path | None,
        typer.Option(
            "--lfw",
            metavar="DIR",
            help="Measure accuracy on these pairs before and after, for the card.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a network compute with fewer bits. Nothing is written unless it answers nearly as before.

    int8 keeps those layers in float that cost too much, found by measuring each. fp16 and bf16 keep the last
    layer and the normalisation in float32.

    Example: vultus quantize ours.onnx --out ours-int8.onnx --faces FACES --lfw LFW

    Example: vultus quantize ours.onnx --to fp16 --out ours-fp16.onnx
    """
    needs_torch()
    from vultus.export.files import read_file
    from vultus.export.gate import Gate
    from vultus.export.pipeline import Exported, write
    from vultus.export.quantize import Int8
    from vultus.export.reference import OnnxReference

    if to == "int8" and faces is None:
        raise InputError(
            "int8 takes its ranges from real faces: name some hundred aligned ones (--faces DIR)"
        )
    source = read_file(model)
    crops, people = read_gate_faces(faces, split=split, with_people=tar)
    gate = Gate(
        reference=OnnxReference(source.model),
        crops=sized(crops, source),
        reference_feed=source.feed,
        limits=limits_of(min_cosine or (0.99 if to == "int8" else 0.999), max_tar_distance, far),
        people=people,
    )
    how = Int8(
        method=method,
        percentile=percentile,
        is_per_channel=is_per_channel,
        has_reduced_range=has_reduced_range,
    )
    calibration, _ = read_gate_faces(faces, split=split, with_people=False, count=CALIBRATION_FACES)
    quantised = _quantised(source, gate, to=to, how=how, calibration=calibration)
    note = f"{to}, {method}, {len(quantised.kept)} layers in float" if to == "int8" else to
    data = source.described(quantised.model, note)
    told: dict[str, Any] = {
        "quantisation": {"to": to, "kept in float": quantised.kept, "from": Path(model).name}
    }
    if lfw is not None:
        told["accuracy"] = _accuracy(source, data, lfw)
    card = write(Exported(data, quantised.passed), out, told=told)
    show(out, card, passed=quantised.passed, as_json=as_json)
    if not as_json and quantised.kept:
        typer.echo(f"in float: {', '.join(quantised.kept)}")


def _quantised(source: OnnxFile, gate: Gate, *, to: To, how: Any, calibration: Any) -> Quantised:
    from vultus.export.precision import half_precision
    from vultus.export.quantize import Quantised, quantise_dynamic, quantise_static

    if to == "int8":
        faces = sized(calibration, source)
        return quantise_static(source.model, gate, faces=faces, feed=source.feed, how=how)
    if to == "dynamic":
        return quantise_dynamic(source.model, gate, feed=source.feed)
    return Quantised(*half_precision(source.model, gate, to, feed=source.feed), (), {})


def _accuracy(source: OnnxFile, data: bytes, lfw: Path) -> dict[str, float]:
    """10-fold accuracy of both graphs, in percent."""
    from vultus.detect import load_detector
    from vultus.embed.embedder import SessionEmbedder
    from vultus.evaluate.pair_sets import read_pair_set
    from vultus.export.side_by_side import accuracies
    from vultus.runtime import OnnxSession
    from vultus.weights.exported import entry_of

    if source.facts is None:
        raise InputError("--lfw measures embedding networks, and this is none")
    pair_set = read_pair_set("lfw", lfw)
    embedders = [
        SessionEmbedder(entry_of(Path("model.onnx"), each, source.facts), OnnxSession(each))
        for each in (source.model, data)
    ]
    with counted("Accuracy before and after", total=len(pair_set.pairs.images)) as on_progress:
        measured = accuracies(pair_set, embedders, detector=load_detector(), on_progress=on_progress)
    before, after = (round(100 * accuracy, 3) for accuracy in measured)
    return {"before": before, "after": after, "points lost": round(before - after, 3)}
