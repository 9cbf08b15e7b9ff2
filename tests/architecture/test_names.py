"""One spelling each, small files, no drawers for odds and ends, and every public name documented."""

import ast
import inspect
from pathlib import Path

import pytest

import vultus

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "vultus").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
NO_ROOMS = {"base", "common", "core", "helper", "helpers", "misc", "shared", "tools", "util", "utils"}
NO_CLASSES = ("Base", "Handler", "Helper", "Impl", "Manager", "Wrapper")
MAX_LINES = 400


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 20
    assert len(TESTS) > 10


def test_files_are_short_enough_to_be_read() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *TESTS]}
    assert {str(path): length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_what_has_no_room_has_no_name() -> None:
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in SOURCES}
    assert [str(path) for path in SOURCES if NO_ROOMS & set(parts[path])] == []


def test_classes_are_called_after_what_they_are() -> None:
    classes = [
        node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 20
    assert [name for name in classes if name.startswith("Base") or name.endswith(NO_CLASSES)] == []


def test_every_module_says_what_it_is() -> None:
    assert [str(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_failures_are_raised_and_named() -> None:
    """No assert for the caller's mistakes (python -O drops it), and none of the types that say nothing."""
    raised = [
        f"{path}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _is_untyped(node.exc.func))
    ]
    assert raised == []


def _is_untyped(raised: ast.expr) -> bool:
    return isinstance(raised, ast.Name) and raised.id in {"Exception", "RuntimeError", "ValueError"}


def test_every_public_name_exists_and_is_documented() -> None:
    assert len(vultus.__all__) > 10
    assert len(set(vultus.__all__)) == len(vultus.__all__)
    values = {name: getattr(vultus, name) for name in vultus.__all__}
    needy = [name for name, value in values.items() if inspect.isclass(value) or inspect.isroutine(value)]
    assert needy
    assert [name for name in needy if not inspect.getdoc(values[name])] == []


def test_the_public_names_are_listed_by_dir() -> None:
    assert set(vultus.__all__) <= set(dir(vultus))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vultus.no_such_name


def test_the_names_that_type_checkers_see_are_those_that_are_loaded() -> None:
    """`__init__` says each name twice: under TYPE_CHECKING, and for the lazy import."""
    tree = ast.parse((ROOT / "src" / "vultus" / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vultus.")
        for alias in node.names
    }
    loaded = {f"vultus.{room}.{name}" for room, names in vultus._ROOMS.items() for name in names}
    assert imported == loaded
