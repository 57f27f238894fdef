"""From a recorded graph to the unrolled network: the copies, and who hands what to whom."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ...nn.cells import Cell as RecurrentCell
from ..recording.graph import Graph, Node, collector_paused
from .columns import Columns, columns_of, runs_back
from .copies import Copies, Copy, Loop
from .entering import Entering, Entrances, Links
from .leaving import Outputs, feedback, outputs_of, used_by_root
from .namer import Captions, parameter_names
from .network import Cell, Link, Network, ParameterInfo, Port, Row, Section, indexed
from .routing import Origins

_LOOP_LEAST = 3


@collector_paused()
def unroll(graph: Graph) -> Network | None:
    """The network whose copies are in the graph; None when nothing in it is recurrent."""
    copies = Copies(graph)
    if not copies.loops:
        return None
    origins = Origins(copies)
    entrances = Entrances(copies, origins)
    captions = Captions(graph, origins.routing)
    entered = Entering(copies, entrances, origins, captions)
    columns = columns_of(copies, entered)
    used = used_by_root(graph, copies, origins)
    outputs = outputs_of(copies, origins, entered, columns, used)
    fed_back = feedback(entered, origins, columns, outputs)
    loss = _loss(graph, copies, outputs, captions)
    parameters = _parameters(copies)
    rows = tuple(_row(loop, parameters, entered.links, columns) for loop in copies.loops)
    sections = _Sections(
        rows, copies, origins, captions, entered, columns, outputs, used, fed_back, loss
    )
    return Network(
        rows=rows,
        columns=max(columns.values()) + 1,
        has_inputs=bool(entered.inputs),
        has_outputs=bool(outputs),
        section=sections.section,
        parameters=parameters,
        gradients=graph.gradients,
        root=graph.root,
    )


def looks_like_a_loop(graph: Graph) -> bool:
    """Whether one op ran again and again on one line, in no copy: steps that nobody marked."""
    if Copies(graph).loops:
        return False
    lines = Counter(
        (node.source.file, node.source.line, node.op)
        for node in graph.nodes
        if node.op and node.source
    )
    return max(lines.values(), default=0) >= _LOOP_LEAST


def _loss(graph: Graph, copies: Copies, outputs: Outputs, captions: Captions) -> Port | None:
    """The root, where it is one number and no output itself."""
    root = graph.root
    if root.size != 1 or copies.of(root) is not None or [root] in outputs.values():
        return None
    return Port("loss", "loss", "L", captions.of(root), root)


def _parameters(copies: Copies) -> tuple[ParameterInfo, ...]:
    """What is trained, as the last step read it.

    The ops outside and those of one copy of each row and structure tell all the names there are.
    """
    first = {(copy.layer, copies.structures[copy]): copy for copy in reversed(copies.all)}
    nodes = [*copies.outside, *(node for copy in first.values() for node in copy.nodes)]
    names = parameter_names(sorted(nodes, key=attrgetter("id")))
    leaves = {node.id: node for node in copies.outside if node.is_parameter}
    return tuple(ParameterInfo(names[id], node.shape, node) for id, node in leaves.items())


def _row(loop: Loop, parameters: Iterable[ParameterInfo], links: Links, columns: Columns) -> Row:
    owner = loop.owner
    is_ours = isinstance(owner, RecurrentCell)
    reads = {x.id for node in loop.copies[0].nodes for x in node.tensors()}
    return Row(
        layer=loop.layer,
        path=loop.path,
        kind="scope" if isinstance(owner, str) else type(owner).__name__,
        equation=owner.equation if is_ours else None,
        states=_states(loop, links),
        copies=len(loop.copies),
        parameters=tuple(p.name for p in parameters if p.node.id in reads),
        reverse=runs_back(loop, columns),
    )


def _states(loop: Loop, links: Links) -> tuple[str, ...]:
    """What a loop passes on: h and c as one of our cells calls them, else h, h′ and so on."""
    if isinstance(loop.owner, RecurrentCell):
        return loop.owner.states
    before, last = loop.copies[-2:]
    passed = links.values(before, last)
    return tuple("h" + "′" * k for k in range(max(len(passed), 1)))


@dataclass(frozen=True, slots=True)
class _Sections:
    """What stands where in a network, of which any columns can be asked for."""

    rows: Sequence[Row]
    copies: Copies
    origins: Origins
    captions: Captions
    entered: Entering
    columns: Columns
    outputs: Outputs
    used: set[Node]  # the values that the root was made from
    fed_back: Links
    loss: Port | None

    def section(self, columns: Collection[int]) -> Section:
        """Some columns of the network."""
        structures = self.copies.structures
        copies = [copy for copy in self.copies.all if self.columns[copy.id] in columns]
        known = {(copy.layer, structures[copy]) for copy in copies}
        odd = {
            self.columns[copy.id]
            for copy in self.copies.all
            if (copy.layer, structures[copy]) not in known
        }
        links = Links()
        ports = [*self._input_ports(columns, links), *self._output_ports(columns, links)]
        ids = {copy.id for copy in copies} | {port.id for port in ports}
        between = map(self._up_or_other, self.entered.links.of(ids))
        return Section(
            cells=tuple(map(self._cell, copies)),
            ports=(*self.entered.initial.values(), *ports),
            links=(*between, *links.of(ids), *self.fed_back.of(ids)),
            odd=tuple(sorted(odd)),
        )

    def _up_or_other(self, link: Link) -> Link:
        """A link up stays in its column."""
        if link.kind == "up" and self.columns[link.source] != self.columns[link.target]:
            return link._replace(kind="other")
        return link

    def _input_ports(self, columns: Collection[int], links: Links) -> Iterator[Port]:
        """One circle per column and value, whoever reads it there."""
        ports: dict[tuple[int, Node], str] = {}
        count: Counter[int] = Counter()
        for copy, values in self.entered.inputs.items():
            column = self.columns[copy.id]
            if column not in columns:
                continue
            t = column if self.rows[copy.layer].reverse else copy.t
            for x in values:
                if (column, x) not in ports:
                    k = count[column]
                    count[column] += 1
                    id = f"input-{column}-{k}" if k else f"input-{column}"
                    ports[column, x] = id
                    label = indexed("x" + "′" * k, t)
                    yield Port(id, "input", label, self.captions.of(x), x, column=column)
                links.add(ports[column, x], copy.id, "input", x)

    def _output_ports(self, columns: Collection[int], links: Links) -> Iterator[Port]:
        """The loss, and one circle per column.

        One of the other columns is linked to the loss, and stands for all of them.
        """
        times = self._call_numbers()
        used = set[Node]()
        if self.loss is not None:
            used = self.used
            yield self.loss
        others = (column for column in self.outputs if column not in columns)
        stand_in = next((c for c in others if not used.isdisjoint(self.outputs[c])), None)
        for column, values in self.outputs.items():
            id = f"output-{column}"
            if column in columns:
                value = values[0]
                label = indexed(self._output_name(value), times.get(column, column))
                yield Port(id, "output", label, self.captions.of(value), value, column=column)
            elif column != stand_in:
                continue
            for value in values:
                for root in self.origins.roots(value):
                    links.add(root.id, id, "output", value)
                if value in used:
                    links.add(id, "loss", "loss", value)

    def _call_numbers(self) -> dict[int, int]:
        """The call number of the highest row that runs forward, in each column."""
        forward = (copy for copy in self.copies.all if not self.rows[copy.layer].reverse)
        return {self.columns[copy.id]: copy.t for copy in forward}

    def _output_name(self, value: Node) -> str:
        copy = self.copies.of(value)
        return "y" if copy is None else self.rows[copy.layer].states[0]

    def _cell(self, copy: Copy) -> Cell:
        """Its outputs are its messages and whatever else others use, h first."""
        used = [node for node in copy.nodes if node in self.entered.used]
        return Cell(
            copy.layer,
            copy.t,
            self.columns[copy.id],
            tuple(copy.nodes),
            tuple(dict.fromkeys([*self._passed_on(copy), *used])),
            self.copies.structures[copy],
        )

    def _passed_on(self, copy: Copy) -> Sequence[Node]:
        """A copy's messages; of the last one what it would pass on."""
        copies = self.copies.loops[copy.layer].copies
        links = self.entered.links
        if copy.t + 1 < len(copies):
            return links.values(copy, copies[copy.t + 1])
        structures = self.copies.structures
        before = copies[copy.t - 1] if copy.t else copy
        if before is copy or structures[before].ops != structures[copy].ops:
            return copy.nodes[-1:]
        passed = [x for x in links.values(before, copy) if x in before.nodes]
        return [copy.nodes[before.nodes.index(x)] for x in passed] or copy.nodes[-1:]
