"""What a copy is made of: its recorded ops as parts, parameters inside the parts that use them.

Three things that were recorded are drawn without a box of their own: a view of a parameter (its
chip says which part of it), the addition of a bias (a chip on what it is added to), and a slice of
a value (the wire it leaves by).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...tracing.network.network import Cell, Link, Network
from ...tracing.recording.graph import Node

_SLICES = ("getitem", "reshape", "squeeze", "expand_dims", "transpose", "swapaxes", "astype")
_SIGNS = {
    "linear": "×",
    "matmul": "×",
    "mul": "×",
    "add": "+",
    "sub": "−",
    "div": "÷",
    "truediv": "÷",
    "neg": "−",
    "sigmoid": "σ",
    "getitem": "[ ]",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a value enters: which value of which link."""

    link: str
    state: bool  # it comes from the copy before
    place: int  # among the link's values
    number: int  # of the link, among those that bring no state


@dataclass(slots=True, eq=False)
class Part:
    """One op as it is drawn: which recorded node it computes last, its chips, and what it reads, in order."""

    node: Node
    place: int  # of the node in its copy
    sign: str
    op: str
    chips: list[tuple[int, str]] = field(
        default_factory=list[tuple[int, str]]
    )  # parameter's node id, its name
    reads: "list[tuple[Part | Entry, str]]" = field(
        default_factory=list["tuple[Part | Entry, str]"]
    )  # and which slice
    slots: list[int] = field(default_factory=list[int])  # which inputs of `reader` these are
    absorbed: list[Node] = field(
        default_factory=list[Node]
    )  # other recorded nodes that are drawn with it

    @property
    def reader(self) -> Node:
        """The node that reads what the part reads."""
        return self.absorbed[0] if self.absorbed else self.node

    @property
    def tooltip(self) -> str:
        ops = " then ".join(node.op or "" for node in [*self.absorbed, self.node])
        names = ", ".join(name for _, name in self.chips)
        return f"{ops} {self.node.shape}{' with ' if names else ''}{names}"


class Anatomy:
    """The parts of a set of nodes, each of which computes from what enters and from other parts."""

    def __init__(
        self, nodes: Sequence[Node], names: Mapping[int, str], entries: Mapping[Node, Entry]
    ) -> None:
        self._names = names
        self._entries = entries
        self._inside = set(nodes)
        self._readers = Counter(x for node in nodes for x in node.tensors())
        self._views: dict[
            Node, tuple[int, str]
        ] = {}  # views of parameters: whose, and what it is called
        self._slices: dict[Node, tuple[Part | Entry, str]] = {}
        self._part_of: dict[Node, Part] = {}
        self.parts: list[Part] = []
        for place, node in enumerate(nodes):
            self._add(node, place)

    def part(self, node: Node) -> "tuple[Part | Entry, str] | None":
        """Return what a node is drawn as, and which slice of that it is."""
        if node in self._part_of:
            return self._part_of[node], ""
        return self._slices.get(node)

    def _add(self, node: Node, place: int) -> None:
        tensors = list(node.tensors())
        if node.op in _SLICES and len(tensors) == 1 and self._is_slice(node, tensors[0]):
            return
        chips = [chip for x in tensors if (chip := self._chip(x))]
        found = [
            (read, slot)
            for slot, x in enumerate(node.inputs)
            if x is not None and (read := self._read(x))
        ]
        reads = [read for read, _ in found]
        if self._is_bias(node, chips, reads):
            self._absorb(node, place, reads[0][0], chips[0])  # type: ignore[arg-type]
            return
        constants = len(tensors) - len(chips) - len(reads)  # what the formula brings along
        part = Part(
            node,
            place,
            _sign(node) + " const" * constants,
            node.op or "",
            chips,
            reads,
            [slot for _, slot in found],
        )
        self.parts.append(part)
        self._part_of[node] = part

    def _is_slice(self, node: Node, x: Node) -> bool:
        chip = self._chip(x)
        if chip:
            self._views[node] = (chip[0], chip[1] + _slice_text(node))
            return True
        read = self._read(x)
        if read:
            self._slices[node] = (read[0], read[1] + _slice_text(node))
        return read is not None

    def _is_bias(
        self, node: Node, chips: Sequence[Any], reads: "Sequence[tuple[Part | Entry, str]]"
    ) -> bool:
        """Whether a parameter is added to a product or a sum that nobody else reads."""
        if node.op != "add" or len(chips) != 1 or len(reads) != 1:
            return False
        target = reads[0][0]
        return (
            isinstance(target, Part)
            and target.op in ("linear", "matmul", "add")
            and not reads[0][1]
            and self._readers[target.node] == 1
        )

    def _absorb(self, node: Node, place: int, part: Part, chip: tuple[int, str]) -> None:
        part.absorbed.append(part.node)
        part.node, part.place = node, place
        part.chips.append(chip)
        self._part_of[node] = part

    def _chip(self, x: Node) -> tuple[int, str] | None:
        if x in self._views:
            return self._views[x]
        return (x.id, self._names[x.id]) if x.is_parameter and x.id in self._names else None

    def _read(self, x: Node) -> "tuple[Part | Entry, str] | None":
        if x in self._slices:
            return self._slices[x]
        if x in self._part_of:
            return self._part_of[x], ""
        return (self._entries[x], "") if x in self._entries else None


