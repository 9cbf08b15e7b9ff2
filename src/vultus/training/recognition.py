"""What the recipes of recognisers share: their knobs, their faces, their network, and how it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vultus.errors import InputError
from vultus.evaluate.curves import carried_rates, equal_error, tar_at_far
from vultus.evaluate.people import genuine_similarities, impostor_similarities
from vultus.networks.catalog import NETWORKS
from vultus.networks.embedding import unit
from vultus.networks.state import load_state
from vultus.training.data.crop_cache import cached
from vultus.training.data.face_augment import AUGMENTATIONS, augment_face
from vultus.training.data.folder import read_folder
from vultus.training.data.identities import IdentitySet, labelled, select
from vultus.training.data.identity_samples import FaceSamples, normalised
from vultus.training.data.record_faces import read_records
from vultus.training.data.shards import read_shards
from vultus.training.settings import TrainSettings
from vultus.training.trainer import Validation
from vultus.types import Embeddings

Augmentation = Literal["none", "mirror", "light", "strong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserSettings(TrainSettings):
    """The knobs of every recogniser's recipe. What is not here stands in `TrainSettings`.

    Attributes:
        faces: aligned faces: a folder with a folder for each person, a folder of tar shards with index.csv,
            or an MXNet train.rec.
        split: of tar shards, which rows are learnt from.
        people: learn from so many people only, those with the most crops; None takes all.
        heldout: people to judge by, in any of these forms; None judges nobody. Of tar shards it is the
            split `heldout`.
        network: an embedding network of `vultus models`.
        start: a state dict of that network to go on from; None starts with fresh weights.
        augmentation: none, mirror, light or strong.
        cache: folder for decoded crops, which are read many times faster; None decodes anew each time.
    """

    faces: Path = Path("../shared/data/faces")
    split: str = "train"
    people: int | None = None
    heldout: Path | None = Path("../shared/data/faces")
    network: str = "compact-resnet"
    start: Path | None = None
    augmentation: Augmentation = "light"
    cache: Path | None = Path("runs/cache")


def read_faces(path: Path, *, split: str, cache: Path | None = None) -> IdentitySet:
    """Face crops in whichever form they are.

    Args:
        path: a folder for each person, tar shards with index.csv, or train.rec.
        split: of tar shards.
        cache: where decoded crops are kept; None decodes them anew each time.

    Raises:
        InputError: none of these, or nothing in it.
    """
    if path.suffix == ".rec":
        faces: IdentitySet = read_records(path)
    elif (path / "index.csv").exists():
        faces = read_shards(path, split=split)
    else:
        faces = read_folder(path)
    return faces if cache is None else cached(faces, cache)


def known_faces(settings: RecogniserSettings) -> IdentitySet:
    """The labelled crops to learn from: of all people, or of those with the most crops."""
    faces = labelled(read_faces(settings.faces, split=settings.split, cache=settings.cache), min_crops=2)
    if settings.people is None:
        return faces
    counts = np.bincount(faces.identity_index)
    chosen = np.argsort(-counts, kind="stable")[: settings.people]
    return select(faces, np.isin(faces.identity_index, chosen))


def samples_of(faces: IdentitySet, settings: RecogniserSettings) -> FaceSamples:
    """The crops as batches, augmented as the settings say."""
    return FaceSamples(faces, seed=settings.seed, augmentation=AUGMENTATIONS[settings.augmentation])


def network_of(settings: RecogniserSettings) -> nn.Module:
    """The network, fresh or as it was left.

    Raises:
        InputError: no embedding network of this name.
        WeightsError: `start` does not hold its weights.
    """
    variant = NETWORKS.get(settings.network)
    if variant is None or variant.embedding_size is None:
        names = [name for name, other in NETWORKS.items() if other.embedding_size is not None]
        raise InputError(f"{settings.network!r} is no embedding network; choose one of {', '.join(names)}")
    torch.manual_seed(settings.seed)
    network = variant.build()
    if settings.start is not None:
        load_state(network, settings.start, what=f"a {settings.network}")
    return network.train()


def embedding_size_of(settings: RecogniserSettings) -> int:
    """The length of the network's output."""
    size = NETWORKS[settings.network].embedding_size
    assert size is not None  # noqa: S101  # network_of
    return size


class VerificationOfPeople:
    """Judges a network by faces of people whom it has not seen: every pair of their crops.

    Args:
        faces: aligned, labelled crops.
        per_person: so many crops of each person at most, the first ones.
        batch_size: how many go through the network at once.

    Raises:
        InputError: no two crops of one person.
    """

    def __init__(self, faces: IdentitySet, *, per_person: int = 24, batch_size: int = 128) -> None:
        chosen = _first_of_each(faces.identity_index, per_person)
        self._faces = labelled(select(faces, chosen), min_crops=2)
        self._batch_size = batch_size

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        """EER and TAR at the false accept rates that the pairs can carry."""
        embeddings = embed_faces(network, self._faces, batch_size=self._batch_size)
        index = self._faces.identity_index.tolist()
        genuine, impostor = genuine_similarities(embeddings, index), impostor_similarities(embeddings, index)
        rates = {
            f"tar_at_{far:.0e}": tar_at_far(genuine, impostor, far=far).tar
            for far in carried_rates(len(impostor))
        }
        return {"eer": equal_error(genuine, impostor).rate, **rates}


def embed_faces(network: nn.Module, faces: IdentitySet, *, batch_size: int = 128) -> Embeddings:
    """(N, D) unit rows of the middle of each crop, as it is."""
    device = next(network.parameters()).device
    plain, chance = AUGMENTATIONS["none"], np.random.default_rng(0)
    rows = []
    with torch.no_grad():
        for first in range(0, len(faces), batch_size):
            numbers = range(first, min(first + batch_size, len(faces)))
            crops = np.stack([augment_face(faces.crop(i), chance, augmentation=plain) for i in numbers])
            images = normalised(torch.from_numpy(crops).permute(0, 3, 1, 2).to(device))
            rows.append(unit(network(images)).cpu().numpy())
    return np.concatenate(rows)


def validation_of(settings: RecogniserSettings) -> Validation | None:
    """How a recipe judges its network: TAR at FAR 1e-3 of the held-out people."""
    if settings.heldout is None:
        return None
    faces = read_faces(settings.heldout, split="heldout", cache=settings.cache)
    return Validation(VerificationOfPeople(faces), "tar_at_1e-03")


def _first_of_each(identity_index: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The positions of the first `count` crops of each person, ascending."""
    order = np.argsort(identity_index, kind="stable")
    sorted_index = identity_index[order]
    starts = np.searchsorted(sorted_index, sorted_index)
    is_early = np.arange(len(order)) - starts < count
    return np.sort(order[is_early & (sorted_index >= 0)])
