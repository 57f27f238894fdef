"""One HTML file that holds everything: the picture, the recorded numbers, style and script."""

import base64
import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Any

from ...text import for_xml, printable
from ...tracing.network.quotient import Quotient
from ..picture.theme import DARK, LIGHT, PRINT
from ..views import VIEWS
from ..views.options import Options
from ..views.whole import draw_network
from .insides import Insides, insides_of
from .picture import colors_of, picture_of
from .recording import PAGE_MOST, has_room, recording
from .tensors import Record

# How a page of a theme starts, and which themes it has for light and dark.
_START = {
    "light": ("system", (LIGHT, DARK)),
    "dark": ("dark", (LIGHT, DARK)),
    "print": ("print", (PRINT, PRINT)),
}
_KEY = 12  # characters that tell the colours of one picture from those of another
_PLACE = re.compile(r"\{\{(\w+)\}\}")
# What would end the element or begin another, and the line ends that are none in JSON.
_ESCAPED_IN_JSON = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def to_html(quotient: Quotient, options: Options, title: str | None) -> str:
    """Return the player of a network as one HTML document, with the gradients that were recorded.

    It starts in the theme of `options`; light and dark can be switched, "print" stays what it is.
    """
    if quotient.gradients and VIEWS[options.view].gradients:
        options = replace(options, gradients=True)
    start, themes = _START[options.theme]
    player = partial(to_html, quotient, options, title)
    diagram = draw_network(quotient, options, title, player)
    picture = picture_of(diagram, themes[0])
    insides = insides_of(quotient, options, diagram.drawing)
    frames = [picture_of(replace(diagram, drawing=f.drawing), themes[0]) for f in insides.frames]
    colors = colors_of([picture, *frames], *themes)
    inside = "".join(frame.svg for frame in frames).replace(">\n<", "><")
    # Players of other colours on the same page keep theirs.
    key = hashlib.sha256(colors.encode()).hexdigest()[:_KEY]
    style = _packed("player.css") + f'.tinygrad-player[data-colors="{key}"]{{{colors}}}\n'
    script = _packed("player.js")
    room = PAGE_MOST - len((picture.svg + inside + style + script).encode())
    if inside and not has_room(quotient, picture.ids, room):
        room += len(inside.encode())
        insides, inside = Insides(left_out=True), ""
    score = recording(quotient, picture.ids, room, insides)
    content = {
        "title": for_xml(diagram.title),
        "description": for_xml(diagram.description),
        "theme": start,
        "colors": key,
        "policy": _policy(style, script),
        "style": style,
        "picture": picture.without_titles(_told(score, picture.ids)).replace(">\n<", "><"),
        "insides": inside,
        "score": in_script(score),
        "script": script,
    }
    return _PLACE.sub(lambda place: content[place[1]], _asset("player.html"))


def _told(score: Record, ids: Collection[str]) -> Collection[str]:
    """What the page's script tells of, so that the picture need not: all, where room is scarce."""
    parts = score["parts"]
    return parts.keys() if any("from" in part for part in parts.values()) else ids


def in_script(value: Any) -> str:
    r"""JSON that can stand in a script element of HTML, whatever the strings in it.

    >>> print(in_script({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    text = json.dumps(_printable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED_IN_JSON)


def _printable(value: Any) -> Any:
    """Plain data whose strings hold nothing that acts on a reader's screen."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable(part) for part in value]
    return value


def _asset(name: str) -> str:
    return (files(__package__ or "") / name).read_text("utf-8")


def _packed(name: str) -> str:
    """A style or a script without its indents and its lines of comments, as a page has it."""
    lines = (line.strip() for line in _asset(name).splitlines())
    return "".join(f"{line}\n" for line in lines if not line.startswith("//"))


def _policy(style: str, script: str) -> str:
    """What the page may do: run this style and this script, and nothing else."""
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
