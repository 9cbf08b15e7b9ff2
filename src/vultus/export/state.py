"""Weights as safetensors: numbers and names only, readable without Python, and no code can hide in them."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from vultus.export.subjects import Subject
from vultus.image import replace_file


def write_safetensors(subject: Subject, path: Path, *, is_half: bool = False) -> None:
    """Write the state dict, whole or not at all; the facts stand in the file's metadata.

    Args:
        subject: the network.
        path: of the file.
        is_half: floats in fp16; `load_state` widens them again.
    """
    state = {
        name: _stored(tensor, is_half=is_half)
        for name, tensor in subject.network.state_dict().items()
        if isinstance(tensor, Tensor)
    }
    metadata = {"network": subject.name, **subject.metadata}
    if subject.facts is not None:
        metadata["embedding"] = json.dumps(asdict(subject.facts))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as stream:
        stream.write(save(state, metadata))


def _stored(tensor: Tensor, *, is_half: bool) -> Tensor:
    dense = tensor.detach().cpu().contiguous()
    return dense.to(torch.float16) if is_half and dense.dtype == torch.float32 else dense


def write_state(network: nn.Module, path: Path) -> None:
    """Write a state dict, whole or not at all: as safetensors if the name says so, else as PyTorch does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: _stored(tensor, is_half=False) for name, tensor in network.state_dict().items()}
    with replace_file(path) as stream:
        if path.suffix == ".safetensors":
            stream.write(save(state))
        else:
            torch.save(state, stream)
