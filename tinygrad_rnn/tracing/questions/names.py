"""The name of every tensor of a recorded run, and the copy it belongs to.

A name is the tensor's own, else that of the variable it was bound to, else "op#event". Inside
copies it carries the timestep: "h@3" is h at t = 3, "h_l1@3" the same in the layer above, as
parameters of layer 1 end in "_l1". A parameter is called as its module knows it. A name may be
written more than once; a moment of the run decides which is meant, or the training step does:
"h@30:3" is h at t = 3 of step 30, "loss@30:" the loss of step 30.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy as copied
from itertools import count
from math import inf
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, TypeVar, cast

from ...autograd.state import Scope
from ...cached import cached_property
from ...errors import TraceError
from ...nn.module import Module
from ..network.blocks import network_of
from ..network.copies.cells import Cells
from ..network.copies.copies import Copy
from ..network.copies.sites import frozen
from ..network.parameters import names_in, parameter_names
from ..network.quotient import Piece, place_of
from ..network.words.naming import Naming, naming_of
from ..recording.event import Event, Failure, Forward, Update, Vjp
from ..recording.graph import Node, leaf_node
from ..recording.run import Run
from ..recording.steps import Steps

_T = TypeVar("_T")
BEFORE = -1  # the event at which what existed before the recording was written

GivenName = Callable[[Node], str | None]  # what the user calls a tensor; None where nobody did


class Place(NamedTuple):
    """Where a tensor stands: at timestep `t` in row `layer`, in graph number `graph` of the run."""

    graph: int
    t: int | None = None
    layer: int | None = None


def _in_graph(number: int, place: Place) -> Place:
    return Place(number, place.t, place.layer)  # `_replace` takes several times as long


class Written(NamedTuple):
    """One tensor that has a name, and the event that wrote it."""

    event: int
    node: Node
    place: Place
    step: int  # the training step that it belongs to


class Names:
    """The names of one run, as far as it was recorded when they were asked for."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.steps = Steps(run.events)
        self._made = _first_written(run.events)
        self.places: dict[Node, Place] = {}
        self._leaves = Counter[int]()
        # what copies are fed, pass on and put out: x, h, c, y
        self.roles: set[Node] = set()
        # the name without its timestep
        self._bases: dict[Node, str] = {}
        # What an earlier step made is called otherwise where a later one reads it: h@4 is its h@-1.
        # The one input of a timestep is its x, whatever the program calls it.
        self._also: list[tuple[str, Written]] = []
        # The first graph of each wiring: those of other training steps are named as it was.
        first: dict[Hashable, Sequence[Node]] = {}
        self._borrowed: dict[Node, dict[Node, tuple[str, Written]]] = {}
        graphs = _connected(run.events, self.steps)
        for number, nodes in enumerate(graphs):
            model = nodes if len(graphs) == 1 else first.setdefault(self._wiring(nodes), nodes)
            if model is nodes:
                self._name_graph(number, nodes)
            else:
                self._name_alike(number, nodes, model)
        self.unread: list[Node] = []
        self._name_the_rest()

    def _name_graph(self, number: int, nodes: Sequence[Node]) -> None:
        made = [node for node in nodes if node.op is not None and node not in self.places]
        # What an earlier step made is given to this one.
        own = (node for node in nodes if node.op is None or node not in self.places)
        naming = naming_of(tuple(own), self._run.owners)
        placing = _Placing(self._given)
        if naming is not None:
            placing.place(naming, nodes)
        bases = _base_names(nodes, placing, self._given, self._run.owners)
        times = placing.times if naming is not None else _rounds(bases)
        step, borrowed = self.steps.of(self._made[made[-1]]), dict[Node, tuple[str, Written]]()
        known = set(bases.values())
        inputs = placing.inputs if "x" not in known else set[Node]()
        for node, base in bases.items():
            place = Place(number, times.get(node), placing.layers.get(node))
            if node.op is not None and node in self.places:
                if base and place.t is not None:
                    self._also.append((base, Written(self._made[node], node, place, step)))
                    borrowed[node] = self._also[-1]
                continue
            self._bases[node] = base or self._numbered(node)
            self.places[node] = place
            also = "x" if node in inputs else placing.also.get(node)
            if also is None and node.op is None:  # an initial state, say, is called h@-1
                also = self._given(node)
            if also is not None and (node in inputs or also not in known):
                self._also.append((also, Written(self._made[node], node, place, step)))
                borrowed[node] = self._also[-1]
        self.roles.update(placing.roles)
        self._borrowed[nodes[-1]] = borrowed

    def _name_alike(self, number: int, nodes: Sequence[Node], model: Sequence[Node]) -> None:
        """Name a graph as another of the same wiring was named."""
        borrowed, bases, places = self._borrowed[model[-1]], self._bases, self.places
        step = self.steps.of(self._made[nodes[-1]])
        for node, named in zip(nodes, model, strict=True):
            if named in borrowed:
                base, written = borrowed[named]
                place = _in_graph(number, written.place)
                self._also.append((base, Written(self._made[node], node, place, step)))
            if node.op is not None and node in places:
                continue
            base = bases[named]
            bases[node] = self._numbered(node) if "#" in base else base
            places[node] = _in_graph(number, places[named])
            if named in self.roles:
                self.roles.add(node)

    def _wiring(self, nodes: Sequence[Node]) -> Hashable:
        """All that names and places in a graph depend on: graphs of one wiring are named alike."""
        at: dict[Node | None, int] = {}
        calls: dict[Scope | None, int] = {None: 0}
        parts: list[Any] = []
        given_name = self._run.given_name
        for node in nodes:
            if node.scope not in calls:
                parts += _note_calls(node.scope, calls)
            call, given = calls[node.scope], given_name(node)
            if node.op is None:
                parts.append((node.is_parameter and node.id, node.shape, call, given, node.name))
            elif node in self.places:
                parts.append(node.shape)
            else:
                inputs = tuple([at.get(x) for x in node.inputs])
                options = frozen(node.options) if node.options else ()
                about = id(node.source), id(node.rule)
                parts.append((node.op, inputs, call, given, node.shape, *about, options))
            at[node] = len(at)
        return tuple(parts)

    def _modules(self) -> list[Module]:
        """The modules that were called, in the order of their first calls."""
        scopes = {event.scope for event in self._run.events if event.scope is not None}
        calls = {call for scope in scopes for call in scope.chain()}
        in_order = sorted(calls, key=lambda call: call.id)
        owners = {id(call.owner): call.owner for call in in_order}
        return [owner for owner in owners.values() if isinstance(owner, Module)]

    def _given(self, node: Node) -> str | None:
        name = self._run.given_name(node) or node.given_name
        return name if name and "#" not in name else None

    def _numbered(self, node: Node) -> str:
        event = self._made.get(node, BEFORE)
        if node.op is not None or event == BEFORE:
            return f"{node.op or 'leaf'}#{node.id if event == BEFORE else event}"
        self._leaves[event] += 1  # an event may be the first that reads several
        which = f"_{self._leaves[event]}" if self._leaves[event] > 1 else ""
        return f"leaf{which}#{event}"

    def _name_the_rest(self) -> None:
        """What no op has read yet: new values of a leaf are called as the old ones.

        The parameters that no op reads at all have the names that their modules give them.
        """
        modules = self._modules()
        seen = {node.id for node in self._made}
        for parameter in (x for module in modules for x in module.parameters()):
            if parameter.id not in seen:
                seen.add(parameter.id)
                self.unread.append(leaf_node(parameter, parameter.data))
        self._made |= dict.fromkeys(self.unread, BEFORE)
        unnamed = [node for node in self._made if node not in self._bases]
        ids = {node.id for node in unnamed}
        of_tensors = names_in(modules)
        of_tensors |= {node.id: base for node, base in self._bases.items() if node.id in ids}
        for node in unnamed:
            self._bases[node] = of_tensors.get(node.id) or self._run.name(node)
            self.places[node] = Place(BEFORE)

    @cached_property
    def _written(self) -> dict[str, list[Written]]:
        """By name without its timestep, in the order of writing."""
        by_name: defaultdict[str, list[Written]] = defaultdict(list)
        bases, places, starts = self._bases, self.places, self.steps.starts
        step, first, end = 0, 0, 0.0  # of the step that was asked for last, as most are of one
        for node, event in self._made.items():
            if not first <= event < end:
                step = self.steps.of(event)
                first = starts[step]
                end = starts[step + 1] if step + 1 < len(starts) else inf
            by_name[bases[node]].append(Written(event, node, places[node], step))
        for base, also in self._also:
            by_name[base].append(also)
        for found in by_name.values():
            found.sort(key=itemgetter(0))  # by event
        return dict(by_name)

    def of_branch(self, run: Run, nodes: Mapping[Node, Node]) -> "Names":
        """The names of a run of the same events, in which `nodes` stand for some of these nodes."""
        made = copied(self)
        made.__dict__["_written"] = dict(self._written)
        made._run = run
        made.places = _renamed(self.places, nodes)
        made.roles = {nodes.get(node, node) for node in self.roles}
        made._made, made._bases = _renamed(self._made, nodes), _renamed(self._bases, nodes)
        bases = {self._bases[node] for node in nodes if node in self._bases}
        bases |= {base for base, also in self._also if also.node in nodes}
        for base in bases:
            made._written[base] = [
                one._replace(node=nodes.get(one.node, one.node)) for one in self._written[base]
            ]
        return made

    # Asking

    def of(self, node: Node) -> str:
        """The full name: "h@3", "W_hh", "matmul#12"."""
        place = self.places.get(node)
        base = self._bases.get(node) or self._run.name(node)
        if place is None or place.t is None or "#" in base:
            return base
        return f"{base}@{place.t}"

    def in_formula(self, node: Node, subject: Node) -> str:
        """What the formula of `subject` calls a node of it.

        Where another one there has its name, it is called after the event that wrote it, so that
        `cost = cost + new` reads "cost = cost#57 + new".
        """
        name, event = self.of(node), self.made_at(node)
        if node is subject or event == BEFORE or "#" in name:
            return name
        # A parameter that was updated since is the same tensor: it has another node, and one id.
        others = (x for x in (subject, *subject.tensors()) if x.id != node.id)
        alike = (x for x in others if self.of(x) == name)
        return f"{name.partition('@')[0]}#{event}" if any(alike) else name

    def made_at(self, node: Node) -> int:
        """The event that wrote a node; BEFORE where it was there from the start."""
        return self._made.get(node, BEFORE)

    def written(self, node: Node) -> Written:
        """When and where a node was written."""
        event = self._made[node]
        return Written(event, node, self.places[node], self.steps.of(event))

    def __contains__(self, name: str) -> bool:
        return self._base(name.partition("@")[0]) is not None

    def known(self) -> list[str]:
        """Every name, without timesteps, those of unnamed values left out."""
        return [name for name in self._written if "#" not in name]

    def find(self, name: str, now: int, here: Place | None = None) -> Written:
        """What `name` means after event `now`: the newest so far, else the first to come.

        Without a timestep it is the one at `here`, for a name that has timesteps there. A name may
        be one that only a picture gives, as to outputs that the program does not name.

        Raises:
            TraceError: there is no such name, or not at this timestep or in this training step.
        """
        try:
            return self._find(name, now, here)
        except TraceError:
            shown = self._in_picture.get(name) if "@" in name else None
            if shown is None:
                raise
            node, where = shown
            if where is not None:
                raise TraceError(
                    f"{name} is a part of another value: {self.of(node)}{where.text}"
                ) from None
            return self.written(node)

    def _find(self, name: str, now: int, here: Place | None) -> Written:
        base, _, at = name.partition("@")
        written = self._all_called(base)
        if at.endswith(":"):
            written = _in_step(_step_number(at[:-1]), base, written, self.steps)
        elif at:
            written = _at_timestep(at, base, written)
        elif here is not None:
            near = _nearest(written, here)
            if near[0].event > now:  # then the one before it, of an earlier training step
                near = [one for one in written if one.place.t == near[0].place.t]
            written = near
        newest = bisect_right(written, now, key=lambda one: one.event)
        return written[max(newest - 1, 0)]

    @cached_property
    def _in_picture(self) -> Mapping[str, Piece]:
        """The inputs and outputs in a picture of the run, "y@3" for y₃: each name is of one."""
        quotient = network_of(self._run.graph())
        if quotient is None:
            return {}
        shown = [(output.label, output.value) for output in quotient.outputs]
        shown += [
            (block.label, block.outputs[0])
            for block in quotient.blocks
            if block.kind == "input" and len(block.outputs) == 1
        ]
        found: defaultdict[str, set[Piece]] = defaultdict(set)
        for label, piece in shown:
            found[place_of(label)].add(piece)
        return {name: next(iter(pieces)) for name, pieces in found.items() if len(pieces) == 1}

    def all_of(self, name: str) -> list[Written]:
        """Every tensor that has this name, in the order of writing.

        Raises:
            TraceError: there is none.
        """
        base, _, at = name.partition("@")
        step, _, t = at.rpartition(":")
        found = self._all_called(base)
        if t:
            found = [one for one in found if str(one.place.t) == t]
        return [one for one in found if not step or str(one.step) == step]

    def _all_called(self, base: str) -> list[Written]:
        known = self._base(base)
        if known is not None:
            return self._written[known]
        name, _, event = base.rpartition("#")
        known = self._base(name) if event.isdecimal() else None
        found = [] if known is None else self._written[known]
        found = [one for one in found if str(one.event) == event]
        if not found:
            raise TraceError(f"there is no {base!r} in this run; {self._suggestion(base)}")
        return found

    def _base(self, name: str) -> str | None:
        """A module's variable may stand before its parameters, `rnn.W_hh`, or be left out."""
        whole = name
        while name not in self._written:
            _, dot, name = name.partition(".")
            if not dot:
                return self._only_one_in_a_module(whole) or self._only_one_in_its_row(whole)
        return name

    def _only_one_in_a_module(self, name: str) -> str | None:
        found = [known for known in self._written if known.endswith(f".{name}")]
        return found[0] if len(found) == 1 else None

    def _only_one_in_its_row(self, name: str) -> str | None:
        """A row may stand behind a name, "s_l2", also where no lower row has the same."""
        base, _, row = name.rpartition("_l")
        rows = {
            str(one.place.layer) for one in self._written.get(base, ()) if one.place.t is not None
        }
        return base if rows == {row} else None

    def _suggestion(self, name: str) -> str:
        from difflib import get_close_matches

        known = self.known()
        close = get_close_matches(name, known, n=3, cutoff=0.5) or known[:8]
        return f"perhaps {', '.join(close)}" if close else "nothing in it has a name"


