"""What the environment decides about weights, and about where the user's files lie.

VULTUS_HOME     replaces the user's folders; weights lie in its sub-folder `weights`, what runtimes
                compile of them in `compiled`, and the gallery of the command line beside them
VULTUS_OFFLINE  anything but 0, no, false or nothing: the network is never touched
VULTUS_MIRROR   downloads come from <mirror>/<file name> instead of the publishers
"""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path


def weights_folder() -> Path:
    """Where downloaded weights are kept; it need not exist yet."""
    return _cache_folder() / "weights"


def compiled_folder() -> Path:
    """Where runtimes keep what they have compiled for this machine; it may be deleted at any time."""
    return _cache_folder() / "compiled"


def data_folder() -> Path:
    """Where what the user makes is kept, such as the default gallery; it need not exist yet."""
    return (_home() or user_data_path("vultus", appauthor=False)).absolute()


def _cache_folder() -> Path:
    return (_home() or user_cache_path("vultus", appauthor=False)).absolute()


def _home() -> Path | None:
    home = os.environ.get("VULTUS_HOME")
    return Path(home).expanduser() if home else None


def is_offline() -> bool:
    """Whether the user forbade the network."""
    return os.environ.get("VULTUS_OFFLINE", "").strip().lower() not in {"", "0", "no", "false"}


def mirrored(url: str, *, file_name: str) -> str:
    """The address to download from: the mirror's if there is one. The hash rules either way."""
    mirror = os.environ.get("VULTUS_MIRROR")
    return f"{mirror.rstrip('/')}/{file_name}" if mirror else url
