"""Measuring the pipeline on labelled images, by the field's protocols: NumPy, no torch."""

from vultus.evaluate.box_ap import AnnotatedFaces, box_ap
from vultus.evaluate.classification import ClassificationResult, classification
from vultus.evaluate.curves import (
    EqualError,
    Roc,
    TarAtFar,
    equal_error,
    roc,
    tar_at_far,
)
from vultus.evaluate.degradations import DEGRADATIONS, degraded
from vultus.evaluate.detection_ap import WiderMatches, WiderResult, match_widerface, widerface_ap
from vultus.evaluate.detection_breakdown import Part, by_event, by_height
from vultus.evaluate.detection_interval import ap_draws, ap_interval
from vultus.evaluate.enrolment_split import EnrolmentSplit, search_split, split_people
from vultus.evaluate.figures import save_pictures
from vultus.evaluate.identification import (
    FnirAtFpir,
    RankRate,
    Searches,
    cmc,
    fnir_at_fpir,
    open_set_curve,
    search_gallery,
)
from vultus.evaluate.ijb import IjbTemplates, read_ijb
from vultus.evaluate.ijb_report import IjbFlags, IjbResult, evaluate_ijb
from vultus.evaluate.landmark_error import LandmarkError, face_sizes, landmark_errors, landmark_nme
from vultus.evaluate.lfw import PairsResult, evaluate_pairs, score_pairs
from vultus.evaluate.one_face import EmbeddedImages, embed_crops, embed_images, embed_located
from vultus.evaluate.packs import Pack, read_pack, write_pack
from vultus.evaluate.page import write_page
from vultus.evaluate.pair_sets import PAIR_SETS, PairSet, read_pair_set
from vultus.evaluate.pairs import Pairs, read_pairs
from vultus.evaluate.people import PeopleImages, find_people
from vultus.evaluate.precision_recall import PrecisionRecall
from vultus.evaluate.provenance import Provenance
from vultus.evaluate.report import Report, Subject, read_report
from vultus.evaluate.robustness import Slice, evaluate_robustness, pairs_of_people
from vultus.evaluate.scaled_detector import ScaledDetector
from vultus.evaluate.slices import GroupRates, by_gap, by_range, by_turn, by_value, rates_by_group
from vultus.evaluate.templates import Templates, pool_templates
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
from vultus.match.all_pairs import (
    count_impostors,
    genuine_similarities,
    impostor_similarities,
    rates_at,
    rates_at_fmr,
)
from vultus.match.false_matches import carried_rates, check_carries, threshold_at_fmr
from vultus.match.intervals import bootstrap_over_people, wilson
from vultus.types import Interval, ThresholdRates

__all__ = [
    "DEGRADATIONS",
    "PAIR_SETS",
    "AnnotatedFaces",
    "ClassificationResult",
    "EmbeddedImages",
    "EnrolmentSplit",
    "EqualError",
    "FnirAtFpir",
    "Fold",
    "GroupRates",
    "IjbFlags",
    "IjbResult",
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
    "RankRate",
    "Report",
    "Roc",
    "ScaledDetector",
    "ScoredPairs",
    "Searches",
    "Slice",
    "Subject",
    "TarAtFar",
    "Templates",
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
    "by_gap",
    "by_height",
    "by_range",
    "by_turn",
    "by_value",
    "carried_rates",
    "check_carries",
    "classification",
    "cmc",
    "count_impostors",
    "degraded",
    "detect_images",
    "embed_crops",
    "embed_images",
    "embed_located",
    "equal_error",
    "evaluate_ijb",
    "evaluate_pairs",
    "evaluate_robustness",
    "face_sizes",
    "find_people",
    "find_widerface_images",
    "fnir_at_fpir",
    "fold_accuracies",
    "genuine_similarities",
    "impostor_similarities",
    "landmark_errors",
    "landmark_nme",
    "match_widerface",
    "open_set_curve",
    "pairs_of_people",
    "pool_templates",
    "rates_at",
    "rates_at_fmr",
    "rates_by_group",
    "read_ijb",
    "read_pack",
    "read_pair_set",
    "read_pairs",
    "read_report",
    "read_widerface_predictions",
    "read_widerface_truth",
    "roc",
    "save_pictures",
    "score_pairs",
    "search_gallery",
    "search_split",
    "split_people",
    "tar_at_far",
    "threshold_at_fmr",
    "verification",
    "widerface_ap",
    "widerface_report",
    "wilson",
    "write_curves",
    "write_pack",
    "write_page",
    "write_widerface_predictions",
]
