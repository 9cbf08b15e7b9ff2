"""Enrolled people, held durably."""

from vultus.gallery.archive_import import Imported, OnConflict
from vultus.gallery.copy import Copied, copy_gallery
from vultus.gallery.damage import Damage
from vultus.gallery.doctor import Checkup
from vultus.gallery.engine import DurableGallery
from vultus.gallery.journal import AuditEntry
from vultus.gallery.names import checked_name
from vultus.gallery.open import is_address, open_gallery
from vultus.gallery.salvage import Salvaged, salvage
from vultus.gallery.sqlite import SqliteGallery
from vultus.gallery.stats import GalleryStats

__all__ = [
    "AuditEntry",
    "Checkup",
    "Copied",
    "Damage",
    "DurableGallery",
    "GalleryStats",
    "Imported",
    "OnConflict",
    "Salvaged",
    "SqliteGallery",
    "checked_name",
    "copy_gallery",
    "is_address",
    "open_gallery",
    "salvage",
]
