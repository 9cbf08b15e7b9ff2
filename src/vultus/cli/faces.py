"""`vultus align`, `embed`, `verify`: what else needs no gallery."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vultus.choices import Answer, FaceChoice
from vultus.cli import options, remote
from vultus.cli.images import Run, stderr
from vultus.cli.output import (
    evidence_fields,
    face_fields,
    one_format,
    print_csv,
    print_json,
    print_table,
)
from vultus.cli.parts import make_detector, make_recognizer, runtime_for
from vultus.defaults import DEFAULT_DETECTOR


def align(
    images: options.Images,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the crops (PNG).")
    ],
    size_px: Annotated[int, typer.Option("--size-px", min=16, max=1024, help="Side of each crop.")] = 112,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    weights: options.DetectorWeights = None,
    min_face_px: options.MinFacePx = None,
    min_score: options.MinScore = None,
    retry: options.RetryHow = None,
    threads: options.Threads = None,
    runtime: options.RuntimeName = "auto",
    as_json: options.Json = False,
) -> None:
    """Cut every face out, upright and centred on the five-point template.

    Example: vultus align team.jpg --output crops/

    Example: vultus align photos/ --output crops/ --size-px 224 --json
    """
    from vultus.align import alignable, crop_faces, residuals
    from vultus.image import load_image, save_image

    run = Run(images, doing="Aligning")
    finder = make_detector(
        detector,
        weights=weights,
        retry=retry,
        threads=threads,
        runtime=runtime_for(runtime, images=len(run.paths)),
        min_face_px=min_face_px,
        min_score=min_score,
    )
    output.mkdir(parents=True, exist_ok=True)
    used: dict[str, int] = {}

    def process(path: str) -> list[dict[str, Any]]:
        image = load_image(path)
        faces = finder.detect(image)
        stem = Path(path).stem
        used[stem] = used.get(stem, 0) + 1
        prefix = stem if used[stem] == 1 else f"{stem}-{used[stem]}"
        rows: list[dict[str, Any]] = []
        for i, face in enumerate(faces):
            residual = float(residuals(face.landmarks, size_px=size_px)[0])
            row = {"image": path, "face": i, "crop": None, "residual_px": round(residual, 2)}
            if alignable(face.landmarks).all():
                file = output / f"{prefix}_{i}.png"
                save_image(crop_faces(image, face.landmarks, size_px=size_px)[0], file)
                row["crop"] = str(file)
            rows.append(row)
        return rows

    rows = [row for _, rows in run.each(process) for row in rows]
    if as_json:
        print_json(rows)
    else:
        headings = {"image": "image", "face": "face", "crop": "crop", "residual_px": "residual (px)"}
        print_table(rows, columns=headings)
    run.finish()


def embed(
    images: options.Images,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.npz", help="Write embeddings, boxes and paths as NumPy arrays."
        ),
    ] = None,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    threads: options.Threads = None,
    runtime: options.RuntimeName = "auto",
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Turn every face into a unit vector. Of several images, as many are at work as there are cores.

    Example: vultus embed team.jpg --json

    Example: vultus embed photos/ --output faces.npz
    """
    one_format(as_json=as_json, as_csv=as_csv)
    run = Run(images, doing="Embedding")
    recognizer = make_recognizer(
        detector=detector,
        embedder=embedder,
        threads=threads or (1 if len(run.paths) > 1 else None),  # the images share out the cores
        runtime=runtime_for(runtime, images=len(run.paths)),
    )
    rows: list[dict[str, Any]] = [
        {"image": path, "face": i} | face_fields(face) | {"embedding": one.embeddings[i].tolist()}
        for path, one in run.outcomes(recognizer.stream(run.paths))
        for i, face in enumerate(one.faces)
        if one.usable[i]
    ]
    if output:
        _save_embeddings(output, rows, contract=recognizer.embedder.contract)
    if as_json:
        print_json({"contract": recognizer.embedder.contract, "faces": rows})
    elif as_csv:
        size = len(rows[0]["embedding"]) if rows else 0
        names = [f"e{i}" for i in range(size)]
        flat = [row | dict(zip(names, row["embedding"], strict=True)) for row in rows]
        print_csv(flat, columns=["image", "face", "score", *names])
    else:
        short = [row | {"size": len(row["embedding"]), "start": _start_of(row["embedding"])} for row in rows]
        headings = {"image": "image", "face": "face", "score": "score", "size": "dimensions"}
        title = f"contract {recognizer.embedder.contract}"
        print_table(short, columns=headings | {"start": "embedding"}, title=title)
    run.finish()


def _start_of(embedding: list[float]) -> str:
    return " ".join(f"{value:+.3f}" for value in embedding[:4]) + " ..."


def _save_embeddings(file: Path, rows: list[dict[str, Any]], *, contract: str) -> None:
    import numpy as np

    from vultus.image import replace_file

    with replace_file(file) as stream:
        np.savez(
            stream,
            embeddings=np.array([row["embedding"] for row in rows], np.float32),
            boxes=np.array([row["box"] for row in rows], np.float32).reshape(-1, 4),
            images=np.array([row["image"] for row in rows]),
            contract=np.array(contract),
        )
    stderr.print(f"wrote {len(rows)} embeddings to {file}", highlight=False, markup=False)


def verify(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="A photo with one face.", show_default=False)],
    second: Annotated[str, typer.Argument(help="Another.", show_default=False)],
    *,
    faces: options.Faces = FaceChoice.ONLY,
    min_similarity: options.MinSimilarity = None,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    embedder: options.EmbedderName = None,
    server: remote.Server = None,
    key: remote.Key = None,
    as_json: options.Json = False,
) -> None:
    """Say whether two photos show the same person.

    Exits with 0 for the same person, with 10 for different people, and with 11 where the similarity is not
    enough evidence for either.

    Example: vultus verify passport.jpg camera.jpg

    Example: vultus verify a.jpg b.jpg --faces largest --json

    Example: vultus verify a.jpg b.jpg --server https://faces.example
    """
    recognizer = remote.connect(server, key, context=context, also={"faces"}) or make_recognizer(
        detector=detector, embedder=embedder, min_similarity=min_similarity
    )
    result = recognizer.verify(first, second, faces=faces)
    if as_json:
        print_json(
            {
                "is_same": result.is_same,
                "similarity": round(result.similarity, 4),
                "min_similarity": result.min_similarity,
                "answer": str(result.answer),
                **evidence_fields(result),
                "faces": [face_fields(face) for face in result.faces],
            }
        )
    else:
        relation = ">=" if result.is_same else "<"
        rate = "" if result.fmr is None else f"; strangers come as close in {result.fmr:.1e} of all cases"
        typer.echo(
            f"{_VERDICTS[result.answer]}: similarity {result.similarity:.3f} {relation} "
            f"{result.min_similarity:.3f}{rate}"
        )
    raise typer.Exit(_EXIT_CODES[result.answer])


DIFFERENT_PEOPLE, NOT_ENOUGH_EVIDENCE = 10, 11
"""`vultus verify` exits with these, so that scripts can ask."""

_VERDICTS = {
    Answer.KNOWN: "same person",
    Answer.UNCERTAIN: "not enough evidence",
    Answer.UNKNOWN: "different people",
}
_EXIT_CODES = {Answer.KNOWN: 0, Answer.UNCERTAIN: NOT_ENOUGH_EVIDENCE, Answer.UNKNOWN: DIFFERENT_PEOPLE}
