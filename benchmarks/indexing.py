"""Index photos in one process, in a pool and on a local Ray; kill each at random; compare the galleries.

    python -m benchmarks.indexing --photos 5000
    python -m benchmarks.indexing --photos 40 --kills 2 --modes single pool

The photos are the shared ones over and over, each at a size and a JPEG quality of its own: so no two are the
same file. Each mode indexes them twice with `vultus index`: once undisturbed, which is timed, and once killed
by SIGKILL (with whatever it had started) so many times, at random moments spread over the time that the first
run took. Every gallery must then hold the same identities with the same vectors, crops and metadata, to the
last bit.

Stated: photos a second of the undisturbed runs, their processor time (which others on the machine hardly
change), how many times as fast as the first mode; what the kills cost; bytes of gallery and manifest for each
photo; how fast photos are listed, and how fast faces are written, which one process does for all.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from benchmarks.photos import PHOTOS

from vultus.batch import Manifest, PhotoSource
from vultus.gallery import SqliteGallery
from vultus.gallery.record import Record
from vultus.image import load_image
from vultus.runtime.device import usable_cores

MODES = {"single": ["--workers", "1"], "pool": [], "ray": ["--ray", "local"]}
FIELDS = (
    "photos",
    "done",
    "indexed",
    "faces",
    "repeated",
    "quarantined",
    "photos_per_s",
    "seconds",
    "listing_s",
)


def make_photos(folder: Path, count: int, *, longest_px: int) -> None:
    """So many JPEG files, a hundred in each folder."""
    random_ = np.random.default_rng(0)
    originals = [load_image(path) for path in sorted(PHOTOS.iterdir())]
    for number in range(count):
        photo = originals[number % len(originals)]
        longest = int(random_.integers(longest_px // 2, longest_px + 1))
        scale = longest / max(photo.shape)
        small: Any = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 80 + number % 15]
        path = folder / f"{number // 100:04}" / f"{number:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", small[..., ::-1], quality)[1].tobytes())


def command(photos: Path, gallery: Path, mode: str, more: list[str]) -> list[str]:
    vultus = [sys.executable, "-m", "vultus", "index", str(photos), "--into", str(gallery), "--json"]
    return [*vultus, *MODES[mode], *more]


def undisturbed(photos: Path, gallery: Path, mode: str, more: list[str]) -> dict[str, Any]:
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command(photos, gallery, mode, more), check=True, stdout=subprocess.PIPE)
    told, after = json.loads(done.stdout), os.times()
    cpu_s = sum(after[2:4]) - sum(before[2:4])  # of children, in user and in system mode
    return {field: told[field] for field in FIELDS} | {"whole_s": time.perf_counter() - start, "cpu_s": cpu_s}


def killed(
    photos: Path, gallery: Path, mode: str, more: list[str], *, moments_s: list[float]
) -> dict[str, Any]:
    """Killed after so many seconds each, then run to the end."""
    kills, spent = 0, 0.0
    for moment_s in moments_s:
        start = time.perf_counter()
        run = subprocess.Popen(
            command(photos, gallery, mode, more), stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            run.wait(moment_s)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)  # it and its processes
            run.wait()
            kills += 1
        spent += time.perf_counter() - start
    last = undisturbed(photos, gallery, mode, more)
    return {"kills": kills, "whole_s": spent + last["whole_s"], "last": last}


def digest_of(gallery: Path) -> str:
    """One hash over everybody with everything but times."""
    with SqliteGallery(gallery) as store:
        if not store.check().is_clean:
            raise SystemExit(f"{gallery} is damaged")
        lines = sorted(
            repr(
                (
                    one.person.id,
                    one.person.name,
                    one.person.metadata,
                    row.vector,
                    row.source,
                    row.quality,
                    crop,
                )
            )
            for one in store.records()
            for row, crop in one.faces
        )
    return blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def listing(photos: Path, manifest: Path, *, times: int) -> dict[str, float]:
    """The time and the space that listing takes, with nothing done yet."""
    found = [(number, photo) for number in range(times) for photo in PhotoSource(photos).photos()]
    start = time.perf_counter()
    with Manifest(manifest) as book:
        for number in range(times):
            book.list_photos(f"{photos}-{number}", (photo for of, photo in found if of == number))
    seconds = time.perf_counter() - start
    n_bytes = sum(path.stat().st_size for path in manifest.parent.glob(f"{manifest.name}*"))
    return {
        "photos": len(found),
        "photos_per_s": len(found) / seconds,
        "bytes_per_photo": n_bytes / len(found),
    }


def writing(gallery: Path, copy: Path, *, rounds: int = 3) -> dict[str, float]:
    """Faces that one process writes into an SQLite gallery in a second, a hundred in a transaction."""
    with SqliteGallery(gallery) as store:
        records = list(store.records())
    rates = []
    for round_ in range(rounds):
        with SqliteGallery(copy.with_name(f"{copy.name}-{round_}"), contract=contract_of(records)) as store:
            start = time.perf_counter()
            for first in range(0, len(records), 100):
                store.add_records(records[first : first + 100])
            rates.append(len(records) / (time.perf_counter() - start))
    return {"faces": len(records), "faces_per_s": statistics.median(rates)}


def contract_of(records: Sequence[Record]) -> str:
    """Of their vectors."""
    row, _ = records[0].faces[0]
    return row.contract


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--longest-px", type=int, default=1024, help="the largest photo")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="for vultus index")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        photos.mkdir()
        make_photos(photos, arguments.photos, longest_px=arguments.longest_px)
        told: dict[str, Any] = {
            "cores": usable_cores(),
            "listing": listing(photos, Path(name) / "l", times=10),
        }
        digests: dict[str, str] = {}
        for mode in arguments.modes:
            whole, broken = Path(name) / f"{mode}.db", Path(name) / f"{mode}-killed.db"
            told[mode] = {"undisturbed": undisturbed(photos, whole, mode, arguments.more)}
            seconds = told[mode]["undisturbed"]["whole_s"]
            moments = [
                chance.uniform(0.1, 1.5) * seconds / max(1, arguments.kills) for _ in range(arguments.kills)
            ]
            told[mode]["killed"] = killed(photos, broken, mode, arguments.more, moments_s=moments)
            told[mode]["killed"]["overhead"] = told[mode]["killed"]["whole_s"] / seconds - 1
            digests |= {f"{mode}": digest_of(whole), f"{mode}, killed": digest_of(broken)}
            count = told[mode]["undisturbed"]["photos"]
            told[mode]["gallery_bytes_per_photo"] = whole.stat().st_size / count
            told[mode]["manifest_bytes_per_photo"] = (
                whole.with_name(f"{mode}.db.manifest").stat().st_size / count
            )
        told["writing"] = writing(Path(name) / f"{arguments.modes[0]}.db", Path(name) / "copy.db")
        first = told[arguments.modes[0]]["undisturbed"]["photos_per_s"]
        for mode in arguments.modes:
            told[mode]["times_as_fast"] = told[mode]["undisturbed"]["photos_per_s"] / first
    told |= {"digests": digests, "all_equal": len(set(digests.values())) == 1}
    print(json.dumps(told, indent=2))
    if not told["all_equal"]:
        raise SystemExit("the galleries differ")


if __name__ == "__main__":
    main()
