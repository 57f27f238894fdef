"""The picture as part of a page: its colours follow the page's theme, and it is small."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ...errors import DrawError
from ..picture.diagram import Diagram
from ..picture.theme import HEAT_ENDS, Role, Theme, heat_mix, is_share

_COLOR = re.compile(r'(?<=[ ])(fill|stroke|color)="(#[0-9a-f]{6})"')
_HEAD = re.compile(
    r"^.*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>\s*<title>.*?</title>\s*<desc>.*?</desc>\s*",
    re.DOTALL,
)
_SAID_BY_PAGE = re.compile(
    r' (?:(?:xml:space|font-family|xmlns:xlink)="[^"]*"|text-anchor="middle"|fill="none")'
)
# Of Graphviz's rounded boxes: their corners in points, and how many points their path has.
_RADIUS, _AROUND_A_BOX = 12, 25
_PATH = re.compile(r'<path([^>]*) d="M([^"C]*)C([^"C]*)"/>')
_NORM = re.compile(r"<text (?=[^>]*>‖∇)")
_COORDINATES = re.compile(r'( d| points| x| y| font-size)="([^"]*)"')
# An edge whose line and arrowhead have one colour: the group has it, and the page's style says what
# it is for.
_EDGE = re.compile(
    r'(<g id="[^"]*" class="edge [^"]*")>(\n<title>[^<]*</title>\n)<path stroke=("[^"]*")([^>]*>\n)'
    r'<polygon fill=\3 stroke=\3(?: stroke-width="[^"]*")?'
)
# A polygon ends where it starts, whether that is said or not.
_CLOSED = re.compile(r'points="([^ "]+)([^"]*) \1"')
_HEADS = re.compile(r'<polygon fill="currentColor" points="([^"]*)"/>')
_WRITTEN_ON = re.compile(r'<g [^>]* stroke="currentColor">.*?</g>', re.DOTALL)
_TITLED = re.compile(r'(<g id="(?:gradient-)?([^"]*)" class="[^"]*"[^>]*>\n)<title>[^<]*</title>\n')
_ID = re.compile(r'<g id="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG whose colours are CSS variables, one for each of its `roles`."""

    svg: str
    roles: tuple[Role, ...]

    def without_titles(self, ids: Collection[str]) -> str:
        """The SVG without the titles of these parts: the page's script gives them others."""

        def kept(match: re.Match[str]) -> str:
            return match[1] if match[2] in ids else match[0]

        return _TITLED.sub(kept, self.svg)

    @property
    def ids(self) -> Collection[str]:
        """The ids of all its parts, in the order of drawing."""
        return dict.fromkeys(_ID.findall(self.svg)).keys()


class _Placeholders:
    """Gives each role a colour of its own, by which it is found in what Graphviz wrote."""

    def __init__(self) -> None:
        self.roles: dict[Role, str] = {}

    def color(self, role: Role) -> str:
        return self.roles.setdefault(role, f"#{len(self.roles) + 1:06x}")


def picture_of(diagram: Diagram, plain: Theme) -> Picture:
    """Return a diagram with the roles of its colours in place of a theme's."""
    placeholders = _Placeholders()
    svg = _for_page(replace(diagram, theme=placeholders).svg)
    values = {color: _value(role, plain) for role, color in placeholders.roles.items()}
    svg = _COLOR.sub(lambda match: f'{match[1]}="{values[match[2]]}"', svg)
    roles = dict.fromkeys((*placeholders.roles, *HEAT_ENDS))
    return Picture(svg, tuple(role for role in roles if f"var({variable(role)}," in svg))


def colors_of(pictures: Iterable[Picture], light: Theme, dark: Theme) -> str:
    """Say in CSS which colour each role of these pictures has in either theme: the page chooses."""
    roles = dict.fromkeys(role for picture in pictures for role in picture.roles)
    return "".join(
        f"{variable(role)}:light-dark({light.color(role)},{dark.color(role)});" for role in roles
    )


