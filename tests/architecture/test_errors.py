"""The tree on top of errors.py is the tree of classes, with the same exit codes and HTTP statuses."""

import inspect
import re

import pytest

from vultus import errors
from vultus.errors import VultusError

TREE = inspect.getdoc(errors) or ""
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, VultusError) and value is not VultusError
]
LINE = re.compile(
    r"^(?P<bars>[│├└─ ]+)(?P<name>\w+Error)(\((?P<builtin>\w+)\))?\s+(?P<meaning>.+)$", re.MULTILINE
)
DRAWN = {match["name"]: match for match in LINE.finditer(TREE)}


def test_every_error_is_drawn_and_every_drawn_error_exists() -> None:
    assert len(CLASSES) >= 9
    assert set(DRAWN) == {error.__name__ for error in CLASSES}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_hangs_where_it_is_drawn(error: type[VultusError]) -> None:
    drawn = DRAWN[error.__name__]
    depth = len(drawn["bars"]) // 4
    assert len([base for base in error.__mro__ if issubclass(base, VultusError)]) - 1 == depth
    if drawn["builtin"]:
        assert drawn["builtin"] in {base.__name__ for base in error.__bases__}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_exit_codes_and_statuses_are_the_drawn_ones(error: type[VultusError]) -> None:
    told = re.search(r"HTTP (\d+), exit (\d+)", DRAWN[error.__name__]["meaning"])
    if told:  # the leaves inherit those of their branch
        assert (error.http_status, error.exit_code) == (int(told[1]), int(told[2]))
    else:
        parent = error.__bases__[0]
        assert issubclass(parent, VultusError)
        assert (error.http_status, error.exit_code) == (parent.http_status, parent.exit_code)


def test_branches_have_exit_codes_of_their_own() -> None:
    branches = [error for error in CLASSES if error.__bases__[0] is VultusError]
    assert len({error.exit_code for error in branches}) == len(branches)
    assert not {0, 1} & {error.exit_code for error in branches}  # success, and Python's own crash
