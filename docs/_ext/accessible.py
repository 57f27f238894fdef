"""What a keyboard and a screen reader need, where the theme leaves it out.

What can be scrolled sideways (code, formulas, and figures on a telephone) takes the focus, so that
the arrow keys move it; the captions of the navigation are headings of a level; the empty head of a
table whose rows have names is no heading at all. A figure that a cell has drawn is called what its
SVG says.
"""

import re
from functools import partial
from html import escape, unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_CHANGES = (
    (re.compile(r"<pre(?![^>]*tabindex)"), '<pre tabindex="0"'),
    (re.compile(r'(<div class="math-wrapper[^"]*")'), r'\1 tabindex="0"'),
    (re.compile(r'(<div class="cell_output[^"]*")(?=>\s*<img)'), r'\1 tabindex="0"'),
    (re.compile(r"<p(?=><img)"), '<p tabindex="0"'),
    (re.compile(r'(class="caption" role="heading")(?! aria-level)'), r'\1 aria-level="2"'),
    (re.compile(r'<th class="head"([^>]*)>(\s*)</th>'), r'<td class="head"\1>\2</td>'),
    (re.compile(r"<th class=\"head\"><p>\s*</p></th>"), '<td class="head"></td>'),
)


# Pictures of a cell are named by their own content, and their text is that name.
_DRAWN = re.compile(r'<img alt="(_images/[0-9a-f]{64}\.svg)"')
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)


def _mended(html: str) -> str:
    for pattern, replacement in _CHANGES:
        html = pattern.sub(replacement, html)
    return html


def _described(app: Sphinx, image: re.Match[str]) -> str:
    """The image with the title of its SVG; a chart has none, and stands below its own words."""
    name = Path(image[1]).name
    source = next(path for path, file in app.builder.images.items() if file == name)
    title = _TITLE.search(Path(app.srcdir, source).read_text("utf-8"))
    words = unescape(title[1]) if title else "What the block above has drawn"
    return f'<img alt="{escape(words, quote=True)}"'


def _mend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    for part in ("body", "furo_navigation_tree"):
        if part in context:
            context[part] = _mended(context[part])
    if "body" in context:
        context["body"] = _DRAWN.sub(partial(_described, app), context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _mend, priority=900)  # after the theme's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
