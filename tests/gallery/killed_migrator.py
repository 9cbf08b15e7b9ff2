"""Embeds a gallery anew with a toy network, slowly; to be killed. Takes the file and the pause in ms."""

import sys
import time

import numpy as np

from vultus.gallery import SqliteGallery
from vultus.gallery.migrate import reembed
from vultus.types import Crops, Embeddings


class ToyEmbedder:
    """The mean colour of each row of pixels, as a vector of 24 dimensions."""

    contract = "toy-2"
    min_similarity = 0.5

    def embed(self, crops: Crops) -> Embeddings:
        time.sleep(float(sys.argv[2]) / 1000)
        rows = crops.mean(axis=2).reshape(len(crops), -1) - 127.5
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


with SqliteGallery(sys.argv[1]) as gallery:
    print("begin", flush=True)  # noqa: T201
    embedder = ToyEmbedder()
    done = reembed(gallery, embedder, on_progress=lambda *_: print("batch", flush=True))  # type: ignore[arg-type]  # noqa: T201  # it only embeds
    print(done.made, flush=True)  # noqa: T201
