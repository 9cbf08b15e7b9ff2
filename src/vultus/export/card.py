"""The card beside a file: what it is, how it was judged, who may use it. As JSON, and as Markdown to read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from vultus.embed.contract import contract_of
from vultus.evaluate.provenance import Provenance
from vultus.export.gate import Passed
from vultus.image import replace_file
from vultus.weights.exported import entry_of, facts_from_metadata
from vultus.weights.metadata import KEY


def write_card(path: Path, data: bytes, *, gate: Passed, told: Mapping[str, Any]) -> Path:
    """Write `NAME.card.json` and `NAME.card.md` beside a file.

    Args:
        path: of the file.
        data: its bytes.
        gate: what the gate measured.
        told: what else is to be said: how it was made, figures before and after.

    Returns:
        The Markdown file.
    """
    card = {**card_of(path, data), "gate": asdict(gate), **told}
    with replace_file(path.with_suffix(".card.json")) as stream:
        stream.write((json.dumps(card, indent=2) + "\n").encode())
    page = path.with_suffix(".card.md")
    with replace_file(page) as stream:
        stream.write(as_markdown(card, title=path.name).encode())
    return page


def write_engine(path: Path, data: bytes, model: bytes, *, gate: Passed) -> Path:
    """Write an engine, whole or not at all, and the card of the graph that it was built of.

    Returns:
        The card's path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as stream:
        stream.write(data)
    return write_card(path, model, gate=gate, told={"engine": {"bytes": len(data), "precision": "fp16"}})


def card_of(path: Path, data: bytes) -> dict[str, Any]:
    """What the bytes say about themselves."""
    model = onnx.load_model_from_string(data)
    metadata = {each.key: each.value for each in model.metadata_props}
    known: dict[str, Any] = {
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "opset": max(each.version for each in model.opset_import if not each.domain),
    }
    if "embedding" in json.loads(metadata.get(KEY, "{}")):
        facts = facts_from_metadata(metadata)
        entry = entry_of(path, data, facts)
        known |= {"contract": contract_of(entry, entry.preprocessing), **asdict(facts)}
    else:
        known["metadata"] = metadata
    return known | {"made": asdict(Provenance.now("vultus export"))}


def as_markdown(card: Mapping[str, Any], *, title: str) -> str:
    """The card as headings and lists."""
    lines = [f"# {title}", ""]
    plain = {key: value for key, value in card.items() if not isinstance(value, Mapping | list | tuple)}
    lines += [f"- {key}: {value}" for key, value in plain.items() if value not in (None, "")]
    for key, value in card.items():
        if key in plain or not value:
            continue
        entries = value.items() if isinstance(value, Mapping) else enumerate(value, 1)
        lines += ["", f"## {key}", "", *(f"- {name}: {_told(each)}" for name, each in entries)]
    return "\n".join(lines) + "\n"


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(each)}" for key, each in value.items() if each not in (None, "", ()))
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
