"""What a cell of ours says of one step, under the names of what its copies really read and make.

The equation of a class speaks of an x and of the state before. In their place stands what enters
the copies. Where some of them read another thing than most, or keep their state under a mask, a
line below says so.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from ....nn.cells import Cell as RecurrentCell
from ...recording.graph import Node
from ..copies.copies import Copy, Loop, fed_parameters
from ..copies.recurrence import is_moved
from ..grouping.groups import Group
from ..quotient import at_step, at_time, indexed, primeless, raised, timeless, without_index
from ..timesteps.pieces import Atom
from .formulas import ALL, Operand, Region, factor_of, is_number, names_in
from .operands import Labels, Read

_LENGTH_MOST = 32  # of what stands in the place of one letter
_UNKNOWN = "·", "…"  # what a formula has in place of what nobody named
_SOME_STEP, _ABOUT_SOME_STEP = "ₚ", "p: where the arrow comes from"  # not always the last step
_NAMELESS = "what enters there"


@dataclass(frozen=True)
class Said:
    """What is said of the copies of a row: of all of them, and of each."""

    row: str
    copy: Callable[[Copy], str]


@dataclass(frozen=True)
class _Entry:
    """What enters a copy in the place of one letter of its class's equation.

    Args:
        text: as it is written of any step and chain; "" of what has no name.
        absolute: gives it with the step that it is of: only of few is that asked.
        own: of any step of the copy's own chain.
    """

    text: str = ""
    absolute: Callable[[], str] = str
    own: str = ""


@dataclass(frozen=True)
class _Line:
    """What stands below an equation.

    Args:
        text: the line.
        begins: it says what a chain begins with.
        replaces: what it says stands in the equation of the copy itself.
    """

    text: str
    begins: bool = False
    replaces: bool = False


class Equations:
    """The equations of the cells of one graph.

    Args:
        labels: what everything in its picture is called.
        group_of: the block that each copy is.
        region: of a block between the copies, what a formula has in full in place of its name.
        label: what is written in a copy.
        layers: the layer of each row.
    """

    def __init__(
        self,
        labels: Labels,
        group_of: Mapping[Copy, Group],
        region: Callable[[Group], Region],
        label: Callable[[Group], str],
        layers: Sequence[int],
    ) -> None:
        self._labels, self._group_of, self._layers = labels, group_of, layers
        self._region, self._label = region, label
        self._naming, self._cells = labels.naming, labels.naming.cells

    def of(self, loop: Loop) -> Said | None:
        """What the cell says, if it is one of ours that works as its class says."""
        written = _stated(loop.owner)
        if written is None:
            return None
        lines: dict[_Line, list[Copy]] = defaultdict(list)
        states = list(self._states(loop))
        common = {f"{own}ₜ": f"{name}ₜ" for own, name, _ in states}
        texts: dict[Copy, dict[str, str]] = {}
        for copy in loop.copies:
            prime = self._naming.prime(copy)
            texts[copy] = {f"{own}ₜ": f"{name}{prime}ₜ" for own, name, _ in states}
        for letter, usual, entries in self._read(loop, written):
            common[letter] = _usual(usual, entries.values())
            for copy, entry in entries.items():
                line = _about(entry, common[letter], begins=not copy.before and letter != "xₜ")
                if line is not None:
                    lines[line].append(copy)
                explained = line is not None and not line.replaces
                texts[copy][letter] = common[letter] if explained else entry.own
        for copy in loop.copies:
            if line := self._mask(copy):
                lines[line].append(copy)
        inside = _made_inside(written, common)
        for names in (common, *texts.values()):
            names |= _renamed(inside, names)
        equation = _in_place(written, common)
        below = (self._written(loop, line, copies) for line, copies in lines.items())
        row = "\n".join((equation, *chain.from_iterable(below)))
        notes = [_ABOUT_SOME_STEP] * (_SOME_STEP in equation)
        notes += notes_on_layers(row, self._layers)

        def own(copy: Copy) -> str:
            about = (line for line, copies in lines.items() if copy in copies)
            said = (line.text for line in about if not line.replaces)
            return "\n".join((_in_place(written, texts[copy]), *said))

        return Said("\n".join((row, *notes)), own)

    def _written(self, loop: Loop, line: _Line, copies: Sequence[Copy]) -> Iterable[str]:
        """A line below the equation of a row, with the copies that it is about."""
        if line.begins:
            return dict.fromkeys(at_time(line.text, self._naming.time(copy)) for copy in copies)
        if len(copies) == len(loop.copies):
            return (line.text,)
        labels = ", ".join(self._label(self._group_of[copy]) for copy in copies)
        return (f"in {labels}: {line.text}",)

    def _states(self, loop: Loop) -> Iterator[tuple[str, str, str]]:
        """Of each state what the cell calls it, and its name when made and when it comes in."""
        made, given = self._naming.states[id(loop)], self._naming.arriving[id(loop)]
        for own, name, arriving in zip(loop.own, made, given, strict=False):
            yield own, timeless(name), timeless(arriving)

    # What enters

    def _read(self, loop: Loop, written: str) -> Iterator[tuple[str, str, Mapping[Copy, _Entry]]]:
        """Of what an equation reads the letter, what usually stands there, and what enters."""
        if "xₜ" in written:
            trained = fed_parameters(loop)  # a first input, as a start symbol
            read = {copy: self._input(copy, trained) for copy in loop.copies}
            yield "xₜ", "xₜ", self._entries(loop, read)
        for k, (own, _, name) in enumerate(self._states(loop)):
            letter = f"{own}ₜ₋₁"
            if letter in written:
                yield letter, name + self._step_before(loop), self._state_entries(loop, k, name)

    def _input(self, copy: Copy, trained: Container[Node]) -> Node | None:
        """What a copy multiplies by a weight, and is no state of it."""
        loop = self._cells.loops[copy.row]
        learned = (entry for entry in copy.made.parameters if copy.read(entry) in trained)
        for op, slot in (*copy.made.given, *learned):
            rule = copy.nodes[op].rule
            is_product = rule is not None and rule.kind == "product"
            if is_product and not loop.is_state(copy, (op, slot)):
                return copy.read((op, slot))
        return None

    def _state_entries(self, loop: Loop, k: int, name: str) -> Mapping[Copy, _Entry]:
        """What enters as a state: in most copies what another one handed on."""
        read = {copy: loop.state_read(copy, k) for copy in loop.copies}
        own = {copy: self._own_state(copy, k, read[copy], name) for copy in loop.copies}
        known = {copy: entry for copy, entry in own.items() if entry is not None}
        if self._step_before(loop) == _SOME_STEP:
            somewhere = name + _SOME_STEP
            known = {copy: replace(one, text=somewhere) for copy, one in known.items()}
        others = {copy: node for copy, node in read.items() if copy not in known}
        entries = self._entries(loop, others)
        return {copy: known.get(copy) or entries[copy] for copy in loop.copies}

    def _own_state(self, copy: Copy, k: int, node: Node | None, name: str) -> _Entry | None:
        """What enters as a state, if the same row made it, or it is what a chain begins with."""
        time, prime = self._naming.time(copy), self._naming.prime(copy)
        while node is not None and self._cells.of(node) is None and is_moved(node):
            (node,) = node.tensors()
        made = None if node is None else self._cells.state_of(node)
        if node is None or (made is not None and made != (copy.row, k)):
            return None
        if made is not None and (before := self._cells.of(node)) is not None:
            name, then = timeless(self._naming.state_name(node)), self._naming.time(before)
        elif not copy.before and self._is_initial(node):
            name, then = name + prime, self._naming.time_before(copy)
        else:
            return None
        step = at_step(then - time)
        text, absolute = name.removesuffix(prime) + step, indexed(name, then)
        return _Entry(text, lambda: absolute, name + step)

    def _is_initial(self, node: Node) -> bool:
        groups = self._labels.groups
        found = map(groups.of, groups.pieces.atoms[node])
        return any(group is not None and group.begins is not None for group in found)

    def _step_before(self, loop: Loop) -> str:
        """The subscript of what a copy receives: ₜ₋₁, ₜ₊₁ in a row that runs backwards."""
        naming = self._naming
        steps = {
            naming.time(before) - naming.time(copy)
            for copy in loop.copies
            for before in copy.before
        } or {naming.time_before(copy) - naming.time(copy) for copy in loop.copies}
        return _SOME_STEP if len(steps) > 1 else at_step(*steps)

    def _entries(self, loop: Loop, read: Mapping[Copy, Node | None]) -> dict[Copy, _Entry]:
        """What some values are called, with their steps where these are always as far away."""
        found = {copy: self._entry(copy, node) for copy, node in read.items()}
        steps: dict[str, set[int | None]] = defaultdict(set)
        for _, names in found.values():
            for name, step in names.steps.items():
                steps[name].add(step)
        entries = {copy: entry for copy, (entry, _) in found.items()}
        usual = _most_alike(entries)
        if usual < len(entries):
            steady = {name for name, known in steps.items() if len(known) == 1}
            for which in (True, False):  # a row that is looked up is another one at each step
                other = {
                    copy: self._entry(copy, read[copy], steady, which=which)[0] for copy in found
                }
                alike = _most_alike(other)
                if alike == len(other) or 2 * usual <= len(other) < 2 * alike:
                    return other
        return entries

    def _entry(
        self,
        copy: Copy,
        node: Node | None,
        steady: Container[str] | None = None,
        *,
        which: bool = True,
    ) -> tuple[_Entry, "Entering"]:
        """What a value is called that enters a copy."""
        own, time = self._group_of[copy], self._naming.time(copy)
        prime = self._naming.prime(copy)
        names = Entering(self._labels, own, self._layers, time, steady, prime=prime)
        if node is None:
            return _Entry(), names
        text = self._text(node, names, which=which)
        known = text.replace("[…]", "")  # a part, only not which
        if not text or len(text) > _LENGTH_MOST or any(sign in known for sign in _UNKNOWN):
            return _Entry(), names
        mine = text
        if prime:
            plain = Entering(self._labels, own, self._layers, time, steady)
            mine = self._text(node, plain, which=which)
        absolute = partial(self._text, node, names.absolute())
        return _Entry(text, absolute, mine), names

    def _text(self, node: Node, names: "Entering", *, which: bool = True) -> str:
        groups = self._labels.groups
        atoms = groups.pieces.atoms[node]
        parts = [group for atom in atoms if (group := groups.of(atom)) is not None]
        region = self._region(parts[0]) if len(set(map(id, parts))) == 1 else Region(())
        if len(parts) > 1 and node not in region:
            atoms = sorted(atoms, key=self._labels.first_element)
            texts = dict.fromkeys(names.called(Operand(node, atom)) for atom in atoms)
            return f"[{'; '.join(texts)}]" if all(texts) else ""
        return factor_of(node, region, names, which=which)

    # What is made

    def _mask(self, copy: Copy) -> _Line | None:
        """What is said of a copy that keeps its states where a condition says so."""
        loop = self._cells.loops[copy.row]
        kept: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for k, (_, made, given) in enumerate(self._states(loop)):
            places = loop.made[copy.made]
            node = copy.nodes[places[k]] if k < len(places) else None
            old = loop.state_read(copy, k)
            if node is None or node.op != "where" or old not in node.inputs[1:]:
                continue
            (entry, _) = self._entry(copy, node.inputs[0])
            condition = entry.text or "the mask"
            if node.inputs[2] is old:
                condition = f"not {condition}"
            kept[condition].append((f"{made}ₜ", given + self._step_before(loop)))
        for condition, states in kept.items():
            made, given = (", ".join(names) for names in zip(*states, strict=True))
            return _Line(f"{made} = {given} where {condition}")
        return None


class Entering(Read):
    """The names of what enters a copy, each with its step.

    Args:
        labels: those of the whole picture.
        group: the copy.
        layers: the layer of each row.
        time: the copy's step; None: names are written with the steps that they are of.
        steady: the names that have a step; None: all.
        nested: in how many others this name stands.
        prime: of the copy's chain: it is left out.

    Attributes:
        steps: name -> how far from the copy's step it is; None where it has no step.
    """

    def __init__(
        self,
        labels: Labels,
        group: Group,
        layers: Sequence[int],
        time: int | None,
        steady: Container[str] | None = None,
        nested: int = 0,
        prime: str = "",
    ) -> None:
        super().__init__(labels, group, nested)
        self._layer_of, self._copy_time, self._steady = layers, time, steady
        self._prime, self._by_rows = prime, False
        self.steps: dict[str, int | None] = {}

    def absolute(self) -> "Entering":
        """The same names, with the steps that they are of."""
        return Entering(self._labels, self._group, self._layer_of, None)

    def _within(self, group: Group) -> "Entering":
        found = Entering(
            self._labels,
            self._group,
            self._layer_of,
            self._copy_time,
            self._steady,
            self._nested + 1,
            self._prime,
        )
        found.steps = self.steps
        return found

    def told_apart(
        self, operands: Sequence[Operand], *, at_any_step: bool
    ) -> Mapping[Operand, str]:
        """The names of several values in one formula: no two have the same."""
        for self._by_rows in (False, True):
            found = {operand: self.called(operand) for operand in operands}
            named = {x.node for x, name in found.items() if not is_number(name)}
            if len({name for name in found.values() if not is_number(name)}) == len(named):
                return found
        return super().told_apart(operands, at_any_step=at_any_step)

    def called(self, operand: Operand) -> str:
        """The name of a value with its step, if it has one."""
        operand = self._made_in_a_copy(operand)
        group, name = self._group_of(operand), self.name(operand)
        if group is None or not name or self._is_weight(operand):
            return name
        if group.kind == "input":
            label = self._circle(group)
            return self._at(*without_index(label))
        if self._is_misleading(name, group):
            name = self._made_by(operand.node, group) or name
            return self._at(name, None)
        time = self._labels.time(group)
        is_one = self._is_named(operand) and self._is_one_of_many(group)
        if self._has_another_clock(group):
            name, time = primeless(name), None
        if not is_one or operand.part is ALL:
            time = None
        return self._at(timeless(name), time, self._row_of(name, group))

    def _made_in_a_copy(self, operand: Operand) -> Operand:
        """What a copy made, in place of what was only moved from there."""
        part = operand.part
        if part is ALL:
            return operand
        if not isinstance(part, Atom):
            part = self._labels.groups.pieces.atoms[operand.node][0]
        source = self._labels.moved_from(part)
        group = self._labels.of(source)
        if group is None or group.kind != "cell":
            return operand
        return Operand(source.node, source)

    def _is_misleading(self, name: str, group: Group) -> bool:
        """Whether a value between the copies is called as what they make themselves."""
        if group.copy is not None or group.begins is not None:
            return False
        return name in self._states_of(self._group.copy)

    def _row_of(self, name: str, group: Group) -> int | None:
        """The other row that a state is of, where this row has one of the same name."""
        if group.copy is None or self._group.copy is None:
            return None
        row = group.copy.row
        is_unclear = self._by_rows or name in self._states_of(self._group.copy)
        return row if is_unclear and row != self._group.copy.row else None

    def _has_another_clock(self, group: Group) -> bool:
        """Whether its row counts its own steps: how far they are from the copy's says nothing."""
        slow = self._labels.groups.placement.slow
        copies = group.copy, self._group.copy
        return len({copy.row in slow for copy in copies if copy is not None}) > 1

    def _states_of(self, copy: Copy | None) -> Sequence[str]:
        naming = self._labels.naming
        return () if copy is None else naming.states[id(naming.cells.loops[copy.row])]

    def _circle(self, group: Group) -> str:
        """What is written in the circle of an input that the copy reads."""
        circles = self._labels.circles[id(group)]
        column = self._group.columns[0]
        at = [k for k, one in enumerate(group.columns[: len(circles)]) if one <= column]
        return circles[at[-1] if at else 0]

    def _at(self, name: str, time: int | None, row: int | None = None) -> str:
        """A name with its step, how far it is from the copy's, or which; and with its row."""
        name = name.removesuffix(self._prime)
        before = behind = ""
        if row is not None:
            backwards = row in self._labels.groups.placement.backwards
            before, behind = "←" * backwards, _above(self._layer_of[row])
        key = before + name + behind
        if time is None:
            self.steps[key] = None
            return key
        if self._copy_time is None:
            return before + indexed(name, time) + behind
        step = time - self._copy_time
        self.steps.setdefault(key, step)
        if self._steady is not None and key not in self._steady:
            return key
        return before + name + at_step(step) + behind


