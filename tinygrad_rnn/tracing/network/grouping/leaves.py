"""What the leaves are: data that comes in, or constants of the model, the same at every step.

Nothing is declared. A value is read at places: an input of an op of a copy, the same one in all
copies that are made alike; outside of copies an op on one line. What a place reads at every step,
and no place anew, is steady, and so is what leads only to that. A steady leaf is a constant, but
where it goes through a weight: what is multiplied by parameters is data, say a plan that is given
at every step.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast
from weakref import ref

from ...recording.graph import Node
from ..copies.cells import Cells
from ..copies.sites import frozen, site_of
from ..slices import Slice

# A stack of more leaves than that holds the steps of a sequence, and no input of one.
_JOINED_MOST = 32


class _Taken(NamedTuple):
    """What a place reads at one step: of a move also which part it takes."""

    value: Node
    part: Hashable


class _InCopy(NamedTuple):
    """A place in the copies of a row that are made alike."""

    row: int
    structure: int
    op: int
    slot: int


_Places = Mapping[Hashable, Mapping[Any, _Taken]]  # place -> step -> what it reads there


class Leaves:
    """What is read at every step, and what anew at each.

    Args:
        nodes: all, in creation order.
        surface: those of them outside the copies, and where something enters one.
        cells: the copies among them.

    Attributes:
        varying: what is read where other steps read something else.
        steady: what every step reads as it is, and all that leads only to that.
        data: leaves that are multiplied by a weight, or say which of its rows is looked up.
        same_as: of constants that are made anew at each step, with the same numbers: the first.
    """

    def __init__(self, nodes: Sequence[Node], surface: Sequence[Node], cells: Cells) -> None:
        places = _places(surface, cells)
        self.varying: set[Node] = set()
        self.same_as: dict[Node, Node] = {}
        always: set[Node] = set()
        alike: dict[Hashable, list[Node]] = {}
        for place, by_step in places.items():
            taken = list(dict.fromkeys(by_step.values()))
            found = [one.value for one in taken]
            if len(by_step) < 2:
                continue
            if len(taken) == 1:
                always.update(found)
            elif _are_alike(found):
                alike[place] = found
            else:
                self.varying.update(found)
        self.data = _data_in(nodes, always - self.varying)
        fed = self._rows_fed(places)
        for may_be in (False, True):  # those that are none first: they tell what varies
            for place, found in alike.items():
                if (self._may_be_made_anew(place, found, fed)) != may_be:
                    continue
                if may_be:
                    self.same_as |= dict.fromkeys(found, found[0])
                else:
                    self.varying.update(found)
        self._numbers = _numbers_in(surface, cells) - self.varying
        self._add_those_of_others(places)
        always.update(self.same_as)
        self.steady = _steady_in(surface, cells, always - self.varying)

    def is_constant(self, x: Node) -> bool:
        """Whether a leaf is one thing for all steps, and no data."""
        if x.op is not None or x.is_parameter or x in self.data:
            return False
        return x in self.steady or x in self._numbers

    def _add_those_of_others(self, places: _Places) -> None:
        """What is made anew at each step, in a copy that is made otherwise than the others.

        Where such a copy stands elsewhere, as a node of a tree with more children, it reads an
        input, and so do the others.
        """
        known: dict[Hashable, Node] = {}
        read_at: dict[Hashable, set[Node]] = defaultdict(set)  # by the op alone
        others: list[tuple[Hashable, Hashable, Node]] = []
        for place, by_step in places.items():
            if not isinstance(place, _InCopy):
                continue
            for copy, one in by_step.items():
                x = one.value
                if x.op is not None or x.is_gone:
                    continue
                node = copy.nodes[place.op]
                numbers = place.row, place.slot, x.shape, x.data.tobytes()
                key, op = (site_of(node), *numbers), (node.op, *numbers)
                if x in self.same_as:
                    known[key] = self.same_as[x]
                    read_at[op].add(self.same_as[x])
                elif x not in self.varying and x not in self.data:
                    others.append((key, op, x))
        self.same_as |= {x: known[key] for key, _, x in others if key in known}
        inputs = {x for key, op, _ in others if key not in known for x in read_at[op]}
        self.same_as = {x: one for x, one in self.same_as.items() if one not in inputs}

    def _rows_fed(self, places: _Places) -> set[int]:
        """The rows of copies that read something that comes anew at each step."""
        return {
            place.row
            for place, by_step in places.items()
            if isinstance(place, _InCopy)
            and any(
                one.value.op is not None or one.value in self.varying for one in by_step.values()
            )
        }

    def _may_be_made_anew(self, place: Hashable, found: Sequence[Node], fed: set[int]) -> bool:
        """Whether leaves with the same numbers may be a constant: what alone comes in is none."""
        if not self.varying.isdisjoint(found) or not self.data.isdisjoint(found):
            return False
        return place.row in fed if isinstance(place, _InCopy) else not found[0].shape


def _places(nodes: Iterable[Node], cells: Cells) -> _Places:
    """What comes in from elsewhere, by where it enters; states are not inputs."""
    found: defaultdict[Hashable, dict[Any, _Taken]] = defaultdict(dict)
    for copy in cells.all:
        for op, slot in cells.loops[copy.row].fed(copy):
            place = _InCopy(copy.row, id(copy.made), op, slot)
            found[place][copy] = _taken(copy.nodes[op], copy.read((op, slot)))
    for node in nodes:
        if node.op is None or node.source is None or cells.of(node) is not None:
            continue
        for slot, x in enumerate(node.inputs):
            if x is not None and x.op is None and not x.is_parameter:
                found[cells.sites.of(node), id(node.source), slot][node] = _taken(node, x)
    return found


def _taken(reader: Node, x: Node) -> _Taken:
    return _Taken(x, frozen(reader.options) if reader.is_move else None)


def _are_alike(found: Sequence[Node]) -> bool:
    """Whether leaves are arrays of their own, made with the same numbers each time."""
    first, *others = found
    if any(x.op is not None or x.is_gone for x in found):
        return False
    owners = {id(x.origin.owner) for x in found if x.origin is not None}
    if len(owners) < len(found):  # the rows of one array
        return False
    return all(
        (x.shape, x.data.dtype) == (first.shape, first.data.dtype)
        and x.data.tobytes() == first.data.tobytes()
        for x in others
    )


def _data_in(nodes: Iterable[Node], fixed: set[Node]) -> set[Node]:
    """The leaves that meet a weight in a product, or look up its rows, moved or joined before."""
    weights: set[Node] = set()
    moved: dict[Node, set[Node]] = {}  # what was only moved: the leaves that it holds
    data: set[Node] = set()
    for node in nodes:
        if node.op is None:
            moved[node] = {node}
            if node.is_parameter:
                weights.add(node)
            continue
        if not weights.isdisjoint(node.inputs):
            if node.kind in ("product", "lookup"):
                data.update(leaf for x in node.tensors() for leaf in moved.get(x, ()))
            elif all(x in weights or x in fixed for x in node.tensors()):
                weights.add(node)
        if node.is_move:
            held = {leaf for x in node.tensors() for leaf in moved.get(x, ())}
            moved[node] = held if len(held) <= _JOINED_MOST else set()
    return {leaf for leaf in data if not leaf.is_parameter}


def _numbers_in(nodes: Iterable[Node], cells: Cells) -> set[Node]:
    """Scalars that outside of copies scale or shift something, or fill it up."""
    others: set[Node] = set()
    found: set[Node] = set()
    for node in nodes:
        for x in node.tensors():
            if x.op is None and not x.shape:
                outside = cells.of(node) is None and node.kind == "elementwise" and node.shape
                (found if outside else others).add(x)
    return found - others


def _steady_in(nodes: Sequence[Node], cells: Cells, always: set[Node]) -> set[Node]:
    """What is read at every step, and what is made outside of copies and leads only to that."""
    found: set[Node] = set()
    read: set[Node] = set()
    others: set[Node] = set()  # what something reads that is not steady
    for node in reversed(nodes):
        leads_to_steady = node in always or node not in others
        if node in read and leads_to_steady and cells.of(node) is None:
            found.add(node)
        else:
            others.update(node.tensors())
        read.update(node.tensors())
    return found


def row_of(leaf: Node, part: Slice | None) -> tuple[Hashable, int] | None:
    """Which array of the program a leaf, or a part of it, is a row of, and which row.

    None: it is no row, or that array is gone.
    """
    origin, index = leaf.origin, leaf.index
    if part is not None:
        place = None if part.index is None else part.index[-1]
        return None if type(place) is not int else (id(leaf), _row_in_array(leaf, part, place))
    if type(index) is int:
        return leaf.given_name, index
    alive: Any = None if origin is None else origin.owner
    if origin is None or type(alive) is not ref:
        return None
    owner: Any = cast("Any", alive)()
    if owner is None or not origin.address or owner.shape[1:] != origin.shape:
        return None
    if owner.strides[1:] != origin.strides or not owner.strides[0]:
        return None
    first: int = owner.__array_interface__["data"][0]
    return id(owner), (origin.address - first) // owner.strides[0]


def _row_in_array(leaf: Node, part: Slice, place: int) -> int:
    """Which row of the program's array it is, of which the leaf is a range or has all."""
    axis = part.axes[0]
    back = leaf.shape[axis] - 1 - place
    index = leaf.index
    if isinstance(index, slice):
        start: int = index.start or 0
        return back if index.step == -1 else place + max(start, 0)
    is_reversed = leaf.origin is not None and leaf.origin.strides[axis] < 0
    return back if is_reversed else place
