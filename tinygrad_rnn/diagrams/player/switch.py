"""One page with several: the players of two runs, and the picture of how far they are apart."""

import base64
from collections.abc import Mapping
from html import escape

from ...text import for_xml, printable

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; frame-src data: blob: 'self'; img-src data:; base-uri 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html, body {{ height: 100%; margin: 0; font-family: "DejaVu Sans", sans-serif; }}
body {{ display: flex; flex-direction: column; background: #fff; color: #1c1c1c; }}
nav {{ display: flex; gap: 1.2em; padding: 0.6em 1em; border-bottom: 1px solid #ccc; }}
label {{ cursor: pointer; }}
input:focus-visible + span {{ outline: 2px solid #0b63b0; outline-offset: 3px; }}
input:checked + span {{ font-weight: bold; }}
.pane {{ display: none; flex: 1; min-height: 0; border: 0; overflow: auto; }}
.pane img {{ display: block; margin: 1em auto; max-width: calc(100% - 2em); }}
body:has(#choice-0:checked) #pane-0, body:has(#choice-1:checked) #pane-1,
body:has(#choice-2:checked) #pane-2 {{ display: block; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #16181c; color: #e6e6e6; }} nav {{ border-color: #444; }}
}}
</style>
</head>
<body>
<nav aria-label="What is shown">
{choices}
</nav>
{panes}
</body>
</html>
"""


def switch(title: str, players: Mapping[str, str], difference: str) -> str:
    """Return a page that shows one of two players, or an SVG of their difference, as chosen.

    It needs no script of its own: each player stands whole in a frame. What it shows is what was
    computed; it computes no other runs.

    Args:
        title: of the page.
        players: two HTML documents by what the choice says.
        difference: the SVG.
    """
    names = [*players, "the difference"]
    image = base64.b64encode(difference.encode()).decode()
    alt = escape(printable(title), quote=True)
    panes = [
        f'<iframe class="pane" id="pane-{i}" title="{escape(name, quote=True)}" '
        f'sandbox="allow-scripts" srcdoc="{escape(page, quote=True)}"></iframe>'
        for i, (name, page) in enumerate(players.items())
    ]
    panes.append(
        f'<div class="pane" id="pane-{len(players)}">'
        f'<img alt="{alt}" src="data:image/svg+xml;base64,{image}"></div>'
    )
    choices = [
        f'<label><input type="radio" name="shown" id="choice-{i}"{" checked" * (i == 2)}>'
        f"<span> {escape(name)}</span></label>"
        for i, name in enumerate(names)
    ]
    return _PAGE.format(title=for_xml(title), choices="\n".join(choices), panes="\n".join(panes))
