"""Rows of blocks: of copies, of what is made alike between them, and bars; from below."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from .arrows import Arrows
from .copies.cells import Cells
from .copies.recurrence import key_of
from .copies.sites import places_of
from .grouping.groups import Group, Groups
from .quotient import RowKind
from .timesteps.pieces import WHOLE
from .timesteps.placement import Placement
from .words.naming import Naming


class Rows:
    """Sorts blocks into rows.

    Args:
        groups: the blocks; those between the copies get their ids here.
        arrows: what they read of each other.
        naming: what the modules are called.
    """

    def __init__(self, groups: Groups, arrows: Arrows, naming: Naming) -> None:
        self.groups, self.cells = groups, groups.cells
        self.arrows, self.naming = arrows, naming

    def all(self) -> list[tuple[RowKind, int, list[Group]]]:
        """Rows of copies, and rows of between-blocks of one path or formula."""
        cells: list[tuple[RowKind, int, list[Group]]] = [
            ("loop" if loop.owner is None else "cell", number, [])
            for number, loop in enumerate(self.cells.loops)
        ]
        between: dict[object, list[Group]] = {}
        bars: list[tuple[RowKind, int, list[Group]]] = []
        for group in self.groups.groups:
            if group.copy is not None:
                cells[group.copy.row][2].append(group)
            elif group.kind == "between":
                key = self.naming.path_in(group.nodes), group.ops, group.carries
                between.setdefault(key, []).append(group)
            elif group.kind == "bar":
                bars.append(("bar", len(bars), [group]))
        rows = [row for alike in between.values() for row in self.groups.of_other_weights(alike)]
        apart = [groups for alike in rows for groups in _told_apart(alike)]
        # a trace has moves of data that a tensor's own history lacks: these change no number
        apart.sort(key=_only_moves)
        for number, groups in enumerate(apart):
            for t, group in enumerate(groups):
                group.id = f"between-{number}-{t}"
        others: list[tuple[RowKind, int, list[Group]]] = [
            ("between", number, groups) for number, groups in enumerate(apart)
        ]
        return self._from_below([*cells, *others, *bars])

    def _from_below(
        self, rows: list[tuple[RowKind, int, list[Group]]]
    ) -> list[tuple[RowKind, int, list[Group]]]:
        """In the order in which they feed each other within a column."""
        row_of = {id(group): i for i, (_, _, groups) in enumerate(rows) for group in groups}
        columns = {id(group): group.columns for group in self.groups.groups}
        below: list[set[int]] = [set() for _ in rows]
        for a, b in self.arrows.between:
            if a not in row_of or b not in row_of or row_of[a] == row_of[b]:
                continue
            if columns[a][-1] == columns[b][0] or len(columns[a]) > 1:
                below[row_of[b]].add(row_of[a])
        first = [min(map(_first_id, groups)) for *_, groups in rows]
        done: dict[int, None] = {}
        while len(done) < len(rows):
            left = [i for i in range(len(rows)) if i not in done]
            free = [i for i in left if below[i] <= done.keys()] or left
            done[min(free, key=first.__getitem__)] = None
        return [rows[i] for i in done]


def _told_apart(alike: list[Group]) -> list[list[Group]]:
    """Blocks that are made alike are a row; where a column has two, those that one line makes.

    What one line makes for several modules, or in several calls of a function, is a row for each;
    else the parts of one value, or the first blocks of all columns, the second ones …
    """
    rows = [alike]
    for key in (_line_of, _owners_of, _places_of, _Count()):
        rows = [part for row in rows for part in _split(row, key)]
    return rows


class _Count:
    """Which block of its columns one is, in the order of creation; parts of a value are one row."""

    def __init__(self) -> None:
        self._count: dict[tuple[int, ...], int] = defaultdict(int)

    def __call__(self, group: Group) -> Hashable:
        last = group.atoms[-1]
        if last.label != WHOLE:
            return last.node
        self._count[group.columns] += 1
        return self._count[group.columns]


def _split(row: list[Group], key: Callable[[Group], Hashable]) -> Iterable[list[Group]]:
    """The blocks by a key, where a column has two of them."""
    columns = [group.columns for group in row]
    if len(set(columns)) == len(columns):
        return (row,)
    found: dict[Hashable, list[Group]] = {}
    for group in sorted(row, key=lambda group: group.atoms[-1].node.id):
        found.setdefault(key(group), []).append(group)
    return found.values()


def _places_of(group: Group) -> Hashable:
    """Where the program made it: where that was called, too."""
    return places_of(group.atoms[-1].node)


def _line_of(group: Group) -> Hashable:
    """Where the program made it."""
    return places_of(group.atoms[-1].node, 1)


def _owners_of(group: Group) -> Hashable:
    """The modules in whose calls it was made."""
    return tuple(map(key_of, group.atoms[-1].node.calls))


def _first_id(group: Group) -> int:
    """The id of the first value in a group."""
    if group.copy is not None:
        return group.copy.nodes[0].id
    return min(atom.node.id for atom in group.own)


def _only_moves(groups: Iterable[Group]) -> bool:
    return all(group.only_moves for group in groups)


def layers_of(cells: Cells, placement: Placement) -> list[int]:
    """The layer of each row: one that runs backwards is of the same as the row before it."""
    found: list[int] = []
    for number in range(len(cells.loops)):
        reverse = number in placement.backwards
        last = found[-1] if found else -1
        found.append(last if reverse and found else last + 1)
    return found
