"""A gallery is worked on with the embedder that filled it, unless another one is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vultus.embed import DEFAULT_EMBEDDER, load_embedder
from vultus.errors import GalleryError, InputError
from vultus.gallery import SqliteGallery
from vultus.pipeline import FaceRecognizer, embedder_of


@pytest.fixture
def filled(astronaut: Path, tmp_path: Path) -> Callable[..., Path]:
    """A gallery with one person, made with this embedder."""

    def fill(name: str, *, flip: bool = False) -> Path:
        path = tmp_path / "people.db"
        embedder = load_embedder(name, flip=flip)
        with FaceRecognizer(path, embedder=embedder, runtime="onnx") as recognizer:
            recognizer.enrol("Eileen", astronaut)
        return path

    return fill


@pytest.mark.parametrize(
    ("name", "flip"),
    [("compact-resnet-vultus", False), ("compact-resnet-vultus", True), ("sface-int8bq", False)],
)
def test_people_are_recognised_with_what_enrolled_them(
    name: str, flip: bool, filled: Callable[..., Path], astronaut: Path
) -> None:
    path = filled(name, flip=flip)
    assert embedder_of(path) == (name, flip)
    with SqliteGallery(path) as opened:
        assert embedder_of(opened) == (name, flip)
    with FaceRecognizer(path, runtime="onnx") as recognizer:
        assert recognizer.embedder.contract == load_embedder(name, flip=flip).contract
        assert recognizer.identify(astronaut).names == ("Eileen",)


def test_an_embedder_that_is_named_is_held_to_the_contract(filled: Callable[..., Path]) -> None:
    path = filled("compact-resnet-vultus")
    with pytest.raises(GalleryError, match=r"\(compact-resnet-vultus\).*\(sface-int8bq\)"):
        FaceRecognizer(path, embedder=load_embedder("accurate"))


def test_where_nobody_is_enrolled_it_is_the_default(tmp_path: Path) -> None:
    default = (DEFAULT_EMBEDDER, False)
    assert embedder_of(None) == default
    assert embedder_of(tmp_path / "new.db") == default
    assert not (tmp_path / "new.db").exists()
    with SqliteGallery(tmp_path / "empty.db") as empty:
        assert embedder_of(empty) == default
    assert embedder_of(tmp_path / "empty.db") == default


def test_a_contract_of_no_weights_in_the_catalogue_is_refused_as_before(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with SqliteGallery(path, contract="0123456789abcdef") as opened:
        assert embedder_of(opened) == (DEFAULT_EMBEDDER, False)
    (tmp_path / "torn.db").write_bytes(b"no database" * 1000)
    assert embedder_of(tmp_path / "torn.db") == (DEFAULT_EMBEDDER, False)
    with pytest.raises(GalleryError, match=r"torn\.db"):
        FaceRecognizer(tmp_path / "torn.db")


def test_an_address_of_no_known_form_is_refused() -> None:
    with pytest.raises(InputError, match="postgresql:// or milvus://"):
        embedder_of("mysql://host/people")
