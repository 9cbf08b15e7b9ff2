"""Exact nearest people by cosine similarity, in memory.

All templates lie as unit rows in one float32 matrix; the similarities of a probe are one matrix product.
From there to the answer:

1. Each person's similarity is the best (or the mean) over their templates.
2. A float32 dot product of D terms is wrong by less than D * eps / 2, wherever it was computed. So everyone
   within D * eps of the k-th best person might truly belong to the first k, and nobody else can.
3. Those few are computed again in float64, where each product of two float32 is exact, and put in order.

The answer is therefore exact, and the same bit for bit whether probes come one by one or in batches, on
one thread or sixteen, on any BLAS. Ties are broken by name.

The matrix is allocated ahead and doubled when full; a removed row is overwritten by the last one. So a
change costs microseconds, at a million rows too.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.match.readers_writer import ReadersWriter
from vultus.types import Candidate, Embeddings, FloatArray

Aggregate: TypeAlias = Literal["best", "mean"]

MIN_CAPACITY = 1024  # rows
BLOCK_SCORES = 1 << 24  # similarities held at once for a batch of probes: 64 MB
BLOCK_ROWS = 4096  # rows held at once as float64
_NOTHING: Mapping[int, FloatArray] = MappingProxyType({})


class CosineIndex:
    """The enrolled templates, ready to be searched. Safe to use from several threads.

    Every change is atomic for searches: a person is seen with all of the templates put together, or none.
    """

    def __init__(self) -> None:
        self._lock = ReadersWriter()
        self._vectors: FloatArray = np.empty((0, 0), np.float32)  # (capacity, D)
        self._slots: NDArray[np.intp] = np.empty(0, np.intp)  # (capacity,) whose row it is
        self._template_ids: list[int] = []  # of each row
        self._row_of: dict[int, int] = {}  # template id -> row
        # A person has a slot, whatever happens to rows; the slot of a removed person is given to the next.
        self._people: list[tuple[str, str]] = []  # id and name in each slot
        self._slot_of: dict[str, int] = {}
        self._free_slots: list[int] = []
        self._templates_of: dict[str, set[int]] = {}

    def __len__(self) -> int:
        """How many templates there are."""
        return len(self._template_ids)

    @property
    def n_bytes(self) -> int:
        """Memory taken by vectors, allocated ahead or in use."""
        return self._vectors.nbytes

    def template_ids(self, identity_id: str) -> frozenset[int]:
        """The templates held of one person; empty for a person who is not held."""
        with self._lock.reading():
            return frozenset(self._templates_of.get(identity_id, ()))

    def reserve(self, rows: int, dimension: int) -> None:
        """Make room for so many templates at once, if there is not room already."""
        with self._lock.writing():
            self._reserve(rows, dimension)

    def put(
        self,
        identity_id: str,
        name: str,
        *,
        add: Mapping[int, FloatArray] = _NOTHING,
        remove: Collection[int] = (),
    ) -> None:
        """Set a person's name, add templates to them and remove others, as one change.

        Args:
            identity_id: who; made known if new.
            name: their display name from now on.
            add: (D,) unit vectors by template id. Ids must be new.
            remove: template ids; unknown ones are passed over.

        Raises:
            ShapeError: a vector of another length than those already held. Nothing is changed.
        """
        dimension = _common_dimension(add)
        with self._lock.writing():
            if add:
                self._check_dimension(dimension)
            self._reserve(len(self) + len(add), dimension)
            for template_id in remove:
                self._remove_row(identity_id, template_id)
            slot = self._slot(identity_id)
            self._people[slot] = (identity_id, name)
            for template_id, vector in add.items():
                row = len(self._template_ids)
                self._vectors[row] = vector
                self._slots[row] = slot
                self._template_ids.append(template_id)
                self._row_of[template_id] = row
                self._templates_of[identity_id].add(template_id)

    def drop(self, identity_id: str) -> None:
        """Forget a person and all of their templates; one who is not held is passed over."""
        with self._lock.writing():
            if identity_id not in self._slot_of:
                return
            for template_id in list(self._templates_of[identity_id]):
                self._remove_row(identity_id, template_id)
            del self._templates_of[identity_id]
            self._free_slots.append(self._slot_of.pop(identity_id))

    def search(
        self,
        probes: Embeddings,
        *,
        top_k: int = 5,
        aggregate: Aggregate = "best",
        min_similarity: float = -1.0,
    ) -> list[tuple[Candidate, ...]]:
        """For each probe the closest people, best first.

        Args:
            probes: (N, D) float32, rows of length 1.
            top_k: at most so many people for each probe.
            aggregate: a person is as close as their best template, or as all of them on average.
            min_similarity: people further away are left out.

        Raises:
            ShapeError: the probes are not (N, D) unit rows, or of another D than the templates.
            InputError: `top_k` below 1, or an unknown `aggregate`.
        """
        rows = checked_unit_rows(probes, what="probes")
        _check_options(top_k, aggregate)
        with self._lock.reading():
            if not self._template_ids:
                return [()] * len(rows)
            self._check_dimension(rows.shape[1])
            step = max(1, BLOCK_SCORES // len(self))
            return [
                tuple(
                    one
                    for one in self._closest(probe, scores, top_k, aggregate)
                    if one.similarity >= min_similarity
                )
                for start in range(0, len(rows), step)
                for probe, scores in self._scored(rows[start : start + step])
            ]

    def _scored(self, probes: Embeddings) -> list[tuple[FloatArray, FloatArray]]:
        """Each probe with its float32 similarities to all rows."""
        scores = probes @ self._vectors[: len(self)].T  # (B, n)
        return list(zip(probes, scores, strict=True))

    def _closest(
        self, probe: FloatArray, scores: FloatArray, top_k: int, aggregate: Aggregate
    ) -> list[Candidate]:
        slots = self._slots[: len(self)]
        rough = per_person(scores, slots, len(self._people), aggregate)
        possible = np.flatnonzero(rough >= self._least_possible(rough, top_k))
        is_possible = np.zeros(len(rough), np.bool_)
        is_possible[possible] = True
        rows = np.flatnonzero(is_possible[slots])
        exact = self._exact(probe, rows)
        similarities = per_person(exact, np.searchsorted(possible, slots[rows]), len(possible), aggregate)
        people = [self._people[slot] for slot in possible]
        best_first = sorted(
            zip(-similarities, people, strict=True), key=lambda item: (item[0], item[1][::-1])
        )
        return [
            Candidate(identity_id, name, float(np.clip(-negative, -1.0, 1.0)))
            for negative, (identity_id, name) in best_first[:top_k]
        ]

    def _least_possible(self, rough: NDArray[np.floating], top_k: int) -> float:
        """The float32 similarity below which nobody can truly be among the first k."""
        lowest = float(np.finfo(np.float32).min)  # above the -inf of a slot without templates
        if len(rough) <= top_k:
            return lowest
        kth = float(np.partition(rough, -top_k)[-top_k])
        error: float = self._vectors.shape[1] * float(np.finfo(np.float32).eps)
        return max(lowest, kth - error)

    def _exact(self, probe: FloatArray, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """The similarities of some rows: each row is summed by itself, so its neighbours cannot change it."""
        wide = probe.astype(np.float64)
        blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
        return np.concatenate(
            [(self._vectors[block].astype(np.float64) * wide).sum(axis=1) for block in blocks]
        )

    def _slot(self, identity_id: str) -> int:
        if identity_id not in self._slot_of:
            if not self._free_slots:
                self._free_slots.append(len(self._people))
                self._people.append(("", ""))
            self._slot_of[identity_id] = self._free_slots.pop()
            self._templates_of[identity_id] = set()
        return self._slot_of[identity_id]

    def _remove_row(self, identity_id: str, template_id: int) -> None:
        """Overwrite a row by the last one."""
        if template_id not in self._templates_of.get(identity_id, ()):
            return
        row, last = self._row_of.pop(template_id), len(self._template_ids) - 1
        moved = self._template_ids.pop()
        if row != last:
            self._vectors[row] = self._vectors[last]
            self._slots[row] = self._slots[last]
            self._template_ids[row] = moved
            self._row_of[moved] = row
        self._templates_of[identity_id].remove(template_id)

    def _reserve(self, rows: int, dimension: int) -> None:
        if not len(self) and dimension and dimension != self._vectors.shape[1]:
            self._vectors = np.empty((0, dimension), np.float32)
        capacity = len(self._vectors)
        if rows <= capacity:
            return
        used, grown = len(self), max(rows, 2 * capacity, MIN_CAPACITY)
        vectors, slots = np.empty((grown, self._vectors.shape[1]), np.float32), np.empty(grown, np.intp)
        vectors[:used], slots[:used] = self._vectors[:used], self._slots[:used]
        self._vectors, self._slots = vectors, slots

    def _check_dimension(self, dimension: int) -> None:
        if len(self) and dimension != self._vectors.shape[1]:
            raise ShapeError(
                f"expected vectors of {self._vectors.shape[1]} dimensions, like those already held, "
                f"got {dimension}"
            )


def per_person(
    scores: NDArray[np.floating], slots: NDArray[np.intp], count: int, aggregate: Aggregate
) -> NDArray[np.floating]:
    """(count,) each person's best or mean score, -inf for a slot that no row belongs to.

    Args:
        scores: (n,) one for each row.
        slots: (n,) whose row it is, in [0, count).
        count: how many slots there are.
        aggregate: "best" or "mean".
    """
    best = np.full(count, -np.inf, scores.dtype)
    if aggregate == "best":
        np.maximum.at(best, slots, scores)
        return best
    sums = np.bincount(slots, weights=scores, minlength=count)
    rows = np.bincount(slots, minlength=count)
    return np.divide(sums, rows, out=best.astype(np.float64), where=rows > 0)


def checked_unit_rows(embeddings: Embeddings, *, what: str = "embeddings") -> Embeddings:
    """The same rows as float32, once they are known to be `Embeddings`.

    Raises:
        ShapeError: not (N, D), or a row that is not of length 1 (within 0.001) or not finite.
    """
    try:
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"{what} must be an (N, D) array of numbers, got {type(embeddings).__name__}"
        ) from error
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ShapeError(
            f"{what} must have shape (N, D), got {np.shape(embeddings)}; one vector v is v[np.newaxis]"
        )
    lengths = np.linalg.norm(rows, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= 1e-3))  # also finds NaN
    if len(wrong):
        raise ShapeError(f"{what} must have length 1, row {wrong[0]} has {lengths[wrong[0]]:.6g}")
    return rows


def _common_dimension(vectors: Mapping[int, FloatArray]) -> int:
    """The one length of all these vectors, 0 without any."""
    shapes = {np.shape(vector) for vector in vectors.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ShapeError(f"expected (D,) vectors of one length, got shapes {sorted(shapes)}")
    return shapes.pop()[0] if shapes else 0


def _check_options(top_k: int, aggregate: str) -> None:
    if top_k < 1:
        raise InputError(f"top_k must be at least 1, got {top_k}")
    if aggregate not in get_args(Aggregate):
        raise InputError(f"aggregate must be one of {', '.join(get_args(Aggregate))}, got '{aggregate}'")
