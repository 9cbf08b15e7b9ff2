"""The page: a header with the state of the engine, and five tabs; one of it for each language."""

from collections.abc import Mapping
from typing import Any, Final

import gradio

from vultus.ui.compare import compare_tab
from vultus.ui.desk import Desk
from vultus.ui.detect import detect_tab
from vultus.ui.people_tab import people_tab
from vultus.ui.recognise_tab import recognise_tab
from vultus.ui.report_tab import report_tab

CLEANING: Final = (600, 3600)  # seconds: every ten minutes, uploads older than an hour are deleted
AT_ONCE: Final = 2  # actions of a kind; the engine has threads of its own
WAITING: Final = 32  # more are refused


def build_page(desk: Desk, *, addresses: Mapping[str, str], sign_out: str = "") -> gradio.Blocks:
    """The page in the language of the desk.

    Args:
        desk: the engine and the language.
        addresses: of the page in each language.
        sign_out: the address that ends the session; "" where nobody signs in.
    """
    say = desk.say

    def header() -> str:
        return desk.header(addresses=addresses, sign_out=sign_out)

    page = gradio.Blocks(title=say("title"), analytics_enabled=False, delete_cache=CLEANING)
    with page:
        head = gradio.HTML(header, elem_id="header")

        def refresh_header(event: Any) -> None:
            event.then(header, outputs=[head], show_progress="hidden", api_visibility="private")

        with gradio.Tabs(elem_id="tabs"):
            with gradio.Tab(say("tab_detect"), id="detect"):
                detect_tab(desk)
            with gradio.Tab(say("tab_compare"), id="compare"):
                compare_tab(desk)
            with gradio.Tab(say("tab_people"), id="people") as tab:
                refresh_people = people_tab(desk, tab, refresh_header)
            with gradio.Tab(say("tab_recognise"), id="recognise"):
                recognise_tab(desk, refresh_people)
            with gradio.Tab(say("tab_report"), id="report"):
                report_tab(desk)
    page.queue(default_concurrency_limit=AT_ONCE, max_size=WAITING, api_open=False)
    return page
