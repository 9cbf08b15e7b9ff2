"""Does memory grow? Detect and embed thousands of images of mixed sizes, and print the slope.

    python benchmarks/memory.py PHOTOS --images 2000

Resident memory is read every 20 images; the slope is that of a least-squares line after the warm-up
(the first quarter). Linux only: it reads /proc/self/statm.
"""

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from vultus import FaceRecognizer, load_image
from vultus.types import Image

EVERY = 20


def resident_mb() -> float:
    """Resident memory of this process, in millions of bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def resized(image: Image, longest_px: int) -> Image:
    """The image with its longer side at `longest_px`."""
    height, width = image.shape[:2]
    scale = longest_px / max(height, width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--longest-px", type=int, default=1000, help="the largest size drawn")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    photos = [
        load_image(path) for path in sorted(arguments.photos.iterdir()) if path.suffix in {".jpg", ".png"}
    ]
    random = np.random.default_rng(0)
    recognizer = FaceRecognizer()
    counts, readings, faces = [], [], 0
    for i in track(range(arguments.images), description="Embedding", transient=True):
        photo = photos[int(random.integers(len(photos)))]
        image = resized(photo, int(random.integers(80, arguments.longest_px)))
        faces += len(recognizer.embed(image).faces)
        if (i + 1) % EVERY == 0:
            counts.append(i + 1)
            readings.append(resident_mb())
    kept = slice(len(counts) // 4, None)
    slope_mb, _ = np.polyfit(counts[kept], readings[kept], 1)
    result = {
        "images": arguments.images,
        "faces": faces,
        "resident_mb_after_warm_up": round(readings[kept][0], 1),
        "resident_mb_at_end": round(readings[-1], 1),
        "resident_mb_at_most": round(max(readings), 1),
        "slope_mb_per_1000_images": round(float(slope_mb) * 1000, 2),
    }
    print(
        json.dumps(result)
        if arguments.json
        else "\n".join(f"{key:28} {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
