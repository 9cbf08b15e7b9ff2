"""What recognisers' recipes share: which faces they learn from, how networks are fed and judged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vultus.errors import InputError, WeightsError
from vultus.networks.catalog import NETWORKS
from vultus.networks.facenet import FeatureNetwork
from vultus.training.data.reading import read_faces
from vultus.training.recognition import (
    Encoder,
    RecogniserSettings,
    VerificationOfPeople,
    all_faces,
    data_of,
    encoder_of,
    first_of_each,
    has_crops,
    known_faces,
    network_of,
    validation_of,
)
from vultus.types import Image

SLIM = "compact-resnet-slim"


class Crops:
    """Crops of one gray each, by whose they are."""

    def __init__(self, *people: int, grays: tuple[int, ...] | None = None) -> None:
        self.identity_index = np.array(people, np.int64)
        self.names = tuple(f"person {number}" for number in range(max(people) + 1))
        self.fingerprint = str(people)
        self._grays = grays or tuple(range(len(people)))

    def __len__(self) -> int:
        return len(self.identity_index)

    def crop(self, index: int) -> Image:
        return np.full((120, 120, 3), self._grays[index], np.uint8)


class Brightness(nn.Module):
    """Embeds a crop as the direction of its brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        angle = self.gain * images.mean(dim=(1, 2, 3))
        return 3 * torch.stack([angle.cos(), angle.sin()], dim=1)


def settings(**knobs: object) -> RecogniserSettings:
    given = {"heldout": None, "cache": None, "network": SLIM} | knobs
    return RecogniserSettings(**given)  # type: ignore[arg-type]  # the test's own words


def draw_uneven(draw_people: Callable[..., Path], folder: Path) -> Path:
    """Three people with 4, 4, 4 crops, of which one and three are taken away from the last two."""
    draw_people(folder, people=3)
    for name in ("person-0-1/0.png", "person-0-2/0.png", "person-0-2/1.png", "person-0-2/2.png"):
        (folder / name).unlink()
    return folder


def test_people_are_those_with_the_most_crops(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    folder = draw_uneven(draw_people, tmp_path / "people")
    assert all_faces(settings(faces=folder)).names == ("person-0-0", "person-0-1", "person-0-2")
    assert all_faces(settings(faces=folder, people=2)).names == ("person-0-0", "person-0-1")
    assert len(all_faces(settings(faces=folder, people=2))) == 7


def test_who_has_one_crop_teaches_nothing_about_sameness(
    draw_people: Callable[..., Path], tmp_path: Path
) -> None:
    faces = known_faces(settings(faces=draw_uneven(draw_people, tmp_path / "people")))
    assert faces.names == ("person-0-0", "person-0-1")
    assert set(faces.identity_index) == {0, 1}


def test_faces_without_names_are_refused_by_what_learns_from_names() -> None:
    with pytest.raises(InputError, match="none of 2 crops is of a known person with 2 of them"):
        has_crops(Crops(0, -1), at_least=2)


def test_an_unknown_network_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"'resnet' is no embedding network; choose one of .*compact-resnet"):
        network_of(settings(network="resnet"))


def test_fresh_weights_come_from_the_seed() -> None:
    first, again, other = (network_of(settings(seed=seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["project.weight"], other["project.weight"])


def test_a_network_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    torch.save(network_of(settings(seed=5)).state_dict(), start)
    network = network_of(settings(seed=6, start=start))
    assert network.training
    assert torch.equal(network.state_dict()["project.weight"], torch.load(start)["project.weight"])
    with pytest.raises(WeightsError, match="must hold the state dict of a compact-resnet"):
        network_of(settings(network="compact-resnet", start=start))


def test_norms_keep_the_statistics_of_a_start_where_that_is_asked_for(tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    torch.save(network_of(settings()).state_dict(), start)
    network = network_of(settings(start=start, freeze_norms=True))
    network(torch.rand(2, 3, 112, 112))
    state = torch.load(start)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    with pytest.raises(InputError, match="name one with start=FILE"):
        network_of(settings(freeze_norms=True))


@pytest.mark.parametrize(
    ("name", "std"),
    [(SLIM, 127.5), ("facenet-mobilenet-v1-x0.25", 128.0), ("iresnet18", 127.5), ("mobilefacenet", 128.0)],
)
def test_each_network_is_fed_as_it_expects(name: str, std: float) -> None:
    docstring = NETWORKS[name].build().__doc__ or ""
    assert f"RGB scaled as (x - 127.5) / {std:g}" in docstring
    assert encoder_of(settings(network=name)).pixel_std == std


def test_what_ends_on_the_sphere_is_learnt_from_before_it() -> None:
    network = network_of(settings(network="facenet-mobilenet-v1-x0.25")).eval()
    images = torch.randint(0, 256, (3, 3, 80, 80), dtype=torch.uint8)
    assert isinstance(network, FeatureNetwork)
    feature = network.forward_feature((images.float() - 127.5) / 128)
    raw = Encoder(128.0)(network, images)
    assert torch.equal(raw, feature.raw)
    assert not torch.allclose(raw.norm(dim=1), torch.ones(3))


def test_only_the_first_crops_of_each_person_judge() -> None:
    index = np.array([1, 0, 1, -1, 1, 0, 0], np.int64)
    assert first_of_each(index, 2).tolist() == [0, 1, 2, 5]
    with pytest.raises(InputError, match="not labelled"):
        first_of_each(np.array([-1, -1]), 2)


def test_people_who_look_apart_are_verified_without_an_error() -> None:
    judge = VerificationOfPeople(Crops(0, 0, 1, 1, grays=(10, 12, 240, 238)), Encoder(127.5))
    figures = judge(Brightness())
    assert figures == {"eer": 0.0, "accuracy_at_eer": 1.0}
    swapped = VerificationOfPeople(Crops(0, 1, 0, 1, grays=(10, 12, 240, 238)), Encoder(127.5))
    assert swapped(Brightness())["eer"] == 0.5


@pytest.mark.parametrize(
    ("people", "best"), [(4, "accuracy_at_eer"), (12, "tar_at_1e-02"), (42, "tar_at_1e-03")]
)
def test_few_people_are_judged_by_what_they_can_show(people: int, best: str) -> None:
    """4 people make 96 impostor pairs of four crops each, 12 make 1,056, and 42 make 13,776."""
    judge = VerificationOfPeople(Crops(*np.repeat(np.arange(people), 4).tolist()), Encoder(127.5))
    assert judge.best == best
    assert best in judge(Brightness())


def test_one_person_judges_nothing() -> None:
    with pytest.raises(InputError, match="only one"):
        VerificationOfPeople(Crops(0, 0, 0), Encoder(127.5))


def test_without_heldout_people_nothing_is_validated() -> None:
    assert validation_of(settings()) is None


def test_a_run_remembers_the_data_that_there_is(tmp_path: Path) -> None:
    told = replace(settings(faces=tmp_path), start=tmp_path / "start.pt")
    assert data_of(told) == {"faces": tmp_path, "start": tmp_path / "start.pt"}
    assert data_of(told, target=tmp_path)["target"] == tmp_path


def test_shards_can_be_read_by_their_source(shared: Path) -> None:
    faces = read_faces(shared / "data" / "faces", split="heldout", sources=("celeba",))
    assert len(faces) == 1468
    assert all(name.startswith("celeba") for name in faces.names)
