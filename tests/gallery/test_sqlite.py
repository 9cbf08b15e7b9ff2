"""What only a gallery in a file promises."""

from collections.abc import Callable
from pathlib import Path

from vultus.gallery import SqliteGallery
from vultus.types import Template

MakeFaces = Callable[..., list[Template]]


def test_nothing_of_a_removed_face_stays_in_the_files(
    gallery: SqliteGallery, faces: MakeFaces, path: Path
) -> None:
    (template,) = faces(1, seed=1)
    gallery.enrol("Berta", faces(1, seed=2))
    anna = gallery.enrol("Anna", [template])
    vector = template.embedding.tobytes()

    def is_on_disk() -> bool:
        return any(vector in file.read_bytes() for file in path.parent.iterdir())

    assert is_on_disk()
    gallery.remove(anna.id)
    assert not is_on_disk()
