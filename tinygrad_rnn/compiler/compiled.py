"""`compile`: a function that is recorded, and from then on replayed."""

# pyright: reportPrivateUsage=false
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import update_wrapper
from types import MethodType
from typing import Any

import numpy as np

from ..autograd.op import NO_OPTIONS, Op
from ..autograd.state import STATE
from ..autograd.tensor import Array, Tensor, creation_ids
from ..errors import CompileError, GradientError
from ..locks import Lock
from ..nn.module import Module
from ..outline import Outline
from ..tracing.recording.graph import collector_paused
from .capture import Capture, Recording
from .guards import FOR_ALL, INEXACT, PLAIN
from .marks import Marks
from .plan import Plan
from .program import Program, needed
from .report import Report, Work
from .rewrites import PASSES, SUMS
from .rewrites.peepholes import simpler
from .rewrites.rewriter import rewritten
from .stages import outline

_KEPT = 16  # recordings; what is new beyond that runs as it is
_CHECKED_AT, _FEW, _CHECKED_LATER = 4, 4, 32  # calls, kinds, and calls where there are more
_OFTEN = 64  # until it was called so often: then the recording unused for longest goes
_OF_VALUES = 4  # recordings that hold for some values of an argument alone


def compile(fn: Callable[..., Any]) -> "Compiled":
    """Record what `fn` computes, forward and backward, and replay it as a flat list of NumPy calls.

    Arrays and Tensors among the arguments (also inside tuples, lists and dicts) reach fn as
    Tensors. Everything else, numbers too, counts as part of the function: for another value it is
    recorded again, as it is for other shapes and dtypes. At most 16 kinds of calls are recorded;
    calls of further kinds run uncompiled, and a warning says so. fn may look at the values of
    integers among the arguments, as in `np.eye(10)[ids]`: other values are recorded again a few
    times, and then run uncompiled.

    The first two calls are recorded and compared. From the third on fn itself runs no longer,
    except at calls 4, 8, 16, … of a kind (32, 64, … if there are many kinds), to see that it still
    does the same. Leaves from outside, parameters above all, are read at each call. If a number, a
    parameter or an object that the code of fn mentions has changed, fn is recorded again. Returned
    Tensors have no history, and backward on them raises; `.grad` is left as fn would leave it.
    Inside `trace()`, or under any other observer, fn runs uncompiled.

    Raises:
        CompileError: at a call, if fn does what cannot be replayed: it reads a value as an array or
            a number, binds a parameter to other data, draws from `random` or `np.random`, uses what
            another thread computed, returns what is neither Tensor nor number, or computes
            something else when it runs again; or if an argument is of an unknown kind.

    >>> import tinygrad_rnn as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> @tg.compile
    ... def step(x):
    ...     loss = ((w * x) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     w.grad = None
    ...     loss = step(tg.tensor([3.0, 4.0]))
    >>> loss.item(), w.grad
    (73.0, tensor([18., 64.]))
    """
    return Compiled(fn)


