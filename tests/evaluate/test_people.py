"""All pairs of a folder of people, against counting them one by one."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.evaluate import (
    count_impostors,
    find_people,
    genuine_similarities,
    impostor_similarities,
    rates_at,
    rates_at_fmr,
)
from vultus.types import Embeddings


def random_faces(people: int, images_each: int, *, seed: int = 0) -> tuple[Embeddings, list[int]]:
    """Unit vectors around one random direction per person."""
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(people, 8)), images_each, axis=0)
    vectors = centres + 0.6 * generator.normal(size=centres.shape)
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit, [i // images_each for i in range(people * images_each)]


def test_every_pair_is_compared_once() -> None:
    embeddings, owners = random_faces(7, 3)
    pairs = list(combinations(range(21), 2))
    assert len(pairs) == 210
    for found, same in (
        (genuine_similarities(embeddings, owners), True),
        (impostor_similarities(embeddings, owners), False),
    ):
        by_hand = [float(embeddings[i] @ embeddings[j]) for i, j in pairs if (owners[i] == owners[j]) is same]
        np.testing.assert_allclose(np.sort(found), np.sort(by_hand), atol=1e-6)


def test_more_images_than_one_block_are_all_compared() -> None:
    embeddings, owners = random_faces(300, 2)  # 600 rows, blocks of 512
    assert len(genuine_similarities(embeddings, owners)) == 300
    assert len(impostor_similarities(embeddings, owners)) == 600 * 599 // 2 - 300


def test_the_impostor_pairs_are_counted_without_comparing_them() -> None:
    embeddings, owners = random_faces(9, 3)
    assert count_impostors(owners) == len(impostor_similarities(embeddings, owners)) == 27 * 26 // 2 - 9 * 3


def test_owners_need_not_stand_together() -> None:
    embeddings, owners = random_faces(5, 4)
    order = np.random.default_rng(1).permutation(20)
    mixed = impostor_similarities(embeddings[order], [owners[i] for i in order])
    np.testing.assert_allclose(np.sort(mixed), np.sort(impostor_similarities(embeddings, owners)), atol=1e-6)


def test_the_rates_are_counts_over_counts() -> None:
    embeddings, owners = random_faces(12, 3)
    impostor, genuine = impostor_similarities(embeddings, owners), genuine_similarities(embeddings, owners)
    rates = rates_at(embeddings, owners, threshold=0.4)
    assert rates.n_false_matches == np.count_nonzero(impostor >= 0.4) > 0
    assert rates.fmr == rates.n_false_matches / len(impostor)
    assert rates.fnmr == np.count_nonzero(genuine < 0.4) / len(genuine) > 0
    assert (rates.n_impostors, rates.n_genuine) == (len(impostor), len(genuine))
    assert rates.fmr_interval.low < rates.fmr < rates.fmr_interval.high


def test_the_threshold_of_a_rate_is_the_lowest_that_keeps_it() -> None:
    embeddings, owners = random_faces(40, 2)
    rates = rates_at_fmr(embeddings, owners, fmr=0.01)
    assert rates.fmr <= 0.01
    impostor = np.sort(impostor_similarities(embeddings, owners))
    next_lower = float(impostor[impostor < rates.threshold][-1])
    assert rates_at(embeddings, owners, threshold=next_lower).fmr > 0.01


def test_too_few_pairs_for_a_rate_are_refused() -> None:
    embeddings, owners = random_faces(40, 2)
    with pytest.raises(InputError, match="at least 10,000,000"):
        rates_at_fmr(embeddings, owners, fmr=1e-6)


def test_people_with_one_image_each_have_no_genuine_pair() -> None:
    embeddings, owners = random_faces(5, 1)
    with pytest.raises(InputError, match="nobody has two images"):
        rates_at(embeddings, owners, threshold=0.5)


def test_one_owner_per_embedding() -> None:
    embeddings, owners = random_faces(5, 2)
    with pytest.raises(ShapeError, match="M identities"):
        impostor_similarities(embeddings, owners[1:])


def test_people_are_sub_folders_and_their_files_are_images(tmp_path: Path) -> None:
    for name in ("Bo/2.jpg", "Bo/1.jpg", "Ann/x.png", "Ann/.hidden", "Empty/.hidden", "stray.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_people(tmp_path)
    assert found.people == ("Ann", "Bo")
    assert [str(path.relative_to(tmp_path).as_posix()) for path in found.paths] == [
        "Ann/x.png",
        "Bo/1.jpg",
        "Bo/2.jpg",
    ]
    assert found.identity_index == (0, 1, 1)


def test_a_folder_without_people_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        find_people(tmp_path / "none")
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "1.jpg").touch()
    with pytest.raises(InputError, match="1 sub-folders"):
        find_people(tmp_path)
