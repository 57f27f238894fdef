"""What every tensor of a recorded run is called, and which copy it belongs to.

A name is the tensor's own, else that of the variable it was bound to, else "op#event". Inside
copies it carries the timestep: "h@3" is h at t = 3, "h_l1@3" the same in the layer above, as
parameters of layer 1 end in "_l1". A parameter is called as its module knows it. A name may be
written more than once; a moment of the run decides which is meant.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from ...errors import TraceError
from ...nn.cells import Cell as RecurrentCell
from ..network.namer import State, initial_states, parameter_names, passed_states
from ..network.network import Cell, Network, Port
from ..network.unroll import unroll
from ..recording.event import Event, Forward, Update
from ..recording.graph import Graph, Node
from ..recording.run import Run

BEFORE = -1  # the event at which what existed before the recording was written

GivenName = Callable[[Node], str | None]  # what the user calls a tensor; None where nobody did


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor stands: at timestep `t` in row `layer`, in graph number `graph` of the run."""

    graph: int
    t: int | None = None
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """One tensor that has a name, and the event that wrote it."""

    event: int
    node: Node
    place: Place


class Names:
    """The names of one run, as far as it was recorded when they were asked for."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._made = _first_written(run.events)
        self.places: dict[Node, Place] = {}
        # what copies are fed, pass on and put out: x, h, c, y
        self.roles: set[Node] = set()
        # the name without its timestep
        self._bases: dict[Node, str] = {}
        for number, nodes in enumerate(_connected(run.events)):
            self._name_graph(number, nodes)
        self._name_the_rest()
        self._written = self._by_name()

    def _name_graph(self, number: int, nodes: Sequence[Node]) -> None:
        made = [node for node in nodes if node.op is not None]
        network = unroll(Graph(tuple(nodes), made[-1], {}))
        placing = _Placing(self._given)
        if network is not None:
            placing.place(network, nodes)
        bases = _base_names(nodes, placing, self._given)
        times = placing.times if network is not None else _rounds(bases)
        for node, base in bases.items():
            self._bases[node] = base or self._numbered(node)
            self.places[node] = Place(number, times.get(node), placing.layers.get(node))
        self.roles.update(placing.roles)

    def _given(self, node: Node) -> str | None:
        name = self._run.name(node)
        return None if "#" in name else name

    def _numbered(self, node: Node) -> str:
        event = self._made.get(node, BEFORE)
        return f"{node.op or 'leaf'}#{node.id if event == BEFORE else event}"

    def _name_the_rest(self) -> None:
        """What no op has read yet: new values of a leaf are called as the old ones."""
        of_tensors = {node.id: base for node, base in self._bases.items()}
        for node in self._made:
            if node not in self._bases:
                self._bases[node] = of_tensors.get(node.id) or self._run.name(node)
                self.places[node] = Place(BEFORE)

    def _by_name(self) -> dict[str, list[Written]]:
        by_name: defaultdict[str, list[Written]] = defaultdict(list)
        for node, event in self._made.items():
            by_name[self._bases[node]].append(Written(event, node, self.places[node]))
        for written in by_name.values():
            written.sort(key=lambda one: (one.event, one.node.id))
        return dict(by_name)

    # Asking

    def of(self, node: Node) -> str:
        """The full name: "h@3", "W_hh", "matmul#12"."""
        place = self.places.get(node)
        base = self._bases.get(node) or self._run.name(node)
        if place is None or place.t is None or "#" in base:
            return base
        return f"{base}@{place.t}"

    def made_at(self, node: Node) -> int:
        """The event that wrote a node; BEFORE where it was there from the start."""
        return self._made.get(node, BEFORE)

    def __contains__(self, name: str) -> bool:
        return self._base(name.partition("@")[0]) is not None

    def known(self) -> list[str]:
        """Every name, without timesteps, those of unnamed values left out."""
        return [name for name in self._written if "#" not in name]

    def find(self, name: str, now: int, here: Place | None = None) -> Written:
        """What `name` means after event `now`: the newest so far, else the first to come.

        Without a timestep it is the one at `here`, for a name that has timesteps there.

        Raises:
            TraceError: there is no such name, or not at this timestep.
        """
        base, _, step = name.partition("@")
        written = self._all_called(base)
        if step:
            if step.lstrip("-").isdecimal():
                written = _at_timestep(step, base, written)
        elif here is not None:
            written = _nearest(written, here)
        at = bisect_right(written, now, key=lambda one: one.event)
        return written[max(at - 1, 0)]

    def all_of(self, name: str) -> list[Written]:
        """Every tensor that has this name, in the order of writing.

        Raises:
            TraceError: there is none.
        """
        base, _, step = name.partition("@")
        return [one for one in self._all_called(base) if not step or str(one.place.t) == step]

    def _all_called(self, base: str) -> list[Written]:
        known = self._base(base)
        if known is None:
            raise TraceError(f"there is no {base!r} in this run; {self._suggestion(base)}")
        return self._written[known]

    def _base(self, name: str) -> str | None:
        """A module's variable may stand before its parameters: `rnn.W_hh`."""
        while name not in self._written:
            _, dot, name = name.partition(".")
            if not dot:
                return None
        return name

    def _suggestion(self, name: str) -> str:
        from difflib import get_close_matches

        known = self.known()
        close = get_close_matches(name, known, n=3, cutoff=0.5) or known[:8]
        return f"perhaps {', '.join(close)}" if close else "nothing in it has a name"