class Compiled:
    """A function that records itself: call it as the one it was made of."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._recorded: OrderedDict[Any, list[_Entry]] = OrderedDict()
        # Of these, the one called last: a call of the same kind need not look for it.
        self._latest: tuple[Any, list[_Entry]] = (None, [])
        self._left_alone: OrderedDict[Any, int] = OrderedDict()  # calls that ran as they are
        self._notes: list[str] = []  # why they did
        self._in_doubt = False  # whether anything can be recorded
        self._lock = Lock()  # a plan has one set of buffers
        update_wrapper(self, fn, updated=())  # what a module holds is not ours

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        state = STATE.get()
        given: list[Any] = []
        key = _structure(args, given), kwargs and _structure(kwargs, given), state.recording
        if state.observers:
            return self._call(key, [_output(x) for x in given])
        with self._lock.here():
            latest, entries = self._latest
            if key != latest:
                entries = self._entries(key)
            for entry in entries:
                tensors = given + entry.recording.leaves
                arrays = entry.recording.arrays(tensors)
                if arrays is None:
                    continue
                if entry is not entries[-1]:
                    entries.remove(entry)
                    entries.append(entry)
                entry.calls += 1
                if entry.plan is None or entry.calls == entry.checked_at:
                    return self._record(key, given, entries, entry)
                return entry.replay(entry.plan, arrays, tensors)
            if self._is_worth_recording(key, entries):
                return self._record(key, given, entries, None)
        return self._as_it_is(key, given)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind it, where it is a method."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        """A copy is of fn, or of the copy of its object, and has recorded nothing."""
        return Compiled, (self.fn,)

    def _call(self, key: Any, arguments: Sequence[Tensor]) -> Any:
        """The function as it is, with these in the places of the key."""
        positional, named, _ = key
        leaves = iter(arguments)
        args = _rebuilt(positional, leaves)
        kwargs = _rebuilt(named, leaves) if named else {}
        return self.fn(*args, **kwargs)

    def _entries(self, key: Any) -> "list[_Entry]":
        """What is recorded of calls of this kind, the one called last at the end."""
        kind = _hashable(key)
        try:
            entries = self._recorded.get(kind)
        except TypeError as error:
            rule = "pass tensors, arrays and what never changes, in tuples, lists and dicts"
            raise CompileError(f"compile: an argument is {error}: {rule}") from None
        if entries is None:
            entries = []
        else:
            self._recorded.move_to_end(kind)
        self._latest = key, entries
        return entries

    def _is_worth_recording(self, key: Any, entries: "list[_Entry]") -> bool:
        """Whether a call of a new kind is recorded, which takes as long as many that are not."""
        if self._in_doubt:
            return False
        for_values = [entry for entry in entries if entry.recording.values]
        if len(for_values) >= _OF_VALUES:
            numbers = ", ".join(f"argument {of}" for of in for_values[0].recording.values)
            self._leave(
                f"looks at the values of {numbers}, which differ from call to call: it runs "
                "uncompiled for all but the first few; keep to ops, as tg.ops.one_hot"
            )
            return False
        if self._count() < _KEPT:
            return True
        kind = _hashable(key)
        calls = self._left_alone.pop(kind, 0) + 1
        if calls == _OFTEN:
            self._forget_oldest()
            return True
        self._left_alone[kind] = calls  # at the end: those called least recently are forgotten
        while len(self._left_alone) > _OFTEN:
            self._left_alone.popitem(last=False)
        self._leave(
            f"was called with more than {_KEPT} kinds of arguments (shapes, dtypes, numbers, and "
            f"values it reads around it): a further kind runs uncompiled for {_OFTEN - 1} calls; "
            "pad sequences to a few lengths, and pass what changes as arrays"
        )
        return False

    def _count(self) -> int:
        return sum(map(len, self._recorded.values()))

    def _forget_oldest(self) -> None:
        """Drop the recording that was not called for the longest time."""
        for kind, entries in self._recorded.items():
            del entries[0]
            if not entries:
                del self._recorded[kind]
            return

    def _leave(self, why: str, depth: int = 4) -> None:
        """Warn once why calls run uncompiled, at the caller's line, `depth` calls up."""
        if why not in self._notes:
            self._notes.append(why)
            name = getattr(self.fn, "__name__", type(self.fn).__name__)
            warnings.warn(f"compile: {name} {why}", stacklevel=depth)

    def _as_it_is(self, key: Any, given: Sequence[Any]) -> Any:
        """What the function returns by itself: without history, as a replay's results are."""
        for x in given:
            _require_no_history(x)
        outputs: list[Any] = []
        returned = _structure(self._call(key, [_output(x) for x in given]), outputs)
        _require_plain(returned)
        results: list[Tensor] = []
        for x in map(_output, outputs):
            plain = _owned(x._data.view())
            results.append(_without_history(plain) if x._requires_grad else plain)
        return _rebuilt(returned, iter(results))

    def report(self) -> Report:
        """What was batched, removed and reused in the recording that was called last.

        Raises:
            CompileError: nothing was recorded yet, or not twice.

        >>> import numpy as np
        >>> fast = compile(lambda x: (x * 2 + 1) * (x * 2))
        >>> for _ in range(2):
        ...     y = fast(np.ones(10))
        >>> print(fast.report())
                          before           after
        calls                  4               3
        bytes                320             256
        flops                 30              30
        removed 1, batched 0, in place 1
        """
        return Report.of(*self.latest("report"), self._notes)

    def outline(self) -> Outline:
        """What the recording that was called last does at a call: what `draw` draws.

        Raises:
            CompileError: nothing was recorded yet, or not twice.
        """
        return outline(*self.latest("outline"))

    def latest(self, asked: str = "latest") -> tuple[Recording, Plan]:
        """The recording that was called last, and its plan.

        Raises:
            CompileError: nothing was recorded yet, or not twice; it says what was asked for.
        """
        for entries in reversed(self._recorded.values()):
            for entry in reversed(entries):
                if entry.plan is not None:
                    return entry.recording, entry.plan
        rule = "; ".join(["call the function twice, it is recorded at each", *self._notes])
        raise CompileError(f"{asked}: nothing is compiled yet: {rule}")

    @collector_paused()
    def _record(
        self, key: Any, given: list[Any], entries: "list[_Entry]", earlier: "_Entry | None"
    ) -> Any:
        marks = Marks(None if earlier is None else earlier.marks)
        program = Program(simpler) if earlier is None else None
        around = [self.fn, *FOR_ALL]
        for structure in filter(None, key[:2]):
            around += _other_than_tensors(structure)
        capture = Capture(_stand_ins(given), given, marks, program, around)
        try:
            recording, returned, results = self._captured(capture, key)
            if recording.guards.in_doubt:
                self._give_up(recording.guards.in_doubt, entries)
            elif earlier is None:
                entry = _Entry(recording, returned, marks)
                entries.append(entry)
                self._recorded[_hashable(key)] = entries
                if self._count() > _FEW:
                    entry.checked_at = _CHECKED_LATER
            else:
                _require_same(earlier, recording, returned, marks)
                if earlier.plan is None:
                    entries.remove(earlier)  # planning uses its program up
                    earlier.settle(recording)
                    entries.append(earlier)
                else:
                    earlier.checked_at *= 2
        except BaseException as error:
            capture.gradients.undo()
            if isinstance(error, CompileError) and earlier is not None and earlier.plan is not None:
                entries.remove(earlier)  # what it does is not what the function does
            raise
        for gradient in recording.gradients:
            if gradient.of < len(given):
                given[gradient.of]._grad = capture.arguments[gradient.of]._grad
        return _rebuilt(returned, iter(results))

    def _give_up(self, what: str, entries: "list[_Entry]") -> None:
        """Run uncompiled from now on: no recording could be compared with a later call."""
        entries.clear()
        self._in_doubt = True
        self._leave(
            f"mentions {what} around it, which may change unseen between two calls: it runs "
            "uncompiled; pass them as arguments or as tensors, or make arrays that never change "
            "read-only (array.flags.writeable = False), and compile it then",
            depth=6,
        )

    def _captured(self, capture: Capture, key: Any) -> tuple[Recording, Any, list[Tensor]]:
        """One run: its recording, the structure of what it returned, and that, without history."""
        outputs: list[Any] = []
        returned = _structure(capture.run(lambda: self._call(key, capture.arguments)), outputs)
        recording = capture.finish([_output(x) for x in outputs])
        results = [_owned(_output(x).data) for x in outputs]
        for i in recording.trained:
            results[i] = _without_history(results[i])
        returned = _structure(_rebuilt(returned, iter(results)), [])  # which has no history
        _require_plain(returned)
        return recording, returned, results


