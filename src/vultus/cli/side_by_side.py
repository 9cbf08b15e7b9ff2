"""How good several networks are on the same pairs, for the commands that make one of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vultus.cli.reporting import counted
from vultus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vultus.export.subjects import Subject


def lfw_accuracies(subjects: Mapping[str, Subject], folder: Path, *, title: str) -> tuple[float, ...]:
    """10-fold accuracy of each network in PyTorch, 0 to 1, over the same detections.

    Args:
        subjects: embedding networks that see the same crops, by a name for each.
        folder: of pairs, as `vultus evaluate set lfw` takes them.
        title: of the progress bar.

    Raises:
        InputError: one is no embedding network; or as of the evaluation.
    """
    from vultus.detect import load_detector
    from vultus.embed.embedder import SessionEmbedder
    from vultus.evaluate.pair_sets import read_pair_set
    from vultus.export.side_by_side import accuracies
    from vultus.networks.torch_session import TorchSession
    from vultus.weights.exported import entry_of

    pair_set = read_pair_set("lfw", folder)
    embedders = []
    for name, subject in subjects.items():
        if subject.facts is None:
            raise InputError(f"{subject.name} is no embedding network")
        entry = entry_of(Path(name), name.encode(), subject.facts)
        embedders.append(SessionEmbedder(entry, TorchSession(subject.network)))
    with counted(title, total=len(pair_set.pairs.images)) as on_progress:
        return accuracies(pair_set, embedders, detector=load_detector(), on_progress=on_progress)