def _at_timestep(step: str, base: str, written: Sequence[Written]) -> list[Written]:
    found = [one for one in written if one.place.t == int(step)]
    if found:
        return found
    times = sorted({one.place.t for one in written if one.place.t is not None})
    there = f"{base} has no timesteps"
    if times:
        there = f"only {base}@{times[0]} to {base}@{times[-1]}"
    raise TraceError(f"there is no {base}@{step}: {there}")


def _nearest(written: list[Written], here: Place) -> list[Written]:
    """Those at this timestep; inside a copy else those in its graph, if there are any."""
    if here.t is not None:
        at_step = [one for one in written if one.place.t == here.t]
        if any(one.place.graph == here.graph for one in at_step):
            return at_step
    if here.layer is not None:
        return [one for one in written if one.place.graph == here.graph] or written
    return written


# Collecting what there is to name


def _first_written(events: Iterable[Event]) -> dict[Node, int]:
    """When each node was written: a leaf when it is first seen, a parameter before everything."""
    written: dict[Node, int] = {}
    for event in events:
        for x in (*event.inputs, event.output):
            if x is not None and x not in written:
                was_there = x.is_parameter and not isinstance(event, Update)
                written[x] = BEFORE if was_there else event.index
    return written


def _connected(events: Iterable[Event]) -> list[list[Node]]:
    """The nodes of each connected graph with the leaves they use.

    Graphs that share a leaf alone are not connected.
    """
    group: dict[Node, int] = {}
    members: dict[int, list[Node]] = {}
    numbers = count()
    for event in events:
        if not isinstance(event, Forward):
            continue
        node = event.output
        found = {group[x] for x in node.tensors() if x in group}
        # the others join the largest, so that few nodes change their group
        largest, *others = sorted(found, key=lambda g: -len(members[g])) or [next(numbers)]
        joined = members.setdefault(largest, [])
        for other in others:
            for x in members[other]:
                group[x] = largest
            joined += members.pop(other)
        group[node] = largest
        joined.append(node)
    return [_with_leaves(nodes) for _, nodes in sorted(members.items())]


def _with_leaves(nodes: Iterable[Node]) -> list[Node]:
    seen = dict.fromkeys(nodes)
    for node in nodes:
        seen.update(dict.fromkeys(node.tensors()))
    return sorted(seen, key=lambda node: node.id)


# Names of one connected graph


def _base_names(
    nodes: Sequence[Node], placing: "_Placing", given: GivenName
) -> dict[Node, str | None]:
    """The names without timesteps; None for what nobody named."""
    parameters = parameter_names(nodes)
    bases: dict[Node, str | None] = {}
    for node in nodes:
        base = parameters.get(node.id)
        if base is None:
            base = placing.roles.get(node) or given(node) or _slice_of(node, placing, given)
            layer = placing.layers.get(node, 0)
            if base and layer:
                base = f"{base}_l{layer}"
        bases[node] = base
    return _without_echoes(bases, placing)


