"""The gate: no file is written unless it answers as the network does that it was made from.

On real crops, one at a time and in batches of 3 and 16: every answer to every crop must have a cosine of at
least 0.999 to the reference's. Where crops of labelled people are given, TAR at a stated FAR must not move by
more than a stated distance either: a cosine says that an embedding moved little, TAR whether it moved across
the threshold. What does not pass raises an ExportError that says by how much, and in which layer it began.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vultus.errors import DeviceError, ExportError, InputError, ShapeError
from vultus.evaluate.curves import tar_at_far
from vultus.export.layers import cosines, first_difference, probe
from vultus.export.reference import Reference
from vultus.interfaces import Session
from vultus.match.all_pairs import genuine_similarities, impostor_similarities
from vultus.runtime.onnx import OnnxSession
from vultus.types import Crops, Embeddings, FloatArray

BATCHES = (1, 3, 16)
EMBED_BATCH = 16
Feed = Callable[[Crops], FloatArray]  # (N, H, W, 3) uint8 RGB crops to what a network takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What passes.

    Attributes:
        min_cosine: of every answer to every crop.
        max_tar_distance: how far TAR may be from the reference's: 0.002 is 0.2 points.
        far: the FAR at which TAR is compared.
    """

    min_cosine: float = 0.999
    max_tar_distance: float = 0.002
    far: float = 1e-3


STRICT = Limits()


class People(NamedTuple):
    """Crops of labelled people, to compare TAR.

    Attributes:
        crops: (N, H, W, 3).
        identity_index: (N,) whose face each shows.
    """

    crops: Crops
    identity_index: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Passed:
    """What the gate measured.

    Attributes:
        cosine: the lowest of all.
        crop_count: how many crops were compared.
        tar: of the graph, or None where no people were given.
        reference_tar: of the reference.
        far: at this FAR.
    """

    cosine: float
    crop_count: int
    tar: float | None = None
    reference_tar: float | None = None
    far: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a graph is compared with, and on what.

    Attributes:
        reference: the network that is right.
        crops: (N, H, W, 3) real ones.
        reference_feed: makes of crops what the reference takes.
        limits: what passes.
        people: crops of labelled people.
    """

    reference: Reference
    crops: Crops
    reference_feed: Feed
    limits: Limits = STRICT
    people: People | None = None

    def check(self, model: bytes, *, feed: Feed | None = None) -> Passed:
        """What was measured, if the graph passes.

        Args:
            model: an ONNX graph.
            feed: makes of crops what it takes; None: what the reference takes.

        Raises:
            ExportError: it does not pass; the message says why and where it began.
        """
        return self.judge(OnnxSession(model), model=model, feed=feed)

    def judge(self, session: Session, *, model: bytes | None = None, feed: Feed | None = None) -> Passed:
        """What was measured, if what a session runs passes.

        Args:
            session: of any runtime.
            model: the graph that it runs, to find the layer where a difference begins.
            feed: makes of crops what it takes; None: what the reference takes.

        Raises:
            ExportError: it does not pass; the message says why and, of a graph, where it began.
        """
        feed = feed or self.reference_feed
        worst = min(self._worst_cosine(model, session, feed, batch) for batch in BATCHES)
        passed = Passed(worst, len(self.crops))
        return passed if self.people is None else self._check_tar(session, feed, self.people, passed)

    def _worst_cosine(self, model: bytes | None, session: Session, feed: Feed, batch: int) -> float:
        """The lowest cosine over all crops in batches of this size, if it passes."""
        worst = 1.0
        count = max(batch, len(self.crops) // batch * batch)
        crops = self.crops[np.arange(count) % len(self.crops)]  # too few crops for a batch: some twice
        for first in range(0, count, batch):
            some = crops[first : first + batch]
            expected = self.reference.run(self.reference_feed(some))
            try:
                answers = session.run(feed(some))
            except (ShapeError, DeviceError) as error:
                raise ExportError(
                    f"the graph takes no batch of {batch}: {error}. Nothing is written"
                ) from error
            for number, (ours, theirs) in enumerate(zip(answers, expected, strict=True)):
                cosine = float(cosines(ours, theirs).min())
                if not cosine >= self.limits.min_cosine:
                    told = f"output {number}, shape {ours.shape} for {theirs.shape}, cosine {cosine:.6f}"
                    raise ExportError(self._refusal(model, feed, some, told=told, batch=batch))
                worst = min(worst, cosine)
        return worst

    def _refusal(self, model: bytes | None, feed: Feed, crops: Crops, *, told: str, batch: int) -> str:
        where = "its layers cannot be looked into"
        if model is not None:
            theirs = self.reference.layers(self.reference_feed(crops))
            ours = probe(model, list(theirs), feed(crops))
            where = first_difference(ours, theirs, min_cosine=self.limits.min_cosine)
        return (
            f"the graph does not answer as {self.reference.name} does: {told} at batch {batch}, at least "
            f"{self.limits.min_cosine} expected; {where}. Nothing is written"
        )

    def _check_tar(self, session: Session, feed: Feed, people: People, passed: Passed) -> Passed:
        far = self.limits.far
        theirs = tar_of(lambda crops: self.reference.run(self.reference_feed(crops))[0], people, far=far)
        ours = tar_of(lambda crops: session.run(feed(crops))[0], people, far=far)
        if not abs(ours - theirs) <= self.limits.max_tar_distance:
            raise ExportError(
                f"TAR at FAR {far:g} moved from {theirs:.4f} ({self.reference.name}) to {ours:.4f}, by more "
                f"than {self.limits.max_tar_distance}, although every cosine is {passed.cosine:.6f} or more. "
                "Nothing is written"
            )
        return Passed(passed.cosine, passed.crop_count, ours, theirs, far)


def tar_of(embed: Callable[[Crops], FloatArray], people: People, *, far: float) -> float:
    """TAR at this FAR over all pairs of the crops.

    Args:
        embed: (N, H, W, 3) crops to (N, D), not normalised.
        people: the crops, and whose they are.
        far: which the number of impostor pairs must carry.

    Raises:
        InputError: too few people or crops for this FAR.
    """
    embeddings = embedded(embed, people.crops)
    index = people.identity_index.tolist()
    genuine, impostor = genuine_similarities(embeddings, index), impostor_similarities(embeddings, index)
    if len(genuine) == 0:
        raise InputError("TAR needs somebody with two crops, and there is nobody")
    return tar_at_far(genuine, impostor, far=far).tar


def embedded(embed: Callable[[Crops], FloatArray], crops: Crops) -> Embeddings:
    """(N, D) unit rows."""
    pieces: Sequence[FloatArray] = [
        embed(crops[first : first + EMBED_BATCH]) for first in range(0, len(crops), EMBED_BATCH)
    ]
    rows = np.concatenate(pieces)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
