"""A pickle as data: values come out, calls stay wishes."""

import pickle
import sys
from typing import Any

import pytest

from vultus.evaluate.pickle_data import Asked, Name, read_pickle


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        [],
        (),
        [b"", b"\x00\xff" * 300, True, False, None, "text", 1, -1, 70000, 2**40],
        ([1], [2, [3, ()]], ((4,), (5, 6), (7, 8, 9), (1, 2, 3, 4))),
        [list(range(2000))],  # more than one batch of appends
    ],
    ids=["list", "tuple", "values", "nested", "long"],
)
def test_plain_values_come_out_as_they_went_in(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    if protocol < 3 and isinstance(value, list) and len(value) > 2:
        wanted = value[2:]  # bytes are a call of an encoder there
        assert read_pickle(data)[2:] == wanted
    else:
        assert read_pickle(data) == value


def test_one_value_that_is_named_twice_is_one_value() -> None:
    shared = [b"image"]
    first, second = read_pickle(pickle.dumps((shared, shared)))
    assert first is second


def test_a_call_is_told_not_made() -> None:
    assert "this" not in sys.modules  # a module that prints when it is imported
    asked = read_pickle(b"cthis\nhello\n(I1\nS'two'\ntR(I3\ntb.")
    assert isinstance(asked, Asked)
    assert (asked.function, asked.arguments, asked.state) == (Name("this", "hello"), (1, b"two"), (3,))
    assert repr(asked) == "a call of this.hello"
    assert "this" not in sys.modules


def test_a_call_of_something_odd_is_told_in_few_words() -> None:
    assert repr(Asked(("not", "a name"), ())) == "a call of something without a name"
    assert str(Name("module", 3)) == "something without a name"
    assert len(str(Name("m" * 10_000, "n"))) == 80
