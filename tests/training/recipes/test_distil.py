"""The distillation recipe: each crop meets its own target, and unlabelled ones pass the margin head by."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vultus.embed import load_embedder
from vultus.errors import InputError
from vultus.networks.embedding import unit
from vultus.training.data.identity_samples import FaceBatch
from vultus.training.data.teacher import middle, mirror_averaged
from vultus.training.recipes.distil import (
    DistilLearner,
    DistilRecipe,
    TaughtBatch,
    TaughtSamples,
    targets_of,
    taught_faces,
    train,
)
from vultus.training.recognition import all_faces, network_of, samples_of
from vultus.training.samples import Draw

TINY = "facenet-mobilenet-v1-x0.25"


@pytest.fixture
def shards(shared: Path, tmp_path: Path) -> Path:
    """Every 400th row of the real index, in another order, and a teacher that says which row it is."""
    folder = tmp_path / "shards"
    folder.mkdir()
    with (shared / "data" / "faces" / "index.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[::400]
    np.random.default_rng(0).shuffle(rows)
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for shard in {row["shard"] for row in rows}:
        (folder / shard).symlink_to(shared / "data" / "faces" / shard)
    angle = np.arange(len(rows)) / len(rows)
    np.save(folder / "teacher.npy", np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return folder


def test_each_crop_meets_the_row_of_its_own(shards: Path) -> None:
    """The split leaves rows out, `people` leaves more out, and the loader takes them in any order."""
    with (shards / "index.csv").open(newline="", encoding="utf-8") as stream:
        index = list(csv.DictReader(stream))
    told = np.load(shards / "teacher.npy")
    for people in (None, 12):
        recipe = DistilRecipe(
            faces=shards, teacher_embeddings=shards / "teacher.npy", cache=None, people=people, network=TINY
        )
        faces = all_faces(recipe)
        samples = TaughtSamples(samples_of(faces, recipe), targets_of(faces, recipe))
        drawn = [len(faces) - 1, 0, 5]
        batch = samples.batch([Draw(0, 0, number) for number in drawn])
        wanted = [row for row in range(len(index)) if index[row]["split"] == "train"]
        if people is not None:
            kept = set(faces.names)
            assert len(kept) == 12
            wanted = [row for row in wanted if index[row]["identity"] in kept]
        assert len(faces) == len(wanted)
        np.testing.assert_allclose(batch.targets, told[[wanted[number] for number in drawn]], atol=1e-6)
        names = [index[wanted[number]]["identity"] for number in drawn]
        known = [faces.names[label] if label >= 0 else "" for label in batch.faces.labels.tolist()]
        assert known == names


def test_crops_of_nobody_known_pass_the_margin_head_by() -> None:
    recipe = DistilRecipe(network=TINY, margin_weight=0.5, relation_weight=0)
    learner = DistilLearner(network_of(recipe), recipe, people=3).eval()
    chance = torch.manual_seed(0)
    images = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8, generator=chance)
    targets = torch.randn(5, 128, generator=chance)
    some = learner(batch_of(images, targets, [-1, 2, -1, 0, -1]))
    alone = learner(batch_of(images[[1, 3]], targets[[1, 3]], [2, 0]))
    nobody = learner(batch_of(images, targets, [-1] * 5))
    torch.testing.assert_close(some.margin, alone.margin)
    assert some.margin > 0
    assert nobody.margin == 0
    assert some.cosine == nobody.cosine
    assert some.total == some.cosine + 0.5 * some.margin
    nobody.total.backward()
    assert learner.head is not None
    assert learner.head.weight.grad is not None  # other processes may know somebody: all take part
    assert not learner.head.weight.grad.any()


def batch_of(images: torch.Tensor, targets: torch.Tensor, labels: list[int]) -> TaughtBatch:
    return TaughtBatch(FaceBatch(images, torch.tensor(labels), torch.arange(len(labels))), targets)


def test_a_student_that_says_what_the_teacher_says_has_no_loss() -> None:
    recipe = DistilRecipe(network=TINY)
    learner = DistilLearner(network_of(recipe), recipe, people=0).eval()
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.manual_seed(0))
    targets = unit(learner.encode(learner.network, images).detach())
    losses = learner(batch_of(images, targets, [-1] * 4))
    assert losses.total < 1e-6


def test_embeddings_of_rows_want_rows(people: Path, shards: Path, tmp_path: Path) -> None:
    recipe = DistilRecipe(
        faces=people, teacher_embeddings=shards / "teacher.npy", cache=None, network=TINY, heldout=None
    )
    with pytest.raises(InputError, match=r"a row for each row of the shards' index\.csv"):
        train(recipe, tmp_path / "run")


def test_a_teacher_of_another_size_is_refused(shards: Path, tmp_path: Path) -> None:
    recipe = DistilRecipe(
        faces=shards, teacher_embeddings=shards / "teacher.npy", cache=None, network=TINY, heldout=None
    )
    with pytest.raises(InputError, match=r"have 2 values, those of facenet-mobilenet-v1-x0\.25 128"):
        train(recipe, tmp_path / "run")


def test_without_a_place_to_keep_them_nothing_is_computed(people: Path) -> None:
    recipe = DistilRecipe(faces=people, cache=None, network=TINY)
    with pytest.raises(InputError, match="cache=FOLDER"):
        targets_of(all_faces(recipe), recipe)


def test_a_margin_head_wants_people(people: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    recipe = DistilRecipe(faces=people, people=1, cache=cache, network=TINY, margin_weight=0.1, heldout=None)
    with pytest.raises(InputError, match="two known people, got 1"):
        train(recipe, tmp_path / "run")


def test_blends_come_after_the_crops_with_the_teachers_own_answers(people: Path, tmp_path: Path) -> None:
    plain = DistilRecipe(faces=people, people=2, cache=tmp_path, network=TINY)
    recipe = replace(plain, blends=0.5)
    crops, targets = taught_faces(plain)
    faces, answers = taught_faces(recipe)
    assert (len(crops), len(faces)) == (8, 12)
    assert faces.names == crops.names
    assert faces.identity_index[8:].tolist() == [-1] * 4
    np.testing.assert_array_equal(answers[:8], targets)
    teacher = load_embedder(recipe.teacher)
    shown = np.stack([middle(faces.crop(i), 112) for i in range(8, 12)])
    assert (answers[8:] * mirror_averaged(teacher, shown)).sum(axis=1).min() > 0.999


def test_fewer_blends_than_none_are_refused(people: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="blends must be at least 0, got -1"):
        DistilRecipe(faces=people, people=1, cache=tmp_path, network=TINY, blends=-1)
