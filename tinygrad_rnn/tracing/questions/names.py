"""What every tensor of a recorded run is called, and which copy it belongs to.

A name is the tensor's own, else that of the variable it was bound to, else "op#event". Inside
copies it carries the timestep: "h@3" is h at t = 3, "h_l1@3" the same in the layer above, as
parameters of layer 1 end in "_l1". A parameter is called as its module knows it. A name may be
written more than once; a moment of the run decides which is meant.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from ...errors import TraceError
from ...nn.cells import Cell as RecurrentCell
from ..network.copies import parameter_names
from ..network.network import Link, Network, Port
from ..network.unroll import unroll
from ..recording.graph import Graph, Node

if TYPE_CHECKING:
    from ..trace import Trace

BEFORE = -1  # the event at which what existed before the recording was written


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor stands: timestep `t` of the copies of row `layer`, in graph number `graph` of the run."""

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
    """The names of one trace, as far as it was recorded when they were asked for."""

    def __init__(self, trace: "Trace") -> None:
        self._trace = trace
        self._made: dict[Node, int] = {}  # node -> the event it was written at
        self.places: dict[Node, Place] = {}
        self._bases: dict[Node, str] = {}  # the name without its timestep
        self.roles: set[Node] = set()  # what copies are fed, pass on and put out: x, h, c, y
        self._written: dict[str, list[Written]] = defaultdict(list)
        self._timed: dict[int, set[str]] = defaultdict(
            set
        )  # graph -> the names that carry a timestep in it
        self._collect()
        for number, nodes in enumerate(self._connected()):
            _Naming(self, number, nodes).name_all()
        self._index()

    def _collect(self) -> None:
        """When each node was written: leaves when they are first seen, parameters before everything."""
        for event in self._trace.events:
            for x in (*event.inputs, event.output):
                if x is None or x in self._made:
                    continue
                known = x.is_parameter and event.kind != "update"
                self._made[x] = BEFORE if known else event.index

    def _connected(self) -> list[list[Node]]:
        """The nodes of each connected graph with the leaves they use; what shares a leaf alone is not connected."""
        group: dict[Node, int] = {}
        members: dict[int, list[Node]] = {}
        numbers = count()
        for node in (e.output for e in self._trace.events if e.kind == "forward"):
            assert node is not None
            found = sorted(
                {group[x] for x in node.tensors() if x in group}, key=lambda g: -len(members[g])
            )
            number = found[0] if found else next(numbers)
            for other in found[1:]:
                for x in members[other]:
                    group[x] = number
                members[number] += members.pop(other)
            group[node] = number
            members.setdefault(number, []).append(node)
        return [self._with_leaves(nodes) for _, nodes in sorted(members.items())]

    @staticmethod
    def _with_leaves(nodes: Iterable[Node]) -> list[Node]:
        seen = dict.fromkeys(nodes)
        for node in list(seen):
            seen.update(dict.fromkeys(node.tensors()))
        return sorted(seen, key=lambda node: node.id)

    def _index(self) -> None:
        of_tensors = {
            node.id: base for node, base in self._bases.items()
        }  # new values of a leaf nobody has read yet
        for node, event in self._made.items():
            place = self.places.setdefault(node, Place(BEFORE))
            base = self._bases.setdefault(node, of_tensors.get(node.id) or self._trace.name(node))
            self._written[base].append(Written(event, node, place))
            if place.t is not None:
                self._timed[place.graph].add(base)
        for written in self._written.values():
            written.sort(key=lambda one: (one.event, one.node.id))

    # Asking

    def of(self, node: Node) -> str:
        """The full name: "h@3", "W_hh", "matmul#12"."""
        place, base = self.places.get(node), self._bases.get(node) or self._trace.name(node)
        return base if place is None or place.t is None or "#" in base else f"{base}@{place.t}"

    def made_at(self, node: Node) -> int:
        """The event that wrote a node; BEFORE where it was there from the start."""
        return self._made.get(node, BEFORE)

    def __contains__(self, name: str) -> bool:
        return self._base(name.partition("@")[0]) is not None

    def known(self) -> list[str]:
        """Every name, without timesteps, those of unnamed values left out."""
        return [name for name in self._written if "#" not in name]

    def find(self, name: str, now: int, here: Place | None = None) -> Written:
        """What `name` means after event `now`: the newest so far; where there is none yet, the first to come.

        Without a timestep it is the one at `here`, for a name that has timesteps there.

        Raises:
            TraceError: there is no such name, or not at this timestep.
        """
        base, _, step = name.partition("@")
        known = self._base(base)
        if known is None:
            raise TraceError(f"there is no {base!r} in this run; {self._suggestion(base)}")
        written = self._written[known]
        t = (
            int(step)
            if step.lstrip("-").isdecimal()
            else here.t
            if here is not None and not step
            else None
        )
        if t is not None and (
            step or any(one.place.t == t and one.place.graph == _graph(here) for one in written)
        ):
            written = [one for one in written if one.place.t == t] or self._none_at(
                base, step, written
            )
        elif here is not None and here.layer is not None:
            written = [one for one in written if one.place.graph == here.graph] or written
        at = bisect_right(written, now, key=lambda one: one.event)
        return written[at - 1] if at else written[0]

    def _none_at(self, base: str, step: str, written: Sequence[Written]) -> list[Written]:
        times = sorted({one.place.t for one in written if one.place.t is not None})
        there = (
            f"only {base}@{times[0]} to {base}@{times[-1]}" if times else f"{base} has no timesteps"
        )
        raise TraceError(f"there is no {base}@{step}: {there}")

    def all_of(self, name: str) -> list[Written]:
        """Every tensor that has this name, in the order of writing.

        Raises:
            TraceError: there is none.
        """
        base, _, step = name.partition("@")
        known = self._base(base)
        if known is None:
            raise TraceError(f"there is no {base!r} in this run; {self._suggestion(base)}")
        return [one for one in self._written[known] if not step or str(one.place.t) == step]

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

    # Told by the naming of each graph

    def put(self, node: Node, base: str | None, place: Place) -> None:
        event = self._made.get(node, BEFORE)
        self._bases[node] = base or f"{node.op or 'leaf'}#{event if event >= 0 else node.id}"
        self.places[node] = place

    def given(self, node: Node) -> str | None:
        """What the user calls it; None where nobody did."""
        name = self._trace.name(node)
        return None if "#" in name else name


