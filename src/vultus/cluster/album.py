"""The people of a photo collection as one HTML file: it shows faces, so treat it as you treat the photos.

Everything is in the file but the photos themselves, to which every face is a link. It asks nobody for
anything and runs no script; a person's faces open because the address names them
(`#person-3`).
"""

import base64
import html
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from vultus.cluster.album_style import STYLE
from vultus.cluster.overview import Overview, Person, Question, overview
from vultus.cluster.rows import FaceRow, read_settings, read_thumbnails, write_setting
from vultus.cluster.state import PhotoState
from vultus.image import replace_file

POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class _Pages:
    """What all parts of the page need to know."""

    shown: Overview
    pictures: Mapping[int, bytes]
    to_photos: str  # from the album to the folder of the photos, as an address
    command: str  # begins a command about this collection: `vultus cluster {verb} PHOTOS ...`
    suffix: str


def album_page(state: PhotoState, *, folder: Path, album: Path, is_default: bool = True) -> str:
    """The people, their faces, and the commands that put them right, as an HTML document.

    Args:
        state: the collection.
        folder: where its photos are.
        album: where the document is going to be: it links to the photos from there.
        is_default: whether commands find the state's file by themselves.

    Raises:
        GalleryError: the collection's file is damaged, or it was never grouped.
    """
    shown = overview(state)
    with state.reading() as connection:
        pictures = dict(read_thumbnails(connection))
    pages = _Pages(
        shown,
        pictures,
        to_photos=_address(folder.absolute(), album.absolute().parent),
        command=shlex.quote(str(folder)),
        suffix="" if is_default else f" --state {shlex.quote(str(state.path))}",
    )
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        f'<meta http-equiv=Content-Security-Policy content="{POLICY}">\n'
        "<meta name=viewport content='width=device-width,initial-scale=1'>\n"
        f"<title>People in {_text(folder.absolute().name)}</title>\n<style>{STYLE}</style>\n"
        + "\n".join(_body(pages, folder.absolute().name))
        + "\n</html>\n"
    )


def write_album(
    state: PhotoState, album: Path | None = None, *, folder: Path, is_default: bool = True
) -> Path | None:
    """Write the album, and remember where: after the next change it is written there again.

    Args:
        state: the collection.
        album: the file; None writes the one of the last time, if there was one.
        folder: where the photos are.
        is_default: whether commands find the state's file by themselves.

    Returns:
        What was written.

    Raises:
        InputError: the file cannot be written.
        GalleryError: the collection's file is damaged, or it was never grouped.
    """
    with state.reading() as connection:
        remembered = read_settings(connection).get("album")
    if album is None and remembered is None:
        return None
    target = album or Path(os.path.normpath(folder / str(remembered)))
    page = album_page(state, folder=folder, album=target, is_default=is_default)
    with replace_file(target) as stream:
        stream.write(page.encode())
    if album is not None:
        with state.writing() as connection:
            write_setting(connection, "album", _relative(album.absolute(), folder.absolute()))
    return target


def _body(pages: _Pages, title: str) -> Iterator[str]:
    shown = pages.shown
    often = [person for person in shown.people if person.name or person.photos > 1]
    once = [person for person in shown.people if not person.name and person.photos == 1]
    yield _header(shown, title)
    if not shown.people:
        yield "<p class=empty>Nobody was found in these photos.</p>"
    if often:
        yield f"<section id=people><h2>People <small>{len(often)}</small></h2><div class=cards>"
        yield from (_card(person, pages) for person in often)
        yield "</div></section>"
    if shown.questions:
        yield "<section id=questions><h2>The same person?</h2><div class=questions>"
        yield from (_question(question, pages) for question in shown.questions)
        yield "</div></section>"
    if once:
        hint = _command(pages, "name", once[0].number, "NAME")
        yield f"<section id=once><h2>Seen once <small>{len(once)}</small></h2><div class=faces>"
        yield from (_face(person.faces[0], pages, title=person.title) for person in once)
        yield f"</div><details><summary>Give somebody a name</summary>{hint}</details></section>"
    yield from (_person(person, pages) for person in often)
    if shown.left_out:
        yield (
            f"<details class=left><summary>{_count(len(shown.left_out), 'face')} too small or too blurred to "
            "say whose they are</summary><div class=faces>"
        )
        yield from (_face(face, pages) for face in shown.left_out)
        yield "</div></details>"
    yield (
        "<footer>Made by Vultus on this computer; nothing was sent anywhere. The page carries faces: treat "
        "it as you treat the photos.</footer>"
    )


