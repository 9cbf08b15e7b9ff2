"""Where a detector is good and where it is not: the measurement on WIDER FACE, part by part.

The parts share the matches and the normalised scores of the whole measurement. Within a part the other faces
are ignored. A prediction that matched nothing is a false positive of the part it belongs to: of its image's
event, or of the range of heights in which its own height lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from vultus.evaluate.detection_ap import WiderMatches

EDGES_PX: Final = (0, 16, 32, 64, 128, 256, float("inf"))


@dataclass(frozen=True, slots=True)
class Part:
    """How well the faces of one part of the set were found.

    Attributes:
        name: such as "0--Parade", or "16 to 32 px".
        n_faces: how many there are, at least one.
        average_precision: 0 to 1.
        recall: the share that was found at all, with every prediction counted.
    """

    name: str
    n_faces: int
    average_precision: float
    recall: float


def by_event(matches: WiderMatches, *, difficulty: str = "hard") -> tuple[Part, ...]:
    """Each of the 61 events that has faces at this difficulty, in the order of the ground truth."""
    return tuple(_event_parts(matches, difficulty))


def by_height(matches: WiderMatches, *, difficulty: str = "hard") -> tuple[Part, ...]:
    """The faces at this difficulty by the height of their boxes, smallest first; `EDGES_PX` divides them."""
    return tuple(_height_parts(matches, difficulty))


def _event_parts(matches: WiderMatches, difficulty: str) -> Iterator[Part]:
    truth = matches.truth
    events = np.array([image.split("/")[0] for image in truth.images])  # (I,)
    event_of_face = np.repeat(events, np.diff(truth.first_face))
    for event in dict.fromkeys(events.tolist()):
        is_here = (event_of_face == event) & truth.counts[difficulty]
        curve = matches.curve(is_here, is_background=events[matches.image] == event)
        if curve.n_faces:
            yield Part(event, curve.n_faces, curve.average_precision, curve.highest_recall)


def _height_parts(matches: WiderMatches, difficulty: str) -> Iterator[Part]:
    truth = matches.truth
    face_px, found_px = (boxes[:, 3] - boxes[:, 1] for boxes in (truth.boxes, matches.boxes))
    for low, high in pairwise(EDGES_PX):
        is_here = (face_px >= low) & (face_px < high) & truth.counts[difficulty]
        curve = matches.curve(is_here, is_background=(found_px >= low) & (found_px < high))
        if curve.n_faces:
            yield Part(_range(low, high), curve.n_faces, curve.average_precision, curve.highest_recall)


def _range(low: float, high: float) -> str:
    if high == float("inf"):
        return f"{low} px and more"
    return f"{low} to {high} px" if low else f"under {high} px"
