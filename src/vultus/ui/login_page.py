"""The page that asks for the key: plain HTML, without a script."""

from typing import Final

from vultus.ui.markup import ICON, LOGO, notice, text
from vultus.ui.messages import Messages

_STYLE: Final = """
:root { color-scheme: light dark; --line: #cbd5e1; --text: #0f172a; --soft: #475569; --page: #f8fafc;
  --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --line: #334155; --text: #f1f5f9; --soft: #cbd5e1; --page: #020617; --card: #0f172a; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem;
  background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { width: 100%; max-width: 25rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; }
.v-brand { display: flex; align-items: center; gap: .7rem; color: #0d9488; font-size: 1.35rem;
  font-weight: 700; }
.v-logo { width: 2.3rem; height: 2.3rem; }
h1 { font-size: 1.15rem; margin: 1.4rem 0 .3rem; } p { margin: 0 0 1rem; color: var(--soft); }
label { display: block; font-weight: 600; margin-bottom: .35rem; }
input, button { width: 100%; font: inherit; padding: .7rem .9rem; border-radius: .6rem; }
input { border: 1px solid var(--line); background: transparent; color: inherit; }
button { margin: 1rem 0; border: 0; background: #0f766e; color: #fff; font-weight: 600; cursor: pointer; }
button:hover { background: #115e59; } :focus-visible { outline: 3px solid #14b8a6; outline-offset: 2px; }
.v-notice { padding: .8rem 1rem; margin-bottom: 1rem; border-radius: .6rem; border-left: 4px solid #dc2626;
  background: #dc262618; } .v-notice strong { font-weight: 600; } small { color: var(--soft); }
"""


def login_page(say: Messages, *, is_wrong: bool, action: str) -> str:
    """The form; with a notice if the last key was wrong."""
    wrong = notice("bad", say("login_wrong")) if is_wrong else ""
    return (
        f'<!doctype html><html lang="{say("language_code")}"><head><meta charset="utf-8"><title>'
        f'{text(say("login_title"))} - {text(say("title"))}</title><meta name="robots" content="noindex">'
        f"{ICON}"
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><main><div class="v-brand">{LOGO}{text(say("title"))}</div>'
        f"<h1>{text(say('login_title'))}</h1>"
        f"<p>{text(say('login_lead'))}</p>{wrong}"
        f'<form method="post" action="{text(action)}"><label for="key">{text(say("login_key"))}</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>'
        f'<button type="submit">{text(say("login_button"))}</button></form>'
        f"<small>{text(say('login_help'))}</small></main></body></html>"
    )
