"""Exact search against a plain float64 loop."""

import threading
from collections.abc import Callable
from itertools import cycle
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vultus.errors import InputError, ShapeError
from vultus.match import Aggregate, CosineIndex
from vultus.match.cosine import checked_unit_rows
from vultus.types import Candidate, Embeddings

People = dict[str, dict[int, NDArray[np.float32]]]


def unit_rows(count: int, dimension: int = 16, *, seed: int = 0) -> Embeddings:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def filled(people: People) -> CosineIndex:
    index = CosineIndex()
    for identity_id, templates in people.items():
        index.put(identity_id, identity_id.upper(), add=templates)
    return index


def naive(people: People, probe: NDArray[np.float32], aggregate: Aggregate) -> list[tuple[str, float]]:
    """Every person with their similarity, best first, by a float64 loop."""
    ranked = []
    for identity_id, templates in people.items():
        similarities = [
            float(sum(float(a) * float(b) for a, b in zip(vector, probe, strict=True)))
            for vector in templates.values()
        ]
        if similarities:
            value = max(similarities) if aggregate == "best" else sum(similarities) / len(similarities)
            ranked.append((identity_id, value))
    return sorted(ranked, key=lambda item: (-item[1], item[0].upper()))


def random_people(count: int, *, most_templates: int, seed: int = 0) -> People:
    generator = np.random.default_rng(seed)
    people: People = {}
    next_id = 1
    for person in range(count):
        templates = unit_rows(int(generator.integers(1, most_templates + 1)), seed=1000 * seed + person)
        people[f"person-{person}"] = {next_id + i: row for i, row in enumerate(templates)}
        next_id += len(templates)
    return people


@pytest.mark.parametrize("aggregate", ["best", "mean"])
@pytest.mark.parametrize("most_templates", [1, 5])
def test_search_finds_what_a_float64_loop_finds(aggregate: Aggregate, most_templates: int) -> None:
    people = random_people(200, most_templates=most_templates)
    index = filled(people)
    probes = unit_rows(20, seed=123_456)
    answers = index.search(probes, top_k=7, aggregate=aggregate)
    assert len(answers) == 20
    for probe, answer in zip(probes, answers, strict=True):
        expected = naive(people, probe, aggregate)[:7]
        assert [candidate.id for candidate in answer] == [identity_id for identity_id, _ in expected]
        assert [one.similarity for one in answer] == pytest.approx(
            [value for _, value in expected], abs=1e-12
        )


def test_people_closer_to_each_other_than_float32_can_tell_are_put_in_the_true_order() -> None:
    # Float32 sums of 512 products are wrong by about 1e-7; these templates differ by far less than that.
    generator = np.random.default_rng(5)
    probe = unit_rows(1, 512)[0]
    people: People = {}
    for person in range(300):
        jitter = generator.standard_normal(512).astype(np.float32) * np.float32(2e-8)
        people[f"person-{person:03}"] = {person: probe + jitter}
    rows = np.stack([row for templates in people.values() for row in templates.values()])
    true = rows.astype(np.float64) @ probe.astype(np.float64)
    exact = dict(zip(people, true, strict=True))
    rough = rows @ probe
    assert len(np.unique(rough)) < 20, "the case is too easy: float32 tells these people apart"
    expected = sorted(exact, key=lambda name: (-exact[name], name))[:10]
    assert [one.id for one in filled(people).search(probe[np.newaxis], top_k=10)[0]] == expected


def test_equal_similarities_are_ordered_by_name() -> None:
    vector = unit_rows(1)[0]
    index = CosineIndex()
    for template_id, name in enumerate(["Cora", "Anna", "Berta"]):
        index.put(f"id-of-{name}", name, add={template_id: vector})
    assert [one.name for one in index.search(vector[np.newaxis], top_k=2)[0]] == ["Anna", "Berta"]


def test_a_batch_gives_bit_for_bit_what_single_probes_give() -> None:
    index = filled(random_people(500, most_templates=3))
    probes = unit_rows(64, seed=7)
    assert index.search(probes) == [index.search(probe[np.newaxis])[0] for probe in probes]


def test_someone_with_more_templates_than_top_k_is_one_candidate() -> None:
    index = CosineIndex()
    close = unit_rows(1)[0]
    index.put("a", "Anna", add=dict.fromkeys(range(50), close))
    index.put("b", "Berta", add={100: unit_rows(1, seed=3)[0]})
    assert [one.name for one in index.search(close[np.newaxis], top_k=2)[0]] == ["Anna", "Berta"]


def test_min_similarity_leaves_out_those_further_away() -> None:
    index = CosineIndex()
    vectors = np.eye(3, 16, dtype=np.float32)
    for position, name in enumerate("abc"):
        index.put(name, name, add={position: vectors[position]})
    probe = np.zeros((1, 16), np.float32)
    probe[0, :2] = 0.8, 0.6
    (answer,) = index.search(probe, min_similarity=float(probe[0, 1]))
    assert [one.name for one in answer] == ["a", "b"]


