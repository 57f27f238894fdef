"""Which calls are the copies: those of the modules and scopes that receive what they made before.

Nothing is declared. A module is recurrent when a call of it receives what another call of it made.
The outermost such module is the cell, less its own calls inside a call (a tree calls itself). Where
its calls themselves hold a loop, the cell is what is called there, and they are steps around it.
"""

from bisect import bisect
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ....autograd import ops
from ....autograd.op import Op
from ....autograd.state import Scope
from ....nn.cells import Cell as RecurrentCell
from ...recording.graph import Node

Key = Hashable  # of the module that is called, or the name of a tg.scope
Calls = Mapping[Scope, Sequence[Scope]]  # each scope -> the calls it lies in, the outermost first

# What a state may pass on its way to the next copy and still be that state: a mask, zoneout, an
# Euler step, an average, dropout.
_functions: tuple[object, ...] = (
    ops.add, ops.sub, ops.neg, ops.mul, ops.div, ops.where, ops.mean, ops.sum
)  # fmt: skip
_LIGHT: frozenset[Op] = frozenset(getattr(function, "op") for function in _functions)  # noqa: B009

# How much a value went through since a call made it.
_LIGHTLY, _WITHOUT_PARAMETERS, _ANYHOW = range(3)


def key_of(call: Scope) -> Key:
    """What calls of one module, or entries of scopes of one name, have in common."""
    return call.owner if isinstance(call.owner, str) else id(call.owner)


def is_light(node: Node) -> bool:
    """Whether what goes through this op is still the same state."""
    return node.is_move or node.rule in _LIGHT


