"""How the page looks: one theme over Gradio's, in fonts that visitors have; nothing is fetched elsewhere."""

from pathlib import Path
from typing import Final

import gradio

from vultus.ui.markup import ICON
from vultus.ui.messages import Messages

CSS: Final = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

FONTS: Final = (
    "system-ui",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)

# What a page may load: its own. Gradio writes scripts and styles into it, and starts workers from blobs.
CONTENT_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'self'; "
    "form-action 'self'"
)


def theme() -> gradio.themes.Base:
    """Teal on slate, as in the documentation."""
    return gradio.themes.Base(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=FONTS,
        font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"),
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_shadow="none",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_weight="600",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_background_fill="white",
        input_background_fill_dark="*neutral_950",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_large_text_weight="600",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover_dark="#dc2626",
        button_cancel_text_color="white",
        button_border_width="1px",
    )


def head(say: Messages) -> str:
    """What is added to the page's head: its language, for screen readers and for Gradio's own words."""
    code = say("language_code")
    return (
        f'<script>document.documentElement.lang = "{code}";'
        f'Object.defineProperty(navigator, "language", {{get: () => "{code}"}});'
        f'Object.defineProperty(navigator, "languages", {{get: () => ["{code}"]}});</script>'
        f'<meta name="robots" content="noindex">{ICON}'
    )
