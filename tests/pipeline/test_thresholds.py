"""Which threshold decides, and what it rests on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.choices import Answer
from vultus.errors import InputError
from vultus.gallery import SqliteGallery
from vultus.interfaces import Detector, Embedder
from vultus.pipeline import FaceRecognizer, calibration_for, threshold_for_gallery, threshold_for_pair
from vultus.types import Calibration, Image, Interval, Template, ThresholdRates

Paint = Callable[..., Image]


def point(threshold: float, fmr: float, fnmr: float) -> ThresholdRates:
    return ThresholdRates(threshold, fmr, Interval(fmr / 2, fmr * 2), fnmr, round(fmr * 1e6), 10**6, 1000)


CALIBRATION = Calibration(
    "painted",
    (point(0.2, 1e-1, 0.0), point(0.3, 1e-2, 0.005), point(0.6, 1e-4, 0.03), point(0.9, 1e-5, 0.1)),
    fmr=1e-2,
    fpir=1e-2,
)


def fill(gallery: SqliteGallery, count: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(count, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery.enrol("Crowd", [Template(one.astype(np.float32)) for one in vectors])


def test_without_a_calibration_the_recorded_number_decides(
    embedder: Embedder, gallery: SqliteGallery
) -> None:
    for threshold in (threshold_for_pair(embedder), threshold_for_gallery(embedder, gallery)):
        assert (threshold.min_similarity, threshold.fmr, threshold.doubtful_from) == (0.5, None, None)
    with pytest.raises(InputError, match="vultus calibrate"):
        threshold_for_gallery(embedder, gallery, fpir=0.01)


def test_the_gallerys_calibration_decides(embedder: Embedder, gallery: SqliteGallery) -> None:
    gallery.set_calibration(CALIBRATION)
    assert calibration_for(embedder, gallery) == CALIBRATION
    assert threshold_for_pair(embedder, gallery=gallery).min_similarity == 0.3
    assert threshold_for_pair(embedder, gallery=gallery, fmr=1e-4).min_similarity == 0.6


def test_a_calibration_of_another_contract_decides_nothing(
    embedder: Embedder, gallery: SqliteGallery
) -> None:
    gallery.set_calibration(replace(CALIBRATION, contract="another"))
    assert calibration_for(embedder, gallery) is None


def test_the_threshold_follows_the_size_of_the_gallery(embedder: Embedder, tmp_path: Path) -> None:
    with SqliteGallery(tmp_path / "crowd.db", contract="painted") as gallery:
        gallery.set_calibration(CALIBRATION)
        assert threshold_for_gallery(embedder, gallery).min_similarity == 0.3
        fill(gallery, 90)
        threshold = threshold_for_gallery(embedder, gallery)
        assert (threshold.min_similarity, threshold.doubtful_from) == (0.6, 0.3)
        assert threshold.comparisons == 90
        fill(gallery, 900)
        assert threshold_for_gallery(embedder, gallery).min_similarity == 0.9


def test_the_callers_threshold_goes_before_all_others(embedder: Embedder, gallery: SqliteGallery) -> None:
    gallery.set_calibration(CALIBRATION)
    threshold = threshold_for_gallery(embedder, gallery, min_similarity=0.7)
    assert (threshold.min_similarity, threshold.doubtful_from, threshold.fmr) == (0.7, None, 1e-4)


def test_a_match_says_what_it_rests_on(
    detector: Detector, embedder: Any, gallery: SqliteGallery, paint: Paint
) -> None:
    gallery.set_calibration(CALIBRATION)
    recognizer = FaceRecognizer(gallery, detector=detector, embedder=embedder)
    (match,) = recognizer.identify(paint(10)).matches
    assert (match.answer, match.name, match.min_similarity) == (Answer.KNOWN, "Ada", 0.6), (
        "there are two templates"
    )
    assert match.fmr == 1e-5, "an identical picture reaches the highest point"
    assert match.fpir == pytest.approx(1e-4 * 2, rel=0.01)


def test_in_the_grey_zone_nobody_is_named(
    detector: Detector, embedder: Any, gallery: SqliteGallery, paint: Paint
) -> None:
    recognizer = FaceRecognizer(gallery, detector=detector, embedder=embedder)
    similarity = recognizer.identify(paint(77)).matches[0].candidates[0].similarity
    around = (
        point(similarity - 0.01, 1e-1, 0.0),
        point(similarity + 0.01, 1e-4, 0.5),
    )
    gallery.set_calibration(replace(CALIBRATION, rates=around))
    result = recognizer.identify(paint(77))
    (match,) = result.matches
    assert (match.answer, match.name, match.is_known) == (Answer.UNCERTAIN, None, False)
    assert result.answer is Answer.UNCERTAIN
    assert match.fmr == 1e-1
    verification = recognizer.verify(paint(10), paint(10))
    assert (verification.answer, verification.is_same, verification.fmr) == (Answer.KNOWN, True, 1e-4)
