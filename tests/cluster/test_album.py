"""The album shows everybody, asks nobody for anything, and what people are called is only text."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from vultus.cluster import album_page, name, write_album
from vultus.cluster.thumbnail import SIDE_PX, thumbnail
from vultus.errors import InputError
from vultus.image import load_image
from vultus.types import Detections

Collection = Any
EVIL = "<script>alert('x')</script>\"&"


class Page(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, attribute: str) -> list[str]:
        return [value for _, found in self.tags if (value := found.get(attribute)) is not None]


def page_of(collection: Collection, album: Path) -> Page:
    return Page(album_page(collection.state, folder=collection.folder, album=album))


def test_everybody_is_shown_with_a_link_to_every_photo(party: Collection) -> None:
    page = page_of(party, party.folder.parent / "album.html")
    links = {unquote(link) for link in page.all("href")}
    assert {f"photos/{path.name}" for path in party.folder.glob("*.png")} <= links
    assert all((party.folder.parent / link).exists() for link in links if not link.startswith("#"))
    targets = {link[1:] for link in links if link.startswith("#")}
    assert len(targets) == 3, "Ada, Bob, and the overview"
    assert targets <= set(page.all("id"))
    assert "5 photos · 6 faces · 3 people" in page.text


def test_nothing_is_fetched_and_nothing_runs(party: Collection) -> None:
    page = page_of(party, party.folder / "album.html")
    sources = page.all("src")
    assert len(sources) >= 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert any("default-src 'none'" in policy for policy in page.all("content"))
    assert not re.search(
        r"https?://|@import|url\(", album_page(party.state, folder=party.folder, album=Path("a"))
    )


def test_names_of_people_files_and_folders_are_only_text(party: Collection) -> None:
    photo = party.folder / 'x "><script>alert(1)<' / "100%#?.png"
    photo.parent.mkdir()
    (party.folder / "ada-1.png").rename(photo)
    party.run()
    name(party.state, party.person("ada-2.png"), EVIL)
    page = page_of(party, party.folder / "album.html")
    assert EVIL in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [key for _, found in page.tags for key in found if key.startswith("on")]
    assert f"./{photo.relative_to(party.folder).as_posix()}" in {unquote(link) for link in page.all("href")}


def test_a_file_whose_name_is_no_text_is_shown(party: Collection) -> None:
    name_of = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        (party.folder / "cleo.png").rename(party.folder / name_of)
    except OSError:
        pytest.skip("this file system takes only text")
    party.run()
    page = album_page(party.state, folder=party.folder, album=party.folder / "a.html")
    assert "caf%E9.png" in page
    page.encode()


def test_the_commands_on_the_page_name_the_folder_safely(party: Collection, tmp_path: Path) -> None:
    moved = tmp_path / "Anna's photos; rm -rf"
    party.folder.rename(moved)
    party.folder = moved
    page = Page(album_page(party.state, folder=moved, album=tmp_path / "a.html", is_default=False))
    commands = [line for line in page.text.split("vultus ") if line.startswith("cluster name")]
    assert commands
    assert all("Anna'\"'\"'s photos; rm -rf'" in line and "--state" in line for line in commands)


def test_the_album_is_remembered_and_written_again(party: Collection) -> None:
    target = party.folder.parent / "album.html"
    assert write_album(party.state, folder=party.folder) is None
    assert write_album(party.state, target, folder=party.folder) == target
    name(party.state, party.person("ada-1.png"), "Ada")
    assert write_album(party.state, folder=party.folder) == target
    assert "Ada" in Page(target.read_text("utf-8")).text
    with pytest.raises(InputError, match="cannot write"):
        write_album(party.state, party.folder / "no" / "album.html", folder=party.folder)
    assert write_album(party.state, folder=party.folder) == target, "a place that failed is not remembered"


def test_an_empty_collection_has_an_album(collection: Collection) -> None:
    collection.paint("nobody.png")
    collection.run()
    assert "Nobody was found" in page_of(collection, collection.folder / "a.html").text


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_thumbnail_is_upright_square_and_inside_the_photo(quarters: int) -> None:
    """A face with a bright half above its eyes, in the corner of a photo that was turned."""
    image = np.zeros((300, 400, 3), np.uint8)
    image[:56] = 255
    points = np.array([(30, 50), (70, 50), (50, 70), (35, 90), (65, 90)], np.float32)
    for turn in range(quarters):  # a quarter to the left
        width = (400, 300)[turn % 2]
        points = np.stack([points[:, 1], width - points[:, 0]], axis=1)
    turned = np.rot90(image, quarters)
    low, high = points.min(axis=0), points.max(axis=0)
    face = Detections(np.concatenate([low, high])[np.newaxis], np.ones(1, np.float32), points[np.newaxis])
    small = load_image(thumbnail(np.ascontiguousarray(turned), face))
    assert small.shape[0] == small.shape[1] <= SIDE_PX
    assert small[: len(small) // 4].mean() > 200
    assert small[-len(small) // 4 :].mean() < 50
