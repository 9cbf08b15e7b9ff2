"""What is taken where nothing is said: one line each, for the library and for its command line alike.

Plain values that import nothing: `vultus --help` shows them without loading a detector or a network. The
rooms that work with them pass them on: `vultus.embed.DEFAULT_EMBEDDER` is this one.
"""

from typing import Final

DEFAULT_DETECTOR: Final = "mtcnn"  # one of `vultus.detect.DETECTORS` that has weights of its own
DEFAULT_EMBEDDER: Final = "sface-int8bq"  # one of `vultus.embed.embedder_names()`