@dataclass(slots=True, eq=False)
class _Entry:
    recording: Recording
    returned: Any  # the structure of what fn returns
    marks: Marks  # of the first run
    plan: Plan | None = None  # once two runs were the same
    calls: int = 1
    checked_at: int = _CHECKED_AT  # at this call fn runs again, and must do the same

    def settle(self, later: Recording) -> None:
        """Plan what the first run did, now that a later one did the same.

        What may not change around the function is what the later run found: the first one may have
        prepared something, once and for all.
        """
        first = self.recording
        self.recording = replace(
            later,
            program=first.program,
            outputs=first.outputs,
            gradients=first.gradients,
            values=first.values,
        )
        self.plan = _planned(self.recording)

    def replay(self, plan: Plan, arrays: Sequence[Array], tensors: Sequence[Any]) -> Any:
        results = [_owned(array) for array in plan.run(arrays)]
        made = iter(results[len(self.recording.outputs) :])
        for gradient in self.recording.gradients:
            tensors[gradient.of]._grad = None if gradient.known is None else next(made)
        for i in self.recording.trained:
            results[i] = _without_history(results[i])
        return _rebuilt(self.returned, iter(results))


def _planned(recording: Recording) -> Plan:
    left = [gradient.known for gradient in recording.gradients if gradient.known is not None]
    results = [known.in_program for known in (*recording.outputs, *left)]
    values = needed(results, recording.program.values)
    recording.work = Work.of(recording, values)
    applied = recording.program.rewrites.copy()
    for rewrites in PASSES:
        made = rewritten(rewrites, values, results, always=rewrites is SUMS)
        if made is not None:
            recording.program.forget()  # there is another now
            program, results = made
            values = needed(results, program.values)
            applied += program.rewrites
    recording.work.rewrites.update(applied)
    return Plan(values, results, recording.position)


