"""The changes of a recorded run, such as "h@3[1] = 0", and how each is applied."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...errors import TraceError
from ..questions.queries import GRADIENT, Queries
from ..recording.event import Accumulate, Event, Forward, Seed, Update, Vjp
from ..recording.graph import Node
from .program import Program

Index: TypeAlias = tuple[Any, ...]

_PLACE = re.compile(
    r"""
    \s*(?P<gradient>d\.(?=\S))?
    (?P<name>[^@\[\]\s]+)                       # h, rnn.W_hh, tanh#12
    (?P<at>@(?:[0-9]{1,9}:)?(?:-?[0-9]{1,9})?)?     # @3, @30:3, @30:
    \s*(?:\[(?P<index>[^\[\]]*)\])?\s*
    """,
    re.VERBOSE,
)
_PART = re.compile(r"(?:-?[0-9]{1,9})?(?::(?:-?[0-9]{1,9})?){0,2}|\.\.\.")
_FORMS = "h@3, f@2[0,5], d.h@4, W_hh or, in training step 30, h@30:3"
_AT_A_CURSOR = ("out", "G", "A", "B", "C")


@dataclass(frozen=True, slots=True)
class OfNode:
    """A value: `node`, from event `first` on."""

    node: Node
    first: int


@dataclass(frozen=True, slots=True)
class OfGradient:
    """∂L/∂ tensor `id`, once it is summed, in the backward pass that event `seed` began."""

    id: int
    seed: int
    first: int  # the event that reads it first


@dataclass(frozen=True, slots=True)
class OfTerm:
    """The one term of a gradient that event `event` handed on."""

    event: int


Target: TypeAlias = OfNode | OfGradient | OfTerm


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One change.

    Args:
        text: as people write it: "h@3[1] = 0".
        target: what is changed.
        index: the part of it; None for all.
        value: a number, an array, or a function of what would be there.
    """

    text: str
    target: Target
    index: Index | None
    value: Any

    @property
    def first(self) -> int:
        """The first event that changes."""
        match self.target:
            case OfNode(first=event) | OfGradient(first=event) | OfTerm(event=event):
                return event

    def sets(self, event: Event) -> bool:
        """Whether it is this event, of the recorded run, whose own value or cotangent it is."""
        match self.target, event:
            case OfNode(node=node), Forward(output=made) | Update(output=made):
                return made is node
            case OfTerm(event=index), _:
                return event.index == index
            case OfGradient(id=id), Vjp(of=node):
                return node.id == id
            case OfGradient(id=id), Seed(output=node) | Accumulate(output=node):
                return node.id == id
            case _:
                return False

    def applied(self, array: Array) -> Array:
        """The changed array, in place of the one that would be there.

        Raises:
            TraceError: there is no such part, or the value has another shape or dtype.
        """
        whole = self.index is None
        try:
            part = array if whole else array[self.index]
        except IndexError:
            raise TraceError(
                f"what_if: there is no {self.text}: its shape is {array.shape}"
            ) from None
        value = self.value(part) if callable(self.value) else self.value
        made = self._fitting(value, np.asarray(part))
        changed = np.array(array, order="K")
        if whole:
            changed[...] = made
        else:
            changed[self.index] = made
        changed.flags.writeable = False
        return changed

    def _fitting(self, value: Any, part: Array) -> Array:
        """The value as an array of the part's shape, or as one number."""
        kind = type(value).__name__
        data: Any = value.data if isinstance(value, Tensor) else value
        made: Array = np.asarray(data)
        is_number = made.ndim == 0 and not isinstance(value, np.ndarray | Tensor)
        if made.dtype.kind not in "fiub":
            raise TraceError(f"what_if: {self.text}: {kind} is not a number or an array")
        if made.shape != part.shape and not is_number:
            raise TraceError(
                f"what_if: {self.text} has shape {part.shape}, and the value {made.shape}"
            )
        if is_number and made.dtype.kind in "iu" and part.dtype.kind in "iu":
            bounds = np.iinfo(part.dtype)
            fits = bounds.min <= int(made) <= bounds.max
        else:
            fits = np.can_cast(made.dtype, part.dtype, "same_kind")
        if not fits:
            raise TraceError(
                f"what_if: {self.text} is of dtype {part.dtype}, and the value of {made.dtype}; "
                "astype() it"
            )
        return made


