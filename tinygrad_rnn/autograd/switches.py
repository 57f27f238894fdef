"""Switches: state that is changed for one block of code, and restored however the block ends.

Blocks may overlap, since generators are closed in any order: each takes back its own change. And
Ctrl-C may come at any moment, even in the line that restores the state. So that line is written
twice, one `finally` around the other, and a block ends when its last reference is dropped.
"""

import inspect
from collections.abc import Callable, Generator
from contextvars import Context, ContextVar
from functools import partial, wraps
from types import coroutine
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from ..errors import cut, shown
from .state import STATE, Entered, Observer, Scope, State, call_ids

Change = Callable[[State], State]
_T = TypeVar("_T")
_P = ParamSpec("_P")


def _nothing() -> None:
    pass


def _quiet_numpy() -> tuple[ContextVar[Any], Any]:
    """The variable that says of what NumPy warns, and its value where it warns of nothing."""
    context = Context()
    context.run(np.seterr, all="ignore")
    ((variable, value),) = context.items()
    return variable, value


_WARNINGS, _NO_WARNINGS = _quiet_numpy()


class Switch(Generic[_T]):
    """Changes the state for a block, `with switch:`; it may be entered many times, nested too.

    As a decorator it is on while the function runs. A generator or a coroutine runs in stretches:
    while it waits, the state is that of whoever it waits for.

    Args:
        begin: called at each entry; returns how the state changes, what `as` receives, and what is
            called at the end.
    """

    def __init__(self, begin: Callable[[], tuple[Change, _T, Callable[[], None]]]) -> None:
        self._begin = begin
        self._on: dict[object, Generator[None]] = {}  # the blocks that it is on in, by their keys

    def __enter__(self) -> _T:
        change, value, end = self._begin()
        key = object()
        block = self._on[key] = _until_closed(key, change, end)
        try:
            next(block)
            return value
        except BaseException:
            block.close()
            raise

    def __exit__(self, *_: object) -> None:
        entered = STATE.get().entered
        while entered is not None and entered.key not in self._on:
            entered = entered.outside.entered
        if entered is None:
            raise RuntimeError("this block began in another thread or task than it ends in")
        self._on.pop(entered.key).close()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        begin, called = self._begin, _function_of(function)
        if inspect.isasyncgenfunction(called):
            raise TypeError(f"{function!r}: in an asynchronous generator, write `with` instead")
        if inspect.isgeneratorfunction(called):

            @wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Any:
                return (yield from _stretches(begin, function(*args, **kwargs)))

            return generate
        if inspect.iscoroutinefunction(called):

            @wraps(function)
            async def wait(*args: Any, **kwargs: Any) -> Any:
                return await coroutine(_stretches)(begin, function(*args, **kwargs))

            return wait

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with Switch(begin):
                return function(*args, **kwargs)

        return call


def _until_closed(key: object, change: Change, end: Callable[[], None]) -> Generator[None]:
    """Be on. A generator, since Python closes it when its last reference is dropped."""
    try:
        try:
            STATE.set(entered_by(key, change, STATE.get(), end))
            yield
        finally:
            leave(key)
    finally:
        leave(key)  # where Ctrl-C came in the line above, else there is nothing to do


def leave(key: object) -> None:
    """Take back the newest change of this key, and no other, if there is one."""
    entered = STATE.get().entered
    if entered is not None and entered.key is key:  # as blocks that do not overlap are left
        STATE.set(entered.outside)
        entered.end()
        return
    newer: list[Entered] = []
    while entered is not None and entered.key is not key:
        newer.append(entered)
        entered = entered.outside.entered
    if entered is None:
        return
    state = entered.outside
    for other in reversed(newer):
        state = entered_by(other.key, other.change, state, other.end)
    STATE.set(state)
    entered.end()


def entered_by(
    key: object, change: Change, state: State, end: Callable[[], None] = _nothing
) -> State:
    """The state as it is changed until `leave(key)`."""
    recording, scope, observers, symbolic, _ = change(state)
    return State(recording, scope, observers, symbolic, Entered(key, change, end, state))


