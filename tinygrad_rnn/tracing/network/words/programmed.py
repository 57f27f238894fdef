"""What a cell that the program wrote itself computes in one step: line by line, as it says it.

A line is what makes a state, down to what comes in and to what modules return that are called
there. Where that is too long for a line it goes by the names of the program's variables, each of
which has a line of its own.
"""

from collections import Counter, defaultdict
from collections.abc import (
    Callable,
    Collection,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial

from ....cached import cached_property
from ...recording.graph import Node
from ..copies.copies import Copy, Loop, Structure, chains_of
from ..grouping.groups import FIXED, Group
from ..quotient import element_of, primes, timeless
from ..timesteps.pieces import WHOLE, Atom
from .calls import Calls
from .equations import Entering, Said, notes_on_layers
from .formulas import Operand, Region, formula_of, names_in, says_all
from .operands import Labels

# A line is no longer, if names can shorten it; and in no case longer.
_LINE_FIT, _LINE_MOST, _LINES_MOST = 64, 120, 10
_ALL_LINES_MOST, _COPIES_MOST = 16, 32  # where copies are not alike


class Programmed:
    """The equations of the rows of one graph that are none of ours.

    Args:
        labels: what everything in its picture is called.
        entering: of a block what a formula has in full of what comes in from there.
        label: what is written in a copy.
        layers: the layer of each row.
    """

    def __init__(
        self,
        labels: Labels,
        entering: Callable[[Group], Region],
        label: Callable[[Group], str],
        layers: Sequence[int],
    ) -> None:
        self._labels, self._entering, self._layers = labels, entering, layers
        self._label = label

    def of(self, loop: Loop) -> Said | None:
        """What all copies compute but for some first and last ones; None: no one thing.

        NumPy may compute a part of a first one, and nobody may read all that a last one would make.
        """
        count = Counter(copy.made for copy in loop.copies)
        inner = {copy.made for chain in chains_of(loop) for copy in chain[1:-1]}
        usual = max(count, key=lambda made: (count[made], made in inner))
        if not self._may_be_written(loop.copies[-1]):
            return None
        if loop.is_tree or any(self._has_others(chain, usual) for chain in chains_of(loop)):
            return self._of_each(loop, usual)
        alike = [copy for copy in loop.copies if copy.made is usual]
        alike = [copy for copy in alike if copy.before] or alike
        samples = {alike[0], alike[len(alike) // 2], alike[-1]}
        said = [self._lines(loop, copy) for copy in samples]
        if not said[0] or any(lines != said[0] for lines in said):
            return None
        text = "\n".join((_written(said[0]), *self._made_at_last(loop, usual, said[0])))
        row = "\n".join((text, *notes_on_layers(text, self._layers)))
        return Said(row, lambda copy: _written(self._lines(loop, copy)))

    def _of_each(self, loop: Loop, usual: Structure) -> Said | None:
        """The same of copies that are not alike, as on a tree: a line says in which it holds."""
        if len(loop.copies) > _COPIES_MOST:
            return None
        lines = {copy: self._lines(loop, copy) for copy in loop.copies}
        holds: dict[tuple[str, str], list[Copy]] = defaultdict(list)
        for copy in sorted(loop.copies, key=lambda copy: copy.made is not usual):
            for line in lines[copy].items():
                holds[line].append(copy)
        if len(holds) > _ALL_LINES_MOST or not all(lines.values()):
            return None
        said = [
            f"{self._in(copies) if len(copies) < len(lines) else ''}{made} = {text}"
            for (made, text), copies in holds.items()
        ]
        notes = notes_on_layers("\n".join(said), self._layers)
        return Said("\n".join((*said, *notes)), lambda copy: _written(lines[copy]))

    def _in(self, copies: Iterable[Copy]) -> str:
        """What stands before a line that holds in some copies."""
        labels = (self._label(self._labels.groups.of_copy[copy]) for copy in copies)
        return f"in {', '.join(labels)}: "

    def _made_at_last(self, loop: Loop, usual: Structure, said: Mapping[str, str]) -> Iterator[str]:
        """What only the last copy of a chain is read for, where all else in it is as in others."""
        new: dict[tuple[str, str], list[Copy]] = defaultdict(list)
        for *_, copy in chains_of(loop):
            own = said if copy.made is usual else self._lines(loop, copy)
            if all(said.get(made, text) == text for made, text in own.items()):
                for made in (one for one in own if one not in said):
                    new[made, own[made]].append(copy)
        return (f"{self._in(copies)}{made} = {text}" for (made, text), copies in new.items())

    def _may_be_written(self, copy: Copy) -> bool:
        """Whether the parameters that a copy reads have names, and not any text whatever."""
        read = (x for node in copy.nodes for x in node.tensors() if x.is_parameter)
        names = (self._labels.naming.of(x) for x in read)
        return all(name.replace(".", "").isidentifier() for name in names)

    def _has_others(self, chain: Sequence[Copy], usual: Structure) -> bool:
        """Whether others are between those of the usual structure."""
        are_usual = [copy.made is usual for copy in chain[:-1]]
        return True in are_usual and not all(are_usual[are_usual.index(True) :])

    def _lines(self, loop: Loop, copy: Copy) -> Mapping[str, str]:
        lines = _Lines(self._labels, copy, self._entering, self._layers)
        return lines.of(loop.made[copy.made])


def _written(lines: Mapping[str, str]) -> str:
    """The lines one below the other: what is the same has one."""
    made: dict[str, list[str]] = defaultdict(list)
    for left, text in lines.items():
        made[text].append(left)
    return "\n".join(" = ".join((*left, text)) for text, left in made.items())


class _Lines:
    """The lines of one copy."""

    def __init__(
        self,
        labels: Labels,
        copy: Copy,
        entering: Callable[[Group], Region],
        layers: Sequence[int],
    ) -> None:
        self._labels, self._copy, self._layers = labels, copy, layers
        self._own = dict.fromkeys(copy.nodes)
        self._entering, self._group = entering, labels.groups.of_copy[copy]

    def of(self, states: Sequence[int]) -> Mapping[str, str]:
        """What makes each state, then the names in these, in the order of the program.

        The parts of one value are said together, "f, g".
        """
        naming = self._labels.naming
        prime = naming.prime(self._copy)
        made = [self._copy.nodes[place] for place in states]
        names = naming.states[id(naming.cells.loops[self._copy.row])]
        self._states = {
            node: f"{timeless(name)}{prime}ₜ" for node, name in zip(made, names, strict=False)
        }
        lines: dict[tuple[Node, ...], str] = {}
        waiting = [(node,) for node in (*self._states, *self._leaving)]
        for nodes in waiting:  # grows
            text, used = self._line(nodes) if len(lines) < _LINES_MOST else ("", ())
            defined = [one for one in self._defined(used) if one not in waiting]
            if text:
                lines[nodes] = text
                waiting += defined
            elif nodes[0] in self._states or "′" in self._name(nodes[0]):
                return {}  # it says nothing without this
        by_text: dict[str, list[Node]] = defaultdict(list)
        for nodes in sorted(lines, key=lambda nodes: nodes[0].id):
            by_text[lines[nodes]] += nodes
        parts = {node for nodes in lines for node in nodes if len(nodes) > 1}
        parts.update(node for node, call in self._calls.returned.items() if not call.alone)
        found: dict[str, str] = {}
        for text, nodes in by_text.items():
            nodes.sort(key=partial(_place_in, list(self._states)))
            names = list(map(self._name, nodes))
            found |= dict.fromkeys([", ".join(names)] if parts.issuperset(nodes) else names, text)
        return found

    @property
    def _leaving(self) -> Iterator[Node]:
        """What the program names, and others read, beside the states."""
        return (node for node in self._own if node in self._named and node in self._shown)

    @cached_property
    def _shown(self) -> Container[Node]:
        return {read.value.node for read in self._labels.groups.read_of(self._group)}

    def _name(self, node: Node) -> str:
        return self._states.get(node) or self._named[node]

    def _line(self, nodes: Sequence[Node]) -> tuple[str, Iterable[Node]]:
        """What makes a value, or the one that several are the parts of; and the names in it."""
        node = nodes[0] if len(nodes) == 1 else nodes[0].tensors()[0]
        for names, most in ((self._often, _LINE_FIT), (self._named, _LINE_MOST)):
            names = {**self._steps, **names, **self._states}
            own = {name.removesuffix("ₜ") for name in names.values()}
            names.pop(node, None)
            operands = _Inside(self._labels, self._group, self._layers, names, own)
            text = formula_of(node, self._region(names), operands, most=most, is_named=True)
            if len(text) <= most and says_all(text):
                return text, operands.asked_for
        return "", ()

    def _region(self, names: Mapping[Node, str]) -> Region:
        values = {node for node in self._own if node not in names}
        read: dict[tuple[Node, int], Hashable] = {**self._read}
        times = {**self._times}
        slices = self._labels.groups.pieces.slices
        cut: dict[Hashable, Collection[int]] = {
            part: one.lost
            for part in self._read.values()
            if part is not None and (one := slices.get(part)) is not None
        }
        for before in self._before:
            values.update(before.values)
            read |= before.read
            times |= before.times
            cut |= before.cut
        return Region(values, read, times=times, calls=self._calls.returned, cut=cut)

    @cached_property
    def _before(self) -> Sequence[Region]:
        """What the lines have in full of what comes in."""
        groups = self._labels.groups
        found = [groups.of(part) for part in self._read.values() if part is not None]
        sources = {id(group): group for group in (self._group, *found) if group is not None}
        return list(map(self._entering, sources.values()))

    @cached_property
    def _times(self) -> Mapping[Node, Collection[int]]:
        """Of an index that takes the step of a sequence the axes of time."""
        slices = self._labels.groups.pieces.slices
        taken = {node: slices.get(x) for (node, _), x in self._read.items() if x is not None}
        return {
            node: one.axes
            for node, one in taken.items()
            if one is not None and node.op == "getitem"
        }

    def _defined(self, used: Iterable[Node]) -> Iterator[tuple[Node, ...]]:
        """What has a line: a value, or all parts that one was split into."""
        for node in used:
            if node in self._states or node not in self._named:
                continue
            whole = node.tensors()[0] if node.op == "getitem" else None
            parts = [x for x in self._own if x in self._named and x.inputs[:1] == (whole,)]
            is_split = whole in self._own and sum(x.size for x in parts) == whole.size
            yield tuple(parts) if is_split and len(parts) > 1 else (node,)

    @cached_property
    def _read(self) -> Mapping[tuple[Node, int], Atom | None]:
        """What each op reads, and of what comes in which part."""
        read: dict[tuple[Node, int], Atom | None] = {
            (node, slot): None for node in self._own for slot in range(len(node.inputs))
        }
        for node in self._own:
            for one in self._labels.groups.entering[Atom(node, WHOLE)]:
                read[node, one.slot] = one.value
        return read

    # Names

    @cached_property
    def _named(self) -> Mapping[Node, str]:
        """What the program calls values in the copy: x′ where something before it was its x.

        What others read has the name that it has for them.
        """
        naming = self._labels.naming
        own = (node for node in self._own if node not in self._steps)
        outer = {x for node in own for x in node.tensors() if x not in self._own}
        taken = {name.removesuffix("ₜ") for name in self._steps.values()}
        taken |= {timeless(naming.of(x)) for x in outer} | set(map(timeless, self._taken()))
        count = Counter(taken)
        found: dict[Node, str] = {}
        for node in sorted(self._own, key=lambda node: node not in self._shown):
            shown = self._labels.outputs.get(node, "") or element_of(timeless(naming.of(node)))
            name = "" if self._calls.is_inner(node) else shown
            is_known = node in self._states or node in self._steps
            is_other = not is_known and not self._is_only_moved(node)
            if name.isidentifier() and is_other:
                found[node] = f"{name}{primes(count[name])}ₜ"
                count[name] += 1
        return found

    @cached_property
    def _steps(self) -> Mapping[Node, str]:
        """What the program calls the steps that the copy takes of sequences."""
        names = {node: self._labels.naming.of(node) for node in self._times}
        return {node: f"{timeless(name)}ₜ" for node, name in names.items() if name.isidentifier()}

    def _is_only_moved(self, node: Node) -> bool:
        """Whether it is all of what comes in, under another name."""
        while node in self._own and node.moved_from is not None:
            if node.size != node.moved_from.size:
                return False
            node = node.moved_from
        return node not in self._own

    @cached_property
    def _often(self) -> Mapping[Node, str]:
        """Of those what is read more than once, or by others; and the parts of a value.

        And what the name of an input is about: of `floor(turns)` the turns.
        """
        count = Counter(x for node in self._own for x in set(node.tensors()))
        about = {word for x in count for word in names_in(x.spelled)}
        leaving = set(self._leaving)
        parts = {node for node, call in self._calls.returned.items() if not call.alone}
        parts.update(x for x in self._own if x.op == "getitem" and x.inputs[0] in self._own)
        return {
            node: name
            for node, name in self._named.items()
            if count[node] > 1
            or node in leaving
            or node in parts
            or name.removesuffix("ₜ") in about
        }

    def _taken(self) -> Iterable[str]:
        naming = self._labels.naming
        row = id(naming.cells.loops[self._copy.row])
        return (*naming.states[row], *naming.arriving[row])

    @cached_property
    def _calls(self) -> Calls:
        """The calls of modules in the copy."""
        inside = {x for node in self._own for x in node.tensors()}
        ends = [node for node in self._own if node in self._states or node not in inside]
        name_of = self._labels.naming.variable
        return Calls(self._own, ends, lambda _: True, self._is_given, name_of)

    def _is_given(self, node: Node, slot: int) -> bool:
        part = self._read[node, slot]
        group = None if part is None else self._labels.groups.of(part)
        return group is None or group.kind not in FIXED


def _place_in(states: Sequence[Node], node: Node) -> tuple[int, tuple[int, ...]]:
    """Where a result of several stands: a state before others, these as they are returned."""
    place = states.index(node) if node in states else len(states)
    return place, () if node.source is None else node.source.part_of


class _Inside(Entering):
    """The names of what is in a copy, and of what enters it."""

    def __init__(
        self,
        labels: Labels,
        group: Group,
        layers: Sequence[int],
        names: Mapping[Node, str],
        taken: Iterable[str],
    ) -> None:
        super().__init__(labels, group, layers, labels.time(group))
        self._names, self._taken = names, tuple(taken)
        self.asked_for: dict[Node, None] = {}

    def name(self, operand: Operand) -> str:
        if operand.node in self._labels.naming.cells.joined:  # of several: it is none of them
            return ""
        own = self._names.get(operand.node) or super().name(operand)
        if own or not isinstance(operand.part, Atom):
            return own
        return element_of(timeless(self._labels.naming.caption(operand.node)))  # of all steps

    def _states_of(self, copy: Copy | None) -> Sequence[str]:
        """The names that what comes in from other rows may not have."""
        return (*super()._states_of(copy), *self._taken)

    def called(self, operand: Operand) -> str:
        own = self._names.get(operand.node)
        if own:
            self.asked_for[operand.node] = None
        return own or super().called(operand)
