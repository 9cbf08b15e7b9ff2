"""IJB-B and IJB-C, 1:1: which faces make which template, and which templates are compared.

A template is a set of faces of one person, stills and frames of videos; faces of one medium (video) are
averaged before the media are. The lists, as the field passes them on, for IJB-C in `meta/`:

    ijbc_face_tid_mid.txt         `1.jpg 1 69544`                     a face: image, template, medium
    ijbc_template_pair_label.txt  `1 11065 1`                         two templates, 1 for one person
    ijbc_name_5pts_score.txt      `1.jpg x1 y1 ... x5 y5 0.9995`      landmarks in the image, faceness

and the images in `loose_crop/`. The first and the last list name the same images, in the same order.

Whitelam et al.: IARPA Janus Benchmark-B face dataset. CVPR Workshops 2017.
https://doi.org/10.1109/CVPRW.2017.87
Maze et al.: IARPA Janus Benchmark-C: face dataset and protocol. ICB 2018.
https://doi.org/10.1109/ICB2018.2018.00033
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vultus.errors import InputError
from vultus.evaluate.lists import read_table
from vultus.types import FloatArray

IjbName = Literal["ijbb", "ijbc"]


@dataclass(frozen=True, eq=False, slots=True)
class IjbTemplates:
    """The 1:1 protocol of IJB-B or IJB-C: M faces, K comparisons.

    Attributes:
        images: (M,) names of the images, one face each, below the folder `loose_crop`.
        template_ids: (M,) the template that each face belongs to.
        media_ids: (M,) the medium (still or video) that it comes from.
        landmarks: (M, 5, 2) x y in pixels of the image.
        face_scores: (M,) how sure the detector was that this is a face.
        left: (K,) template ids.
        right: (K,) template ids.
        is_genuine: (K,) bool: both templates show one person.
    """

    images: tuple[str, ...]
    template_ids: NDArray[np.int64]
    media_ids: NDArray[np.int64]
    landmarks: FloatArray
    face_scores: FloatArray
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    is_genuine: NDArray[np.bool_]


def read_ijb(folder: Path, *, name: IjbName) -> IjbTemplates:
    """The lists of the 1:1 protocol.

    Args:
        folder: of one set, with `meta` and `loose_crop`.
        name: which set: the beginning of the names of the lists.

    Raises:
        InputError: a list that is missing or does not fit, lists that name different images, or a comparison
            of a template that has no face.
    """
    meta = folder / "meta"
    faces = read_table(meta / f"{name}_face_tid_mid.txt", columns=3, dtype=str)
    points = read_table(meta / f"{name}_name_5pts_score.txt", columns=12, dtype=str)
    pairs = read_table(meta / f"{name}_template_pair_label.txt", columns=3, dtype=np.int64)
    differ = np.flatnonzero(faces[:, 0] != points[:, 0]) if len(faces) == len(points) else [0]
    if len(differ):
        raise InputError(
            f"{meta}: the list of templates has {len(faces):,} faces, that of landmarks {len(points):,}, and "
            f"they differ from row {differ[0] + 1} on; expected the same images in the same order"
        )
    template_ids, media_ids = _numbers(faces[:, 1:].T, np.int64, what=f"templates and media in {meta}")
    unknown = np.setdiff1d(pairs[:, :2], template_ids)
    if unknown.size or not np.isin(pairs[:, 2], (0, 1)).all():
        raise InputError(
            f"{meta}: expected comparisons of templates that have faces, labelled 0 or 1; "
            f"{unknown.size:,} templates have none ({', '.join(map(str, unknown[:5]))})"
        )
    values = _numbers(points[:, 1:], np.float32, what=f"landmarks in {meta}")
    return IjbTemplates(
        images=tuple(faces[:, 0].tolist()),
        template_ids=template_ids,
        media_ids=media_ids,
        landmarks=values[:, :10].reshape(-1, 5, 2),
        face_scores=values[:, 10],
        left=pairs[:, 0],
        right=pairs[:, 1],
        is_genuine=pairs[:, 2] == 1,
    )


def _numbers(texts: NDArray[np.str_], dtype: Any, *, what: str) -> NDArray[Any]:
    try:
        return texts.astype(dtype)
    except ValueError as error:
        raise InputError(f"expected numbers for the {what}: {error}") from error
