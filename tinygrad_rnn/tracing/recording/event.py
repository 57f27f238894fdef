"""What was recorded: one event for each thing that happened, a dataclass for each kind of thing.

Values are kept by reference, since arrays of a graph are never written into. A recording under a
budget lets go of the oldest; then `Gone` stands for them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeGuard, TypeVar, final

import numpy as np

from ...autograd.state import Scope
from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...nn.optim.optimizer import Move
from .graph import Node
from .held import SMALL, Gone, gone_error, is_array
from .source import Source

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stats:
    """An array in a few numbers: least, greatest and mean of what is finite; the norm of all."""

    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    norm: float
    nans: int
    infs: int

    @classmethod
    @quietly
    def of(cls, array: Array) -> "Stats":
        low = high = mean = np.nan
        norm = float(np.linalg.norm(array.astype(np.float64)))
        nans, infs = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        finite = array[np.isfinite(array)] if nans or infs else array
        if finite.size:
            low, high, mean = float(finite.min()), float(finite.max()), float(finite.mean())
        return cls(array.shape, low, high, mean, norm, nans, infs)


class Places(Protocol):
    """Knows where in the network an event belongs: the whole run must be looked at for that."""

    def place_of(self, event: Any) -> Any:
        """Its copy, which has a timestep `t` and a row `layer`; None outside of copies."""
        ...

    def step_of(self, event: Any) -> int:
        """Its training step."""
        ...


# The kinds are not frozen: a frozen dataclass takes three times as long to make, and a budget lets
# events go of their arrays.


@dataclass(slots=True, eq=False, repr=False)
class Happening:
    """What events of every kind have.

    Args:
        index: its number in the run.
        scope: the call that it happened in.
        source: the line of the user's code; None where the engine did it by itself.
        places: asked for `copy` and `layer`; a weak reference, since an event is no reason for a
            whole run to live.
        held: the array that it wrote, or what is remembered of one that was let go of.
    """

    kind: ClassVar[Any]
    index: int
    scope: Scope | None
    source: Source | None
    places: Callable[[], Places | None] | None
    held: Array | Gone | None

    def __repr__(self) -> str:
        op = getattr(self, "op", None)
        return f"<event {self.index}: {self.kind}{f' of {op}' if op else ''}>"

    @property
    def value(self) -> Array | None:
        """The array it wrote; None for a term that is computed again when it is asked for.

        Raises:
            TraceError: it is gone.
        """
        return self._known(self.held)

    def _known(self, array: "_T | Gone") -> _T:
        if isinstance(array, Gone):
            raise gone_error(f"what event {self.index} ({self.kind}) wrote")
        return array

    @property
    def saved(self) -> tuple[Any, ...]:
        """What it was computed from."""
        return ()

    @property
    def copy(self) -> int | None:
        """The timestep: which call of its copies it belongs to."""
        place = self._place()
        return None if place is None else place.t

    @property
    def layer(self) -> int | None:
        """The row of its copies, 0 at the bottom."""
        place = self._place()
        return None if place is None else place.layer

    @property
    def step(self) -> int | None:
        """The training step that it belongs to, from 0."""
        places = None if self.places is None else self.places()
        return None if places is None else places.step_of(self)

    def _place(self) -> Any:
        places = None if self.places is None else self.places()
        return None if places is None else places.place_of(self)

    @property
    def stats(self) -> Stats | None:
        """The array it wrote in a few numbers; None where it wrote none of its own."""
        value = self.value
        return None if value is None else Stats.of(value)

    @property
    def nans(self) -> bool:
        """Whether it wrote a NaN, as far as the value is its own; known when that is gone, too."""
        if isinstance(self.held, Gone):
            return self.held.nans
        return _is_float(self.held) and bool(np.isnan(self.held).any())

    @property
    def infs(self) -> bool:
        """Whether it wrote an infinity, as far as the value is its own; known when that is gone."""
        if isinstance(self.held, Gone):
            return self.held.infs
        return _is_float(self.held) and bool(np.isinf(self.held).any())

    @property
    def is_finite(self) -> bool:
        """Whether it wrote neither NaN nor infinity, as far as the value is its own."""
        value = self.held
        if value is None:
            return True
        if isinstance(value, Gone):
            return not (value.nans or value.infs)
        if value.dtype.kind != "f":
            return True
        if value.size <= SMALL and isfinite(np.vdot(value, value)):
            return True
        with np.errstate(), np.errstate(all="ignore"):
            return isfinite(value.sum()) or bool(np.isfinite(value).all())

    # What it holds

    @property
    def is_gone(self) -> bool:
        """Whether the recording let go of its value and of what made it."""
        return isinstance(self.held, Gone)

    @property
    def arrays(self) -> list[Array]:
        """The arrays that it holds itself, beside those of its nodes."""
        return [self.held] if is_array(self.held) else []

    @property
    def recomputable(self) -> int:
        """The bytes of its term, where that is not held but computed again."""
        return 0

    def release_term(self) -> list[Array]:
        """Let go of a term that was handed to a parameter; returns what is held no more."""
        return []

    def release(self) -> None:
        """Let go of all arrays."""
        if is_array(self.held):
            self.held = Gone.of(self.held)


@final
@dataclass(slots=True, eq=False, repr=False)
class Failure(Happening):
    """An op refused its inputs, or the program raised: then `op` is None."""

    kind: ClassVar[Literal["error"]] = "error"
    output: ClassVar[None] = None
    op: str | None
    inputs: tuple[Node | None, ...]
    message: str

    @property
    def subject(self) -> "Failure":
        """Itself: it is about no node."""
        return self

    @property
    def used(self) -> list[Node]:
        """The nodes that were refused; some may come twice."""
        return [x for x in self.inputs if x is not None]


@dataclass(slots=True, eq=False, repr=False)
class Written(Happening):
    """What events have that wrote a tensor, or a gradient of one: `output`."""

    output: Node

    @property
    def op(self) -> str | None:
        """The name of the op that did it, if one did."""
        return None

    @property
    def inputs(self) -> tuple[Node | None, ...]:
        """What an op was called with; None stands for a Python number."""
        return ()

    @property
    def subject(self) -> Node:
        """The node whose op it is about. Events of one subject use the same nodes."""
        return self.output

    @property
    def used(self) -> list[Node]:
        """The nodes whose arrays its value was made from, and the one that holds it."""
        node = self.subject
        return [node, *node.tensors()]


@final
@dataclass(slots=True, eq=False, repr=False)
class Forward(Written):
    """An op made `output`."""

    kind: ClassVar[Literal["forward"]] = "forward"

    @property
    def op(self) -> str | None:
        return self.output.op

    @property
    def inputs(self) -> tuple[Node | None, ...]:
        return self.output.inputs

    @property
    def saved(self) -> tuple[Any, ...]:
        """The operands."""
        return self.output.operands


@final
@dataclass(slots=True, eq=False, repr=False)
class Vjp(Written):
    """The op that made `of` handed a term of its cotangent to its input `slot`, which is `output`.

    Its value is None where the engine summed the terms of several uses in one call, or where a
    budget let go of a term that can be computed again.
    """

    kind: ClassVar[Literal["vjp"]] = "vjp"
    of: Node
    slot: int
    held_cotangent: Array | Gone

    @property
    def op(self) -> str | None:
        return self.of.op

    @property
    def cotangent(self) -> Array:
        """∂L/∂of: what the term was made from.

        Raises:
            TraceError: it is gone.
        """
        return self._known(self.held_cotangent)

    @property
    def saved(self) -> tuple[Any, ...]:
        """∂L/∂of, `of`, and what `of` was made from."""
        return (self.cotangent, self.of.data, *self.of.operands)

    @property
    def subject(self) -> Node:
        return self.of

    @property
    def is_gone(self) -> bool:
        return isinstance(self.held, Gone) or isinstance(self.held_cotangent, Gone)

    @property
    def arrays(self) -> list[Array]:
        return [x for x in (self.held, self.held_cotangent) if isinstance(x, np.ndarray)]

    @property
    def recomputable(self) -> int:
        return self.output.nbytes if self.held is None and not self.is_gone else 0

    def release_term(self) -> list[Array]:
        value = self.held
        if self.output.op is not None or not is_array(value):
            return []
        self.held = None
        return [value]

    def release(self) -> None:
        Happening.release(self)  # a dataclass with slots is another class than super() means
        if is_array(self.held_cotangent):
            self.held_cotangent = Gone.of(self.held_cotangent)


@final
@dataclass(slots=True, eq=False, repr=False)
class Seed(Written):
    """A backward pass starts at `output`, with this ∂L/∂output."""

    kind: ClassVar[Literal["seed"]] = "seed"


@final
@dataclass(slots=True, eq=False, repr=False)
class Accumulate(Written):
    """The whole gradient of a pass was added to the leaf's `.grad`."""

    kind: ClassVar[Literal["accumulate"]] = "accumulate"


