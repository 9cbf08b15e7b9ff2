"""A search in a server, answered as exactly as the index in memory answers it.

The server compares in float32 (or by an approximate index) and proposes templates; here they are fetched,
verified by their checksums, and compared again in float64. A float32 dot product of D terms is wrong by less
than D * eps / 2, wherever it was computed, so everyone within D * eps of the k-th best person might truly
belong to the first k. The server is asked for more and more templates until the last one it names is below
that: then nobody can be missing. With an approximate index, those whom it does not find are missing all the
same; how many is measured when it is built.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from vultus.gallery.rows import TemplateRow
from vultus.gallery.served_check import intact, verified
from vultus.gallery.store import Near, Question, StoreReader
from vultus.match import CosineIndex
from vultus.types import Candidate, FloatArray

FIRST_LIMIT = 64  # templates asked for at first
GROWTH = 4  # so many times more, when they were not enough


def closest_people(
    reader: StoreReader, probe: FloatArray, question: Question, *, contract: str, where: str
) -> tuple[Candidate, ...]:
    """The people closest to one (D,) probe, best first, one entry per person.

    Raises:
        GalleryError: the row of somebody who comes close is damaged.
    """
    rows = list(_possible(reader, probe, question))
    owners = reader.people(sorted({row.identity_id for row in rows}))
    people = {row.id: intact(row, where=where) for row in owners}
    index = CosineIndex()
    for row in rows:
        vector = verified(row, people.get(row.identity_id), contract=contract, where=where)
        index.put(row.identity_id, people[row.identity_id].name, add={row.id: vector})
    (answer,) = index.search(
        probe[np.newaxis],
        top_k=question.top_k,
        aggregate=question.aggregate,
        min_similarity=question.min_similarity,
    )
    return answer


def _possible(reader: StoreReader, probe: FloatArray, question: Question) -> Iterable[TemplateRow]:
    """The templates that decide who is closest."""
    error = len(probe) * float(np.finfo(np.float32).eps)
    if question.aggregate == "mean":
        people = _nearest_on_average(reader, probe, question.top_k, error)
        return (row for row, _ in reader.faces(people, crops=False))
    near = _nearest(reader, probe, question.top_k, error, exact=question.exact)
    return reader.templates([one.template_id for one in near])


def _nearest(
    reader: StoreReader, probe: FloatArray, top_k: int, error: float, *, exact: bool
) -> Sequence[Near]:
    limit = max(FIRST_LIMIT, GROWTH * top_k)
    while True:
        near = reader.nearest(probe, limit, exact=exact)
        least = _least_possible(near, top_k) - error
        if len(near) == limit and near[-1].similarity >= least:
            limit *= GROWTH
        elif len(near) < limit and least == -np.inf and not exact:
            exact = True  # an index gave up before it had found enough people
        else:
            return [one for one in near if one.similarity >= least]


def _least_possible(near: Sequence[Near], top_k: int) -> float:
    """The similarity of the k-th different person; -inf where there are not so many."""
    seen: set[str] = set()
    for one in near:
        seen.add(one.identity_id)
        if len(seen) == top_k:
            return one.similarity
    return -np.inf


def _nearest_on_average(reader: StoreReader, probe: FloatArray, top_k: int, error: float) -> list[str]:
    limit = GROWTH * top_k
    while True:
        near = reader.nearest_on_average(probe, limit)
        least = near[top_k - 1][1] - error if len(near) >= top_k else -np.inf
        if len(near) < limit or near[-1][1] < least:
            return [identity_id for identity_id, mean in near if mean >= least]
        limit *= GROWTH
