"""`vultus detect`: the faces in images, and on request what was nearly taken for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options, remote
from vultus.cli.images import Run, short_names
from vultus.cli.output import (
    FACE_COLUMNS,
    face_fields,
    flat_face_fields,
    one_format,
    print_csv,
    print_json,
    print_table,
)
from vultus.cli.parts import Pictures, make_detector, runtime_for
from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_MAX_PIXELS
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.client import VultusClient
    from vultus.detect import Explained, ExplainingDetector, NearMiss
    from vultus.types import FloatArray, Image

Explain = Annotated[
    bool,
    typer.Option("--explain", help="Also tell what was nearly a face, and why it is none; drawn dashed."),
]


def detect(
    context: typer.Context,
    images: options.Images,
    *,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    weights: options.DetectorWeights = None,
    min_face_px: options.MinFacePx = None,
    min_score: options.MinScore = None,
    max_iou: options.MaxIou = None,
    max_faces: options.MaxFaces = None,
    longest_px: options.LongestPx = None,
    close_up: options.CloseUp = None,
    retry: options.RetryHow = None,
    explain: Explain = False,
    draw: options.Draw = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    threads: options.Threads = None,
    runtime: options.RuntimeName = "auto",
    server: remote.Server = None,
    key: remote.Key = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Find the faces in images.

    Example: vultus detect team.jpg --draw found.png

    Example: vultus detect photos/ --min-face-px 40 --json > faces.json

    Example: vultus detect crowd.jpg --detector retinaface --longest-px 1600 --explain --draw why.png

    Example: vultus detect team.jpg --server https://faces.example --json
    """
    from vultus.image import load_image

    one_format(as_json=as_json, as_csv=as_csv)
    if explain and as_csv:
        raise InputError("--explain prints a table or --json, not --csv")
    client = remote.connect(server, key, context=context)
    run = Run(images, doing="Detecting")
    if client:
        look = _ask(client)
    else:
        finder = make_detector(
            detector,
            weights=weights,
            retry=retry,
            threads=threads,
            runtime=runtime_for(runtime, images=len(run.paths)),
            min_face_px=min_face_px,
            min_score=min_score,
            max_iou=max_iou,
            max_faces=max_faces,
            longest_px=longest_px,
            close_up=close_up,
        )
        look = _look_with(finder, explain=explain)
    pictures = Pictures(draw, is_single=len(run.paths) == 1) if draw else None

    def process(path: str) -> Explained:
        image = load_image(path, max_pixels=max_pixels)
        seen = look(path, image)
        if pictures:
            pictures.write(path, _drawn(image, seen))
        return seen

    found = list(run.each(process))
    if as_json:
        print_json([{"image": path} | _fields(seen, explain=explain) for path, seen in found])
    elif as_csv:
        rows = [
            {"image": path, "face": i} | flat_face_fields(face)
            for path, seen in found
            for i, face in enumerate(seen.faces)
        ]
        print_csv(rows, columns=["image", "face", *FACE_COLUMNS])
    else:
        _print_faces(found, explain=explain)
    run.finish()


def _ask(client: VultusClient) -> Callable[[str, Image], Explained]:
    """Let a service look: it is sent the file, which is smaller than the pixels."""
    from vultus.detect import Explained

    return lambda path, _image: Explained(client.detect(path), ())


def _look_with(finder: ExplainingDetector, *, explain: bool) -> Callable[[str, Image], Explained]:
    from vultus.detect import Explained

    if explain:
        return lambda _path, image: finder.explain(image)
    return lambda _path, image: Explained(finder.detect(image), ())


def _drawn(image: Image, seen: Explained) -> Image:
    """Near misses below, faces on top."""
    import numpy as np

    from vultus.draw import annotate, sketch

    if seen.near_misses:
        boxes = np.stack([miss.box for miss in seen.near_misses])
        image = sketch(image, boxes, labels=[f"{miss.score:.2f}" for miss in seen.near_misses])
    return annotate(image, seen.faces)


def _fields(seen: Explained, *, explain: bool) -> dict[str, Any]:
    faces = {"faces": [face_fields(face) for face in seen.faces]}
    return faces | ({"near_misses": [_miss_fields(miss) for miss in seen.near_misses]} if explain else {})


def _miss_fields(miss: NearMiss) -> dict[str, Any]:
    return {
        "box": [round(float(value), 2) for value in miss.box],
        "score": round(miss.score, 4),
        "reason": str(miss.reason),
        "explanation": miss.explanation,
    }


def _print_faces(found: list[tuple[str, Explained]], *, explain: bool) -> None:
    rows: list[dict[str, Any]] = []
    names = short_names([path for path, _ in found])
    for path, seen in found:
        own: list[dict[str, Any]] = [
            {"face": i, "score": float(face.scores[0])} | _place(face.boxes[0])
            for i, face in enumerate(seen.faces)
        ] or [{"face": "no face"}]
        own += [
            {"face": "", "score": miss.score, "why": miss.explanation} | _place(miss.box)
            for miss in seen.near_misses
        ]
        rows += [{"image": names[path] if i == 0 else "", "why": ""} | row for i, row in enumerate(own)]
    headings = {"image": "image", "face": "face", "score": "score", "box": "box (px)", "size": "size (px)"}
    print_table(rows, columns=headings | ({"why": "why it is no face"} if explain else {}))


def _place(box: FloatArray) -> dict[str, str]:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return {"box": f"{x1},{y1} - {x2},{y2}", "size": f"{x2 - x1} x {y2 - y1}"}
