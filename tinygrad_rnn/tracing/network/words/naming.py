"""What everything in a network is called: the one namer of pictures, player and debugger.

A value has the name that its tensor was given, else that of the variable it was bound to. In a copy
its timestep stands behind it; that is the number of the call, and in a row that runs backwards it
counts from the other end.
"""

from collections import Counter
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from ....autograd.state import Scope
from ....cached import cached_property
from ...recording.graph import Graph, Node, outermost_module
from ..copies.cells import Cells, cells_in
from ..copies.copies import Copy, Loop, chains_of
from ..copies.recurrence import is_moved, key_of
from ..parameters import parameter_names
from ..quotient import element_of, primes, timeless
from ..slices import Slice, index_text
from ..timesteps.placement import Placement

_T = TypeVar("_T")

_UNNAMED = "h"


@dataclass(frozen=True, slots=True)
class _Count:
    """The step of a copy, that of what its chain begins with, and what tells chains apart."""

    time: int
    before: int
    prime: str
    run: int  # which of the sequences that its row reads


class Naming:
    """The names in one graph.

    Args:
        graph: with the names that the user gave.
        cells: the copies in it.
        placement: their columns.
        trained: id of a parameter -> its name in the modules.
        containers: calls that are the whole model, not a part of it.

    Attributes:
        cells: those copies.
        states: id of a row's loop -> what its copies make, under the program's names.
        arriving: id of a row's loop -> what comes in as these: the same, but where something is
            computed on the way, as by a mask.
    """

    def __init__(
        self,
        graph: Graph,
        cells: Cells,
        placement: Placement,
        trained: Mapping[int, str],
        containers: Container[Scope],
    ) -> None:
        self._graph, self._placement, self.cells = graph, placement, cells
        self._containers = containers
        self.trained = trained
        self._given = _given_names(graph)
        self._slices = _slice_names(graph)
        arriving = {id(loop): self._arriving(loop) for loop in cells.loops}
        self.states = {
            id(loop): self._state_names(loop, arriving[id(loop)]) for loop in cells.loops
        }
        self.arriving = {
            id(loop): self._arriving_names(loop, arriving[id(loop)]) for loop in cells.loops
        }
        self._find_times()

    @cached_property
    def taken(self) -> Set[str]:
        """What something is called in the picture that is no leaf; of several, xs, each is an x."""
        found = {name for names in self.states.values() for name in names}
        found.update(name for names in self.arriving.values() for name in names)
        leaves = (node for node in self._graph.nodes if node.op is None)
        return found | self.names_but(leaves) | {"L"}

    def names_but(self, some: Iterable[Node]) -> Set[str]:
        """What the program calls values, but for some, and what only moves or joins these.

        A name that was given to one tensor alone is a caption, as a character is: it takes no
        letter away.
        """
        own, found = set(some), set[str]()
        for node in self._graph.nodes:
            if node in own:
                continue
            if node.is_move and own.issuperset(node.tensors()):
                own.add(node)
            elif node not in self._given:
                found.add(node.given_name or "")
        return {element_of(timeless(name)) for name in found}

    @cached_property
    def nameless_input(self) -> str:
        """What an input is called that the program does not name: x, if nothing else is."""
        return next((name for name in ("x", "input", "data") if name not in self.taken), "given")

    def of(self, node: Node) -> str:
        """What a value is called, without its timestep; "" where nobody named it."""
        if node.is_parameter and node.id in self.trained:
            return self.trained[node.id]
        return self.state_name(node) or self._given.get(node) or _said_of(node)

    def state_name(self, node: Node) -> str:
        """The name of the state of its copy that a value is; "" of what is none."""
        state = self.cells.state_of(node)
        if state is None:
            return ""
        row, number = state
        names = self.states[id(self.cells.loops[row])]
        return names[number] + self.prime(self.cells.of(node)) if number < len(names) else ""

    def caption(self, node: Node) -> str:
        """What the user calls a value, or the one that it was only moved from."""
        while not (found := self._given.get(node) or _said_of(node)):
            if node.moved_from is None:
                return ""
            node = node.moved_from
        return found

    def target(self, node: Node) -> str:
        """What the user calls a target; of what is no row for a step, but a range, that too."""
        while (source := node.moved_from) is not None and node.index is None:
            node = source
        name, index = self.caption(node), node.index
        return name + index_text(index) if name and isinstance(index, slice) else name

    def made_of(self, node: Node) -> str:
        """The name of the one value that something was computed from; "" of none or several."""
        while not (found := self.of(node)):
            made = [x for x in node.tensors() if x.op is not None]
            if len(made) != 1:
                return ""
            (node,) = made
        return found

    def is_titled(self, node: Node, part: Slice | None = None) -> bool:
        """Whether the user gave a value a name of its own, or the part of a sequence."""
        while node not in self._given and node.moved_from is not None:
            node = node.moved_from
        index = None if part is None else part.index
        if node in self._given or index is None or not isinstance(index[0], int):
            return node in self._given  # a range is no one slice
        return (node, index[0]) in self._slices

    def part_caption(self, node: Node, part: Slice | None) -> str:
        """What the user calls a part of a stacked sequence, else the sequence."""
        index = None if part is None else part.index
        if index is not None and len(index) == 1 and isinstance(index[0], int):
            found = self._slices.get((node, index[0]))
            if found is not None:
                return found
        return self.caption(node)

    # Times

    def time(self, copy: Copy) -> int:
        """The timestep of a copy: in a reversed row it counts from the end.

        Each chain counts its own, but where it goes on with the sequence of the chain before. A row
        that begins with a later slice of a sequence begins with the time of that.
        """
        return self._counts[copy].time

    def time_before(self, copy: Copy) -> int:
        """The timestep of the state that the first copy of a chain begins with."""
        return self._counts[copy].before

    def prime(self, copy: Copy | None) -> str:
        """What tells the states of a chain from those of others of its row that count alike."""
        return "" if copy is None else self._counts[copy].prime

    def is_beside_others(self, copy: Copy) -> bool:
        """Whether other copies of its row may stand in its column, which count otherwise."""
        is_tree = self.cells.loops[copy.row].is_tree
        return is_tree or self._in_column[copy.row, self._placement.columns[copy]] > 1

    @cached_property
    def _in_column(self) -> Counter[tuple[int, int]]:
        """How many copies of each row stand in each column."""
        columns = self._placement.columns
        return Counter((copy.row, columns[copy]) for copy in self.cells.all)

    def run(self, copy: Copy) -> Hashable:
        """What tells the copies that read one sequence from others."""
        return copy.row, self._counts[copy].run

    def lowest_in(self, column: int) -> Copy | None:
        """The lowest copy in a column of a row that runs forwards; of a slow row if of no other."""
        return self._lowest.get(column)

    def time_in(self, column: int) -> int:
        """The timestep that the inputs of a column have: that of its lowest copy, which reads them.

        A chain above may begin later, or move on more slowly.
        """
        copy = self.lowest_in(column)
        return column if copy is None else self.time(copy)

    def _find_times(self) -> None:
        """Row by row, from the bottom, the timesteps of copies, and so those of columns."""
        self._counts: dict[Copy, _Count] = {}
        self._lowest: dict[int, Copy] = {}
        for loop in self.cells.loops:
            self._counts |= self._counted(loop)
            if loop.copies[0].row not in self._placement.slow:
                self._stand(loop)
        for row in sorted(self._placement.slow):  # a slow row counts its own steps
            self._stand(self.cells.loops[row])

    def _stand(self, loop: Loop) -> None:
        """Let the copies of a row give their columns the time that these have from no other."""
        for copy in loop.copies:
            if not self._placement.reversed(copy):
                self._lowest.setdefault(self._placement.columns[copy], copy)

    def _counted(self, loop: Loop) -> dict[Copy, "_Count"]:
        """The timesteps of a row, run by run: a run reads one sequence."""
        found: dict[Copy, _Count] = {}
        taken: list[set[int]] = []  # the steps that states have with no prime, with one, with two
        for number, run in enumerate(self._runs(loop)):
            places = self._places(run)
            first = self._placement.columns[run[0][0]]
            in_step = all(self._is_in_step(copy, first + place) for copy, place in places.items())
            if len(places) == 1:  # what joins several steps is none of them
                in_step &= self._placement.joining.isdisjoint(places)
            lowest = self.lowest_in(first)
            begun = (0 if number else first) if lowest is None else self.time(lowest)
            begun = begun if in_step else 0
            last = max(places.values())
            for copies in run:
                way = -1 if any(map(self._placement.reversed, copies)) else 1
                times = [last - places[c] if way < 0 else places[c] + begun for c in copies]
                before = begun - 1 if loop.is_tree else times[0] - way
                steps = {before, *times}
                k = first_free(taken, steps)
                counts = (_Count(time, before, primes(k), number) for time in times)
                found |= zip(copies, counts, strict=True)
        return found

    def _runs(self, loop: Loop) -> list[list[list[Copy]]]:
        """The chains of a row, those together that read one sequence."""
        if loop.is_tree:
            return [[loop.copies]]
        runs: list[list[list[Copy]]] = []
        for copies in chains_of(loop):
            if not runs or copies[0] in self._placement.anew:
                runs.append([])
            runs[-1].append(copies)
        return runs

    def _places(self, run: Sequence[Sequence[Copy]]) -> dict[Copy, int]:
        """Which step of a run each copy is: a chain goes on after another, or runs beside it."""
        found: dict[Copy, int] = {}
        columns, start = self._placement.columns, 0
        for number, copies in enumerate(run):
            before = run[number - 1] if number else ()
            spans = {columns[copy] for copy in before}
            if before and spans.isdisjoint(columns[copy] for copy in copies):
                start = found[before[-1]] + 1
            found |= {copy: start + k for k, copy in enumerate(copies)}
        return found

    def _is_in_step(self, copy: Copy, column: int) -> bool:
        """Whether it stands in a column, and is fed by what belongs there."""
        return self._placement.lowest[copy] == self._placement.columns[copy] == column

    def names_begun(self, copy: Copy) -> list[str]:
        """What the states are called that a chain begins with, as a first copy reads them.

        Where the program has an m, of which each step makes an m_new, it is that m.
        """
        loop = self.cells.loops[copy.row]
        own = list(self.arriving[id(loop)])
        for k, group in enumerate(loop.states[copy.made][: len(own)]):
            name = self.caption(copy.read(group[0]))
            if name in own[k].split("_") and name not in own:
                own[k] = name
        return [name + self.prime(copy) for name in own]

    @cached_property
    def fed_back(self) -> Set[Node]:
        """The inputs of first copies that have the name, and the place, of what others read there.

        That was made in the step before: x₋₁, where the others read x₀, x₁ …
        """
        found: set[Node] = set()
        for loop in self.cells.loops:
            for first, *others in chains_of(loop):
                for k, entry in enumerate(loop.fed(first)):
                    x = first.read(entry)
                    given = [one.read(fed[k]) for one in others if k < len(fed := loop.fed(one))]
                    name = "" if x.op is not None else self.caption(x)
                    if name and given and all(self._is_made(y, name) for y in given):
                        found.add(x)
        return found

    def _is_made(self, node: Node, name: str) -> bool:
        """Whether a value of this name is made by copies, or of what they make."""
        return self.caption(node) == name and self._is_made_by_copies(node)

    def _is_made_by_copies(self, node: Node) -> bool:
        """Whether a value is made by a copy, or of what one makes."""
        return self.cells.of(node) is not None or node in self._made_after_copies

    @cached_property
    def _made_after_copies(self) -> Set[Node]:
        found: set[Node] = set()
        for node in self.cells.outside(self._graph.nodes):
            if any(self.cells.of(x) is not None or x in found for x in node.tensors()):
                found.add(node)
        return found

    # Modules

    def path(self, scope: Scope) -> str:
        """Where a call sits, the outermost module by its variable: "model.encoder.cells.0".

        A module that calls itself, as on a tree, sits where it is called first.
        """
        calls = [next(same) for _, same in groupby(scope.chain(), key=key_of)]
        return ".".join(map(self.variable, calls))

    def module(self, node: Node) -> str:
        """The module that made a value, of those that hold no copies the outermost; "" else."""
        for call in node.calls:
            if call not in self._containers:
                return self.variable(call)
        return ""

    def variable(self, call: Scope) -> str:
        """What the caller calls a module: the program its variable."""
        if outermost_module(call) is call:
            return self._graph.owners.get(id(call.owner), call.name)
        return call.name

    def modules(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """The modules that made some values, each once."""
        found = (self.module(node) for node in nodes if not node.is_move)
        return tuple(dict.fromkeys(name for name in found if name))

    def path_in(self, nodes: Iterable[Node]) -> str:
        """The same as one text: of a block that says what is called in it."""
        return ", ".join(self.modules(nodes))

    # States

    def _state_names(self, loop: Loop, arriving: Sequence[Node | None]) -> tuple[str, ...]:
        """What the copies of a loop make: as the program calls it, else as one of our cells does.

        What nobody named, and what is something else when it comes to the next copy, is called as
        the module that makes it: the f of z + f(z). A module is called `x = layer(x, hs[k])`, too:
        what it makes is no x, which is what it reads.
        """
        own, is_module = loop.own, loop.copies[0].call is not None
        found: list[str] = []
        count = Counter(copy.made for copy in loop.copies)
        for structure, places in sorted(loop.made.items(), key=lambda one: -count[one[0]]):
            copies = [copy for copy in loop.copies if copy.made is structure]
            for k, place in enumerate(places[len(found) :], len(found)):
                name = self._most_called([copy.nodes[place] for copy in copies])
                name = "" if is_module and name in self._names_of_inputs else name
                other = arriving[k] if k < len(arriving) else None
                if not name and other is not None and copies[0].call and len(places) == 1:
                    name = self._name_of_call(copies[0].call)
                taken = set(found)
                if not name and not _at(own, k):  # nobody's: it takes no name that another has
                    taken.update(own)
                name = name or _at(own, k) or _UNNAMED
                while name in taken or (other is not None and name == self._called(other)):
                    name += "′"
                found.append(name)
        return tuple(found) or (_UNNAMED,)

    @cached_property
    def _names_of_inputs(self) -> Set[str]:
        """What the program calls what copies of modules read, but for what copies make."""
        modules = [loop for loop in self.cells.loops if loop.copies[0].call is not None]
        entering = (
            (copy, entry) for loop in modules for copy in loop.copies for entry in loop.fed(copy)
        )
        given = (copy.read(entry) for copy, entry in entering)
        return {element_of(self.caption(x)) for x in given if not self._is_made_by_copies(x)}

    def _most_called(self, nodes: Sequence[Node]) -> str:
        """What most copies call a state; "" where they do not agree."""
        names = Counter(map(self._called, nodes))
        name, count = names.most_common(1)[0]
        return name if 2 * count > len(nodes) else ""

    def _arriving(self, loop: Loop) -> list[Node | None]:
        """Of each state what of it comes to a later copy, where that is made on the way."""
        later = [copy for copy in loop.copies if copy.before]
        entries = loop.states[later[-1].made] if later else []
        return [self.made_on_the_way(later[-1].read(group[0]), loop) for group in entries]

    def made_on_the_way(self, node: Node, loop: Loop) -> Node | None:
        """What comes to a copy as a state, where that is made on its way from the copy before."""
        while (copy := self.cells.of(node)) is None:
            if not is_moved(node):
                return node
            (node,) = node.tensors()
        return node if self.cells.loops[copy.row] is not loop else None

    def _arriving_names(self, loop: Loop, arriving: Sequence[Node | None]) -> tuple[str, ...]:
        found = list(self.states[id(loop)])
        for k, node in enumerate(arriving[: len(found)]):
            if node is not None:
                found[k] = self._called(node) or _at(loop.own, k) or _UNNAMED
        return tuple(found)

    def _name_of_call(self, call: Scope) -> str:
        last = self.path(call).rpartition(".")[2]
        return last if last.isidentifier() else ""

    def _called(self, node: Node) -> str:
        return self._given.get(node) or node.given_name or ""


def first_free(taken: list[set[_T]], some: set[_T]) -> int:
    """Add some to the first set that has none of them; return which."""
    k = next((k for k, others in enumerate(taken) if others.isdisjoint(some)), len(taken))
    taken[k:] = taken[k:] or [set()]
    taken[k] |= some
    return k


def _said_of(node: Node) -> str:
    """What the user's code calls a value, or the expression that made it."""
    return node.spelled or node.given_name or ""


def _at(names: Sequence[str], k: int) -> str:
    return names[k] if k < len(names) else ""


def naming_of(nodes: Sequence[Node], owners: Mapping[int, str]) -> Naming | None:
    """The names in recorded nodes, whether anything leads to them or not; None without copies.

    `owners`: id of a module that the program itself called -> its variable there.
    """
    cells = cells_in(nodes)
    if not cells.loops:
        return None
    surface = cells.surface(nodes)
    placement = Placement(surface, cells, ())
    graph = Graph(tuple(nodes), nodes[-1], {}, owners=owners)
    return Naming(graph, cells, placement, parameter_names(surface, owners), ())


def _given_names(graph: Graph) -> dict[Node, str]:
    """The names given to tensors; a name of a slice of a stack also is that of what it shows."""
    found: dict[Node, str] = {}
    for node in graph.nodes if graph.names else ():
        name = graph.names.get(node.id)
        if not name:
            continue
        found[node] = name
        source = node
        while source.moved_from is not None:
            source = source.moved_from
        # a slice of a leaf or a stack is only a part of it, so the name is not the whole's
        part = any(one.op == "getitem" for one in _moves_from(source, node))
        if source is not node and source.op is not None and not (part and source.is_move):
            found.setdefault(source, name)
    return found


def _moves_from(source: Node, node: Node) -> Iterable[Node]:
    """The moves that lead from a value to another, the last one first."""
    while node is not source:
        yield node
        (node,) = node.tensors()


def _slice_names(graph: Graph) -> dict[tuple[Node, int], str]:
    """The names given to single elements of stacked sequences: `ys[3].name = ...`."""
    found: dict[tuple[Node, int], str] = {}
    for node in graph.nodes if graph.names else ():
        name, index = graph.names.get(node.id), node.options.get("index")
        if name and node.op == "getitem" and isinstance(index, int):
            (sequence,) = node.tensors()
            found[sequence, index % sequence.shape[0]] = name
    return found
