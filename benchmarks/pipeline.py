"""What the pipeline gains: photos at once, JPEGs decoded small, and how soon the first result is there.

    python -m benchmarks.pipeline folder --photos 2000
    python -m benchmarks.pipeline folder --photos 2000 --from ../shared/data/lfw-dev/images
    python -m benchmarks.pipeline decode
    python -m benchmarks.pipeline start
    python -m benchmarks.pipeline repaid --detector retinaface --longest-px 640

folder: 2,000 photos, those of `--from` or the shared ones over and over in sizes up to `--size-px`, one after
the other (`FaceRecognizer.embed`, networks on all cores) and streamed (`FaceRecognizer.stream`, networks on
one thread each), in alternating portions, with the most memory that was held and the largest difference of
an embedding.

decode: a 12-megapixel JPEG from bytes to boxes: decoded in full by OpenCV, then detected; and decoded as far
as the detector needs (`detect_photo`), turn about.

start: `import vultus`, `vultus --help`, and the first result on a photo, each in processes of their own.

repaid: after how many photos OpenVINO's later start is repaid.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from benchmarks.photos import PHOTOS, fitted

from vultus.benchmark.fresh import measure_start, resident_mb
from vultus.benchmark.subjects import Parts, prepare
from vultus.benchmark.timing import times_of
from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.pipeline import FaceRecognizer
from vultus.pipeline.photo import detect_photo
from vultus.runtime.device import usable_cores
from vultus.types import Image

PORTION = 500  # photos of one side before the other has its turn: the ends of a stream hardly count
MEGAPIXELS = 12e6


def jpeg(image: Image) -> bytes:
    """As a camera writes it."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def scaled(image: Image, scale: float) -> Image:
    """The image at another size."""
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)