def test_a_similarity_never_leaves_minus_one_to_one() -> None:
    vector = unit_rows(1)[0] * np.float32(1.0009)  # within what counts as length 1
    index = CosineIndex()
    index.put("a", "a", add={1: vector})
    index.put("b", "b", add={2: -vector})
    (answer,) = index.search(vector[np.newaxis])
    assert [one.similarity for one in answer] == [1.0, -1.0]


def test_an_empty_index_has_no_candidates() -> None:
    assert CosineIndex().search(unit_rows(3)) == [(), (), ()]


def test_no_probes_give_no_answers() -> None:
    assert filled(random_people(3, most_templates=1)).search(np.empty((0, 16), np.float32)) == []


def test_a_removed_template_is_not_found_and_the_moved_row_still_is() -> None:
    rows = unit_rows(3)
    index = CosineIndex()
    index.put("a", "Anna", add={1: rows[0], 2: rows[1]})
    index.put("b", "Berta", add={3: rows[2]})
    index.put("a", "Anna", remove=[1])  # row 0 is now Berta's, which was the last
    assert len(index) == 2
    gone, anna, berta = (answer[0] for answer in index.search(rows))
    assert gone.similarity < 0.999
    assert (anna.name, berta.name) == ("Anna", "Berta")
    assert [anna.similarity, berta.similarity] == pytest.approx([1.0, 1.0])


def test_a_dropped_person_is_gone_and_their_place_is_used_again() -> None:
    rows = unit_rows(3)
    index = CosineIndex()
    index.put("a", "Anna", add={1: rows[0]})
    index.put("b", "Berta", add={2: rows[1]})
    index.drop("a")
    index.drop("nobody")
    index.put("c", "Cora", add={3: rows[2]})
    (answer,) = index.search(rows[:1], top_k=5, aggregate="mean")
    assert sorted(one.name for one in answer) == ["Berta", "Cora"]
    assert index.template_ids("a") == frozenset()


def test_those_who_come_and_go_leave_nothing_behind() -> None:
    index = CosineIndex()
    for turn, row in enumerate(unit_rows(500)):
        index.put(f"person {turn}", "somebody", add={turn: row})
        index.drop(f"person {turn}")
    assert len(index._people) == 1


def test_a_new_name_is_given_from_the_next_search_on() -> None:
    rows = unit_rows(1)
    index = CosineIndex()
    index.put("a", "Anna", add={1: rows[0]})
    index.put("a", "Annette")
    assert index.search(rows)[0][0].name == "Annette"


def test_an_emptied_index_takes_vectors_of_another_dimension() -> None:
    index = CosineIndex()
    index.put("a", "Anna", add={1: unit_rows(1, 8)[0]})
    index.drop("a")
    index.put("b", "Berta", add={2: unit_rows(1, 32)[0]})
    assert index.search(unit_rows(1, 32))[0][0].name == "Berta"


def test_growing_beyond_the_reserved_rows_keeps_everything() -> None:
    people = random_people(3000, most_templates=1)
    index = CosineIndex()
    index.reserve(10, 16)
    for identity_id, templates in people.items():
        index.put(identity_id, identity_id, add=templates)
    rows = np.stack([row for templates in people.values() for row in templates.values()])
    assert [answer[0].id for answer in index.search(rows, top_k=1)] == list(people)


def test_reserving_takes_the_memory_once() -> None:
    index = CosineIndex()
    index.reserve(5000, 16)
    before = index.n_bytes
    assert before == 5000 * 16 * 4
    for template_id, row in enumerate(unit_rows(5000)):
        index.put("a", "Anna", add={template_id: row})
    assert index.n_bytes == before


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        (np.ones(16, np.float32), r"shape \(N, D\)"),
        (np.zeros((1, 0), np.float32), r"shape \(N, D\)"),
        (np.zeros((1, 16), np.float32), "length 1"),
        (np.full((1, 16), np.nan, np.float32), "length 1"),
        (np.full((1, 16), np.inf, np.float32), "length 1"),
        (unit_rows(2) * np.array([[1.0], [2.0]], np.float32), "row 1 has 2"),
        (unit_rows(1, 8), "16 dimensions"),
        ("a probe", "numbers"),
        ([[1.0], [1.0, 2.0]], "numbers"),
    ],
)
def test_probes_that_are_no_embeddings_are_refused(probes: Embeddings, message: str) -> None:
    index = filled(random_people(3, most_templates=1))
    with pytest.raises(ShapeError, match=message):
        index.search(probes)


