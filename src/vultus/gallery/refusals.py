"""What a gallery refuses, whichever engine keeps it, and in which words."""

from collections.abc import Collection, Sequence
from pathlib import Path

from vultus.errors import GalleryError, NotEnrolledError
from vultus.gallery.rows import PersonRow


def check_spelling(person: PersonRow, display: str) -> None:
    """Refuse to take a name for somebody's that only looks like it.

    Raises:
        GalleryError: the person's name is spelled in another way.
    """
    if person.name != display:
        raise GalleryError(
            f"there is nobody called '{display}', but there is '{person.name}', which looks alike; "
            "use that spelling, or a name that nobody confuses with it"
        )


def check_free(namesake: PersonRow | None, person: PersonRow) -> None:
    """Refuse to give a person the name of somebody else.

    Raises:
        GalleryError: the namesake is not the person.
    """
    if namesake is not None and namesake.id != person.id:
        raise GalleryError(f"there is somebody called '{namesake.name}' already; choose another name")


def check_removable(person: PersonRow, template_id: int, *, of: Collection[int]) -> None:
    """Refuse to take away what is not there, or a person's last template.

    Raises:
        NotEnrolledError: there is no such template of theirs.
        GalleryError: it is the last one.
    """
    if template_id not in of:
        raise NotEnrolledError(f"'{person.name}' has no template {template_id}")
    if person.template_count == 1:
        raise GalleryError(
            f"template {template_id} is the last one of '{person.name}': nobody could be recognised "
            "by what is left. Remove the person, or enrol another photo first"
        )


def check_absent(present: Sequence[PersonRow]) -> None:
    """Refuse to add people whose ids or names are in the gallery.

    Args:
        present: those in the gallery who have the id or the name of one of them.

    Raises:
        GalleryError: there is somebody.
    """
    if present:
        names = ", ".join(f"'{person.name}' ({person.id})" for person in present[:5])
        more = f" and {len(present) - 5} more" if len(present) > 5 else ""
        raise GalleryError(f"nobody was added: there is in the gallery already {names}{more}")


def nobody(identity_id: object, *, where: Path | str) -> NotEnrolledError:
    """What to raise where nobody has an id."""
    return NotEnrolledError(f"there is nobody with the id {identity_id!r} in {where}")


def nobody_called(name: str, *, where: Path | str) -> NotEnrolledError:
    """What to raise where nobody has a name."""
    return NotEnrolledError(f"there is nobody called '{name}' in {where}")