def edits_of(program: Program, changes: Mapping[str, Any]) -> list[Edit]:
    """The changes that a user wrote, by their places.

    Raises:
        TypeError: they are not a mapping from texts.
        TraceError: a name is unknown, or what it means cannot be changed.
    """
    if not isinstance(changes, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            'what_if: changes are a dict, {"h@3": 0}, or {} for none, '
            f"not {type(changes).__name__}"
        )
    return [edit_of(program, place, value) for place, value in changes.items()]


def edit_of(
    program: Program, place: str, value: Any, now: int | None = None, text: str | None = None
) -> Edit:
    """One change, by its place.

    Args:
        program: the recorded run.
        place: "h@3", "f@2[0,5]", "d.h@4", "W_hh" …
        value: a number, an array or Tensor, or a function of the array that would be there.
        now: the event at which the place is meant; without one it is the last of its name, of a
            parameter the first.
        text: how it is called.

    Raises:
        TraceError: there is no such place, or it cannot be changed.
    """
    match = _matched(place)
    name, index = match["name"] + (match["at"] or ""), _index(place, match["index"])
    if name in _AT_A_CURSOR and name not in program.queries.names:
        raise TraceError(
            f"what_if: {name} is what one event has: change it in the debugger, at its cursor"
        )
    last = len(program.run.events) - 1 if now is None else now
    if match["gradient"]:
        target: Target = gradient_target(program, name, last)
    else:
        target = _value_target(program, name, last, is_first=now is None)
    return Edit(text or place.strip(), target, index, value)


def value_at(queries: Queries, place: str) -> Any:
    """What a place holds at the end of a run.

    Raises:
        TraceError: there is no such place, or it is gone.
    """
    match = _matched(place)
    name = (GRADIENT if match["gradient"] else "") + match["name"] + (match["at"] or "")
    value, index = queries.value(name, len(queries.run.events) - 1), _index(place, match["index"])
    try:
        return value if index is None else value[index]
    except IndexError:
        raise TraceError(f"there is no {place}: the shape of {name} is {value.shape}") from None


def node_at(queries: Queries, place: str) -> tuple[Node, Index | None]:
    """The node that a place means at the end of a run, and which part of it.

    Raises:
        TraceError: there is no such place, or it is a gradient.
    """
    match = _matched(place)
    if match["gradient"]:
        raise TraceError(f"{place} is a gradient: name a value, as y@9")
    node = queries.find(match["name"] + (match["at"] or ""), len(queries.run.events) - 1).node
    index = _index(place, match["index"])
    try:
        np.empty(node.shape)[... if index is None else index]
    except IndexError:
        raise TraceError(f"there is no {place}: its shape is {node.shape}") from None
    return node, index


