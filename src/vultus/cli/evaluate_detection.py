"""`vultus evaluate widerface`: how well a detector finds faces, by the official protocol."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.reporting import ReportFolder, command_line, counted, present
from vultus.defaults import DEFAULT_DETECTOR
from vultus.errors import InputError

if TYPE_CHECKING:
    from vultus.evaluate import WiderTruth
    from vultus.interfaces import Detector
    from vultus.types import Detections

ORIGINAL = "original"


class WhichImages(StrEnum):
    """Which of the 3,226 validation images are judged."""

    ALL = "all"
    PRESENT = "present"


def widerface(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="The folder with images/ (a folder per event) and ground_truth/ (four official .mat files).",
        ),
    ],
    *,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="A name of `vultus weights list`, or an exported ONNX file (for MTCNN the folder of three).",
            show_default="those that come with it",
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            "--scale", help="The longer side of the images, in pixels, or 'original' for images as they are."
        ),
    ] = ORIGINAL,
    images: Annotated[
        WhichImages,
        typer.Option("--images", help="'present' judges those that are there; the report calls it a subset."),
    ] = WhichImages.ALL,
    min_face_px: options.MinFacePx = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            metavar="DIR",
            help="Judge these files, in the official text format, and detect nothing.",
            show_default=False,
        ),
    ] = None,
    save_predictions: Annotated[
        Path | None,
        typer.Option(
            "--save-predictions",
            metavar="DIR",
            help="Write the detections there, in the official text format.",
            show_default=False,
        ),
    ] = None,
    threads: options.Threads = None,
    report: ReportFolder = None,
    as_json: options.Json = False,
) -> None:
    """Average precision on WIDER FACE's validation set: easy, medium, hard, by face height and by event.

    Scores from 0.02 on and the best 750 boxes of an image are judged, as the protocol wants.

    Example: vultus evaluate widerface widerface/val --detector retinaface --scale 640 --report runs/wider
    """
    from vultus.evaluate import (
        match_widerface,
        read_widerface_predictions,
        read_widerface_truth,
        widerface_report,
        write_curves,
        write_widerface_predictions,
    )

    under_test = _UnderTest(
        detector=detector, weights=weights, longest_px=_longest_px(scale), min_face_px=min_face_px
    )
    truth = read_widerface_truth(data / "ground_truth")
    is_subset = images is WhichImages.PRESENT
    if predictions is None:
        finder = under_test.load(threads=threads)
        found = _detect(data / "images", truth, finder, only_present=is_subset)
    else:
        found = read_widerface_predictions(predictions)
    setting = under_test.setting() if predictions is None else {"predictions": str(predictions)}
    if save_predictions is not None:
        write_widerface_predictions(found, save_predictions)
    matches = match_widerface(found, truth, only_present=is_subset)
    if report is not None:
        for path in write_curves(matches, report):
            stderr.print(f"wrote {path}", highlight=False, markup=False)
    present(widerface_report(matches, setting=setting, command=command_line()), report, as_json=as_json)


def _detect(
    folder: Path, truth: WiderTruth, detector: Detector, *, only_present: bool
) -> dict[str, Detections]:
    from vultus.evaluate import detect_images, find_widerface_images

    paths = find_widerface_images(folder, truth, only_present=only_present)
    with counted("Detecting", total=len(paths)) as on_progress:
        return detect_images(paths, detector, on_progress=on_progress)


def _longest_px(scale: str) -> int | None:
    if scale == ORIGINAL:
        return None
    if not scale.isdecimal() or not int(scale):
        raise InputError(f"--scale must be {ORIGINAL!r} or a number of pixels such as 640, got {scale!r}")
    return int(scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderTest:
    """What is judged.

    Attributes:
        detector: its name.
        weights: a name in the catalogue or an ONNX file; None for those that come with the detector.
        longest_px: the longer side of the images; None for images as they are.
        min_face_px: None for the detector's own.
    """

    detector: str
    weights: str | None
    longest_px: int | None
    min_face_px: float | None

    def load(self, *, threads: int | None) -> Detector:
        """The detector as the protocol wants it: faint faces too, and at the stated scale."""
        from vultus.detect import OPTIONS, load_detector
        from vultus.evaluate import ScaledDetector
        from vultus.evaluate.widerface_images import MIN_SCORE

        options: dict[str, Any] = {"min_score": MIN_SCORE}
        if self.min_face_px is not None:
            options["min_face_px"] = self.min_face_px
        resizes = "longest_px" in OPTIONS.get(self.detector, ())
        if resizes:
            options["longest_px"] = self.longest_px
        detector = load_detector(self.detector, weights=self.weights, threads=threads, **options)
        if resizes or self.longest_px is None:
            return detector
        return ScaledDetector(detector, longest_px=self.longest_px)

    def setting(self) -> dict[str, str]:
        """The same in words, for the report."""
        from vultus.detect import DEFAULT_WEIGHTS
        from vultus.evaluate.widerface_images import MAX_BOXES, MIN_SCORE

        px = self.min_face_px
        return {
            "detector": self.detector,
            "weights": _hashed(self.weights or DEFAULT_WEIGHTS[self.detector]),
            "scale": "original size" if self.longest_px is None else f"longer side {self.longest_px} px",
            "smallest face": "the detector's own" if px is None else f"{px:g} px",
            "kept": f"scores from {MIN_SCORE} on, the best {MAX_BOXES} boxes of an image",
        }


def _hashed(weights: str) -> str:
    """The weights with the SHA-256 of each of their files."""
    from vultus.weights.catalog import find

    known = find(weights)
    if known is not None:
        hashes = [file.sha256 or "not recorded" for file in known.files]
    else:
        files = sorted(Path(weights).glob("*.onnx")) or [Path(weights)]
        hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return f"{weights}, SHA-256 {', '.join(hashes)}"
