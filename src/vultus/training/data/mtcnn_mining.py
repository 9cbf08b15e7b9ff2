"""Which windows a stage of MTCNN learns from: random ones, and those that earlier stages let through.

A later stage only ever sees what the earlier ones take for faces. Trained on random background, R-Net would
meet its real negatives for the first time when it is used; so they are mined, by the shipping detector's own
functions, from the very images that the earlier stages were trained on. P-Net has the random windows only.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vultus.detect.area_means import AreaMeans
from vultus.detect.mtcnn import pyramid_scales
from vultus.detect.mtcnn_stages import WINDOW_PX, look, propose, refine
from vultus.detect.search import logit
from vultus.geometry.boxes import Floats
from vultus.interfaces import Session
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.mtcnn_crops import MtcnnCrops, crops_of_squares
from vultus.training.data.mtcnn_targets import is_learnt
from vultus.training.data.mtcnn_windows import (
    squares_anywhere,
    squares_near,
)
from vultus.training.data.sample import Sample, load_sample
from vultus.training.losses.mtcnn_multitask import CropKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """Which windows of an image become crops.

    Attributes:
        size_px: of the crops: 12, 24 or 48, for P-Net, R-Net or O-Net.
        near: random windows close to each face, of which most are positives and parts.
        astray: random windows further from each face: parts, and negatives that show half a face.
        anywhere: random windows of an image.
        limits: how many of each kind an image gives at most.
        min_face_px: a smaller face (its longer side) is neither learnt nor background.
        seed: of all chance.
    """

    size_px: int
    near: int
    astray: int
    anywhere: int
    limits: Mapping[CropKind, int]
    min_face_px: float
    seed: int


class Cascade(NamedTuple):
    """The stages that are trained already.

    Attributes:
        stages: P-Net, which proposes, and perhaps R-Net, which refines.
        min_scores: what P-Net and R-Net must give a window. Lower than in use, the next stage learns to
            mend more of their mistakes.
        min_face_px: of the image pyramid.
        threads: runs of a network that go on at once.
    """

    stages: Sequence[Session]
    min_scores: tuple[float, float] = (0.6, 0.7)
    min_face_px: float = 12.0
    threads: int = 1

    def squares(self, picture: AreaMeans) -> Floats:
        """(N, 4) the squares of one image that the next stage would look at, best first."""
        p_margin, r_margin = (logit(score) for score in self.min_scores)
        scales = pyramid_scales(picture.size_hw, self.min_face_px, scale_factor=0.709)
        with ThreadPoolExecutor(self.threads) as pool:
            squares = propose(self.stages[0], [picture], scales=[scales], min_margin=p_margin, pool=pool)
            if len(self.stages) == 1:
                return squares[0]
            windows = look(
                self.stages[1], [picture], squares=squares, size_px=24, min_margin=r_margin, pool=pool
            )
        return refine(windows[0])


def stage_crops(
    images: Sequence[AnnotatedImage], plan: WindowPlan, *, cascade: Cascade | None = None
) -> Iterator[MtcnnCrops]:
    """The crops of one image after the other: for P-Net, or for the stage that follows the cascade."""
    for number, annotated in enumerate(images):
        chance = np.random.default_rng((plan.seed, plan.size_px, number))
        sample = load_sample(annotated)
        if min(sample.size_hw) >= WINDOW_PX:
            yield crops_of(sample, plan, chance, cascade=cascade)


def crops_of(
    sample: Sample, plan: WindowPlan, chance: np.random.Generator, *, cascade: Cascade | None = None
) -> MtcnnCrops:
    """The crops of one image."""
    squares = drawn_squares(sample, plan, chance)
    if cascade is not None:
        squares = np.concatenate([cascade.squares(AreaMeans(sample.image)), squares])
    return crops_of_squares(
        sample,
        squares,
        chance,
        size_px=plan.size_px,
        limits=plan.limits,
        min_face_px=plan.min_face_px,
    )


def drawn_squares(sample: Sample, plan: WindowPlan, chance: np.random.Generator) -> Floats:
    """(N, 4) random squares: near the faces that are learnt, astray from them, and anywhere."""
    faces = sample.boxes[is_learnt(sample, plan.min_face_px)]
    near = squares_near(faces, chance, per_face=plan.near, max_shift=0.2, max_zoom=1.3)
    astray = squares_near(faces, chance, per_face=plan.astray, max_shift=1.0, max_zoom=2.0)
    anywhere = squares_anywhere(
        sample.size_hw, chance, count=plan.anywhere, min_px=min(plan.min_face_px, *sample.size_hw)
    )
    return np.concatenate([near, astray, anywhere])