def variable(role: Role) -> str:
    """Return the CSS variable of a role, which a page may set to restyle its picture.

    >>> variable("cell.0.fill")
    '--c-cell-0-fill'
    """
    return "--c-" + role.replace(".", "-")


def _value(role: Role, plain: Theme) -> str:
    """The CSS colour of a role: its variable, or the mixture that a value's is.

    The colour of the plain theme stands where the page's style is not allowed.
    """
    if not is_share(role):
        return f"var({variable(role)},{plain.color(role)})"
    end, share = heat_mix(role)
    return f"color-mix(in srgb,{_value(end, plain)} {share:.1%},{_value('heat.zero', plain)})"


def _for_page(svg: str) -> str:
    """The SVG without what the page says itself, boxes as rectangles, numbers to a tenth."""
    head = _HEAD.match(svg)
    if head is None:
        raise DrawError("the player needs an SVG with a title and a description")
    body = _SAID_BY_PAGE.sub("", svg[head.end() :])
    body = _NORM.sub('<text class="norm" ', body)
    body = _PATH.sub(_simplified, body)
    body = _EDGE.sub(
        r'\1 color=\3 stroke="currentColor">\2<path\4<polygon fill="currentColor"', body
    )
    body = _WRITTEN_ON.sub(lambda edge: edge[0].replace("<text ", '<text stroke="none" '), body)
    body = _CLOSED.sub(r'points="\1\2"', body)
    body = _HEADS.sub(_arrowhead, body)
    body = _COORDINATES.sub(lambda match: f'{match[1]}="{_shortened(match[2])}"', body)
    given = 'role="group" aria-labelledby="player-title" text-anchor="middle" fill="none"'
    return f'<svg viewBox="{head[1]}" {given}>\n{body}'


def _arrowhead(head: re.Match[str]) -> str:
    """An arrowhead as a path, whose points are told from each other: that is shorter."""
    points = [tuple(map(float, point.split(","))) for point in head[1].split()]
    steps = "".join(
        f"l{round(x - a, 1):g},{round(y - b, 1):g}" for (a, b), (x, y) in pairwise(points)
    )
    x, y = points[0]
    return f'<path fill="currentColor" d="M{x:.1f},{y:.1f}{steps}z"/>'


def _simplified(path: re.Match[str]) -> str:
    """A path around a box as the rectangle it is; in any other, lines where it is straight."""
    x_and_y = [point.split(",") for point in (path[2] + " " + path[3]).split()]
    points = [(float(x), float(y)) for x, y in x_and_y]
    if len(points) != _AROUND_A_BOX or points[0] != points[-1]:
        return f'<path{path[1]} d="{path_of(points)}"/>'
    (left, *_, right), (top, *_, bottom) = (sorted(values) for values in zip(*points, strict=True))
    size = f'width="{right - left:.1f}" height="{bottom - top:.1f}" rx="{_RADIUS}"'
    return f'<rect{path[1]} x="{left:.1f}" y="{top:.1f}" {size}/>'


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """Return in SVG's words how a curve of Bézier segments runs: each from where the last one ends.

    Positions are in tenths of a point, so that what is rounded away does not add up.
    """
    here, *rest = [(round(10 * x), round(10 * y)) for x, y in points]
    words = [f"M{_pair(here, (0, 0))}"]
    for first in range(0, len(rest) - 2, 3):
        one, other, end = rest[first : first + 3]
        if _is_straight(here, one, other, end):
            words.append(f"l{_pair(end, here)}")
        else:
            words.append("c" + " ".join(_pair(point, here) for point in (one, other, end)))
        here = end
    return "".join(words)


def _is_straight(*points: tuple[int, int]) -> bool:
    """Whether they lie level, or above each other."""
    return any(len(set(ways)) == 1 for ways in zip(*points, strict=True))


def _pair(point: tuple[int, int], origin: tuple[int, int]) -> str:
    return ",".join(f"{(to - start) / 10:g}" for to, start in zip(point, origin, strict=True))


def _shortened(coordinates: str) -> str:
    return re.sub(r"(\.\d)\d+", r"\1", coordinates).replace(".0", "")
