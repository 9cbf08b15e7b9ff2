"""Drawing without a window: figures of their own, one look for all of them.

What is drawn is a function that returns a figure, so that nothing is drawn, and matplotlib is not needed,
until a report is written into a folder.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from vultus.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pictures: TypeAlias = Mapping[str, Callable[[], "Figure"]]  # file name -> what draws it

# Okabe and Ito's colours, which people with any colour vision can tell apart; dark ones first.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
DPI: Final = 120


def new_figure(title: str, *, width: float = 6.4, height: float = 4.8) -> "Figure":
    """A figure of its own, in inches: without pyplot there is no window and no state.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing curves needs matplotlib: pip install 'vultus[evaluate]'") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title)
    return figure


def save_pictures(pictures: Pictures, folder: Path) -> tuple[Path, ...]:
    """Draw each picture into `folder`, which is made if need be, as a PNG of its name; returns the paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in pictures.items():
        draw().savefig(folder / name, format="png", dpi=DPI)
    return tuple(folder / name for name in pictures)
