"""The formulas of blocks, and what an equation has in full of what enters a copy."""

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from ....autograd.state import Scope
from ....cached import cached_property
from ...recording.graph import Node
from ..arrows import Arrows
from ..copies.copies import Loop
from ..grouping.groups import FIXED, Group, Groups
from ..quotient import element_of, primeless, timeless
from ..timesteps.pieces import WHOLE, Atom, RawRead
from .calls import Calls
from .constants import Constants
from .formulas import ALL, Operand, Region, formula_of, is_cut, says_all
from .inputs import Inputs
from .naming import Naming
from .operands import InNames, Labels
from .operands import Read as ReadNames
from .outputs import Outputs
from .times import Times

_FORMULAS_MOST = 24  # of a loss whose formula is too long: what it is, and what is named there
_INLINE_MOST = 3  # ops without a name that stand in the formula of what reads them


class Spelling:
    """Writes what is computed between the copies, and what enters them.

    Args:
        groups: what stands in the picture.
        naming: the names in the program.
        arrows: what the blocks read of each other.
        inputs: what inputs are called.
        outputs: … and outputs.
        times: the timesteps of what is made.
        constants: what constants are called.
    """

    def __init__(
        self,
        groups: Groups,
        naming: Naming,
        arrows: Arrows,
        inputs: Inputs,
        outputs: Outputs,
        times: Times,
        constants: Constants,
    ) -> None:
        self.groups, self.naming, self.arrows = groups, naming, arrows
        self.inputs, self.outputs = inputs, outputs
        self.times, self.constants = times, constants
        self._formulas: dict[int, str] = {}

    def formula(self, group: Group) -> str:
        """What is computed in it."""
        if group.kind not in ("between", "bar", "derived", "loss"):
            return ""
        if id(group) not in self._formulas:
            self._formulas[id(group)] = "; ".join(self._formulas_of(group))
        return self._formulas[id(group)]

    def in_names(self, group: Group) -> str:
        """What is derived of parameters, by the names of values in it: `log_Bᵀ`."""
        node = group.atoms[-1].node
        atoms = [one for one in group.atoms if one.node is node or not self.naming.of(one.node)]
        return formula_of(node, self._region(group, atoms), ReadNames(self.labels, group))

    def on_the_way(self, loop: Loop) -> Iterator[str]:
        """What becomes of the states of a row on their way to the next copy, in any step."""
        later = [copy for copy in loop.copies if copy.before]
        for k, name in enumerate(self.naming.arriving[id(loop)]):
            texts: set[str] = set()
            for copy in later:
                read = loop.state_read(copy, k)
                node = None if read is None else self.naming.made_on_the_way(read, loop)
                texts.add("" if node is None else self._of_any_step(node))
            if len(texts) == 1 and "" not in texts:
                yield f"{timeless(name)}ₜ = {texts.pop()}"

    def _of_any_step(self, node: Node) -> str:
        """What makes a value between the copies; "" of what a module makes, or nobody can read."""
        group = self.groups.of(self.groups.pieces.atoms[node][0])
        if group is None or group.kind != "between" or self.naming.path_in(group.nodes):
            return ""
        region = self._region(group, self._atoms_in_formula(group))
        operands = ReadNames(self.labels, group)
        text = formula_of(node, region, operands, at_any_step=True, is_named=True)
        return "" if is_cut(text) or "·" in text else text

    def _formulas_of(self, group: Group) -> Iterator[str]:
        """One for each value that leaves it: of several, what has a name goes by that below."""
        atoms, made = self._atoms_in_formula(group), self._made_in(group)
        operands = ReadNames(self.labels, group)
        for node in made:
            text = self._written(node, group, self._region(group, atoms), operands)
            if group.kind != "derived" and is_cut(text):
                yield from self._formula_in_names(node, group)
                return
            name = operands.name(Operand(node)) if len(made) > 1 else ""
            if name.isidentifier():
                atoms = [atom for atom in atoms if atom.node is not node]
                text = f"{name} = {text}"
            yield text

    def _written(
        self,
        node: Node,
        group: Group,
        region: Region,
        operands: ReadNames,
        *,
        at_any_step: bool = False,
    ) -> str:
        """A formula; by the calls in it where several modules make it, or it would be too long."""
        text = formula_of(node, region, operands, at_any_step=at_any_step)
        is_of_one = len(self.naming.modules(group.nodes)) < 2
        if group.kind != "between" or (is_of_one and not is_cut(text)):
            return text
        made, nodes = self._made_by_calls, dict.fromkeys(group.nodes)
        calls = Calls(
            nodes,
            [node],
            lambda call: made[call] <= nodes.keys(),
            self._is_given,
            self.naming.variable,
        )
        region = replace(region, calls=calls.returned)
        shorter = formula_of(node, region, operands, at_any_step=at_any_step)
        return shorter if says_all(shorter) else text

    @cached_property
    def _made_by_calls(self) -> Mapping[Scope, set[Node]]:
        """What each call makes, but of parameters alone."""
        found: dict[Scope, set[Node]] = defaultdict(set)
        for group in self.groups.groups:
            for node in group.nodes if group.kind not in FIXED else ():
                for call in node.calls:
                    found[call].add(node)
        return found

    def _is_given(self, node: Node, slot: int) -> bool:
        """Whether an op reads something as one of its inputs that is no parameter or constant."""
        x = node.inputs[slot]
        group = None if x is None else self.groups.of(self.groups.pieces.atoms[x][0])
        return group is None or group.kind not in FIXED

    def _formula_in_names(self, node: Node, group: Group) -> Iterator[str]:
        """A formula that goes by what the program calls values in it, and what these are."""
        named = self._named_in(group)
        found, waiting, often = set[str](), {"": node}, Counter(named.values())
        steps = self._steps_of(named, group)
        for _ in range(_FORMULAS_MOST):
            if not waiting:
                return
            name = next(iter(waiting))
            made = waiting.pop(name)
            found.add(name)
            names = {x: own for x, own in named.items() if own != name}
            operands = InNames(self.labels, group, names, steps, steps.get(made))
            atoms = [one for one in self._atoms_in_formula(group) if one.node not in names]
            region = self._region(group, atoms)
            is_of_each = often[name] > 1
            text = self._written(made, group, region, operands, at_any_step=is_of_each)
            if not is_cut(text) or not name:
                said = name + "ₜ" * (made in steps)
                yield f"{said} = {text}" if name else text
                new = operands.asked.items()
                waiting |= {own: x for own, x in new if own not in found}

    def _named_in(self, group: Group) -> Mapping[Node, str]:
        """What the program calls values in a group: of what it adds to again and again the last."""
        found: dict[str, list[Node]] = defaultdict(list)
        for atom in group.atoms:
            name = self.naming.of(atom.node)
            if name.isidentifier() and atom.node is not group.atoms[-1].node:
                found[name].append(atom.node)
        named: dict[Node, str] = {}
        for name, nodes in found.items():
            is_sum = all(before in after.inputs for before, after in pairwise(nodes))
            named |= dict.fromkeys(nodes[-1:] if is_sum else nodes, name)
        return named

    def _steps_of(self, named: Mapping[Node, str], group: Group) -> Mapping[Node, int]:
        """The first step that each value is made of, of names of which each step has one value."""
        first: dict[Node, int] = {}
        for atom in group.atoms:
            times = [first[x] for x in atom.node.tensors() if x in first]
            for read in self.groups.entering[atom]:
                source = self.groups.group_of[read.value]
                time = self.times.of(source) if source.kind in ("cell", "between") else None
                times += [] if time is None else [time]
            if times:
                first[atom.node] = min(times)
        nodes: dict[str, list[Node]] = defaultdict(list)
        for node, name in named.items():
            nodes[name].append(node)
        found: dict[Node, int] = {}
        for several in nodes.values():
            known = [node for node in several if node in first]
            last = {first[node]: node for node in known}  # what it is called in the end
            each = Counter(first[node] for node in known)
            if len(known) == len(several) and len(last) > 1 == len(set(each.values())):
                found |= {node: step for step, node in last.items()}
        return found

    def _region(self, group: Group, atoms: Sequence[Atom]) -> Region:
        """What a formula has in full: some atoms that lead to a group."""
        # of a stack only the part that is read, or made, here; of what is read in all parts all
        entering = [read for atom in atoms for read in self.groups.entering[atom]]
        read: dict[tuple[Node, int], Hashable] = {}
        is_of_all = group.kind == "loss"
        for one in entering:
            place, is_part = (one.reader.node, one.slot), one.reader.label != WHOLE
            if place not in read or one.value.label == one.reader.label:
                read[place] = one.value
            elif not (is_of_all or is_part or one.reader.node.is_move):
                read[place] = ALL
        inside = {atom.node for atom in atoms} | self._nameless_derived
        times = self._steps_taken(group, entering)
        cut = self._cut(atoms, () if is_of_all else entering)
        return Region(inside, read, is_of_all, times, cut=cut)

    def _cut(
        self, atoms: Sequence[Atom], entering: Iterable[RawRead]
    ) -> Mapping[Hashable, Collection[int]]:
        """Of what is cut into its timesteps the axes that one step does not have."""
        count = Counter(atom.node for atom in atoms)
        found: dict[Hashable, Atom] = {read.value: read.value for read in entering}
        found |= {atom.node: atom for atom in atoms if count[atom.node] == 1}
        slices = self.groups.pieces.slices
        return {key: slices[atom].lost for key, atom in found.items() if atom in slices}

    def region_misnamed(self, group: Group) -> Region:
        """The same of what enters from a block, where that alone is called as an input is."""
        if self._is_called_as_an_input(group):
            return self.region_entering(group)
        return self._region(group, ())

    def region_entering(self, group: Group) -> Region:
        """What the equation of a copy has in full of what enters it: what has no name of its own.

        That is a sign on an arrow, also where the program calls it as it calls an input.
        """
        first, atoms, misnamed = group, list[Atom](), [group]
        while self._is_nameless_sign(group) or self._is_called_as_an_input(group):
            atoms += self._atoms_in_formula(group)
            source = self.groups.group_of[self.groups.moved_from(group.atoms[-1])]
            if source is group:
                break
            group = source
            misnamed.append(group)
        for one in misnamed:  # grows: x = x + f(x), again and again
            for source in self.groups.sources(one):
                if source not in misnamed and self._is_called_as_an_input(source):
                    atoms += self._atoms_in_formula(source)
                    misnamed.append(source)
        return self._region(first, atoms)

    def _is_called_as_an_input(self, group: Group) -> bool:
        """Whether what no module makes between the copies is called as an input is."""
        last = group.atoms[-1]
        own = self.naming.of(last.node) or self.naming.of(self.groups.moved_from(last).node)
        name = element_of(timeless(own))
        return (
            group.kind == "between"
            and not self.naming.path_in(group.nodes)
            and name in self.inputs.called
        )

    def made(self, group: Group) -> Node:
        """The last value that is computed in a group, and not only moved."""
        computed = (atom.node for atom in reversed(group.atoms) if not atom.node.is_move)
        return next(computed, group.atoms[-1].node)

    def _made_in(self, group: Group) -> Sequence[Node]:
        """What the formula of a group is of: each value that leaves it, but what is only moved.

        Of several parts of one value it is all of that.
        """
        inside = {atom.node for atom in group.atoms}
        shown = [atom.node for atom in self.arrows.read_of(group)]
        made = dict.fromkeys(shown if group.kind == "between" else (), None)
        made = made or {group.atoms[-1].node: None}
        while len(shown) > 1 and all(x.op == "getitem" and x.inputs[0] in inside for x in made):
            made = dict.fromkeys(x for node in made for x in node.tensors())
        return [node for node in made if not _is_moved_from(node, made)]

    def _atoms_in_formula(self, group: Group) -> Sequence[Atom]:
        """What is computed in a group, and on the arrows into it by signs that have no name."""
        waiting = [group] if group.kind in ("between", "bar") else []
        seen = {id(group)}
        for reader in waiting:  # grows
            entering = (read for atom in reader.atoms for read in self.groups.entering[atom])
            for source in [self.groups.group_of[read.value] for read in entering]:
                if id(source) not in seen and self._has_no_name_of_its_own(source):
                    waiting.append(source)
                seen.add(id(source))
        others = [atom for one in waiting[1:] for atom in self._written_in_full(one)]
        count = Counter(atom.node for atom in others)
        if max(count.values(), default=0) > 1:  # several steps of one value have different names
            return group.atoms
        return [*group.atoms, *others]

    def _has_no_name_of_its_own(self, group: Group) -> bool:
        """Whether a formula has it in full: a sign without a name, or with that of an input."""
        return self._is_nameless_sign(group) or (
            self._is_moved_as_an_input(group) and self._is_short(group)
        )

    def _is_moved_as_an_input(self, group: Group) -> bool:
        """Whether the program calls as it calls an input what a group moves, or joins with others.

        A formula sees through that, see `Read.made_of`: it has parts of several steps.
        """
        node = group.atoms[-1].node
        is_named = node.is_move and bool(self.naming.of(node))
        return is_named and self._is_called_as_an_input(group)

    def _written_in_full(self, group: Group) -> Sequence[Atom]:
        if not self._is_moved_as_an_input(group):
            return group.atoms
        return [atom for atom in group.atoms if not atom.node.is_move]

    def _is_nameless_sign(self, group: Group) -> bool:
        """Whether it is a few ops or moves without a name, and no call that reads parameters."""
        node = group.atoms[-1].node
        if group.kind != "between" or node in self.labels.outputs:
            return False
        return not self.labels.name_between(node) and self._is_short(group)

    def _is_short(self, group: Group) -> bool:
        nodes = {atom.node for atom in group.atoms}
        if self.naming.path_in(group.nodes) and any(one.reads_a_parameter for one in nodes):
            return False
        nodes = {one for one in nodes if not one.is_move or len(one.inputs) > 1}
        if self._is_moved_as_an_input(group):
            nodes = {one for one in nodes if not one.is_move}
        return len(nodes) <= _INLINE_MOST

    def _steps_taken(
        self, group: Group, entering: Iterable[RawRead]
    ) -> Mapping[Node, Collection[int]]:
        """Of an index that takes one step of a sequence the axes of time."""
        taken: dict[Node, list[Atom]] = defaultdict(list)
        for read in entering:
            if read.reader.node.op == "getitem":
                taken[read.reader.node].append(read.value)
        found: dict[Node, Collection[int]] = {}
        for node, values in taken.items():
            slices = [self.groups.pieces.slices.get(value) for value in values]
            first = slices[0]
            if first is None or None in slices or (group.kind == "loss" and len(values) > 1):
                continue
            found[node] = first.axes
        return found

    @cached_property
    def labels(self) -> Labels:
        """How the picture calls its values, for the formulas in it."""
        return replace(self._labels, rebound=self._rebound)

    @cached_property
    def _labels(self) -> Labels:
        """The same, with all names as the program binds them."""
        stems: dict[Node, set[str]] = defaultdict(set)
        for atom, name in self.outputs.names.items():
            stems[atom.node].add(name)
        return Labels(
            groups=self.groups,
            naming=self.naming,
            inputs=self.inputs.stems,
            circles=self.inputs.labels,
            target=self.inputs.target,
            outputs={node: names.pop() for node, names in stems.items() if len(names) == 1},
            constant=self.constants.in_formula,
            time=self.times.of,
            rows=Counter(group.id.rpartition("-")[0] for group in self.groups.groups),
            moved_from=self.groups.moved_from,
            rebound={},
        )

    @cached_property
    def _rebound(self) -> Mapping[Node, str]:
        """What has the name of a value of its step that it is made of, as in `u = conv(u)`.

        In a picture one name is one value: a box makes a u′, a sign what has no name.
        """
        outputs = {atom.node for atom in self.outputs.names}
        found: dict[Node, str] = {}
        for group in self.groups.in_order():
            if group.kind != "between" or not outputs.isdisjoint(atom.node for atom in group.atoms):
                continue
            known = {primeless(name): name for name in self._read_in_its_step(group, found)}
            for atom in group.atoms:
                name = timeless(self.naming.of(atom.node))
                if name and name in known:
                    found[atom.node] = self._bound_anew(group, known[name])
            if self._says_its_own_name(group):
                node = group.atoms[-1].node
                found.setdefault(node, f"{timeless(self.naming.of(node))}′")
        return found

    def _read_in_its_step(self, group: Group, rebound: Mapping[Node, str]) -> Iterator[str]:
        """The names of what a block reads that others made in its column."""
        for source in self.groups.sources(group):
            if source.columns == group.columns and source is not group:
                reads = self.arrows.between.get((id(source), id(group)), ())
                for node in (read.value.node for read in reads):
                    yield rebound.get(node, timeless(self.naming.of(node)))

    def _bound_anew(self, group: Group, name: str) -> str:
        """What a block makes of a value of this name, and calls so, too."""
        if all(atom.node.is_move for atom in group.atoms):
            return name
        return "" if self._is_short(group) else f"{name}′"

    def _says_its_own_name(self, group: Group) -> bool:
        """Whether its formula is too long and goes by names, one of them that of what it makes."""
        node = group.atoms[-1].node
        if self.naming.of(node) not in self._named_in(group).values():
            return False
        region, operands = self._region(group, group.atoms), ReadNames(self._labels, group)
        return is_cut(formula_of(node, region, operands))

    @cached_property
    def _nameless_derived(self) -> set[Node]:
        """What is derived and has no name of its own: a formula has it in full."""
        return {node for node in self.groups.derived if not self.naming.of(node)}


def _is_moved_from(node: Node, others: Container[Node]) -> bool:
    """Whether a value is another one, or a part of it, moved."""
    while (source := node.moved_from) is not None:
        if source in others:
            return True
        node = source
    return False
