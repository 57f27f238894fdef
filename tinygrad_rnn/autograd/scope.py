"""Where in the program we are, and who is watching: one immutable `State` in one ContextVar.

Threads and coroutines each see their own state, so no switch of one can leak into another.
"""

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .op import Op
    from .tensor import Array, Inputs, Tensor

_call_ids = itertools.count()
_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One call of a module, or one entry of `scope(name)`: two calls share `owner`, never `id`."""

    name: str
    owner: object  # the module that is called; for `scope(name)` the name itself
    parent: "Scope | None"
    id: int  # increases with every call in the process

    def chain(self) -> "tuple[Scope, ...]":
        """The calls we are in, the outermost first."""
        calls: list[Scope] = []
        call: Scope | None = self
        while call is not None:
            calls.append(call)
            call = call.parent
        return tuple(reversed(calls))


class Observer:
    """Is told what the engine does; a tracer overrides what it wants to know."""

    def forward(
        self, output: "Tensor", op: "Op", inputs: "Inputs", arrays: "tuple[Any, ...]", options: dict[str, Any]
    ) -> None:
        """`op` made `output`."""

    def error(self, op: "Op", inputs: "Inputs", error: Exception) -> None:
        """`op` refused its operands; `error` is about to be raised."""

    def seed(self, output: "Tensor", gradient: "Array") -> None:
        """A backward pass starts at `output` with ∂L/∂output = `gradient`."""

    def vjp(self, node: "Tensor", slot: int, cotangent: Any, contribution: Any) -> None:
        """`node` handed `contribution` to its input `slot`; None: it is summed with others of its kind, later."""

    def accumulate(self, leaf: "Tensor", gradient: "Array") -> None:
        """`gradient` was added to `leaf.grad`."""

    def update(self, leaf: "Tensor", before: "Array", after: "Array") -> None:
        """`leaf.data` was bound to another array."""

    def zero(self, leaf: "Tensor") -> None:
        """`leaf.grad` was cleared."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is switched on or off around a block of code."""

    recording: bool = True
    scope: Scope | None = None
    observers: tuple[Observer, ...] = ()


STATE: ContextVar[State] = ContextVar("tinygrad_rnn", default=State())


@contextmanager
def switched(**changes: Any) -> Iterator[None]:
    """Run a block under a changed state, and put the old one back whatever happens."""
    token = STATE.set(replace(STATE.get(), **changes))
    try:
        yield
    finally:
        STATE.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: results are leaves that require no gradient. Also a decorator."""
    with switched(recording=False):
        yield


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tell `observer` everything that happens in a block."""
    with switched(observers=(*STATE.get().observers, observer)):
        yield


@contextmanager
def scope(name: str, owner: object = None) -> Iterator[Scope]:
    """Mark a step of the program: ops inside belong to this call of `name`.

    A loop that enters the same name again and again, and passes a tensor from one call to the next, is
    recognised as copies of one network::

        for x in xs:
            with tg.scope("cell"):
                h = tg.ops.tanh(W_xh @ x + W_hh @ h)
    """
    if not isinstance(name, str):
        raise TypeError(f"scope: the name must be a str, got {type(name).__name__}: {name!r}")
    here = Scope(name, name if owner is None else owner, STATE.get().scope, next(_call_ids))
    with switched(scope=here):
        yield here


def user_line() -> str:
    """The line of the caller's own code that led here, as "file:line": the first frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