def _header(shown: Overview, title: str) -> str:
    files = sum(len(paths) for paths in shown.paths.values())
    named = sum(person.name is not None for person in shown.people)
    facts = [
        _count(files, "photo"),
        _count(shown.faces, "face"),
        _count(len(shown.people), "person", "people"),
    ]
    if named:
        facts.append(f"{named} with a name")
    return f"<header><h1>{_text(title)}</h1><p>{' &middot; '.join(facts)}</p></header>"


def _card(person: Person, pages: _Pages) -> str:
    title = _text(person.title)
    kind = "card" if person.name else "card unnamed"
    is_listed = person.name is not None or person.photos > 1
    target = f"#person-{person.number}" if is_listed else _photo(person.faces[0], pages)
    return (
        f"<a class='{kind}' href='{target}'>{_picture(person.faces[0], title, pages)}"
        f"<b>{title}</b><span>{_count(person.photos, 'photo')}</span></a>"
    )


def _question(question: Question, pages: _Pages) -> str:
    first, second = question.first, question.second
    pair = _card(first, pages) + _card(second, pages)
    merge = _command(pages, "merge", first.number, second.number)
    return f"<article><div class=pair>{pair}</div>{merge}</article>"


def _person(person: Person, pages: _Pages) -> str:
    faces = "".join(_face(face, pages) for face in person.faces)
    last = person.faces[-1].id
    commands = _command(pages, "name", person.number, "NAME")
    if len(person.faces) > 1:
        commands += _command(pages, "reject", person.number, last, note="not this person: the faces' numbers")
        commands += _command(pages, "split", person.number, last, note="another person: the faces' numbers")
    commands += _command(pages, "merge", person.number, "OTHER", note="the same as another: name or number")
    return (
        f"<section class=person id=person-{person.number}><div class=panel><div class=bar>"
        f"<h2>{_text(person.title)} <small>{_count(person.photos, 'photo')}</small></h2>"
        f"<a class=close href='#people' aria-label=Close>&times;</a></div><div class=faces>{faces}</div>"
        f"<details><summary>Put right</summary>{commands}</details></div></section>"
    )


def _face(face: FaceRow, pages: _Pages, *, title: str = "") -> str:
    path = pages.shown.paths[face.photo][0]
    label = _text(path)
    return (
        f"<a class=face href='{_photo(face, pages)}' title='{label}'>{_picture(face, label, pages)}"
        f"<span>{_text(title or Path(path).name)}</span><code>{face.id}</code></a>"
    )


def _photo(face: FaceRow, pages: _Pages) -> str:
    """The address of the photo that a face is in."""
    return html.escape(pages.to_photos + quote(os.fsencode(pages.shown.paths[face.photo][0])))


def _picture(face: FaceRow, alt: str, pages: _Pages) -> str:
    data = base64.b64encode(pages.pictures[face.id]).decode()
    return f"<img loading=lazy alt='{alt}' src='data:image/jpeg;base64,{data}'>"


def _command(pages: _Pages, verb: str, *values: object, note: str = "") -> str:
    words = " ".join(str(value) for value in values)
    line = f"vultus cluster {verb} {pages.command} {words}{pages.suffix}"
    return f"<p class=command><code>{_text(line)}</code>{f'<i>{note}</i>' if note else ''}</p>"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _text(value: str) -> str:
    """Any text as HTML, in an attribute too, whatever bytes a file name holds."""
    return html.escape(os.fsencode(value).decode(errors="replace"))


def _address(folder: Path, start: Path) -> str:
    """From a folder to another, as an address that ends with a slash."""
    relative = Path(_relative(folder, start))
    return (relative.as_uri() if relative.is_absolute() else quote(os.fsencode(relative.as_posix()))) + "/"


def _relative(path: Path, start: Path) -> str:
    """The way to a path, which stays right when both move together."""
    try:
        return os.path.relpath(path, start)
    except ValueError:  # on another drive of Windows
        return str(path)
