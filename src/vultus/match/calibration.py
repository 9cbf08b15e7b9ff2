"""Calibration: from labelled faces to what a similarity means.

The false match rate is measured at thresholds that are spaced evenly in its logarithm, ten to a factor of
ten, from 0.5 down to the lowest that the impostor pairs can show (ten expected false matches). Nothing lies
between the measured points: a similarity has the rate of the next threshold below it, which is never too
low. The false non-match rate is measured at the same thresholds.

From photos of people all pairs are compared, and the interval draws people (`bootstrap_over_people`); from
a list of pairs, of which nobody knows who shares them, it is Wilson's.

ISO/IEC 19795-1:2021, Biometric performance testing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vultus.errors import InputError
from vultus.match.all_pairs import count_impostors, impostor_similarities, rates_at
from vultus.match.false_matches import (
    carried_rates,
    check_carries,
    count_accepted,
    sorted_similarities,
    threshold_at_fmr,
)
from vultus.match.intervals import wilson
from vultus.types import Calibration, Embeddings, Interval, ThresholdRates

VERIFY_FMR: Final = 1e-3
IDENTIFY_FPIR: Final = 1e-2
RATES: Final = tuple(10 ** (-step / 10) for step in range(3, 121))  # 0.5 down to 1e-12
SHIPPED: Final = files("vultus.match") / "calibrations"
_FORMAT: Final = {"format": "vultus calibration", "version": 1}
_COLUMNS: Final = ("threshold", "fmr", "fmr low", "fmr high", "fnmr", "false matches")
_NOTHING: Mapping[str, str] = MappingProxyType({})


def calibrate(
    embeddings: Embeddings,
    identity_index: Sequence[int],
    *,
    contract: str,
    fmr: float = VERIFY_FMR,
    fpir: float = IDENTIFY_FPIR,
    about: Mapping[str, str] = _NOTHING,
) -> Calibration:
    """Measure what similarities mean, over all pairs of the faces of many people.

    Args:
        embeddings: (M, D) unit rows.
        identity_index: (M,) whose face it is.
        contract: of the embeddings.
        fmr: false match rate wanted where one face is compared with one.
        fpir: share of strangers that may be named where one face is compared with a gallery.
        about: what the figures rest on (data, protocol, date, commit, ...), in words.

    Raises:
        InputError: too few impostor pairs for `fmr` (the message says how many it takes), fewer than three
            people, or nobody with two faces.
    """
    check_carries(count_impostors(identity_index), fmr=fmr)
    thresholds = _thresholds(impostor_similarities(embeddings, identity_index))
    rates = tuple(rates_at(embeddings, identity_index, threshold=one) for one in thresholds)
    return Calibration(contract, rates, fmr, fpir, about)


def calibrate_pairs(
    similarities: ArrayLike,
    is_genuine: NDArray[np.bool_],
    *,
    contract: str,
    fmr: float = VERIFY_FMR,
    fpir: float = IDENTIFY_FPIR,
    about: Mapping[str, str] = _NOTHING,
) -> Calibration:
    """The same from a list of pairs.

    Args:
        similarities: (N,) of each pair.
        is_genuine: (N,) whether both are one person.
        contract: of the embeddings.
        fmr: false match rate wanted where one face is compared with one.
        fpir: share of strangers that may be named where one face is compared with a gallery.
        about: what the figures rest on, in words.

    Raises:
        ShapeError: the similarities of one kind are none, or not finite.
        InputError: too few impostor pairs for `fmr`; the message says how many it takes.
    """
    scores = np.asarray(similarities)
    genuine = sorted_similarities(scores[is_genuine], "genuine")
    impostor = sorted_similarities(scores[~is_genuine], "impostor")
    check_carries(len(impostor), fmr=fmr)

    def rates(threshold: float) -> ThresholdRates:
        false_matches, found = count_accepted(impostor, threshold), count_accepted(genuine, threshold)
        return ThresholdRates(
            threshold=threshold,
            fmr=false_matches / len(impostor),
            fmr_interval=wilson(false_matches, len(impostor)),
            fnmr=1 - found / len(genuine),
            n_false_matches=false_matches,
            n_impostors=len(impostor),
            n_genuine=len(genuine),
        )

    return Calibration(contract, tuple(map(rates, _thresholds(impostor))), fmr, fpir, about)


def calibration_to_json(calibration: Calibration) -> str:
    """A calibration as a document, one threshold a line."""
    first = calibration.rates[0]
    head: dict[str, Any] = _FORMAT | {
        "contract": calibration.contract,
        "wanted": {"fmr": calibration.fmr, "fpir": calibration.fpir},
        "about": dict(calibration.about),
        "pairs": {"genuine": first.n_genuine, "impostor": first.n_impostors},
        "columns": _COLUMNS,
    }
    lines = [
        json.dumps([one.threshold, one.fmr, *one.fmr_interval, one.fnmr, one.n_false_matches])
        for one in calibration.rates
    ]
    start = json.dumps(head, indent=1)[: -len("\n}")]
    return start + ',\n "rates": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def calibration_from_json(text: str) -> Calibration:
    """The calibration of a document that `calibration_to_json` wrote.

    Raises:
        InputError: it is none.
    """
    try:
        value = json.loads(text)
        if {key: value[key] for key in _FORMAT} != _FORMAT:
            raise InputError(f"expected {_FORMAT}, got {value['format']!r}, version {value['version']!r}")
        pairs, wanted = value["pairs"], value["wanted"]
        rates = tuple(
            ThresholdRates(
                threshold, fmr, Interval(low, high), fnmr, count, pairs["impostor"], pairs["genuine"]
            )
            for threshold, fmr, low, high, fnmr, count in value["rates"]
        )
        return Calibration(value["contract"], rates, wanted["fmr"], wanted["fpir"], value["about"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"this is no calibration: {type(error).__name__}: {error}") from error


def shipped_calibration(contract: str) -> Calibration | None:
    """The calibration that comes with the package for this contract; None where there is none.

    `vultus calibrate DIR --embedder NAME --output FILE` makes such a file.
    """
    return next((one for one in _shipped() if one.contract == contract), None)


@cache
def _shipped() -> tuple[Calibration, ...]:
    documents = (file for file in SHIPPED.iterdir() if file.name.endswith(".json"))
    return tuple(calibration_from_json(file.read_text(encoding="utf-8")) for file in documents)


def _thresholds(impostor: ArrayLike) -> Iterator[float]:
    """Rising; rates between which similarities tie share one."""
    ascending = sorted_similarities(impostor, "impostor")
    found = (threshold_at_fmr(ascending, fmr=rate) for rate in carried_rates(len(ascending), rates=RATES))
    yield from sorted(set(found))
