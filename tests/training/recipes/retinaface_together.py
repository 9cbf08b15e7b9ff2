"""RetinaFace trained by two processes and by one on the same batches, for test_retinaface.py.

    python retinaface_together.py LABELS TEACHER FOLDER

Writes the runs FOLDER/two and FOLDER/one. The processes are forked before anything is computed, and find each
other by what torchrun would have told them. Batch norms use their running statistics: those of a batch would
be other ones on each process.
"""

import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Self

import torch

from vultus.networks.retinaface import RetinaFaceNet, load_retinaface
from vultus.training.data.widerface import read_widerface
from vultus.training.recipes.retinaface import RetinaFaceLearner, RetinaFaceRecipe, RetinaFaceSamples
from vultus.training.run import open_run
from vultus.training.samples import shuffled
from vultus.training.trainer import fit


class Frozen(RetinaFaceLearner):
    """A learner whose batch norms keep the statistics that they have."""

    def train(self, mode: bool = True) -> Self:
        """Everything else learns."""
        super().train(mode)
        self.network.eval()
        return self


def learn(labels: Path, teacher: Path, folder: Path) -> None:
    """Four steps of four samples, of which some have no landmarks and some no face at all."""
    recipe = RetinaFaceRecipe(
        labels=labels,
        widerface=None,
        sizes_px=(64, 96),
        anchor_crop_share=0.3,
        epochs=2,
        batch_size=5,
        optimizer="sgd",
        lr=1e-3,
        precision="32-true",
        log_every=1,
        threads=1,
    )
    torch.manual_seed(0)
    network = RetinaFaceNet()
    images = read_widerface(labels).images
    fit(
        Frozen(network, recipe, teacher=load_retinaface(teacher)),
        RetinaFaceSamples(images, recipe, network.config),
        settings=recipe,
        run=open_run(folder, recipe, data={}),
        plan=shuffled(len(images), recipe.batch_size, seed=0, drop_last=True),
    )


def main(labels: Path, teacher: Path, folder: Path) -> None:
    """Two processes, then one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
    children = []
    for rank in "01":
        child = os.fork()
        if not child:
            os.environ.update(shared | {"RANK": rank, "LOCAL_RANK": rank})
            try:
                learn(labels, teacher, folder / "two")
                os._exit(0)
            finally:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    learn(labels, teacher, folder / "one")
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