def _renamed(known: Mapping[Node, _T], nodes: Mapping[Node, Node]) -> dict[Node, _T]:
    """The same of other nodes, in the same order."""
    return {nodes.get(node, node): value for node, value in known.items()}


def _at_timestep(at: str, base: str, written: Sequence[Written]) -> list[Written]:
    """Those of "3", or of "30:3", which is t = 3 of step 30."""
    step, _, t = at.rpartition(":")
    in_step = written
    if step:
        number = _step_number(step)
        in_step = [one for one in written if one.step == number]
    found = [one for one in in_step if str(one.place.t) == t]
    if found:
        return found
    times = sorted({one.place.t for one in in_step if one.place.t is not None})
    before = f"{base}@{step}:" if step else f"{base}@"
    there = f"{base} has no timesteps"
    if times:
        there = f"only {_ranges(before, times)}"
    elif not in_step:
        there = _only_steps(base, written)
    raise TraceError(f"there is no {base}@{at}: {there}")


def _step_number(text: str) -> int:
    """Which training step is meant."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise TraceError(f"a training step is a whole number, as in h@30:3, not {text!r:.40}")
    return int(text)


def _in_step(step: int, base: str, written: Sequence[Written], steps: Steps) -> Sequence[Written]:
    """Those of one training step; of a parameter, what the step began with."""
    if step >= len(steps):
        raise TraceError(f"there is no step {step}: the run has {len(steps)}, from 0")
    if written[0].node.is_parameter:
        began = [one for one in written if one.event < steps.first(step)]
        return began[-1:] or written[:1]
    found = [one for one in written if one.step == step]
    if not found:
        raise TraceError(f"there is no {base}@{step}: ; {_only_steps(base, written)}")
    return found


def _only_steps(base: str, written: Sequence[Written]) -> str:
    steps = sorted({one.step for one in written})
    return f"{base} is written in step {_ranges('', steps)}"


def _ranges(before: str, numbers: Sequence[int]) -> str:
    """Sorted numbers as people write them: "h@-1, h@2 to h@5"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join(" to ".join(f"{before}{end}" for end in one) for one in ranges)


