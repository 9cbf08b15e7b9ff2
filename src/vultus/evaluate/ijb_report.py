"""IJB-B and IJB-C, 1:1, from end to end: faces to templates, templates to rates, rates to a report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from vultus.errors import InputError, ShapeError
from vultus.evaluate.curves import (
    EqualError,
    Scores,
    TarAtFar,
    equal_error,
    roc,
    tar_at_far,
)
from vultus.evaluate.figures import Pictures
from vultus.evaluate.ijb import IjbTemplates
from vultus.evaluate.one_face import EmbeddedImages
from vultus.evaluate.report import Report, Subject
from vultus.evaluate.templates import pool_templates
from vultus.evaluate.verification_plots import det_figure, roc_figure, scores_figure
from vultus.match.false_matches import carried_rates
from vultus.types import Detections

RATES: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
IMAGES: Final = "loose_crop"
PROTOCOL: Final = (
    "1:1 over the published comparisons of templates; none is dropped. A template's embedding is the sum of "
    "{parts}, each unit embedding weighted by {weights}, brought to length 1; the lengths of embeddings are "
    "not used. {faces} A face that cannot be embedded is left out of its template; a template without any "
    "makes its comparisons non-matches (similarity -1). TAR@FAR is not interpolated, with 95 % Wilson "
    "intervals, which take comparisons as independent."
)


@dataclass(frozen=True, slots=True)
class IjbFlags:
    """How faces become templates.

    Attributes:
        face_scores: weight each face by how sure the publisher's detector was of it.
        by_media: average the faces of a medium before the media.
        published_landmarks: faces were cut by the landmarks of the lists, not found anew.
    """

    face_scores: bool = True
    by_media: bool = True
    published_landmarks: bool = True


@dataclass(frozen=True, slots=True)
class IjbResult:
    """The figures of the 1:1 protocol.

    Attributes:
        flags: how faces became templates.
        tar_at_far: one entry per false accept rate.
        equal_error: over all comparisons.
        n_faces: listed.
        n_faces_without: that could not be embedded.
        n_templates: compared or not.
        n_templates_without: without any embedding; their comparisons were scored -1.
    """

    flags: IjbFlags
    tar_at_far: tuple[TarAtFar, ...]
    equal_error: EqualError
    n_faces: int
    n_faces_without: int
    n_templates: int
    n_templates_without: int


def published_faces(templates: IjbTemplates) -> Detections:
    """The faces as the lists place them: landmarks and scores, and no boxes."""
    boxes = np.zeros((len(templates.images), 4), dtype=np.float32)
    return Detections(boxes, templates.face_scores, templates.landmarks)


def find_ijb_images(templates: IjbTemplates, folder: Path) -> list[Path]:
    """The files of the faces.

    Raises:
        InputError: an image is missing: all are looked for before any work begins.
    """
    paths = [folder / IMAGES / name for name in templates.images]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise InputError(f"{missing} is missing; the protocol allows no face to be dropped")
    return paths


def evaluate_ijb(
    templates: IjbTemplates,
    embedded: EmbeddedImages,
    *,
    flags: IjbFlags,
    fars: Sequence[float] | None = None,
) -> tuple[IjbResult, Scores]:
    """The protocol's figures, and the (K,) similarities of the comparisons.

    Args:
        templates: the lists.
        embedded: the M faces of the lists, in their order.
        flags: how faces become templates.
        fars: false accept rates; by default those of 0.1 to 1e-6 that the comparisons can show.

    Raises:
        ShapeError: there is not one embedding per listed face.
        InputError: a false accept rate that the comparisons cannot carry.
    """
    if len(embedded.has_face) != len(templates.images):
        raise ShapeError(f"expected {len(templates.images):,} faces, got {len(embedded.has_face):,}")
    pooled = pool_templates(
        embedded.embeddings,
        template_ids=templates.template_ids,
        media_ids=templates.media_ids,
        weights=templates.face_scores if flags.face_scores else None,
        by_media=flags.by_media,
    )
    similarities = pooled.similarities(templates.left, templates.right)
    genuine, impostor = similarities[templates.is_genuine], similarities[~templates.is_genuine]
    asked = carried_rates(len(impostor), rates=RATES) if fars is None else fars
    result = IjbResult(
        flags=flags,
        tar_at_far=tuple(tar_at_far(genuine, impostor, far=far) for far in asked),
        equal_error=equal_error(genuine, impostor),
        n_faces=len(templates.images),
        n_faces_without=int((~embedded.has_face).sum()),
        n_templates=len(pooled.ids),
        n_templates_without=int((~pooled.has_face).sum()),
    )
    return result, similarities


def ijb_report(result: IjbResult, templates: IjbTemplates, *, subject: Subject) -> Report:
    """The figures of the protocol, and which of its variants was run."""
    n_genuine = int(templates.is_genuine.sum())
    figures = {
        "comparisons": f"{n_genuine:,} genuine, {len(templates.left) - n_genuine:,} impostor, none dropped",
        "EER": f"{result.equal_error.rate:.2%} at {result.equal_error.threshold:.4f}",
    }
    for one in result.tar_at_far:
        low, high = one.tar_interval
        figures[f"TAR@FAR={one.far:g}"] = f"{one.tar:.2%} ({low:.2%} to {high:.2%}) at {one.threshold:.4f}"
    figures |= {
        "faces": f"{result.n_faces:,}, {result.n_faces_without:,} could not be embedded",
        "templates": f"{result.n_templates:,}, {result.n_templates_without:,} without any face: scored -1",
    }
    details = asdict(result) | {"n_comparisons": len(templates.left), "n_genuine": n_genuine}
    return Report.on(subject, protocol=_in_words(result.flags), figures=figures, details=details)


def ijb_pictures(templates: IjbTemplates, similarities: Scores, *, title: str) -> Pictures:
    """roc.png, det.png and scores.png."""
    genuine, impostor = similarities[templates.is_genuine], similarities[~templates.is_genuine]
    curves = {"all comparisons": roc(genuine, impostor)}
    return {
        "roc.png": partial(roc_figure, curves, title=title),
        "det.png": partial(det_figure, curves, title=title),
        "scores.png": partial(scores_figure, genuine, impostor, title=title),
    }


def _in_words(flags: IjbFlags) -> str:
    return PROTOCOL.format(
        parts="the means of its media (stills, videos)" if flags.by_media else "its faces",
        weights="the score of its face" if flags.face_scores else "1",
        faces="Faces are cut by the published landmarks."
        if flags.published_landmarks
        else "Faces are found anew in the published crops.",
    )
