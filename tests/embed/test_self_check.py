"""The self-check passes here, and fails where it should."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vultus.defaults import ACCURATE_EMBEDDER, DEFAULT_EMBEDDER
from vultus.embed import SessionEmbedder, load_embedder
from vultus.embed.self_check import check_against_reference, reference_face, write_reference
from vultus.errors import InputError
from vultus.runtime import OnnxSession
from vultus.runtime.graph import repair_graph
from vultus.types import FloatArray
from vultus.weights import store
from vultus.weights.catalog import entry

DEFAULT = entry(DEFAULT_EMBEDDER)


class Feeding:
    """The default network behind a change of its input."""

    def __init__(self, change: str) -> None:
        self.change = change
        self.session = OnnxSession(repair_graph(store.read(DEFAULT)))

    def run(self, batch: FloatArray) -> list[FloatArray]:
        if self.change == "BGR":
            return self.session.run(np.ascontiguousarray(batch[:, ::-1]))
        if self.change == "0..1":
            return self.session.run(batch / np.float32(255))
        return self.session.run(batch)


@pytest.mark.parametrize("name", [DEFAULT_EMBEDDER, ACCURATE_EMBEDDER])
@pytest.mark.parametrize("flip", [False, True])
def test_this_machine_computes_what_is_stored(name: str, flip: bool) -> None:
    check = check_against_reference(load_embedder(name, flip=flip))
    assert check.is_passed
    assert check.agreement > 0.99999
    assert check.min_agreement == (0.9999 if name == ACCURATE_EMBEDDER else 0.998)


@pytest.mark.parametrize("change", ["BGR", "0..1"])
def test_a_network_that_is_fed_wrongly_does_not_pass(change: str) -> None:
    assert not check_against_reference(SessionEmbedder(DEFAULT, Feeding(change))).is_passed


def test_the_same_network_behind_another_session_passes() -> None:
    assert check_against_reference(SessionEmbedder(DEFAULT, Feeding("nothing"))).is_passed


def test_without_a_stored_reference_it_says_so() -> None:
    other = replace(DEFAULT, name="other", preprocessing=replace(DEFAULT.preprocessing, channels="BGR"))
    with pytest.raises(InputError, match="no reference is stored for other"):
        check_against_reference(SessionEmbedder(other, Feeding("nothing")))


def test_the_reference_is_a_face_and_what_is_written_is_what_is_stored(tmp_path: Path) -> None:
    assert reference_face().shape == (112, 112, 3)
    write_reference(tmp_path)
    written = (tmp_path / "embeddings.json").read_text(encoding="utf-8")
    for name in (DEFAULT_EMBEDDER, ACCURATE_EMBEDDER):
        assert load_embedder(name).contract in written
        assert load_embedder(name, flip=True).contract in written
