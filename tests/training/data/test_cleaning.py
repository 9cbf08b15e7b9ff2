"""Wrong names, copies, and people of a test set are found; what is right is left alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.training.data.cleaning import Labelled, closeness_of, find_all, two_groups
from vultus.training.data.findings import CleanSettings, Finding, Kind
from vultus.training.data.shards import ShardFaces
from vultus.training.data.teacher import read_teacher
from vultus.types import Embeddings, FloatArray

PEOPLE, EACH, SIZE = 6, 10, 64
SETTINGS = CleanSettings()


def unit(vectors: NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


@pytest.fixture
def faces() -> Labelled:
    """Six people with ten crops each, about 0.7 like their own and 0 like others."""
    chance = np.random.default_rng(0)
    centres = np.repeat(unit(chance.normal(size=(PEOPLE, SIZE))), EACH, axis=0)
    crops = unit(centres + 0.65 * unit(chance.normal(size=(PEOPLE * EACH, SIZE))))
    index = np.repeat(np.arange(PEOPLE), EACH)
    return Labelled(crops, index, [f"P{number}" for number in range(PEOPLE)])


def hashes(faces: Labelled) -> list[str]:
    return [str(row) for row in range(len(faces.embeddings))]


def found(
    faces: Labelled, kind: Kind, told: list[str] | None = None, against: Embeddings | None = None
) -> list[Finding]:
    findings = find_all(faces, told or hashes(faces), settings=SETTINGS, against=against)
    return [finding for finding in findings if finding.kind == kind]


def test_a_clean_set_has_no_findings(faces: Labelled) -> None:
    assert find_all(faces, hashes(faces), settings=SETTINGS) == []


def test_a_crop_is_compared_with_its_person_without_itself(faces: Labelled) -> None:
    own = closeness_of(faces).own
    rest = faces.embeddings[1:10].sum(axis=0)
    assert own[0] == pytest.approx(float(unit(rest) @ faces.embeddings[0]), abs=1e-5)
    alone = faces._replace(
        embeddings=faces.embeddings[9:], identity_index=faces.identity_index[9:]
    )  # the first person is left with one crop
    assert closeness_of(alone).own[0] == 1


def test_a_wrong_name_is_found_and_whose_face_it_is_is_told(faces: Labelled) -> None:
    index = faces.identity_index.copy()
    index[12] = 4
    (finding,) = found(faces._replace(identity_index=index), Kind.MISLABELLED)
    assert finding.crops == (12,)
    assert finding.note.endswith("like P1")
    assert "the other crops of P4" in finding.note
    assert {int(index[row]) for row in finding.beside} == {4}
    assert 12 not in finding.beside
    rest = np.flatnonzero((index == 4) & (np.arange(len(index)) != 12))
    typical = rest[(faces.embeddings[rest] @ faces.embeddings[rest].sum(axis=0)).argmax()]
    assert finding.beside[0] == typical


def test_of_the_same_bytes_one_is_kept(faces: Labelled) -> None:
    told = hashes(faces)
    told[7] = told[3] = told[5]
    (finding,) = found(faces, Kind.SAME_BYTES, told)
    assert len(finding.crops) == 2
    assert {*finding.crops, *finding.beside} == {3, 5, 7}
    own = closeness_of(faces).own
    assert own[finding.beside[0]] == max(own[row] for row in (3, 5, 7))


def test_a_picture_saved_anew_is_a_near_duplicate(faces: Labelled) -> None:
    vectors = faces.embeddings.copy()
    vectors[21] = unit(vectors[20] + 0.02 * vectors[40])
    (finding,) = found(faces._replace(embeddings=vectors), Kind.NEAR_DUPLICATE)
    assert {*finding.crops, *finding.beside} == {20, 21}
    assert finding.similarity > 0.99


def test_faces_of_a_test_set_are_found(faces: Labelled) -> None:
    against = faces.embeddings[33:34]
    (finding,) = found(faces, Kind.OVERLAP, against=against)
    similar = np.flatnonzero(faces.embeddings @ against[0] >= SETTINGS.min_overlap)
    assert 33 in similar
    assert finding.crops == tuple(similar.tolist())
    assert set(faces.identity_index[list(finding.crops)].tolist()) == {3}


def test_two_people_in_one_folder_and_one_in_two(faces: Labelled) -> None:
    merged = faces.identity_index.copy()
    merged[50:55] = 0
    merged[0:5] = 5
    two = found(faces._replace(identity_index=merged), Kind.MERGED)
    assert {finding.note.split(":")[0] for finding in two} == {"P0", "P5"}
    halves = np.repeat(np.arange(12), 5)
    names = [f"H{number:02}" for number in range(12)]
    settings = replace(SETTINGS, min_crops=5)
    findings = find_all(Labelled(faces.embeddings, halves, names), hashes(faces), settings=settings)
    pairs = {finding.note[:11] for finding in findings if finding.kind == Kind.SPLIT}
    assert pairs == {f"H{2 * number:02} and H{2 * number + 1:02}"[:11] for number in range(6)}


def test_no_crop_is_in_question_for_two_reasons(faces: Labelled) -> None:
    index, told, vectors = faces.identity_index.copy(), hashes(faces), faces.embeddings.copy()
    index[12], vectors[13], told[13] = 4, vectors[12], told[12]
    findings = find_all(Labelled(vectors, index, faces.names), told, settings=SETTINGS)
    crops = [row for finding in findings for row in finding.crops]
    assert crops
    assert len(crops) == len(set(crops))
    assert {finding.kind for finding in findings} == {Kind.SAME_BYTES}
    assert crops == [12]  # the one with the right name is kept


def test_one_group_is_no_two() -> None:
    same = np.repeat(unit(np.ones((1, 8))), 5, axis=0)
    assert two_groups(same)[1] == 1


def test_what_cannot_be_compared_is_refused(faces: Labelled) -> None:
    with pytest.raises(ShapeError, match="a hash for each"):
        find_all(faces, ["x"], settings=SETTINGS)
    unknown = faces.identity_index.copy()
    unknown[0] = -1
    with pytest.raises(InputError, match="nobody unknown"):
        find_all(faces._replace(identity_index=unknown), hashes(faces), settings=SETTINGS)


def test_wrong_names_among_real_faces(shared: Path, heldout: ShardFaces) -> None:
    embeddings = read_teacher(shared / "data" / "faces" / "teacher-sface.npy", heldout.rows)
    chance = np.random.default_rng(1)
    wrong = chance.choice(len(heldout), len(heldout) // 20, replace=False)
    index = heldout.identity_index.copy()
    index[wrong] = (index[wrong] + chance.integers(1, 80, len(wrong))) % 80
    dirty = Labelled(embeddings, index, heldout.names)
    flagged = {row for finding in found(dirty, Kind.MISLABELLED) for row in finding.crops}
    hits = len(flagged & set(wrong.tolist()))
    assert hits / len(wrong) > 0.97
    assert hits / len(flagged) > 0.85
