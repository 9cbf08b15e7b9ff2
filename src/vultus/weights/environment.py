"""What the environment decides about weights.

VULTUS_HOME     replaces the user's folders; weights lie in its sub-folder `weights`, what runtimes
                compile of them in `compiled`
VULTUS_OFFLINE  anything but 0, no, false or nothing: the network is never touched
VULTUS_MIRROR   downloads come from <mirror>/<file name> instead of the publishers
"""

import os
from pathlib import Path

from platformdirs import user_cache_path


def weights_folder() -> Path:
    """Where downloaded weights are kept; it need not exist yet."""
    return _cache_folder() / "weights"


def compiled_folder() -> Path:
    """Where runtimes keep what they have compiled for this machine; it may be deleted at any time."""
    return _cache_folder() / "compiled"


def _cache_folder() -> Path:
    home = os.environ.get("VULTUS_HOME")
    base = Path(home).expanduser() if home else user_cache_path("vultus", appauthor=False)
    return base.absolute()


def is_offline() -> bool:
    """Whether the user forbade the network."""
    return os.environ.get("VULTUS_OFFLINE", "").strip().lower() not in {"", "0", "no", "false"}


def mirrored(url: str, *, file_name: str) -> str:
    """The address to download from: the mirror's if there is one. The hash rules either way."""
    mirror = os.environ.get("VULTUS_MIRROR")
    return f"{mirror.rstrip('/')}/{file_name}" if mirror else url