def _graph(here: Place | None) -> int | None:
    return here.graph if here is not None else None


class _Naming:
    """Names the nodes of one connected graph."""

    def __init__(self, names: Names, number: int, nodes: Sequence[Node]) -> None:
        self.names, self.number, self.nodes = names, number, nodes
        made = [node for node in nodes if node.op is not None]
        self.graph = Graph(tuple(nodes), made[-1], {})
        self.network = unroll(self.graph)
        self.times: dict[Node, int] = {}
        self.layers: dict[Node, int] = {}
        self.roles: dict[Node, str] = {}  # what the network calls it: h, c, x

    def name_all(self) -> None:
        if self.network is not None:
            self._place_copies(self.network)
        parameters = parameter_names(self.graph.nodes)
        bases = self._without_echoes({node: self._base(node, parameters) for node in self.nodes})
        repeated = Counter(base for base in bases.values() if base)
        rounds: Counter[str] = Counter()
        for node, base in bases.items():
            t = self.times.get(node)
            if base and self.network is None and repeated[base] > 1 and not node.is_parameter:
                t, rounds[base] = (
                    rounds[base],
                    rounds[base] + 1,
                )  # a loop without copies: its rounds are the timesteps
            self.names.put(node, base, Place(self.number, t, self.layers.get(node)))
        self.names.roles.update(self.roles)

    def _without_echoes(self, bases: dict[Node, str | None]) -> dict[Node, str | None]:
        """Of several values with one name at one place, those named inside this package give way to the last.

        `y = linear(x, W)` inside a module, whose result the user calls y as well, is one y to the
        user.
        """
        last = {
            (base, self.times.get(node)): node for node, base in bases.items() if base is not None
        }
        for node, base in bases.items():
            if base is None or node is last[base, self.times.get(node)] or node.source is None:
                continue
            bases[node] = None if node.source.is_inside_package else base
        return bases

    def _base(self, node: Node, parameters: dict[int, str]) -> str | None:
        if node.id in parameters:
            return parameters[node.id]
        base = self.roles.get(node) or self.names.given(node) or self._slice_of(node)
        layer = self.layers.get(node, 0)
        return f"{base}_l{layer}" if base and layer else base

    def _slice_of(self, node: Node) -> str | None:
        """Element t of a sequence, read at timestep t, is the sequence at t: "x@2" for `x[t]`."""
        t = self.times.get(node)
        if (
            node.op == "getitem"
            and t is not None
            and _is_index(node.options.get("index"), t)
            and node.inputs[0] is not None
        ):
            return self.names.given(node.inputs[0])
        return None

    def _place_copies(self, network: Network) -> None:
        for cell in network.cells:
            row = network.rows[cell.layer]
            for node in cell.nodes:
                self.times[node], self.layers[node] = cell.t, cell.layer
            ours = isinstance(
                cell.nodes[0].scope and _owner(cell.nodes[0], row.kind), RecurrentCell
            )
            for node, state in zip(cell.outputs, row.states, strict=False):
                self.roles[node] = state if ours else self.names.given(node) or state
        for link in network.links:
            if link.kind == "initial":
                self._place_initial(link, network)
        read = Counter(port.node for port in network.ports)
        for port in network.ports:
            if read[port.node] == 1:  # what many timesteps read is of none
                self._place_port(port)
        for node in self.nodes:
            self._follow(node)

    def _place_port(self, port: Port) -> None:
        node = port.node
        if node is not None and node not in self.times and port.column is not None:
            self.times[node] = port.column
            given = self.names.given(node)
            if given is not None or port.kind == "input":
                self.roles[node] = given or "x"

    def _place_initial(self, link: Link, network: Network) -> None:
        _, layer, t = link.target.split("-")
        for node, state in zip(link.values, network.rows[int(layer)].states, strict=False):
            if node not in self.times and not node.is_parameter:
                self.times[node], self.layers[node], self.roles[node] = (
                    int(t) - 1,
                    int(layer),
                    state,
                )

    def _follow(self, node: Node) -> None:
        """What was made of one timestep's values alone belongs to it."""
        if node in self.times or node.op is None or not node.shape:
            return  # a single number, as a loss is, is of the whole run
        found = {self.times.get(x) for x in node.tensors() if not x.is_parameter}
        if len(found) == 1 and (t := found.pop()) is not None:
            self.times[node] = t


def _owner(node: Node, kind: str) -> object:
    scope = node.scope
    while scope is not None and type(scope.owner).__name__ != kind:
        scope = scope.parent
    return scope.owner if scope is not None else None


def _is_index(index: object, t: int) -> bool:
    return isinstance(index, int) and index == t
