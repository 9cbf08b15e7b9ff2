"""Fragments of HTML: notices, verdicts, tables, the header. Everything that is not ours is escaped here.

Names of people, of files and the words of errors come from outside: they reach a page only through `text`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final, Literal

import numpy as np

from vultus.image import encode_png
from vultus.types import Image
from vultus.ui.messages import LANGUAGES, Messages

Kind = Literal["good", "warn", "bad", "info"]

# A face in the brackets of a view finder, drawn in the colour of the text around it.
LOGO: Final = (
    '<svg class="v-logo" viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3.4" '
    'stroke-linecap="round" aria-hidden="true"><path d="M5 15V9a4 4 0 0 1 4-4h6M33 5h6a4 4 0 0 1 4 4v6'
    'M43 33v6a4 4 0 0 1-4 4h-6M15 43H9a4 4 0 0 1-4-4v-6"/><path d="M17 19.5v1M31 19.5v1" stroke-width="5"/>'
    '<path d="M16.5 29.5c4 5 11 5 15 0"/></svg>'
)

ICON_SVG: Final = (
    LOGO.replace('class="v-logo"', 'xmlns="http://www.w3.org/2000/svg"')
    .replace("currentColor", "#0d9488")
    .encode("ascii")
)
ICON: Final = (
    '<link rel="icon" href="data:image/svg+xml;base64,' + base64.b64encode(ICON_SVG).decode("ascii") + '">'
)


def text(value: object) -> str:
    """A value as text that is nothing but text."""
    return escape(str(value))


def notice(kind: Kind, title: str, more: str = "", *, detail: str = "", detail_label: str = "") -> str:
    """A message that stays until the next one, and that a screen reader says at once if it is an error.

    Args:
        kind: its colour and its urgency.
        title: one line.
        more: what to do about it.
        detail: the engine's own words, folded away.
        detail_label: what unfolds them.
    """
    role = "alert" if kind in {"bad", "warn"} else "status"
    body = f"<p>{text(more)}</p>" if more else ""
    if detail:
        body += f"<details><summary>{text(detail_label)}</summary><p>{text(detail)}</p></details>"
    return f'<div class="v-notice v-{kind}" role="{role}"><strong>{text(title)}</strong>{body}</div>'


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str) -> str:
    """A table that scrolls by itself on a narrow screen; without rows it is nothing."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{text(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="v-scroll" tabindex="0" role="region" aria-label="{text(caption)}">'
        f'<table class="v-table"><caption>{text(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(rows: Mapping[str, object]) -> str:
    """Names and values, side by side."""
    pairs = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows.items())
    return f'<dl class="v-facts">{pairs}</dl>'


def rounded_down(count: float) -> str:
    """A large number to two digits: "1 in 260,000" claims no more than was measured."""
    unit = 10 ** max(len(str(int(count))) - 2, 0)
    return f"{int(count / unit + 1e-9) * unit:,}"


def lead(words: str) -> str:
    """The sentence that says what a tab is for."""
    return f'<p class="v-lead">{text(words)}</p>'


def heading(words: str, more: str = "") -> str:
    """A heading within a tab, with a sentence below."""
    return f'<h2 class="v-heading">{text(words)}</h2>' + (
        f'<p class="v-lead">{text(more)}</p>' if more else ""
    )


def crops(images: Iterable[Image], captions: Iterable[str]) -> str:
    """Aligned faces, each over its caption."""
    figures = "".join(
        f'<figure><img src="{_data_address(image)}" alt="{text(caption)}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
        for image, caption in zip(images, captions, strict=True)
    )
    return f'<div class="v-crops">{figures}</div>' if figures else ""


def meter(similarity: float, min_similarity: float, *, say: Messages) -> str:
    """A scale from -1 to 1 with the threshold marked, filled up to the similarity."""
    at, mark = ((float(np.clip(value, -1, 1)) + 1) * 50 for value in (similarity, min_similarity))
    kind = "good" if similarity >= min_similarity else "warn"
    label = f"{say('similarity')} {similarity:.3f}, {say('threshold')} {min_similarity:.3f}"
    return (
        f'<div class="v-meter v-{kind}" role="img" aria-label="{text(label)}">'
        f'<div class="v-bar"><span class="v-fill" style="width:{at:.1f}%"></span>'
        f'<span class="v-mark" style="left:{mark:.1f}%"></span></div>'
        f'<div class="v-scale"><span>-1</span><span class="v-mark-label" style="left:{mark:.1f}%">'
        f"{text(say('threshold'))} {min_similarity:.3f}</span><span>1</span></div></div>"
    )


def header(say: Messages, *, state: Mapping[str, object], addresses: Mapping[str, str], sign_out: str) -> str:
    """The name, the state of the engine, the languages and the way out.

    Args:
        say: the language of the page.
        state: what the engine consists of and holds.
        addresses: of the page in each language.
        sign_out: the address that ends the session; "" where nobody signed in.
    """
    chips = "".join(
        f"<li><span>{text(name)}</span> <b>{text(value)}</b></li>" for name, value in state.items()
    )
    links = "".join(
        f'<a href="{text(address)}" lang="{LANGUAGES[language]["language_code"]}"'
        + (' aria-current="page"' if language == say.language else "")
        + f">{text(LANGUAGES[language]['language_name'])}</a>"
        for language, address in addresses.items()
    )
    out = f'<a class="v-out" href="{text(sign_out)}">{text(say("sign_out"))}</a>' if sign_out else ""
    return (
        f'<header class="v-header"><div class="v-brand">{LOGO}<div><h1>{text(say("title"))}</h1>'
        f"<p>{text(say('tagline'))}</p></div></div>"
        f'<ul class="v-state" aria-label="{text(say("state_label"))}">{chips}</ul>'
        f'<nav class="v-links">{links}{out}</nav></header>'
    )


def _data_address(image: Image) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(image)).decode("ascii")
