"""May these weights be used commercially, by what their publishers say? A guard, no legal advice."""

from typing import Final

from vultus.errors import WeightsError
from vultus.weights.description import NOT_STATED, WeightsEntry

_PERMISSIVE: Final = frozenset({"Apache-2.0", "BSD-3-Clause", "MIT"})
_COPYLEFT: Final = ("AGPL", "GPL", "LGPL")


def commercial_obstacle(weights: WeightsEntry) -> str | None:
    """Why the weights should not be used commercially, in words; None where nothing stated stands against it.

    Whatever is not known to be permissive is an obstacle.
    """
    licence = weights.licence
    if licence.weights == NOT_STATED:
        return "the publisher states no licence for the weights"
    for what, terms in (("weights", licence.weights), ("code", licence.code)):
        if terms.startswith(_COPYLEFT):
            return f"the {what} are under {terms}, a copyleft licence"
        if terms not in _PERMISSIVE:
            return f"the terms of the {what} are: {terms}"
    if licence.is_data_research_only:
        return f"trained on data for research only: {licence.data}"
    return None


def check_commercial(weights: WeightsEntry) -> None:
    """Refuse weights that should not be used commercially.

    Raises:
        WeightsError: with the obstacle.
    """
    obstacle = commercial_obstacle(weights)
    if obstacle is not None:
        raise WeightsError(
            f"{weights.name} is refused for commercial use: {obstacle}. "
            "`vultus weights list --commercial` shows what remains."
        )
