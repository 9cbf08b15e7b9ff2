"""Enrolled people, held durably."""

from vultus.gallery.agreement import Agreement, compare
from vultus.gallery.archive_import import Imported, OnConflict
from vultus.gallery.copy import Copied, copy_gallery
from vultus.gallery.damage import Damage
from vultus.gallery.diagnosis import Diagnosis, Finding, examine
from vultus.gallery.doctor import Checkup
from vultus.gallery.encryption import encrypt, rotate_key
from vultus.gallery.engine import DurableGallery
from vultus.gallery.erasure import Erasure, erase
from vultus.gallery.journal import AuditEntry
from vultus.gallery.migrate import Reembedded, reembed, switch
from vultus.gallery.names import checked_name
from vultus.gallery.open import is_address, open_gallery
from vultus.gallery.reassign import merge, move_template
from vultus.gallery.retention import erase_due, people_due, set_retention
from vultus.gallery.salvage import Salvaged, salvage
from vultus.gallery.sqlite import SqliteGallery
from vultus.gallery.stats import GalleryStats

__all__ = [
    "Agreement",
    "AuditEntry",
    "Checkup",
    "Copied",
    "Damage",
    "Diagnosis",
    "DurableGallery",
    "Erasure",
    "Finding",
    "GalleryStats",
    "Imported",
    "OnConflict",
    "Reembedded",
    "Salvaged",
    "SqliteGallery",
    "checked_name",
    "compare",
    "copy_gallery",
    "encrypt",
    "erase",
    "erase_due",
    "examine",
    "is_address",
    "merge",
    "move_template",
    "open_gallery",
    "people_due",
    "reembed",
    "rotate_key",
    "salvage",
    "set_retention",
    "switch",
]