def called(scope: Scope, state: State) -> State:
    """The state in a call of a module: `entered_by(scope, scope.within, state)`, but faster."""
    entered = Entered(scope, scope.within, _nothing, state)
    return State(state.recording, scope, state.observers, state.symbolic, entered)


def _function_of(function: Any) -> Any:
    """The function whose body runs, below the wrappers that `functools.wraps` made."""
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"a switch decorates a function, not {function!r}")
    body: Any = inspect.unwrap(function)
    if inspect.isroutine(body) or isinstance(body, partial):
        return body  # pyright: ignore[reportUnknownVariableType]
    return type(body).__call__


def _stretches(begin: Any, run: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Resume a generator or a coroutine under a switch, each time that it is resumed."""
    begun = begin()
    resume: Callable[..., Any] = run.send
    given: tuple[Any, ...] = (None,)
    while True:
        with Switch(lambda: begun):
            try:
                made = resume(*given)
            except StopIteration as end:
                return end.value
        try:
            resume, given = run.send, ((yield made),)
        except GeneratorExit:
            with Switch(lambda: begun):
                run.close()
            raise
        except BaseException as error:
            resume, given = run.throw, (error,)


def switched(**changes: Any) -> Switch[None]:
    """Run a block under a changed state."""
    return Switch(lambda: (lambda state: state._replace(**changes), None, _nothing))


class Pass:
    """The state of one backward pass, in which NumPy is silent: a Switch that is faster to enter.

    It is written twice, `with this, this:`; the first changes nothing. So both take back what the
    second changes, if Ctrl-C comes while it begins, or while one of them ends.
    """

    __slots__ = ("_is_guarded", "_recording", "_warnings")

    def __init__(self, recording: bool) -> None:
        self._recording, self._warnings, self._is_guarded = recording, _WARNINGS.get(), False

    def __enter__(self) -> None:
        if self._is_guarded:
            _WARNINGS.set(_NO_WARNINGS)
            STATE.set(self._change(STATE.get()))
        self._is_guarded = True

    def __exit__(self, *_: object) -> None:
        _WARNINGS.set(self._warnings)
        leave(self)

    def _change(self, state: State) -> State:
        entered = Entered(self, self._change, _nothing, state)
        return State(self._recording, state.scope, state.observers, state.symbolic, entered)


def no_grad() -> Switch[None]:
    """Compute without recording: results are leaves that require no gradient. Also a decorator."""
    return switched(recording=False)


def observed(observer: Observer) -> Switch[None]:
    """Tell `observer` everything that happens in a block."""
    return Switch(lambda: (watching(observer), None, _nothing))


def watching(observer: Observer) -> Change:
    """Add an observer to the others."""
    return lambda state: state._replace(observers=(*state.observers, observer))


def scope(name: str, owner: object = None) -> Switch[Scope]:
    """Mark a step of the program: ops inside belong to this call of `name`.

    A loop that enters the same name again and again, and passes a tensor from one call to the next,
    is recognised as copies of one network::

        for x in xs:
            with tg.scope("cell"):
                h = tg.ops.tanh(W_xh @ x + W_hh @ h)

    Raises:
        TypeError: the name is not a str.
    """
    if type(name) is not str:
        raise TypeError(f"scope: the name must be a str, got {type(name).__name__}: {shown(name)}")

    called = cut(name)

    def begin() -> tuple[Change, Scope, Callable[[], None]]:
        call = Scope(called, called if owner is None else owner, STATE.get().scope, next(call_ids))
        return call.within, call, _nothing

    return Switch(begin)


def quietly(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Silence NumPy's warnings about infinities and NaN while a function runs.

    NumPy's own switch takes longer, and ends in Python code, too: if Ctrl-C comes in its last line,
    it stays on. For a block write `with np.errstate(), np.errstate(all="ignore"):`: the first
    restores what the second did not.
    """

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        warnings = _WARNINGS.get()
        try:
            try:
                _WARNINGS.set(_NO_WARNINGS)
                return function(*args, **kwargs)
            finally:
                _WARNINGS.set(warnings)
        finally:
            _WARNINGS.set(warnings)  # where Ctrl-C came in the line above

    return call