def _require_same(earlier: _Entry, later: Recording, returned: Any, marks: Marks) -> None:
    """A later run must end as the first one did: all between was compared as it went."""
    same_ends = _ends(earlier.recording) == _ends(later)
    if not (marks.are_all and same_ends and earlier.returned == returned):
        raise CompileError(
            "compile: two runs of the function did not compute and return the same: "
            "pass what changes as an argument"
        )


def _ends(recording: Recording) -> Any:
    leaves = [id(leaf) for leaf in recording.leaves]
    gradients = [(g.of, None if g.known is None else g.known.number) for g in recording.gradients]
    return leaves, gradients, [known.number for known in recording.outputs]


# Arguments and results


def _hashable(key: Any) -> Any:
    positional, named, recording = key
    return positional, named or None, recording


def _structure(tree: Any, leaves: list[Any]) -> Any:
    """What nested tuples, lists and dicts hold, hashable; arrays and Tensors go to `leaves`."""
    if isinstance(tree, Tensor):
        leaves.append(tree)
        shape, dtype = tree._data.shape, tree._data.dtype
        if not tree._requires_grad:
            return Tensor, shape, dtype
        # Given twice it is one, and its hooks and history matter to its gradient.
        which = next(i for i, x in enumerate(leaves) if x is tree)
        return Tensor, shape, dtype, which, tree.op, tree._hooks and tuple(tree._hooks)
    if isinstance(tree, np.ndarray):
        leaves.append(tree)
        return Tensor, tree.shape, tree.dtype
    if isinstance(tree, tuple | list):
        return (type(tree), *[_structure(part, leaves) for part in tree])
    if isinstance(tree, dict):
        return (dict, *[(key, _structure(part, leaves)) for key, part in tree.items()])
    sign = str(tree) if isinstance(tree, INEXACT) else None  # 0.0 equals -0.0
    return "is", type(tree), _ItSelf(tree) if isinstance(tree, Module) else tree, sign


