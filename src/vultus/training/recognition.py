"""What the recipes of recognisers share: their knobs, their faces, their network, and how it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vultus.errors import InputError
from vultus.evaluate.curves import equal_error, tar_at_far
from vultus.match.all_pairs import count_impostors, genuine_similarities, impostor_similarities
from vultus.match.false_matches import carried_rates
from vultus.networks.catalog import NETWORKS
from vultus.networks.embedding import unit, widen
from vultus.networks.facenet import FeatureNetwork
from vultus.networks.frozen_norms import freeze_norms
from vultus.networks.state import load_state
from vultus.training.data.face_augment import AUGMENTATIONS, CROP_PX
from vultus.training.data.identities import IdentitySet, Selection, crop_counts, select
from vultus.training.data.identity_samples import FaceSamples, normalised
from vultus.training.data.reading import read_faces
from vultus.training.samples import Draw
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
        people: learn from so many people only, those with the most crops; None takes all crops.
        heldout: people to judge by, in any of these forms; None judges nobody. Of tar shards it is the
            split `heldout`.
        network: an embedding network of `vultus models`.
        start: a state dict of that network to go on from; None starts with fresh weights.
        freeze_norms: batch norms keep the statistics of `start`: a faster step (`networks/frozen_norms.py`).
        augmentation: none, mirror, light or strong.
        cache: folder for decoded crops, which are read many times faster; None decodes anew each time.
    """

    faces: Path = Path("../shared/data/faces")
    split: str = "train"
    people: int | None = None
    heldout: Path | None = Path("../shared/data/faces")
    network: str = "compact-resnet"
    start: Path | None = None
    freeze_norms: bool = False
    augmentation: Augmentation = "light"
    cache: Path | None = Path("runs/cache")


def all_faces(settings: RecogniserSettings) -> Selection:
    """Every crop, whether anybody knows who it is or not; with `people`, those of so many people."""
    return faces_of_people(
        read_faces(settings.faces, split=settings.split, cache=settings.cache), settings.people
    )


def known_faces(settings: RecogniserSettings) -> Selection:
    """The crops of people with at least two of them: of all, or of those with the most."""
    faces = all_faces(settings)
    return select(faces, has_crops(faces, at_least=2))


def has_crops(faces: IdentitySet, *, at_least: int) -> NDArray[np.bool_]:
    """(N,) whether the person of each crop is known, and has so many crops.

    Raises:
        InputError: nobody has.
    """
    enough = np.append(crop_counts(faces) >= at_least, np.False_)[
        faces.identity_index
    ]  # last: where -1 looks
    if not enough.any():
        raise InputError(
            f"none of {len(faces):,} crops is of a known person with {at_least} of them: this recipe learns "
            "from people and wants a folder for each"
        )
    return enough


def faces_of_people(faces: IdentitySet, count: int | None) -> Selection:
    """The crops of the `count` people who have the most; of all, and of nobody known, where it is None."""
    if count is None:
        return select(faces, np.arange(len(faces)))
    chosen = np.argsort(-crop_counts(faces), kind="stable")[:count]
    return select(faces, np.isin(faces.identity_index, chosen))


def samples_of(faces: IdentitySet, settings: RecogniserSettings, *, size_px: int = CROP_PX) -> FaceSamples:
    """The crops as batches, augmented as the settings say."""
    how = AUGMENTATIONS[settings.augmentation]
    return FaceSamples(faces, seed=settings.seed, augmentation=how, size_px=size_px)


def data_of(settings: RecogniserSettings, **more: Path | None) -> dict[str, Path]:
    """What a run learns from and is judged by, by the names of the knobs: for `open_run`."""
    data = {"faces": settings.faces, "heldout": settings.heldout, "start": settings.start, **more}
    return {name: path for name, path in data.items() if path is not None}


def embedding_size_of(settings: RecogniserSettings) -> int:
    """The length of the network's output.

    Raises:
        InputError: no embedding network of this name.
    """
    variant = NETWORKS.get(settings.network)
    if variant is None or variant.embedding_size is None:
        names = [name for name, other in NETWORKS.items() if other.embedding_size is not None]
        raise InputError(f"{settings.network!r} is no embedding network; choose one of {', '.join(names)}")
    return variant.embedding_size


def network_of(settings: RecogniserSettings) -> nn.Module:
    """The network, fresh or as it was left.

    Raises:
        InputError: no embedding network of this name; norms to freeze that have no statistics yet.
        WeightsError: `start` does not hold its weights.
    """
    embedding_size_of(settings)  # refuses what is none
    if settings.freeze_norms and settings.start is None:
        raise InputError("freeze_norms keeps the statistics of a start: name one with start=FILE")
    torch.manual_seed(settings.seed)
    network = NETWORKS[settings.network].build()
    if settings.start is not None:
        load_state(network, settings.start, what=f"a {settings.network}")
    if settings.freeze_norms:
        freeze_norms(network)
    return network.train()


