"""What comes from outside is text on the page, whatever it is made of."""

import numpy as np
import pytest

from vultus.ui.markup import crops, facts, header, heading, lead, meter, notice, rounded_down, table
from vultus.ui.messages import Messages

EVIL = "<script>alert(1)</script>\"' onload=x"


@pytest.mark.parametrize(
    "html",
    [
        notice("bad", EVIL, EVIL, detail=EVIL, detail_label=EVIL),
        table([EVIL], [[EVIL]], caption=EVIL),
        facts({EVIL: EVIL}),
        lead(EVIL),
        heading(EVIL, EVIL),
        crops([np.zeros((8, 8, 3), np.uint8)], [EVIL]),
        header(Messages(), state={EVIL: EVIL}, addresses={"en": EVIL}, sign_out=EVIL),
    ],
    ids=["notice", "table", "facts", "lead", "heading", "crops", "header"],
)
def test_markup_from_outside_is_shown_and_not_obeyed(html: str) -> None:
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "\"' onload" not in html


def test_an_error_is_said_at_once_and_a_success_politely() -> None:
    assert 'role="alert"' in notice("bad", "no")
    assert 'role="status"' in notice("good", "yes")


def test_a_table_without_rows_is_nothing() -> None:
    assert table(["a"], [], caption="c") == ""
    assert '<th scope="col">a</th>' in table(["a"], [[1]], caption="c")


@pytest.mark.parametrize(
    ("similarity", "kind", "width"), [(0.9, "v-good", "95.0%"), (-2.0, "v-warn", "0.0%")]
)
def test_the_meter_shows_similarity_and_threshold_to_everybody(
    similarity: float, kind: str, width: str
) -> None:
    html = meter(similarity, 0.4, say=Messages())
    assert kind in html
    assert f"width:{width}" in html
    assert 'class="v-mark" style="left:70.0%"' in html
    assert f'aria-label="Similarity {similarity:.3f}, Threshold 0.400"' in html


def test_the_header_names_the_language_that_is_on() -> None:
    html = header(Messages("zh"), state={}, addresses={"en": "/en/", "zh": "/zh/"}, sign_out="")
    assert '<a href="/zh/" lang="zh-CN" aria-current="page">中文</a>' in html
    assert '<a href="/en/" lang="en">English</a>' in html
    assert "退出" not in html


@pytest.mark.parametrize(
    ("count", "shown"), [(267_139, "260,000"), (1000, "1,000"), (1 / 1e-3, "1,000"), (12.5, "12"), (9.9, "9")]
)
def test_a_rate_is_rounded_to_the_side_that_claims_less(count: float, shown: str) -> None:
    assert rounded_down(count) == shown