def _nearest(written: list[Written], here: Place) -> list[Written]:
    """Those at this timestep; inside a copy else those in its graph, if there are any."""
    if here.t is not None:
        at_step = [one for one in written if one.place.t == here.t]
        if any(one.place.graph == here.graph for one in at_step):
            return at_step
    if here.layer is not None:
        return [one for one in written if one.place.graph == here.graph] or written
    return written


def _note_calls(scope: Scope | None, calls: dict[Scope | None, int]) -> Iterator[Any]:
    """Number a call and those around it, and say whose calls these are."""
    for call in () if scope is None else scope.chain():
        if call not in calls:
            calls[call] = len(calls)
            owner = call.owner if isinstance(call.owner, str) else id(call.owner)
            yield calls[call.parent], call.name, owner


# Collecting what there is to name


def _first_written(events: Iterable[Event]) -> dict[Node, int]:
    """When each node was written: a leaf when it is first seen, a parameter before everything."""
    written: dict[Node, int] = {}
    for event in events:
        if isinstance(event, Vjp) and event.output in written:  # most of them
            continue
        read = event.inputs if isinstance(event, Forward | Failure) else ()
        for x in (*read, event.output):
            if x is not None and x not in written:
                was_there = x.is_parameter and not isinstance(event, Update)
                written[x] = BEFORE if was_there else event.index
    return written