def recognizer(arguments: argparse.Namespace, *, threads: int | None) -> FaceRecognizer:
    """With the asked parts, on the asked runtime."""
    return FaceRecognizer(
        detector=load_detector(
            arguments.detector, threads=threads, runtime=arguments.runtime, **options_of(arguments)
        ),
        embedder=load_embedder(arguments.embedder, threads=threads, runtime=arguments.runtime),
        min_similarity=0.5,  # nothing is compared
    )


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of the detector."""
    return {} if arguments.longest_px is None else {"longest_px": arguments.longest_px}


def folder(arguments: argparse.Namespace) -> dict[str, Any]:
    """One after the other, and streamed."""
    alone, streamed = recognizer(arguments, threads=None), recognizer(arguments, threads=1)
    seconds, faces, shift = {"one at a time": 0.0, "streamed": 0.0}, 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        paths = folder_of(arguments, Path(name))
        list(streamed.stream(paths[:4]))  # both sides warm up
        alone.embed(paths[0])
        for first in range(0, len(paths), PORTION):
            portion = paths[first : first + PORTION]
            start = time.perf_counter()
            expected = [alone.embed(path) for path in portion]
            seconds["one at a time"] += time.perf_counter() - start
            start = time.perf_counter()
            found = [outcome.result() for outcome in streamed.stream(portion)]
            seconds["streamed"] += time.perf_counter() - start
            for one, other in zip(expected, found, strict=True):
                faces += len(one.faces)
                if len(one.faces) != len(other.faces):
                    raise SystemExit("streamed photos gave other faces")
                shift = max(shift, float(np.abs(one.embeddings - other.embeddings).max(initial=0)))
    return {
        "photos": len(paths),
        "faces": faces,
        "seconds": seconds,
        "times as fast": seconds["one at a time"] / seconds["streamed"],
        "largest difference of an embedding": shift,
        "most memory, MB": resident_mb(),
    }


def folder_of(arguments: argparse.Namespace, made: Path) -> list[Path]:
    """The photos to go through; made in this folder where none is named."""
    if arguments.photos_from is not None:
        found = sorted(arguments.photos_from.rglob("*.jpg"))[: arguments.photos]
        if not found:
            raise SystemExit(f"there are no JPEGs (*.jpg) in {arguments.photos_from}")
        return found
    random = np.random.default_rng(0)
    originals = [load_image(path) for path in sorted(PHOTOS.iterdir())]
    paths = []
    for i in range(arguments.photos):
        photo = originals[i % len(originals)]
        longest = int(random.integers(arguments.size_px // 2, arguments.size_px + 1))
        paths.append(made / f"{i}.jpg")
        paths[-1].write_bytes(jpeg(scaled(photo, longest / max(photo.shape))))
    return paths


def decode(arguments: argparse.Namespace) -> dict[str, Any]:
    """From the bytes of 12 megapixels to boxes."""
    photo = load_image(PHOTOS / "six-friends.jpg")
    data = jpeg(scaled(photo, (MEGAPIXELS / (photo.shape[0] * photo.shape[1])) ** 0.5))
    options: dict[str, Any] = {"longest_px": arguments.longest_px or 640}
    detector = load_detector(arguments.detector, runtime=arguments.runtime, **options)

    def whole() -> Any:
        bgr: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return detector.detect(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))

    def small() -> Any:
        return detect_photo(data, detector)

    medians = turn_about({"decoded whole": whole, "decoded small": small}, rounds=arguments.rounds)
    first, second = whole(), small()
    return {
        "median_ms": medians,
        "times as fast": medians["decoded whole"] / medians["decoded small"],
        "faces": [len(first), len(second)],
        "least IoU": float(iou(first.boxes, second.boxes).max(axis=1).min()),
    }


def turn_about(sides: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """The median milliseconds of each, after one call each that does not count."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(rounds + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if round_:
                times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def start(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of new processes."""
    vultus = [sys.executable, "-m", "vultus"]
    commands = {
        "import vultus": [sys.executable, "-c", "import vultus"],
        "vultus --help": [*vultus, "--help"],
        "vultus embed PHOTO": [*vultus, "embed", str(PHOTOS / "six-friends.jpg"), "--json"],
    }
    sides = {
        name: partial(subprocess.run, command, check=True, capture_output=True)
        for name, command in commands.items()
    }
    return {"median_s": {name: ms / 1e3 for name, ms in turn_about(sides, rounds=arguments.rounds).items()}}


def repaid(arguments: argparse.Namespace) -> dict[str, Any]:
    """Start and photos a second on both runtimes."""
    photo = jpeg(fitted(load_image(PHOTOS / "six-friends.jpg"), (480, 640)))
    told: dict[str, Any] = {}
    for runtime in ("onnx", "openvino"):
        parts = Parts("pipeline", arguments.detector, arguments.embedder, runtime, options_of(arguments))
        call = prepare(parts, [photo], threads=usable_cores())
        times = times_of(lambda: call(1), rounds=arguments.rounds)  # noqa: B023 -- called at once
        told[runtime] = {
            "first_result_s": measure_start(parts, photo).first_result_s,
            "median_ms": 1e3 * statistics.median(times),
        }
    later = told["openvino"]["first_result_s"] - told["onnx"]["first_result_s"]
    saved = (told["onnx"]["median_ms"] - told["openvino"]["median_ms"]) / 1e3
    return told | {"repaid after photos": later / saved if saved > 0 else None}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measures = {"folder": folder, "decode": decode, "start": start, "repaid": repaid}
    parser.add_argument("measure", choices=measures)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--embedder", default=DEFAULT_EMBEDDER)
    parser.add_argument("--longest-px", type=int, help="of the detector's input")
    parser.add_argument("--runtime", default="onnx")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--from", dest="photos_from", type=Path, help="a folder of JPEGs")
    parser.add_argument("--size-px", type=int, default=1600, help="the largest photo of the folder")
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    print(json.dumps(measures[arguments.measure](arguments), indent=2))


if __name__ == "__main__":
    main()
