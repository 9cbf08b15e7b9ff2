"""Embedding networks by name: from the catalogue to one that is ready to run."""

from collections.abc import Sequence
from pathlib import Path

from vultus.defaults import DEFAULT_EMBEDDER
from vultus.embed.embedder import DEFAULT_BATCH, SessionEmbedder
from vultus.embed.exported import read_exported
from vultus.errors import WeightsError
from vultus.runtime.graph import repaired_graph
from vultus.runtime.onnx import CPU
from vultus.runtime.opening import Runtime, open_session
from vultus.weights import store
from vultus.weights.catalog import CATALOG, ShippedFile, WeightsEntry, entry
from vultus.weights.environment import compiled_folder


def load_embedder(
    name: str = DEFAULT_EMBEDDER,
    *,
    flip: bool = False,
    threads: int | None = None,
    providers: Sequence[str] = (CPU,),
    runtime: Runtime = "onnx",
    batch: int = DEFAULT_BATCH,
) -> SessionEmbedder:
    """The embedding network of this name in the catalogue, or in this file, ready to run.

    Args:
        name: an entry of `embedder_names()`, "fast" for the small one trained here, "fastest" for the same in
            int8, or the path of an .onnx file that `vultus export` wrote.
        flip: add the embedding of the mirrored crop: better by a little, twice the time, another contract.
        threads: threads inside one call; None leaves it to the runtime.
        providers: ONNX Runtime's execution providers in order of preference.
        runtime: which library runs the network; bfloat16 is for weights that the catalogue says bear it.
        batch: how many crops are run at once.

    Raises:
        WeightsError: no such network, not in the ONNX format, or its file is missing or damaged.
        DeviceError: a provider does not run here.
        MissingExtraError: the runtime is not installed.
    """
    weights, model = read_embedder(name)
    session = open_session(
        model,
        runtime=runtime,
        providers=providers,
        threads=threads,
        is_bf16_faithful=weights.is_bf16_faithful,
        compiled=compiled_folder(),
    )
    return SessionEmbedder(weights, session, flip=flip, batch=batch)


def read_embedder(name: str) -> tuple[WeightsEntry, bytes]:
    """What is known about the network of this name in the catalogue, or of this file, and its graph.

    Raises:
        WeightsError: no such network, not in the ONNX format, or its file is missing or damaged.
    """
    if name not in CATALOG and name.endswith(".onnx"):
        return read_exported(Path(name))
    weights = entry(name)
    if weights.name not in embedder_names():
        raise WeightsError(
            f"{name!r} is a {weights.task} network in {', '.join(file.name for file in weights.files)}; an "
            f"embedder needs one ONNX file of a recognition network: {', '.join(embedder_names())}"
        )
    return weights, read_model(weights)


def read_model(weights: WeightsEntry) -> bytes:
    """The graph of these weights, as sessions run it.

    Raises:
        WeightsError: the file is missing or damaged, or no ONNX graph.
    """
    model = store.read(weights)
    is_ours = isinstance(weights.files[0].source, ShippedFile)  # nothing to mend
    return model if is_ours else repaired_graph(model, folder=compiled_folder())


def embedder_names() -> tuple[str, ...]:
    """The names that `load_embedder` takes."""
    return tuple(
        weights.name
        for weights in CATALOG.values()
        if weights.task == "recognition"
        and len(weights.files) == 1
        and weights.files[0].name.endswith(".onnx")
    )
