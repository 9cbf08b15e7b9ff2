"""`vultus cluster`: who is in a folder of photos, without anybody being enrolled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from vultus.cli import options
from vultus.cli.images import find_images, report, stderr
from vultus.cli.output import print_json, print_table
from vultus.cli.parts import make_detector, runtime_for
from vultus.cli.reporting import counted
from vultus.defaults import ACCURATE_EMBEDDER, DEFAULT_DETECTOR, MIN_FACE_PX

if TYPE_CHECKING:
    from vultus.cluster import Overview, Person, PhotoState, Scan


class RunsByDefault(TyperGroup):
    """`vultus cluster PHOTOS/` is short for `vultus cluster run PHOTOS/`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front of what is none."""
        if args and args[0] not in {*self.commands, "--help", "-h"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunsByDefault,
    no_args_is_help=True,
    help="Group the faces of a folder of photos into people; name, merge and split them; make an album.\n\n"
    "`vultus cluster PHOTOS/` is short for `vultus cluster run PHOTOS/`.",
)

STATE_NAME = ".vultus-people.db"
Photos = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTOS", exists=True, file_okay=False, help="The folder of the photos.", show_default=False
    ),
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help=f"Where faces, people and your decisions are kept; by default {STATE_NAME} in the folder.",
        show_default=False,
    ),
]
Somebody = Annotated[str, typer.Argument(help="The person's number or name.", show_default=False)]
Faces = Annotated[
    list[int],
    typer.Argument(metavar="FACE...", help="Numbers of faces, as the album shows them.", show_default=False),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Even if they are in one photo twice: a mirror, a picture in the picture."),
]
Album = Annotated[
    Path | None,
    typer.Option(
        "--album",
        metavar="FILE.html",
        help="Write an album there, now and after every change.",
        show_default=False,
    ),
]


@app.command()
def run(
    photos: Photos,
    *,
    album: Album = None,
    state: StateFile = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(
            "--min-similarity",
            min=-1,
            max=1,
            help="Mean cosine from which two groups of faces are one person, until the next run; larger is "
            "stricter.",
            show_default=f"measured for {ACCURATE_EMBEDDER}",
        ),
    ] = None,
    min_face_px: Annotated[
        float, typer.Option("--min-face-px", min=0, help="Leave smaller faces out, in pixels.")
    ] = MIN_FACE_PX,
    detector: options.DetectorName = DEFAULT_DETECTOR,
    retry: options.RetryHow = None,
    embedder: options.AccurateName = None,
    runtime: options.RuntimeName = "auto",
    as_json: options.Json = False,
) -> None:
    """Find the faces of new and changed photos, and group all faces into people.

    May be interrupted and started again at any time. What you said of people is kept.

    Example: vultus cluster run photos/ --album people.html

    Example: vultus cluster photos/ --json
    """
    from vultus.cluster import PhotoState, default_min_similarity, group_people, scan
    from vultus.embed import load_embedder

    paths = [Path(path) for path in find_images([str(photos)])]
    chosen = runtime_for(runtime, images=len(paths))
    vectors = load_embedder(embedder or ACCURATE_EMBEDDER, threads=1, runtime=chosen)
    least = default_min_similarity(vectors) if min_similarity is None else min_similarity
    with PhotoState(state or photos / STATE_NAME, create=True) as kept:
        with counted("Looking for people", total=len(paths)) as advance:
            seen = scan(
                kept,
                paths,
                folder=photos,
                detector=make_detector(detector, threads=1, runtime=chosen, retry=retry),
                embedder=vectors,
                on_progress=advance,
            )
        for path, error in seen.failures:
            report(str(path), error)
        group_people(kept, min_similarity=least, min_face_px=min_face_px)
        _present(kept, photos, album=album, state=state, seen=seen, as_json=as_json)
    if seen.failures:
        raise typer.Exit(seen.failures[0][1].exit_code)


@app.command("list")
def list_people(photos: Photos, *, state: StateFile = None, as_json: options.Json = False) -> None:
    """Who was found, as of the last run.

    Example: vultus cluster list photos/
    """
    from vultus.cluster import overview

    with _opened(photos, state) as kept:
        _print(overview(kept), seen=None, as_json=as_json)


@app.command()
def name(
    photos: Photos,
    person: Somebody,
    new_name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is.", show_default=False)],
    *,
    state: StateFile = None,
    as_json: options.Json = False,
) -> None:
    """Say who somebody is. Their faces stay together from then on.

    Example: vultus cluster name photos/ 3 "Eileen Collins"
    """
    from vultus.cluster import decisions

    with _opened(photos, state) as kept:
        decisions.name(kept, person, new_name)
        _present(kept, photos, state=state, as_json=as_json)


@app.command()
def merge(
    photos: Photos,
    person: Somebody,
    others: Annotated[
        list[str], typer.Argument(metavar="OTHER...", help="Numbers or names.", show_default=False)
    ],
    *,
    force: Force = False,
    state: StateFile = None,
    as_json: options.Json = False,
) -> None:
    """Say that several people are one; the first keeps number and name.

    Example: vultus cluster merge photos/ "Eileen Collins" 7 12
    """
    from vultus.cluster import decisions

    with _opened(photos, state) as kept:
        decisions.merge(kept, person, others, force=force)
        _present(kept, photos, state=state, as_json=as_json)


@app.command()
def split(
    photos: Photos,
    person: Somebody,
    faces: Faces,
    *,
    state: StateFile = None,
    as_json: options.Json = False,
) -> None:
    """Say that some of somebody's faces are one other person, and keep the two apart for good.

    Example: vultus cluster split photos/ 3 41 57
    """
    from vultus.cluster import decisions

    with _opened(photos, state) as kept:
        new = decisions.split(kept, person, faces)
        stderr.print(f"the new person has number {new}", highlight=False)
        _present(kept, photos, state=state, as_json=as_json)


@app.command()
def reject(
    photos: Photos,
    person: Somebody,
    faces: Faces,
    *,
    state: StateFile = None,
    as_json: options.Json = False,
) -> None:
    """Say that faces are not this person's; whose they are is found out anew.

    Example: vultus cluster reject photos/ "Eileen Collins" 41
    """
    from vultus.cluster import decisions

    with _opened(photos, state) as kept:
        decisions.reject(kept, person, faces)
        _present(kept, photos, state=state, as_json=as_json)


@app.command()
def move(
    photos: Photos,
    person: Somebody,
    faces: Faces,
    *,
    force: Force = False,
    state: StateFile = None,
    as_json: options.Json = False,
) -> None:
    """Say that faces are this person's, whoever has them now.

    Example: vultus cluster move photos/ "Eileen Collins" 41 57
    """
    from vultus.cluster import decisions

    with _opened(photos, state) as kept:
        decisions.move(kept, person, faces, force=force)
        _present(kept, photos, state=state, as_json=as_json)


@contextmanager
def _opened(photos: Path, state: Path | None) -> Iterator[PhotoState]:
    from vultus.cluster import PhotoState

    with PhotoState(state or photos / STATE_NAME) as kept:
        yield kept


def _present(
    kept: PhotoState,
    photos: Path,
    *,
    state: Path | None,
    as_json: bool,
    album: Path | None = None,
    seen: Scan | None = None,
) -> None:
    """Write the album, if one is wanted, and print who there is."""
    from vultus.cluster import overview, write_album

    written = write_album(kept, album, folder=photos, is_default=state is None)
    if written is not None:
        stderr.print(f"wrote {written}", highlight=False, markup=False)
    _print(overview(kept), seen=seen, as_json=as_json)


def _print(shown: Overview, *, seen: Scan | None, as_json: bool) -> None:
    if as_json:
        print_json(_scan_fields(seen) | _fields(shown))
        return
    often = [one for one in shown.people if one.name or one.photos > 1]
    rows = [{"number": one.number, "name": one.name, "photos": one.photos} for one in often]
    print_table(rows, columns={"number": "person", "name": "name", "photos": "photos"})
    once = len(shown.people) - len(often)
    looked = f"{seen.looked_at} of {seen.files} photos looked at; " if seen else ""
    stderr.print(
        f"{looked}people: {len(often)} in several photos or with a name, {once} seen once; "
        f"faces: {shown.faces}, {len(shown.left_out)} of them too small or too blurred; threshold "
        f"{shown.min_similarity:.3f}",
        highlight=False,
    )


def _scan_fields(seen: Scan | None) -> dict[str, Any]:
    if seen is None:
        return {}
    counts = {key: getattr(seen, key) for key in ("files", "looked_at", "added", "changed", "removed")}
    return counts | {
        "failures": [{"file": _printable(path), "reason": str(why)} for path, why in seen.failures]
    }


def _fields(shown: Overview) -> dict[str, Any]:
    return {
        "min_similarity": round(shown.min_similarity, 4),
        "people": [_person_fields(person, shown) for person in shown.people],
        "left_out": [face.id for face in shown.left_out],
        "questions": [
            {"people": [one.first.number, one.second.number], "similarity": round(one.similarity, 4)}
            for one in shown.questions
        ],
    }


def _person_fields(person: Person, shown: Overview) -> dict[str, Any]:
    faces = [
        {
            "face": face.id,
            "box": list(face.box),
            "files": [_printable(path) for path in shown.paths[face.photo]],
        }
        for face in person.faces
    ]
    return {"number": person.number, "name": person.name, "photos": person.photos, "faces": faces}


def _printable(path: str | Path) -> str:
    """A path whose bytes may be no text, as text."""
    return str(path).encode(errors="backslashreplace").decode()
