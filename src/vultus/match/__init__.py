"""Who is closest: exact search by cosine similarity, and what a threshold means in a gallery of many."""

from vultus.match.cosine import Aggregate, CosineIndex
from vultus.match.threshold import expected_fpir, fmr_for_fpir

__all__ = ["Aggregate", "CosineIndex", "expected_fpir", "fmr_for_fpir"]
