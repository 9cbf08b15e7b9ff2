"""Who is closest: exact search by cosine similarity, and what a threshold means in a gallery of many."""

from vultus.match.all_pairs import rates_at, rates_at_fmr
from vultus.match.calibration import (
    calibrate,
    calibrate_pairs,
    calibration_from_json,
    calibration_to_json,
    shipped_calibration,
)
from vultus.match.cosine import Aggregate, CosineIndex, per_person
from vultus.match.false_matches import check_carries, threshold_at_fmr
from vultus.match.intervals import bootstrap_over_people, wilson
from vultus.match.score_norm import Cohort
from vultus.match.threshold import (
    Threshold,
    expected_fpir,
    fmr_for_fpir,
    identification_threshold,
    least_fmr,
    plain_threshold,
    verification_threshold,
)

__all__ = [
    "Aggregate",
    "Cohort",
    "CosineIndex",
    "Threshold",
    "bootstrap_over_people",
    "calibrate",
    "calibrate_pairs",
    "calibration_from_json",
    "calibration_to_json",
    "check_carries",
    "expected_fpir",
    "fmr_for_fpir",
    "identification_threshold",
    "least_fmr",
    "per_person",
    "plain_threshold",
    "rates_at",
    "rates_at_fmr",
    "shipped_calibration",
    "threshold_at_fmr",
    "verification_threshold",
    "wilson",
]
