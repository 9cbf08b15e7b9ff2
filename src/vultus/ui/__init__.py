"""The web page: Vultus for people who write no code. Thin: everything is a call on the engine."""

from vultus.errors import MissingExtraError

try:
    from vultus.ui.mount import let_go, mount_ui
except ImportError as error:
    if error.name not in {"gradio", "fastapi"}:
        raise
    raise MissingExtraError(
        "the web page needs Gradio, which is not installed: pip install 'vultus[ui]'"
    ) from error
from vultus.ui.host import Host, PageEvent
from vultus.ui.visitor import SignIn, Visitor

__all__ = ["Host", "PageEvent", "SignIn", "Visitor", "let_go", "mount_ui"]
