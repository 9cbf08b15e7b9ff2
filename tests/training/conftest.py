"""People who are drawn: each is a pattern of colours, each crop of them a little another picture of it."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from vultus.image import save_image


@pytest.fixture(scope="session")
def draw_people() -> Callable[..., Path]:
    """Draws a folder for each person, with crops of 128 px."""

    def draw(folder: Path, *, people: int = 8, crops: int = 4, seed: int = 0, light: float = 1.0) -> Path:
        chance = np.random.default_rng(seed)
        for person in range(people):
            pattern = cv2.resize(chance.uniform(0, 255, (5, 5, 3)), (128, 128), interpolation=cv2.INTER_CUBIC)
            (folder / f"person-{seed}-{person}").mkdir(parents=True)
            for number in range(crops):
                shifted = np.roll(pattern, chance.integers(-3, 4, 2), axis=(0, 1))
                noisy = light * shifted + chance.normal(0, 12, shifted.shape)
                crop = np.clip(noisy, 0, 255).astype(np.uint8)
                save_image(crop, folder / f"person-{seed}-{person}" / f"{number}.png")
        return folder

    return draw


@pytest.fixture(scope="session")
def people(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people with four crops each."""
    return draw_people(tmp_path_factory.mktemp("people") / "source")


@pytest.fixture(scope="session")
def others(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six other people with four crops each, in half the light."""
    return draw_people(tmp_path_factory.mktemp("others") / "target", people=6, seed=1, light=0.5)
