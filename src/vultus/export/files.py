"""An ONNX file to be made smaller: its float32 graph, how it is fed, and what it says about itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types

from vultus.embed.embedder import network_input
from vultus.errors import WeightsError
from vultus.export.gate import Feed
from vultus.export.half import widen_stored
from vultus.runtime.graph import repair_graph
from vultus.weights import store
from vultus.weights.catalog import find
from vultus.weights.description import Preprocessing, WeightsEntry
from vultus.weights.exported import EmbeddingFacts, facts_from_metadata, facts_to_metadata
from vultus.weights.metadata import KEY


class OnnxFile(NamedTuple):
    """A network in a file.

    Attributes:
        model: the graph, all weights in float32.
        preprocessing: how crops become its input.
        facts: of an embedding network.
    """

    model: bytes
    preprocessing: Preprocessing
    facts: EmbeddingFacts | None

    @property
    def feed(self) -> Feed:
        """Makes of crops what the graph takes."""
        return lambda crops: network_input(crops, self.preprocessing)

    def described(self, model: bytes, note: str) -> bytes:
        """Another graph of the same network, which says so: with a note of what was done to it."""
        if self.facts is None:
            return model
        proto = onnx.load_model_from_string(model)
        facts = replace(self.facts, notes=(*self.facts.notes, note))
        onnx.helper.set_model_props(proto, facts_to_metadata(facts))
        data: bytes = proto.SerializeToString(deterministic=True)
        return data


def read_file(what: str) -> OnnxFile:
    """The network of an ONNX file that Vultus exported, or of an entry in the catalogue, all weights float32.

    Args:
        what: a path, or a name of `vultus weights`.

    Raises:
        WeightsError: not there, no ONNX graph, or one that does not say how it is fed.
    """
    known = find(what)
    proto = _graph(what) if known is None else onnx.load_model_from_string(store.read(known))
    widen_stored(proto)
    model = proto.SerializeToString()
    if known is not None:
        return OnnxFile(repair_graph(model), known.preprocessing, _facts(known))
    metadata = {each.key: each.value for each in proto.metadata_props}
    if "embedding" in json.loads(metadata.get(KEY, "{}")):
        facts = facts_from_metadata(metadata)
        return OnnxFile(model, facts.preprocessing, facts)
    return OnnxFile(model, _preprocessing(metadata, what), None)


def _graph(path: str) -> onnx.ModelProto:
    try:
        return onnx.load(Path(path))
    except (OSError, DecodeError) as error:
        raise WeightsError(
            f"{path!r} is no name in the catalogue and no readable ONNX file: {error}"
        ) from error


def _facts(known: WeightsEntry) -> EmbeddingFacts | None:
    """What the catalogue says of an embedding network; None of another."""
    if known.task != "recognition":
        return None
    return EmbeddingFacts(
        known.name,
        known.architecture,
        known.preprocessing,
        known.embedding_size or 0,
        licence=known.licence,
        metrics=known.metrics,
        paper=known.paper,
        min_similarity=known.min_similarity,
        min_similarity_source=known.min_similarity_source,
    )


def _preprocessing(metadata: dict[str, str], what: str) -> Preprocessing:
    try:
        told = json.loads(metadata[KEY])["preprocessing"]
        triples = {name: tuple(told[name]) for name in ("mean", "std")}
        return Preprocessing(**{**told, **triples})
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{what} does not say how it is fed: export it with `vultus export onnx` first; {error!r}"
        ) from error
