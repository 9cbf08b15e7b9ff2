"""What an embedding network's ONNX file says about itself: all that the catalogue says of a public one.

A file that Vultus exports carries, as JSON under one key, how faces are cut and fed, the licence, the
measured figures and the threshold. So `entry_of` makes of any such file the entry that an embedder wants,
and the contract follows from its bytes and the stated preprocessing, as for the files of the catalogue.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from vultus.errors import WeightsError
from vultus.weights.description import (
    NOT_STATED,
    BoxMargin,
    FivePoint,
    Licence,
    ManualFile,
    Metric,
    Preprocessing,
    WeightsEntry,
    WeightsFile,
)
from vultus.weights.metadata import KEY

ALIGNMENTS: Final = {"five_point": FivePoint, "box_margin": BoxMargin}


OURS: Final = Licence(code="Apache-2.0", weights=NOT_STATED, data=NOT_STATED)  # until it is told


@dataclass(frozen=True, slots=True)
class EmbeddingFacts:
    """What is to be known about an embedding network, besides its bytes.

    Attributes:
        name: of the weights.
        architecture: in words.
        preprocessing: how faces are cut and fed.
        embedding_size: D.
        licence: of code, weights and data.
        metrics: measured figures.
        paper: the reference.
        min_similarity: a threshold on the cosine, or None.
        min_similarity_source: who found it and how.
        notes: cautions, and how it was made.
    """

    name: str
    architecture: str
    preprocessing: Preprocessing
    embedding_size: int
    licence: Licence = OURS
    metrics: tuple[Metric, ...] = ()
    paper: str = ""
    min_similarity: float | None = None
    min_similarity_source: str = ""
    notes: tuple[str, ...] = ()


def facts_to_metadata(facts: EmbeddingFacts) -> dict[str, str]:
    """The facts as ONNX metadata."""
    return {KEY: json.dumps({"embedding": asdict(facts)})}


def facts_from_metadata(metadata: Mapping[str, str]) -> EmbeddingFacts:
    """The facts that `facts_to_metadata` wrote.

    Raises:
        WeightsError: they are not there, or damaged.
    """
    try:
        told = json.loads(metadata[KEY])["embedding"]
        fed = told["preprocessing"]
        cut = fed["alignment"]
        alignment = cut and ALIGNMENTS[cut["kind"]](**cut)
        triples = {name: tuple(fed[name]) for name in ("mean", "std", "size_hw")}
        return EmbeddingFacts(
            **{
                **told,
                "preprocessing": Preprocessing(**{**fed, **triples, "alignment": alignment}),
                "licence": Licence(**told["licence"]),
                "metrics": tuple(Metric(**each) for each in told["metrics"]),
                "notes": tuple(told["notes"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the file must say under {KEY!r} how faces are cut and fed, as those do that `vultus export "
            f"onnx` writes; {error!r}"
        ) from error


def entry_of(path: Path, data: bytes, facts: EmbeddingFacts) -> WeightsEntry:
    """The file as if it stood in the catalogue.

    Args:
        path: the file.
        data: its bytes, whose SHA-256 is part of the contract.
        facts: what it says about itself.
    """
    told: dict[str, Any] = {name: getattr(facts, name) for name in facts.__slots__}
    digest = hashlib.sha256(data).hexdigest()
    file = WeightsFile(path.name, ManualFile("exported by Vultus"), sha256=digest, n_bytes=len(data))
    return WeightsEntry(task="recognition", files=(file,), **told)


def with_metrics(facts: EmbeddingFacts, *metrics: Metric) -> EmbeddingFacts:
    """The facts with measured figures added; a figure of the same benchmark and protocol is replaced."""
    kept = {(each.benchmark, each.subset, each.protocol): each for each in (*facts.metrics, *metrics)}
    return replace(facts, metrics=tuple(kept.values()))