def _connected(events: Iterable[Event], steps: Steps) -> list[list[Node]]:
    """The nodes of each connected graph of a training step, with the leaves they use.

    Graphs that share a leaf alone are not connected; nor are those of two training steps, where
    a state is carried from one to the next.
    """
    group: dict[Node | None, int] = {}
    members: dict[int, list[Node]] = {}
    numbers = count()
    following, ends = 0, [*steps.starts[1:], None]
    for event in events:
        if event.index == ends[following]:
            group.clear()
            following += 1
        if not isinstance(event, Forward):
            continue
        node = event.output
        found = {group[x] for x in node.inputs if x in group}
        if len(found) == 1:  # most often
            largest = found.pop()
        else:
            largest = _joined(found, group, members) if found else next(numbers)
        group[node] = largest
        members.setdefault(largest, []).append(node)
    return [_with_leaves(nodes) for _, nodes in sorted(members.items())]


def _joined(
    found: Iterable[int], group: dict[Node | None, int], members: dict[int, list[Node]]
) -> int:
    """One group of several: the others join the largest, so that few nodes change their group."""
    largest, *others = sorted(found, key=lambda g: -len(members[g]))
    for other in others:
        for x in members[other]:
            group[x] = largest
        members[largest] += members.pop(other)
    return largest