def is_moved(node: Node) -> bool:
    """Whether it is one other value, or a part of it, and nothing computed."""
    return (node.is_move or node.op in ("detach", "astype")) and len(node.tensors()) == 1


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The copies among the calls of a graph.

    Args:
        copy_of: scope -> the call that is the copy it lies in; other scopes are not in it.
        around: scope of a copy -> the call of an outer loop that it is a step of.
    """

    copy_of: Mapping[Scope | None, Scope]
    around: Mapping[Scope, Scope] = field(default_factory=dict[Scope, Scope])


def recurrences_of(nodes: Sequence[Node]) -> tuple[Recurrence, Recurrence]:
    """Find the copies among the calls in which these nodes were made.

    In the second one, where several modules make a step, none of which hands its state to itself,
    the first of them is the cell.
    """
    scopes = {node.scope for node in nodes if node.op is not None and node.scope is not None}
    calls = {scope: scope.chain() for scope in sorted(scopes, key=lambda scope: scope.id)}
    repeated = _repeated(calls)
    levels = _levels(nodes, calls, repeated, frozenset())
    found = {key for key, level in levels.items() if level == _LIGHTLY}
    found |= _known_cells(calls)
    found, around = _without_outer_loops(nodes, calls, found)
    own = Recurrence(_copies(calls, found), around)
    blocked = frozenset(own.copy_of)
    left = [key for key in repeated if not _touches(key, calls, blocked)]
    if not left:
        return own, own
    reading = _keys_that_read_parameters(nodes, calls)
    others = [key for key in _handing_on(nodes, calls, left, own.copy_of) if key in reading]
    if not others:
        return own, own
    return own, Recurrence(_copies(calls, {*found, others[0]}), around)


def _handing_on(
    nodes: Sequence[Node], calls: Calls, keys: Sequence[Key], copies: Mapping[Scope | None, Scope]
) -> list[Key]:
    """Those of which a call receives what another call made, in whatever way.

    What works on the way from copy to copy is a part of each step, though it is called twice there,
    as the gates of a mogrifier are: it would have to hand on something past a copy.
    """
    blocked = frozenset(copies)
    levels = _levels(nodes, calls, keys, blocked)
    between = _between_copies(nodes, calls, blocked) if copies else set[Key]()
    if between.isdisjoint(levels):
        return [key for key in keys if key in levels]
    ids = sorted({copy.id for copy in copies.values()})
    past = _levels(nodes, calls, keys, blocked, ids)
    return [key for key in keys if key in (past if key in between else levels)]


def _between_copies(
    nodes: Sequence[Node], calls: Calls, copies: frozenset[Scope | None]
) -> set[Key]:
    """The keys of calls that depend on copies, and that copies depend on."""
    after: set[Node] = set()
    for node in nodes:
        if node.scope in copies or not after.isdisjoint(node.inputs):
            after.add(node)
    before: set[Node] = set()
    found: set[Key] = set()
    for node in reversed(nodes):
        if node.scope in copies or node in before:
            before.update(node.tensors())
        scope = node.scope
        if scope is not None and scope not in copies and node in before and node in after:
            found.update(map(key_of, calls[scope]))
    return found


def _repeated(calls: Calls) -> list[Key]:
    """What was called more than once, in the order of the first calls."""
    first: dict[Key, Scope] = {}
    repeated: dict[Key, None] = {}
    for chain in calls.values():
        for call in chain:
            if first.setdefault(key_of(call), call) is not call:
                repeated[key_of(call)] = None
    return sorted(repeated, key=lambda key: first[key].id)


def _known_cells(calls: Calls) -> set[Key]:
    """A cell of ours is one with a single timestep, too."""
    every = (call for chain in calls.values() for call in chain)
    return {key_of(call) for call in every if isinstance(call.owner, RecurrentCell)}


def _copies(calls: Calls, found: Iterable[Key]) -> dict[Scope | None, Scope]:
    keys, copies = set(found), dict[Scope | None, Scope]()
    for scope, chain in calls.items():
        key = next((key_of(call) for call in chain if key_of(call) in keys), None)
        if key is not None:
            copies[scope] = next(call for call in reversed(chain) if key_of(call) == key)
    return copies


def _touches(key: Key, calls: Calls, copies: frozenset[Scope | None]) -> bool:
    """Whether it is called in a copy, or has copies in its calls."""
    return any(scope in copies and key in map(key_of, chain) for scope, chain in calls.items())


def _levels(
    nodes: Sequence[Node],
    calls: Calls,
    keys: Sequence[Key],
    blocked: frozenset[Scope | None],
    past: Sequence[int] = (),
) -> dict[Key, int]:
    """Of each key a call of which receives what another call made: how lightly, at best.

    `past`: the ids of calls one of which must have been made meanwhile, in order; none: no matter.
    """
    if not keys:
        return {}
    within: dict[Scope | None, dict[Key, Scope]] = {
        scope: {key_of(call): call for call in chain if key_of(call) in keys}
        for scope, chain in calls.items()
    }
    found: dict[Key, int] = {}
    carried: dict[Node | None, _Carried] = {}
    nothing_made: _Carried = {}
    made = {
        scope: {key: (call, _LIGHTLY) for key, call in own.items()} for scope, own in within.items()
    }
    for node in nodes:
        if node.op is None or node.op == "detach" or node.scope in blocked:
            continue
        own_made = made.get(node.scope, nothing_made)
        others = [carried[x] for x in node.inputs if carried.get(x, own_made) is not own_made]
        if not others:  # as inside a call, whose ops read each other
            carried[node] = own_made
            continue
        own = within.get(node.scope, {})
        passed: _Carried = {}
        cost = _cost(node)
        for given in others:
            for key, (call, level) in given.items():
                if key not in own:
                    _pass_on(passed, key, call, max(level, cost))
                elif own[key] is not call and _is_past(call, own[key], past):
                    found[key] = min(level, found.get(key, _ANYHOW))
        if passed or own_made:
            carried[node] = passed | own_made if passed else own_made
    return found


def _is_past(call: Scope, later: Scope, past: Sequence[int]) -> bool:
    return not past or bisect(past, call.id) < bisect(past, later.id)


# key -> the newest call whose output a value carries, and how lightly
_Carried = dict[Key, tuple[Scope, int]]


def _pass_on(passed: _Carried, key: Key, call: Scope, level: int) -> None:
    """Keep what came most lightly, and of that the newest."""
    known = passed.get(key)
    if known is None or (level, -call.id) < (known[1], -known[0].id):
        passed[key] = call, level


def _cost(node: Node) -> int:
    if node.reads_a_parameter:
        return _ANYHOW
    return _LIGHTLY if is_light(node) else _WITHOUT_PARAMETERS


def _keys_that_read_parameters(nodes: Iterable[Node], calls: Calls) -> set[Key]:
    """The keys of modules that read parameters: dropout or an activation is not a cell."""
    reading = {node.scope for node in nodes if node.scope is not None and node.reads_a_parameter}
    return {key_of(call) for scope in reading if scope in calls for call in calls[scope]}


def _without_outer_loops(
    nodes: Sequence[Node], calls: Calls, found: set[Key]
) -> tuple[set[Key], dict[Scope, Scope]]:
    """Let go of what has a loop inside each of its calls: its calls are steps of an outer loop."""
    around: dict[Scope, Scope] = {}
    while True:
        outer = _outer_loops(calls, found)
        if not outer:
            return found, around
        found = found - outer
        copies = _copies(calls, found)
        for scope, chain in calls.items():
            if scope in copies:
                steps = [call for call in chain if key_of(call) in outer]
                if steps:
                    around[copies[scope]] = steps[-1]


def _outer_loops(calls: Calls, found: set[Key]) -> set[Key]:
    """Those of which one call holds two calls of another recurrent module, side by side."""
    inside: dict[tuple[Scope, Key], set[Scope]] = {}
    for chain in calls.values():
        recurrent = [call for call in chain if key_of(call) in found]
        for outer, inner in pairwise(recurrent):
            if key_of(outer) != key_of(inner):
                inside.setdefault((outer, key_of(inner)), set()).add(inner)
    return {key_of(outer) for (outer, _), inner in inside.items() if len(inner) > 1}
