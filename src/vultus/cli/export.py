"""`vultus export`: from a trained network to the file that runs in production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from vultus.cli import options
from vultus.cli.output import print_json
from vultus.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from vultus.export.files import OnnxFile
    from vultus.export.gate import Limits, People
    from vultus.export.subjects import Subject
    from vultus.types import Crops
    from vultus.weights.description import Metric

app = typer.Typer(no_args_is_help=True, help="Write networks as files that run elsewhere, after a gate.")

CROP_COUNT: Final = 64
PER_PERSON: Final = 24

What = Annotated[
    str,
    typer.Argument(
        metavar="RUN|NETWORK",
        help="The folder of a training run, or a network of `vultus models` (then --weights).",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="What to write.", show_default=False)]
State = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="A state dict; of a run: best.pt.", show_default=False),
]
Faces = Annotated[
    Path | None,
    typer.Option(
        "--faces",
        metavar="DIR",
        help="Aligned faces for the gate: folders of people, tar shards, train.rec; or one face in 16 ways",
        show_default=False,
    ),
]
Tar = Annotated[bool, typer.Option("--tar", help="Compare TAR too, on the people in --faces.")]
Far = Annotated[float, typer.Option("--far", min=0, max=1, help="The FAR at which TAR is compared.")]
Split = Annotated[str, typer.Option("--split", help="Of tar shards: which rows.")]
MinCosine = Annotated[float, typer.Option("--min-cosine", min=-1, max=1, help="What passes the gate.")]
MaxTarDistance = Annotated[
    float, typer.Option("--max-tar-distance", min=0, help="How far TAR may move: 0.002 is 0.2 points.")
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME=PERCENT",
        help="A measured figure for the file; repeatable.",
        show_default=False,
    ),
]


@app.command("onnx")
def onnx(
    what: What,
    out: Out,
    *,
    weights: State = None,
    channels: Annotated[
        Literal["RGB", "BGR"] | None,
        typer.Option(help="The order in which a RetinaFace saw colours.", show_default=False),
    ] = None,
    has_pixel_input: Annotated[
        bool, typer.Option("--pixels", help="Fold the preprocessing in: the graph takes (N, H, W, 3) uint8.")
    ] = False,
    is_half: Annotated[
        bool, typer.Option("--fp16", help="Store weights in fp16: half the bytes, computed in fp32.")
    ] = False,
    faces: Faces = None,
    split: Split = "heldout",
    tar: Tar = False,
    far: Far = 1e-3,
    min_cosine: MinCosine = 0.999,
    max_tar_distance: MaxTarDistance = 0.002,
    name: Annotated[str | None, typer.Option(help="Of the weights.", show_default=False)] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the weights, such as Apache-2.0.", show_default=False)
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="What they were trained on, in words.", show_default=False)
    ] = None,
    is_research_only: Annotated[
        bool, typer.Option("--research-only", help="That data may be used for research only.")
    ] = False,
    metrics: Metrics = None,
    min_similarity: options.MinSimilarity = None,
    as_json: options.Json = False,
) -> None:
    """Export to ONNX. Nothing is written unless ONNX Runtime answers as PyTorch does.

    Example: vultus export onnx runs/distil --out ours.onnx --fp16 --faces FACES --tar

    Example: vultus export onnx mobilefacenet --weights best.pt --out mobilefacenet.onnx --pixels
    """
    needs_torch()
    from vultus.export.pipeline import export_onnx, write
    from vultus.export.subjects import load_subject

    subject = load_subject(what, weights=weights, channels=channels)
    subject = told(
        subject,
        name=name,
        licence=licence,
        data=data,
        is_research_only=is_research_only,
        metrics=metrics,
        min_similarity=min_similarity,
    )
    crops, people = read_gate_faces(faces, split=split, with_people=tar)
    exported = export_onnx(
        subject,
        has_pixel_input=has_pixel_input,
        storage="fp16" if is_half else "fp32",
        crops=crops,
        people=people,
        limits=limits_of(min_cosine, max_tar_distance, far),
    )
    card = write(exported, out, told=story_of(Path(what)))
    show(out, card, passed=exported.passed, as_json=as_json)


@app.command("tensorrt")
def tensorrt(
    model: Annotated[
        str,
        typer.Argument(
            metavar="FILE|NAME",
            help="An ONNX file of `vultus export onnx`, or a name in the catalogue.",
            show_default=False,
        ),
    ],
    out: Out,
    *,
    least: Annotated[int, typer.Option(min=1, help="The smallest batch.")] = 1,
    usual: Annotated[int, typer.Option(min=1, help="The batch that it is tuned for.")] = 8,
    greatest: Annotated[int, typer.Option(min=1, help="The largest batch.")] = 32,
    timing_cache: Annotated[
        Path | None,
        typer.Option("--timing-cache", metavar="FILE", help="Read and written.", show_default=False),
    ] = None,
    workspace_mb: Annotated[int, typer.Option(min=1, help="Memory for the builder on the GPU.")] = 1024,
    faces: Faces = None,
    split: Split = "heldout",
    tar: Tar = False,
    far: Far = 1e-3,
    min_cosine: MinCosine = 0.999,
    max_tar_distance: MaxTarDistance = 0.002,
    as_json: options.Json = False,
) -> None:
    """Build an FP16 engine for TensorRT on this machine's NVIDIA GPU, behind the gate.

    The last layer and the normalisation stay in fp32. Not tried on a GPU: the conversion to fp16 is tested,
    the calls to TensorRT only against a stand-in with the names of its version 11.4.

    Example: vultus export tensorrt ours.onnx --out ours.engine --timing-cache timing.cache
    """
    needs_torch()
    from vultus.export.card import write_engine
    from vultus.export.files import read_file
    from vultus.export.gate import Gate
    from vultus.export.reference import OnnxReference
    from vultus.export.tensorrt import Profile, export_tensorrt

    source = read_file(model)
    crops, people = read_gate_faces(faces, split=split, with_people=tar)
    gate = Gate(
        reference=OnnxReference(source.model),
        crops=sized(crops, source),
        reference_feed=source.feed,
        limits=limits_of(min_cosine, max_tar_distance, far),
        people=people,
    )
    known = timing_cache.read_bytes() if timing_cache is not None and timing_cache.exists() else b""
    engine, passed = export_tensorrt(
        source.model,
        gate,
        profile=Profile(least=least, usual=usual, greatest=greatest),
        timing_cache=known,
        workspace_mb=workspace_mb,
    )
    card = write_engine(out, engine.data, source.model, gate=passed)
    if timing_cache is not None:
        timing_cache.write_bytes(engine.timing_cache)
    show(out, card, passed=passed, as_json=as_json)


def sized(crops: Crops | None, source: OnnxFile) -> Crops:
    """The crops of the gate, or those of the package, in the size that the network takes."""
    from vultus.export.crops import default_crops, resized

    size_hw = source.preprocessing.size_hw or (128, 192)
    return default_crops(size_hw) if crops is None else resized(crops, size_hw)


@app.command("safetensors")
def safetensors(
    what: What,
    out: Out,
    *,
    weights: State = None,
    is_half: Annotated[bool, typer.Option("--fp16", help="Store floats in fp16.")] = False,
) -> None:
    """Write the weights as safetensors, which no program can hide code in.

    Example: vultus export safetensors runs/distil --out ours.safetensors --fp16
    """
    needs_torch()
    from vultus.export.state import write_safetensors
    from vultus.export.subjects import load_subject

    subject = load_subject(what, weights=weights)
    write_safetensors(subject, out, is_half=is_half)
    typer.echo(f"wrote {out} ({out.stat().st_size:,} bytes)")


def needs_torch() -> None:
    """Refuse early where PyTorch is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    missing = [
        name for name in ("torch", "onnxscript", "safetensors", "torch_pruning") if not find_spec(name)
    ]
    if missing:
        raise MissingExtraError(
            f"this needs {', '.join(missing)}, not installed here: pip install 'vultus[train]'"
        )


