"""Embedding networks in files that say themselves how they are fed: what `vultus export onnx` writes."""

from pathlib import Path

from vultus.errors import WeightsError
from vultus.weights.catalog import WeightsEntry
from vultus.weights.exported import entry_of, facts_from_metadata


def read_exported(path: Path) -> tuple[WeightsEntry, bytes]:
    """What the file says about its network, as if it stood in the catalogue, and its bytes.

    Raises:
        WeightsError: no such file, no ONNX graph, or one that does not say how it is fed.
    """
    import onnx  # here, because only such files need it: 0.07 s
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no stubs

    try:
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
    except (OSError, DecodeError) as error:
        raise WeightsError(f"cannot read {path} as an ONNX file: {error}") from error
    metadata = {each.key: each.value for each in model.metadata_props}
    return entry_of(path, data, facts_from_metadata(metadata)), data
