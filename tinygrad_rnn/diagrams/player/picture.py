"""The picture as part of a page: with colours that follow the page's theme, small, and open to the keyboard."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from ...errors import DrawError

_COLOR = re.compile(r'(?<=[ ])(fill|stroke)="(#[0-9a-f]{6})"')
_HEAD = re.compile(
    r"^.*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>\s*<title>.*?</title>\s*<desc>.*?</desc>\s*",
    re.DOTALL,
)
_IDLE = re.compile(
    r' (?:(?:xml:space|font-family|xmlns:xlink)="[^"]*"|text-anchor="middle"|fill="none")'
)
_RADIUS, _AROUND_A_BOX = (
    12,
    25,
)  # of Graphviz's rounded boxes: their corners in points, and the points of their path
_PATH = re.compile(r'<path([^>]*) d="M([^"C]*)C([^"C]*)"/>')
_NORM = re.compile(r"<text (?=[^>]*>‖∇)")
_COORDINATES = re.compile(r'( d| points| x| y| font-size)="([^"]*)"')
# An edge whose line and arrowhead have one colour: the group has it, and the page's style says what
# it is for.
_EDGE = re.compile(
    r'(<g id="[^"]*" class="edge [^"]*")>(\n<title>[^<]*</title>\n)<path stroke=("[^"]*")([^>]*>\n)'
    r'<polygon fill=\3 stroke=\3(?: stroke-width="[^"]*")?'
)
_TITLED = re.compile(r'(<g id="(?:gradient-)?([^"]*)" class="[^"]*"[^>]*>\n)<title>[^<]*</title>\n')
_ID = re.compile(r'<g id="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG whose colours are CSS variables `--c0`, `--c1` …: `colors` says what they are, light and dark."""

    svg: str
    colors: tuple[tuple[str, str], ...]

    def without_titles(self, ids: Collection[str]) -> str:
        """The SVG without the titles of these parts: the page's script gives them others, from its own data."""
        return _TITLED.sub(lambda match: match[1] if match[2] in ids else match[0], self.svg)

    @property
    def ids(self) -> Collection[str]:
        """The ids of all its parts, in the order of drawing."""
        return dict.fromkeys(_ID.findall(self.svg)).keys()


def themed(light: str, dark: str) -> Picture:
    """Make one picture of the same drawing in two themes.

    Colours are paired place by place, since one colour of the light theme may stand for two of the
    dark.
    """
    pairs = list(zip(_colors(light), _colors(dark), strict=True))
    numbers = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    places = iter(pairs)
    svg = _COLOR.sub(lambda match: f'{match[1]}="var(--c{numbers[next(places)]})"', light)
    return Picture(_for_page(svg), tuple(numbers))


def _colors(svg: str) -> list[str]:
    return [match[2] for match in _COLOR.finditer(svg)]


def _for_page(svg: str) -> str:
    """The SVG without what the page says itself, boxes as rectangles, coordinates to a tenth of a point."""
    head = _HEAD.match(svg)
    if head is None:
        raise DrawError("the player needs an SVG with a title and a description")
    body = _IDLE.sub("", svg[head.end() :])
    body = _NORM.sub('<text class="norm" ', body)
    body = _PATH.sub(_simplified, body)
    body = _EDGE.sub(r"\1 color=\3>\2<path\4<polygon", body)
    body = _COORDINATES.sub(lambda match: f'{match[1]}="{_shortened(match[2])}"', body)
    given = 'role="group" aria-labelledby="player-title" text-anchor="middle" fill="none"'
    return f'<svg viewBox="{head[1]}" {given}>\n{body}'


def _simplified(path: re.Match[str]) -> str:
    """A path that goes around a box in eight curves as the rectangle it is; any other as it stands."""
    points = [tuple(map(float, point.split(","))) for point in (path[2] + " " + path[3]).split()]
    if len(points) != _AROUND_A_BOX or points[0] != points[-1]:
        return path[0]
    (left, *_, right), (top, *_, bottom) = (sorted(values) for values in zip(*points, strict=True))
    size = f'width="{right - left:.1f}" height="{bottom - top:.1f}" rx="{_RADIUS}"'
    return f'<rect{path[1]} x="{left:.1f}" y="{top:.1f}" {size}/>'


def _shortened(coordinates: str) -> str:
    return re.sub(r"(\.\d)\d+", r"\1", coordinates).replace(".0", "")
