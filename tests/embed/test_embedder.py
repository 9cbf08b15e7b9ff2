"""The steps around the network, with a network that is a known matrix."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.align import crop_boxes, crop_faces, template
from vultus.embed import SessionEmbedder
from vultus.errors import InputError, ShapeError, WeightsError
from vultus.interfaces import Embedder
from vultus.types import Crops, Detections, FloatArray, Image
from vultus.weights.catalog import BoxMargin, BoxScale, FivePoint, Preprocessing, WeightsEntry, entry

SIZE = 6
WIDTH = 5  # of an embedding: no public network has it, so nothing here can lean on 128 or 512


class MatrixSession:
    """A network of one layer: the flattened input times a fixed matrix. Remembers what it was fed."""

    def __init__(self, columns: int = WIDTH, *, dtype: type[np.generic] = np.float32) -> None:
        random = np.random.default_rng(0)
        self.dtype = dtype
        self.matrix = random.normal(size=(SIZE * SIZE * 3, columns)).astype(np.float32)
        self.batches: list[FloatArray] = []

    def run(self, batch: FloatArray) -> list[FloatArray]:
        assert batch.dtype == self.dtype
        assert batch.flags.c_contiguous
        self.batches.append(batch)
        return [batch.reshape(len(batch), -1) @ self.matrix]


class FixedSession:
    """A network whose answer does not depend on the input."""

    def __init__(self, row: list[float]) -> None:
        self.row = np.array(row, np.float32)

    def run(self, batch: FloatArray) -> list[FloatArray]:
        rows = np.ones((len(batch), 1), np.float32) * np.ones(len(self.row), np.float32)
        rows[-1] = self.row
        return [rows]


def weights(**preprocessing: Any) -> WeightsEntry:
    fields: dict[str, Any] = {
        "size_hw": (SIZE, SIZE),
        "alignment": FivePoint(size_px=SIZE),
        "normalisation": "l2",
        "mean": (1.0, 20.0, 127.5),
        "std": (2.0, 128.0, 50.0),
    } | preprocessing
    return replace(
        entry("sface-int8bq"), name="test", preprocessing=Preprocessing(**fields), embedding_size=WIDTH
    )


@pytest.fixture
def crops() -> Crops:
    return np.random.default_rng(1).integers(0, 256, (11, SIZE, SIZE, 3), dtype=np.uint8)


def naive_input(
    crop: NDArray[np.uint8], mean: list[float], std: list[float], *, bgr: bool
) -> NDArray[np.float64]:
    """(3, H, W) value by value."""
    planes = np.zeros((3, SIZE, SIZE))
    for y in range(SIZE):
        for x in range(SIZE):
            for channel in range(3):
                value = float(crop[y, x, 2 - channel if bgr else channel])
                planes[channel, y, x] = (value - mean[channel]) / std[channel]
    return planes


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_embeddings_follow_the_formula(crops: Crops, channels: str) -> None:
    session = MatrixSession()
    rows = SessionEmbedder(weights(channels=channels), session).embed(crops)
    assert len(rows) == 11
    for row, crop in zip(rows, crops, strict=True):
        x = naive_input(crop, [1, 20, 127.5], [2, 128, 50], bgr=channels == "BGR")
        answer = x.ravel() @ session.matrix
        np.testing.assert_allclose(row, answer / np.linalg.norm(answer), atol=1e-5)


def test_the_order_of_channels_matters(crops: Crops) -> None:
    rgb = SessionEmbedder(weights(), MatrixSession()).embed(crops)
    bgr = SessionEmbedder(weights(channels="BGR"), MatrixSession()).embed(crops)
    assert np.abs(rgb - bgr).max() > 0.1


def test_a_network_may_want_channels_last(crops: Crops) -> None:
    session = MatrixSession()
    SessionEmbedder(weights(layout="NHWC", mean=(0, 0, 0), std=(2, 2, 2)), session).embed(crops[:2])
    np.testing.assert_array_equal(session.batches[0], crops[:2] / 2)


def test_a_network_that_wants_the_pixels_themselves_gets_their_bytes(crops: Crops) -> None:
    session = MatrixSession(dtype=np.uint8)
    SessionEmbedder(weights(layout="NHWC", mean=(0, 0, 0), std=(1, 1, 1)), session).embed(crops[:2])
    np.testing.assert_array_equal(session.batches[0], crops[:2])


def test_the_flip_test_adds_the_mirrored_crop_before_normalising(crops: Crops) -> None:
    session = MatrixSession()
    rows = SessionEmbedder(weights(), session, flip=True).embed(crops)
    assert len(rows) == 11
    for row, crop in zip(rows, crops, strict=True):
        views = [naive_input(view, [1, 20, 127.5], [2, 128, 50], bgr=False) for view in (crop, crop[:, ::-1])]
        answer = sum(view.ravel() @ session.matrix for view in views)
        np.testing.assert_allclose(row, answer / np.linalg.norm(answer), atol=1e-5)


def test_with_the_flip_test_a_mirrored_crop_is_the_same_face(crops: Crops) -> None:
    embedder = SessionEmbedder(weights(), MatrixSession(), flip=True)
    np.testing.assert_allclose(embedder.embed(crops[:, :, ::-1]), embedder.embed(crops), atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
def test_rows_have_length_one(crops: Crops, flip: bool) -> None:
    rows = SessionEmbedder(weights(), MatrixSession(), flip=flip).embed(crops)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4, 11, 50])
def test_no_run_is_longer_than_the_batch(crops: Crops, batch: int) -> None:
    session = MatrixSession()
    rows = SessionEmbedder(weights(), session, batch=batch).embed(crops)
    assert max(len(each) for each in session.batches) == min(batch, 11)
    assert sum(len(each) for each in session.batches) == 11
    np.testing.assert_allclose(rows, SessionEmbedder(weights(), MatrixSession()).embed(crops), atol=1e-5)


def test_no_crops_are_no_rows_and_no_run() -> None:
    session = MatrixSession()
    assert SessionEmbedder(weights(), session).embed(np.zeros((0, SIZE, SIZE, 3), np.uint8)).shape == (
        0,
        WIDTH,
    )
    assert session.batches == []


def test_sixteen_threads_get_what_one_gets(crops: Crops) -> None:
    embedder = SessionEmbedder(weights(), MatrixSession(), flip=True)
    alone = embedder.embed(crops)
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda k: embedder.embed(crops[k % 11 : k % 11 + 1])[0], range(160)))
    assert len(together) == 160
    for k, row in enumerate(together):
        np.testing.assert_allclose(row, alone[k % 11], atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, SIZE, SIZE + 1, 3), np.uint8),
        np.zeros((SIZE, SIZE, 3), np.uint8),
        np.zeros((2, 3, SIZE, SIZE), np.uint8),
        np.zeros((2, SIZE, SIZE, 3), np.float32),
        np.zeros((0, 112, 112, 3), np.uint8),
    ],
    ids=["width", "one crop", "planes", "floats", "none of another size"],
)
def test_other_crops_are_refused_with_what_was_expected(wrong: NDArray[Any]) -> None:
    with pytest.raises(ShapeError, match=r"takes crops of shape \(N, 6, 6, 3\) uint8, got \("):
        SessionEmbedder(weights(), MatrixSession()).embed(wrong)


@pytest.mark.parametrize("row", [[0.0] * WIDTH, [np.nan] * WIDTH, [1, np.inf, 0, 0, 0], [1e30] * WIDTH])
def test_an_answer_without_direction_is_an_error_that_names_the_crop(crops: Crops, row: list[float]) -> None:
    with pytest.raises(WeightsError, match="answers crop 2 of 3 with a vector of length"):
        SessionEmbedder(weights(), FixedSession(row)).embed(crops[:3])


def test_an_answer_of_another_size_is_an_error(crops: Crops) -> None:
    with pytest.raises(WeightsError, match=r"array of shape \(3, 5\), got \(3, 4\)"):
        SessionEmbedder(weights(), MatrixSession(columns=4)).embed(crops[:3])


@pytest.fixture
def photo() -> Image:
    return np.random.default_rng(2).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture
def faces() -> Detections:
    """Two faces, the second with its eyes swapped and its box turned inside out."""
    good = template(40) + 20
    landmarks = np.stack([good, good[[1, 0, 2, 3, 4]]])
    boxes = np.array([(20, 20, 60, 60), (60, 20, 20, 60)])
    return Detections(boxes.astype(np.float32), np.ones(2, np.float32), landmarks.astype(np.float32))


def test_five_point_networks_get_five_point_crops(photo: Image, faces: Detections) -> None:
    embedder = SessionEmbedder(weights(), MatrixSession())
    assert embedder.alignable(faces).tolist() == [True, False]
    expected = crop_faces(photo, faces[:1].landmarks, size_px=SIZE)
    np.testing.assert_array_equal(embedder.align(photo, faces[:1]), expected)
    with pytest.raises(InputError, match="face 1 of 2 cannot be aligned"):
        embedder.align(photo, faces)


def test_box_margin_networks_get_box_margin_crops(photo: Image, faces: Detections) -> None:
    how = weights(alignment=BoxMargin(size_px=SIZE, margin_px=2), interpolation="area")
    embedder = SessionEmbedder(how, MatrixSession())
    assert embedder.alignable(faces).tolist() == [True, False]
    expected = crop_boxes(photo, faces[:1].boxes, size_px=SIZE, margin_px=2)
    np.testing.assert_array_equal(embedder.align(photo, faces[:1]), expected)
    with pytest.raises(InputError, match="box 1 of 2 shows nothing"):
        embedder.align(photo, faces)


def test_no_faces_are_no_crops(photo: Image) -> None:
    embedder = SessionEmbedder(weights(), MatrixSession())
    assert embedder.alignable(Detections.empty()).shape == (0,)
    assert embedder.embed(embedder.align(photo, Detections.empty())).shape == (0, WIDTH)


def test_the_embedder_keeps_the_promise_and_tells_what_the_catalogue_says() -> None:
    embedder = SessionEmbedder(weights(), MatrixSession())
    assert isinstance(embedder, Embedder)
    assert embedder.embedding_size == WIDTH
    assert embedder.min_similarity == entry("sface-int8bq").min_similarity


UNFIT: dict[str, tuple[Callable[[], WeightsEntry], str]] = {
    "detector": (lambda: replace(weights(), preprocessing=Preprocessing()), "wants faces cut by None"),
    "liveness": (lambda: weights(alignment=BoxScale(SIZE, 2.7)), "wants faces cut by BoxScale"),
    "interpolation": (lambda: weights(interpolation="area"), "with area interpolation"),
    "two sizes": (lambda: weights(size_hw=(SIZE, 99)), r"takes \(6, 99\)"),
    "not normalised": (lambda: weights(normalisation="none"), "normalises by 'none'"),
    "no width": (lambda: replace(weights(), embedding_size=None), "no embedding_size"),
}


@pytest.mark.parametrize(("made", "message"), UNFIT.values(), ids=UNFIT)
def test_weights_that_cannot_be_fed_are_refused(made: Callable[[], WeightsEntry], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        SessionEmbedder(made(), MatrixSession())


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="batch must be at least 1, got 0"):
        SessionEmbedder(weights(), MatrixSession(), batch=0)