def told(
    subject: Subject,
    *,
    name: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    is_research_only: bool = False,
    metrics: Sequence[str] | None = None,
    min_similarity: float | None = None,
) -> Subject:
    """The subject with what the user knows about the weights.

    Raises:
        InputError: facts for a network that keeps none.
    """
    if subject.facts is None:
        if is_research_only or any(
            each is not None for each in (name, licence, data, metrics, min_similarity)
        ):
            raise InputError(
                f"{subject.name} is no embedding network: its file has no place for --name and the like"
            )
        return subject
    facts = subject.facts
    facts = replace(
        facts,
        name=name or facts.name,
        licence=replace(
            facts.licence,
            weights=licence or facts.licence.weights,
            data=data or facts.licence.data,
            is_data_research_only=is_research_only or facts.licence.is_data_research_only,
        ),
        metrics=(*facts.metrics, *map(metric, metrics or ())),
        min_similarity=min_similarity,
        min_similarity_source="given at export" if min_similarity is not None else "",
    )
    return replace(subject, facts=facts)


def metric(text: str) -> Metric:
    """What a text such as "LFW dev=98.7" says.

    Raises:
        InputError: no such thing.
    """
    from vultus.weights.description import Metric

    benchmark, is_assigned, percent = text.rpartition("=")
    try:
        figure = Metric(benchmark.strip(), float(percent))
    except ValueError:
        is_assigned = ""
    if not is_assigned:
        raise InputError(f"--metric wants NAME=PERCENT, such as 'LFW dev=98.7', got {text!r}")
    return figure


