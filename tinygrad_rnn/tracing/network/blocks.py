"""From a recorded graph to its quotient: blocks in rows, arrows between them, chains, outputs."""

import re
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
    Set,
)
from dataclasses import replace
from functools import cached_property, partial
from math import prod

import numpy as np

from ..recording.graph import Graph, Node, collector_paused
from .cells import Cells, cells_in
from .copies import Copy, chains_of
from .equations import Equations, Said
from .formulas import Operand, Region, formula_of, is_one_factor
from .groups import Group, Groups
from .leaves import row_of
from .naming import Naming, first_free
from .operands import Labels
from .operands import Read as ReadNames
from .parameters import attribute_name, has_parameter
from .pieces import WHOLE, Atom, RawRead
from .placement import Placement
from .quotient import (
    Arrow,
    ArrowKind,
    Block,
    Bracket,
    Chain,
    Output,
    Piece,
    Quotient,
    Read,
    ReadFlow,
    Row,
    RowKind,
    Words,
    element_of,
    indexed,
    primeless,
    primes,
    timeless,
)
from .recurrence import is_light, key_of
from .results import results_of
from .sites import places_of

_INLINE_MOST = 3  # ops without a name that stand in the formula of what reads them


@collector_paused()
def network_of(graph: Graph) -> Quotient | None:
    """The quotient of a graph; None when nothing in it is recurrent."""
    nodes = graph.behind_root()
    cells = cells_in(nodes)
    if not cells.loops:
        return None
    return _Assembly(graph, nodes, cells).quotient()