def _stated(owner: object) -> str | None:
    """What a cell's class says of one step; None where a class below it works otherwise."""
    if not isinstance(owner, RecurrentCell):
        return None
    for cls in type(owner).__mro__:
        if "equation" in vars(cls):
            return owner.equation
        if "step" in vars(cls) or "forward" in vars(cls):
            return None
    return None


def _usual(letter: str, entries: Iterable[_Entry]) -> str:
    """What stands in the place of a letter in most copies; else that of the class."""
    texts = Counter(entry.text for entry in entries if entry.text)
    ((text, _),) = texts.most_common(1) or [(letter, 0)]
    return text


def _most_alike(entries: Mapping[Copy, _Entry]) -> int:
    """In how many copies at most the same stands in the place of a letter."""
    return max(Counter(entry.text for entry in entries.values()).values(), default=0)


def _about(entry: _Entry, usual: str, *, begins: bool) -> _Line | None:
    """What has to be said of what enters in the place of a letter, if it is not the usual."""
    if entry.text == usual:
        return None
    if not entry.text:
        return _Line(f"{usual}: {_NAMELESS}")
    if begins:
        return _Line(f"{usual} = {entry.absolute()}", begins=True)
    return _Line(f"{entry.text} for {usual}", replaces=True)


def notes_on_layers(text: str, layers: Iterable[int]) -> Iterator[str]:
    """What is said below an equation that names other layers."""
    named = (layer for layer in sorted(set(layers)) if _above(layer) in text)
    return (f"{_above(layer)}: of layer {layer}" for layer in named)


def _above(layer: int) -> str:
    """What stands above a name of another layer: `h⁽⁰⁾`."""
    return f"⁽{raised(layer)}⁾"


def _made_inside(written: str, others: Container[str]) -> Sequence[str]:
    """What an equation makes and keeps to itself: its letters on the left that are no states."""
    left = (line.partition(" = ")[0] for line in written.splitlines())
    return [letter for made in left for letter in made.split(", ") if letter not in others]


def _renamed(inside: Iterable[str], texts: Mapping[str, str]) -> Mapping[str, str]:
    """Other names for those that something has that enters, or is made for the next step."""
    taken = set(names_in(" ".join(texts.values())))
    return {one: one.replace("ₜ", "′ₜ") for one in inside if one.removesuffix("ₜ") in taken}


def _in_place(written: str, texts: Mapping[str, str]) -> str:
    """An equation with other texts in place of its letters."""
    letters = sorted(texts, key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(letter)}(?![₋₊])" for letter in letters)
    return re.sub(pattern, lambda found: texts[found[0]], written) if letters else written
