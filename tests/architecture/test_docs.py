"""Every Python block of the README and of the documentation runs.

The blocks of a page run in order, in one namespace, in a temporary folder that holds the photos the pages
speak of. A block is passed over only where the line above it says why: `<!-- not run: reason -->`.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<skip> *<!-- not run: [^>]+ -->\n+)?"
    r"(?P<indent> *)```python[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    line: int
    code: str
    is_run: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            line=text[: match.start("code")].count("\n"),
            code="\n".join(line.removeprefix(match["indent"]) for line in match["code"].splitlines()) + "\n",
            is_run=match["skip"] is None,
        )
        for match in BLOCK.finditer(text)
    ]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page: one person alone, changed, in a crew, and a picture of nobody."""
    with PIL.Image.open(str(files("skimage") / "data" / "astronaut.png")) as opened:
        person = opened.convert("RGB")
    person.save(tmp_path / "eileen.jpg")
    person.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "eileen-2.jpg")
    crew = PIL.Image.new("RGB", (2 * person.width, person.height), "gray")
    crew.paste(person, (person.width, 0))
    crew.save(tmp_path / "crew.jpg")
    PIL.Image.fromarray(np.full((240, 320, 3), 90, np.uint8)).save(tmp_path / "nobody.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VULTUS_HOME", str(tmp_path / "home"))
    return tmp_path


def test_there_are_examples() -> None:
    assert len(PAGES) > 5
    assert sum(block.is_run for page in PAGES for block in blocks(page)) >= 5


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=relative)
def test_the_examples_of_a_page_run(page: Path, album: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.is_run:
            source = "\n" * block.line + block.code  # so that a traceback names the line of the page
            exec(compile(source, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    broken = [
        target
        for target, _ in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"([\w./-]+\.md)$", nav, re.MULTILINE)
    assert len(set(listed)) == len(listed)
    assert set(listed) == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:]}


def test_a_decision_fits_on_a_screen() -> None:
    decisions = {
        page.name: len(page.read_text("utf-8").splitlines()) for page in PAGES if "decisions" in page.parts
    }
    assert decisions
    assert {name: length for name, length in decisions.items() if length > 15} == {}


def test_a_block_that_fails_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n<!-- not run: needs a camera -->\n```python\nboom()\n```\n\n- item\n\n"
        "    ```python\n    assert x == 1\n    ```\n",
        encoding="utf-8",
    )
    first, second, third = blocks(page)
    assert (first.code, first.line, first.is_run) == ("x = 1\n", 1, True)
    assert not second.is_run
    assert third.code == "assert x == 1\n"
