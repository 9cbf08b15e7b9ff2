"""The parts that recognisers' recipes are made of, and what they refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vultus.cli.train import RECIPES, load_recipe
from vultus.errors import InputError
from vultus.networks.embedding import unit
from vultus.networks.facenet import FeatureNetwork
from vultus.networks.siamese import Siamese, VerificationHead
from vultus.training.data.identities import IdentitySet
from vultus.training.data.identity_samples import FaceSamples
from vultus.training.data.joined import JoinedFaces
from vultus.training.data.reading import read_faces
from vultus.training.data.samplers import balanced
from vultus.training.losses.cosines import Cosines
from vultus.training.overrides import overridden
from vultus.training.recipes.adapt import AdaptRecipe, domains_of
from vultus.training.recipes.arcface import ArcFaceRecipe, SmoothedLoss, loss_of
from vultus.training.recipes.facenet_triplet import FaceNetLearner, FaceNetRecipe
from vultus.training.recipes.moco import MoCoLearner, MoCoRecipe, TwoViewSamples
from vultus.training.recipes.moco import train as train_moco
from vultus.training.recipes.siamese_contrastive import (
    PairSamples,
    SiameseLearner,
    SiameseRecipe,
    keep_embedder,
)
from vultus.training.recognition import network_of
from vultus.training.run import Run
from vultus.training.samples import Draw
from vultus.training.settings import TrainSettings

TINY = "facenet-mobilenet-v1-x0.25"
RECOGNISERS = sorted(set(RECIPES) - {"mtcnn", "retinaface", "yolov5_face"})


@pytest.fixture
def faces(people: Path) -> IdentitySet:
    return read_faces(people, split="train")


@pytest.mark.parametrize("name", RECOGNISERS)
def test_every_knob_can_be_set_and_is_explained(name: str) -> None:
    _, recipe = load_recipe(name)
    assert isinstance(overridden(recipe, ["epochs=3", "people=40", "start=none"]), TrainSettings)
    own = set(recipe.__annotations__) - {
        name for base in recipe.__mro__[1:] for name in getattr(base, "__annotations__", {})
    }
    assert all(f"        {knob}:" in (recipe.__doc__ or "") for knob in own)


PUBLISHED: dict[str, dict[str, Any]] = {
    "facenet_triplet": {"margin_squared_l2": 0.2},
    "center_loss": {"centre_weight": 0.003, "centre_rate": 0.5, "batch_size": 256, "lr": 0.1},
    "siamese_contrastive": {"margin_l2": 1.0},
    "sphereface": {
        "factor": 4,
        "lambda_start": 1500.0,
        "lambda_rate": 0.1,
        "lambda_floor": 5.0,
        "batch_size": 128,
    },
    "cosface": {"margin_cos": 0.35, "scale": 64.0, "batch_size": 512, "weight_decay": 5e-4, "lr": 0.1},
    "arcface": {
        "margin_rad": 0.5,
        "scale": 64.0,
        "dropout": 0.4,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "precision": "bf16-mixed",
    },
    "adapt": {"source_weight": 0.7},
    "moco": {"temperature": 0.07, "key_momentum": 0.999, "lr": 0.03, "weight_decay": 1e-4, "batch_size": 256},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_defaults_are_the_published_ones(name: str) -> None:
    recipe = overridden(load_recipe(name)[1], [])
    assert {knob: getattr(recipe, knob) for knob in PUBLISHED[name]} == PUBLISHED[name]


# --- pairs


def pairs_of(faces: IdentitySet) -> PairSamples:
    return PairSamples(faces, FaceSamples(faces, seed=0), seed=0)


def test_a_pair_shows_one_person_or_two_and_never_a_crop_with_itself(faces: IdentitySet) -> None:
    pairs, person = pairs_of(faces), faces.identity_index
    draws = [Draw(epoch, 0, sample) for epoch in range(4) for sample in range(len(pairs))]
    assert len(pairs) == 64
    for draw in draws:
        crop, partner = draw.sample // 2, pairs.partner(draw)
        assert partner != crop
        assert (person[partner] == person[crop]) == (draw.sample % 2 == 0)
    batch = pairs.batch(draws[:6])
    assert batch.is_same.tolist() == [True, False] * 3
    assert batch.first.shape == batch.second.shape == (6, 3, 112, 112)


def test_every_other_crop_is_met_in_time(faces: IdentitySet) -> None:
    pairs = pairs_of(faces)
    met = [{pairs.partner(Draw(epoch, 0, kind)) for epoch in range(400)} for kind in (0, 1)]
    assert met == [{1, 2, 3}, set(range(4, 32))]


def test_half_of_each_batch_are_pairs_of_one_person(faces: IdentitySet) -> None:
    pairs = pairs_of(faces)
    plan = balanced(pairs.kinds(), per_batch=(4, 4), seed=0)(0)
    assert len(plan) == 8
    assert all(sum(sample % 2 for sample in batch) == 4 for batch in plan)
    assert sorted(sample for batch in plan for sample in batch) == list(range(64))


def test_pairs_want_two_crops_of_everybody(faces: IdentitySet) -> None:
    class Lonely:
        identity_index = np.array([0, 0, 1])
        names = ("a", "b")
        fingerprint = ""

        def __len__(self) -> int:
            return 3

        def crop(self, index: int) -> Any:
            return faces.crop(index)

    with pytest.raises(InputError, match="at least two crops"):
        pairs_of(Lonely())


def test_the_embedder_of_a_head_is_kept_alone(tmp_path: Path) -> None:
    recipe = SiameseRecipe(network=TINY, verification_head=True)
    learner = SiameseLearner(network_of(recipe), recipe)
    assert isinstance(learner.network, VerificationHead)
    run = Run(tmp_path)
    torch.save(learner.network.state_dict(), run.best)
    alone = network_of(SiameseRecipe(network=TINY, start=keep_embedder(run), seed=9))
    expected = learner.network.siamese.embedder.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in alone.state_dict().items())


def test_comparing_embeddings_is_what_the_head_does_with_images() -> None:
    head = VerificationHead(Siamese(nn.Flatten()), embedding_size=12)
    first, second = torch.randn(2, 5, 3, 2, 2, generator=torch.manual_seed(0))
    assert torch.equal(head(first, second), head.compare(unit(first.flatten(1)), unit(second.flatten(1))))


# --- FaceNet


def test_facenet_learns_from_unit_triplets_and_a_softmax_of_the_raw_embedding(faces: IdentitySet) -> None:
    recipe = FaceNetRecipe(network=TINY, softmax_weight=0.5)
    learner = FaceNetLearner(network_of(recipe), recipe, people=8).eval()
    batch = FaceSamples(faces, seed=0).batch([Draw(0, 0, number) for number in range(8)])
    assert isinstance(learner.network, FeatureNetwork)
    feature = learner.network.forward_feature((batch.images.float() - 127.5) / 128)
    losses = learner(batch)
    assert losses.softmax == learner.softmax(feature.raw, batch.labels)
    assert losses.triplet == learner.triplet(feature.embedding, batch.labels)
    assert losses.total == losses.triplet + 0.5 * losses.softmax


@pytest.mark.parametrize("knobs", [{"crops_each": 1}, {"crops_each": 3, "batch_size": 16}])
def test_a_batch_must_be_people_times_crops(knobs: dict[str, int]) -> None:
    with pytest.raises(InputError, match="no whole number of people"):
        FaceNetRecipe(**knobs)  # type: ignore[arg-type]  # the test's own words


# --- ArcFace


@pytest.mark.parametrize(
    ("knobs", "complaint"),
    [
        ({"sampling_rate": 0.0}, "sampling_rate must lie in"),
        ({"sampling_rate": 0.1, "label_smoothing": 0.1}, "choose one of them"),
        ({"sampling_rate": 0.1, "devices": 2}, "works in one process only, and there are 2"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
    ],
)
def test_what_does_not_fit_together_is_refused(knobs: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        ArcFaceRecipe(**knobs)


def test_smoothing_asks_a_little_of_every_class() -> None:
    embeddings, labels = torch.randn(6, 4, generator=torch.manual_seed(0)), torch.arange(6) % 3
    plain, smooth = (loss_of(ArcFaceRecipe(label_smoothing=share, scale=4.0), 4, 3) for share in (0.0, 0.3))
    smooth.load_state_dict(plain.state_dict())
    assert isinstance(plain, SmoothedLoss)
    logits = plain.loss.logits(
        Cosines.of(embeddings, plain.loss.weight, labels)
    )  # the margin on the own class
    costs = -logits.log_softmax(dim=1)
    own = costs[torch.arange(6), labels]
    torch.testing.assert_close(plain(embeddings, labels), own.mean())
    torch.testing.assert_close(smooth(embeddings, labels), (0.7 * own + 0.3 * costs.mean(dim=1)).mean())


def test_the_lots_of_partial_fc_go_on_where_they_stood() -> None:
    embeddings, labels = torch.randn(2, 4, generator=torch.manual_seed(0)), torch.tensor([0, 1])
    recipe = ArcFaceRecipe(sampling_rate=0.2)
    loss = loss_of(recipe, 4, 50)
    loss(embeddings, labels)
    resumed = loss_of(recipe, 4, 50)
    assert resumed(embeddings, labels) != loss(embeddings, labels)
    resumed.load_state_dict(loss.state_dict())
    assert resumed(embeddings, labels) == loss(embeddings, labels)


# --- adaptation


def test_people_of_one_name_are_one_class(people: Path, others: Path) -> None:
    first, second = read_faces(people, split=""), read_faces(others, split="")
    both = JoinedFaces(first, second)
    assert (len(both), len(both.names)) == (56, 14)
    assert both.identity_index[32:].tolist() == (second.identity_index + 8).tolist()
    assert np.array_equal(both.crop(33), second.crop(1))
    twice = JoinedFaces(first, first)
    assert twice.names == first.names
    assert twice.identity_index.tolist() == first.identity_index.tolist() * 2
    assert twice.fingerprint != both.fingerprint


def test_adaptation_needs_a_target(people: Path) -> None:
    with pytest.raises(InputError, match="target=FOLDER"):
        domains_of(AdaptRecipe(faces=people, cache=None))
    with pytest.raises(InputError, match="method must be one of joint, mmd, coral"):
        AdaptRecipe(method="mean")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="half of a batch"):
        AdaptRecipe(batch_size=7)


# --- MoCo


def test_both_views_are_of_one_crop_and_differ(faces: IdentitySet) -> None:
    draws = [Draw(0, 0, number) for number in (3, 5)]
    views = TwoViewSamples(FaceSamples(faces, seed=0)).batch(draws)
    assert torch.equal(views.queries, FaceSamples(faces, seed=0).batch(draws).images)
    assert views.keys.shape == views.queries.shape
    assert not torch.equal(views.keys, views.queries)


def test_keys_come_back_in_their_own_order(faces: IdentitySet) -> None:
    recipe = MoCoRecipe(network=TINY, queue_size=8, batch_size=8, key_parts=3)
    learner = MoCoLearner(network_of(recipe), recipe).eval()
    images = FaceSamples(faces, seed=0).batch([Draw(0, 0, number) for number in range(7)]).images
    torch.testing.assert_close(
        learner.keys(images),
        learner.encode(learner.key_encoder, images),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_queue_as_long_as_the_data_is_refused(people: Path, tmp_path: Path) -> None:
    recipe = MoCoRecipe(faces=people, cache=None, heldout=None, network=TINY, queue_size=32)
    with pytest.raises(InputError, match="own older key"):
        train_moco(recipe, tmp_path / "run")
