"""What a keyboard and a screen reader need, where the theme leaves it out.

What can be scrolled sideways, code and formulas, takes the focus, so that the arrow keys move it;
the captions of the navigation are headings of a level; the empty head of a table whose rows have
names is no heading at all.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_CHANGES = (
    (re.compile(r"<pre(?![^>]*tabindex)"), '<pre tabindex="0"'),
    (re.compile(r'(<div class="math-wrapper[^"]*")'), r'\1 tabindex="0"'),
    (re.compile(r'(class="caption" role="heading")(?! aria-level)'), r'\1 aria-level="2"'),
    (re.compile(r'<th class="head"([^>]*)>(\s*)</th>'), r'<td class="head"\1>\2</td>'),
    (re.compile(r"<th class=\"head\"><p>\s*</p></th>"), '<td class="head"></td>'),
)


def _mended(html: str) -> str:
    for pattern, replacement in _CHANGES:
        html = pattern.sub(replacement, html)
    return html


def _mend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    for part in ("body", "furo_navigation_tree"):
        if part in context:
            context[part] = _mended(context[part])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _mend, priority=900)  # after the theme's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}
