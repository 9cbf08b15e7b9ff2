"""Indexes photos with parts that cost nothing, and is killed meanwhile as often as asked, by itself.

    python killed_indexer.py SOURCE SINK single|pool|ray --people none|folder --kills N --seed N

Each attempt is a process of its own; it dies by SIGKILL at a random moment, or right before or after
something was written. The last one ends well, and what it did is printed as JSON.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vultus.batch import (
    GallerySink,
    Manifest,
    ParquetSink,
    People,
    PhotoFaces,
    PhotoSource,
    PhotoWork,
    Sink,
    in_processes,
    in_this_process,
    index_photos,
    on_ray,
)
from vultus.batch.manifest import Content
from vultus.gallery import SqliteGallery
from vultus.pipeline import EnrolmentPolicy
from vultus.types import Crops, Detections, Embeddings, Image

CONTRACT, DIMENSION, POISON = "fake", 8, 255
PAUSE_S = 0.004  # of a photo


class Finder:
    """The first pixel's red says how many faces there are: that modulo 4. Some pixels end the process."""

    def detect(self, image: Image) -> Detections:
        time.sleep(PAUSE_S)
        if (image == POISON).all():
            os._exit(9)
        count = int(image[0, 0, 0]) % 4
        corners = np.arange(count, dtype=np.float32)[:, np.newaxis] + np.array([0, 0, 64, 64], np.float32)
        points = np.array([[20, 20], [44, 20], [32, 32], [22, 46], [42, 46]], np.float32)
        return Detections(
            corners, np.linspace(1, 0.5, count, dtype=np.float32), np.tile(points, (count, 1, 1))
        )

    def detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        return [self.detect(image) for image in images]


class Namer:
    """The pixels and the place of a face decide its vector."""

    contract, min_similarity = CONTRACT, 0.5

    def alignable(self, faces: Detections) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.ones(len(faces), np.bool_)

    def align(self, image: Image, faces: Detections) -> Crops:
        rows = [np.roll(image[:16, :16], int(box[0]), axis=1) for box in faces.boxes]
        return np.stack(rows) if rows else np.zeros((0, 16, 16, 3), np.uint8)

    def embed(self, crops: Crops) -> Embeddings:
        seeds = [int.from_bytes(crop.tobytes()[:6], "big") for crop in crops]
        rows = np.array([np.random.default_rng(seed).standard_normal(DIMENSION) for seed in seeds])
        rows = rows.reshape(len(crops), DIMENSION)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def load() -> tuple[Finder, Namer]:
    return Finder(), Namer()


def work_of(source: Path | str, people: str = "none", **options: Any) -> PhotoWork:
    policy = EnrolmentPolicy(force=True)
    return PhotoWork(PhotoSource(source), load, people=People(people), policy=policy, **options)


class Dying:
    """A sink whose process is killed around the write of this number."""

    def __init__(self, sink: Sink, *, at: int, is_written: bool) -> None:
        self._sink, self._at, self._is_written, self._writes = sink, at, is_written, 0
        self.photos_per_batch, self.name = sink.photos_per_batch, sink.name
        self.is_searchable, self.is_empty = sink.is_searchable, sink.is_empty

    def arrived(self, batch: int, contents: Sequence[Content]) -> set[str]:
        return self._sink.arrived(batch, contents)

    def write(self, batch: int, photos: Sequence[PhotoFaces]) -> None:
        self._writes += 1
        if self._writes == self._at and not self._is_written:
            os.kill(os.getpid(), signal.SIGKILL)
        self._sink.write(batch, photos)
        if self._writes == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def runner(mode: str) -> Callable[..., Any]:
    if mode == "single":
        return in_this_process
    return partial(in_processes, workers=2) if mode == "pool" else partial(on_ray, workers=2)


def index(arguments: argparse.Namespace, dying: Callable[[Sink], Sink]) -> dict[str, Any]:
    with Manifest(f"{arguments.sink}.manifest") as manifest:
        if arguments.sink.endswith(".parquet"):
            sink: Sink = ParquetSink(arguments.sink, contract=CONTRACT)
            return run(arguments, manifest, dying(sink))
        with SqliteGallery(arguments.sink, contract=CONTRACT) as gallery:
            return run(arguments, manifest, dying(GallerySink(gallery, contract=CONTRACT)))


def run(arguments: argparse.Namespace, manifest: Manifest, sink: Sink) -> dict[str, Any]:
    work = work_of(arguments.source, arguments.people)
    done = index_photos(
        work, sink, manifest, run=runner(arguments.mode), photos_per_portion=4, photos_per_batch=8
    )
    return asdict(done)


def killed(arguments: argparse.Namespace, chance: random.Random) -> None:
    """One attempt in a child of this process, which does not end well."""
    at, is_written = chance.randint(1, 3), chance.random() < 0.5
    child = os.fork()
    if child == 0:
        index(arguments, partial(Dying, at=at, is_written=is_written))
        os._exit(0)
    if chance.random() < 0.4:
        time.sleep(chance.uniform(0, 0.4))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("sink")
    parser.add_argument("mode", choices=["single", "pool", "ray"])
    parser.add_argument("--people", default="none")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    for _ in range(arguments.kills):
        killed(arguments, chance)
    sys.stdout.write(json.dumps(index(arguments, lambda sink: sink)) + "\n")


if __name__ == "__main__":
    main()
