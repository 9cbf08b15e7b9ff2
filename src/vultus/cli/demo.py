"""`vultus demo`: the main job on a real photo, in one command."""

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import Pictures
from vultus.errors import MissingExtraError

PERSON = "Eileen Collins"


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the annotated pictures.")
    ] = Path("vultus-demo"),
    as_json: options.Json = False,
) -> None:
    """Enrol a person from a photo, and find them again in a changed copy.

    The photo is NASA's portrait of the astronaut Eileen Collins (public domain); it comes with scikit-image.

    Example: vultus demo --output pictures/
    """
    from vultus.draw import annotate_recognition
    from vultus.image import load_image
    from vultus.pipeline import FaceRecognizer

    started = time.perf_counter()
    portrait = load_image(_sample("astronaut.png"))
    probes = {
        "the-same-photo": portrait,
        "mirrored-darker-turned": _changed(portrait),
        "a-cup-of-coffee": load_image(_sample("coffee.png")),
    }
    pictures = Pictures(output, is_single=False)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, FaceRecognizer(Path(folder) / "people.db") as recognizer:
        recognizer.enrol(PERSON, portrait)
        for title, image in probes.items():
            result = recognizer.identify(image)
            pictures.write(title, annotate_recognition(image, result))
            best = result.matches[0].best if result.matches else None
            rows.append(
                {
                    "probe": title,
                    "answer": str(result.answer),
                    "name": result.names[0] if result.names else None,
                    "similarity": round(best.similarity, 3) if best else None,
                    "threshold": recognizer.min_similarity,
                }
            )
    seconds = round(time.perf_counter() - started, 2)
    if as_json:
        print_json({"enrolled": PERSON, "probes": rows, "pictures": str(output), "seconds": seconds})
        return
    headings = {key: key for key in ("probe", "answer", "name", "similarity", "threshold")}
    print_table(rows, columns=headings, title=f"Enrolled {PERSON} from one photo, then asked who is on:")
    typer.echo(f"{seconds} s, with loading the networks. Annotated pictures are in {output}/")
    typer.echo("Next: vultus enrol NAME PHOTO; vultus identify PHOTO")


def _sample(name: str) -> Path:
    """A picture that comes with the scikit-image package, found without importing it.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return Path(str(distribution("scikit-image").locate_file(f"skimage/data/{name}")))
    except PackageNotFoundError as error:
        raise MissingExtraError(
            "the demo's photo comes with scikit-image, which is not installed: pip install 'vultus[demo]'"
        ) from error


def _changed(image: Any) -> Any:
    """The picture mirrored, at 60 % of its brightness, turned by 20 degrees."""
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1.0)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    return (cv2.warpAffine(mirrored, turn, (width, height)) * 0.6).astype(np.uint8)
