"""Two runs of the same events side by side: what differs, by how much, and from where on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...cached import cached_property
from ...errors import TraceError
from ..questions.queries import GRADIENT, Queries
from ..recording.event import Event, Failure, Forward, Seed, Update
from ..recording.graph import Node


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event wrote in two runs.

    Args:
        event: its number, which is the same in both.
        name: what it wrote: "h@3", "d.h@3".
        norm: ‖Δ‖; None where there are no numbers, or they were let go of.
        relative: ‖Δ‖ / ‖what the first run has‖.
        is_equal: whether both are the same to the last bit.
    """

    event: int
    name: str
    norm: float | None
    relative: float | None
    is_equal: bool


@dataclass(frozen=True, slots=True)
class Both:
    """One number, or the norm of one array, in both runs."""

    name: str
    before: float
    after: float
    norm: float  # of the difference

    def __str__(self) -> str:
        if self.before == self.after and not self.norm:
            return f"{self.name} {self.before:.6g}, the same"
        return f"{self.name} {self.before:.6g} → {self.after:.6g}"


class Comparison:
    """How one run differs from another; `str()` says it in a few lines.

    Args:
        a: the first run, `tr` in `tr.compare(other)`.
        b: the other.

    Raises:
        TraceError: they are not runs of the same events.
    """

    def __init__(self, a: Queries, b: Queries) -> None:
        _check_alike(a.run.events, b.run.events)
        self._a, self._b = a, b
        self._deltas: dict[int, Delta] = {}

    def at(self, event: int) -> Delta:
        """What one event wrote in both."""
        if event not in self._deltas:
            self._deltas[event] = delta(self._a, self._b, event)
        return self._deltas[event]

    @property
    def deltas(self) -> Iterator[Delta]:
        """Every event, in order."""
        return map(self.at, range(len(self._a.run.events)))

    @cached_property
    def different(self) -> list[int]:
        """The events that wrote something else."""
        return [one.event for one in self.deltas if not one.is_equal]

    @property
    def first(self) -> Event | None:
        """The first event that wrote something else, in the other run; None where none did."""
        return self._b.run.events[self.different[0]] if self.different else None

    def of(self, name: str) -> dict[int, float]:
        """‖Δ‖ of a name at each of its timesteps, its last training step: {0: 0.0, 1: 0.031}.

        Args:
            name: "h", or "d.h" for its gradient.

        Raises:
            TraceError: there is no such name, or it has no timesteps.
        """
        bare, last = name.removeprefix(GRADIENT), len(self._a.run.events) - 1
        times = sorted(
            {one.place.t for one in self._a.names.all_of(bare) if one.place.t is not None}
        )
        if not times:
            raise TraceError(f"{bare} has no timesteps")
        found: dict[int, float] = {}
        for t in times:
            at = f"{name}@{t}"
            found[t] = _distance(self._a.value(at, last), self._b.value(at, last))
        return found

    @cached_property
    def table(self) -> dict[tuple[int, int], float]:
        """‖Δ‖ of all that copies computed forward, by timestep and layer."""
        sums: dict[tuple[int, int], float] = {}
        for event in self._a.run.events:
            place = self._a.here(event) if isinstance(event, Forward) else None
            if place is None or place.t is None or place.layer is None:
                continue
            norm = self.at(event.index).norm or 0.0
            key = place.t, place.layer
            sums[key] = sums.get(key, 0.0) + norm * norm
        return {key: sqrt(total) for key, total in sorted(sums.items())}

    @cached_property
    def losses(self) -> list[Both]:
        """What each backward pass started at."""
        found: list[Both] = []
        for index in self._a.seeds:
            one, other = self._a.run.events[index], self._b.run.events[index]
            if isinstance(one, Seed) and isinstance(other, Seed):
                found.append(self._both(one.output, one.output.data, other.output.data))
        return found

    @property
    def loss(self) -> Both | None:
        """What the last backward pass started at; None where there was none."""
        return self.losses[-1] if self.losses else None

    @cached_property
    def gradients(self) -> list[Both]:
        """`.grad` of each parameter at the end of the last backward pass."""
        if not self._a.seeds:
            return []
        end = self._a.pass_end(self._a.seeds[-1])
        parameters = {node.id: node for node in self._a.names.places if node.is_parameter}
        found: list[Both] = []
        for node in parameters.values():
            one, other = self._a.gradient(node, end), self._b.gradient(node, end)
            if one is not None and other is not None:
                found.append(self._both(node, one, other, GRADIENT))
        return found

    def __str__(self) -> str:
        if not self.different:
            return "the same run, bit for bit"
        first = self.at(self.different[0])
        events = len(self._a.run.events)
        lines = [
            f"{len(self.different)} of {events} events differ, "
            f"the first is event {first.event}, {first.name}: ‖Δ‖ = {first.norm or 0:.4g}"
        ]
        if self.loss is not None:
            lines.append(str(self.loss))
        lines += [f"‖{both.name}‖ {str(both).partition(' ')[2]}" for both in self.gradients]
        return "\n".join(lines)

    def _both(self, node: Node, one: Array, other: Array, before: str = "") -> Both:
        name = before + self._a.names.of(node)
        return Both(name, _size(one), _size(other), _distance(one, other))


def delta(a: Queries, b: Queries, index: int) -> Delta:
    """What one event wrote in two runs of the same events."""
    event, other = a.run.events[index], b.run.events[index]
    if isinstance(event, Failure):
        return Delta(index, "", None, None, True)
    name = a.names.of(event.output)
    name = name if isinstance(event, Forward | Update) else GRADIENT + name
    if event is other:
        return Delta(index, name, 0.0, 0.0, True)
    try:
        one, two = a.written_by(event), b.written_by(other)
    except TraceError:
        return Delta(index, name, None, None, event.held is other.held)
    if one is None or two is None:
        return Delta(index, name, None, None, True)
    if one is two or (one.dtype == two.dtype and one.tobytes() == two.tobytes()):
        return Delta(index, name, 0.0, 0.0, True)
    norm, size = _distance(one, two), _norm(one)
    return Delta(index, name, norm, norm / size if size else None, False)


def _check_alike(a: Sequence[Event], b: Sequence[Event]) -> None:
    if len(a) != len(b):
        raise TraceError(f"compare: these are other events: {len(a)} and {len(b)}")
    for one, other in zip(a, b, strict=True):
        if one is other:
            continue
        same = one.kind == other.kind and one.op == other.op
        if same and not isinstance(one, Failure) and not isinstance(other, Failure):
            same = one.output.shape == other.output.shape
        if not same:
            raise TraceError(
                f"compare: event {one.index} is {one.kind} of {one.op} in one run, and "
                f"{other.kind} of {other.op} in the other, or of another shape"
            )


@quietly
def _distance(a: Array, b: Array) -> float:
    return _norm(np.subtract(b, a, dtype=np.float64))


@quietly
def _norm(array: Array) -> float:
    return float(np.linalg.norm(array.astype(np.float64, copy=False).ravel()))


def _size(array: Array) -> float:
    """The one number, else the norm."""
    return float(array.item()) if array.size == 1 else _norm(array)
