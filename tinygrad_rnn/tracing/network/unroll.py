"""From a recorded graph to the unrolled network: the copies, and who hands what to whom."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter

from ...nn.cells import Cell as RecurrentCell
from ..recording.graph import Graph, Node, collector_paused
from .copies import Copies, Copy, CopyRow, Entry, Structure, structures
from .namer import Captions, parameter_names
from .network import Cell, Link, LinkKind, Network, ParameterInfo, Part, Port, Row, indexed
from .routing import Routing, is_move

_LOOP_LEAST = 3
_MANY = -1  # columns: which ones does not matter
_PRODUCTS = ("linear", "matmul", "embedding")

Ends = tuple[str, str]  # of a link: the ids of its source and its target


@collector_paused()
def unroll(graph: Graph) -> Network | None:
    """The network whose copies are in the graph; None when nothing in it is recurrent."""
    copies = Copies(graph)
    return _Unrolling(graph, copies).network() if copies.rows else None


def looks_like_a_loop(graph: Graph) -> bool:
    """Whether one op ran again and again on one line of the program, in no copy: steps that nobody marked."""
    if Copies(graph).rows:
        return False
    lines = Counter(
        (node.source.file, node.source.line, node.op)
        for node in graph.nodes
        if node.op and node.source
    )
    return max(lines.values(), default=0) >= _LOOP_LEAST


class _Links:
    """Who hands what to whom, collected value by value."""

    def __init__(self) -> None:
        self.values: dict[Ends, list[Node]] = {}
        self._kinds: dict[Ends, LinkKind] = {}
        self._cut: set[Ends] = set()

    def add(
        self, source: str, target: str, kind: LinkKind, value: Node, *, cut: bool = False
    ) -> None:
        ends = source, target
        values = self.values.get(ends)
        if values is None:
            self._kinds[ends], self.values[ends] = kind, [value]
        elif value not in values:
            values.append(value)
        if cut:
            self._cut.add(ends)

    def of(self, ids: Collection[str]) -> list[Link]:
        """The links from and to some cells and ports."""
        return [self._link(ends) for ends in self.values if ends[0] in ids or ends[1] in ids]

    def _link(self, ends: Ends) -> Link:
        return Link(self._kinds[ends], *ends, tuple(self.values[ends]), ends in self._cut)


class _Unrolling:
    """Finds where everything in a graph stands in one network, row by row from the bottom, and makes parts of that."""

    def __init__(self, graph: Graph, copies: Copies) -> None:
        self.graph = graph
        self.rows = copies.rows
        self.outside = copies.outside
        self.copy_of = copies.of
        self.routing = Routing()
        self.copies = [copy for row in self.rows for copy in row.copies]
        self.structures = structures(self.copies)
        self.made_from: dict[Node, list[Node]] = {}  # of the ops outside
        self.messages = {row.layer: self._message_entries(row) for row in self.rows}
        self.entries: dict[
            tuple[int, Structure], Sequence[tuple[Entry, bool]]
        ] = {}  # of the copies of a row
        self.links = _Links()  # from copies and initial states to copies
        self.initial: dict[str, Port] = {}
        self.columns: dict[str, int] = {}  # of each copy
        self.reverse: dict[
            int, bool
        ] = {}  # of each row: whether its calls run from the last column to the first
        self.feeds: defaultdict[Copy, list[Copy]] = defaultdict(
            list
        )  # copy -> the copies of other rows that feed it
        self.inputs: dict[Copy, list[Node]] = {}  # what comes from outside
        self.fed_back: list[
            tuple[Node, Copy]
        ] = []  # what a head made of one copy, and another copy read
        self.between: set[Node] = set()  # what one row hands to another
        self.readers: dict[Node, int] = {}  # outside value -> the column that reads it
        self.captions = Captions(graph, self.routing)
        self.used = {
            x for node in self.outside for x in node.inputs
        }  # and what copies read of others
        for row in self.rows:
            for copy in row.copies:
                self._collect(copy)
            self.columns |= self._placed(row)
            self.reverse[row.layer] = self._runs_back(row)
        self.used_by_root = self._used_by_root()
        self.outputs = self._outputs()
        self.loss = self._loss()
        self.feedback = self._feedback()

    def network(self) -> Network:
        names = parameter_names(self._examples())
        leaves = {node.id: node for node in self.outside if node.is_parameter}
        parameters = tuple(
            ParameterInfo(names[id], node.shape, node) for id, node in leaves.items()
        )
        return Network(
            rows=tuple(self._row(row, parameters) for row in self.rows),
            columns=max(self.columns.values()) + 1,
            has_inputs=bool(self.inputs),
            has_outputs=bool(self.outputs),
            part=self._part,
            parameters=parameters,
            gradients=self.graph.gradients,
            root=self.graph.root,
        )

    def _part(self, columns: Collection[int]) -> Part:
        copies = [copy for copy in self.copies if self.columns[copy.id] in columns]
        known = {(copy.layer, self.structures[copy]) for copy in copies}
        odd = {
            self.columns[copy.id]
            for copy in self.copies
            if (copy.layer, self.structures[copy]) not in known
        }
        links = _Links()
        ports = [*self._input_ports(columns, links), *self._output_ports(columns, links)]
        ids = {copy.id for copy in copies} | {port.id for port in ports}
        return Part(
            cells=tuple(map(self._cell, copies)),
            ports=(*self.initial.values(), *ports),
            links=(
                *map(self._up_or_other, self.links.of(ids)),
                *links.of(ids),
                *self.feedback.of(ids),
            ),
            odd=tuple(sorted(odd)),
        )

    def _examples(self) -> list[Node]:
        """The ops outside, and those of one copy of each row and structure: all that tells what there is."""
        first = {(copy.layer, self.structures[copy]): copy for copy in reversed(self.copies)}
        nodes = [*self.outside, *(node for copy in first.values() for node in copy.nodes)]
        return sorted(nodes, key=attrgetter("id"))

    # What enters a copy

    def _message_entries(self, row: CopyRow) -> set[Entry]:
        """Where a copy of this row receives what the one before it made."""
        if len(row.copies) == 1 and isinstance(row.owner, RecurrentCell):
            return set(self._entries_but_x(row.copies[0], row.owner))
        found: set[Entry] = set()
        for before, copy in pairwise(row.copies):
            for entry in self.structures[copy].given:
                if entry not in found and self._is_of(before, copy.read(entry)):
                    found.add(entry)
        return found

    def _is_of(self, copy: Copy, x: Node) -> bool:
        """Whether it is what a copy made, unchanged."""
        return any(
            copy in self._roots(source, unchanged=True) for source in self.routing.sources(x)
        )

    def _entries_but_x(self, copy: Copy, cell: RecurrentCell) -> Iterator[Entry]:
        """With one timestep nothing was passed on; but x is what enters through W_xh, so the rest is the state."""
        for i, slot in self.structures[copy].given:
            if not any(x.id == cell.W_xh.id for x in copy.nodes[i].tensors()):
                yield i, slot

    def _roots(self, source: Node, unchanged: bool = False) -> Sequence[Copy]:
        """The copies that a value comes from, the bottom row first: the one that made it, else those behind it.

        With `unchanged`, only where no parameter of those ops had a part in it: then it still is
        the copy's state.
        """
        copy = self.copy_of(source)
        if copy is not None:
            return (copy,)
        if source.op is None:
            return ()
        roots: set[Copy] = set()
        seen, stack = {source}, [source]
        while stack:
            node = stack.pop()
            for x in self._made_from(node) if not (unchanged and node.reads_a_parameter) else ():
                if x not in seen:
                    seen.add(x)
                    copy = self.copy_of(x)
                    if copy is not None:
                        roots.add(copy)
                    else:
                        stack.append(x)
        return sorted(roots, key=attrgetter("layer", "t"))

    def _collect(self, copy: Copy) -> None:
        """Note everything that enters a copy: from another copy, from an initial state, or from outside."""
        for entry, is_message in self._entries(copy.layer, self.structures[copy]):
            x = copy.read(entry)
            self.used.add(x)
            maker = self.copy_of(x)
            if maker is not None and not is_move(x):
                self._hand_over(maker, copy, x)
            else:
                for source in self.routing.sources(x):
                    self._collect_source(copy, entry, x, source, is_message=is_message)

    def _entries(self, layer: int, structure: Structure) -> Sequence[tuple[Entry, bool]]:
        """Where something enters a copy, an initial state that is trained included, and whether it is the message."""
        found = self.entries.get((layer, structure))
        if found is None:
            messages = self.messages[layer]
            entries = sorted(
                (*structure.given, *(entry for entry in structure.parameters if entry in messages))
            )
            found = self.entries[layer, structure] = [
                (entry, entry in messages) for entry in entries
            ]
        return found

    def _collect_source(
        self, copy: Copy, entry: Entry, x: Node, source: Node, *, is_message: bool
    ) -> None:
        roots = self._roots(source)
        if roots and not is_message and self._is_fed_back(source, copy):
            self.fed_back.append((source, copy))
            return
        for root in roots:
            self._hand_over(root, copy, source, cut=self.routing.is_cut(x))
        if not roots and is_message:
            self._add_initial(copy, x)
        elif (
            not roots
            and not source.is_parameter
            and not self._is_constant_inside(copy, entry, source)
        ):
            known = self.inputs.setdefault(copy, [])
            if x not in known:
                known.append(x)

    def _hand_over(self, root: Copy, copy: Copy, source: Node, *, cut: bool = False) -> None:
        kind: LinkKind = "up"
        if root.layer == copy.layer:
            kind = "message" if root.t == copy.t - 1 else "other"
        else:
            self.between.add(source)
            self.feeds[copy].append(root)
        self.links.add(root.id, copy.id, kind, source, cut=cut)

    def _is_fed_back(self, source: Node, copy: Copy) -> bool:
        """Whether a head made this value of an earlier copy in this row or above: an output that is read again."""
        return not self._roots(source, unchanged=True) and all(
            r.layer >= copy.layer for r in self._roots(source)
        )

    def _is_constant_inside(self, copy: Copy, entry: Entry, source: Node) -> bool:
        """A constant that an elementwise op of the copy brings along belongs to its formula, and is no input."""
        made_inside = (
            source.op is None and source.scope is not None and copy.call in source.scope.chain()
        )
        return made_inside and copy.nodes[entry[0]].op not in _PRODUCTS

    def _add_initial(self, copy: Copy, value: Node) -> None:
        states = self._states(self.rows[copy.layer])
        id = f"initial-{copy.layer}" if copy.t == 0 else f"initial-{copy.layer}-{copy.t}"
        label = ", ".join(indexed(state, copy.t - 1) for state in states)
        self.initial.setdefault(
            id, Port(id, "initial", label, self.captions.of(value), value, layer=copy.layer)
        )
        self.links.add(id, copy.id, "initial", value)

    # Columns

    def _placed(self, row: CopyRow) -> dict[str, int]:
        """The column of each copy: above what feeds it, in either direction; else one after the other."""
        above = [self._column_below(copy) for copy in row.copies]
        columns = [column for column in above if column is not None]
        steps = {b - a for a, b in pairwise(columns)}
        if len(columns) != len(above) or steps not in (set(), {1}, {-1}):
            before = self._columns_that_feed(row.copies[0])
            start = max(before) + 1 if before else 0
            columns = [start + copy.t for copy in row.copies]
        for copy, column in zip(row.copies, columns, strict=True):
            for x in self.inputs.get(copy, ()):
                self.readers.setdefault(x, column)
        return {copy.id: column for copy, column in zip(row.copies, columns, strict=True)}

    def _column_below(self, copy: Copy) -> int | None:
        """The one column of the copies that feed this one from another row, or that read the same input."""
        found = self._columns_that_feed(copy)
        found |= {self.readers[x] for x in self.inputs.get(copy, ()) if x in self.readers}
        return found.pop() if len(found) == 1 else None

    def _columns_that_feed(self, copy: Copy) -> set[int]:
        return {
            self.columns[source.id]
            for source in self.feeds.get(copy, ())
            if source.id in self.columns
        }

    def _input_ports(self, columns: Collection[int], links: _Links) -> Iterator[Port]:
        """One circle per column and value, whoever reads it there."""
        ports: dict[tuple[int, Node], str] = {}
        count: Counter[int] = Counter()
        for copy, values in self.inputs.items():
            column = self.columns[copy.id]
            for x in values if column in columns else ():
                id = ports.get((column, x))
                if id is None:
                    k = count[column]
                    count[column] += 1
                    id = ports[column, x] = f"input-{column}-{k}" if k else f"input-{column}"
                    label = indexed(
                        "x" + "′" * k, copy.t if not self.reverse[copy.layer] else column
                    )
                    yield Port(id, "input", label, self.captions.of(x), x, column=column)
                links.add(id, copy.id, "input", x)

    # What leaves the copies

    def _outputs(self) -> dict[int, list[Node]]:
        """In each column y_t, the last value that a parameter made of this column alone; else h_t, where it is used."""
        found: defaultdict[int, list[Node]] = defaultdict(list)
        for value, copy in self._leaving():
            found[self.columns[copy.id]].append(value)
        found.update((column, [node]) for column, node in self._made_of_one_column().items())
        return dict(sorted(found.items()))

    def _output_ports(self, columns: Collection[int], links: _Links) -> Iterator[Port]:
        """The loss, and one circle per column; one other column is linked to the loss for all others."""
        # by the highest row that runs forward: an output has its call number
        times = {self.columns[c.id]: c.t for c in self.copies if not self.reverse[c.layer]}
        if self.loss is not None:
            yield self.loss
        used = self.used_by_root if self.loss is not None else set[Node]()
        others = (column for column in self.outputs if column not in columns)
        other = next(
            (column for column in others if not used.isdisjoint(self.outputs[column])), None
        )
        for column, values in self.outputs.items():
            id = f"output-{column}"
            if column in columns:
                copy = self.copy_of(values[0])
                label = indexed(
                    self._states(self.rows[copy.layer])[0] if copy else "y",
                    times.get(column, column),
                )
                yield Port(
                    id, "output", label, self.captions.of(values[0]), values[0], column=column
                )
            elif column != other:
                continue
            for value in values:
                for root in self._roots(value):
                    links.add(root.id, id, "output", value)
                if value in used:
                    links.add(id, "loss", "loss", value)

    def _feedback(self) -> _Links:
        """An output that a later copy reads comes from the output's circle; what has none, from its copies."""
        links = _Links()
        for source, copy in self.fed_back:
            for root in self._roots(source):
                column = self.columns[root.id]
                if column in self.outputs:
                    links.add(f"output-{column}", copy.id, "other", source)
                else:
                    self.links.add(root.id, copy.id, "other", source)
        return links

    def _used_by_root(self) -> set[Node]:
        """The values that the root was made from, down to the copies, seeing through stacks and slices."""
        used = set(self.routing.sources(self.graph.root))
        stack = list(used)
        while stack:
            node = stack.pop()
            fresh = (
                [x for x in self._made_from(node) if x not in used]
                if self.copy_of(node) is None
                else []
            )
            used.update(fresh)
            stack += fresh
        return used

    def _leaving(self) -> list[tuple[Node, Copy]]:
        """The copies' values that the root was made from, of rows that do not merely feed another row."""
        feeding = {source for sources in self.feeds.values() for source in sources}
        made = [
            (node, copy) for node in self.used_by_root if (copy := self.copy_of(node)) is not None
        ]
        return sorted(
            [pair for pair in made if pair[1] not in feeding] or made, key=lambda pair: pair[0].id
        )

    def _made_of_one_column(self) -> dict[int, Node]:
        """Outside the copies, the last value of each column that was made with a parameter, and of no other column."""
        made: dict[int, Node] = {}
        columns: dict[Node, int] = {}
        for node in self.outside:
            if node.op is None or is_move(node):
                continue
            found: int | None = None
            for source in self._made_from(node):
                copy = self.copy_of(source)
                column = columns.get(source) if copy is None else self.columns[copy.id]
                if column is not None:
                    found = column if found in (None, column) else _MANY
            if found is not None:
                columns[node] = found
                if found != _MANY and node.reads_a_parameter:
                    made[found] = node
        return {column: node for column, node in made.items() if node not in self.between}

    def _made_from(self, node: Node) -> Sequence[Node]:
        """What other ops made of what an op outside reads, seeing through stacks and slices."""
        found = self.made_from.get(node)
        if found is None:
            made = [x for x in node.inputs if x is not None and x.op is not None]
            found = self.made_from[node] = [
                s for x in made for s in self.routing.sources(x) if s.op is not None
            ]
        return found

    def _loss(self) -> Port | None:
        """The root, where it is one number and no output itself."""
        root = self.graph.root
        if root.size != 1 or self.copy_of(root) is not None or [root] in self.outputs.values():
            return None
        return Port("loss", "loss", "L", self.captions.of(root), root)

    # What the network is told

    def _row(self, row: CopyRow, parameters: Iterable[ParameterInfo]) -> Row:
        reads = {x.id for node in row.copies[0].nodes for x in node.tensors()}
        return Row(
            layer=row.layer,
            path=row.path,
            kind="scope" if isinstance(row.owner, str) else type(row.owner).__name__,
            equation=row.owner.equation if isinstance(row.owner, RecurrentCell) else None,
            states=self._states(row),
            copies=len(row.copies),
            parameters=tuple(
                parameter.name for parameter in parameters if parameter.node.id in reads
            ),
            reverse=self.reverse[row.layer],
        )

    def _states(self, row: CopyRow) -> tuple[str, ...]:
        if isinstance(row.owner, RecurrentCell):
            return row.owner.states
        return (
            "h",
            *(
                "h" + "′" * k
                for k in range(1, len(self._message_values(row.copies[-2], row.copies[-1])))
            ),
        )

    def _message_values(self, copy: Copy, after: Copy) -> Sequence[Node]:
        return self.links.values.get((copy.id, after.id), ())

    def _cell(self, copy: Copy) -> Cell:
        """Its outputs are its messages and whatever else others use, h first."""
        row = self.rows[copy.layer].copies
        messages = (
            self._message_values(copy, row[copy.t + 1])
            if copy.t + 1 < len(row)
            else self._last_messages(row)
        )
        others = [node for node in copy.nodes if node in self.used]
        outputs = tuple(dict.fromkeys([*messages, *others]))
        return Cell(
            copy.layer,
            copy.t,
            self.columns[copy.id],
            tuple(copy.nodes),
            outputs,
            self.structures[copy],
        )

    def _last_messages(self, row: Sequence[Copy]) -> Sequence[Node]:
        """What the last copy would pass on: where the copy before it made its messages; else its last op."""
        last = row[-1]
        for before in row[-2:-1]:
            if self.structures[before].ops == self.structures[last].ops:
                passed = self._message_values(before, last)
                found = tuple(
                    last.nodes[before.nodes.index(node)] for node in passed if node in before.nodes
                )
                return found or (last.nodes[-1],)
        return (last.nodes[-1],)

    def _up_or_other(self, link: Link) -> Link:
        """A link up stays in its column."""
        apart = link.kind == "up" and self.columns[link.source] != self.columns[link.target]
        return link._replace(kind="other") if apart else link

    def _runs_back(self, row: CopyRow) -> bool:
        first, *others = row.copies[:2]
        return any(self.columns[first.id] > self.columns[other.id] for other in others)
