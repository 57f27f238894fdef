"""Where in the program we are, and who is watching: one immutable `State` in one ContextVar.

What changes it for a block of code is in `switches.py`.

Threads and coroutines each see their own state, so no switch of one can leak into another.
"""

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

call_ids = itertools.count()

Observer = Callable[..., None]
"""Is told what the engine does, as `observer(kind, *facts)`. It may keep arrays: nobody writes into
them. It ignores the kinds that it does not know.

================  ===================================  ============================================
kind              facts                                what happened
================  ===================================  ============================================
``"forward"``     output, op, inputs, arrays, options  `op` made `output`; the input of a number is
                                                       None
``"error"``       op, inputs, error                    `op` refused its operands; `error` follows
``"seed"``        output, gradient                     a backward pass starts: ∂L/∂output is
                                                       `gradient`
``"vjp"``         node, slot, cotangent, contribution  `node` handed `contribution` to its input
                                                       number `slot`; None: it is summed later, in
                                                       one call with others of its kind
``"accumulate"``  leaf, gradient                       `gradient` was added to `leaf.grad`
``"update"``      leaf, before, after                  `leaf.data` was bound to another array
``"zero"``        leaf                                 `leaf.grad` was cleared
``"replace"``     leaf, gradient                       `leaf.grad` was bound to another tensor
``"enter"``       module                               a module is called
``"read"``        owner, attribute                     Python looks at a value: a tensor's "data"
                                                       or "grad", a module's "training"
``"option"``      tensor, array                        the values of `tensor` are an option of the
                                                       next op, as `array`
``"taken"``       array                                it is copied into a tensor or an option
``"asked"``       tensor, kind                         what is read next is asked for as a "bool"
                                                       or an "int"
``"hook"``        node, given, replaced                a hook of `node` got the gradient `given`,
                                                       and returned `replaced` in its place
``"gradients"``   tensors, gradients                   `grad` returns these, one per tensor
``"step"``        optimizer, leaf, move, state         `move` says all that the new values of
                                                       `leaf`, which follow, are made from;
                                                       `state` is what the step leaves
``"clip"``        leaves, rule, settings               the gradients of `leaves` are clipped
================  ===================================  ============================================
"""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One call of a module, or one entry of `scope(name)`: two calls share `owner`, never `id`."""

    name: str
    owner: object  # the module that is called; for `scope(name)` the name itself
    parent: "Scope | None"
    id: int  # increases with every call in the process

    def within(self, state: "State") -> "State":
        """The state in this call."""
        return State(state.recording, self, state.observers, state.symbolic)

    def chain(self) -> "tuple[Scope, ...]":
        """The calls we are in, the outermost first."""
        calls: list[Scope] = [self]
        while calls[-1].parent is not None:
            calls.append(calls[-1].parent)
        return tuple(reversed(calls))


class State(NamedTuple):
    """Everything that is switched on or off around a block of code."""

    recording: bool = True  # off under `no_grad`
    scope: Scope | None = None
    observers: tuple[Observer, ...] = ()
    symbolic: bool = False  # backward passes compute with Tensors, so that observers see their ops
    entered: "Entered | None" = None  # the switch that was entered last


class Entered(NamedTuple):
    """A switch that is on: what it changed, and the state around it."""

    key: object
    change: Callable[[State], State]
    end: Callable[[], None]
    outside: State


STATE: ContextVar[State] = ContextVar("tinygrad_rnn", default=State())  # noqa: B039  (a tuple)


def notify(kind: str, *facts: Any) -> None:
    """Tell every observer of this thread."""
    for observer in STATE.get().observers:
        observer(kind, *facts)
