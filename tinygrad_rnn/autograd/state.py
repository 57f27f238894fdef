"""Where in the program we are, and who is watching: one immutable `State` in one ContextVar.

Threads and coroutines each see their own state, so no switch of one can leak into another.
"""

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

call_ids = itertools.count()

Observer = Callable[..., None]
"""Is told what the engine does, as `observer(kind, *facts)`; arrays may be kept, since nobody writes into them.

================  ===================================  ===========================================================
kind              facts                                what happened
================  ===================================  ===========================================================
``"forward"``     output, op, inputs, arrays, options  `op` made `output`; an input that is a number is None
``"error"``       op, inputs, error                    `op` refused its operands; `error` is about to be raised
``"seed"``        output, gradient                     a backward pass starts with ∂L/∂output = `gradient`
``"vjp"``         node, slot, cotangent, contribution  `node` handed `contribution` to its input number `slot`; None:
                                                       it is summed with others of its kind, later
``"accumulate"``  leaf, gradient                       `gradient` was added to `leaf.grad`
``"update"``      leaf, before, after                  `leaf.data` was bound to another array
``"zero"``        leaf                                 `leaf.grad` was cleared
================  ===================================  ===========================================================
"""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One call of a module, or one entry of `scope(name)`: two calls share `owner`, never `id`."""

    name: str
    owner: object  # the module that is called; for `scope(name)` the name itself
    parent: "Scope | None"
    id: int  # increases with every call in the process

    def chain(self) -> "tuple[Scope, ...]":
        """The calls we are in, the outermost first."""
        call, calls = self.parent, (self,)
        while call is not None:
            call, calls = call.parent, (call, *calls)
        return calls


class State(NamedTuple):
    """Everything that is switched on or off around a block of code."""

    recording: bool = True
    scope: Scope | None = None
    observers: tuple[Observer, ...] = ()
    capture: Any = (
        None  # who records this block to run it again; asked before a value leaves the graph
    )


STATE: ContextVar[State] = ContextVar("tinygrad_rnn", default=State())  # noqa: B039  (a tuple)


def notify(kind: str, *facts: Any) -> None:
    """Tell every observer of this thread."""
    for observer in STATE.get().observers:
        observer(kind, *facts)


@contextmanager
def switched(**changes: Any) -> Generator[None]:
    """Run a block under a changed state, and put the old one back whatever happens."""
    token = STATE.set(STATE.get()._replace(**changes))
    try:
        yield
    finally:
        STATE.reset(token)


def no_grad() -> Any:
    """Compute without recording: results are leaves that require no gradient. Also a decorator."""
    return switched(recording=False)


def observed(observer: Observer) -> Any:
    """Tell `observer` everything that happens in a block."""
    return switched(observers=(*STATE.get().observers, observer))


@contextmanager
def scope(name: str, owner: object = None) -> Generator[Scope]:
    """Mark a step of the program: ops inside belong to this call of `name`.

    A loop that enters the same name again and again, and passes a tensor from one call to the next,
    is recognised as copies of one network::

        for x in xs:
            with tg.scope("cell"):
                h = tg.ops.tanh(W_xh @ x + W_hh @ h)

    Raises:
        TypeError: the name is no str.
    """
    if type(name) is not str:
        raise TypeError(f"scope: the name must be a str, got {type(name).__name__}: {name!r}")
    here = Scope(name, name if owner is None else owner, STATE.get().scope, next(call_ids))
    with switched(scope=here):
        yield here
