"""Whatever series of calls, on each engine: the gallery holds what a dict would, and a second one follows."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from vultus.errors import GalleryError
from vultus.gallery import open_gallery
from vultus.types import FloatArray, Template

NAMES = ["Anna", "Berta", "Cora", "Dora", "Emil", "Frida"]


@dataclass
class Person:
    """What the model knows of somebody."""

    name: str
    metadata: dict[str, int] = field(default_factory=dict)
    vectors: list[FloatArray] = field(default_factory=list)


class GalleryMachine(RuleBasedStateMachine):
    """One gallery that is written, one that only follows, and the dict that both must agree with."""

    identities = Bundle("identities")

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri = uri
        self.gallery = open_gallery(uri, contract="c")
        self.follower = open_gallery(uri, contract="c", read_only=True)
        self.model: dict[str, Person] = {}
        self.seed = 0
        self.actions: list[str] = []

    def teardown(self) -> None:
        assert self.gallery.check().is_clean
        assert [entry.action for entry in self.gallery.audit()] == self.actions
        self.gallery.close()
        self.follower.close()

    def fresh_vectors(self, count: int) -> list[FloatArray]:
        self.seed += 1
        rows = np.random.default_rng(self.seed).standard_normal((count, 8)).astype(np.float32)
        return list(np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32))

    @rule(
        target=identities,
        name=st.sampled_from(NAMES),
        count=st.integers(1, 3),
        metadata=st.none() | st.dictionaries(st.sampled_from("ab"), st.integers(0, 9)),
    )
    def enrol(self, name: str, count: int, metadata: dict[str, int] | None) -> object:
        vectors = self.fresh_vectors(count)
        identity = self.gallery.enrol(name, [Template(vector) for vector in vectors], metadata=metadata)
        self.actions.append("enrol")
        is_new = identity.id not in self.model
        person = self.model.setdefault(identity.id, Person(name))
        person.vectors += vectors
        person.metadata = person.metadata if metadata is None else metadata
        return identity.id if is_new else multiple()

    @rule(identity_id=identities, name=st.sampled_from(NAMES))
    def rename(self, identity_id: str, name: str) -> None:
        if any(person.name == name for key, person in self.model.items() if key != identity_id):
            with pytest.raises(GalleryError, match="already"):
                self.gallery.rename(identity_id, name)
        else:
            assert self.gallery.rename(identity_id, name).name == name
            self.model[identity_id].name = name
            self.actions.append("rename")

    @rule(identity_id=identities, metadata=st.dictionaries(st.sampled_from("ab"), st.integers(0, 9)))
    def set_metadata(self, identity_id: str, metadata: dict[str, int]) -> None:
        self.gallery.set_metadata(identity_id, metadata)
        self.model[identity_id].metadata = metadata
        self.actions.append("set_metadata")

    @rule(identity_id=consumes(identities))
    def remove(self, identity_id: str) -> None:
        self.gallery.remove(identity_id)
        del self.model[identity_id]
        self.actions.append("remove")
        with pytest.raises(GalleryError, match="nobody"):
            self.gallery.remove(identity_id)

    @rule(identity_id=identities, position=st.integers(0, 9))
    def remove_template(self, identity_id: str, position: int) -> None:
        ids = self.gallery.template_ids(identity_id)
        position %= len(ids)
        if len(ids) == 1:
            with pytest.raises(GalleryError, match="last one"):
                self.gallery.remove_template(identity_id, ids[0])
        else:
            self.gallery.remove_template(identity_id, ids[position])
            del self.model[identity_id].vectors[position]
            self.actions.append("remove_template")

    @rule()
    def open_again(self) -> None:
        self.gallery.close()
        self.gallery = open_gallery(self.uri, contract="c")

    @rule(of=st.sampled_from(["best", "mean"]), top_k=st.integers(1, 7))
    def search(self, of: str, top_k: int) -> None:
        (probe,) = self.fresh_vectors(1)
        wide = probe.astype(np.float64)
        expected = []
        for person in self.model.values():
            similarities = np.stack(person.vectors).astype(np.float64) @ wide
            value = similarities.max() if of == "best" else similarities.mean()
            expected.append((float(value), person.name))
        expected.sort(reverse=True)
        for gallery in (self.gallery, self.follower):
            (answer,) = gallery.search(
                probe[np.newaxis], top_k=top_k, aggregate="best" if of == "best" else "mean"
            )
            assert [one.name for one in answer] == [name for _, name in expected[:top_k]]
            assert [one.similarity for one in answer] == pytest.approx(
                [min(1.0, max(-1.0, value)) for value, _ in expected[:top_k]], abs=1e-9
            )

    @invariant()
    def everybody_is_there(self) -> None:
        expected = [
            (key, person.name, person.metadata, len(person.vectors)) for key, person in self.model.items()
        ]
        expected.sort(key=lambda item: item[1])
        for gallery in (self.gallery, self.follower):
            people = gallery.people()
            assert [(one.id, one.name, dict(one.metadata), one.template_count) for one in people] == expected
        for key, person in self.model.items():
            stored = [template.embedding.tobytes() for template in self.follower.templates(key)]
            assert stored == [vector.tobytes() for vector in person.vectors]


def test_a_gallery_and_a_dict_agree(engine: Any) -> None:
    examples = 25 if engine.name == "sqlite" else 3  # a server takes its time
    numbers = count()
    run_state_machine_as_test(
        lambda: GalleryMachine(f"{engine.uri}_{next(numbers)}"),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=examples, stateful_step_count=25, deadline=None),
    )