class _ItSelf:
    """A module compared by identity: one that is a dataclass would compare its parameters."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ItSelf) and other.module is self.module

    def __hash__(self) -> int:
        return id(self.module)


def _thing(part: Any) -> Any:
    """What stands for itself in a structure."""
    return part.module if isinstance(part, _ItSelf) else part


def _other_than_tensors(structure: Any) -> Iterator[Any]:
    """What is among the arguments and is not a tensor."""
    kind, *parts = structure
    if kind == "is":
        yield _thing(parts[1])
    elif kind is not Tensor:
        for part in parts:
            yield from _other_than_tensors(part[1] if kind is dict else part)


def _require_plain(structure: Any) -> None:
    """Refuse what is not a Tensor and may change: each call would return the recording's."""
    kind, *parts = structure
    if kind == "is" and not isinstance(parts[1], PLAIN):
        raise CompileError(
            f"compile: the function returns a {parts[0].__name__}, which would be the same at "
            "every later call: return tensors and numbers, in tuples, lists and dicts"
        )
    if kind in ("is", Tensor):
        return
    for part in parts:
        _require_plain(part[1] if kind is dict else part)


def _rebuilt(structure: Any, leaves: Any) -> Any:
    kind, *parts = structure
    if kind is Tensor:
        return next(leaves)
    if kind == "is":
        return _thing(parts[1])
    if kind is dict:
        return {key: _rebuilt(part, leaves) for key, part in parts}
    made = [_rebuilt(part, leaves) for part in parts]
    is_named_tuple = hasattr(kind, "_fields")
    return kind(*made) if is_named_tuple else kind(made)


def _stand_ins(given: Sequence[Any]) -> list[Tensor]:
    """What fn gets for the arguments: what gets a gradient is one Tensor, given twice."""
    made: dict[int, Tensor] = {}
    stand_ins: list[Tensor] = []
    for x in given:
        gets_gradient = isinstance(x, Tensor) and x._requires_grad
        if not (gets_gradient and id(x) in made):
            made[id(x)] = _stand_in(x)
        stand_ins.append(made[id(x)])
    return stand_ins


def _stand_in(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        return Tensor(x)
    _require_no_history(x)
    # A view: the same values, but another array, since one array would be one argument.
    stand_in = _owned(x._data.view())
    stand_in._requires_grad, stand_in.name = x._requires_grad, x.name
    stand_in._grad, stand_in._hooks = x._grad, x._hooks and list(x._hooks)
    return stand_in


def _require_no_history(x: Any) -> None:
    if isinstance(x, Tensor) and x.op is not None:
        raise CompileError(
            f"compile: the argument {x.name or x.shape} was computed with a history: detach() it"
        )


def _output(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


class _Returned(Tensor):
    """A result that requires a gradient, but has no history: asking for it raises."""

    __slots__ = ()

    @property
    def inputs(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise GradientError(
            f"backward: {self.name or 'a tensor'} {self.shape} comes from a compiled function and "
            "has no history: call backward inside that function, or detach() what it returned"
        )


_RETURNED = Op("compiled", np.asarray, ())


def _without_history(x: Tensor) -> Tensor:
    """x as what cannot be differentiated, though it should be."""
    made = object.__new__(_Returned)
    made._data, made.id, made.scope = x._data, x.id, None
    made._grad = made._hooks = made.name = None
    made.retains_grad, made._requires_grad = False, True
    made.op, made.arrays, made.options = _RETURNED, (), NO_OPTIONS
    return made


def _owned(array: Array) -> Tensor:
    """A Tensor of an array that nobody else has: no copy, which is quicker."""
    array.setflags(False)  # pyright: ignore[reportCallIssue]  (a keyword takes twice as long)
    tensor = object.__new__(Tensor)
    tensor._data, tensor.id, tensor.scope = array, next(creation_ids), None
    tensor._grad = tensor._hooks = tensor._name = tensor.op = None
    tensor.retains_grad = tensor._requires_grad = False
    tensor.inputs, tensor.arrays, tensor.options = (), (), NO_OPTIONS
    return tensor
