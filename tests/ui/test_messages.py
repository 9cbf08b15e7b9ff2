"""Every language says everything, with the same values in it; and nothing that is never said."""

import re
import string
from pathlib import Path

import pytest

import vultus.ui.messages
from vultus.ui.messages import DEFAULT_LANGUAGE, LANGUAGES, Messages, preferred_language

SOURCES = Path(vultus.ui.messages.__file__).parents[1]
REFERENCE = LANGUAGES[DEFAULT_LANGUAGE]


def fields(message: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_key_and_no_other(language: str) -> None:
    assert len(REFERENCE) > 100
    assert set(LANGUAGES[language]) == set(REFERENCE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_takes_the_same_values_in_every_language(language: str) -> None:
    differing = {
        key: message
        for key, message in LANGUAGES[language].items()
        if fields(message) != fields(REFERENCE[key])
    }
    assert differing == {}


def test_the_languages_differ() -> None:
    same = {key for key, words in LANGUAGES["zh"].items() if words == REFERENCE[key]}
    assert same == {"title"}


def test_every_message_is_said_somewhere() -> None:
    code = "".join(path.read_text("utf-8") for path in SOURCES.glob("*.py"))
    said = set(re.findall(r'"(\w+)"', code)) | set(re.findall(r"'(\w+)'", code))
    computed = {f"why_{reason}" for reason in ("below_min_score", "overlaps", "too_small", "too_many")}
    computed |= {f"faces_{choice}" for choice in ("only", "largest", "central")}
    assert set(REFERENCE) - said - computed == set()


def test_a_message_is_filled_in() -> None:
    assert Messages("en")("detect_many", count=3) == "3 faces found"
    assert Messages("zh")("detect_many", count=3) == "找到 3 张人脸"


@pytest.mark.parametrize(
    ("header", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de-DE,en;q=0.7", "en"), ("fr", "en"), ("", "en"), ("EN", "en")],
)
def test_the_first_language_that_there_is_is_taken(header: str, language: str) -> None:
    assert preferred_language(header) == language