def test_unusable_options_are_refused() -> None:
    index = filled(random_people(3, most_templates=1))
    with pytest.raises(InputError, match="top_k must be at least 1, got 0"):
        index.search(unit_rows(1), top_k=0)
    with pytest.raises(InputError, match="one of best, mean, got 'median'"):
        index.search(unit_rows(1), aggregate="median")  # type: ignore[arg-type]  # what a caller may type


@pytest.mark.parametrize(
    "vectors", [{9: unit_rows(1, 8)[0]}, {9: unit_rows(1, 8)[0], 10: unit_rows(1, 16)[0]}, {9: unit_rows(1)}]
)
def test_vectors_of_another_shape_are_refused_and_change_nothing(
    vectors: dict[int, NDArray[np.float32]],
) -> None:
    index = filled(random_people(3, most_templates=1))
    with pytest.raises(ShapeError):
        index.put("person-0", "another name", add=vectors, remove=[1])
    assert len(index) == 3
    assert {one.name for one in index.search(unit_rows(1))[0]} == {"PERSON-0", "PERSON-1", "PERSON-2"}


def test_integers_and_doubles_are_taken_as_float32() -> None:
    rows = checked_unit_rows(np.eye(3, dtype=np.int64))
    assert rows.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "drop", "rename"]), st.integers(0, 5), st.integers(0, 3)),
        max_size=40,
    )
)
def test_any_series_of_changes_leaves_what_a_dict_would_hold(steps: list[tuple[str, int, int]]) -> None:
    index = CosineIndex()
    model: People = {}
    names: dict[str, str] = {}
    for number, (step, person, choice) in enumerate(steps):
        identity_id = f"p{person}"
        held: dict[int, NDArray[np.float32]] = model.get(identity_id, {})
        if step == "add":
            row = unit_rows(1, 4, seed=number)[0]
            model[identity_id] = held | {number: row}
            names[identity_id] = f"name {number}"
            index.put(identity_id, names[identity_id], add={number: row})
        elif step == "remove" and held:
            template_id = list(held)[choice % len(held)]
            del held[template_id]
            index.put(identity_id, names[identity_id], remove=[template_id])
        elif step == "drop":
            model.pop(identity_id, None)
            index.drop(identity_id)
        elif step == "rename" and identity_id in model:
            names[identity_id] = f"renamed {number}"
            index.put(identity_id, names[identity_id])
    assert len(index) == sum(map(len, model.values()))
    for aggregate in get_args(Aggregate):
        probe = unit_rows(1, 4, seed=77)[0]
        answer = index.search(probe[np.newaxis], top_k=10, aggregate=aggregate)[0]
        assert {one.id: one.similarity for one in answer} == pytest.approx(
            {name: np.clip(value, -1, 1) for name, value in naive(model, probe, aggregate)}, abs=1e-9
        )
        assert all(one.name == names[one.id] for one in answer)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work(i)` in each of `count` threads at once; raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_searches_during_changes_see_each_person_whole_or_not_at_all() -> None:
    # Anna's two templates answer for the two probes; she comes and goes as long as four threads search.
    rows = unit_rows(2, 64)
    filler = unit_rows(4_000, 64, seed=9)  # a search takes long enough to be overtaken
    index = CosineIndex()
    for i, row in enumerate(filler):
        index.put(f"filler-{i}", "filler", add={i: row})
    sightings: list[tuple[bool, bool]] = []
    is_over = threading.Event()

    def is_anna(candidate: Candidate) -> bool:
        assert (candidate.name == "Anna") == (candidate.similarity > 0.999)
        return candidate.name == "Anna"

    def change() -> None:
        for turn in cycle(range(len(filler))):
            index.put("a", "Anna", add={-1: rows[0], -2: rows[1]})
            index.drop(f"filler-{turn}")  # swaps one of Anna's rows into the hole
            index.drop("a")
            index.put(f"filler-{turn}", "filler", add={turn: filler[turn]})
            if is_over.is_set():
                return

    def search(_: int) -> None:
        for turn in range(10_000):
            if turn >= 40 and len(set(sightings)) > 1:  # she was seen to be there, and not to be there
                break
            first, second = (answer[0] for answer in index.search(rows, top_k=1))
            sightings.append((is_anna(first), is_anna(second)))

    writer = threading.Thread(target=change)
    writer.start()
    try:
        in_threads(4, search)
    finally:
        is_over.set()
        writer.join()
    assert set(sightings) == {(True, True), (False, False)}


def test_sixteen_threads_get_the_answers_of_one() -> None:
    index = filled(random_people(300, most_templates=3))
    probes = unit_rows(40, seed=4)
    expected = index.search(probes)

    def work(number: int) -> None:
        for i in range(number, len(probes), 16):
            assert index.search(probes[i : i + 1])[0] == expected[i]

    in_threads(16, work)
