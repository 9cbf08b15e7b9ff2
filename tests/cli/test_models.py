"""`vultus models`, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from vultus.cli.models import COLUMNS, END, START, models
from vultus.errors import InputError
from vultus.networks.catalog import NETWORKS

app = typer.Typer()
app.command()(models)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})


def rows_of(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def table_of(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_part_of_a_name_chooses_and_the_table_shows_both_figures() -> None:
    result = run("iresnet50")
    assert result.exit_code == 0
    assert "iresnet50-se" in result.stdout
    assert "43.591" in result.stdout
    assert "43.590" in result.stdout
    assert "mobilefacenet" not in result.stdout


def test_notes_stand_under_the_table() -> None:
    result = run("mobilefacenet")
    assert "\nmobilefacenet: the published count has batch norms folded" in result.stdout
    assert "siamese-mobilefacenet, siamese-mobilefacenet-head: two images" in result.stdout


def test_json_carries_every_figure() -> None:
    (row,) = rows_of("mobilefacenet-512")
    assert row["name"] == "mobilefacenet-512"
    assert row["params_m"] == 1.201
    assert row["gflops"] == 0.2212
    assert row["input"] == "112x112"
    assert row["embedding_size"] == 512
    assert row["cpu_ms_batch_1"] is None
    (detector,) = rows_of("retinaface-mobilenet0.25")
    assert detector["embedding_size"] is None
    assert detector["published_params_m"] == 0.426
    assert "1MB" in detector["source"]


def test_timing_is_an_option() -> None:
    (row,) = rows_of("mtcnn-onet", "--time")
    assert row["cpu_ms_batch_1"] > 0
    assert row["cpu_ms_batch_8"] > 0


def test_markdown_has_a_row_per_network_and_says_how_it_counts() -> None:
    result = run("mtcnn", "--markdown")
    header, rule, *rows = table_of(result.stdout)
    assert header == [heading for key, heading in COLUMNS.items() if not key.startswith("cpu_ms")]
    assert set("".join(rule)) == {"-"}
    assert [row[0] for row in rows] == [name for name in NETWORKS if "mtcnn" in name]
    assert all(len(row) == len(header) for row in rows)
    assert "multiply-adds" in result.stdout


def test_markdown_with_timings_names_the_machine_and_the_sources() -> None:
    result = run("mobilenet-v1-x0.25", "--markdown", "--time")
    assert "CPU ms, batch 8" in result.stdout
    assert "threads" in result.stdout
    assert "- mobilenet-v1-x0.25: paper, table 6" in result.stdout


def test_write_fills_the_section_and_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "ALGORITHMS.md"
    page.write_text(f"# Before\n\n{START}\nold table\n{END}\n\nafter\n", encoding="utf-8")
    result = run("mtcnn-pnet", "--write", str(page))
    assert result.exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Before\n\n{START}\n| network |")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "old table" not in text
    assert "| mtcnn-pnet |" in text
    run("mtcnn-pnet", "--write", str(page))
    assert page.read_text(encoding="utf-8") == text


def test_write_adds_a_missing_section_at_the_end(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n", encoding="utf-8")
    run("mtcnn-pnet", "--write", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{START}\n")
    assert text.endswith(f"{END}\n")


@pytest.mark.parametrize("text", [START, END, f"{END} {START}", f"{START}{END}{START}{END}"])
def test_write_refuses_a_page_with_broken_markers(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    result = run("mtcnn-pnet", "--write", str(page))
    assert isinstance(result.exception, InputError)
    assert "once each" in str(result.exception)
    assert page.read_text(encoding="utf-8") == text


def test_write_refuses_a_page_that_is_not_there(tmp_path: Path) -> None:
    result = run("mtcnn-pnet", "--write", str(tmp_path / "none.md"))
    assert isinstance(result.exception, InputError)
    assert "does not exist" in str(result.exception)


def test_two_forms_at_once_are_refused(tmp_path: Path) -> None:
    result = run("--json", "--markdown")
    assert isinstance(result.exception, InputError)
    assert "exclude each other" in str(result.exception)


def test_a_name_that_no_network_has_is_refused_with_the_names() -> None:
    result = run("vgg")
    assert isinstance(result.exception, InputError)
    assert "'vgg'" in str(result.exception)
    assert "mobilefacenet" in str(result.exception)


def test_without_torch_it_names_the_extra() -> None:
    code = "import sys; sys.modules['torch'] = None; from vultus.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "models"], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 4
    assert "pip install 'vultus[train]'" in " ".join(result.stderr.split())
