"""Every event of a recorded run computed again from what it was made of, bit for bit."""

from dataclasses import dataclass

import numpy as np

from ...autograd.switches import quietly, switched
from ...autograd.tensor import Array
from ...errors import TinygradError, TraceError
from ...nn.optim.methods import moved_again
from ..questions.terms import vjp_term
from ..recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp
from ..recording.graph import compute
from .program import Program
from .replay import same_bits, summed


@dataclass(frozen=True, slots=True)
class Deviation:
    """An event whose value is not what its recorded operands give."""

    event: int
    name: str
    difference: float  # the largest of an element; NaN where there is no number for it
    reason: str = ""  # why it could not be computed

    def __str__(self) -> str:
        what = self.reason or f"differs by up to {self.difference:.3g}"
        return f"event {self.event}, {self.name}: {what}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`; `str()` says it in a few lines.

    Args:
        exact: events that are the same to the last bit.
        deviations: those that are not.
        given: events that nothing in the recording makes: seeds, and updates by the program itself.
        gone: events whose numbers the recording let go of.
    """

    exact: int
    deviations: tuple[Deviation, ...]
    given: int
    gone: int

    @property
    def is_exact(self) -> bool:
        """Whether every event that could be computed is the same to the last bit."""
        return not self.deviations

    def __str__(self) -> str:
        counts = [f"{self.exact} events computed again, bit for bit the same"]
        if self.deviations:
            counts.append(f"{len(self.deviations)} not")
        if self.given:
            counts.append(f"{self.given} given")
        if self.gone:
            counts.append(f"{self.gone} gone")
        return "\n".join([" · ".join(counts), *map(str, self.deviations[:10])])


def verify(program: Program) -> Verification:
    """Compute every event again, each from its own recorded numbers."""
    checks = _Checks(program)
    with np.errstate(), np.errstate(all="ignore"), switched(observers=()):
        for event in program.run.events:
            checks.check(event)
    return Verification(checks.exact, tuple(checks.deviations), checks.given, checks.gone)


class _Checks:
    def __init__(self, program: Program) -> None:
        self.program, self.queries = program, program.queries
        self.exact = self.given = self.gone = 0
        self.deviations: list[Deviation] = []
        self._seed = 0
        self._summed: set[int] = set()  # tensors of this pass whose cotangents were computed

    def check(self, event: Event) -> None:
        """Compute one event again, and count what came of it."""
        if isinstance(event, Seed):
            self._seed = event.index
            self._summed.clear()
        if event.is_gone:
            self.gone += 1
            return
        try:
            pairs = self._pairs(event)
        except TraceError as error:
            if "is gone" in str(error):
                self.gone += 1
            else:
                self._deviates(event, np.nan, str(error))
            return
        except TinygradError as error:
            self._deviates(event, np.nan, str(error))
            return
        if pairs is None:
            self.given += 1
            return
        for made, recorded in pairs:
            if not same_bits(made, recorded):
                self._deviates(event, _difference(made, recorded))
                return
        self.exact += 1

    def _deviates(self, event: Event, difference: float, reason: str = "") -> None:
        name = event.kind
        if not isinstance(event, Failure):
            name = self.queries.names.of(event.output)
            name = name if isinstance(event, Forward | Update) else f"∂L/∂{name}"
        self.deviations.append(Deviation(event.index, name, difference, reason))

    def _pairs(self, event: Event) -> list[tuple[Array, Array]] | None:
        """What an event wrote, beside what is recorded; None where nothing in the run makes it."""
        match event:
            case Forward(output=node) if node.rule is not None:
                return [(compute(node.rule, node.operands, node.options), node.data)]
            case Vjp() | Accumulate() if self._seed in self.program.symbolic:
                return []  # what ops made, which have events of their own
            case Vjp(of=of, slot=slot, cotangent=g):
                sums = self._cotangent(of.id, g, event.index)
                term = event.value
                return sums if term is None else [*sums, (vjp_term(of, slot, g), term)]
            case Accumulate(output=leaf, value=g) if g is not None:
                return self._cotangent(leaf.id, g, event.index)
            case Update(move=move, value=after) if move is not None and after is not None:
                state, settings = dict(move.state), move.settings
                made = moved_again(move.kind, move.gradient, move.data, state, settings)
                return [(np.asarray(made), after)]
            case _:
                return None

    def _cotangent(self, id: int, recorded: Array, now: int) -> list[tuple[Array, Array]]:
        """A cotangent beside the sum of its terms, once in a pass; what a hook gave is its own."""
        if id in self._summed or id in self.program.hooked:
            return []
        self._summed.add(id)
        events = self.program.run.events
        return [(summed(self.program, id, self._seed, now, events.__getitem__), recorded)]


@quietly
def _difference(made: Array, recorded: Array) -> float:
    if made.shape != recorded.shape:
        return np.nan
    return float(np.max(np.abs(np.subtract(made, recorded, dtype=np.float64)), initial=0.0))
