"""What the networks of MTCNN should answer to a window: its kind, and offsets and landmarks in their units.

A window is described by what the detector makes of it (`vultus.detect.mtcnn_stages`), so that answers equal
to these targets decode to the labelled face exactly:

    network        sees                            offsets start from                         measured in
    P-Net          12 x 12 pixels of a level       floor((2x + 1) / s), floor((2x + 12) / s)  x2 - x1
    R-Net, O-Net   a square, cut out and reduced   its first and its last pixel               x2 - x1 + 1

    offset   = (edge of the face's box - edge of the window's box) / side
    landmark = (place - edge of what is seen) / side of what is seen

The +1 convention holds throughout: of a face between the edges x1 and x2, the box is x1 + 1 .. x2, its first
and its last pixel counted from 1. It is what R-Net and O-Net need: the two edges are then treated alike, and
a target depends on how the face lies in the window, not on how many pixels the window has.

Kinds, by the overlap with the nearest face (union): POSITIVE > 0.65, PART 0.4 to 0.65, NEGATIVE < 0.3. What
lies between, or overlaps a face that is not to be learnt, teaches nothing.
Differs from the paper: the overlap is that with the *square* that the cascade grows a face's box to. All
windows are squares: against the box itself, the best possible window of a face 0.77 times as wide as high
overlaps by 0.77, and one face in seven of WIDER FACE (narrower than 0.65) could never be a positive.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks.
IEEE Signal Processing Letters 2016. https://arxiv.org/abs/1604.02878
"""

from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from vultus.detect.mtcnn_stages import FIRST_PIXEL, WINDOW_PX, cell_boxes, level_size, pixel_edges
from vultus.geometry.boxes import Floats, iou, squared
from vultus.training.data.annotations import AnnotatedImage
from vultus.training.data.sample import Sample
from vultus.training.losses.mtcnn_multitask import CropKind

POSITIVE_IOU: Final = 0.65
PART_IOU: Final = 0.4
NEGATIVE_IOU: Final = 0.3
UNUSED: Final = -1  # the kind of a window that teaches nothing


class Seen(NamedTuple):
    """N windows as a network of the cascade sees them.

    Attributes:
        edges: (N, 4) between which edges it sees, in pixels of the image.
        boxes: (N, 4) what its offsets start from: first and last pixel, counted from 1.
        sides: (N, 2) what its offsets are measured in, across and down.
    """

    edges: Floats
    boxes: Floats
    sides: Floats

    @classmethod
    def of_squares(cls, squares: Floats) -> Self:
        """What R-Net or O-Net sees of (N, 4) squares, which name their first and last pixel."""
        edges = pixel_edges(squares)
        return cls(edges, squares, edges[:, 2:] - edges[:, :2])

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Those at these positions, or under this mask."""
        return type(self)(*(part[chosen] for part in self))

    @property
    def mirror_shifts(self) -> Floats:
        """(N,) what a mirrored window adds to the swapped and negated offsets of its left and right edge.

        It is 0 where the box has the middle of what is seen; P-Net's cells have not.
        """
        middles = self.edges[:, 0] + self.edges[:, 2] + 1 - self.boxes[:, 0] - self.boxes[:, 2]
        return np.asarray(middles / self.sides[:, 0])


class Cells(NamedTuple):
    """N of P-Net's windows, each in a level of its own.

    Attributes:
        scales: (N,) of the levels.
        rows: (N,) of the level's grid.
        columns: (N,) of the level's grid.
    """

    scales: Floats
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def at(self, chosen: NDArray[np.intp]) -> Self:
        """Those at these positions."""
        return type(self)(self.scales[chosen], self.rows[chosen], self.columns[chosen])

    def seen(self, size_hw: tuple[int, int]) -> Seen:
        """What P-Net sees of an image of this size."""
        heights, widths = level_size(size_hw, self.scales)
        corners = 2 * np.stack([self.columns, self.rows], axis=1)
        places = np.concatenate([corners, corners + WINDOW_PX], axis=1)  # of the level, (N, 4)
        per_pixel = np.stack([size_hw[1] / widths, size_hw[0] / heights] * 2, axis=1)
        boxes = cell_boxes(self.rows, self.columns, scale=self.scales)
        return Seen(places * per_pixel, boxes, boxes[:, 2:] - boxes[:, :2])


class Targets(NamedTuple):
    """What N windows should be answered with.

    Attributes:
        kinds: (N,) int8 `CropKind`, or `UNUSED`.
        offsets: (N, 4), in the network's units.
        landmarks: (N, 10) x1..x5 y1..y5, in the network's units; NaN where the face has none.
    """

    kinds: NDArray[np.int8]
    offsets: Floats
    landmarks: Floats


def targets_of(seen: Seen, sample: Sample, *, min_face_px: float) -> Targets:
    """The targets of N windows of one image. A face smaller than `min_face_px` is as good as ignored."""
    count = len(seen.edges)
    if not len(sample.boxes):
        kinds = np.full(count, CropKind.NEGATIVE, np.int8)
        return Targets(kinds, np.zeros((count, 4), np.float32), np.full((count, 10), np.nan, np.float32))
    overlap = iou(seen.edges, squared(sample.boxes))  # (N, M)
    nearest = overlap.argmax(axis=1)
    kinds = kinds_of(overlap.max(axis=1), is_learnt=is_learnt(sample, min_face_px)[nearest])
    offsets = offsets_of(seen, sample.boxes[nearest])
    return Targets(kinds, offsets, landmarks_of(seen, sample.landmarks[nearest]))


def is_learnt(sample: Sample | AnnotatedImage, min_face_px: float) -> NDArray[np.bool_]:
    """(M,) which faces are to be found."""
    longer_sides = (sample.boxes[:, 2:] - sample.boxes[:, :2]).max(axis=1, initial=0)
    return np.asarray(~sample.is_ignored & (longer_sides >= min_face_px))


def kinds_of(overlap: Floats, *, is_learnt: NDArray[np.bool_]) -> NDArray[np.int8]:
    """(N,) `CropKind` or `UNUSED`, of the largest overlap of each window, and whether that face is learnt."""
    kinds = np.full(len(overlap), UNUSED, np.int8)
    kinds[overlap < NEGATIVE_IOU] = CropKind.NEGATIVE
    kinds[is_learnt & (overlap >= PART_IOU)] = CropKind.PART
    kinds[is_learnt & (overlap > POSITIVE_IOU)] = CropKind.POSITIVE
    return kinds


def offsets_of(seen: Seen, faces: Floats) -> Floats:
    """(N, 4) from the edges of N windows' boxes to those of the (N, 4) faces, given by edges."""
    return np.asarray((faces + FIRST_PIXEL - seen.boxes) / np.tile(seen.sides, 2), np.float32)


def landmarks_of(seen: Seen, landmarks: Floats) -> Floats:
    """(N, 10) where the (N, 5, 2) landmarks of N faces lie in N windows."""
    sides = seen.edges[:, 2:] - seen.edges[:, :2]
    places = (landmarks - seen.edges[:, None, :2]) / sides[:, None]
    return np.asarray(places.transpose(0, 2, 1).reshape(-1, 10), np.float32)
