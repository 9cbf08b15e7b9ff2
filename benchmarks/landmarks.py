"""How far a detector's landmarks are from the labelled ones, on aligned faces moved by random similarities.

    python -m benchmarks.landmarks mtcnn retinaface retinaface:retinaface-vultus mtcnn:runs/mtcnn
    python -m benchmarks.landmarks mtcnn --faces 600 --split heldout --json

A detector is a name, or a name, a colon and its weights. The faces are crops of `shared/data/faces` with
labelled landmarks, from people whom no training here has seen (split `heldout`). Each is turned by up to 15
degrees, scaled to 0.6 to 1.6 of its 128 pixels, and laid onto a gray canvas of 320 pixels; all detectors see
the same pictures. The labels themselves come from a detector (see the data's own notes), so the figure says
how alike two detectors are, and only ratios are of use.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from vultus.detect import load_detector
from vultus.evaluate import landmark_nme
from vultus.training.data.shards import read_shards
from vultus.types import Detections, FloatArray, Image

ROOT = Path(__file__).resolve().parents[1]
FACES = Path(os.environ.get("VULTUS_SHARED", ROOT.parent / "shared")) / "data" / "faces"
CANVAS_PX, GRAY = 320, 114
SCALES, DEGREES = (0.6, 1.6), 15.0


class Picture(NamedTuple):
    """One face on a canvas."""

    image: Image
    boxes: FloatArray
    landmarks: FloatArray
    is_ignored: np.ndarray[Any, np.dtype[np.bool_]]


def picture(crop: Image, landmarks: FloatArray, chance: np.random.Generator) -> Picture:
    """The crop turned and scaled onto the canvas, with its landmarks and a box about them."""
    middle = crop.shape[0] / 2
    matrix = cv2.getRotationMatrix2D(
        (middle, middle), chance.uniform(-DEGREES, DEGREES), chance.uniform(*SCALES)
    )
    matrix[:, 2] += CANVAS_PX / 2 - middle
    image = np.full((CANVAS_PX, CANVAS_PX, 3), GRAY, np.uint8)
    size = (CANVAS_PX, CANVAS_PX)
    cv2.warpAffine(crop, matrix, size, dst=image, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT)
    moved = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    # The box only decides which face is meant: from the middle of the landmarks, as large as faces are.
    centre, half = moved.mean(axis=0), 1.1 * np.linalg.norm(moved[:2].mean(axis=0) - moved[3:].mean(axis=0))
    box = np.concatenate([centre - half, centre + half])[None].astype(np.float32)
    return Picture(image, box, moved[None], np.zeros(1, np.bool_))


def pictures(folder: Path, *, split: str, count: int) -> list[Picture]:
    """The same for every call."""
    faces = read_shards(folder, split=split)
    chance = np.random.default_rng(0)
    labelled = np.flatnonzero(~np.isnan(faces.landmarks).any(axis=(1, 2)))
    drawn = np.sort(chance.permutation(labelled)[:count]).tolist()
    return [picture(faces.crop(i), faces.landmarks[i], chance) for i in drawn]


def measure(name: str, shown: list[Picture]) -> dict[str, Any]:
    """Both conventions of the error, and how many faces were found."""
    family, _, weights = name.partition(":")
    detector = load_detector(family, weights=weights or None, threads=1)
    found: list[Detections] = [detector.detect(each.image) for each in shown]
    eyes = landmark_nme(found, shown, min_iou=0.3, size="eyes")
    box = landmark_nme(found, shown, min_iou=0.3)
    return {"detector": name, "found": eyes.n_found, "faces": len(shown), "eyes": eyes.nme, "box": box.nme}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detectors", nargs="+", metavar="NAME[:WEIGHTS]")
    parser.add_argument("--data", type=Path, default=FACES, help="folder with index.csv and the shards")
    parser.add_argument("--split", default="heldout")
    parser.add_argument("--faces", type=int, default=600)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    shown = pictures(arguments.data, split=arguments.split, count=arguments.faces)
    rows = [measure(name, shown) for name in arguments.detectors]
    if arguments.json:
        print(json.dumps(rows))
        return
    print("| detector | faces found | NME, of the eyes' distance | NME, of the box |\n|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['detector']} | {row['found']} of {row['faces']} | {row['eyes']:.4f} | {row['box']:.4f} |"
        )


if __name__ == "__main__":
    main()