def limits_of(min_cosine: float, max_tar_distance: float, far: float) -> Limits:
    """What passes the gate."""
    from vultus.export.gate import Limits

    return Limits(min_cosine=min_cosine, max_tar_distance=max_tar_distance, far=far)


def read_gate_faces(
    faces: Path | None, *, split: str, with_people: bool, count: int = CROP_COUNT
) -> tuple[Crops | None, People | None]:
    """Crops for the gate, and those of labelled people.

    Args:
        faces: aligned faces; None for those that come with the package.
        split: of tar shards.
        with_people: whether TAR is compared.
        count: so many crops, spread over the set.

    Raises:
        InputError: TAR without faces, or nobody in them is known.
    """
    if faces is None:
        if with_people:
            raise InputError("--tar compares people: name aligned faces of them (--faces DIR)")
        return None, None
    import numpy as np

    from vultus.export.gate import People
    from vultus.training.data.face_augment import CROP_PX
    from vultus.training.data.identities import select
    from vultus.training.data.reading import read_faces
    from vultus.training.data.teacher import middle
    from vultus.training.recognition import first_of_each

    found = read_faces(faces, split=split)
    spread = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).astype(int))
    crops = np.stack([middle(found.crop(int(i)), CROP_PX) for i in spread])
    if not with_people:
        return crops, None
    known = select(found, first_of_each(found.identity_index, PER_PERSON))
    of_people = np.stack([middle(known.crop(i), CROP_PX) for i in range(len(known))])
    return crops, People(of_people, known.identity_index)


def story_of(run: Path) -> dict[str, Any]:
    """What the card says about the run: recipe, knobs that are no paths, the best validation."""
    import csv
    import json

    file = run / "recipe.json"
    if not file.is_file():
        return {}
    recipe = json.loads(file.read_text(encoding="utf-8"))
    knobs = {key: value for key, value in recipe["settings"].items() if "/" not in str(value)}
    story: dict[str, Any] = {"training": {"recipe": recipe["recipe"], "commit": recipe["commit"], **knobs}}
    validations = run / "validation.csv"
    if validations.is_file():
        with validations.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        story["validation"] = rows[-1] if rows else {}
    return story


def show(out: Path, card: Path, *, passed: Any, as_json: bool) -> None:
    """Say what was written, and what the gate measured."""
    from dataclasses import asdict

    if as_json:
        print_json({"file": str(out), "card": str(card), "bytes": out.stat().st_size, "gate": asdict(passed)})
        return
    typer.echo(f"wrote {out} ({out.stat().st_size:,} bytes) and {card}")
    typer.echo(f"gate: every cosine is {passed.cosine:.6f} or more, over {passed.crop_count} crops")
    if passed.tar is not None:
        typer.echo(f"TAR at FAR {passed.far:g}: {passed.tar:.4f}, in PyTorch {passed.reference_tar:.4f}")