class _Assembly:
    """Makes blocks and arrows of groups of atoms."""

    def __init__(self, graph: Graph, nodes: Sequence[Node], cells: Cells) -> None:
        self.graph, self.nodes, self.cells = graph, nodes, cells
        self.groups = Groups(graph.root, nodes, cells, graph.owners)
        self.formulas: dict[int, str] = {}
        groups = self.groups
        self.layers = _layers(cells, groups.placement)
        self.naming = Naming(
            graph, cells, groups.placement, groups.parameter_names, groups.containers
        )

    def quotient(self) -> Quotient:
        self.arrows = self.raw_arrows()
        sources: dict[int, set[Atom]] = defaultdict(set)
        # of each group what is read by another one, and the root
        self.shown: dict[int, set[Atom]] = defaultdict(set)
        for (a, b), reads in self.arrows.items():
            self.shown[a].update(read.value for read in reads)
            sources[b].update(self.groups.moved_from(read.value) for read in reads)
        self.sources = {b: len(values) for b, values in sources.items()}
        for atom in (*self.groups.pieces.atoms[self.graph.root], *(r.value for r in self.dropped)):
            self.shown[id(self.groups.group_of[atom])].add(atom)
        rows = self.rows()
        self.name_others()
        blocks = {id(group): self.block(group) for group in self.groups.groups}
        made = [self.row(*row, blocks) for row in rows]
        arrows = tuple(
            Arrow(blocks[a], blocks[b], self.kind(reads), partial(self.read_all, reads))
            for (a, b), reads in self.arrows.items()
        )
        in_rows = [block for row in made for block in row.blocks]
        others = [block for block in blocks.values() if block.row is None]
        legend = (block for block in others if block.trained or block.kind == "derived")
        used = self.used_in_formulas_alone()
        legend = [block for block in legend if block.id not in used]
        return Quotient(
            blocks=(*in_rows, *others),
            arrows=arrows,
            rows=tuple(made),
            chains=tuple(self.chains(made, blocks)),
            columns=self.groups.count,
            outputs=tuple(self.outputs(blocks)),
            root=self.graph.root,
            inside=self.inside({block: group for group, block in self.made(blocks)}),
            dropped=self.read_all(self.dropped),
            parameters=tuple(legend),
            constants=tuple(block for block in others if block.kind == "constant" and block.label),
            loss=next((block for block in others if block.kind == "loss"), None),
            gradients=self.graph.gradients,
            brackets=tuple(self.brackets()),
            name_of=self.naming.of,
            nodes=tuple(self.nodes),
            time_of=self.time_of_node,
        )

    def used_in_formulas_alone(self) -> set[str]:
        """What is derived without a name, and read by nothing but what prints it in full.

        That is the loss, or what the legend has as well.
        """
        read_by: dict[int, set[str]] = defaultdict(set)
        group_of = self.groups.group_of
        for read in self.groups.reads:
            source, target = group_of[read.value], group_of[read.reader]
            if source is not target:
                read_by[id(source)].add(target.kind)
        return {
            group.id
            for group in self.groups.groups
            if group.kind == "derived" and read_by[id(group)] <= {"derived", "loss"}
            if not self.naming.of(group.atoms[-1].node)
        }

    # Arrows

    def raw_arrows(self) -> dict[tuple[int, int], list[RawRead]]:
        found: dict[tuple[int, int], list[RawRead]] = {}
        group_of = self.groups.group_of
        for read in self.reads_across():
            if read.reader not in self.groups.dropped:
                source, target = group_of[read.value], group_of[read.reader]
                found.setdefault((id(source), id(target)), []).append(read)
        return found

    def reads_across(self) -> Iterator[RawRead]:
        """The reads of one block's values by another block."""
        group_of = self.groups.group_of
        return (r for r in self.groups.reads if group_of[r.value] is not group_of[r.reader])

    @cached_property
    def dropped(self) -> list[RawRead]:
        """Those of them that lead to nothing."""
        return [read for read in self.reads_across() if read.reader in self.groups.dropped]

    def made(self, blocks: Mapping[int, Block]) -> Iterator[tuple[Group, Block]]:
        return ((group, blocks[id(group)]) for group in self.groups.groups)

    def inside(self, groups: Mapping[Block, Group]) -> Callable[[Block], tuple[Read, ...]]:
        """Find the reads in a block when somebody asks: they are most of all there are."""

        def inside(block: Block) -> tuple[Read, ...]:
            return self.read_all(self.groups.reads_in(groups[block]))

        return inside

    def read_all(self, reads: Iterable[RawRead]) -> tuple[Read, ...]:
        return tuple(map(self.read, reads))

    def read(self, raw: RawRead) -> Read:
        reader, value = self.groups.pieces.piece(raw.reader), self.groups.pieces.piece(raw.value)
        return Read(reader, raw.slot, value, _flow(raw), self.shape_passed(raw))

    def shape_passed(self, raw: RawRead) -> tuple[int, ...]:
        """The shape of what is read there.

        An index takes a part of a value, but of a state, which is handed on. What was joined of
        several steps has elements of one step in several rows: the shape is that of what was
        joined.
        """
        value, reader = self.groups.pieces.piece(raw.value), raw.reader.node
        if reader.op == "getitem" and not self.groups.is_state(raw):
            taken = self.groups.pieces.piece(raw.reader).shape
            return taken if prod(taken) < prod(value.shape) else value.shape
        if value.where is not None and value.where.index is None:
            shapes = {
                self.groups.pieces.piece(one).shape for one in self.groups.seen_through(raw.value)
            }
            if len(shapes) == 1:
                return shapes.pop()
        return value.shape

    def kind(self, reads: Sequence[RawRead]) -> ArrowKind:
        source = self.groups.group_of[reads[0].value]
        target = self.groups.group_of[reads[0].reader]
        match source.kind, target.kind:
            case ("parameter" | "derived" | "constant", _):
                return "parameter"
            case (_, "loss"):
                return "loss"
            case ("initial", _):
                return "initial"
            case ("input", _):
                return "input"
            case ("bar", _):
                return "tap"
            case (_, "bar"):
                return "up"
            case _:
                pass
        if self.is_message(source, target, reads):
            return "message"
        return "up" if source.columns[-1] == target.columns[0] else "other"

    def is_message(self, source: Group, target: Group, reads: Sequence[RawRead]) -> bool:
        """Whether a state goes on there: to a copy, or beside them from one column to another."""
        if target.copy is None:
            return self.goes_on_beside(source, target)
        if any(self.groups.is_state(read) for read in reads):
            return source.copy is None or source.copy in target.copy.before
        return False

    def goes_on_beside(self, source: Group, target: Group) -> bool:
        """Whether what is no state of a copy is handed on to where the same is done to it again."""
        if source.ops != target.ops or source.columns >= target.columns:
            return False
        if any(map(self.groups.is_state, self.groups.read_of(source))):
            return False
        return all(is_light(atom.node) for atom in target.atoms)

    # Rows

    def rows(self) -> list[tuple[RowKind, int, list[Group]]]:
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
        return self.from_below([*cells, *others, *bars])

    def from_below(
        self, rows: list[tuple[RowKind, int, list[Group]]]
    ) -> list[tuple[RowKind, int, list[Group]]]:
        """In the order in which they feed each other within a column."""
        row_of = {id(group): i for i, (_, _, groups) in enumerate(rows) for group in groups}
        columns = {id(group): group.columns for group in self.groups.groups}
        below: list[set[int]] = [set() for _ in rows]
        for a, b in self.arrows:
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

    def row(
        self, kind: RowKind, number: int, groups: Sequence[Group], blocks: dict[int, Block]
    ) -> Row:
        mine = [blocks[id(group)] for group in groups]
        parameters = [
            self.groups.parameter_names[x.id]
            for atom in groups[0].atoms
            for x in atom.node.tensors()
            if x.is_parameter and x.id in self.groups.parameter_names
        ]
        path, name, equation, states = self.naming.path_in(groups[0].nodes), "", None, ()
        reverse, tree = any(group.carries is not None for group in groups), False
        if kind in ("cell", "loop"):
            loop = self.cells.loops[number]
            owner = loop.owner
            call = loop.copies[0].call
            path = loop.path if call is None else self.naming.path(call)
            states = self.naming.states[id(loop)]
            name = "scope" if isinstance(owner, str) else type(owner).__name__
            name = name if owner is not None else path
            said = self.said[number]
            equation = None if said is None else said.row
            tree = loop.is_tree
            reverse = any(self.groups.placement.reversed(copy) for copy in loop.copies)
        found = Row(
            kind=kind,
            number=number,
            path=path,
            name=name,
            equation=equation,
            states=states,
            blocks=tuple(mine),
            parameters=tuple(dict.fromkeys(parameters)),
            layer=self.layers[number] if kind in ("cell", "loop") else 0,
            reverse=reverse,
            tree=tree,
        )
        for block in mine:
            object.__setattr__(block, "row", found)  # each knows the other
        return found

    def chains(self, rows: Iterable[Row], blocks: dict[int, Block]) -> Iterator[Chain]:
        """Yield the chains; an initial state of several has a circle for each."""
        circles: dict[Block, list[str]] = {}
        for chain in self.bare_chains(rows, blocks):
            if not chain.initial:
                yield chain
                continue
            first = chain.initial[0]
            known = circles.setdefault(first, [])
            known.append(f"{first.id}-{chain.id}" if known else first.id)
            if len(known) > 1:
                object.__setattr__(first, "circles", tuple(known))
            yield replace(chain, circle=known[-1])

    def bare_chains(self, rows: Iterable[Row], blocks: dict[int, Block]) -> Iterator[Chain]:
        group_of = {block: group for group, block in self.made(blocks)}
        of_copy = {copy: blocks[id(group)] for copy, group in self.groups.of_copy.items()}
        begun: dict[int, list[Block]] = defaultdict(list)
        for (a, b), reads in self.arrows.items():
            if blocks[a].kind == "initial" and any(map(self.groups.is_state, reads)):
                begun[id(blocks[b])].append(blocks[a])
        for group in self.groups.groups:
            if group.begins is not None:  # through a move, too
                begun[id(of_copy[group.begins])].append(blocks[id(group)])
        for row in rows:
            if row.kind not in ("cell", "loop"):
                continue
            loop = self.cells.loops[row.number]
            for n, copies in enumerate(chains_of(loop)):
                mine = tuple(of_copy[copy] for copy in copies)
                direction = -1 if self.groups.placement.reversed(copies[-1]) else 1
                initial = tuple(dict.fromkeys(one for block in mine for one in begun[id(block)]))
                begins = tuple(self.label_begun(group_of[one], copies[0]) for one in initial)
                yield Chain(f"chain-{row.number}-{n}", row, mine, direction, initial, begins)

    # Blocks

    def name_others(self) -> None:
        counts: dict[str, int] = defaultdict(int)
        for group in self.groups.groups:
            if not group.id:
                group.id = f"{group.kind}-{counts[group.kind]}"
                counts[group.kind] += 1

    def block(self, group: Group) -> Block:
        states: tuple[Piece, ...] = ()
        copy = group.copy
        if copy is not None:
            made = self.cells.loops[copy.row].made[copy.made]
            states = tuple(self.groups.pieces.piece(Atom(copy.nodes[i], WHOLE)) for i in made)
        read = self.read_of(group)
        shown = list(map(self.groups.pieces.piece, read))
        # what leaves it comes first, and of that its states
        outputs = dict.fromkeys([*(one for one in states if one in shown), *shown, *states])
        return Block(
            id=group.id,
            kind=group.kind,
            held=partial(self.pieces_of, group),
            t=copy.t if copy else _number(group.id),
            delay=self.delay(group),
            columns=group.columns,
            words=partial(self.words, group),
            sign=self.sign(group, read),
            call=copy.call if copy else None,
            prime=self.naming.prime(copy or group.begins),
            states=states,
            called=None
            if copy is None
            else self.groups.pieces.piece(Atom(self.called(copy), WHOLE)),
            outputs=tuple(outputs),
            structure=copy.made if copy else None,
            circles=group.circles,
            labels=self.input_labels.get(id(group), ()),
            begun=tuple(self.names_begun(group)),
            trained=self.trained(group),
        )

    def pieces_of(self, group: Group) -> tuple[Piece, ...]:
        return tuple(map(self.groups.pieces.piece, group.atoms))

    def read_of(self, group: Group) -> Sequence[Atom]:
        """What others read of a group, and the root, in the order of creation."""
        shown = self.shown[id(group)]
        if group.copy is None:
            return [atom for atom in group.own if atom in shown]
        return sorted(shown, key=lambda atom: self.cells.place[atom.node])

    def sign(self, group: Group, read: Iterable[Atom]) -> str | None:
        """What it may shrink to; None of what reads a weight: a sign would hide that."""
        if group.kind != "between":
            return None
        for one in (one for atom in group.own for one in self.groups.entering[atom]):
            kind = self.groups.group_of[one.value].kind
            if kind == "parameter" or (kind == "derived" and one.value.node.size > 1):
                return None
        return _sign(group, self.sources.get(id(group), 0), self.results_of(group, read))

    def results_of(self, group: Group, read: Iterable[Atom]) -> int:
        """How many of the values that others read of a block are not only another one, moved."""
        found: set[Atom] = set()
        for atom in read:
            source = self.groups.moved_from(atom)
            found.add(source if self.groups.group_of[source] is group else atom)
        return len(found)

    def delay(self, group: Group) -> int:
        """How much later its timestep is than its number in its row."""
        if group.copy is None and group.kind != "between":
            return 0
        time = self.time_of(group)
        t = group.copy.t if group.copy is not None else _number(group.id)
        return 0 if time is None else time - t

    def words(self, group: Group) -> Words:
        """What is said of a group."""
        return Words(
            label=self.label(group),
            caption=self.caption(group),
            formula=self.formula(group),
            equation=self.equation(group.copy),
        )

    def label(self, group: Group) -> str:
        """What is written in a block."""
        naming, copy = self.naming, group.copy
        match group.kind:
            case "cell" if copy is not None:
                return indexed(self.title(copy), naming.time(copy))
            case "initial" if group.begins is not None:
                return self.label_begun(group, group.begins)
            case "initial" if group.before is not None:
                own = naming.caption(group.atoms[0].node)
                name = naming.of(group.before) or own or naming.made_of(group.before) or "x"
                return indexed(name, naming.time_in(group.columns[0]) - 1)
            case "input":
                return self.input_labels[id(group)][0]
            case "between":
                return self.naming.path_in(group.nodes) or self.formula(group)
            case "bar" | "derived":
                return naming.of(group.atoms[-1].node) or self.formula(group)
            case "target":
                return self.target(group.atoms[0].node)
            case "constant":
                return self.constant_label(group)
            case _:
                return group.label

    def title(self, copy: Copy) -> str:
        """What a copy is called, without its step: as the state is by which its row is called.

        Where it makes none, as another value that leaves it.
        """
        names = self.naming.states[id(self.cells.loops[copy.row])]
        node = self.called(copy)
        state = self.cells.state_of(node)
        if state is not None and state[1] < len(names):
            return names[state[1]] + self.naming.prime(copy)
        atom = Atom(node, WHOLE)
        if atom not in self.shown[id(self.groups.of_copy[copy])]:
            return names[0] + self.naming.prime(copy)
        own = self.output_names.get(atom) or element_of(timeless(self.naming.of(node)))
        return own or self.name_of_nameless(atom, alone=False)

    def called(self, copy: Copy) -> Node:
        """The value that a copy is called by."""
        made, usual = self.cells.loops[copy.row].made[copy.made], self.usual_state[copy.row]
        if usual < len(made):
            return copy.nodes[made[usual]]
        leaving = self.read_of(self.groups.of_copy[copy])
        return leaving[0].node if leaving else copy.nodes[-1]

    @cached_property
    def usual_state(self) -> Sequence[int]:
        """Of each row the first state that leaves most of its copies."""
        found: list[int] = []
        for loop in self.cells.loops:
            count: Counter[int] = Counter()
            for copy in loop.copies:
                states = [Atom(copy.nodes[place], WHOLE) for place in loop.made[copy.made]]
                shown = self.shown[id(self.groups.of_copy[copy])]
                count[next((k for k, one in enumerate(states) if one in shown), -1)] += 1
            count.pop(-1, None)
            found.append(count.most_common(1)[0][0] if count else 0)
        return found

    def label_begun(self, group: Group, copy: Copy) -> str:
        """What is written in the circle of an initial state that a chain begins with."""
        if group.begins is None:
            return self.label(group)
        names = self.states_begun(copy)
        known = {k for atom in group.atoms for k in self.groups.states_begun(copy, atom)}
        return ", ".join([name for k, name in enumerate(names) if k in known] or names)

    def states_begun(self, copy: Copy) -> list[str]:
        """What the states are called that a chain begins with, with their step."""
        time = self.naming.time_before(copy)
        return [indexed(name, time) for name in self.naming.names_begun(copy)]

    def names_begun(self, group: Group) -> Iterator[str]:
        """What each value of an initial state is called, if it is that of one state alone."""
        copy = group.begins
        if copy is None:
            return
        names = self.states_begun(copy)
        for atom in group.atoms:
            begun = [names[k] for k in self.groups.states_begun(copy, atom) if k < len(names)]
            yield begun[0] if len(begun) == 1 else ""

    @property
    def input_labels(self) -> Mapping[int, tuple[str, ...]]:
        """What is written in the circles of each input."""
        return self.inputs[0]

    @property
    def input_stems(self) -> Mapping[int, str]:
        """The same without their steps."""
        return self.inputs[1]

    @cached_property
    def inputs(self) -> tuple[Mapping[int, tuple[str, ...]], Mapping[int, str]]:
        """What is written in the circles of each input, with its step and without.

        It is its name in the program.

        What every step reads has its name alone. An x is that of the step that reads it, also
        where steps read the same array.
        """
        steps: dict[int, list[tuple[int, Hashable]]] = {}
        stems: dict[int, str] = {}
        plain: dict[int, bool] = {}
        groups = [group for group in self.groups.groups if group.kind == "input"]
        named = {id(group): self.name_in_circle(group) for group in groups}
        often = Counter(named.values())
        rows = self.rows_out_of_step(groups, named)
        for group in groups:
            own, stem, first = id(group), named[id(group)], group.columns[0]
            node = group.atoms[0].node
            plain[own] = self.groups.is_of_no_step(group)
            if stem and often[stem] == 1 and group.atoms[0].label == WHOLE:
                plain[own] |= node.origin is None or len(group.columns) == 1
            columns = (first,) if stem else group.columns
            stems[own] = stem or self.nameless_input(group, named)
            is_spelled = stems[own] == node.spelled and is_one_factor(node.spelled)
            plain[own] |= not (stems[own].isidentifier() or is_spelled)
            row = rows.get(own) if stem else None
            steps[own] = []
            for column in columns:
                time, run = self.step_of_input(group, column)
                steps[own].append((time if row is None else row, run))
        primed = _primed(stems, steps)
        found: dict[int, tuple[str, ...]] = {}
        for group in groups:
            own = id(group)
            labels = [
                name if plain[own] else indexed(name, time)
                for name, (time, _) in zip(primed[own], steps[own], strict=True)
            ]
            found[own] = tuple(labels) * (len(group.columns) // len(labels))
            if named[own] and own in rows:  # the loss may read others of the array
                stems[own] = primed[own][0]
        return found, stems

    def rows_out_of_step(
        self, groups: Iterable[Group], named: Mapping[int, str]
    ) -> Mapping[int, int]:
        """Which row of its array an input is, where the program says, `words[t]`.

        Else where the rows are not read one at each step in turn.
        """
        rows: dict[int, int] = {}
        found: dict[object, dict[int, tuple[int, set[int]]]] = defaultdict(dict)
        for group in groups:
            first = group.atoms[0]
            row = self.row_of(first)
            if row is None or not named[id(group)]:
                continue
            array, number = row
            if first.node.index is not None or self.is_named_by_loss(group):
                rows[id(group)] = number
            else:
                times = {self.step_of_input(group, column)[0] for column in group.columns}
                found[named[id(group)], array][id(group)] = number, times
        for read in found.values():
            if len({time - number for number, times in read.values() for time in times}) > 1:
                rows |= {group: number for group, (number, _) in read.items()}
        return rows

    def name_in_circle(self, group: Group) -> str:
        """What the program calls an input; "" where it says nothing, or another thing is so called.

        What the loss read first has its name from there: as an input it is called otherwise. A name
        that was given to this tensor alone stands below the circle.
        """
        stem = self.names_of_input(group)
        if not self.groups.is_of_no_step(group):
            stem = "" if any(map(self.has_title, group.atoms)) else element_of(stem)
        if self.is_named_by_loss(group) and not self.is_so_called_there(group, stem):
            return ""
        is_name = stem.isidentifier() or stem == group.atoms[0].node.spelled
        return stem if is_name and stem not in self.state_names else ""

    @cached_property
    def state_names(self) -> set[str]:
        """Letters that already are something else: those of states, and the L of the loss."""
        names = (*self.naming.states.values(), *self.naming.arriving.values())
        return {name for each in names for name in each} | {"L"}

    def has_title(self, atom: Atom) -> bool:
        """Whether a leaf, or the slice of it that is read, was given a name of its own."""
        if atom.label == WHOLE:
            return self.naming.is_titled(atom.node)
        moved = (read.reader.node for read in self.groups.readers[atom])
        return any(node.is_move and self.naming.is_titled(node) for node in moved)

    def nameless_input(self, group: Group, named: Mapping[int, str]) -> str:
        """What an input is called that the program does not name: x; of one number this.

        What was joined with a state before the first op is called as what the next steps read.
        """
        node, is_first = group.atoms[0].node, group.id == f"input-{group.columns[0]}"
        if is_first and node in self.cells.joined:
            groups = (one for one in self.groups.groups if one.kind == "input")
            others = {named[id(one)] for one in groups if one.id == f"input-{one.columns[0]}"}
            if len(others - {""}) == 1:
                return max(others)
        is_x = any(self.input_caption(atom) == "x" for atom in group.atoms)
        name = "x" if is_x else self.naming.nameless_input
        if (not is_first or name != "x") and not node.is_gone and node.size > 1:
            value = node.data.flat[0]
            if (node.data == value).all():
                return f"{value:.4g}"
            if node.data.dtype == bool:
                return "mask"
        return name

    def target(self, node: Node) -> str:
        """What a target is called: of the rows of an array as those are that are inputs."""
        name, row = self.naming.target(node), self.row_of(Atom(node, WHOLE))
        return name if row is None else name + self.primes_of_rows.get((name, row[0]), "")

    def row_of(self, atom: Atom) -> tuple[Hashable, int] | None:
        """Which array of the program an input or a target is a row of, and which row.

        Of a number, which lies in no array, how many the loss read there before.
        """
        found = row_of(atom.node, self.groups.pieces.slices.get(atom))
        return found or self.turns_of_loss.get(atom.node)

    @cached_property
    def turns_of_loss(self) -> Mapping[Node, tuple[Hashable, int]]:
        """What the loss reads first: the place where it does so, and in which turn of a loop."""
        found: dict[Node, tuple[Hashable, int]] = {}
        count: Counter[Hashable] = Counter()
        leaves = [group for group in self.groups.groups if group.kind in ("input", "target")]
        for group in sorted(leaves, key=lambda group: group.atoms[0].node.id):
            node = group.atoms[0].node
            first = self.first_reader(group)
            if first is None or first.node.source is None or type(node.index) is int:
                continue
            if self.is_read_first_by_loss(group):
                place = self.naming.caption(node), first.node.op, places_of(first.node, 1)
                found[node] = place, count[place]
                count[place] += 1
        return found

    @cached_property
    def primes_of_rows(self) -> Mapping[tuple[str, Hashable], str]:
        """What tells the rows of an array, which are inputs, from those of others so called."""
        found: dict[tuple[str, Hashable], str] = {}
        for group in self.groups.groups:
            first = group.atoms[0]
            row = self.row_of(first) if group.kind == "input" else None
            name = self.input_stems.get(id(group), "")
            if row is not None:
                found[primeless(name), row[0]] = name.removeprefix(primeless(name))
        return found

    def step_of_input(self, group: Group, column: int) -> tuple[int, Hashable]:
        """The timestep that an input has in a column, and which sequence it is a step of.

        In a tree, and where several chains of a row stand, it is that of the copy that reads it,
        else that of the lowest copy.
        """
        readers = {read.reader.node for atom in group.atoms for read in self.groups.readers[atom]}
        copies = {self.cells.of(node) for node in readers}
        copy = next(iter(copies), None)
        if copy is None or len(copies) > 1 or not self.naming.is_beside_others(copy):
            copy = self.naming.lowest_in(column)
        return (column, None) if copy is None else (self.naming.time(copy), self.naming.run(copy))

    def constant_label(self, group: Group) -> str:
        """What a constant is called; "" for one number."""
        node = self.constant_in(group)
        if group.atoms[0].label != WHOLE:  # of a sequence only what fills it up
            return ""
        readers = [read.reader.node for atom in group.atoms for read in self.groups.readers[atom]]
        name = attribute_name(node, readers[:1]) or self.naming.caption(node)
        if name or not node.size or (node.data == node.data.flat[0]).all():
            return name
        shape = node.shape
        if len(shape) == 2 and shape[0] == shape[1] and (node.data == np.eye(shape[0])).all():
            return "I"
        return "constant"

    def constant_in(self, group: Group) -> Node:
        """The array that a constant is, and not one that it is only a part of."""
        nodes = [atom.node for atom in group.atoms]
        return next((node for node in reversed(nodes) if node not in self.cells.joined), nodes[-1])

    def caption(self, group: Group) -> str:
        """What the program calls it."""
        if group.kind in ("input", "initial", "target"):
            name = self.names_of_input(group)
            said = ""
            if group.kind == "input":
                said = self.input_labels[id(group)][0]
                others = self.is_named_by_loss(group) and not self.is_so_called_there(group, name)
                name = "" if others else name
            elif group.before is not None:
                said = self.label(group)
            elif group.kind == "initial" and not name.replace(", ", "").isidentifier():
                return ""  # an expression of what NumPy made of the state: it is not the state's
            return "" if said.startswith(timeless(name)) else name
        if group.kind in ("between", "bar", "derived", "loss"):
            return self.naming.of(group.atoms[-1].node)
        return ""

    def names_of_input(self, group: Group) -> str:
        """What the program calls an input, a target or what a state begins with."""
        found = dict.fromkeys(self.input_caption(atom) for atom in group.atoms)
        return ", ".join(name for name in found if name not in self.said_by_label(group))

    def is_named_by_loss(self, group: Group) -> bool:
        """Whether an input has its name from the loss, which read it first: as a target.

        `for x, following in zip(xs, xs[1:])` calls an array `following` a step before it is x.
        """
        if any(map(self.has_title, group.atoms)) or type(group.atoms[0].node.index) is int:
            return False
        if not self.is_read_first_by_loss(group):
            return False
        return self.name_and_array(group) not in self.named_elsewhere

    def is_read_first_by_loss(self, group: Group) -> bool:
        first = self.first_reader(group)
        return first is not None and self.groups.group_of[first].kind == "loss"

    def first_reader(self, group: Group) -> Atom | None:
        """What reads an input or a target first."""
        reads = (read.reader for atom in group.atoms for read in self.groups.readers[atom])
        return min(reads, key=lambda reader: reader.node.id, default=None)

    def is_so_called_there(self, group: Group, name: str) -> bool:
        """Whether a line that reads an input, and is none of the loss, says its name."""
        readers = (read.reader for atom in group.atoms for read in self.groups.readers[atom])
        own = (one.node.source for one in readers if self.groups.group_of[one].kind != "loss")
        said = (source.text for source in own if source is not None)
        return any(re.search(rf"\b{re.escape(name)}\b", text) for text in said)

    @cached_property
    def named_elsewhere(self) -> set[Hashable]:
        """The arrays of which the loss does not read each row first, with their names."""
        inputs = (group for group in self.groups.groups if group.kind == "input")
        others = (group for group in inputs if not self.is_read_first_by_loss(group))
        return {self.name_and_array(group) for group in others}

    def name_and_array(self, group: Group) -> Hashable:
        """What an input is called, and the array that it is a part of."""
        origin = group.atoms[0].node.origin
        return self.names_of_input(group), None if origin is None else id(origin.owner)

    def said_by_label(self, group: Group) -> Container[str]:
        """The names that are in its label."""
        if group.begins is None:
            return ("", "x")
        arriving = self.naming.arriving[id(self.cells.loops[group.begins.row])]
        return ("", *arriving, *self.naming.names_begun(group.begins))

    def input_caption(self, atom: Atom) -> str:
        """The name of a leaf, or of the one slice of it that is read."""
        if atom.node in self.cells.joined:  # it names what was joined
            return ""
        found = self.naming.of(atom.node)
        if atom.label != WHOLE:
            readers = (read.reader.node for read in self.groups.readers[atom])
            names = (self.naming.caption(node) for node in readers if node.is_move)
            found = next((name for name in names if name), found)
        is_formula = found == atom.node.spelled and not found.isidentifier()
        if is_formula and self.is_part_of_array(atom):
            return atom.node.given_name or ""  # the formula is that of all steps
        return found

    def is_part_of_array(self, atom: Atom) -> bool:
        """Whether other leaves, or other slices of it, are parts of the same array."""
        origin = atom.node.origin
        return atom.label != WHOLE or (origin is not None and self.parts[id(origin.owner)] > 1)

    @cached_property
    def parts(self) -> Counter[int]:
        """How many leaves are parts of an array, by the array."""
        leaves = (node for node in self.nodes if node.op is None and node.origin is not None)
        return Counter(id(node.origin.owner) for node in leaves if node.origin is not None)

    def formula(self, group: Group) -> str:
        """What is computed in it."""
        if group.kind not in ("between", "bar", "derived", "loss"):
            return ""
        if id(group) not in self.formulas:
            self.formulas[id(group)] = "; ".join(self.formulas_of(group))
        return self.formulas[id(group)]

    def formulas_of(self, group: Group) -> Iterator[str]:
        """One for each value that leaves it: of several, what has a name goes by that below."""
        atoms, made = self.atoms_in_formula(group), self.made_in(group)
        operands = ReadNames(self.labels, group)
        for node in made:
            text = formula_of(node, self.region(group, atoms), operands)
            name = operands.name(Operand(node)) if len(made) > 1 else ""
            if name.isidentifier():
                atoms = [atom for atom in atoms if atom.node is not node]
                text = f"{name} = {text}"
            yield text

    def equation(self, copy: Copy | None) -> str:
        """What a cell of ours says of one copy."""
        said = None if copy is None else self.said[copy.row]
        return "" if copy is None or said is None else said.copy(copy)

    @cached_property
    def said(self) -> Sequence[Said | None]:
        """What the cells of ours say of each row."""
        group_of = self.groups.of_copy
        region, layers = self.region_entering, self.layers
        equations = Equations(self.labels, group_of, region, self.label, layers)
        return list(map(equations.of, self.cells.loops))

    def region(self, group: Group, atoms: Sequence[Atom]) -> Region:
        """What a formula has in full: some atoms that lead to a group."""
        # of a stack only the part that is read, or made, here
        entering = [read for atom in atoms for read in self.groups.entering[atom]]
        read: dict[tuple[Node, int], Atom] = {}
        for one in entering:
            place = one.reader.node, one.slot
            if place not in read or one.value.label == one.reader.label:
                read[place] = one.value
        inside = {atom.node for atom in atoms} | self.nameless_derived
        is_of_all = group.kind == "loss"
        return Region(inside, read, is_of_all, self.steps_taken(group, entering))

    def region_entering(self, group: Group) -> Region:
        """What the equation of a copy has in full of what enters it: what has no name of its own.

        That is a sign on an arrow, also where the program calls it as it calls an input.
        """
        first, atoms = group, list[Atom]()
        while self.is_nameless_sign(group) or self.is_called_as_an_input(group):
            atoms += self.atoms_in_formula(group)
            source = self.groups.group_of[self.groups.moved_from(group.atoms[-1])]
            if source is group:
                break
            group = source
        return self.region(first, atoms)

    def is_called_as_an_input(self, group: Group) -> bool:
        """Whether what no module makes between the copies is called as an input is."""
        name = element_of(timeless(self.naming.of(group.atoms[-1].node)))
        return (
            group.kind == "between"
            and not self.naming.path_in(group.nodes)
            and name in self.input_names
        )

    @cached_property
    def input_names(self) -> set[str]:
        """What inputs are called, without their steps."""
        return set(self.input_stems.values())

    def made_in(self, group: Group) -> Sequence[Node]:
        """What the formula of a group is of: each value that leaves it, but what is only moved.

        Of several parts of one value it is all of that.
        """
        inside = {atom.node for atom in group.atoms}
        shown = [atom.node for atom in self.read_of(group)]
        made = dict.fromkeys(shown if group.kind == "between" else (), None)
        made = made or {group.atoms[-1].node: None}
        while len(shown) > 1 and all(x.op == "getitem" and x.inputs[0] in inside for x in made):
            made = dict.fromkeys(x for node in made for x in node.tensors())
        return [node for node in made if not _is_moved_from(node, made)]

    def atoms_in_formula(self, group: Group) -> Sequence[Atom]:
        """What is computed in a group, and on the arrows into it by signs that have no name."""
        waiting = [group] if group.kind in ("between", "bar") else []
        seen = {id(group)}
        for reader in waiting:  # grows
            entering = (read for atom in reader.atoms for read in self.groups.entering[atom])
            for source in [self.groups.group_of[read.value] for read in entering]:
                if id(source) not in seen and self.is_nameless_sign(source):
                    waiting.append(source)
                seen.add(id(source))
        others = Counter(atom.node for one in waiting[1:] for atom in one.atoms)
        if max(others.values(), default=0) > 1:  # several steps of one value have different names
            return group.atoms
        return [atom for one in waiting or [group] for atom in one.atoms]

    def is_nameless_sign(self, group: Group) -> bool:
        """Whether it is a few ops or moves without a name, and no call that reads parameters."""
        node = group.atoms[-1].node
        if group.kind != "between" or self.naming.of(node) or node in self.labels.outputs:
            return False
        nodes = {atom.node for atom in group.atoms}
        if self.naming.path_in(group.nodes) and any(one.reads_a_parameter for one in nodes):
            return False
        acting = sum(not one.is_move or len(one.inputs) > 1 for one in nodes)
        return acting <= _INLINE_MOST

    def steps_taken(
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
            found[node] = [axis for axis, n in enumerate(first.labels.shape) if n > 1]
        return found

    @cached_property
    def labels(self) -> Labels:
        """How the picture calls its values, for the formulas in it."""
        stems: dict[Node, set[str]] = defaultdict(set)
        for atom, name in self.output_names.items():
            stems[atom.node].add(name)
        return Labels(
            groups=self.groups,
            naming=self.naming,
            inputs=self.input_stems,
            circles=self.input_labels,
            target=self.target,
            outputs={node: names.pop() for node, names in stems.items() if len(names) == 1},
            constant=self.constant_in_formula,
            time=self.time_of,
            rows=Counter(group.id.rpartition("-")[0] for group in self.groups.groups),
            moved_from=self.groups.moved_from,
        )

    def constant_in_formula(self, group: Group) -> str:
        node = self.constant_in(group)
        label = self.constant_label(group)
        if label or node.is_gone or not node.size:
            return label
        first = group.atoms[0]
        return f"{self.groups.pieces.piece(first).of(first.node.data).flat[0]:.4g}"

    def time_of(self, group: Group) -> int | None:
        """The timestep of a group, where it has one."""
        if group.copy is not None:
            return self.naming.time(group.copy)
        if group.begins is not None:
            return self.naming.time_before(group.begins)
        if group.kind == "initial":
            return self.naming.time_in(group.columns[0]) - 1
        if group.kind in ("between", "input") and len(group.columns) == 1:
            return self.output_time(group, group.columns[0])
        return None

    def time_of_node(self, node: Node) -> int | None:
        """The timestep of what a copy made."""
        copy = self.cells.of(node)
        return None if copy is None else self.naming.time(copy)

    @cached_property
    def nameless_derived(self) -> set[Node]:
        """What is derived and has no name of its own: a formula has it in full."""
        return {node for node in self.groups.derived if not self.naming.of(node)}

    def trained(self, group: Group) -> str:
        """The name of what is trained, in the legend; "" of all else.

        What the network itself adds updates to is a state, but where it is a module's.
        """
        names = self.groups.parameter_names
        if group.kind not in ("parameter", "initial"):
            return ""
        if all(self.is_updated(atom) and not self.is_of_a_module(atom) for atom in group.atoms):
            return ""
        found = (names.get(atom.node.id, "") for atom in group.atoms if atom.node.is_parameter)
        return ", ".join(dict.fromkeys(found))

    def is_updated(self, atom: Atom) -> bool:
        """Whether it only begins what something is added to step by step, as weights."""
        after = self.groups.updated.get(atom.node)
        return after is not None and after.op in ("add", "sub") and atom.node in after.inputs

    def is_of_a_module(self, atom: Atom) -> bool:
        """Whether a call that it is read in is one of a module that has it."""
        readers = (read.reader.node for read in self.groups.readers[atom])
        return any(has_parameter(reader, atom.node) for reader in readers)

    # Outputs

    def outputs(self, blocks: Mapping[int, Block]) -> Iterator[Output]:
        """What crosses into the loss; where there is none, what the root is."""
        count: dict[int | None, int] = defaultdict(int)
        for atom, used in self.leaving:
            group, column = self.groups.group_of[atom], self.column_of_output(atom)
            k = count[column]
            count[column] += 1
            own = "output" if column is None else f"output-{column}"
            name = self.output_names[atom]
            caption = self.naming.part_caption(atom.node, self.groups.pieces.piece(atom).where)
            if timeless(caption) == timeless(name):
                caption = ""
            yield Output(
                id=f"{own}-{k}" if k else own,
                value=self.groups.pieces.piece(atom),
                source=blocks[id(group)],
                column=column,
                label=name if column is None else indexed(name, self.output_time(group, column)),
                caption=caption,
                used=used,
            )

    def column_of_output(self, atom: Atom) -> int | None:
        column = self.groups.pieces.column(atom) if atom.label != WHOLE else None
        columns = self.groups.group_of[atom].columns
        return columns[-1] if column is None and columns else column

    @cached_property
    def output_names(self) -> Mapping[Atom, str]:
        """What each output is called, without its step: two of one column have two names.

        What is the same in several columns has the same name in all of them.
        """
        own = {atom: self.own_name(atom) for atom, _ in self.leaving}
        nameless = [atom for atom, name in own.items() if not name]
        alone = (
            len({self.naming.path_in(self.groups.group_of[atom].nodes) for atom in nameless}) == 1
        )
        own |= {atom: self.name_of_nameless(atom, alone=alone) for atom in nameless}
        alike: dict[str, dict[Hashable, list[Atom]]] = defaultdict(lambda: defaultdict(list))
        count: Counter[Hashable] = Counter()  # a block may make several in one column
        for atom, name in own.items():
            row = self.groups.group_of[atom].id.rpartition("-")[0]
            place = id(self.groups.group_of[atom]), self.column_of_output(atom)
            alike[name][row, count[place]].append(atom)
            count[place] += 1
        primed: dict[Atom, str] = {}
        for name, several in alike.items():
            taken: list[set[int | None]] = []  # the columns that have the name, the name′ …
            for atoms in several.values():
                k = first_free(taken, set(map(self.column_of_output, atoms)))
                primed |= dict.fromkeys(atoms, name + "′" * k)
        return {atom: primed[atom] for atom in own}

    @cached_property
    def leaving(self) -> list[tuple[Atom, bool]]:
        """What is shown as an output, and whether the root was made of it."""
        found: dict[Atom, bool] = {}
        for read in self.groups.reads:
            group = self.groups.group_of[read.value]
            if self.groups.group_of[read.reader].kind != "loss" or group.kind == "loss":
                continue
            if read.reader in self.groups.dropped:
                continue
            if group.copy is not None or group.kind in ("between", "bar"):
                found[read.value] = True
        if not self.groups.loss:
            found |= dict.fromkeys(self.results(), True)
        for group in self.groups.groups:
            if group.copy is not None or (group.kind == "between" and not group.only_moves):
                found |= {atom: False for atom in self.ends(group) if self.leads_nowhere(atom)}
        return list(found.items())

    def ends(self, group: Group) -> Iterable[Atom]:
        """What a block makes and, if it is a copy, does not use itself."""
        copy = group.copy
        return group.atoms if copy is None else [group.atoms[i] for i in copy.made.ends]

    def leads_nowhere(self, atom: Atom) -> bool:
        """Whether nobody else reads what a block makes, but for what is then left out."""
        groups = self.groups
        readers = [read.reader for read in groups.readers[atom]]
        if atom.node is self.graph.root or (not readers and self.cells.of(atom.node) is not None):
            return False
        own = groups.group_of[atom]
        return all(one in groups.dropped and groups.group_of[one] is not own for one in readers)

    def results(self) -> list[Atom]:
        """What the root is: of several results that were put together, each."""
        roots = results_of(self.graph.root)
        atoms = [atom for root in roots for atom in self.groups.pieces.atoms[root]]
        if len(roots) < 2:
            return atoms
        return list(dict.fromkeys(one for atom in atoms for one in self.groups.seen_through(atom)))

    def own_name(self, atom: Atom) -> str:
        """The name of the state that an output is, else the program's; "" of what has none."""
        state = self.naming.state_name(atom.node)
        if state:
            return state
        where = self.groups.pieces.piece(atom).where
        caption = self.naming.part_caption(atom.node, where)
        name = "" if self.naming.is_titled(atom.node, where) else element_of(timeless(caption))
        if name and name in self.names_in_row(atom):  # of a copy that hands on none of its states
            return name
        return name if name.isidentifier() and name not in self.other_names else ""

    def names_in_row(self, atom: Atom) -> Sequence[str]:
        """What the states of the copies are called of which one makes a value."""
        copy = self.cells.of(atom.node)
        return () if copy is None else self.naming.states[id(self.cells.loops[copy.row])]

    def name_of_nameless(self, atom: Atom, *, alone: bool) -> str:
        """What an output is called that the program does not name.

        It is y where nothing else is; of several outputs each is called as the module that makes
        it.
        """
        taken = self.other_names | self.names_of_others
        made_by = self.naming.module(self.groups.moved_from(atom).node)
        made_by = made_by or self.naming.path_in(self.groups.group_of[atom].nodes)
        if not alone and made_by.isidentifier() and made_by not in taken:
            return made_by
        return next((name for name in ("y", "out", "output") if name not in taken), "result")

    @cached_property
    def names_of_others(self) -> Set[str]:
        """What the program calls values that are no outputs, and the one of several such."""
        atoms = [atom for atom, _ in self.leaving]
        moved = (one for atom in atoms for one in self.groups.seen_through(atom))
        return self.naming.names_but(atom.node for atom in (*atoms, *moved))

    @cached_property
    def other_names(self) -> set[str]:
        """What outputs must not be called: the names of states, inputs and targets."""
        found = {name for names in self.naming.states.values() for name in names} | {"L"}
        for group in self.groups.groups:
            if group.kind in ("input", "target"):
                found.add(element_of(self.names_of_input(group)))
        return found

    def output_time(self, group: Group, column: int) -> int:
        """The timestep of the highest copy of its column that it is made of.

        A slow row counts its own steps: they are the output's only where it reads nothing quicker.
        """
        placement = self.groups.placement
        waiting, seen, made_of = [group], {id(group)}, list[Copy]()
        while waiting:
            group = waiting.pop()
            copy = group.copy
            if copy is not None:
                if placement.columns[copy] == column and not placement.reversed(copy):
                    made_of.append(copy)
                continue
            reads = (read for atom in group.atoms for read in self.groups.entering[atom])
            for below in (self.groups.group_of[read.value] for read in reads):
                if id(below) not in seen and below.kind in ("cell", "between", "bar"):
                    seen.add(id(below))
                    waiting.append(below)
        if not made_of:
            return self.naming.time_in(column)
        quick = [copy for copy in made_of if copy.row not in placement.slow]
        return self.naming.time(max(quick or made_of, key=lambda copy: copy.row))

    def brackets(self) -> Iterator[Bracket]:
        """The columns of each step of an outer loop; of several rows that have such the lowest."""
        steps: dict[int, dict[object, list[int]]] = defaultdict(lambda: defaultdict(list))
        for copy, step in self.cells.step_of.items():
            steps[copy.row][step].append(self.groups.placement.columns[copy])
        known: set[int] = set()
        for of_row in steps.values():
            spans = [range(min(columns), max(columns) + 1) for columns in of_row.values()]
            if all(known.isdisjoint(span) for span in spans):
                known.update(*spans)
                for number, span in enumerate(spans):
                    yield Bracket(span[0], span[-1], f"step {number}")


def _primed(
    stems: Mapping[int, str], steps: Mapping[int, Sequence[tuple[int, Hashable]]]
) -> Mapping[int, Sequence[str]]:
    """The names of some things, each at one or several steps: x, and x′ where there is an x.

    All steps of one sequence have the same name.

    Args:
        stems: their names in the program.
        steps: the timesteps of each, and which sequence it is a part of there.
    """
    count: Counter[Hashable] = Counter()  # a sequence may have several in one step
    sequences: dict[str, dict[Hashable, set[int | None]]] = defaultdict(lambda: defaultdict(set))
    keys: dict[int, list[Hashable]] = defaultdict(list)
    for own, stem in stems.items():
        for time, run in steps[own]:
            key = run, count[stem, run, time]
            count[stem, run, time] += 1
            keys[own].append(key)
            sequences[stem][key].add(time)
    level: dict[tuple[str, Hashable], int] = {}
    for stem, times_of in sequences.items():
        taken: list[set[int | None]] = []  # the steps that have the name, the name′ …
        for key, times in times_of.items():
            level[stem, key] = first_free(taken, times)
    return {own: [stems[own] + primes(level[stems[own], key]) for key in keys[own]] for own in keys}


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


def _is_moved_from(node: Node, others: Container[Node]) -> bool:
    """Whether a value is another one, or a part of it, moved."""
    while (source := node.moved_from) is not None:
        if source in others:
            return True
        node = source
    return False


def _first_id(group: Group) -> int:
    """The id of the first value in a group."""
    if group.copy is not None:
        return group.copy.nodes[0].id
    return min(atom.node.id for atom in group.own)


def _only_moves(groups: Iterable[Group]) -> bool:
    return all(group.only_moves for group in groups)


def _number(id: str) -> int:
    last = id.rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def _layers(cells: Cells, placement: Placement) -> list[int]:
    """The layer of each row: one that runs backwards is of the same as the row before it."""
    found: list[int] = []
    for loop in cells.loops:
        reverse = any(placement.reversed(copy) for copy in loop.copies)
        last = found[-1] if found else -1
        found.append(last if reverse and found else last + 1)
    return found


def _flow(raw: RawRead) -> ReadFlow:
    """What comes back there."""
    node, x = raw.reader.node, raw.value.node
    if node.op == "detach" and x.requires_grad:
        return "cut"
    if not x.requires_grad:
        return "cut" if _is_cut(x) else "none"
    rule = node.rule
    return "gradient" if rule is not None and rule.differentiable(raw.slot) else "none"


def _is_cut(x: Node) -> bool:
    """Whether it is what a `detach` let pass, moved or not."""
    while (before := x.moved_from) is not None:
        if x.op == "detach" and before.requires_grad:
            return True
        x = before
    return False


_SIGNS = {"add": "⊕", "sub": "⊖", "mul": "⊙", "div": "⊘", "where": "◇", "sigmoid": "σ"}


def _sign(group: Group, sources: int, results: int) -> str | None:
    """What a block of one op with one result may shrink to; "" for pure moves, None for a box.

    Args:
        group: the block, which is no copy.
        sources: how many values of others it reads.
        results: how many values others read of it, where the same one moved is no other.
    """
    computing = [atom.node for atom in group.atoms if not atom.node.is_move]
    if not computing and sources < 2:
        return ""
    if not computing:
        return "∥" if results < 2 else None
    if len(computing) > 1 or results > 1:
        return None
    op = computing[0].op or ""
    return _SIGNS.get(op, op if len(op) <= 4 else None)
