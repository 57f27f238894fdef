"""How often each loop of the program had gone round when an op was made.

Told from the places in the program alone: where it stands before an op, and where before the next.
What goes back in a function went round a loop there; where there is none, the function was called
anew, so a loop around the call went round.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from ...recording.graph import Node
from ...recording.place import Place

Key = tuple[object, tuple[int, int]]  # the function, and the position of the loop in its file


@dataclass(slots=True, eq=False)
class Turn:
    """One time round a loop.

    Args:
        loop: which loop.
        around: the turn of the next loop outside.
        number: which turn it is, from 0, since the program last came to the loop.
        first: the first one of these; None: this is.
    """

    loop: Key
    around: "Turn | None"
    number: int = 0
    first: "Turn | None" = None

    @property
    def line(self) -> int:
        """The line in which the loop stands."""
        return self.loop[1][0]

    @property
    def run(self) -> "Turn":
        """What all turns have in common since the program last came to the loop."""
        return self.first or self

    def next(self) -> Self:
        """The turn after it."""
        return type(self)(self.loop, self.around, self.number + 1, self.run)

    def chain(self) -> "list[Turn]":
        """The turns of all loops around, the outermost first, and itself."""
        found: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            found.append(turn)
            turn = turn.around
        return found[::-1]


def turns_of(nodes: Iterable[Node]) -> dict[Node, Turn]:
    """Of each op the turn of the innermost loop that it was made in, if any.

    Args:
        nodes: in creation order; of what no loop goes through, the first and the last are enough.
    """
    found: dict[Node, Turn] = {}
    calls: list[_Call] = []
    before: Node | None = None
    for node in nodes:
        if node.op is None or node.source is None or not node.source.places:
            continue
        places = _whole(node.source.places, calls)
        # What one line makes at once does not read itself: that is `x = x * w`, once more.
        is_again = before is not None and before.op == node.op and before in node.inputs
        calls = _following(_from_outside(calls, places), places, is_again)
        before = node
        turn = next((call.turns[-1] for call in reversed(calls) if call.turns), None)
        if turn is not None:
            found[node] = turn
    return _taken_apart(found)


def depth_of_repetition(before: Turn | None, after: Turn | None) -> int | None:
    """How deep the loop is nested that went round between two ops; None where none did."""
    if before is None or after is None:
        return None
    for depth, (one, other) in enumerate(zip(before.chain(), after.chain(), strict=False)):
        if one is not other:
            return depth if one.run is other.run else None
    return None


def _taken_apart(found: Mapping[Node, Turn]) -> dict[Node, Turn]:
    """Where a loop is all that is in another loop, tell its runs apart by the parameters they read.

    What reads those of the first turn again, after others, is the first turn once more.
    """
    read: dict[Turn, set[int]] = {turn: set() for turn in found.values()}
    for node, turn in found.items():
        read[turn].update(x.id for x in node.tensors() if x.is_parameter)
    runs: dict[Turn, list[Turn]] = {}
    for turn in read:
        runs.setdefault(turn.run, []).append(turn)
    for turn in read:
        if turn.around is not None:
            runs.pop(turn.around.run, None)
    renewed: dict[Turn, Turn] = {}
    for run, turns in runs.items():
        around, last = run.around, None
        for i, turn in enumerate(turns if around is not None else ()):
            again = i > 0 and read[turn] == read[turns[0]] != read[turns[i - 1]]
            if again and around is not None:
                around, last = around.next(), None
            last = renewed[turn] = Turn(run.loop, around) if last is None else last.next()
    return {node: renewed.get(turn, turn) for node, turn in found.items()}


class _Call(NamedTuple):
    """One call on the way to an op: where its function stands, and the turns of its loops."""

    place: Place
    turns: tuple[Turn, ...]


def _whole(places: Sequence[Place], before: Sequence[_Call]) -> Sequence[Place]:
    """The places with the outermost ones, of which a source keeps only a few."""
    for i, call in enumerate(before):
        if call.place.is_with(places[0]):
            return (*(one.place for one in before[:i]), *places) if i else places
    return places


def _from_outside(calls: Sequence[_Call], places: Sequence[Place]) -> Sequence[_Call]:
    """The calls with the outermost ones, where the op before was the first one in all of them."""
    if not calls or calls[0].place.is_with(places[0]):
        return calls
    k = next((k for k, to in enumerate(places) if to.is_with(calls[0].place)), 0)
    return (*_extended((), places[:k]), *calls)


def _following(
    calls: Sequence[_Call], places: Sequence[Place], is_again: bool = False
) -> list[_Call]:
    """The calls that lead to an op, after those that led to the op before.

    Args:
        calls: those.
        places: of the calls that lead to the op.
        is_again: whether the same place, if it is one, was come to once more.
    """
    same = 0
    for call, to in zip(calls, places, strict=False):
        if call.place is not to and call.place != to:
            break
        same += 1
    if same == min(len(calls), len(places)):  # the same place once more, or in a call from there
        if not is_again or len(calls) != len(places):
            return _extended(calls[:same], places)
    elif calls[same].place.is_with(places[same]):
        call, to = calls[same], places[same]
        kept = [turn for turn, at in zip(call.turns, to.loops, strict=False) if turn.loop[1] == at]
        if to.at > call.place.at:
            return _extended(calls[:same], places, tuple(kept))
        if kept:
            return _extended(calls[:same], places, (*kept[:-1], kept[-1].next()))
    for i in reversed(range(same)):  # called anew
        if calls[i].turns:
            *kept, last = calls[i].turns
            return _extended(calls[:i], places, (*kept, last.next()))
    return _extended((), places)


def _extended(
    calls: Sequence[_Call], places: Sequence[Place], turns: tuple[Turn, ...] = ()
) -> list[_Call]:
    """Calls go on to places: in the first of these some turns are known, all others begin."""
    found = list(calls)
    if len(found) == len(places):
        return found
    around = next((call.turns[-1] for call in reversed(calls) if call.turns), None)
    for place in places[len(calls) :]:
        inside = list(turns)
        if inside:
            around = inside[-1]
        for loop in place.loops[len(inside) :]:
            around = Turn((place.function, loop), around)
            inside.append(around)
        found.append(_Call(place, tuple(inside)))
        turns = ()
    return found
