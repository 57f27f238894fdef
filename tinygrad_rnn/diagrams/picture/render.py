"""Draws DOT with Graphviz in this process (pygraphviz brings it along) and finishes what it wrote.

No `dot` program is needed, nor any font on the machine: DejaVu Sans comes from matplotlib.
"""

import math
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ...errors import DrawError
from ...text import for_xml
from ...tracing.recording.graph import collector_paused
from .dot import PART
from .shapes import Drawing, Passage
from .text_metrics import FONT, font_folder

# Cairo's limit: beyond it Graphviz scales the picture down to a ribbon without a word.
PNG_MOST = 32_767

# For all: with the time and place of drawing no two files would be the same.
_PDF_DATE = b"D:20000101000000Z"

# Verdana has DejaVu's widths within a few percent, so nothing overlaps where DejaVu is missing.
_FONT_STACK = f"{FONT}, Verdana, Geneva, sans-serif"

_EDGE_GROUP = re.compile(r'<g id="([^"]*)" class="edge.*?</g>\n', re.DOTALL)

_one_at_a_time = threading.RLock()  # noqa: TID251  (it is free where a process is forked)
if hasattr(os, "register_at_fork"):
    # Graphviz keeps global state. So a process is forked between two pictures, not within one.
    os.register_at_fork(
        before=_one_at_a_time.acquire,
        after_in_parent=_one_at_a_time.release,
        after_in_child=_one_at_a_time.release,
    )


@collector_paused()
def to_svg(dot: str, drawing: Drawing, title: str, description: str) -> str:
    """Return an SVG document whose groups carry the ids, classes and tooltips of their parts."""
    svg = _with_tooltips(_draw(dot, "svg").decode(), drawing)
    svg = svg.replace(f'font-family="{FONT} Bold"', f'font-family="{FONT}" font-weight="bold"')
    svg = svg.replace(f'font-family="{FONT}"', f'font-family="{_FONT_STACK}"')
    head = f"<title>{for_xml(title)}</title>\n<desc>{for_xml(description)}</desc>\n"
    svg = svg.replace('<g id="graph0"', f'{head}<g id="diagram"', 1)
    return svg.replace("<svg ", '<svg role="img" ', 1)


def to_pdf(dot: str) -> bytes:
    """Return a PDF of one page, the same bytes for the same DOT."""
    return _dated_alike(_draw(dot, "pdf"))


def _dated_alike(pdf: bytes) -> bytes:
    """Replace the date of a PDF, and correct the offsets at its end: dates differ in length."""
    date = re.search(rb"/CreationDate \((D:[^)]*)\)", pdf)
    assert date is not None
    shift = len(_PDF_DATE) - len(date[1])

    def moved(offset: re.Match[bytes]) -> bytes:
        position = int(offset[0])
        if position > date.start():
            position += shift
        return b"%0*d" % (len(offset[0]), position)

    table = pdf.rindex(b"\nxref\n")
    offsets = re.sub(rb"(?m)^\d{10}(?= \d{5} n)|(?<=startxref\n)\d+", moved, pdf[table:])
    return pdf[: date.start(1)] + _PDF_DATE + pdf[date.end(1) : table] + offsets


def to_png(dot: str, width: float, height: float, dpi: float) -> bytes:
    """Return a PNG of `dpi` pixels an inch of a picture this many points wide and high.

    Raises:
        DrawError: it would be wider or higher than `PNG_MOST` pixels, or have less than one.
    """
    if not 1 <= dpi < math.inf:
        raise DrawError(f"dpi must be at least 1, not {dpi}")
    for name, points in (("wide", width), ("high", height)):
        pixels = math.ceil(points * dpi / 72)
        if pixels > PNG_MOST:
            fold = "fold the middle copies (fold=3), " if name == "wide" else ""
            fitting = math.floor(PNG_MOST * 72 / points)
            raise DrawError(
                f"the PNG would be {pixels:,} px {name}, and {PNG_MOST:,} is the most it can be: "
                f"{fold}save as .svg or .pdf, or with {max(fitting, 1)} dots an inch at most (dpi)"
            )
    return _draw(dot, "png", dpi=dpi)


def _draw(dot: str, format: str, **graph_attributes: object) -> bytes:
    import pygraphviz

    with _one_at_a_time:
        _start()
        graph = pygraphviz.AGraph(string=dot)
        graph.graph_attr.update(graph_attributes)
        graph.has_layout = True  # every position is given: Graphviz is to lay out nothing
        drawn = graph.draw(format=format)
    assert isinstance(drawn, bytes)
    return drawn


@cache
def _start() -> None:
    """Draw a first, throwaway picture, with which fontconfig reads for good where the fonts are.

    It also absorbs two faults of a first picture: Graphviz forgets default labels, and fontconfig
    warns of every setting of the machine's that it is too old to know.
    """
    import pygraphviz

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        config, fonts = Path(folder, "fonts.conf"), for_xml(str(font_folder()))
        config.write_text(
            f"<fontconfig><dir>{fonts}</dir>"
            '<cachedir prefix="xdg">fontconfig</cachedir></fontconfig>',
            "utf-8",
        )
        with _environment("FONTCONFIG_FILE", str(config)), _quiet():
            pygraphviz.AGraph(string='digraph { a [label="a", pos="0,0"] }').draw(
                format="png", prog="nop2"
            )


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what C libraries write to the standard error."""
    try:
        before = os.dup(2)
    except OSError:  # closed: it is quiet already
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


_PROLOGUE = re.compile(r"<!DOCTYPE.*?>\s*|<!--.*?-->\s*", re.DOTALL)
_GROUP_OF_TEXT = re.compile(rf'</g>\n<g id="[^"]*" class="node {PART}">\n<title>[^<]*</title>\n')
_TITLE = re.compile(r'(<g id="([^"]*)" class="(?:node|edge) [^"]*">\n<title>)[^<]*')


def _with_tooltips(svg: str, drawing: Drawing) -> str:
    """Join texts with their shapes, and say what each part is."""
    tooltips = {part.id: part.tooltip for part in (*drawing.shapes, *drawing.edges)}
    svg = _PROLOGUE.sub("", svg).replace("&#45;", "-")
    svg = _with_passages(_GROUP_OF_TEXT.sub("", svg), drawing)
    return _TITLE.sub(lambda match: match[1] + for_xml(tooltips.get(match[2]) or match[2]), svg)


def _with_passages(svg: str, drawing: Drawing) -> str:
    """Say after the last edge of each passage which parts it joins."""
    passages = {edge.id: edge.passages for edge in drawing.edges if edge.passages}
    if not passages:
        return svg

    def followed(match: re.Match[str]) -> str:
        return match[0] + "".join(map(_said, passages.get(match[1], ())))

    return _EDGE_GROUP.sub(followed, svg)


def _said(passage: Passage) -> str:
    title = f"{passage.source} to {passage.target}"
    return f'<g id="{passage.id}" class="way">\n<title>{title}</title>\n</g>\n'
