"""Docstrings are written for a terminal; here they become text for a page.

Formulas stand indented in a docstring and keep their lines, as source does.
"""

import re

from sphinx.application import Sphinx

# What napoleon reads: their indented lines are no formulas.
_SECTION = re.compile(r"(Args|Returns|Raises|Yields|Warns|Attributes|Example|Examples|Note):")
_CODE = re.compile(r"(`[^`]*`)")
_MARKUP = re.compile(r"[*|]|(?<=\w)_(?!\w)")


def _mark_formulas(lines: list[str]) -> list[str]:
    marked: list[str] = []
    section = formula = False
    for line in lines:
        indented = line.startswith("    ")
        if line and not indented:
            section = _SECTION.fullmatch(line) is not None
            formula = False
        if indented and not section and not formula:
            formula = True
            marked += ["::", ""]
        marked.append(line)
    return marked


def _escaped(line: str) -> str:
    """The line with what only reStructuredText reads as markup shown as it is."""
    if line.startswith("    "):
        return line
    parts = _CODE.split(line)
    parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


def _for_a_page(
    app: Sphinx, what: str, name: str, object: object, options: object, lines: list[str]
) -> None:
    lines[:] = map(_escaped, _mark_formulas(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _for_a_page, priority=100)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
