"""On which level each row of a quotient stands: above everything that it reads in its columns."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ...tracing.network.quotient import Arrow, Block, Row

BESIDE_MOST = 3  # rows between copies that share a level

_Step = tuple[Row, Row, bool]  # from, to, whether it stays in its column


def row_levels(
    rows: Sequence[Row],
    arrows: Iterable[Arrow],
    hosts: Mapping[Row, Row],
    trees: Mapping[Row, Mapping[Block, int]],
    first: int,
) -> dict[Row, int]:
    """Return the level of each row, `first` being the lowest.

    A row of copies has a level of its own, and so has each depth of a tree. Rows between copies
    share one where nothing passes from one to the other; those of one module do in any case, where
    each has columns of its own: what it is called stands beside them once.

    Args:
        rows: from the bottom up.
        arrows: what passes between their blocks.
        hosts: of rows that stand beside copies, on the way of their message, those of the copies.
        trees: of rows that are trees, how far above its lowest level each node stands.
        first: the lowest level.
    """
    steps = list(_steps(arrows, hosts))
    together = _together([row for row in rows if row not in hosts], steps)
    standing = [row for row in rows if together.get(row) is row]
    ranks = _ranks(standing, [(together[a], together[b], stays) for a, b, stays in steps])
    groups: defaultdict[int, list[Row]] = defaultdict(list)
    for row in standing:
        groups[ranks[row]].append(row)
    levels: dict[Row, int] = {}
    level = first
    for rank in sorted(groups):
        for shared in _sharing(groups[rank]):
            levels.update(dict.fromkeys(shared, level))
            level += 1 + max(max(trees.get(row, {}).values(), default=0) for row in shared)
    for row, other in {**together, **hosts}.items():
        levels[row] = levels[other]
    return levels


def _together(rows: Sequence[Row], steps: Iterable[_Step]) -> dict[Row, Row]:
    """Return with which row each stands on one level: itself, or the first one of its module."""
    following: defaultdict[Row, set[Row]] = defaultdict(set)
    for start, end, _ in steps:
        following[start].add(end)
    found: dict[Row, Row] = {}
    of_path: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row] = row
        if row.kind != "between" or not row.path or any(map(_is_sign, row.blocks)):
            continue
        others = of_path[row.path]
        if all(_are_apart(row, other, following) for other in others):
            others.append(row)
            found[row] = others[0]
            following[row].add(others[0])  # now what leads to one of them leads to all
            following[others[0]].add(row)
    return found


def _are_apart(a: Row, b: Row, following: Mapping[Row, set[Row]]) -> bool:
    """Whether two rows share no column, and nothing passes from the one to the other."""
    if _columns(a) & _columns(b):
        return False
    return b not in _reached(a, following) and a not in _reached(b, following)


def _is_sign(block: Block) -> bool:
    return block.sign is not None or len(block.columns) > 1


def tree_heights(row: Row, children: Mapping[Block, Sequence[Block]]) -> dict[Block, int]:
    """Return how many levels above its row's lowest each node of a tree stands.

    Two a node, one for the copy and one for what it reads: leaves one above the other, and each
    other node beside the first of its children.
    """
    heights: dict[Block, int] = {}
    taken = 0
    for block in row.blocks:  # children are called before what reads them
        known = [heights[child] for child in children.get(block, ()) if child in heights]
        if known:
            heights[block] = min(known)
        else:
            heights[block] = taken
            taken += 2
    return heights


def _sharing(rows: Sequence[Row]) -> list[list[Row]]:
    """Divide rows of one rank into those of one level each."""
    shared: list[list[Row]] = []
    between = [row for row in rows if row.kind == "between"]
    for row in between:
        for level in shared:
            if len(level) < BESIDE_MOST and not _has_wide(row) and not any(map(_has_wide, level)):
                level.append(row)
                break
        else:
            shared.append([row])
    for row in rows:
        if row.kind == "bar":
            place = next((level for level in shared if _fits_beside(row, level)), None)
            if place is None:
                shared.append([row])
            else:
                place.append(row)
    shared += [[row] for row in rows if row.kind in ("cell", "loop")]
    return shared


def _fits_beside(row: Row, level: Iterable[Row]) -> bool:
    return not any(_range(row) & _range(other) for other in level)


def _columns(row: Row) -> set[int]:
    return {column for block in row.blocks for column in block.columns}


def _range(row: Row) -> set[int]:
    columns = _columns(row)
    return set(range(min(columns, default=0), max(columns, default=-1) + 1))


def _has_wide(row: Row) -> bool:
    return any(len(block.columns) > 1 for block in row.blocks)


def _steps(arrows: Iterable[Arrow], hosts: Mapping[Row, Row]) -> Iterator[_Step]:
    for arrow in arrows:
        source, target = arrow.source, arrow.target
        if source.row is None or target.row is None:
            continue
        start, end = hosts.get(source.row, source.row), hosts.get(target.row, target.row)
        if start is not end:
            yield start, end, not set(source.columns).isdisjoint(target.columns)


def _ranks(rows: Sequence[Row], steps: Iterable[_Step]) -> dict[Row, int]:
    """Return the longest way to each row: over steps in one column, then any that do not circle."""
    order = {row: place for place, row in enumerate(rows)}
    found = dict.fromkeys(steps)
    following: defaultdict[Row, set[Row]] = defaultdict(set)
    for upright in (True, False):
        ends = [(start, end) for start, end, stays in found if stays is upright]
        for start, end in sorted(ends, key=lambda pair: (order[pair[0]], order[pair[1]])):
            if start not in _reached(end, following):
                following[start].add(end)
    ranks: dict[Row, int] = dict.fromkeys(rows, 0)
    waiting = dict.fromkeys(rows, 0)
    for ends in following.values():
        for end in ends:
            waiting[end] += 1
    ready = [row for row in rows if not waiting[row]]
    while ready:
        row = ready.pop()
        for end in following[row]:
            ranks[end] = max(ranks[end], ranks[row] + 1)
            waiting[end] -= 1
            if not waiting[end]:
                ready.append(end)
    return ranks


def _reached(start: Row, following: Mapping[Row, set[Row]]) -> set[Row]:
    seen, stack = {start}, [start]
    while stack:
        for row in following.get(stack.pop(), ()):
            if row not in seen:
                seen.add(row)
                stack.append(row)
    return seen
