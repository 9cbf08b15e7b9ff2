"""ALGORITHMS.md names every algorithm, its files exist, and its papers are those that the files state."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ALGORITHMS.md").read_text(encoding="utf-8")
ROOMS = ["align", "detect", "networks", "training/losses"]
COLUMNS = ["name", "paper", "network", "detector or loss", "recipe", "measured score"]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LINKED = set(LINK.findall(TEXT))


def table_rows() -> list[list[str]]:
    """The cells of every row of the tables that have the six columns."""
    rows, in_table = [], False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells == COLUMNS:
            in_table = True
        elif not line.startswith("|"):
            in_table = False
        elif in_table and not set(line) <= set("|-: "):
            rows.append(cells)
    return rows


ROWS = table_rows()


def modules() -> list[Path]:
    folders = [ROOT / "src" / "vultus" / room for room in ROOMS]
    return [path for folder in folders for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]


def docstring(path: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""


def test_every_module_of_an_algorithm_is_named() -> None:
    assert len(modules()) > 10
    assert [path.name for path in modules() if path.relative_to(ROOT).as_posix() not in LINKED] == []


def test_every_file_that_is_named_exists() -> None:
    files = [target for target in LINKED if "://" not in target]
    assert len(files) > 10
    assert [target for target in files if not (ROOT / target).is_file()] == []


def test_every_algorithm_is_named_once() -> None:
    names = [row[0] for row in ROWS]
    assert len(names) > 8
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_has_a_paper_and_a_place(row: list[str]) -> None:
    assert len(row) == len(COLUMNS)
    assert LINK.search(row[1]), "a paper has an address"
    assert any(LINK.search(cell) for cell in row[2:5]), "an algorithm has a file"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_paper_of_a_row_stands_in_its_file(row: list[str]) -> None:
    paper = re.match(r"\[(?P<author>\w+) (?P<year>\d{4})\]", row[1])
    assert paper, "a paper is named by its first author and its year"
    told = "\n".join(docstring(target) for cell in row[2:5] for target in LINK.findall(cell))
    assert paper["author"] in told
    assert paper["year"] in told
