"""From labelled faces to what a similarity means."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.choices import FaceChoice
from vultus.defaults import DEFAULT_DETECTOR
from vultus.detect import load_detector
from vultus.embed import load_embedder
from vultus.errors import InputError
from vultus.evaluate import embed_images, find_people
from vultus.match import (
    calibrate,
    calibrate_pairs,
    calibration_from_json,
    calibration_to_json,
    rates_at,
    shipped_calibration,
)
from vultus.match.halves import check_halves
from vultus.types import Calibration, Embeddings, Interval, ThresholdRates

People = tuple[Embeddings, list[int]]


def crowd(people: int, faces: int, *, seed: int = 0) -> People:
    """So many people with so many faces each: a direction of their own and a deviation from it."""
    generator = np.random.default_rng(seed)
    own = np.repeat(generator.normal(size=(people, 24)), faces, axis=0)
    rows = own + 0.6 * generator.normal(size=own.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(people), faces).tolist()


@pytest.fixture(scope="module")
def known() -> People:
    return crowd(60, 4)


@pytest.fixture(scope="module")
def made(known: People) -> Calibration:
    return calibrate(*known, contract="crowd", about={"data": "made up"})


def naive_rates(people: People, threshold: float) -> tuple[float, float]:
    """FMR and FNMR by the definition, pair by pair."""
    rows, owners = people
    false = missed = impostors = genuine = 0
    for i in range(len(rows)):
        for j in range(i):
            accepted = float(rows[i] @ rows[j]) >= threshold
            if owners[i] == owners[j]:
                genuine, missed = genuine + 1, missed + (not accepted)
            else:
                impostors, false = impostors + 1, false + accepted
    return false / impostors, missed / genuine


def test_every_measured_point_is_what_counting_gives(known: People, made: Calibration) -> None:
    assert len(made.rates) > 20
    for point in made.rates[::10]:
        fmr, fnmr = naive_rates(known, point.threshold)
        one_pair = 1.5 / point.n_impostors  # one at the very threshold may round to either side
        assert point.fmr == pytest.approx(fmr, abs=one_pair)
        assert point.fnmr == pytest.approx(fnmr, abs=1.5 / point.n_genuine)
        assert point.fmr_interval.low <= point.fmr <= point.fmr_interval.high


def test_rates_fall_and_misses_rise_with_the_threshold(made: Calibration) -> None:
    fmrs, fnmrs = [one.fmr for one in made.rates], [one.fnmr for one in made.rates]
    assert fmrs == sorted(fmrs, reverse=True)
    assert fnmrs == sorted(fnmrs)
    assert fmrs[0] == pytest.approx(0.5, abs=0.01)


def test_the_last_point_is_the_lowest_rate_that_the_pairs_can_show(made: Calibration) -> None:
    last = made.rates[-1]
    assert last.n_false_matches >= 10
    assert last.n_false_matches < 10 * 10 ** (1 / 10) + 1, "one step further there would be fewer than ten"


def test_too_few_impostors_are_refused_with_the_number_it_takes() -> None:
    with pytest.raises(InputError, match="at least 10,000,000"):
        calibrate(*crowd(60, 4), contract="crowd", fmr=1e-6)
    similarities: NDArray[np.float64] = np.linspace(-1, 1, 500)
    with pytest.raises(InputError, match=r"250 impostor pairs .* at least 10,000 "):
        calibrate_pairs(similarities, similarities > 0, contract="crowd", fmr=1e-3)


def test_pairs_give_the_rates_of_their_own_list() -> None:
    generator = np.random.default_rng(0)
    similarities = np.concatenate([generator.normal(0.7, 0.1, 400), generator.normal(0.1, 0.1, 5000)])
    made = calibrate_pairs(similarities, np.arange(5400) < 400, contract="crowd", fmr=1e-2)
    assert len(made.rates) > 20
    point = next(one for one in made.rates if one.fmr <= 0.01)
    assert (point.n_genuine, point.n_impostors) == (400, 5000)
    assert point.fmr == np.mean(similarities[400:] >= point.threshold)
    assert point.fnmr == pytest.approx(np.mean(similarities[:400] < point.threshold))
    assert point.fmr_interval.low < 0.01 < point.fmr_interval.high


def test_a_calibration_survives_its_document(made: Calibration) -> None:
    again = calibration_from_json(calibration_to_json(made))
    assert again == made
    assert again.about["data"] == "made up"
    assert calibration_to_json(again) == calibration_to_json(made)


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text[:-20],
        lambda text: text.replace("vultus calibration", "something else"),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"wanted"', '"unwanted"'),
        lambda text: text.replace("[\n  [", "[\n  [0.9999, "),
        lambda text: "[]",
        lambda text: "null",
    ],
)
def test_what_is_no_calibration_is_refused(made: Calibration, broken: Callable[[str], str]) -> None:
    with pytest.raises(InputError):
        calibration_from_json(broken(calibration_to_json(made)))


@pytest.mark.parametrize(("fmr", "fpir"), [(0.0, 0.01), (1.0, 0.01), (0.001, 0.0), (0.001, 1.5)])
def test_rates_that_are_none_are_refused(made: Calibration, fmr: float, fpir: float) -> None:
    with pytest.raises(InputError, match=r"\(0, 1\)"):
        Calibration("crowd", made.rates, fmr, fpir)


def test_a_calibration_without_order_is_refused() -> None:
    point = ThresholdRates(0.5, 0.1, Interval(0.0, 0.2), 0.1, 10, 100, 100)
    for rates in ((), (point, point)):
        with pytest.raises(InputError, match="rising"):
            Calibration("crowd", rates, 0.1, 0.1)


def test_a_rate_stated_on_half_of_the_people_holds_on_the_others(known: People) -> None:
    for check in check_halves(*known, fmr=0.01):
        assert check.is_inside
        assert check.there.n_impostors == 30 * 29 // 2 * 16, "the others, all of them"


def test_a_rate_that_does_not_hold_would_be_noticed(known: People) -> None:
    rows, owners = known
    loose = rates_at(rows, owners, threshold=0.2)
    assert not loose.fmr_interval.low <= 0.01 <= loose.fmr_interval.high


def test_the_default_network_comes_with_a_calibration() -> None:
    embedder = load_embedder()
    shipped = shipped_calibration(embedder.contract)
    assert shipped is not None
    assert shipped.contract == embedder.contract
    assert {"data", "protocol", "command", "commit", "date"} <= set(shipped.about)
    assert shipped.rates[-1].fmr < 1e-5
    assert shipped_calibration("another") is None


def test_shipped_files_say_for_which_weights_they_are() -> None:
    folder = Path(__file__).resolve().parents[2] / "src/vultus/match/calibrations"
    files = sorted(folder.glob("*.json"))
    assert files
    for file in files:
        assert json.loads(file.read_text())["about"]["embedder"] == file.stem


@pytest.mark.slow
def test_the_default_network_calibrated_on_half_of_lfw_holds_on_the_other_half(shared: Path) -> None:
    found = find_people(shared / "data" / "lfw-dev" / "images")
    embedder = load_embedder()
    embedded = embed_images(
        found.paths, detector=load_detector(DEFAULT_DETECTOR), embedder=embedder, choice=FaceChoice.CENTRAL
    )
    rows = embedded.embeddings[embedded.has_face]
    owners = [one for one, has in zip(found.identity_index, embedded.has_face, strict=True) if has]
    for fmr in (1e-2, 1e-3, 1e-4):
        checks = check_halves(rows, owners, fmr=fmr)
        assert all(check.is_inside for check in checks), (fmr, checks)
    with pytest.raises(InputError, match="at least 10,000,000"):
        calibrate(rows, owners, contract=embedder.contract, fmr=1e-6)
