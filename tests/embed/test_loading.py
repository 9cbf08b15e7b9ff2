"""The default network on real faces, and names that cannot be loaded."""

import csv
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from vultus.defaults import ACCURATE_EMBEDDER
from vultus.embed import DEFAULT_EMBEDDER, SessionEmbedder, embedder_names, load_embedder
from vultus.embed.self_check import reference_face
from vultus.errors import DeviceError, WeightsError
from vultus.runtime import Runtime, openvino
from vultus.runtime.onnx import CPU
from vultus.types import Crops, Embeddings

COUNT = 96


@pytest.fixture(scope="module")
def embedder() -> SessionEmbedder:
    return load_embedder(threads=1)


@pytest.fixture(scope="module")
def heldout(shared: Path) -> tuple[Crops, Embeddings, list[str]]:
    """Real aligned faces, what the teacher (SFace, flip test) made of them, and whose they are."""
    folder = shared / "data" / "faces"
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = [i for i, row in enumerate(rows) if row["shard"] == "heldout.tar"][::48][:COUNT]
    with tarfile.open(folder / "heldout.tar") as shard:
        data = [shard.extractfile(rows[i]["file"]) for i in chosen]
        pictures = [
            np.array(PillowImage.open(io.BytesIO(each.read())).convert("RGB")) for each in data if each
        ]
    assert len(pictures) == COUNT
    teacher = np.load(folder / "teacher-sface.npy", mmap_mode="r")[chosen].astype(np.float32)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    return np.stack(pictures)[:, 8:120, 8:120], teacher, [rows[i]["identity"] for i in chosen]


@pytest.fixture(scope="module")
def rows(embedder: SessionEmbedder, heldout: tuple[Crops, Embeddings, list[str]]) -> Embeddings:
    return embedder.embed(heldout[0])


def agreement(embeddings: Embeddings, teacher: Embeddings) -> float:
    return float((embeddings * teacher).sum(axis=1).mean())


def test_faces_agree_with_the_teacher_as_far_as_the_stored_pictures_allow(
    heldout: tuple[Crops, Embeddings, list[str]],
) -> None:
    """The teacher saw the crops before they were stored as lossy WebP, which alone costs 0.03.

    Measured on LFW faces: WebP at quality 75 brings an embedding to cosine 0.969 of its own. What the figures
    below can show is that no other way of feeding the network comes as close.
    """
    crops, teacher, _ = heldout
    plain, flipped = (load_embedder("accurate", flip=flip, threads=1) for flip in (False, True))
    best = agreement(flipped.embed(crops), teacher)
    assert best > 0.96
    assert agreement(plain.embed(crops), teacher) < best - 0.005  # the teacher flips, so a plain row is off
    assert agreement(flipped.embed(crops[:32, ..., ::-1]), teacher[:32]) < best - 0.04  # BGR
    assert (
        agreement(flipped.embed(np.roll(crops[:32], 2, axis=1)), teacher[:32]) < best - 0.01
    )  # 2 px too low


def test_every_face_is_closest_to_its_own_teacher_row(
    rows: Embeddings, heldout: tuple[Crops, Embeddings, list[str]]
) -> None:
    closest = (rows @ heldout[1].T).argmax(axis=1)
    np.testing.assert_array_equal(closest, np.arange(COUNT))


@pytest.mark.parametrize(("name", "found"), [(ACCURATE_EMBEDDER, 0.9), (DEFAULT_EMBEDDER, 0.85)])
def test_faces_of_one_person_are_closer_than_faces_of_two(
    name: str, found: float, heldout: tuple[Crops, Embeddings, list[str]]
) -> None:
    """At its own threshold the quick one misses more of these people than the accurate one."""
    embedder = load_embedder(name, threads=1)
    rows = embedder.embed(heldout[0])
    people = np.array(heldout[2])
    first, second = np.triu_indices(COUNT, k=1)
    is_same = people[first] == people[second]
    similarities = (rows @ rows.T)[first, second]
    assert is_same.sum() > 20
    assert embedder.min_similarity is not None
    assert (similarities[is_same] >= embedder.min_similarity).mean() > found
    assert (similarities[~is_same] >= embedder.min_similarity).mean() < 0.02


@pytest.mark.parametrize("flip", [False, True])
def test_batches_give_what_single_calls_give(
    heldout: tuple[Crops, Embeddings, list[str]], flip: bool
) -> None:
    crops = heldout[0][:16]
    one_by_one = load_embedder(flip=flip, batch=1, threads=1).embed(crops)
    for batch in (3, 16):
        together = load_embedder(flip=flip, batch=batch, threads=1).embed(crops)
        np.testing.assert_allclose(together, one_by_one, atol=1e-5)


def test_sixteen_threads_get_what_one_gets(
    embedder: SessionEmbedder, rows: Embeddings, heldout: tuple[Crops, Embeddings, list[str]]
) -> None:
    crops, alone = heldout[0], rows
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda k: embedder.embed(crops[k % 16 : k % 16 + 1])[0], range(48)))
    assert len(together) == 48
    for k, row in enumerate(together):
        np.testing.assert_allclose(row, alone[k % 16], atol=1e-5)


def test_threads_are_a_matter_of_speed_only() -> None:
    face = reference_face()[np.newaxis]
    np.testing.assert_allclose(
        load_embedder(threads=1).embed(face), load_embedder(threads=2).embed(face), atol=1e-5
    )


def test_the_default_is_a_name_that_can_be_loaded() -> None:
    assert DEFAULT_EMBEDDER in embedder_names()
    assert "mtcnn" not in embedder_names()
    assert "facenet-inception-resnet-v1-vggface2" not in embedder_names()  # a PyTorch checkpoint


@pytest.mark.parametrize("name", ["mtcnn", "facenet-inception-resnet-v1-vggface2", "minifasnet-v2"])
def test_a_network_that_is_no_embedder_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=f"{name}.* needs one ONNX file of a recognition network: .*sface"):
        load_embedder(name)


def test_fast_is_the_small_embedder_trained_here() -> None:
    assert load_embedder("fast").contract == load_embedder("compact-resnet-vultus").contract


@pytest.mark.parametrize(
    "runtime",
    [
        "onnx",
        pytest.param(
            "openvino",
            marks=pytest.mark.skipif(not openvino.is_installed(), reason="needs the extra openvino"),
        ),
    ],
)
def test_fastest_answers_in_int8_what_fast_answers_in_float(
    heldout: tuple[Crops, Embeddings, list[str]], runtime: Runtime
) -> None:
    fast = load_embedder("fast", threads=1)
    fastest = load_embedder("fastest", threads=1, runtime=runtime)
    assert fastest.weights.name == "compact-resnet-vultus-int8"
    assert fastest.contract != fast.contract  # a gallery holds one of them
    cosines = np.sum(fast.embed(heldout[0]) * fastest.embed(heldout[0]), axis=1)
    assert np.median(cosines) > 0.997
    assert cosines.min() > 0.99


def test_an_unknown_name_is_refused_with_a_close_one() -> None:
    with pytest.raises(WeightsError, match="sface"):
        load_embedder("sface-int8")


def test_a_provider_that_does_not_run_is_refused() -> None:
    with pytest.raises(DeviceError, match="NoSuchProvider"):
        load_embedder(providers=("NoSuchProvider", CPU))