@final
@dataclass(slots=True, eq=False, repr=False)
class Update(Written):
    """A leaf was bound to new data: in a step of one of our optimisers, or by the program itself.

    Args:
        move: what the optimiser made the data from; None where the program did it, or it is gone.
    """

    kind: ClassVar[Literal["update"]] = "update"
    move: Move | None = None

    @property
    def arrays(self) -> list[Array]:
        held = [] if self.move is None else self.move.arrays
        return [*Happening.arrays.__get__(self), *held]

    def release(self) -> None:
        Happening.release(self)
        self.move = None


@final
@dataclass(slots=True, eq=False, repr=False)
class Zero(Written):
    """A leaf's `.grad` was cleared."""

    kind: ClassVar[Literal["zero"]] = "zero"


Event: TypeAlias = Forward | Seed | Vjp | Accumulate | Update | Zero | Failure


_TOGETHER = 256  # small arrays that are looked through in one call


def not_finite(events: Sequence[Event]) -> list[int]:
    """The indices of the events that wrote a NaN or an infinity, as far as the values are theirs.

    Small values are looked through many at a time.
    """
    found: list[int] = []
    for first in range(0, len(events), _TOGETHER):
        some = events[first : first + _TOGETHER]
        held = [event.held for event in some if event.held is not None]
        small = [x for x in held if isinstance(x, np.ndarray) and x.size <= SMALL]
        others = len(small) < len(held)
        numbers = np.concatenate(small, axis=None) if small else np.zeros(0)
        with np.errstate(), np.errstate(all="ignore"):
            are_finite = isfinite(numbers.sum()) or np.isfinite(numbers).all()
        if others or not are_finite:
            found += [event.index for event in some if not event.is_finite]
    return found


def _is_float(value: Any) -> TypeGuard[Array]:
    return is_array(value) and value.dtype.kind == "f"