def cell_anatomy(cell: Cell, network: Network, links: Iterable[Link]) -> Anatomy:
    """Return the parts of a copy; `links` are those that lead to it."""
    names = {parameter.node.id: parameter.name for parameter in network.parameters}
    return Anatomy(cell.nodes, names, _entries(cell.nodes, links))


def _entries(nodes: Sequence[Node], links: Iterable[Link]) -> dict[Node, Entry]:
    """Say for each value that enters by which link it comes, seeing through what happens on the way."""
    handed: dict[Node, Entry] = {}
    others = 0
    for link in links:
        state = is_state(link)
        for place, value in enumerate(link.values):
            handed.setdefault(value, Entry(link.id, state, place, 0 if state else others))
        others += not state
    inside = set(nodes)
    entries: dict[Node, Entry] = {}
    for node in nodes:
        for x in node.tensors():
            if x not in inside and x not in entries and not x.is_parameter:
                found = _handed(x, handed, inside)
                if found is not None:
                    entries[x] = found
    return entries


def is_state(link: Link) -> bool:
    """Whether a link brings what the copy before passes on."""
    return link.kind in ("message", "initial")


def _handed(x: Node, handed: Mapping[Node, Entry], inside: set[Node]) -> Entry | None:
    seen, stack = {x}, [x]
    while stack:
        node = stack.pop()
        if node in handed:
            return handed[node]
        for before in node.tensors():
            if before not in seen and before not in inside:
                seen.add(before)
                stack.append(before)
    return None


def _sign(node: Node) -> str:
    """Return how an op is written: its sign or name, with the number that it brings along."""
    sign = _SIGNS.get(node.op or "", node.op or "")
    numbers = [
        value
        for x, value in zip(node.inputs, node.operands, strict=False)
        if x is None and isinstance(value, int | float)
    ]
    if not numbers:
        return sign
    first = node.inputs[0] is None
    return f"{numbers[0]:g} {sign}" if first else f"{sign} {numbers[0]:g}"


def _slice_text(node: Node) -> str:
    if node.op != "getitem":
        return ""
    index = node.options.get("index")
    parts = index if isinstance(index, tuple) else (index,)
    return f"[{', '.join(_index_text(part) for part in parts if part is not Ellipsis)}]"


def _index_text(part: Any) -> str:
    if not isinstance(part, slice):
        return str(part) if isinstance(part, int) else "…"
    return ":".join("" if end is None else str(end) for end in (part.start, part.stop))
