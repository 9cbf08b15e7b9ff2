"""Identification (1:N): who of N enrolled people is it, if any of them?

A probe is compared with everybody in the gallery; a person's score is that of the closest of their enrolled
faces. Probes are *mated* (of somebody enrolled) or *non-mated* (of strangers).

    CMC(k)    = mated probes whose person is among the k best / mated probes     closed set: strangers absent
    FPIR(t)   = non-mated probes whose best score is >= t / non-mated probes     false positive identification
    FNIR(t)   = mated probes whose person is not the best, or scores < t / mated probes

Both rates belong to a gallery size: a stranger meets N people, so FPIR grows about as N times the false match
rate. A threshold is calibrated for an FPIR *and* an N.

Rates are exact counts. **Ties count against us**: a person who shares the best score with another is not
first. A mated probe without a face is a miss at every rank and threshold; a non-mated one is left out and
counted elsewhere, for as a rejection it would flatter FPIR.

ISO/IEC 19795-1:2021.
Grother, Ngan, Hanaoka: Face recognition vendor test, part 2: identification. NISTIR 8271, 2019.
https://doi.org/10.6028/NIST.IR.8271
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.evaluate.curves import Roc
from vultus.match.false_matches import check_carries, threshold_at_fmr
from vultus.match.intervals import wilson
from vultus.types import Embeddings, FloatArray, Interval

BLOCK: Final = 512  # probes searched at once
STRANGERS: Final = "probes of people who are not enrolled"


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """What searching every probe in one gallery gave.

    Attributes:
        gallery_size: N, the number of people enrolled.
        mate_scores: (M,) similarity of each mated probe to its own person; -inf where it shows no face.
        ranks: (M,) how many people score at least that much, their own included: 1 is first; N + 1 where the
            probe shows no face.
        stranger_scores: (K,) the best similarity of each non-mated probe to anybody.
    """

    gallery_size: int
    mate_scores: FloatArray
    ranks: NDArray[np.intp]
    stranger_scores: FloatArray


@dataclass(frozen=True, slots=True)
class RankRate:
    """How often a person is among the `rank` best of the gallery.

    Attributes:
        rank: k.
        rate: CMC(k).
        interval: 95 % Wilson interval; it takes probes as independent.
        n_found: probes that found their person.
        n_probes: mated probes.
    """

    rank: int
    rate: float
    interval: Interval
    n_found: int
    n_probes: int


@dataclass(frozen=True, slots=True)
class FnirAtFpir:
    """The misses at the lowest threshold whose false positive identification rate is at most the target.

    Attributes:
        fpir: the target.
        gallery_size: for which the threshold holds, and no other.
        threshold: a probe is identified if its best similarity >= this.
        fnir: missed mated probes / mated probes.
        fnir_interval: 95 % Wilson interval of `fnir`; it takes the threshold as given, probes as independent.
        fpir_interval: the same of the rate that was reached.
        n_false_positives: non-mated probes that were identified as somebody.
        n_mated: mated probes.
        n_strangers: non-mated probes.
    """

    fpir: float
    gallery_size: int
    threshold: float
    fnir: float
    fnir_interval: Interval
    fpir_interval: Interval
    n_false_positives: int
    n_mated: int
    n_strangers: int


def search_gallery(
    gallery: Embeddings,
    gallery_identity: Sequence[int],
    *,
    probes: Embeddings,
    probe_identity: Sequence[int],
    has_face: NDArray[np.bool_] | None = None,
) -> Searches:
    """Search every probe among the people enrolled.

    Args:
        gallery: (G, D) unit rows, the enrolled faces.
        gallery_identity: (G,) whose face each is.
        probes: (P, D) unit rows.
        probe_identity: (P,) whose face each is; somebody without a face in the gallery is a stranger.
        has_face: (P,) which of the probes show a face; by default all.

    Raises:
        ShapeError: the lengths disagree.
        InputError: an empty gallery.
    """
    owners, persons = np.asarray(gallery_identity, dtype=np.intp), np.asarray(probe_identity, dtype=np.intp)
    seen = np.ones(len(probes), np.bool_) if has_face is None else has_face
    if owners.shape != gallery.shape[:1] or persons.shape != probes.shape[:1] or seen.shape != persons.shape:
        raise ShapeError(
            f"expected an identity for each embedding, got {gallery.shape} with {owners.shape} and "
            f"{probes.shape} with {persons.shape} and {seen.shape}"
        )
    if not len(owners):
        raise InputError("the gallery is empty: there is nobody to find")
    enrolled, starts = np.unique(np.sort(owners), return_index=True)
    faces = gallery[np.argsort(owners, kind="stable")]  # person after person
    position = np.minimum(np.searchsorted(enrolled, persons), len(enrolled) - 1)
    is_mated = enrolled[position] == persons
    best, mate = np.empty((2, len(probes)), dtype=np.float32)
    rank = np.empty(len(probes), dtype=np.intp)
    for start in range(0, len(probes), BLOCK):
        block = slice(start, start + BLOCK)
        scores = np.maximum.reduceat(probes[block] @ faces.T, starts, axis=1)  # (B, N)
        own = scores[np.arange(len(scores)), position[block]]
        best[block], mate[block] = scores.max(axis=1), own
        rank[block] = (scores >= own[:, None]).sum(axis=1)
    mate[~seen], rank[~seen] = -np.inf, len(enrolled) + 1
    return Searches(len(enrolled), mate[is_mated], rank[is_mated], best[~is_mated & seen])


def cmc(searches: Searches, *, max_rank: int = 20) -> tuple[RankRate, ...]:
    """The cumulative match characteristic: CMC(1) .. CMC(max_rank), or as far as the gallery goes.

    Raises:
        InputError: no mated probes.
    """
    n_probes = len(searches.ranks)
    if not n_probes:
        raise InputError("there is no probe of anybody enrolled: no rank to measure")
    ranks = range(1, min(max_rank, searches.gallery_size) + 1)
    found = [int(np.count_nonzero(searches.ranks <= rank)) for rank in ranks]
    return tuple(
        RankRate(rank, count / n_probes, wilson(count, n_probes), count, n_probes)
        for rank, count in zip(ranks, found, strict=True)
    )


def fnir_at_fpir(searches: Searches, *, fpir: float) -> FnirAtFpir:
    """The miss rate at the lowest threshold that names at most this share of strangers.

    Raises:
        InputError: no mated probes, or a rate that this many strangers cannot carry.
    """
    n_mated, n_strangers = len(searches.ranks), len(searches.stranger_scores)
    if not n_mated:
        raise InputError("there is no probe of anybody enrolled: nobody can be missed")
    check_carries(n_strangers, fmr=fpir, what=STRANGERS)
    threshold = threshold_at_fmr(searches.stranger_scores, fmr=fpir)
    missed = n_mated - int(
        np.count_nonzero((searches.ranks == 1) & _reaches(searches.mate_scores, threshold))
    )
    named = int(_reaches(searches.stranger_scores, threshold).sum())
    return FnirAtFpir(
        fpir=fpir,
        gallery_size=searches.gallery_size,
        threshold=threshold,
        fnir=missed / n_mated,
        fnir_interval=wilson(missed, n_mated),
        fpir_interval=wilson(named, n_strangers),
        n_false_positives=named,
        n_mated=n_mated,
        n_strangers=n_strangers,
    )


def open_set_curve(searches: Searches) -> Roc:
    """FPIR (as `fmr`) and FNIR (as `fnmr`) at every threshold that changes one of them.

    Raises:
        InputError: no mated probes, or no strangers.
    """
    strangers = np.sort(searches.stranger_scores)
    if not len(strangers) or not len(searches.ranks):
        raise InputError("an open set needs probes of people who are enrolled and of people who are not")
    hits = np.sort(searches.mate_scores[searches.ranks == 1])  # what is not first is missed at any threshold
    thresholds = np.append(np.unique(np.concatenate([strangers, hits])), np.inf)
    named = len(strangers) - np.searchsorted(strangers, thresholds)
    found = len(hits) - np.searchsorted(hits, thresholds)
    return Roc(thresholds, named / len(strangers), 1.0 - found / len(searches.ranks))


def _reaches(scores: FloatArray, threshold: float) -> NDArray[np.bool_]:
    # In float64: NumPy would round the threshold to the precision of float32 scores before it compares.
    return np.asarray(scores.astype(np.float64) >= threshold)
