"""An embedder out of an ONNX file that says about itself how to feed it: what `vultus export onnx` writes."""

from collections.abc import Sequence
from pathlib import Path

from vultus.embed.embedder import DEFAULT_BATCH, SessionEmbedder
from vultus.errors import WeightsError
from vultus.runtime import OnnxSession
from vultus.runtime.onnx import CPU
from vultus.weights.exported import entry_of, facts_from_metadata


def open_embedder(
    path: Path,
    *,
    flip: bool = False,
    threads: int | None = None,
    providers: Sequence[str] = (CPU,),
    batch: int = DEFAULT_BATCH,
) -> SessionEmbedder:
    """The embedding network in this file, ready to run.

    Args:
        path: an ONNX file with the facts that Vultus writes into its exports.
        flip: add the embedding of the mirrored crop: another contract.
        threads: threads inside one call; None leaves it to ONNX Runtime.
        providers: execution providers in order of preference.
        batch: how many crops are run at once.

    Raises:
        WeightsError: no such file, no usable ONNX graph, or one that does not say how it is fed.
        DeviceError: a provider does not run here.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    session = OnnxSession(data, providers=providers, threads=threads)
    entry = entry_of(path, data, facts_from_metadata(session.metadata))
    return SessionEmbedder(entry, session, flip=flip, batch=batch)
