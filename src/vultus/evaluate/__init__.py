"""Measuring the pipeline on labelled images, by the field's protocols: NumPy, no torch."""

from vultus.evaluate.box_ap import AnnotatedFaces, box_ap
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
from vultus.evaluate.detection_ap import WiderMatches, WiderResult, match_widerface, widerface_ap
from vultus.evaluate.detection_breakdown import Part, by_event, by_height
from vultus.evaluate.detection_interval import ap_draws, ap_interval
from vultus.evaluate.ijb import IjbTemplates, read_ijb
from vultus.evaluate.intervals import Interval, bootstrap_over_people, wilson
from vultus.evaluate.landmark_error import LandmarkError, face_sizes, landmark_errors, landmark_nme
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
from vultus.evaluate.provenance import Provenance
from vultus.evaluate.report import Report, read_report
from vultus.evaluate.scaled_detector import ScaledDetector
from vultus.evaluate.verification import (
    Fold,
    ScoredPairs,
    VerificationResult,
    best_threshold,
    fold_accuracies,
    verification,
)
from vultus.evaluate.widerface import WiderTruth, read_widerface_truth
from vultus.evaluate.widerface_images import detect_images, find_widerface_images
from vultus.evaluate.widerface_predictions import read_widerface_predictions, write_widerface_predictions
from vultus.evaluate.widerface_report import widerface_report, write_curves

__all__ = [
    "PAIR_SETS",
    "AnnotatedFaces",
    "EmbeddedImages",
    "EqualError",
    "Fold",
    "IjbTemplates",
    "Interval",
    "LandmarkError",
    "Pack",
    "PairSet",
    "Pairs",
    "PairsResult",
    "Part",
    "PeopleImages",
    "PrecisionRecall",
    "Provenance",
    "Report",
    "Roc",
    "ScaledDetector",
    "ScoredPairs",
    "TarAtFar",
    "ThresholdRates",
    "VerificationResult",
    "WiderMatches",
    "WiderResult",
    "WiderTruth",
    "ap_draws",
    "ap_interval",
    "best_threshold",
    "bootstrap_over_people",
    "box_ap",
    "by_event",
    "by_height",
    "carried_rates",
    "check_carries",
    "count_impostors",
    "detect_images",
    "embed_images",
    "equal_error",
    "evaluate_pairs",
    "face_sizes",
    "find_people",
    "find_widerface_images",
    "fold_accuracies",
    "genuine_similarities",
    "impostor_similarities",
    "landmark_errors",
    "landmark_nme",
    "match_widerface",
    "rates_at",
    "rates_at_fmr",
    "read_ijb",
    "read_pack",
    "read_pair_set",
    "read_pairs",
    "read_report",
    "read_widerface_predictions",
    "read_widerface_truth",
    "roc",
    "tar_at_far",
    "threshold_at_fmr",
    "verification",
    "widerface_ap",
    "widerface_report",
    "wilson",
    "write_curves",
    "write_pack",
    "write_widerface_predictions",
]
