"""Which code measured: the commit, where git keeps the code."""

import re
from pathlib import Path

import pytest

import vultus
from vultus.evaluate.provenance import Provenance, commit


def test_the_commit_is_that_of_the_code() -> None:
    if not (Path(vultus.__file__).parents[2] / ".git").exists():
        pytest.skip("this code is not kept by git")
    told = commit()
    assert told is not None
    assert re.fullmatch(r"[0-9a-f]{40}\+?", told)
    assert Provenance.now("vultus").commit == told
