"""What the values are called that a formula reads: as what they are in the picture."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....cached import cached_property
from ...recording.graph import Node
from ..grouping.groups import FIXED, Group, Groups
from ..quotient import at_step, element_of, indexed, primeless, timeless
from ..timesteps.pieces import Atom
from .formulas import ALL, Operand, is_number, number_text
from .naming import Naming

_NESTED_MOST = 2  # calls of modules in a call that stands for a name
_ARGUMENTS_MOST = 3


@dataclass(frozen=True)
class Labels:
    """How a picture calls what stands in it.

    Args:
        groups: what stands in it.
        naming: the names in the program.
        inputs: of an input what is written in its circle, without its step.
        circles: of an input the same with its step, in each circle.
        target: what a target is called, without its step.
        outputs: … and of an output.
        constant: what a constant is called.
        time: the timestep of a group, where it has one.
        rows: how many groups a row has, by what their ids begin with.
        moved_from: the value that another one is, but for what only moves it between the copies.
        rebound: of what has the name of a value that it is made of: what it is called instead.
    """

    groups: Groups
    naming: Naming
    inputs: Mapping[int, str]
    circles: Mapping[int, tuple[str, ...]]
    target: Callable[[Node], str]
    outputs: Mapping[Node, str]
    constant: Callable[[Group], str]
    time: Callable[[Group], int | None]
    rows: Mapping[str, int]
    moved_from: Callable[[Atom], Atom]
    rebound: Mapping[Node, str]

    def name_between(self, node: Node) -> str:
        """The name of a value that was made between the copies; "" where it has none."""
        return self.rebound.get(node, self.naming.of(node))

    def of(self, atom: Atom) -> Group | None:
        """The group that a part of a value is in."""
        return self.groups.of(atom)

    def first_element(self, atom: Atom) -> int:
        """Where in its array a part begins."""
        part = self.groups.pieces.slices.get(atom)
        places = np.arange(atom.node.size).reshape(atom.node.shape)
        return 0 if part is None else int(part.of(places).flat[0])


class Read:
    """The names of what one group reads.

    Args:
        labels: those of the whole picture.
        group: the one whose formula is written.
        nested: in how many others this formula stands.
    """

    def __init__(self, labels: Labels, group: Group, nested: int = 0) -> None:
        self._labels, self._group, self._nested = labels, group, nested
        self._known: dict[Operand, str] = {}
        self._step: int | None = None  # of the term that is written

    def _group_of(self, operand: Operand) -> Group | None:
        """The group that what is read is in; of several parts that of the first."""
        if isinstance(operand.part, Atom):
            return self._labels.of(operand.part)
        return self._labels.of(self._labels.groups.pieces.atoms[operand.node][0])

    def name(self, operand: Operand) -> str:
        """The name of a value, where nothing else has it; "" where it has none."""
        if operand not in self._known:
            self._known[operand] = self._name(operand)
        return self._known[operand]

    def _is_named(self, operand: Operand) -> bool:
        """Whether it goes by the name of a variable, also of one that is bound anew."""
        return self.name(operand).isidentifier() or bool(self._labels.rebound.get(operand.node))

    def _name(self, operand: Operand) -> str:
        labels, node, group = self._labels, operand.node, self._group_of(operand)
        if group is None or self._is_weight(operand):
            return self._weight(node)
        match group.kind:
            case "input":
                own = labels.naming.caption(node) if self._group.kind == "loss" else ""
                written = labels.inputs.get(id(group), "")
                return own if own and own != primeless(written) else written
            case "initial":
                return self._initial(node, group)
            case "target":
                return labels.target(node) or _number_in(node)
            case "constant":
                return labels.constant(group)
            case "cell" if labels.naming.cells.state_of(node) is not None:
                return labels.naming.of(node)
            case "cell" | "between" if operand.part is ALL:
                return labels.name_between(node)
            case "cell" | "between":
                named = labels.outputs.get(node, "") or element_of(labels.name_between(node))
                return named or self._made_by(node, group)
            case _:
                return labels.naming.of(node)

    def made_of(self, operand: Operand) -> Sequence[Operand]:
        """What a value only moves or joins that the program calls as it calls an input.

        So is what the next layer reads, where each layer has an x.
        """
        groups, group, part = self._labels.groups, self._group_of(operand), operand.part
        is_moved = operand.node.is_move and operand.node.op not in ("transpose", "swapaxes")
        is_between = group is not None and group.kind == "between" and part is not ALL
        is_called_so = self.name(operand) in self._labels.inputs.values()
        if not (is_moved and is_between and is_called_so):
            return ()
        reads = (read for atom in self._group.atoms for read in groups.entering[atom])
        atoms = dict.fromkeys(x.value for x in reads if x.value.node is operand.node)
        sources = dict.fromkeys(
            source
            for atom in sorted(atoms, key=self._labels.first_element)
            for source in groups.seen_through(atom)
        )
        if all(groups.group_of[source].kind == "input" for source in sources):
            return ()  # it is their own name
        return [Operand(source.node, source) for source in sources]

    def _is_weight(self, operand: Operand) -> bool:
        """Whether it is trained, and no state that is trained."""
        group = self._group_of(operand)
        is_given = group is not None and group.kind in ("initial", "input")
        return operand.node.is_parameter and not is_given

    def _weight(self, node: Node) -> str:
        """The path of what is trained, as short as tells apart all that the group reads."""
        return self._weights.get(node) or self._short_path(node)

    @cached_property
    def _weights(self) -> Mapping[Node, str]:
        alike: dict[str, list[Node]] = defaultdict(list)
        for node in self._trained():
            alike[self._short_path(node)].append(node)
        found: dict[Node, str] = {}
        for name, nodes in alike.items():
            found |= self._paths(dict.fromkeys(nodes, name))
        return found

    def _trained(self) -> Iterable[Node]:
        """What is trained that the group reads, also as a part, or in what is derived of it."""
        groups, waiting = self._labels.groups, list(self._group.atoms)
        seen = set(waiting)
        for atom in waiting:  # grows
            for value in (read.value for read in groups.entering[atom]):
                if value not in seen and groups.group_of[value].kind in ("parameter", "derived"):
                    seen.add(value)
                    waiting.append(value)
        return dict.fromkeys(atom.node for atom in waiting if atom.node.is_parameter)

    def _short_path(self, node: Node) -> str:
        """The path of what is trained; in a call of the module that has it its name there.

        A legend says of no module that it is about that.
        """
        naming, groups = self._labels.naming, self._labels.groups
        path = naming.of(node)
        owner, _, own = path.rpartition(".")
        if own.isdigit() or self._group.kind == "derived":
            return path
        reads = [read for atom in self._group.atoms for read in groups.entering[atom]]
        reads = [read for read in reads if read.value.node is node]
        for read in (*reads, *groups.deriving.get(node, ())):
            calls = map(naming.variable, read.reader.node.calls)
            if any(f".{owner}".endswith(f".{call}") for call in calls):
                return own
        return path

    def _initial(self, node: Node, group: Group) -> str:
        naming = self._labels.naming
        if group.begins is None:
            return naming.of(group.before or node) or naming.of(node)
        names = naming.arriving[id(naming.cells.loops[group.begins.row])]
        return names[0] if len(names) == 1 else self._called_there(node)

    def _called_there(self, leaf: Node) -> str:
        """What the program calls a leaf where the group reads it; of several names the first."""
        entering = self._labels.groups.entering
        reads = (read for atom in self._group.atoms for read in entering[atom])
        places = ((read.reader.node.id, read.slot) for read in reads if read.value.node is leaf)
        own = self._labels.naming.of(leaf)
        names = {leaf.read_as.get(place, own) for place in places}
        return names.pop() if len(names) == 1 else own

    def _made_by(self, node: Node, group: Group) -> str:
        """What has no name: the call of the module that makes it."""
        path = list(self._labels.naming.modules(atom.node for atom in group.atoms))
        is_last = node is group.atoms[-1].node
        if group.kind == "cell" or not path or not is_last or self._nested > _NESTED_MOST:
            return ""
        inner = self._within(group)
        names = dict.fromkeys(map(inner.argument, self._read_by(group)))
        if len(path) > 1 or not names or "" in names or len(names) > _ARGUMENTS_MOST:
            return f"{path[-1]}(…)"
        return self._after(node, f"{path[0]}({', '.join(names)})")

    def _after(self, node: Node, call: str) -> str:
        """The call of a module, and the functions of its result that make a value."""
        functions: list[str] = []
        while not any(self._labels.naming.modules([node])):
            tensors = node.tensors()
            if len(tensors) != 1:
                return ""
            functions += [str(node.op)] * (not node.is_move)
            (node,) = tensors
        return "".join(f"{one}(" for one in functions) + call + ")" * len(functions)

    def _within(self, group: Group) -> "Read":
        """The names of what a call reads that stands for a name."""
        return Read(self._labels, group, self._nested + 1)

    def called(self, operand: Operand) -> str:
        """What a value is called that is read alone."""
        return self.name(operand)

    def argument(self, operand: Operand) -> str:
        """What a value is called in the brackets of a call."""
        return self.called(operand) + self._earlier(operand)

    def _read_by(self, group: Group) -> Iterator[Operand]:
        """What a group reads, but for parameters and constants."""
        groups = self._labels.groups
        for atom in group.atoms:
            for read in groups.entering[atom]:
                source = groups.group_of[read.value]
                if source is not group and source.kind not in FIXED:
                    yield Operand(read.value.node, read.value)

    # Several

    def told_apart(
        self, operands: Sequence[Operand], *, at_any_step: bool
    ) -> Mapping[Operand, str]:
        """The names of several values in one formula: no two have the same."""
        found: dict[Operand, str] = {}
        alike: dict[str, list[Operand]] = defaultdict(list)
        self._step = self.step(operands)
        for operand in operands:
            alike[self.name(operand)].append(operand)
        for name, several in alike.items():
            if all(map(self._is_weight, several)):
                found |= self._parameters(several)
            elif len(several) == 1 or self._are_one(several) or is_number(name):
                found |= {x: self._alone(name, x, at_any_step=at_any_step) for x in several}
            else:
                found |= self._distinct(name, several, at_any_step=at_any_step)
        return found

    def step(self, operands: Sequence[Operand]) -> int | None:
        """The step of a formula of any step: the last one in which something was made of it."""
        made = (self._time(x) for x in operands if self._is_made(x))
        return max((time for time in made if time is not None), default=None)

    def _parameters(self, several: Sequence[Operand]) -> Mapping[Operand, str]:
        names = self._paths({x.node: self._weight(x.node) for x in several})
        return {x: names[x.node] for x in several}

    def _paths(self, names: Mapping[Node, str]) -> Mapping[Node, str]:
        """Longer paths of what is trained where some are called alike."""
        paths = {node: self._labels.naming.of(node) for node in names}
        while len(set(names.values())) < len(names) and names != paths:
            names = {node: _longer(names[node], path) for node, path in paths.items()}
        return names

    def _are_one(self, several: Sequence[Operand]) -> bool:
        parts = {x.part for x in several if x.part is not None}
        if len({x.node for x in several}) == 1 and len(parts) < 2:
            return True
        groups = {id(self._group_of(x)) for x in several}
        kinds = {group.kind for x in several if (group := self._group_of(x)) is not None}
        return len(groups) == 1 and kinds <= {"constant", "input"}

    def _alone(self, name: str, operand: Operand, *, at_any_step: bool) -> str:
        group, row = self._group_of(operand), self._row(operand)
        if row is not None:
            return timeless(name) + self._subscript(row, at_any_step=at_any_step)
        if at_any_step and name.isidentifier() and self._is_made(operand):
            time = self._time(operand)
            if time is not None and self._step is not None:
                return timeless(name) + at_step(time - self._step)
        if at_any_step and (self._is_given_anew(operand) or self._is_lost_anew(operand, name)):
            return timeless(name) + "ₜ"
        if group is not None and group.kind == "input" and self._group.kind == "loss":
            circles = self._labels.circles.get(id(group), ())
            if len(circles) == 1 and not at_any_step and name == self._labels.inputs[id(group)]:
                return circles[0]
        return name + self._earlier(operand)

    def _earlier(self, operand: Operand) -> str:
        """The subscript of what a step reads of another one; "" of what it reads of its own."""
        own, group = self._group, self._group_of(operand)
        if own.kind != "between" or group is None or self._is_of_several_steps(operand):
            return ""
        if group.kind not in ("cell", "between", "initial"):
            return ""
        if len(own.columns) != 1 or len(group.columns) != 1 or not self._is_named(operand):
            return ""
        time, mine = self._time(operand), self._labels.time(own)
        if time is None or mine is None or not self._is_one_of_many(group):
            return ""
        columns = group.columns[0] - own.columns[0] - (group.kind == "initial")
        if not columns or not self._is_named_as_state(operand, group):
            return ""  # a name of its own says that it is of before
        return at_step(columns) if columns == time - mine else indexed("", time)

    def _is_named_as_state(self, operand: Operand, group: Group) -> bool:
        """Whether what a chain begins with is called as its states are; and all else is."""
        if group.begins is None:
            return True
        naming = self._labels.naming
        return self.name(operand) in naming.arriving[id(naming.cells.loops[group.begins.row])]

    def _is_made(self, operand: Operand) -> bool:
        """Whether it is made in a step of its own, and not given."""
        group = self._group_of(operand)
        if group is None or group.kind not in ("cell", "between", "initial"):
            return False
        return self._is_one_of_many(group)

    def _is_given_anew(self, operand: Operand) -> bool:
        """Whether it is an input between the copies that each step has one of."""
        group = self._group_of(operand)
        if group is None or group.kind != "input" or self._group.kind != "between":
            return False
        return self._labels.circles[id(group)] != (self.name(operand),)

    def _is_lost_anew(self, operand: Operand, name: str) -> bool:
        """Whether the loss compares with another one at each step: it reads this one once."""
        group = self._group_of(operand)
        if group is None or group.kind not in ("target", "input") or self._group.kind != "loss":
            return False
        groups = self._labels.groups
        reads = [read for atom in group.atoms for read in groups.readers[atom]]
        by_loss = [read for read in reads if groups.group_of[read.reader] is self._group]
        return len(by_loss) == 1 and primeless(name).isidentifier()

    def _is_of_several_steps(self, operand: Operand) -> bool:
        """Whether it is a sequence of which several parts are read."""
        atoms = self._labels.groups.pieces.atoms.get(operand.node, ())
        return not isinstance(operand.part, Atom) and len(atoms) > 1

    def _is_one_of_many(self, group: Group) -> bool:
        """Whether there are others of its kind, which its step tells it from."""
        if group.kind == "initial":
            return True
        return self._labels.rows.get(group.id.rpartition("-")[0], 0) > 1

    def _subscript(self, time: int, *, at_any_step: bool) -> str:
        """The subscript of a step, in a formula of any step as far as it is from that."""
        if at_any_step and self._step is not None:
            return at_step(time - self._step)
        return indexed("", time)

    def _row(self, operand: Operand) -> int | None:
        """Which row of an array the loss reads, where the program says so: 3 of `words[t + 1]`."""
        group, index = self._group_of(operand), operand.node.index
        if group is None or group.kind not in ("input", "target") or self._group.kind != "loss":
            return None
        return index if isinstance(index, int) else None

    def _time(self, operand: Operand) -> int | None:
        group, row = self._group_of(operand), self._row(operand)
        if row is not None or group is None:
            return row
        return self._labels.time(group)

    def _distinct(
        self, name: str, several: Sequence[Operand], *, at_any_step: bool
    ) -> Mapping[Operand, str]:
        times = self._times(several, at_any_step=at_any_step)
        rows, layers = self._rows(several), self._layers(several)
        name = timeless(name) if any(times.values()) else name
        none: Mapping[Operand, str] = {}
        names = dict.fromkeys(several, name)
        for before, layer, behind in (
            (none, none, times),
            (rows, none, none),
            (rows, none, times),
            (none, layers, none),
            (none, layers, times),
        ):
            names = {
                x: before.get(x, "") + name + layer.get(x, "") + behind.get(x, "") for x in several
            }
            if len(set(names.values())) == len(several):
                return names
        count: dict[str, int] = defaultdict(int)
        found: dict[Operand, str] = {}
        for x in several:
            text = names[x]
            found[x] = rows.get(x, "") + name + "′" * count[text] + times.get(x, "")
            count[text] += 1
        return found

    def _times(self, several: Sequence[Operand], *, at_any_step: bool) -> Mapping[Operand, str]:
        times = {x: self._time(x) for x in several}
        known = [time for time in times.values() if time is not None]
        if len(set(known)) < (1 if at_any_step else 2):
            return {}
        own = self._step if at_any_step else None
        if self._group.kind == "between" and self._is_one_of_many(self._group):
            own = self._labels.time(self._group)
        if own is None and at_any_step:
            own = max(known)
        if own is not None and (at_any_step or max(known) <= own):
            return {x: at_step(time - own) for x, time in times.items() if time is not None}
        return {x: indexed("", time) for x, time in times.items() if time is not None}

    def _rows(self, several: Sequence[Operand]) -> Mapping[Operand, str]:
        """What stands before a name to say of which row it is: an arrow, or the module."""
        naming = self._labels.naming
        copies = {x: copy for x in several if (copy := naming.cells.of(x.node)) is not None}
        backwards = {x: self._labels.groups.placement.reversed(copy) for x, copy in copies.items()}
        if len(set(backwards.values())) == 2 and len({c.row for c in copies.values()}) == 2:
            return {x: "←" if back else "→" for x, back in backwards.items()}
        paths = {
            x: naming.path(copy.call).split(".")
            for x, copy in copies.items()
            if copy.call is not None
        }
        words = {x: [word for word in path if not word.isdigit()] for x, path in paths.items()}
        for length in range(1, max(map(len, words.values()), default=0) + 1):
            ends = {x: ".".join(path[-length:]) for x, path in words.items()}
            if len(set(ends.values())) == len({copies[x].row for x in ends}):
                return {x: f"{end}." for x, end in ends.items()}
        return {}

    def _layers(self, several: Sequence[Operand]) -> Mapping[Operand, str]:
        """What stands behind a name to say of which layer it is: `h_l1`, as in the debugger."""
        copies = {
            x: copy for x in several if (copy := self._labels.naming.cells.of(x.node)) is not None
        }
        return {x: f"_l{copy.row}" for x, copy in copies.items() if copy.row}


class InNames(Read):
    """The names of what one group reads, and those of values in it, in whose place they stand.

    Args:
        labels: those of the whole picture.
        group: the one whose formula is written.
        names: of values in it.
        steps: of those of them that each step has one of.
        step: the one whose formula is written, if it is of one.

    Attributes:
        asked: those of them that were read.
    """

    def __init__(
        self,
        labels: Labels,
        group: Group,
        names: Mapping[Node, str],
        steps: Mapping[Node, int],
        step: int | None,
    ) -> None:
        super().__init__(labels, group)
        self._names, self._steps, self._of_step = names, steps, step
        self.asked: dict[str, Node] = {}

    def name(self, operand: Operand) -> str:
        own = self._names.get(operand.node)
        if own is not None:
            self.asked[own] = operand.node
        return own or super().name(operand)

    def told_apart(
        self, operands: Sequence[Operand], *, at_any_step: bool
    ) -> Mapping[Operand, str]:
        others = [x for x in operands if x.node not in self._names]
        own = {x: self._named(x.node) for x in operands if x.node in self._names}
        return own | dict(super().told_apart(others, at_any_step=at_any_step))

    def step(self, operands: Sequence[Operand]) -> int | None:
        return super().step(operands) if self._of_step is None else self._of_step

    def _named(self, node: Node) -> str:
        """The name of a value; of one of each step with how far its step is, if one is written."""
        name, step = self._names[node], self._steps.get(node)
        if step is None:
            return name
        return name + at_step(0 if self._of_step is None else step - self._of_step)


def _number_in(node: Node) -> str:
    """The one number that a value is; "" of others, and of one that is gone."""
    return "" if node.is_gone or node.size != 1 else number_text(node.data.item())


def _longer(name: str, path: str) -> str:
    """A path from one module further out: `attention.Wa.weight` for `Wa.weight` in that."""
    before = path[: len(path) - len(name)].rstrip(".")
    outer = before.rpartition(".")[2]
    return f"{outer}.{name}" if outer else name
