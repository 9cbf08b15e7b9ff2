"""Measuring the pipeline on labelled images, by the field's protocols: NumPy, no torch."""

from vultus.evaluate.curves import (
    EqualError,
    Roc,
    TarAtFar,
    carried_rates,
    check_carries,
    equal_error,
    roc,
    tar_at_far,
    threshold_at_fmr,
)
from vultus.evaluate.detection_ap import WiderResult, widerface_ap
from vultus.evaluate.ijb import IjbTemplates, read_ijb
from vultus.evaluate.intervals import Interval, bootstrap_over_people, wilson
from vultus.evaluate.lfw import PairsResult, evaluate_pairs
from vultus.evaluate.one_face import EmbeddedImages, embed_images
from vultus.evaluate.packs import Pack, read_pack, write_pack
from vultus.evaluate.pair_sets import PAIR_SETS, PairSet, read_pair_set
from vultus.evaluate.pairs import Pairs, read_pairs
from vultus.evaluate.people import (
    PeopleImages,
    ThresholdRates,
    count_impostors,
    find_people,
    genuine_similarities,
    impostor_similarities,
    rates_at,
    rates_at_fmr,
)
from vultus.evaluate.precision_recall import PrecisionRecall
from vultus.evaluate.report import Provenance, Report
from vultus.evaluate.verification import (
    Fold,
    ScoredPairs,
    VerificationResult,
    best_threshold,
    fold_accuracies,
    verification,
)
from vultus.evaluate.widerface import WiderTruth, read_widerface_truth

__all__ = [
    "PAIR_SETS",
    "EmbeddedImages",
    "EqualError",
    "Fold",
    "IjbTemplates",
    "Interval",
    "Pack",
    "PairSet",
    "Pairs",
    "PairsResult",
    "PeopleImages",
    "PrecisionRecall",
    "Provenance",
    "Report",
    "Roc",
    "ScoredPairs",
    "TarAtFar",
    "ThresholdRates",
    "VerificationResult",
    "WiderResult",
    "WiderTruth",
    "best_threshold",
    "bootstrap_over_people",
    "carried_rates",
    "check_carries",
    "count_impostors",
    "embed_images",
    "equal_error",
    "evaluate_pairs",
    "find_people",
    "fold_accuracies",
    "genuine_similarities",
    "impostor_similarities",
    "rates_at",
    "rates_at_fmr",
    "read_ijb",
    "read_pack",
    "read_pair_set",
    "read_pairs",
    "read_widerface_truth",
    "roc",
    "tar_at_far",
    "threshold_at_fmr",
    "verification",
    "widerface_ap",
    "wilson",
    "write_pack",
]
