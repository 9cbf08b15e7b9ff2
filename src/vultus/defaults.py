"""What is taken where nothing is said: one line each, for the library and for its command line alike.

Plain values that import nothing: `vultus --help` shows them without loading a detector or a network. The
rooms that work with them pass them on: `vultus.embed.DEFAULT_EMBEDDER` is this one.
"""

from typing import Final

DEFAULT_DETECTOR: Final = "retinaface"  # one of `vultus.detect.DETECTORS` that has weights of its own
DEFAULT_EMBEDDER: Final = "slim-sface-vultus"  # one of `vultus.embed.embedder_names()`
ACCURATE_EMBEDDER: Final = "sface-int8bq"  # where nobody waits: to teach, to clean a set, to group
DEFAULT_MAX_PIXELS: Final = 50_000_000  # a larger image is refused before it is decoded
IMAGE_SUFFIXES: Final = frozenset(  # of the files that are taken for images where a folder is searched
    {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2"}
    | {".mpo", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

# Beyond these a face should not be trusted; what was measured stands in `vultus.quality.assessment`.
MIN_FACE_PX: Final = 40.0  # enlarging a smaller face invents nothing
MIN_SHARPNESS: Final = 0.25  # the least sharp of 5,000 real faces has 0.28; a blur of 2 px and more is below
MAX_TURN: Final = 0.8  # nearly a profile: one face in 300