def _slice_of(node: Node, placing: "_Placing", given: GivenName) -> str | None:
    """Element t of a sequence, read at timestep t, is the sequence at t: "x@2" for `x[t]`."""
    t, index = placing.times.get(node), node.options.get("index")
    sequence = next(node.tensors(), None)
    if node.op != "getitem" or not isinstance(index, int) or index != t or sequence is None:
        return None
    return given(sequence)


def _without_echoes(bases: dict[Node, str | None], placing: "_Placing") -> dict[Node, str | None]:
    """Of values with one name at one place, those named inside this package give way to the last.

    `y = linear(x, W)` inside a module, whose result the user calls y as well, is one y to the
    user.
    """
    last = {(base, placing.times.get(node)): node for node, base in bases.items()}
    kept: dict[Node, str | None] = {}
    for node, base in bases.items():
        is_last = node is last[base, placing.times.get(node)]
        is_ours = node.source is not None and node.source.is_inside_package
        kept[node] = None if is_ours and not is_last else base
    return kept


def _rounds(bases: dict[Node, str | None]) -> dict[Node, int]:
    """Without copies, the rounds of a loop are the timesteps of the names it writes repeatedly."""
    repeated = Counter(base for base in bases.values() if base)
    rounds: Counter[str] = Counter()
    times: dict[Node, int] = {}
    for node, base in bases.items():
        if base and repeated[base] > 1 and not node.is_parameter:
            times[node] = rounds[base]
            rounds[base] += 1
    return times


class _Placing:
    """The timesteps and rows of the tensors of one network, and what the network calls them."""

    def __init__(self, given: GivenName) -> None:
        self.times: dict[Node, int] = {}
        self.layers: dict[Node, int] = {}
        # h, c, x …
        self.roles: dict[Node, str] = {}
        self._given = given

    def place(self, network: Network, nodes: Iterable[Node]) -> None:
        """Place copies, then states and ports, then what was made of these."""
        for cell in network.cells:
            for node in cell.nodes:
                self.times[node], self.layers[node] = cell.t, cell.layer
        ours = {cell.layer for cell in network.cells if _is_ours(cell, network)}
        for state in passed_states(network):
            given = None if state.layer in ours else self._given(state.node)
            self.roles[state.node] = given or state.name
        for state in initial_states(network):
            self._place_initial(state)
        readers = Counter(port.node for port in network.ports)
        for port in network.ports:
            # what many timesteps read belongs to none of them
            if readers[port.node] == 1:
                self._place_port(port)
        for node in nodes:
            self._follow(node)

    def _place_initial(self, state: State) -> None:
        node = state.node
        if node not in self.times and not node.is_parameter:
            self.times[node], self.layers[node] = state.t, state.layer
            self.roles[node] = state.name

    def _place_port(self, port: Port) -> None:
        node = port.node
        if node is None or node in self.times or port.column is None:
            return
        self.times[node] = port.column
        given = self._given(node)
        if given is not None:
            self.roles[node] = given
        elif port.kind == "input":
            self.roles[node] = "x"

    def _follow(self, node: Node) -> None:
        """What was made of one timestep's values alone belongs to it."""
        if node in self.times or node.op is None or not node.shape:
            return  # a single number, as a loss is, is of the whole run
        found = {self.times.get(x) for x in node.tensors() if not x.is_parameter}
        if len(found) == 1:
            (t,) = found
            if t is not None:
                self.times[node] = t


def _is_ours(cell: Cell, network: Network) -> bool:
    """Whether it is a call of one of this package's cells: these name their states themselves."""
    kind = network.rows[cell.layer].kind
    owners = [call.owner for call in cell.nodes[0].calls]
    return any(
        isinstance(owner, RecurrentCell) and type(owner).__name__ == kind for owner in owners
    )
