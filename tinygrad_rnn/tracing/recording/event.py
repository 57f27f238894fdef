"""What was recorded: one `Event` for each thing that happened."""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeGuard
from weakref import ref

import numpy as np

from ...autograd.state import Scope
from ...autograd.tensor import Array
from .budget import SMALL, Gone, gone_error, is_array
from .graph import Node
from .source import Source

if TYPE_CHECKING:
    from ..trace import Trace

EventKind = Literal["forward", "seed", "vjp", "accumulate", "update", "zero", "error"]


@dataclass(frozen=True, slots=True)
class Stats:
    """An array in a few numbers; of the finite values where there are others."""

    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    norm: float
    nans: int
    infs: int

    @classmethod
    def of(cls, array: Array) -> "Stats":
        with np.errstate(all="ignore"):
            norm = float(np.linalg.norm(array.astype(np.float64)))
            nans, infs = int(np.isnan(array).sum()), int(np.isinf(array).sum())
            finite = array[np.isfinite(array)] if nans or infs else array
            if not finite.size:
                return cls(array.shape, np.nan, np.nan, np.nan, norm, nans, infs)
            return cls(
                array.shape,
                float(finite.min()),
                float(finite.max()),
                float(finite.mean()),
                norm,
                nans,
                infs,
            )


class Event:
    """One thing that happened. Values are kept by reference: arrays of a graph are never written into.

    Kinds: "forward" (`op` made `output`), "seed" (a backward pass starts at `output`), "vjp" (`of`
        handed a term of its
    cotangent to its input `slot`, which is `output`), "accumulate" (`value` was added to `output`'s
    grad), "update" (`output` was bound to new data), "zero" (`output`'s grad was cleared), "error"
    (`op` refused its inputs, or the program raised; `output` is None, and `message` says why).
    """

    __slots__ = (
        "_cotangent", "_value", "index", "inputs", "kind", "message", "of", "op", "output", "run", "scope", "slot",
        "source")  # fmt: skip

    def __init__(
        self,
        index: int,
        kind: EventKind,
        op: str | None,
        output: Node | None,
        inputs: tuple[Node | None, ...],
        value: Array | Gone | None,
        scope: Scope | None,
        run: "ref[Trace] | None",
        source: Source | None = None,
        of: Node | None = None,
        cotangent: Array | Gone | None = None,
        slot: int | None = None,
        message: str | None = None,
    ) -> None:
        self.index, self.kind, self.op, self.output, self.inputs = index, kind, op, output, inputs
        self._value, self._cotangent = value, cotangent
        self.of, self.slot, self.scope, self.run, self.source, self.message = (
            of,
            slot,
            scope,
            run,
            source,
            message,
        )

    def __repr__(self) -> str:
        return f"<event {self.index}: {self.kind}{f' of {self.op}' if self.op else ''}>"

    @property
    def value(self) -> Array | None:
        """The array it wrote; None for a vjp term that `Queries.term` computes again.

        Raises:
            TraceError: it is gone.
        """
        return self._known(self._value)

    @property
    def cotangent(self) -> Array | None:
        """Of a vjp, ∂L/∂of: what the term was made from.

        Raises:
            TraceError: it is gone.
        """
        return self._known(self._cotangent)

    def _known(self, array: Array | Gone | None) -> Array | None:
        if isinstance(array, Gone):
            raise gone_error(f"what event {self.index} ({self.kind}) wrote")
        return array

    @property
    def saved(self) -> tuple[Any, ...]:
        """What it was computed from: the operands, and for a vjp ∂L/∂of and `of` before them."""
        if self.kind == "vjp" and self.of is not None:
            return (self.cotangent, self.of.data, *self.of.operands)
        return self.output.operands if self.kind == "forward" and self.output is not None else ()

    @property
    def copy(self) -> int | None:
        """The timestep: which call of its copies it belongs to."""
        place = self._place()
        return place.t if place is not None else None

    @property
    def layer(self) -> int | None:
        """The row of its copies, 0 at the bottom."""
        place = self._place()
        return place.layer if place is not None else None

    def _place(self) -> Any:
        trace = self.run() if self.run is not None else None
        return trace.queries.here(self) if trace is not None else None

    @property
    def stats(self) -> Stats | None:
        """The array it wrote in a few numbers; None where it wrote none of its own."""
        return Stats.of(self.value) if self.value is not None else None

    @property
    def nans(self) -> bool:
        """Whether it wrote a NaN, as far as the value is its own; known when that is gone, too."""
        value = self._value
        return (
            value.nans
            if isinstance(value, Gone)
            else _is_float(value) and bool(np.isnan(value).any())
        )

    @property
    def infs(self) -> bool:
        """Whether it wrote an infinity, as far as the value is its own; known when that is gone, too."""
        value = self._value
        return (
            value.infs
            if isinstance(value, Gone)
            else _is_float(value) and bool(np.isinf(value).any())
        )

    @property
    def is_finite(self) -> bool:
        """Whether it wrote neither NaN nor infinity, as far as the value is its own."""
        value = self._value
        if isinstance(value, Gone):
            return not (value.nans or value.infs)
        if not _is_float(value):
            return True
        if value.size <= SMALL and isfinite(np.vdot(value, value)):
            return True
        with np.errstate(all="ignore"):
            return isfinite(value.sum()) or bool(np.isfinite(value).all())

    # What it holds

    @property
    def is_gone(self) -> bool:
        """Whether the recording let go of its value and of what made it."""
        return isinstance(self._value, Gone) or isinstance(self._cotangent, Gone)

    @property
    def written(self) -> tuple[Array | Gone | None, Array | Gone | None]:
        """Its value and cotangent, or what is remembered of them."""
        return self._value, self._cotangent

    @property
    def arrays(self) -> list[Array]:
        """The arrays that it holds itself, beside those of its nodes."""
        return [array for array in (self._value, self._cotangent) if is_array(array)]

    @property
    def subject(self) -> "Node | Event":
        """The node whose op it is about; of an error itself. Events of one subject use the same nodes."""
        return self.of or self.output or self

    @property
    def used(self) -> list[Node]:
        """The nodes whose arrays its value was made from, and the one that holds it; some may come twice."""
        node = self.subject
        return [
            x
            for x in (self.inputs if isinstance(node, Event) else (node, *node.inputs))
            if x is not None
        ]

    @property
    def recomputable(self) -> int:
        """The bytes of its term, where that is not held but computed again."""
        is_term = self.kind == "vjp" and self._value is None and not self.is_gone
        return self.output.nbytes if is_term and self.output is not None else 0

    def release_term(self) -> list[Array]:
        """Let go of a term that was handed to a parameter; returns the arrays that are not held any more."""
        value = self._value
        if (
            self.kind == "vjp"
            and is_array(value)
            and self.output is not None
            and self.output.op is None
        ):
            self._value = None
            return [value]
        return []

    def release(self) -> None:
        """Let go of all arrays."""
        if is_array(self._value):
            self._value = Gone.of(self._value)
        if is_array(self._cotangent):
            self._cotangent = Gone.of(self._cotangent)


def _is_float(value: Any) -> TypeGuard[Array]:
    return is_array(value) and value.dtype.kind == "f"
