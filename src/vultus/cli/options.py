"""The options that several commands share: one spelling, one help text each."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vultus.choices import FaceChoice
from vultus.defaults import ACCURATE_EMBEDDER, DEFAULT_EMBEDDER

EMBEDDER_HELP = (
    "Which weights embed the faces: accurate, fast, fastest, a name of vultus weights list, or an exported "
    "ONNX file."
)


class Retry(StrEnum):
    """What to do with an image in which no upright face is found."""

    ROTATE = "rotate"


Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE...",
        help="Files, folders (searched recursively), quoted globs such as 'photos/**/*.jpg', "
        "or - to read paths from standard input, one a line.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, one row a face.")]
Draw = Annotated[
    Path | None,
    typer.Option(
        "--draw",
        metavar="PATH",
        help="Write annotated pictures: into this folder, or to this file (.png, .jpg) for a single image.",
        show_default=False,
    ),
]
DetectorName = Annotated[str, typer.Option("--detector", help="Which detector finds the faces.")]
EmbedderName = Annotated[
    str | None,
    typer.Option("--embedder", help=EMBEDDER_HELP, show_default=DEFAULT_EMBEDDER),
]
EnrolledName = Annotated[
    str | None,
    typer.Option(
        "--embedder", help=EMBEDDER_HELP, show_default=f"the gallery's own; of a new one {DEFAULT_EMBEDDER}"
    ),
]
AccurateName = Annotated[
    str | None, typer.Option("--embedder", help=EMBEDDER_HELP, show_default=ACCURATE_EMBEDDER)
]
MinFacePx = Annotated[
    float | None,
    typer.Option("--min-face-px", min=1, help="Ignore faces smaller than this, in pixels."),
]
MinScore = Annotated[
    float | None,
    typer.Option("--min-score", min=0, max=1, help="Keep detections with at least this score."),
]
MaxIou = Annotated[
    float | None,
    typer.Option("--max-iou", min=0, max=1, help="Of two boxes that overlap by more than this, one is kept."),
]
MaxFaces = Annotated[
    int | None,
    typer.Option("--max-faces", min=1, help="Of more faces than this, keep those with the best scores."),
]
LongestPx = Annotated[
    int | None,
    typer.Option(
        "--longest-px",
        min=1,
        help="Resize images so that the longer side is this, be it larger or smaller, before looking.",
    ),
]
CloseUp = Annotated[
    bool | None,
    typer.Option(
        "--close-up/--no-close-up",
        help="Look a second time, at a reduced image, for faces that fill a large photo.",
        show_default=False,
    ),
]
RetryHow = Annotated[
    Retry | None,
    typer.Option("--retry", help="Turn images without an upright face by quarters, and look again."),
]
DetectorWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="NAME|FILE",
        help="Weights for the detector: a name in the catalogue, or a file; by default those of the package.",
        show_default=False,
    ),
]
MinSimilarity = Annotated[
    float | None,
    typer.Option(
        "--min-similarity",
        min=-1,
        max=1,
        help="Cosine from which two faces are the same person; the default holds for a stated error rate.",
    ),
]
Faces = Annotated[FaceChoice, typer.Option("--faces", help="Which face is meant when a photo shows several.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads inside one network call; default: one per core."),
]
RuntimeName = Annotated[
    str,
    typer.Option(
        "--runtime",
        help="Which library runs the networks: onnx, openvino, openvino-f32 (never bfloat16), or auto: "
        "OpenVINO where it is installed and there are enough images to repay its start.",
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option("--max-pixels", min=1, help="Refuse larger images before decoding them."),
]
GalleryFile = Annotated[
    str | None,
    typer.Option(
        "--gallery",
        envvar="VULTUS_GALLERY",
        metavar="FILE|ADDRESS",
        help="The gallery: a file (by default people.db in the user's data folder), or an address such as "
        "postgresql://user@host/database?gallery=NAME.",
        show_default=False,
    ),
]
Salvage = Annotated[
    bool, typer.Option("--salvage", help="Read what is intact of a damaged gallery; change nothing.")
]


def given(context: typer.Context) -> list[str]:
    """The parameters of a command that were given on its command line, whatever their values."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