def _with_leaves(nodes: Iterable[Node]) -> list[Node]:
    seen: dict[Node | None, None] = dict.fromkeys(nodes)
    for node in nodes:
        for x in node.inputs:
            seen[x] = None
    seen.pop(None, None)
    return sorted(cast("Iterable[Node]", seen), key=attrgetter("id"))


# Names of one connected graph


def _base_names(
    nodes: Sequence[Node], placing: "_Placing", given: GivenName, owners: Mapping[int, str]
) -> dict[Node, str | None]:
    """The names without timesteps; None for what nobody named.

    What a lower row calls something, too, has its row behind it.
    """
    parameters = parameter_names(nodes, owners)
    bases: dict[Node, str | None] = {}
    rows: dict[str, set[int]] = defaultdict(set)
    for node in nodes:
        base = parameters.get(node.id)
        if base is None:
            base = placing.roles.get(node) or given(node) or _slice_of(node, placing, given)
            if base and node in placing.layers:
                rows[base].add(placing.layers[node])
        bases[node] = base
    for node, row in placing.layers.items():
        base = bases.get(node)
        if base and node.id not in parameters and row > min(rows[base]):
            bases[node] = f"{base}_l{row}"
    return _without_echoes(bases, placing)


def _slice_of(node: Node, placing: "_Placing", given: GivenName) -> str | None:
    """Element t of a sequence, read at timestep t, is the sequence at t: "x@2" for `x[t]`."""
    if node.op != "getitem":
        return None
    t, index = placing.times.get(node), node.options.get("index")
    sequence = next(iter(node.tensors()), None)
    if not isinstance(index, int) or index != t or sequence is None:
        return None
    return given(sequence)


