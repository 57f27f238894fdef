"""From a recorded graph to its quotient: blocks in rows, arrows between them, chains, outputs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..recording.graph import Graph, Node, collector_paused
from .arrows import Arrows
from .copies.cells import Cells, cells_in
from .copies.copies import chains_of
from .grouping.grouped import grouped
from .grouping.groups import Group
from .quotient import Arrow, Block, Bracket, Chain, Piece, Quotient, Read, Row, RowKind
from .reads import Reads
from .rows import Rows, layers_of
from .signs import Signs
from .timesteps.pieces import WHOLE, Atom, RawRead
from .words.constants import Constants
from .words.inputs import Inputs
from .words.legend import Legend
from .words.naming import Naming
from .words.outputs import Outputs
from .words.spelling import Spelling
from .words.times import Times
from .words.wording import Wording


@collector_paused()
def network_of(graph: Graph) -> Quotient | None:
    """The quotient of a graph; None when nothing in it is recurrent."""
    nodes = graph.behind_root()
    cells = cells_in(nodes)
    if not cells.loops:
        return None
    return _Assembly(graph, nodes, cells).quotient()


class _Assembly:
    """Makes blocks and arrows of groups of atoms, and lets others say what is written there."""

    def __init__(self, graph: Graph, nodes: Sequence[Node], cells: Cells) -> None:
        self.graph, self.nodes, self.cells = graph, nodes, cells
        groups = self.groups = grouped(graph.root, nodes, cells, graph.owners)
        layers = self.layers = layers_of(cells, groups.placement)
        naming = self.naming = Naming(
            graph, cells, groups.placement, groups.parameter_names, groups.containers
        )
        arrows = self.arrows = Arrows(groups, graph.root)
        self.reads = Reads(groups)
        self.signs = Signs(groups, arrows)
        self.legend = Legend(groups, naming)
        times = self.times = Times(groups, naming)
        inputs = self.inputs = Inputs(groups, naming, nodes)
        outputs = self.outputs = Outputs(groups, naming, inputs, times, graph.root)
        constants = Constants(groups, naming)
        spelling = Spelling(groups, naming, arrows, inputs, outputs, times, constants)
        self.wording = Wording(spelling, layers)

    def quotient(self) -> Quotient:
        rows = Rows(self.groups, self.arrows, self.naming).all()
        self.name_others()
        blocks = {id(group): self.block(group) for group in self.groups.groups}
        made = [self.row(*row, blocks) for row in rows]
        arrows = tuple(
            self.arrow(blocks[a], blocks[b], reads) for (a, b), reads in self.arrows.between.items()
        )
        in_rows = [block for row in made for block in row.blocks]
        others = [block for block in blocks.values() if block.row is None]
        legend = (block for block in others if block.trained or block.kind == "derived")
        left_out = self.legend.left_out()
        legend = [block for block in legend if block.id not in left_out]
        return Quotient(
            blocks=(*in_rows, *others),
            arrows=arrows,
            rows=tuple(made),
            chains=tuple(self.chains(made, blocks)),
            columns=self.groups.count,
            outputs=tuple(self.outputs.of(blocks)),
            root=self.graph.root,
            inside=self.inside({block: group for group, block in self.made(blocks)}),
            dropped=self.reads.all(self.arrows.dropped),
            parameters=tuple(legend),
            constants=tuple(block for block in others if block.kind == "constant" and block.label),
            loss=next((block for block in others if block.kind == "loss"), None),
            gradients=self.graph.gradients,
            brackets=tuple(
                Bracket(span[0], span[-1], f"step {number}")
                for spans in self.times.outer_steps
                for number, span in enumerate(spans)
            ),
            name_of=self.naming.of,
            nodes=tuple(self.nodes),
            time_of=self.times.of_node,
        )

    def arrow(self, source: Block, target: Block, reads: Sequence[RawRead]) -> Arrow:
        caption = ""
        if source.kind == "initial":
            caption = self.inputs.names_beside(self.groups.group_of[reads[0].value], reads)
        return Arrow(
            source, target, self.arrows.kind(reads), partial(self.reads.all, reads), caption
        )

    def made(self, blocks: Mapping[int, Block]) -> Iterator[tuple[Group, Block]]:
        return ((group, blocks[id(group)]) for group in self.groups.groups)

    def inside(self, groups: Mapping[Block, Group]) -> Callable[[Block], tuple[Read, ...]]:
        """Find the reads in a block when somebody asks: they are most of all there are."""

        def inside(block: Block) -> tuple[Read, ...]:
            return self.reads.all(self.groups.reads_in(groups[block]))

        return inside

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
            said = self.wording.said[number]
            equation = None if said is None else said.row
            tree = loop.is_tree
            reverse = number in self.groups.placement.backwards
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
            block.row = found  # each knows the other
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
                first.circles = tuple(known)
            yield replace(chain, circle=known[-1])

    def bare_chains(self, rows: Iterable[Row], blocks: dict[int, Block]) -> Iterator[Chain]:
        group_of = {block: group for group, block in self.made(blocks)}
        of_copy = {copy: blocks[id(group)] for copy, group in self.groups.of_copy.items()}
        begun: dict[int, list[Block]] = defaultdict(list)
        for (a, b), reads in self.arrows.between.items():
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
                begins = tuple(
                    self.wording.label_begun(group_of[one], copies[0]) for one in initial
                )
                yield Chain(f"chain-{row.number}-{n}", row, mine, direction, initial, begins)

    def name_others(self) -> None:
        counts: dict[str, int] = defaultdict(int)
        for group in self.groups.groups:
            if not group.id:
                group.id = f"{group.kind}-{counts[group.kind]}"
                counts[group.kind] += 1

    def block(self, group: Group) -> Block:
        piece, copy = self.groups.pieces.piece, group.copy
        states: tuple[Piece, ...] = ()
        called = None
        if copy is not None:
            made = self.cells.loops[copy.row].made[copy.made]
            states = tuple(piece(Atom(copy.nodes[i], WHOLE)) for i in made)
            called = piece(Atom(self.wording.called(copy), WHOLE))
        read = self.arrows.read_of(group)
        shown = list(map(piece, read))
        # what leaves it comes first, and of that its states
        outputs = dict.fromkeys([*(one for one in states if one in shown), *shown, *states])
        return Block(
            id=group.id,
            kind=group.kind,
            held=partial(self.pieces_of, group),
            t=copy.t if copy else _number(group.id),
            delay=self.delay(group),
            columns=group.columns,
            words=partial(self.wording.words, group),
            sign=self.signs.of(group, read),
            call=copy.call if copy else None,
            prime=self.naming.prime(copy or group.begins),
            states=states,
            called=called,
            outputs=tuple(outputs),
            structure=copy.made if copy else None,
            circles=group.circles,
            labels=self.inputs.labels.get(id(group), ()),
            begun=tuple(self.wording.names_begun(group)),
            trained=self.legend.trained(group),
        )

    def pieces_of(self, group: Group) -> tuple[Piece, ...]:
        return tuple(map(self.groups.pieces.piece, group.atoms))

    def delay(self, group: Group) -> int:
        """How much later its timestep is than its number in its row."""
        if group.copy is None and group.kind != "between":
            return 0
        time = self.times.of(group)
        t = group.copy.t if group.copy is not None else _number(group.id)
        return 0 if time is None else time - t


def _number(id: str) -> int:
    last = id.rpartition("-")[2]
    return int(last) if last.isdigit() else 0
