"""A pruned network goes on learning in the recipes as any other: its widths come with its weights."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from vultus.export.prune import Pruning, prune
from vultus.export.state import write_state
from vultus.image import save_image
from vultus.networks.catalog import NETWORKS
from vultus.networks.state import MARK, load_state
from vultus.training.recipes.distil import DistilRecipe, train

TINY = "facenet-mobilenet-v1-x0.25"


def test_distillation_goes_on_with_a_pruned_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = NETWORKS[TINY].build()
    pruned = prune(whole, torch.randn(2, 3, 112, 112), Pruning(ratio=0.5)).network
    write_state(pruned, tmp_path / "pruned.pt")
    rng = np.random.default_rng(0)
    for person in range(2):
        folder = tmp_path / "faces" / f"p{person}"
        folder.mkdir(parents=True)
        for number in range(4):
            save_image(rng.integers(0, 256, (128, 128, 3), dtype=np.uint8), folder / f"{number}.png")
    recipe = DistilRecipe(
        faces=tmp_path / "faces",
        heldout=None,
        network=TINY,
        start=tmp_path / "pruned.pt",
        cache=tmp_path / "cache",
        epochs=1,
        batch_size=8,
        precision="32-true",
        ema_decay=0.5,
    )
    train(recipe, tmp_path / "run")
    tuned = load_state(NETWORKS[TINY].build(), tmp_path / "run" / "best.pt", what="it")
    kernels = [
        [part.weight.shape for part in network.modules() if isinstance(part, nn.Conv2d)]
        for network in (tuned, pruned, whole)
    ]
    assert kernels[0] == kernels[1] != kernels[2]
    assert MARK in tuned.state_dict()
    moved = [not torch.equal(a, b) for a, b in zip(tuned.parameters(), pruned.parameters(), strict=True)]
    assert any(moved)
