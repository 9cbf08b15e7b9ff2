"""Telling which row is damaged."""

from dataclasses import dataclass
from pathlib import Path

from vultus.errors import GalleryError
from vultus.gallery.journal import AuditEntry
from vultus.gallery.rows import PersonRow, TemplateRow

CHANGED = "it is not what was written (checksum)"


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing in a gallery that is not as it was written.

    Attributes:
        what: "the record" of a person, "template 12", "the crop of template 12", "audit entry 3", or
            "the file" for SQLite's own structure.
        identity_id: whose it is; empty where that is not known.
        name: their name, likewise.
        reason: what is wrong.
    """

    what: str
    identity_id: str
    name: str
    reason: str

    def __str__(self) -> str:
        person = f"'{self.name}'" if self.name else self.identity_id
        return f"{self.what} of {person}: {self.reason}" if person else f"{self.what}: {self.reason}"


def damaged_person(person: PersonRow, reason: str = CHANGED) -> Damage:
    """What to say of a damaged row of people."""
    return Damage("the record", str(person.id), str(person.name), reason)


def damaged_template(template: TemplateRow, name: str = "", reason: str = CHANGED) -> Damage:
    """What to say of a damaged row of templates, with the name of the person if that is known."""
    return Damage(f"template {template.id}", str(template.identity_id), name, reason)


def damaged_entry(entry: AuditEntry) -> Damage:
    """What to say of a damaged entry of the audit log."""
    return Damage(f"audit entry {entry.seq}", "", "", CHANGED)


def damaged_setting(name: str) -> Damage:
    """What to say of a damaged row of settings."""
    return Damage(f"the setting {name!r}", "", "", CHANGED)


def damaged_crop(template: TemplateRow, name: str = "") -> Damage:
    """What to say of a crop that is not the one its template was written with."""
    return Damage(f"the crop of template {template.id}", template.identity_id, name, CHANGED)


def gallery_error(path: Path, damage: Damage) -> GalleryError:
    """The error to raise for a damaged row."""
    return GalleryError(
        f"gallery {path}: damaged: {damage}. The rest can be read with salvage=True "
        "(`--salvage`), and copied to a new file with `vultus gallery salvage`"
    )
