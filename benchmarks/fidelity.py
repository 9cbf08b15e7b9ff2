"""The fidelity gate: may these weights run in bfloat16? Judged on real faces, against their own fp32 answers.

    python -m benchmarks.fidelity --embedder sface-int8bq
    python -m benchmarks.fidelity --retinaface retinaface-mobilenet0.25

What comes out stands in the catalogue (`WeightsEntry.bf16`), and decides whether `runtime="openvino"` takes
bfloat16 where the processor multiplies in it. It must run on such a processor: elsewhere bfloat16 is
computed in fp32, and everything passes.

An embedder passes if, over the faces of the LFW development set, the median cosine between both precisions is
at least 0.999 and the least 0.99, and the rate of genuine pairs accepted at a false match rate of 1 in 100
moves by at most 0.2 points. A detector passes if on every photo each face that one precision finds with a
score of at least 0.6 (0.1 above what counts as a face) is found by the other, in the same place (IoU of at
least 0.8), with a score within 0.05, and if its average precision on WIDER FACE (the development subset, as
the protocol wants it) moves by at most 0.2 points at each difficulty. Doubtful faces may differ: at the
threshold any last digit decides.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.photos import PHOTOS
from numpy.typing import NDArray

from vultus.detect import RetinaFaceDetector, load_detector
from vultus.detect.loading import open_weights
from vultus.embed.embedder import SessionEmbedder
from vultus.embed.loading import read_model
from vultus.evaluate import detect_images, find_widerface_images, read_widerface_truth, widerface_ap
from vultus.evaluate.widerface import DIFFICULTIES
from vultus.evaluate.widerface_images import MIN_SCORE
from vultus.geometry.boxes import iou
from vultus.image import load_image
from vultus.runtime import OpenVinoSession
from vultus.runtime.onnx import CPU
from vultus.runtime.opening import BF16_UNITS, has_bf16_unit
from vultus.runtime.openvino import Precision
from vultus.types import Detections, Embeddings, Image
from vultus.weights import store
from vultus.weights.catalog import entry
from vultus.weights.description import RetinaFaceDecoding

MEDIAN_COSINE: Final = 0.999
LEAST_COSINE: Final = 0.99
FMR: Final = 0.01
MAX_TAR_SHIFT: Final = 0.002
MIN_IOU: Final = 0.8
CONFIDENT: Final = 0.6
MAX_SCORE_SHIFT: Final = 0.05
MAX_AP_SHIFT: Final = 0.002


def judge_embedder(name: str, folder: Path, *, faces: int) -> dict[str, Any]:
    """Both precisions on the same crops."""
    weights = entry(name)
    model = read_model(weights)
    images, people = read_faces(folder, faces)
    found = [largest(load_detector("retinaface"), image) for image in images]
    fp32, bf16 = (
        SessionEmbedder(weights, OpenVinoSession(model, precision=precision)) for precision in ("f32", "bf16")
    )
    crops = np.concatenate(
        [fp32.align(image, face) for image, face in zip(images, found, strict=True) if len(face)]
    )
    owners = np.array([person for person, face in zip(people, found, strict=True) if len(face)])
    first, second = fp32.embed(crops), bf16.embed(crops)
    cosines = np.sum(first * second, axis=1)
    rates = [accepted(each, owners) for each in (first, second)]
    shift = float(np.abs(first @ first.T - second @ second.T).max())
    figures = {
        "faces": len(crops),
        "median_cosine": float(np.median(cosines)),
        "least_cosine": float(cosines.min()),
        "largest_shift_of_a_similarity": shift,
        "accepted_fp32": rates[0],
        "accepted_bf16": rates[1],
    }
    passed = (
        figures["median_cosine"] >= MEDIAN_COSINE
        and figures["least_cosine"] >= LEAST_COSINE
        and abs(rates[0] - rates[1]) <= MAX_TAR_SHIFT
    )
    return {"is_passed": bool(passed)} | figures


def read_faces(folder: Path, count: int) -> tuple[list[Image], list[str]]:
    """Images, and whose they are: people of several images first."""
    people = sorted(
        (each for each in folder.iterdir() if each.is_dir()), key=lambda each: -len(list(each.iterdir()))
    )
    chosen = [(path, person.name) for person in people for path in sorted(person.iterdir())[:4]][:count]
    return [load_image(path) for path, _ in chosen], [name for _, name in chosen]


def largest(detector: Any, image: Image) -> Detections:
    """The largest face, if there is one."""
    faces: Detections = detector.detect(image)
    return faces[int(faces.sizes_px.argmax())] if len(faces) else faces


def accepted(embeddings: Embeddings, owners: NDArray[np.str_]) -> float:
    """The share of genuine pairs above the threshold that 1 in 100 impostor pairs reach."""
    similarities = embeddings @ embeddings.T
    rows, columns = np.triu_indices(len(owners), 1)
    is_genuine = owners[rows] == owners[columns]
    pairs = similarities[rows, columns]
    impostors = np.sort(pairs[~is_genuine])[::-1]
    threshold = impostors[int(FMR * len(impostors))]
    return float(np.mean(pairs[is_genuine] > threshold))


def judge_retinaface(weights: str, widerface: Path) -> dict[str, Any]:
    """Both precisions on the same photos."""
    model = store.read(entry(weights))
    opened = open_weights(weights, RetinaFaceDecoding, threads=None, providers=(CPU,))

    def detector(precision: Precision, **options: Any) -> RetinaFaceDetector:
        session = OpenVinoSession(model, precision=precision)
        preprocessing, decoding = opened.preprocessing, opened.decoding
        return RetinaFaceDetector(session, preprocessing=preprocessing, decoding=decoding, **options)

    fp32, bf16 = detector("f32", longest_px=640), detector("bf16", longest_px=640)
    missing: list[str] = []
    faces, ious, shifts = 0, [1.0], [0.0]
    for path in sorted(PHOTOS.iterdir()):
        image = load_image(path)
        first, second = fp32.detect(image), bf16.detect(image)
        faces += len(first)
        for one, other in ((first, second), (second, first)):
            confident = one[one.scores >= CONFIDENT]
            overlaps = iou(confident.boxes, other.boxes)
            best = overlaps.max(axis=1, initial=0)
            found = best >= MIN_IOU
            missing += [f"{path.name}: {score:.2f}" for score in confident.scores[~found]]
            if found.any():
                partners = other.scores[overlaps[found].argmax(axis=1)]
                ious.append(float(best[found].min()))
                shifts.append(float(np.abs(confident.scores[found] - partners).max()))
    ap_fp32 = average_precision(detector("f32", min_score=MIN_SCORE), widerface)
    ap_bf16 = average_precision(detector("bf16", min_score=MIN_SCORE), widerface)
    ap_shift = max(abs(ap_fp32[part] - ap_bf16[part]) for part in DIFFICULTIES)
    return {
        "is_passed": not missing and max(shifts) <= MAX_SCORE_SHIFT and ap_shift <= MAX_AP_SHIFT,
        "faces": faces,
        "least_iou": min(ious),
        "largest_shift_of_a_score": max(shifts),
        "confident_faces_without_partner": missing,
        "ap_fp32": ap_fp32,
        "ap_bf16": ap_bf16,
    }


def average_precision(detector: RetinaFaceDetector, widerface: Path) -> dict[str, float]:
    """On WIDER FACE, at each difficulty, images as they are."""
    truth = read_widerface_truth(widerface / "ground_truth")
    paths = find_widerface_images(widerface / "images", truth, only_present=True)
    result = widerface_ap(detect_images(paths, detector), truth, only_present=True)
    return {part: getattr(result, part) for part in DIFFICULTIES}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedder", help="a name in the catalogue")
    parser.add_argument("--retinaface", help="a name in the catalogue")
    parser.add_argument("--lfw", type=Path, default=PHOTOS.parent / "lfw-dev" / "images")
    parser.add_argument("--widerface", type=Path, default=PHOTOS.parent / "widerface-dev")
    parser.add_argument("--faces", type=int, default=2000)
    arguments = parser.parse_args()
    if not has_bf16_unit():
        parser.error(
            f"this processor has none of {', '.join(BF16_UNITS)}: the gate would compare fp32 with itself"
        )
    if arguments.embedder:
        print(json.dumps(judge_embedder(arguments.embedder, arguments.lfw, faces=arguments.faces), indent=2))
    if arguments.retinaface:
        print(json.dumps(judge_retinaface(arguments.retinaface, arguments.widerface), indent=2))


if __name__ == "__main__":
    main()
