"""How an album looks, in daylight and in the dark."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --back: #f7f7f5; --card: #fff; --text: #1d1d1f; --soft: #6e6e73;
  --line: #e4e4e0; --accent: #00796b; }
@media (prefers-color-scheme: dark) { :root { --back: #161618; --card: #222225; --text: #f2f2f4;
  --soft: #a0a0a8; --line: #38383d; --accent: #4db6ac; } }
* { box-sizing: border-box; }
body { font: 16px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; background: var(--back);
  color: var(--text); max-width: 76rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
header { margin-bottom: 2rem; } h1 { font-size: 2.2rem; letter-spacing: -.02em; margin: 0; }
header p { color: var(--soft); margin: .3rem 0 0; }
h2 { font-size: 1.25rem; letter-spacing: -.01em; margin: 0 0 1rem; }
h2 small { color: var(--soft); font-weight: 400; font-size: .85em; margin-left: .3rem; }
section { margin: 0 0 2.8rem; }
a { color: inherit; text-decoration: none; }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; background: var(--line); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; }
.card { display: block; text-align: center; padding: .9rem .6rem .8rem; border-radius: 16px;
  background: var(--card); border: 1px solid var(--line); transition: transform .12s, box-shadow .12s; }
.card:hover, .card:focus-visible { transform: translateY(-2px); box-shadow: 0 6px 20px #0002; }
.card img { width: 76%; margin: 0 auto .6rem; border-radius: 50%; }
.card b { display: block; font-weight: 600; overflow-wrap: anywhere; }
.card.unnamed b { font-weight: 500; color: var(--soft); }
.card span { color: var(--soft); font-size: .82rem; }
.questions { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.questions article { background: var(--card); border: 1px solid var(--line); border-radius: 16px;
  padding: .8rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; } .pair .card { border: 0; padding: .3rem; }
.person { display: none; position: fixed; inset: 0; margin: 0; padding: 4vh 1rem;
  background: #0009; overflow: auto; }
.person:target { display: block; }
.panel { background: var(--card); border-radius: 20px; padding: 1.4rem 1.5rem; max-width: 62rem;
  margin: 0 auto; box-shadow: 0 20px 60px #0006; }
.bar { display: flex; justify-content: space-between; align-items: start; }
.close { color: var(--soft); font-size: 1.5rem; line-height: 1; padding: 0 .3rem; }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); gap: .7rem; }
.face { position: relative; font-size: .75rem; color: var(--soft); }
.face img { border-radius: 12px; margin-bottom: .25rem; }
.face span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.face code { position: absolute; top: .35rem; left: .35rem; background: #000a; color: #fff;
  border-radius: 6px; padding: 0 .35rem; font-size: .7rem; }
details { margin-top: 1rem; color: var(--soft); } summary { cursor: pointer; }
.left .faces { margin-top: 1rem; }
.command { margin: .5rem 0 0; font-size: .8rem; } .command i { display: block; margin-top: .1rem; }
.command code { display: block; padding: .35rem .6rem; background: var(--back); border: 1px solid var(--line);
  border-radius: 8px; overflow-wrap: anywhere; user-select: all; color: var(--text); }
footer { color: var(--soft); font-size: .82rem; margin-top: 3rem; }
@media print { .close, details, #questions { display: none; } .person { display: block; position: static; } }
"""
