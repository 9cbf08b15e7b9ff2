"""The interval of an average precision: its draws are measurements of their own."""

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.evaluate import WiderTruth, widerface_ap
from vultus.evaluate.detection_ap import WiderMatches, match_widerface
from vultus.evaluate.detection_interval import ap_draws, ap_interval
from vultus.types import Detections

N_IMAGES = 12


def random_set(seed: int, *, n_images: int = N_IMAGES) -> tuple[dict[str, Detections], WiderTruth]:
    """Three faces per image, found by chance; each image has the scores 0 and 1: normalising changes none."""
    chance = np.random.default_rng(seed)
    face = np.array([[0, 0, 20, 20], [50, 0, 70, 20], [100, 0, 120, 20]], np.float64)
    names = tuple(f"event/{i}.jpg" for i in range(n_images))
    counts = {name: chance.random(3 * n_images) < 0.8 for name in ("easy", "medium", "hard")}
    truth = WiderTruth(names, np.arange(0, 3 * n_images + 1, 3), np.tile(face, (n_images, 1)), counts)
    predictions = {}
    for name in names:
        boxes = np.concatenate([face, face + 500])[chance.permutation(6)]
        scores = np.concatenate([[1.0], np.sort(chance.random(4))[::-1], [0.0]])
        zeros = np.zeros((6, 5, 2), np.float32)
        predictions[name] = Detections(boxes.astype(np.float32), scores.astype(np.float32), zeros)
    return predictions, truth


def drawn(predictions: dict[str, Detections], truth: WiderTruth, times: list[int]) -> float:
    """The AP of the set in which each image stands as often as it was drawn."""
    picked = [i for i, count in enumerate(times) for _ in range(count)]
    names = tuple(f"event/{copy}.jpg" for copy in range(len(picked)))
    faces = np.concatenate([np.arange(3 * i, 3 * i + 3) for i in picked])
    counts = {name: flags[faces] for name, flags in truth.counts.items()}
    again = WiderTruth(names, np.arange(0, 3 * len(picked) + 1, 3), truth.boxes[faces], counts)
    copies = {name: predictions[truth.images[i]] for name, i in zip(names, picked, strict=True)}
    return widerface_ap(copies, again).hard


def test_every_draw_is_a_measurement_of_its_own() -> None:
    predictions, truth = random_set(0)
    chance = np.random.default_rng(7)
    times = chance.multinomial(N_IMAGES, np.full(N_IMAGES, 1 / N_IMAGES), size=30)
    areas = [drawn(predictions, truth, row.tolist()) for row in times]
    assert np.ptp(areas) > 0.1
    matches = match_widerface(predictions, truth)
    assert ap_draws(matches, difficulty="hard", draws=30, seed=7) == pytest.approx(areas, abs=1e-12)
    interval = ap_interval(matches, difficulty="hard", confidence=0.8, draws=30, seed=7)
    assert interval == pytest.approx(np.quantile(areas, [0.1, 0.9]), abs=1e-12)


def test_more_images_make_it_narrower() -> None:
    few, many = (
        ap_interval(match_widerface(*random_set(1, n_images=n)), difficulty="hard") for n in (10, 250)
    )
    assert few.high - few.low > 2 * (many.high - many.low) > 0


def test_it_holds_the_figure_and_repeats() -> None:
    matches = match_widerface(*random_set(2))
    figure = matches.curve(matches.truth.counts["easy"]).average_precision
    interval = ap_interval(matches, difficulty="easy")
    assert interval.low < figure < interval.high
    assert interval == ap_interval(matches, difficulty="easy")


def test_only_the_judged_images_are_drawn() -> None:
    predictions, truth = random_set(3)
    present = {name: predictions[name] for name in list(predictions)[:1]}
    matches = match_widerface(present, truth, only_present=True)
    figure = matches.curve(truth.counts["hard"]).average_precision
    assert ap_interval(matches, difficulty="hard") == pytest.approx((figure, figure))


def test_draws_without_faces_are_left_out() -> None:
    """One image has the only face, the other none: a draw of the other one twice says nothing."""
    nobody, somebody = Detections.empty(), random_set(4)[0]["event/0.jpg"]
    counts = {name: np.array([True]) for name in ("easy", "medium", "hard")}
    truth = WiderTruth(("a/1.jpg", "a/2.jpg"), np.array([0, 1, 1]), np.array([[0.0, 0, 20, 20]]), counts)
    matches = match_widerface({"a/1.jpg": somebody, "a/2.jpg": nobody}, truth)
    areas = ap_draws(matches, difficulty="hard")
    assert 0.15 < np.isnan(areas).mean() < 0.35
    assert ap_interval(matches, difficulty="hard").low == np.nanmin(areas) > 0


def test_no_faces_have_no_interval() -> None:
    matches: WiderMatches = match_widerface(*random_set(5))
    for counts in matches.truth.counts.values():
        counts[:] = False
    with pytest.raises(InputError, match="no face of the judged images counts at hard"):
        ap_interval(matches, difficulty="hard")


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(InputError, match=r"confidence must lie in \(0, 1\)"):
        ap_interval(match_widerface(*random_set(6)), difficulty="hard", confidence=confidence)
