"""Who is in a folder of photos: faces that nobody named, grouped into people, and what a user says of it."""

from vultus.cluster.album import album_page, write_album
from vultus.cluster.decisions import merge, move, name, reject, split
from vultus.cluster.grouping import LINKAGE_FMR, default_min_similarity, group_people
from vultus.cluster.linkage import link
from vultus.cluster.overview import Overview, Person, Question, overview
from vultus.cluster.scan import Scan, scan
from vultus.cluster.state import PhotoState

__all__ = [
    "LINKAGE_FMR",
    "Overview",
    "Person",
    "PhotoState",
    "Question",
    "Scan",
    "album_page",
    "default_min_similarity",
    "group_people",
    "link",
    "merge",
    "move",
    "name",
    "overview",
    "reject",
    "scan",
    "split",
    "write_album",
]