class Encoder(NamedTuple):
    """How a network is fed, and what of its answer is learnt from.

    Attributes:
        pixel_std: what pixels are divided by after 127.5 is taken off.
    """

    pixel_std: float

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 RGB crops to (N, D) embeddings, not normalised.

        Networks that end on the unit sphere, as FaceNet, answer what they had before that: softmax, center
        loss and SphereFace cannot learn from unit vectors.
        """
        inputs = normalised(images, std=self.pixel_std)
        if isinstance(network, FeatureNetwork):
            return network.forward_feature(inputs).raw
        return widen(network(inputs))


def encoder_of(settings: RecogniserSettings) -> Encoder:
    """How the settings' network is fed."""
    return Encoder(NETWORKS[settings.network].pixel_std)


class VerificationOfPeople:
    """Judges a network by faces of people whom it has not seen: every pair of their crops.

    Args:
        faces: aligned crops; those of people with two or more are compared.
        encoder: how the network is fed.
        per_person: so many crops of each person at most, the first ones.
        size_px: the side of what the network sees.

    Raises:
        InputError: nobody has two crops, or there is only one person.
    """

    def __init__(
        self, faces: IdentitySet, encoder: Encoder, *, per_person: int = 24, size_px: int = CROP_PX
    ) -> None:
        early = select(faces, first_of_each(faces.identity_index, per_person))
        self._faces = select(early, has_crops(early, at_least=2))
        self._encoder = encoder
        self._size_px = size_px
        if len(self._faces.names) < 2:
            raise InputError("verification compares different people, and there is only one to judge by")

    def __call__(self, network: nn.Module) -> Mapping[str, float]:
        """EER, and TAR at those false accept rates that the pairs can carry."""
        embeddings = embed_faces(network, self._faces, encoder=self._encoder, size_px=self._size_px)
        index = self._faces.identity_index.tolist()
        genuine, impostor = genuine_similarities(embeddings, index), impostor_similarities(embeddings, index)
        rates = {far_name(far): tar_at_far(genuine, impostor, far=far).tar for far in self.rates()}
        eer = equal_error(genuine, impostor).rate
        return {"eer": eer, "accuracy_at_eer": 1 - eer, **rates}

    def rates(self) -> tuple[float, ...]:
        """The false accept rates that are measured."""
        return carried_rates(count_impostors(self._faces.identity_index.tolist()))

    @property
    def best(self) -> str:
        """The figure that networks are chosen by: TAR at FAR 1e-3, or what comes next to it."""
        carried = [rate for rate in self.rates() if rate >= 1e-3]
        return far_name(min(carried)) if carried else "accuracy_at_eer"


def embed_faces(
    network: nn.Module,
    faces: IdentitySet,
    *,
    encoder: Encoder,
    batch_size: int = 128,
    size_px: int = CROP_PX,
) -> Embeddings:
    """(N, D) unit rows of the middle of each crop, as it is.

    Args:
        network: in evaluation mode.
        faces: crops of at least `size_px`.
        encoder: how it is fed.
        batch_size: how many go through it at once.
        size_px: the side of what it sees.
    """
    device = next(network.parameters()).device
    samples = FaceSamples(faces, seed=0, augmentation=AUGMENTATIONS["none"], size_px=size_px)
    rows = []
    with torch.no_grad():
        for first in range(0, len(faces), batch_size):
            draws = [Draw(0, 0, i) for i in range(first, min(first + batch_size, len(faces)))]
            images = samples.batch(draws).images.to(device)
            rows.append(unit(encoder(network, images)).cpu().numpy())
    return np.concatenate(rows)


def validation_of(settings: RecogniserSettings, *, size_px: int = CROP_PX) -> Validation | None:
    """How a recipe judges its network: by the held-out people, if there are any."""
    if settings.heldout is None:
        return None
    faces = read_faces(settings.heldout, split="heldout", cache=settings.cache)
    measure = VerificationOfPeople(faces, encoder_of(settings), size_px=size_px)
    return Validation(measure, measure.best)


def far_name(far: float) -> str:
    """What the TAR at this FAR is called among figures."""
    return f"tar_at_{far:.0e}"


def first_of_each(identity_index: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The positions of the first `count` crops of each person, ascending; none of nobody known.

    Raises:
        InputError: nobody is known.
    """
    order = np.argsort(identity_index, kind="stable")
    sorted_index = identity_index[order]
    place = np.arange(len(order)) - np.searchsorted(sorted_index, sorted_index)
    chosen = order[(place < count) & (sorted_index >= 0)]
    if len(chosen) == 0:
        raise InputError("the people to judge by are not labelled: a folder for each of them is wanted")
    return np.sort(chosen)