def _matched(place: str) -> re.Match[str]:
    match = _PLACE.fullmatch(place) if isinstance(place, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if match is None:
        raise TraceError(f"{place!r:.60} is not a place in a run; write {_FORMS}")
    return match


def _index(place: str, written: str | None) -> Index | None:
    if written is None:
        return None
    parts = [part.strip() for part in written.split(",")] if written.strip() else []
    if not all(part and _PART.fullmatch(part) for part in parts):
        raise TraceError(f"what_if: {place!r:.60}: an element is h@3[0,5], a part h@3[:,1:4]")
    return tuple(map(_index_part, parts))


def _index_part(part: str) -> Any:
    if part == "...":
        return ...
    if ":" not in part:
        return int(part)
    return slice(*(int(end) if end else None for end in part.split(":")))


def _value_target(program: Program, name: str, now: int, is_first: bool) -> OfNode:
    names = program.queries.names
    written = program.queries.find(name, now)
    if is_first and "@" not in name:
        # What was sliced from a parameter may be called as it is: the parameter itself is meant.
        called = (one for one in names.all_of(name) if one.node.is_parameter)
        written = next(called, written)
    if written.node in names.unread:
        raise TraceError(f"what_if: no op of this run reads {name}: nothing would be another")
    return _node_target(program, written.node, name)


def _node_target(program: Program, node: Node, name: str) -> OfNode:
    event = max(program.queries.names.made_at(node), 0)
    if node.op is not None:
        made = program.run.events[event]
        if not isinstance(made, Forward) or made.output is not node:
            raise TraceError(
                f"what_if: {name} was computed before the recording began, by {node.op}: only what "
                "the recording saw computed can be another"
            )
    return OfNode(node, event)


def gradient_target(program: Program, name: str, now: int) -> OfGradient:
    """∂L/∂name in the last backward pass that reached it by then.

    Raises:
        TraceError: there is no such name, or no pass reached it.
    """
    queries = program.queries
    node, now = queries.find(name, now).node, queries.moment(name, now)
    came = queries.received(node, -1, now)
    seeds = [seed for seed in queries.seeds if seed <= now and program.starts_at(seed, node.id)]
    if came:
        seeds.append(queries.pass_of(came[-1]) or 0)
    if not seeds:
        queries.value(GRADIENT + name, now)  # it says why there is none
        raise TraceError(f"what_if: no backward pass reaches {name}")
    return gradient_in(program, node, max(seeds), GRADIENT + name)


def gradient_in(program: Program, node: Node, seed: int, name: str) -> OfGradient:
    """The gradient of a node in the pass that began at this event.

    Raises:
        TraceError: that pass was recorded itself.
    """
    if seed in program.symbolic:
        raise TraceError(
            f"what_if: {name} is from a pass that was recorded itself (create_graph): change the "
            "value that an op of that pass made"
        )
    queries = program.queries
    if program.starts_at(seed, node.id):
        return OfGradient(node.id, seed, seed)
    end = queries.pass_end(seed)
    handed = [event for event in queries.handed(node) if seed < event <= end]
    came = queries.received(node, seed, end)
    return OfGradient(node.id, seed, handed[0] if handed else came[-1])


def edit_at(
    program: Program, place: str, value: Any, now: int, text: str, operands: Sequence[str]
) -> Edit:
    """A change of what event `now` has: `out`, its cotangent `G`, or an operand by its letter.

    Raises:
        TraceError: that event has no such thing, or it cannot be changed.
    """
    found = _matched(place)
    target = _target_here(program, found["name"], now, operands)
    label, names = "", program.queries.names
    match target:
        case OfNode(node=node):
            label = names.of(node)
        case OfGradient(id=id):
            label = GRADIENT + names.of(program.run.nodes[id])
        case OfTerm(event=event):
            label = f"term#{event}"
    shown = text.replace(found["name"], label, 1)
    return Edit(shown, target, _index(place, found["index"]), value)


def _target_here(program: Program, name: str, now: int, operands: Sequence[str]) -> Target:
    event, queries = program.run.events[now], program.queries
    seed = queries.pass_of(now) or 0
    match event:
        case Forward(output=node) if name == "out":
            return OfNode(node, now)
        case Vjp() if name == "out" and seed in program.symbolic:
            raise TraceError("this pass was recorded itself: change what an op of it made")
        case Vjp() if name == "out":
            return OfTerm(now)
        case Vjp(of=node) if name == "G":
            return gradient_in(program, node, seed, name)
        case Seed(output=node) if name in ("out", "G"):
            return gradient_in(program, node, now, name)
        case Forward() | Vjp() if name in operands:
            inputs, slot = event.subject.inputs, operands.index(name)
            operand = inputs[slot] if slot < len(inputs) else None
            if operand is not None:
                return _node_target(program, operand, queries.names.of(operand))
        case _:
            pass
    raise TraceError(f"event {now} ({event.kind}) has no {name} to change")
