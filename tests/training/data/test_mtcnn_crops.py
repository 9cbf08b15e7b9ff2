"""Crops in a folder: whole or not there, and readable as they are needed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vultus.training.data.mtcnn_crops import MtcnnCrops, chosen, read_crops, write_crops
from vultus.training.data.mtcnn_targets import UNUSED, Targets
from vultus.training.losses.mtcnn_multitask import CropKind


def part(count: int, seed: int) -> MtcnnCrops:
    chance = np.random.default_rng(seed)
    return MtcnnCrops(
        chance.integers(0, 256, (count, 3, 24, 24), np.uint8),
        chance.integers(0, 4, count).astype(np.int8),
        chance.random((count, 4), np.float32),
        chance.random((count, 10), np.float32),
        chance.random(count, np.float32),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    parts = [part(3, 0), part(0, 1), part(5, 2)]
    write_crops(tmp_path / "crops", iter(parts), size_px=24)
    crops = read_crops(tmp_path / "crops")
    assert isinstance(crops.images, np.memmap)
    assert len(crops.kinds) == 8
    for field, *pieces in zip(crops, *parts, strict=True):
        np.testing.assert_array_equal(field, np.concatenate(pieces))
    assert [path.name for path in tmp_path.iterdir()] == ["crops"]


def nobody_asks(_: int) -> MtcnnCrops:
    raise AssertionError("a folder that is there needs no crops")


def test_a_folder_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops", [part(2, 0)], size_px=24)
    write_crops(tmp_path / "crops", map(nobody_asks, [0]), size_px=24)
    assert len(read_crops(tmp_path / "crops").kinds) == 2


def test_a_folder_that_was_interrupted_is_not_there_and_starts_anew(tmp_path: Path) -> None:
    def interrupted() -> Iterator[MtcnnCrops]:
        yield part(4, 0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_crops(tmp_path / "crops", interrupted(), size_px=24)
    assert not (tmp_path / "crops").exists()
    write_crops(tmp_path / "crops", [part(1, 0)], size_px=24)
    assert len(read_crops(tmp_path / "crops").kinds) == 1


def targets(kinds: list[int], *, has_landmarks: list[bool]) -> Targets:
    count = len(kinds)
    landmarks = np.where(np.array(has_landmarks)[:, None], 0.5, np.nan) * np.ones((count, 10))
    offsets = np.arange(count)[:, None] * np.ones((count, 4))
    return Targets(np.array(kinds, np.int8), offsets, landmarks)


def test_of_each_kind_at_most_so_many_are_chosen() -> None:
    kinds = [CropKind.NEGATIVE] * 10 + [CropKind.POSITIVE] * 4 + [CropKind.PART] * 3 + [UNUSED] * 5
    limits = {CropKind.NEGATIVE: 6, CropKind.POSITIVE: 9, CropKind.PART: 0, CropKind.LANDMARK: 2}
    has_landmarks = [False] * 10 + [True, True, True, False] + [True] * 8
    at, taught = chosen(targets(kinds, has_landmarks=has_landmarks), limits, np.random.default_rng(0))
    assert np.bincount(taught.kinds, minlength=4).tolist() == [6, 4, 0, 2]
    assert len(set(at[:6].tolist())) == 6
    assert set(at[10:].tolist()) < {10, 11, 12}  # positives with landmarks, a second time
    np.testing.assert_array_equal(taught.offsets[:, 0], at)


def test_the_choice_depends_on_the_chance_alone() -> None:
    many = targets([CropKind.NEGATIVE] * 50, has_landmarks=[False] * 50)
    limits = {CropKind.NEGATIVE: 5}
    first, again, other = (
        chosen(many, limits, np.random.default_rng(seed))[0].tolist() for seed in (1, 1, 2)
    )
    assert first == again != other
