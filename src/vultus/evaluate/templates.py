"""From the faces of a template to one embedding, as the Janus benchmarks compare them.

With e_i the unit embedding of face i, w_i its weight (its score as a face, or 1), and M the media (stills and
videos) of a template,

    v_m = (1 / n_m) sum over the n_m faces of medium m of w_i e_i
    t   = sum over m in M of v_m,   brought to length 1

so that a video of a hundred frames counts as much as one photograph. Without averaging by media every face
counts for itself. The lengths of the embeddings before normalisation are not used (InsightFace's N0).

Crosswhite, Byrne, Stauffer, Parkhi, Cao, Zisserman: Template adaptation for face verification and
identification. FG 2017. https://arxiv.org/abs/1603.03958
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.types import Embeddings, FloatArray

BLOCK: Final = 100_000  # comparisons held at once


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """One embedding per template.

    Attributes:
        ids: (T,) ascending.
        embeddings: (T, D) unit rows; a row of zeros where no face of the template could be embedded.
    """

    ids: NDArray[np.int64]
    embeddings: Embeddings

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """(T,) whether there is an embedding."""
        return np.asarray(self.embeddings.any(axis=1))

    def similarities(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """(K,) the cosine of template `left[k]` and template `right[k]`; -1 where one has no embedding.

        Raises:
            InputError: an id of no template.
        """
        answers = np.empty(len(left), dtype=np.float64)
        has_face = self.has_face
        for start in range(0, len(left), BLOCK):
            block = slice(start, start + BLOCK)
            i, j = self._rows(left[block]), self._rows(right[block])
            cosines = np.einsum("nd,nd->n", self.embeddings[i], self.embeddings[j], dtype=np.float64)
            answers[block] = np.where(has_face[i] & has_face[j], cosines, -1.0)
        return answers

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        if not np.array_equal(self.ids[rows], ids):
            raise InputError(f"there is no template {ids[self.ids[rows] != ids][0]}")
        return rows


def pool_templates(
    embeddings: Embeddings,
    *,
    template_ids: NDArray[np.int64],
    media_ids: NDArray[np.int64],
    weights: FloatArray | None = None,
    by_media: bool = True,
) -> Templates:
    """One embedding per template.

    Args:
        embeddings: (M, D) unit rows; a face that could not be embedded is a row of zeros, and left out.
        template_ids: (M,) whose face it is; a face of two templates is listed twice.
        media_ids: (M,) the still or video it comes from.
        weights: (M,) at least 0; by default all 1.
        by_media: average the faces of a medium before the media.

    Raises:
        ShapeError: the lengths disagree.
        InputError: a weight below 0, or no number.
    """
    count = len(embeddings)
    shares = np.ones(count, np.float32) if weights is None else np.asarray(weights, dtype=np.float32)
    if not template_ids.shape == media_ids.shape == shares.shape == (count,):
        raise ShapeError(
            f"expected a template, a medium and a weight for each of {count:,} faces, got "
            f"{template_ids.shape}, {media_ids.shape}, {shares.shape}"
        )
    if not (shares >= 0).all():
        raise InputError(f"the weights of faces are at least 0, got {shares[~(shares >= 0)][0]}")
    ids = np.unique(template_ids)
    usable = embeddings.any(axis=1)
    owners = np.stack([template_ids[usable], media_ids[usable]], axis=1)
    weighted = embeddings[usable] * shares[usable, None]
    if by_media:
        owners, weighted = _grouped(owners, weighted, is_mean=True)
    owners, sums = _grouped(owners[:, :1], weighted, is_mean=False)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    pooled = np.zeros((len(ids), embeddings.shape[1]), dtype=np.float32)
    pooled[np.searchsorted(ids, owners[:, 0])] = np.divide(
        sums, lengths, out=np.zeros_like(sums), where=lengths > 0
    )
    return Templates(ids, pooled)


def _grouped(
    owners: NDArray[np.int64], rows: FloatArray, *, is_mean: bool
) -> tuple[NDArray[np.int64], FloatArray]:
    """Sum or mean of the rows (M, D) of each owner (M, C): (G, C) owners and (G, D) rows."""
    order = np.lexsort(owners.T[::-1])
    ordered = owners[order]
    is_first: NDArray[Any] = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    starts = np.flatnonzero(is_first[: len(ordered)])
    if not len(starts):
        return ordered, rows
    sums = np.add.reduceat(rows[order], starts, axis=0)
    if is_mean:
        sums /= np.diff(np.append(starts, len(rows)))[:, None].astype(np.float32)
    return ordered[starts], sums
