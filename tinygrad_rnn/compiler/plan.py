"""A plan: a program as a flat list of NumPy calls, each with the arrays that it reads and writes.

Memory is planned in two steps. First every value gets a piece of its own, which nobody touches;
then, when it is known from which call to which each piece is needed, the pieces move together into
one arena, and what is never needed at the same time shares a place. Large sources and results have
no part in it: these are the caller's arrays, and the calls are bound to them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import starmap
from operator import call, length_hint
from typing import Any

import numpy as np

from ..autograd.switches import quietly
from ..autograd.tensor import Array
from ..errors import OpError
from . import kernels
from .memory import Arena, Place, Port, share, worth_binding
from .planner import Planner
from .program import Value

_UNBOUND = np.empty(0)  # stands for the caller's arrays, until there is a call


class Plan:
    """What is run at each call.

    Args:
        values: what it computes, in this order.
        results: those of them that it returns.
        position: where among the arrays of a call that of each source is.
    """

    def __init__(
        self,
        values: Sequence[Value],
        results: Sequence[Value],
        position: Callable[[Value], int],
    ) -> None:
        planner = Planner(values, results)
        self.values, self.results, self.in_place = values, results, planner.in_place
        pieces, ports = planner.layout.all_pieces(), _ports(planner)
        self.nbytes = share([piece for piece in pieces if piece.shared])  # of the arena
        arena = Arena(self.nbytes)
        self.calls: list[tuple[Any, ...]] = []  # functions with their arguments
        # The calls that are bound, by number: what they call, and with what.
        self._bound: dict[int, tuple[Callable[..., Any], list[Any]]] = {}
        self._make_calls(planner.calls, ports, arena)
        # Sources by position, read where they lie or copied; results given away, or copied at last.
        self._reads: list[tuple[int, Port]] = []
        self._loads: list[tuple[int, Array]] = []
        self._results: list[tuple[Port | None, Any]] = []  # with the shape, or the array to copy
        for x in planner.sources:
            port, array = _end_of(x, planner, ports, arena)
            if port is None:
                self._loads.append((position(x), array))
            else:
                self._reads.append((position(x), port))
        for x in results:
            port, array = _end_of(x, planner, ports, arena)
            self._results.append((port, array if port is None else x.shape))
        self._copied = [i for i, (port, _) in enumerate(self._results) if port is None]
        for piece in pieces:
            del piece.whole

    def _make_calls(self, planned: deque[Any], ports: dict[int, Port], arena: Arena) -> None:
        """The calls, with arrays in their places; planned ones go, which take as much room."""
        bound = {number for port in ports.values() for number, *_ in port.uses}
        while planned:
            function, given = planned.popleft()
            arguments = [_array_at(x, ports, arena) for x in given]
            if len(self.calls) in bound:
                self._bound[len(self.calls)] = function, arguments
            self.calls.append(kernels.quickest(function, arguments))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for the arrays of a call, in arrays that nobody else has."""
        bind = self._bind
        for position, port in self._reads:
            if (array := arrays[position]) is not port.bound:
                port.read(array, bind)
        results = [what if port is None else port.fresh(what, bind) for port, what in self._results]
        for position, array in self._loads:
            array[...] = arrays[position]
        self._call_all()
        for i in self._copied:
            results[i] = results[i].copy()
        return results

    @quietly  # as a decorator it takes half as long
    def _call_all(self) -> None:
        calls = iter(self.calls)
        try:
            deque(starmap(call, calls), 0)  # sooner from one to the next than a loop
        except OpError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as reason:
            function = self.calls[-1 - length_hint(calls)][0]
            raise OpError(f"compile: {getattr(function, '__name__', function)}: {reason}") from None

    def _bind(self, number: int, position: int, argument: Array) -> None:
        function, arguments = self._bound[number]
        arguments[position] = argument
        self.calls[number] = kernels.quickest(function, arguments)


def _ports(planner: Planner) -> dict[int, Port]:
    """Pieces that are the caller's, by id: those that are bound more quickly than copied."""
    layout = planner.layout
    returned = {id(layout.pieces[x.id]) for x in planner.results}
    sources = [layout.pieces[x.id] for x in planner.sources]
    outer = [piece for piece in sources if id(piece) not in returned]
    outer += layout.given_away(planner.results)
    uses: dict[int, list[tuple[int, int, Place]]] = {id(piece): [] for piece in outer}
    for number, (_, given) in enumerate(planner.calls):
        for position, place in enumerate(given):
            if isinstance(place, Place) and id(place.piece) in uses:
                uses[id(place.piece)].append((number, position, place))
    ports: dict[int, Port] = {}
    for piece in outer:
        if worth_binding(piece, len(uses[id(piece)])):
            ports[id(piece)] = Port(piece, uses[id(piece)])
            piece.shared = False
    return ports


def _array_at(x: Any, ports: dict[int, Port], arena: Arena) -> Any:
    """An argument with an array in its place."""
    if not isinstance(x, Place):
        return x
    return _UNBOUND if id(x.piece) in ports else arena.array(x)


def _end_of(
    x: Value, planner: Planner, ports: dict[int, Port], arena: Arena
) -> tuple[Port | None, Any]:
    """The port of a source or result; else its array."""
    layout = planner.layout
    port = ports.get(id(layout.pieces[x.id]))
    if port is not None:
        return port, None
    return None, arena.array(layout.place_of(layout.arrays[x.id]))
