"""Templates by hand: media are averaged first, weights count, faces that are missing do not."""

import numpy as np
import pytest

from vultus.errors import InputError, ShapeError
from vultus.evaluate import pool_templates
from vultus.types import Embeddings


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, dtype=np.int64)


def rows(*vectors: tuple[float, float]) -> Embeddings:
    return np.array(vectors, dtype=np.float32)


RIGHT, UP, NONE = (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)


def test_a_video_counts_as_much_as_a_photograph() -> None:
    frames = rows(UP, UP, UP, RIGHT)
    media = ids(7, 7, 7, 8)
    by_media = pool_templates(frames, template_ids=ids(1, 1, 1, 1), media_ids=media)
    np.testing.assert_allclose(by_media.embeddings, [[np.sqrt(0.5), np.sqrt(0.5)]], atol=1e-6)
    by_face = pool_templates(frames, template_ids=ids(1, 1, 1, 1), media_ids=media, by_media=False)
    np.testing.assert_allclose(by_face.embeddings, np.array([[1, 3]]) / np.sqrt(10), atol=1e-6)


def test_weights_say_how_much_a_face_counts() -> None:
    pooled = pool_templates(
        rows(RIGHT, UP), template_ids=ids(1, 1), media_ids=ids(1, 2), weights=np.array([3, 4], np.float32)
    )
    np.testing.assert_allclose(pooled.embeddings, [[0.6, 0.8]], atol=1e-6)


def test_a_medium_of_two_templates_is_averaged_in_each_of_them() -> None:
    pooled = pool_templates(
        rows(RIGHT, UP, UP), template_ids=ids(5, 5, 3), media_ids=ids(9, 9, 9), by_media=True
    )
    assert pooled.ids.tolist() == [3, 5]
    np.testing.assert_allclose(pooled.embeddings, [[0, 1], [np.sqrt(0.5)] * 2], atol=1e-6)


def test_a_missing_face_takes_no_part_and_a_template_without_any_never_matches() -> None:
    """The mean of a medium is over the faces there are: half a video that is lost does not weaken it."""
    pooled = pool_templates(
        rows(RIGHT, NONE, UP, NONE), template_ids=ids(1, 1, 1, 2), media_ids=ids(7, 7, 8, 9)
    )
    np.testing.assert_allclose(pooled.embeddings, [[np.sqrt(0.5)] * 2, [0, 0]], atol=1e-6)
    assert pooled.has_face.tolist() == [True, False]
    assert pooled.similarities(ids(1, 2, 1, 2), ids(2, 1, 1, 2)).tolist() == [-1, -1, pytest.approx(1), -1]


def test_no_face_at_all_is_no_crash() -> None:
    pooled = pool_templates(rows(NONE, NONE), template_ids=ids(1, 2), media_ids=ids(1, 2))
    assert pooled.similarities(ids(1), ids(2)).tolist() == [-1.0]


@pytest.mark.parametrize("by_media", [True, False])
def test_against_a_loop(by_media: bool) -> None:
    chance = np.random.default_rng(4)
    vectors = chance.normal(size=(200, 5))
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    embeddings[chance.integers(0, 200, 30)] = 0
    template_ids, media_ids = chance.integers(10, 40, 200), chance.integers(0, 4, 200)
    weights = chance.uniform(0.5, 1, 200).astype(np.float32)
    pooled = pool_templates(
        embeddings, template_ids=template_ids, media_ids=media_ids, weights=weights, by_media=by_media
    )
    assert len(pooled.ids) > 20
    for row, template in zip(pooled.embeddings, pooled.ids, strict=True):
        media: dict[int, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {}
        for i in np.flatnonzero((template_ids == template) & embeddings.any(axis=1)):
            medium = int(media_ids[i]) if by_media else int(i)
            media.setdefault(medium, []).append(float(weights[i]) * embeddings[i].astype(np.float64))
        total = np.sum([np.mean(faces, axis=0) for faces in media.values()], axis=0)
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="for each of 2 faces"):
        pool_templates(rows(RIGHT, UP), template_ids=ids(1), media_ids=ids(1, 2))
    for weight in (-1.0, float("nan")):
        with pytest.raises(InputError, match="weights of faces"):
            pool_templates(
                rows(RIGHT), template_ids=ids(1), media_ids=ids(1), weights=np.array([weight], np.float32)
            )
    pooled = pool_templates(rows(RIGHT), template_ids=ids(4), media_ids=ids(1))
    for unknown in (3, 5):
        with pytest.raises(InputError, match=f"no template {unknown}"):
            pooled.similarities(ids(4), ids(unknown))
