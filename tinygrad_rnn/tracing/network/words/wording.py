"""What is written in a picture: labels, captions, formulas and equations of its blocks."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import chain

from ....cached import cached_property
from ...recording.graph import Node
from ..copies.copies import Copy
from ..grouping.groups import Group
from ..quotient import Words, element_of, indexed, says_more, timeless
from ..timesteps.pieces import WHOLE, Atom
from .equations import Equations, Said
from .formulas import names_in
from .programmed import Programmed
from .spelling import Spelling


class Wording:
    """Says what is written in and beside each block.

    Args:
        spelling: what is computed in the blocks, and what inputs, outputs and constants are called.
        layers: the layer of each row of copies.
    """

    def __init__(self, spelling: Spelling, layers: Sequence[int]) -> None:
        self.spelling, self.layers = spelling, layers
        self.groups, self.cells = spelling.groups, spelling.groups.cells
        self.naming, self.arrows = spelling.naming, spelling.arrows
        self.inputs, self.outputs = spelling.inputs, spelling.outputs
        self.constants = spelling.constants
        self._parts_known: dict[Node, Sequence[str]] = {}

    def words(self, group: Group) -> Words:
        """What is said of a group."""
        return Words(
            label=self.label(group),
            caption=self._caption(group),
            formula=self._formula(group),
            equation=self._equation(group.copy),
        )

    def label(self, group: Group) -> str:
        """What is written in a block."""
        naming, copy = self.naming, group.copy
        match group.kind:
            case "cell" if copy is not None:
                return indexed(self._title(copy), naming.time(copy))
            case "initial" if group.begins is not None:
                return self.label_begun(group, group.begins)
            case "initial" if group.before is not None:
                own = naming.caption(group.atoms[0].node)
                name = naming.of(group.before) or own or naming.made_of(group.before) or "x"
                return indexed(name, naming.time_in(group.columns[0]) - 1)
            case "input":
                return self.inputs.labels[id(group)][0]
            case "between":
                return self.naming.path_in(group.nodes) or self._formula(group)
            case "derived":
                return naming.of(group.atoms[-1].node) or self.spelling.in_names(group)
            case "bar":
                return naming.of(group.atoms[-1].node) or self.spelling.formula(group)
            case "target":
                return self.inputs.target(group.atoms[0].node)
            case "constant":
                return self.constants.label(group)
            case _:
                return group.label

    def _formula(self, group: Group) -> str:
        """What is computed in it, and the names by which other texts go on with that."""
        formula = self.spelling.formula(group)
        if group.kind != "between" or not formula:
            return formula
        node, labels = group.atoms[-1].node, self.spelling.labels
        name = timeless(labels.name_between(node))
        if labels.rebound.get(node):
            return f"{name} = {formula}"
        said = set(names_in(formula))
        read = self._read_by_rows | self._read_by_boxes.get(group.ops, set())
        for names in ([name] * name.isidentifier(), self._parts(self.spelling.made(group))):
            if said.isdisjoint(names) and not read.isdisjoint(names):
                return f"{', '.join(names)} = {formula}"
        return formula

    def _parts(self, node: Node) -> Sequence[str]:
        """The names of the parts that the program splits a value into, if they are all of it."""
        if node not in self._parts_known:
            reads = (self.groups.readers[atom] for atom in self.groups.pieces.atoms[node])
            readers = {read.reader.node for read in chain.from_iterable(reads)}
            parts = sorted((x for x in readers if x.op == "getitem"), key=lambda x: x.id)
            names = [timeless(self.naming.of(part)) for part in parts]
            is_split = sum(part.size for part in parts) == node.size
            is_named = is_split and len(set(names)) > 1 and all(map(str.isidentifier, names))
            self._parts_known[node] = names if is_named else ()
        return self._parts_known[node]

    @cached_property
    def _read_by_rows(self) -> Set[str]:
        """The names in the equations of all rows."""
        return {word for said in self.said if said for word in names_in(said.row)}

    @cached_property
    def _read_by_boxes(self) -> Mapping[Hashable, Set[str]]:
        """By its ops, the names that those go by who read such a box and compute with it."""
        found: dict[Hashable, set[str]] = defaultdict(set)
        for group in self.groups.groups:
            if group.kind != "between":
                continue
            for read in self.groups.read_of(group):
                reader = self.groups.group_of[read.reader]
                text = "" if reader.kind == "loss" else self.spelling.formula(reader)
                if not text.isidentifier():
                    found[group.ops].update(names_in(text))
        return {ops: names - self.inputs.called for ops, names in found.items()}

    def _title(self, copy: Copy) -> str:
        """What a copy is called, without its step: as the state is by which its row is called.

        Where it makes none, as another value that leaves it.
        """
        names = self.naming.states[id(self.cells.loops[copy.row])]
        node = self.called(copy)
        state = self.cells.state_of(node)
        if state is not None and state[1] < len(names):
            return names[state[1]] + self.naming.prime(copy)
        atom = Atom(node, WHOLE)
        if atom not in self.arrows.shown[id(self.groups.of_copy[copy])]:
            return names[0] + self.naming.prime(copy)
        own = self.outputs.names.get(atom) or element_of(timeless(self.naming.of(node)))
        return own or self.outputs.name_of_nameless(atom, alone=False)

    def called(self, copy: Copy) -> Node:
        """The value that a copy is called by."""
        above = self._all_above[copy.row]
        if copy in above:
            return above[copy].node
        made, usual = self.cells.loops[copy.row].made[copy.made], self._usual_state[copy.row]
        if usual < len(made):
            return copy.nodes[made[usual]]
        leaving = self.arrows.read_of(self.groups.of_copy[copy])
        return leaving[0].node if leaving else copy.nodes[-1]

    @cached_property
    def _all_above(self) -> Sequence[Mapping[Copy, Atom]]:
        """Of each row the one value that each copy shows, where no one state stands for the copy.

        That is where several only go on to the next copy, or where some copies do not make it.
        """
        found: list[Mapping[Copy, Atom]] = []
        for loop, usual in zip(self.cells.loops, self._usual_state, strict=True):
            above = {copy: dict(self._above(copy)) for copy in loop.copies}
            first, *others = above.values()
            known = set(first).intersection(*others)
            nodes = [atom.node for names in above.values() for atom in names.values()]
            is_shown = any(
                self.cells.state_of(node) == (loop.copies[0].row, usual) for node in nodes
            )
            counts = {len(loop.made[copy.made]) for copy in loop.copies}
            is_one = len(known) == 1 and not is_shown and (max(counts) > 1 or min(counts) <= usual)
            found.append(
                {copy: names[min(known)] for copy, names in above.items()} if is_one else {}
            )
        return found

    def _above(self, copy: Copy) -> Iterator[tuple[str, Atom]]:
        """What others than its own row read of a copy, by its name."""
        for atom in self.arrows.read_of(self.groups.of_copy[copy]):
            readers = (self.groups.group_of[read.reader] for read in self.groups.readers[atom])
            if any(one.copy is None or one.copy.row != copy.row for one in readers):
                own = self.outputs.names.get(atom)
                yield own or element_of(timeless(self.naming.of(atom.node))), atom

    @cached_property
    def _usual_state(self) -> Sequence[int]:
        """Of each row the first state that leaves most of its copies."""
        found: list[int] = []
        for loop in self.cells.loops:
            count: Counter[int] = Counter()
            for copy in loop.copies:
                states = [Atom(copy.nodes[place], WHOLE) for place in loop.made[copy.made]]
                shown = self.arrows.shown[id(self.groups.of_copy[copy])]
                count[next((k for k, one in enumerate(states) if one in shown), -1)] += 1
            count.pop(-1, None)
            found.append(count.most_common(1)[0][0] if count else 0)
        return found

    def label_begun(self, group: Group, copy: Copy) -> str:
        """What is written in the circle of an initial state that a chain begins with."""
        if group.begins is None:
            return self.label(group)
        names = self._states_begun(copy)
        known = {k for atom in group.atoms for k in self.groups.states_begun(copy, atom)}
        return ", ".join([name for k, name in enumerate(names) if k in known] or names)

    def _states_begun(self, copy: Copy) -> list[str]:
        """What the states are called that a chain begins with, with their step."""
        time = self.naming.time_before(copy)
        return [indexed(name, time) for name in self.naming.names_begun(copy)]

    def names_begun(self, group: Group) -> Iterator[str]:
        """What each value of an initial state is called, if it is that of one state alone."""
        copy = group.begins
        if copy is None:
            return
        names = self._states_begun(copy)
        for atom in group.atoms:
            begun = [names[k] for k in self.groups.states_begun(copy, atom) if k < len(names)]
            yield begun[0] if len(begun) == 1 else ""

    def _caption(self, group: Group) -> str:
        """What the program calls it."""
        if group.kind in ("input", "initial", "target"):
            name = self.inputs.names(group)
            said = ""
            if group.kind == "input":
                said = self.inputs.labels[id(group)][0]
                others = self.inputs.is_named_by_loss(group)
                others = others and not self.inputs.is_so_called_there(group, name)
                name = "" if others else name
            elif group.before is not None:
                said = self.label(group)
            elif group.kind == "initial" and not name.replace(", ", "").isidentifier():
                return ""  # an expression of what NumPy made of the state: it is not the state's
            is_said = said.startswith(timeless(name)) or not says_more(name, said)
            return "" if is_said else self._of_some_states(group) or name
        if group.kind in ("between", "bar", "derived", "loss"):
            return self.naming.of(group.atoms[-1].node)
        return ""

    def _of_some_states(self, group: Group) -> str:
        """Which states begin with what has a name, where others begin with what has none."""
        names = [self.inputs.names(group, atom) for atom in group.atoms]
        if all(names):
            return ""
        states = self.names_begun(group)
        told = zip(states, names, strict=False)
        return ", ".join(f"{state} = {name}" for state, name in told if state and name)

    def _equation(self, copy: Copy | None) -> str:
        """What a cell of ours says of one copy."""
        said = None if copy is None else self.said[copy.row]
        return "" if copy is None or said is None else said.copy(copy)

    @cached_property
    def said(self) -> Sequence[Said | None]:
        """What the cells of ours say of each row."""
        group_of = self.groups.of_copy
        region, layers = self.spelling.region_entering, self.layers
        equations = Equations(self.spelling.labels, group_of, region, self.label, layers)
        misnamed = self.spelling.region_misnamed
        programmed = Programmed(self.spelling.labels, misnamed, self.label, layers)
        said = [equations.of(loop) or programmed.of(loop) for loop in self.cells.loops]
        return [
            one and replace(one, row="\n".join((one.row, *self.spelling.on_the_way(loop))))
            for loop, one in zip(self.cells.loops, said, strict=True)
        ]
