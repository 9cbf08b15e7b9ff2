"""What the environment decides about weights.

VULTUS_HOME     replaces the user's folders; weights lie in its sub-folder `weights`
VULTUS_OFFLINE  anything but 0, no, false or nothing: the network is never touched
VULTUS_MIRROR   downloads come from <mirror>/<file name> instead of the publishers
"""

import os
from pathlib import Path

from platformdirs import user_cache_path


def weights_folder() -> Path:
    """Where downloaded weights are kept; it need not exist yet."""
    home = os.environ.get("VULTUS_HOME")
    base = Path(home).expanduser() if home else user_cache_path("vultus", appauthor=False)
    return base.absolute() / "weights"


def is_offline() -> bool:
    """Whether the user forbade the network."""
    return os.environ.get("VULTUS_OFFLINE", "").strip().lower() not in {"", "0", "no", "false"}


def mirrored(url: str, *, file_name: str) -> str:
    """The address to download from: the mirror's if there is one. The hash rules either way."""
    mirror = os.environ.get("VULTUS_MIRROR")
    return f"{mirror.rstrip('/')}/{file_name}" if mirror else url
