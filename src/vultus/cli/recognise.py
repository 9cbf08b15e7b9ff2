"""`vultus enrol` and `identify`: people in, names out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.choices import FaceChoice
from vultus.cli import options, remote
from vultus.cli.images import Run, find_images, report, short_names, stderr, with_progress
from vultus.cli.output import face_fields, match_fields, one_format, print_csv, print_json, print_table
from vultus.cli.parts import Pictures, any_gallery, gallery_address, make_recognizer, runtime_for
from vultus.defaults import DEFAULT_DETECTOR, MIN_FACE_PX, MIN_SHARPNESS
from vultus.errors import InputError, VultusError

if TYPE_CHECKING:
    from vultus.client.service import EnrolmentReport
    from vultus.pipeline import Enrolment, EnrolmentPolicy
    from vultus.types import Image, Recognition


def enrol(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The person's name (not with --from-folder).", show_default=False)
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE]...", help="Photos of this person.", show_default=False),
    ] = None,
    *,
    from_folder: Annotated[
        Path | None,
        typer.Option(
            "--from-folder", metavar="DIR", help="Enrol a folder with one sub-folder of photos per person."
        ),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="A JSON object to store with the person.")
    ] = None,
    faces: options.Faces = FaceChoice.ONLY,
    min_face_px: Annotated[
        float, typer.Option("--min-face-px", min=1, help="Refuse smaller faces.")
    ] = MIN_FACE_PX,
    min_sharpness: Annotated[
        float, typer.Option("--min-sharpness", min=0, max=1, help="Refuse more blurred faces.")
    ] = MIN_SHARPNESS,
    force: Annotated[bool, typer.Option("--force", help="Enrol in spite of failed checks.")] = False,
    gallery: options.GalleryFile = None,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EnrolledName = None,
    min_similarity: options.MinSimilarity = None,
    server: remote.Server = None,
    key: remote.Key = None,
    as_json: options.Json = False,
) -> None:
    """Add people to the gallery. All photos of a person are added, or none.

    Example: vultus enrol "Eileen Collins" eileen-1.jpg eileen-2.jpg

    Example: vultus enrol --from-folder people/ --faces largest

    Example: vultus enrol Eileen eileen.jpg --server https://faces.example
    """
    people = _people_to_enrol(name, images, from_folder)
    extra = _parse_metadata(metadata)
    done: list[Enrolment | EnrolmentReport] = []
    failures: list[VultusError] = []
    also = {"name", "from_folder", "metadata", "faces", "force"}
    with ExitStack() as stack:
        client = remote.connect(server, key, context=context, also=also)
        if client:
            add: Callable[..., Enrolment | EnrolmentReport] = partial(
                client.enrol, metadata=extra, faces=faces, force=force
            )
        else:
            recognizer = stack.enter_context(
                make_recognizer(
                    gallery=gallery_address(gallery),
                    detector=detector,
                    embedder=embedder,
                    min_similarity=min_similarity,
                )
            )
            policy = _policy(faces, min_face_px=min_face_px, min_sharpness=min_sharpness, force=force)
            add = partial(recognizer.enrol, metadata=extra, policy=policy)
        for person, photos in with_progress(list(people.items()), doing="Enrolling"):
            try:
                enrolment = add(person, photos)
            except VultusError as error:
                failures.append(error)
                report(person, error)
                continue
            done.append(enrolment)
            for warning in enrolment.warnings:
                stderr.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
    rows = [_enrolment_fields(one) for one in done]
    if as_json:
        print_json(rows)
    elif rows:
        headings = {
            "name": "enrolled",
            "photos": "photos",
            "quality": "lowest quality",
            "templates": "templates now",
        }
        print_table(rows, columns=headings | {"id": "id"})
    if failures:
        raise typer.Exit(failures[0].exit_code)


def _policy(faces: FaceChoice, **limits: Any) -> EnrolmentPolicy:
    from vultus.pipeline import EnrolmentPolicy

    return EnrolmentPolicy(faces=faces, **limits)


def _enrolment_fields(enrolment: Any) -> dict[str, Any]:
    return {
        "id": enrolment.identity.id,
        "name": enrolment.identity.name,
        "photos": len(enrolment.faces),
        "quality": round(min(quality.score for quality in enrolment.qualities), 3),
        "templates": enrolment.identity.template_count,
        "warnings": list(enrolment.warnings),
    }


def _people_to_enrol(name: str | None, images: list[str] | None, folder: Path | None) -> dict[str, list[str]]:
    if folder is None:
        if not name or not images:
            raise InputError(
                "give a name and at least one photo (vultus enrol NAME IMAGE...), or --from-folder DIR"
            )
        return {name: list(find_images(images))}
    if name:
        raise InputError("--from-folder takes the names from its sub-folders: leave NAME and IMAGE out")
    if not folder.is_dir():
        raise InputError(
            f"--from-folder wants a folder with one sub-folder per person; {folder} is no folder"
        )
    people = {
        person.name: photos
        for person in sorted(folder.iterdir())
        if person.is_dir() and (photos := list(find_images([str(person)])))
    }
    if not people:
        raise InputError(f"{folder} has no sub-folder with photos: expected {folder}/NAME/photo.jpg")
    return people


def _parse_metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--metadata is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f'--metadata must be a JSON object such as \'{{"team": "blue"}}\', got {text}')
    return value


def identify(
    context: typer.Context,
    images: options.Images,
    *,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Candidates to list for each face.")] = 1,
    min_similarity: options.MinSimilarity = None,
    draw: options.Draw = None,
    gallery: options.GalleryFile = None,
    salvage: options.Salvage = False,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EnrolledName = None,
    runtime: options.RuntimeName = "auto",
    server: remote.Server = None,
    key: remote.Key = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Say who is in images.

    The answers "no face", "unknown", "not enough evidence" and a name are different things. The threshold
    follows the size of the gallery, so that one stranger in a hundred is named (`vultus calibrate`). FMR is
    how often two strangers come as close as this.

    Example: vultus identify party.jpg --draw named.png

    Example: vultus identify photos/ --top-k 3 --json

    Example: vultus identify party.jpg --server https://faces.example
    """
    from vultus.draw import annotate_recognition
    from vultus.image import load_image

    one_format(as_json=as_json, as_csv=as_csv)
    run = Run(images, doing="Identifying")
    pictures = Pictures(draw, is_single=len(run.paths) == 1) if draw else None

    with ExitStack() as stack:
        client = remote.connect(server, key, context=context, also={"top_k"})
        if client is None:
            store = stack.enter_context(any_gallery(gallery, salvage=salvage))
            recognizer = make_recognizer(
                gallery=store,
                detector=detector,
                embedder=embedder,
                min_similarity=min_similarity,
                runtime=runtime_for(runtime, images=len(run.paths)),
            )

        def process(path: str) -> Recognition:
            image: Image = load_image(path)
            result = client.identify(path, top_k=top_k) if client else recognizer.identify(image, top_k=top_k)
            if pictures:
                pictures.write(path, annotate_recognition(image, result))
            return result

        results = list(run.each(process))
    if as_json:
        print_json([{"image": path} | _recognition_fields(result) for path, result in results])
    else:
        shown_as = (
            {path: path for path, _ in results} if as_csv else short_names([path for path, _ in results])
        )
        rows = [row for path, result in results for row in _rows(shown_as[path], result)]
        names = [
            "image",
            "face",
            "answer",
            "name",
            "similarity",
            "min_similarity",
            "fmr",
            "box",
            "candidates",
        ]
        if as_csv:
            print_csv(rows, columns=names[:-1])
        else:
            shown = names if top_k > 1 else names[:-1]
            print_table(rows, columns={key: key.replace("min_similarity", "threshold") for key in shown})
    run.finish()


def _recognition_fields(result: Recognition) -> dict[str, Any]:
    faces = [
        face_fields(face) | match_fields(match)
        for face, match in zip(result.faces, result.matches, strict=True)
    ]
    return {"answer": str(result.answer), "faces": faces}


def _rows(path: str, result: Recognition) -> list[dict[str, Any]]:
    if not result.matches:
        return [{"image": path, "answer": str(result.answer)}]
    return [
        {
            "image": path,
            "face": i,
            "answer": str(match.answer),
            "name": match.name,
            "similarity": match.best.similarity if match.best else None,
            "min_similarity": match.min_similarity,
            "fmr": None if match.fmr is None else f"{match.fmr:.1e}",
            "box": " ".join(str(round(float(value))) for value in face.boxes[0]),
            "candidates": ", ".join(f"{one.name} {one.similarity:.3f}" for one in match.candidates),
        }
        for i, (face, match) in enumerate(zip(result.faces, result.matches, strict=True))
    ]
