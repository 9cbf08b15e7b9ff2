"""What a pickle asks for, as data: nothing in it is called, imported or looked up.

A pickle is a program for a small stack machine, and `pickle.load` runs it: a file of images may as well
delete a disk. `read_pickle` runs only the instructions that put together lists, tuples, bytes, text, numbers
and truth values. Where the program wants a function called, `Asked` says which, with what; whoever reads the
result decides whether that means something to them. An instruction that is not listed here ends the reading.

Python's `pickletools` cuts the file into instructions; it executes none.
"""

import pickletools
from io import BytesIO
from typing import Any, NamedTuple

from vultus.errors import InputError

_VALUES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
_VALUES |= {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_VALUES |= {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_PYTHON_2_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # bytes, which pickletools shows as Latin-1
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_SHORT_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_LONGEST_NAME = 80  # characters that a message shows


class Name(NamedTuple):
    """Something that the pickle would import; both are text, unless the pickle is hostile."""

    module: Any
    name: Any

    def __str__(self) -> str:
        parts = [part for part in self if isinstance(part, str)]
        return ".".join(parts)[:_LONGEST_NAME] if len(parts) == 2 else "something without a name"


class Asked:
    """A call that the pickle wants, and that was not made.

    Attributes:
        function: what it would call: a `Name`, where the pickle is not odder than that.
        arguments: with what.
        state: what it would give the result to restore itself from, if anything.
    """

    def __init__(self, function: Any, arguments: Any) -> None:
        self.function = function
        self.arguments = arguments
        self.state: Any = None

    def __repr__(self) -> str:
        what = str(self.function) if isinstance(self.function, Name) else "something without a name"
        return f"a call of {what}"


def read_pickle(data: bytes) -> Any:
    """The list, tuple or other plain value that the pickle builds, with an `Asked` in place of each call.

    Raises:
        InputError: truncated, no pickle at all, or with an instruction that plain data has no need of; the
            message tells the byte.
    """
    machine = _Machine()
    try:
        for opcode, argument, position in pickletools.genops(BytesIO(data)):
            machine.position = position or 0
            machine.do(opcode.name, argument)
        return machine.pop()
    except InputError as error:
        raise InputError(f"at byte {machine.position:,}: {error}") from None
    except (ValueError, LookupError) as error:  # an instruction cut short, or one without what it works on
        raise InputError(f"damaged at or after byte {machine.position:,}: {error}") from error


class _Machine:
    """The stack, the marks on it, and the values that are kept for later.

    Attributes:
        position: the byte of the file at which the last instruction stands.
    """

    def __init__(self) -> None:
        self.position = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:
        return self._stack.pop()

    def do(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _PYTHON_2_STRINGS:
            self._stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}:
            self._memo[len(self._memo) if argument is None else argument] = self._stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            self._stack.append(self._memo[argument])
        elif name in {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"}:
            self._ask(name, argument)
        elif name not in {"PROTO", "FRAME", "STOP"}:
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Lists and tuples."""
        if name == "MARK":
            self._marks.append(len(self._stack))
        elif name == "EMPTY_LIST":
            self._stack.append([])
        elif name == "APPEND":
            value = self.pop()
            self._list().append(value)
        elif name == "APPENDS":
            values = self._above_mark()
            self._list().extend(values)
        elif name == "LIST":
            self._stack.append(self._above_mark())
        elif name == "TUPLE":
            self._stack.append(tuple(self._above_mark()))
        elif name in _SHORT_TUPLES:
            start = len(self._stack) - _SHORT_TUPLES[name]
            if start < 0:
                raise InputError(f"the instruction {name} for more values than there are")
            self._stack[start:] = [tuple(self._stack[start:])]
        else:
            raise InputError(f"the instruction {name}, which lists of bytes and truth values have no need of")

    def _ask(self, name: str, argument: Any) -> None:
        """Whatever would import or call."""
        if name == "GLOBAL":
            self._stack.append(Name(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            module, attribute = self._stack[-2:]
            self._stack[-2:] = [Name(module, attribute)]
        elif name == "REDUCE":
            function, arguments = self._stack[-2:]
            self._stack[-2:] = [Asked(function, arguments)]
        else:
            state = self.pop()
            if not isinstance(self._stack[-1], Asked):
                raise InputError("it would restore the state of something that it has not made")
            self._stack[-1].state = state

    def _list(self) -> list[Any]:
        if not isinstance(self._stack[-1], list):
            raise InputError("it would append to something that is no list")
        return self._stack[-1]

    def _above_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values
