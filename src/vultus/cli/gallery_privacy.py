"""`vultus gallery erase`, `retention`, `encrypt`, `rotate-key`, `new-key`: whose faces these are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.cli import options
from vultus.cli.images import stderr
from vultus.cli.output import print_json
from vultus.cli.parts import any_gallery, gallery_path, open_gallery

if TYPE_CHECKING:
    from vultus.gallery import SqliteGallery
    from vultus.gallery.erasure import Erasure

AlsoSearch = Annotated[
    list[Path] | None,
    typer.Option(
        "--also-search",
        metavar="FILE",
        help="Search this file, too: an export, a backup, a copy. Repeatable.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
KEY_HELP = "Where the key is: a file, env:NAME or keyring:SERVICE/USER."
NOT_PROVEN = 5
"""`vultus gallery erase` exits with this, as every GalleryError does, when something was found."""


def erase(
    person: Annotated[str, typer.Argument(help="The person's name or id.", show_default=False)],
    *,
    also_search: AlsoSearch = None,
    yes: Yes = False,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """Erase a person, and prove it: every file of the gallery is searched for what is left, byte by byte.

    Exits with 5 where something is found.

    Example: vultus gallery erase "Eileen Collins" --also-search backup.zip
    """
    from vultus.gallery.erasure import erase_anywhere

    with any_gallery(gallery) as store:
        identity = store.find(person)
        if not yes:
            typer.confirm(f"Erase '{identity.name}' and {identity.template_count} templates?", abort=True)
        proof = erase_anywhere(store, identity.id, also_search=also_search or ())
    _present([proof], as_json=as_json)


def retention(
    *,
    days: Annotated[
        int | None,
        typer.Option(
            "--days", min=1, help="Keep people so long after their newest template.", show_default=False
        ),
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Keep people for ever.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Erase everybody who is due.")] = False,
    yes: Yes = False,
    also_search: AlsoSearch = None,
    gallery: options.GalleryFile = None,
    as_json: options.Json = False,
) -> None:
    """How long people stay; show who is due, and erase them with --apply.

    A date in a person's metadata under `keep_until` goes before the period.

    Example: vultus gallery retention --days 365 --apply --yes
    """
    from vultus.gallery.retention import erase_due, people_due, retention_days, set_retention

    with open_gallery(gallery) as store:
        if days is not None or forever:
            set_retention(store, None if forever else days)
        due = people_due(store)
        if apply and due:
            if not yes:
                typer.confirm(f"Erase {', '.join(person.name for person in due)}?", abort=True)
            _present(erase_due(store, also_search=also_search or ()), as_json=as_json)
        period = retention_days(store)
    if as_json:
        print_json({"days": period, "due": [person.name for person in due]})
        return
    typer.echo("people stay for ever" if period is None else f"people stay for {period} days")
    typer.echo(f"due: {', '.join(person.name for person in due) or 'nobody'}")


def new_key(target: Annotated[Path, typer.Argument(help="The file to make.", show_default=False)]) -> None:
    """Make a key for an encrypted gallery, in a file that only its owner reads. Keep a copy elsewhere.

    Example: vultus gallery new-key people.key
    """
    from vultus.gallery.keys import new_key as make_key
    from vultus.gallery.keys import write_key

    write_key(make_key(), target)
    typer.echo(f"wrote {target}; without it nobody reads what is encrypted with it")


def encrypt(
    *,
    key: Annotated[str, typer.Option("--key", help=KEY_HELP, show_default=False)],
    gallery: options.GalleryFile = None,
) -> None:
    """Encrypt every vector and crop, those to come included; finishes what was interrupted.

    Every other command then finds the key by VULTUS_GALLERY_KEY_FILE or VULTUS_GALLERY_KEY.

    Example: vultus gallery encrypt --key people.key
    """
    from vultus.gallery.encryption import encrypt as encrypt_gallery
    from vultus.gallery.keys import read_key

    value = read_key(key)
    with _open_with(value, gallery) as store:
        encrypt_gallery(store, value)
    typer.echo("encrypted")


def rotate_key(
    *,
    key: Annotated[str, typer.Option("--key", help=f"The present key. {KEY_HELP}", show_default=False)],
    new: Annotated[str, typer.Option("--new-key", help=f"The new key. {KEY_HELP}", show_default=False)],
    gallery: options.GalleryFile = None,
) -> None:
    """Encrypt everything anew under another key; finishes what was interrupted, by the same command.

    Example: vultus gallery rotate-key --key people.key --new-key next.key
    """
    from vultus.errors import GalleryError
    from vultus.gallery.encryption import rotate_key as rotate
    from vultus.gallery.keys import read_key

    present, wanted = read_key(key), read_key(new)
    try:
        store = _open_with(present, gallery)
    except GalleryError:  # the first step may be done already
        store = _open_with(wanted, gallery)
    with store:
        rotate(store, wanted)
    typer.echo("encrypted anew; the old key opens nothing any more")


def _open_with(key: bytes, gallery: str | None) -> SqliteGallery:
    from vultus.errors import GalleryError
    from vultus.gallery import SqliteGallery

    path = gallery_path(gallery)
    if not path.exists():
        raise GalleryError(f"there is no gallery at {path}: enrol somebody first (vultus enrol)")
    return SqliteGallery(path, key=key)


def _present(proofs: list[Erasure], *, as_json: bool) -> None:
    """Say what was erased and what was found; exits with 5 if anything was."""
    told: list[dict[str, Any]] = [
        {
            "id": proof.identity_id,
            "templates": proof.templates,
            "searched": [{"file": file, "bytes": size} for file, size in proof.searched],
            "fragments": proof.fragments,
            "found": list(proof.found),
            "log_emptied": proof.is_log_empty,
        }
        for proof in proofs
    ]
    if as_json:
        print_json(told)
    for proof in proofs:
        if not as_json:
            size = sum(size for _, size in proof.searched)
            typer.echo(
                f"erased {proof.identity_id}: {proof.templates} templates. Searched {len(proof.searched)} "
                f"files, {size:,} bytes, for {proof.fragments} fragments: found {len(proof.found)}"
            )
        for place in proof.found:
            stderr.print(f"still there: {place}", style="red", highlight=False, markup=False)
    if any(not proof.is_proven for proof in proofs):
        raise typer.Exit(NOT_PROVEN)
