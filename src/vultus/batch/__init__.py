"""Photos by the thousand and by the hundred million: each is indexed once, whatever happens meanwhile.

`source.py` says where photos lie, `work.py` what is done with one of them, `processes.py` and `ray_job.py`
who does it, `sinks.py` and `parquet.py` where the faces go, `manifest.py` what is done already, and
`index.py` puts them together: start reading there.
"""

from vultus.batch.index import Indexed, index_photos
from vultus.batch.manifest import Manifest
from vultus.batch.parquet import ParquetSink
from vultus.batch.processes import in_processes, in_this_process
from vultus.batch.ray_job import on_ray
from vultus.batch.sinks import GallerySink, Sink
from vultus.batch.source import Photo, PhotoSource
from vultus.batch.work import FoundFace, People, PhotoFaces, PhotoWork, load_parts

__all__ = [
    "FoundFace",
    "GallerySink",
    "Indexed",
    "Manifest",
    "ParquetSink",
    "People",
    "Photo",
    "PhotoFaces",
    "PhotoSource",
    "PhotoWork",
    "Sink",
    "in_processes",
    "in_this_process",
    "index_photos",
    "load_parts",
    "on_ray",
]
