"""Where a name may stand beside a way that goes around: next to it, and on nothing else."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from ..picture.shapes import Edge, Point, Shape, Text

_Box = tuple[float, float, float, float]  # left, bottom, right, top

_BIN = 64.0  # what is far away is not looked at
_BESIDE = 9.0  # the middle of a name from its way
_FREE = 5.0  # … and its ends from the bends
_LINE, _TIP = 1.5, 6.0  # half as thick as a way, an arrowhead
_GROUND = {"column", "bracket", "fold"}  # names stand on them


class Room:
    """What is taken of a picture.

    Args:
        shapes: what stands in it.
        edges: with their texts.
        ways: the corners of the edges.
    """

    def __init__(
        self, shapes: Iterable[Shape], edges: Iterable[Edge], ways: Iterable[Sequence[Point]]
    ) -> None:
        self._taken: defaultdict[int, list[_Box]] = defaultdict(list)
        for shape in shapes:
            if shape.cls not in _GROUND and shape.form != "text":
                self._take((shape.left, shape.bottom, shape.right, shape.top))
            for text in shape.texts:
                self._take(_box_of(text))
        for edge in edges:
            for text in filter(None, (edge.label, edge.note)):
                self._take(_box_of(text))
        for box in dict.fromkeys(box for corners in ways for box in _along(corners)):
            self._take(box)

    def named(self, corners: Sequence[Point], text: Text) -> Text | None:
        """A name in the first free place beside a way, which is taken then; None without any."""
        for x, y in _places(corners, text.width):
            moved = text.moved(x - text.x, y - text.y)
            box = _box_of(moved)
            if self._is_free(box):
                self._take(box)
                return moved
        return None

    def _take(self, box: _Box) -> None:
        for number in _bins(box):
            self._taken[number].append(box)

    def _is_free(self, box: _Box) -> bool:
        return not any(_meet(box, other) for k in _bins(box) for other in self._taken[k])


def _bins(box: _Box) -> range:
    return range(int(box[0] // _BIN), int(box[2] // _BIN) + 1)


def _meet(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _box_of(text: Text) -> _Box:
    reach, rise = text.width / 2 + 2.0, text.size / 2
    return text.center - reach, text.y - rise, text.center + reach, text.y + rise


def _along(corners: Sequence[Point]) -> Iterator[_Box]:
    """What a way covers."""
    for (x, y), (to_x, to_y) in pairwise(corners):
        low, high = sorted((x, to_x)), sorted((y, to_y))
        yield low[0] - _LINE, high[0] - _LINE, low[1] + _LINE, high[1] + _LINE
    x, y = corners[-1]
    yield x - _TIP, y - _TIP, x + _TIP, y + _TIP


def _places(corners: Sequence[Point], width: float) -> Iterator[Point]:
    """Places above and below the levels of a way, from its start."""
    for (x, y), (to_x, to_y) in pairwise(corners):
        reach = width / 2 + _FREE
        if abs(y - to_y) > 0.5 or abs(to_x - x) < 2 * reach:
            continue
        away = reach if x < to_x else -reach
        for place in (x + away, (x + to_x) / 2, to_x - away):
            yield place, y + _BESIDE
            yield place, y - _BESIDE
