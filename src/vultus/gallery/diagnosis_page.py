"""What the doctor found, as one HTML file with its pictures: it shows faces, so treat it as the gallery."""

import base64
import html
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from vultus.gallery.diagnosis import Diagnosis, Finding, Kind
from vultus.gallery.engine import DurableGallery
from vultus.image import encode_png

HEADINGS: Final = {
    Kind.MISLABELLED: "Photos under a wrong name",
    Kind.DUPLICATE: "People who are enrolled twice",
    Kind.STRAY: "Photos that look like nobody",
    Kind.POOR_CROP: "Poor photos",
    Kind.CONFUSED: "Who is confused with whom",
    Kind.FEW_SAMPLES: "People with too few photos",
}
STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
article { display: flex; gap: 1rem; align-items: center; border-top: 1px solid #8884; padding: .8rem 0; }
figure { margin: 0; text-align: center; font-size: .8rem; } img { width: 112px; border-radius: 6px; }
code { display: block; padding: .2rem .5rem; margin: .2rem 0; background: #8882; border-radius: 4px; }
code { overflow-wrap: anywhere; user-select: all; }
"""


def diagnosis_page(gallery: DurableGallery, diagnosis: Diagnosis) -> str:
    """The findings with their pictures and the commands that mend them, as an HTML document.

    Raises:
        GalleryError: a person was removed since the examination, or a row is damaged.
    """
    summary = (
        f"{diagnosis.people:,} people, {diagnosis.templates:,} templates, threshold "
        f"{diagnosis.min_similarity:.3f}: {len(diagnosis.findings):,} findings."
    )
    body = "\n".join(_sections(gallery, diagnosis)) or "<p>Nothing deserves a look.</p>"
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>Gallery doctor</title>\n"
        f"<style>{STYLE}</style>\n<h1>Gallery doctor</h1>\n"
        f"<p>{html.escape(gallery.uri)}: {summary}</p>\n{body}\n</html>\n"
    )


def _sections(gallery: DurableGallery, diagnosis: Diagnosis) -> Iterator[str]:
    for kind, findings in groupby(diagnosis.findings, key=lambda one: one.kind):
        found = list(findings)
        yield f"<h2>{html.escape(HEADINGS[kind])} ({len(found)})</h2>"
        yield from (_article(gallery, one) for one in found)


def _article(gallery: DurableGallery, finding: Finding) -> str:
    pictures = "".join(_figure(gallery, *template) for template in finding.templates)
    commands = "".join(f"<code>{html.escape(command)}</code>" for command in finding.commands)
    return f"<article>{pictures}<div><p>{html.escape(finding.reason)}</p>{commands}</div></article>"


def _figure(gallery: DurableGallery, identity_id: str, template_id: int) -> str:
    name = html.escape(gallery.find(identity_id).name)
    ids = gallery.template_ids(identity_id)
    crop = gallery.templates(identity_id)[ids.index(template_id)].crop if template_id in ids else None
    caption = f"<figcaption>{name}<br>template {template_id}</figcaption>"
    if crop is None:
        return f"<figure>no picture{caption}</figure>"
    data = base64.b64encode(encode_png(crop)).decode()
    return f'<figure><img alt="{name}" src="data:image/png;base64,{data}">{caption}</figure>'