def _without_echoes(bases: dict[Node, str | None], placing: "_Placing") -> dict[Node, str | None]:
    """Of values with one name at one place, those named inside this package give way to the last.

    `y = linear(x, W)` inside a module, whose result the user calls y as well, is one y to the
    user.
    """
    last = {(base, placing.times.get(node)): node for node, base in bases.items() if base}
    kept = bases.copy()
    for node, base in bases.items():
        if not base:
            continue
        is_last = node is last[base, placing.times.get(node)]
        if not is_last and node.source is not None and node.source.is_inside_package:
            kept[node] = None
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
        # what one of our cells calls a state itself, where the program calls it otherwise
        self.also: dict[Node, str] = {}
        # those that are alone at their timestep
        self.inputs: set[Node] = set()
        self._given = given

    def place(self, naming: Naming, nodes: Iterable[Node]) -> None:
        """Place copies, then states and inputs, then what was made of these."""
        for copy in naming.cells.all:
            self._place_copy(copy, naming)
        for copy in naming.cells.all:
            if not copy.before:
                self._place_initial(copy, naming)
        self._place_inputs(naming, nodes)
        for node in nodes:
            if node not in self.times and node.op is not None and node.shape:
                self._follow(node)

    def _place_copy(self, copy: Copy, naming: Naming) -> None:
        t = naming.time(copy)
        for node in copy.nodes:
            self.times[node], self.layers[node] = t, copy.row
        loop = naming.cells.loops[copy.row]
        prime = naming.prime(copy)
        for place, name in zip(loop.made[copy.made], naming.states[id(loop)], strict=False):
            self.roles[copy.nodes[place]] = name + prime
        for place, name in zip(loop.made[copy.made], loop.own, strict=False):
            if name and self.roles[copy.nodes[place]] != name:
                self.also[copy.nodes[place]] = f"{name}_l{copy.row}" if copy.row else name

    def _place_initial(self, copy: Copy, naming: Naming) -> None:
        loop = naming.cells.loops[copy.row]
        entries = loop.states[copy.made]
        for group, name in zip(entries, naming.names_begun(copy), strict=False):
            node = copy.read(group[0])
            if node in naming.cells.joined:
                continue  # a state and an input in one array, which is neither
            if node not in self.times and not node.is_parameter:
                self.times[node], self.layers[node] = naming.time_before(copy), copy.row
                self.roles[node] = name

    def _place_inputs(self, naming: Naming, nodes: Iterable[Node]) -> None:
        """What no copy made, and the copies of one timestep alone read, is its x."""
        given = _made_of_leaves(nodes, naming.cells)
        readers: dict[Node, set[int]] = {}
        for copy in naming.cells.all:
            loop = naming.cells.loops[copy.row]
            for entry in copy.made.given:
                x = copy.read(entry)
                if x in given and x not in self.times and not loop.is_state(copy, entry):
                    readers.setdefault(x, set()).add(naming.time(copy))
        for x, times in readers.items():
            if len(times) == 1:
                (time,) = times
                self.times[x] = time - (x in naming.fed_back)
                self.roles[x] = self._given(x) or naming.nameless_input
        read = [x for x in readers if x in self.roles]
        alone = Counter(self.times[x] for x in read)
        self.inputs.update(x for x in read if alone[self.times[x]] == 1)

    def _follow(self, node: Node) -> None:
        """What was made of one timestep's values alone belongs to it.

        A single number, as a loss is, is of the whole run.
        """
        read = (x for x in node.tensors() if x.op is not None or x in self.times)
        found = {self.times.get(x) for x in read}
        times = {t for t in found if t is not None}
        # h = h + f(h) is made of this step's f and of the h before it
        if times and times == found and max(times) - min(times) <= 1:
            self.times[node] = max(times)


def _made_of_leaves(nodes: Iterable[Node], cells: Cells) -> set[Node | None]:
    """Leaves, and what is made of leaves alone."""
    found: set[Node | None] = {None}
    of = cells.of
    for node in nodes:
        if of(node) is None and found.issuperset(node.inputs):
            found.add(node)
    return found
