"""Recording: a function runs once as it always does, and every op it makes becomes a value of a program."""

# pyright: reportPrivateUsage=false

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.op import Op
from ..autograd.state import STATE, switched
from ..autograd.tensor import Array, Tensor, creation_ids
from ..errors import CompileError, describe
from ..tracing.recording.source import Source
from .lowering import COMPOSED, Operand, lower
from .program import Program, Value

_BAKED = "its value would be the same at every later call; keep to ops, or return it and look at it outside"


@dataclass(frozen=True, slots=True)
class Gradient:
    """What a call leaves in the `.grad` of tensor number `of`."""

    of: int
    value: Value | None  # None: the call clears it


@dataclass(slots=True)
class Recording:
    """One run of a function, and what a later call must find again for the recording to hold.

    Tensors have numbers: first the arguments, then the leaves from outside.
    """

    program: Program
    outputs: list[Value]
    gradients: list[Gradient]
    had: dict[int, bool]  # tensors, and whether there must be a gradient before the call
    argument_count: int
    leaves: list[Tensor]
    states: list[Any]  # of the leaves: what a call depends on but their values
    added: dict[
        int, np.dtype[Any]
    ]  # the tensors whose gradients are read, to be added to, and the dtypes of these
    options: dict[
        Tensor, Array
    ]  # tensors from outside that are no operands but an index, say, and their values
    modules: dict[Any, bool]  # every module that had a part, and whether it was in training
    ops: int  # calls of ops, forward and backward
    nbytes: int  # of their results
    work: Any = (
        None  # what it was, in numbers: `report.Work`, once the program is planned and forgotten
    )

    def arrays(self, tensors: Sequence[Any]) -> list[Array] | None:
        """What the sources are at a call, by `position`; None where the call would not do the same again."""
        for of, had in self.had.items():
            if had is (tensors[of]._grad is None):
                return None
        if any(x._data is not array for x, array in self.options.items()):
            return None
        if self.modules and [module.training for module in self.modules] != [
            *self.modules.values()
        ]:
            return None
        if [
            (leaf._data.dtype, leaf.requires_grad, leaf._hooks) for leaf in self.leaves
        ] != self.states:
            return None
        arrays = [x._data if isinstance(x, Tensor) else x for x in tensors]
        for of, dtype in self.added.items():
            array = tensors[of]._grad._data
            if array.dtype != dtype:
                return None
            arrays.append(array)
        return arrays

    def position(self, source: Value) -> int:
        """Where among `arrays` that of a source is."""
        what, of = source.detail
        return (
            self.argument_count + len(self.leaves) + [*self.added].index(of)
            if what == "gradient"
            else of
        )


class _OfTensors:
    """Values of tensors, by creation id: those of one run follow each other, and are in a list."""

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id
        self._before: dict[int, Value] = {}
        self._since: list[Value | None] = []

    def get(self, x: Tensor) -> Value | None:
        place = x.id - self.first_id
        if place < 0:
            return self._before.get(x.id)
        return self._since[place] if place < len(self._since) else None

    def __setitem__(self, x: Tensor, value: Value) -> None:
        place, since = x.id - self.first_id, self._since
        if place < 0:
            self._before[x.id] = value
        elif place < len(since):
            since[place] = value
        else:
            since.extend([None] * (place - len(since)))
            since.append(value)


class _KnownArray(weakref.ref[Array]):
    """An array, as long as it lives, and its value."""

    __slots__ = ("key", "value")
    key: int
    value: Value


class _OfArrays:
    """Values of arrays as long as these live: nothing is kept for being recorded, and an id may be used again."""

    def __init__(self) -> None:
        self._known: dict[int, _KnownArray] = {}

    def get(self, array: Array) -> Value | None:
        known = self._known.get(id(array))
        return None if known is None else known.value

    def __setitem__(self, array: Array, value: Value) -> None:
        known = _KnownArray(array, self._forget)
        known.key, known.value = key, _ = id(array), value
        self._known[key] = known

    def _forget(self, known: _KnownArray) -> None:
        if self._known.get(known.key) is known:
            del self._known[known.key]


class Capture:
    """An observer: it makes a program of the ops, and refuses that values leave the graph.

    Args:
        arguments: stand-ins for the tensors of the call, which fn gets to see.
        given: the tensors that they stand for.
        program: where the values go.
    """

    def __init__(self, arguments: Sequence[Tensor], given: Sequence[Any], program: Program) -> None:
        self.program = program
        self.first_id = next(creation_ids)
        self.arguments, self.given = arguments, given
        self.leaves: list[Tensor] = []
        self.states: list[Any] = []  # of the leaves, when they were met
        self.numbers: dict[Tensor, int] = {
            x: i for i, x in enumerate(arguments)
        }  # whose gradients matter
        self.before = {x: x._grad for x in arguments}  # their gradients at the beginning
        self.replaced: set[Tensor] = (
            set()
        )  # whose gradients were cleared before anything depended on them
        self.used: set[Tensor] = (
            set()
        )  # whose gradients something depends on, be it that there is none
        self.added: dict[int, np.dtype[Any]] = {}  # tensors whose gradient was used, and its dtype
        self.options: dict[Tensor, Array] = {}
        self.modules: dict[Any, bool] = {}
        self.ops = self.nbytes = 0
        self.values = _OfTensors(self.first_id)
        self.arrays = _OfArrays()
        for i, x in enumerate(arguments):
            self._keep(x, self._source(("argument", i), x.data))

    def run(self, fn: Callable[[], Any]) -> Any:
        """Call `fn` and record it."""
        with switched(symbolic=True, observers=(*STATE.get().observers, self)):
            return fn()

    def undo(self) -> None:
        """Make every gradient what it was before."""
        for x, gradient in self.before.items():
            x._grad = gradient

    def finish(self, outputs: Sequence[Tensor]) -> Recording:
        """The recording of a run that returned these tensors; gradients are plain tensors again."""
        results = [self._value(x, x._data) for x in outputs]
        gradients: list[Gradient] = []
        had: dict[int, bool] = {}
        for x, before in list(self.before.items()):
            after, number = x._grad, self.numbers[x]
            if number < len(self.given) and not isinstance(self.given[number], Tensor):
                continue  # an array has no gradient
            if x not in self.replaced and (x in self.used or after is not before):
                had[number] = before is not None
            if after is not before or x in self.replaced or (x in self.used and after is None):
                value = None if after is None else self._value(after, after._data)
                gradients.append(Gradient(number, value))
                x._grad = None if after is None else Tensor(after._data)
        del self.values, self.arrays  # else the program would live as long as this does
        return Recording(
            program=self.program,
            outputs=results,
            gradients=gradients,
            had=had,
            argument_count=len(self.given),
            leaves=self.leaves,
            states=self.states,
            added=self.added,
            options=self.options,
            modules=self.modules,
            ops=self.ops,
            nbytes=self.nbytes,
        )

    # What the engine tells

    def __call__(self, kind: str, *facts: Any) -> None:
        if kind == "forward":
            self._forward(*facts)
        elif kind == "update":
            leaf, before, _ = facts
            leaf._data = before
            self._refuse(
                f"{describe(leaf)} gets other data", "update parameters outside, after the call"
            )
        elif kind in ("zero", "replace"):  # what was there is gone in both cases
            self._zero(facts[0])
        elif kind == "accumulate":
            self._use(facts[0])
        elif kind == "read":
            self._read(*facts)
        elif kind == "option":
            self._option(*facts)
        elif kind == "enter":
            (module,) = facts
            self.modules.setdefault(module, module.training)

    def _read(self, owner: Any, attribute: str) -> None:
        """Python looks at a value, which only ops may do, unless it is the same at every call."""
        if attribute == "training":
            self.modules.setdefault(owner, owner._training)
        elif attribute == "grad":
            self._look_at_gradient(owner)
        else:
            self._refuse_to_bake(owner)

    def _refuse_to_bake(self, x: Tensor) -> None:
        value = self.values.get(x)
        inside = value is None and x.id >= self.first_id
        if not inside and (value is None or value.kind != "constant"):
            self._refuse(f"the values of {describe(x)} are read as an array or a number", _BAKED)

    def _option(self, x: Tensor, array: Array) -> None:
        """A tensor that is no operand but an index, say: from outside, it is part of the recording."""
        if self._owners(x):
            self._value(x, x._data)
        if x.id < self.first_id and self.values.get(x) is None:
            self.options[x] = x._data
            return
        value = self.arrays.get(x._data)
        if value is not None:
            self.arrays[array] = value

    def _look_at_gradient(self, x: Tensor) -> None:
        if x.id < self.first_id:
            self._meet(x)
            if x._grad is self.before[x]:
                self._use(x)

    def _refuse(self, what: str, fix: str) -> None:
        raise CompileError(f"compile: {Source.of_caller()}: {what}: {fix}")

    def _forward(
        self, made: Tensor, op: Op, inputs: Sequence[Tensor | None], arrays: Any, options: Any
    ) -> None:
        if op in COMPOSED:
            self._compose(made, op, inputs, arrays, options)
            return
        self.ops += 1
        self.nbytes += made._data.nbytes
        operands: list[Operand] = [
            a if x is None else self._value(x, a) for x, a in zip(inputs, arrays, strict=True)
        ]
        known = self._options(options)
        if made.requires_grad and _holds_value(known.get("index")):
            self._refuse(
                f"{describe(made)} is indexed by a tensor",
                "take rows with tg.ops.embedding(table, index)",
            )
        self._keep(made, lower(self.program, op, operands, known, made._data))

    def _compose(self, made: Tensor, op: Op, inputs: Any, arrays: Any, options: Any) -> None:
        """An op that is made of others is what its formula does to Tensors; for the user it is one op."""
        counts = self.ops + 1, self.nbytes + made._data.nbytes
        operands = [a if x is None else x for x, a in zip(inputs, arrays, strict=True)]
        if op.name == "cross_entropy" and inputs[1] is not None:
            targets = self._value(inputs[1], arrays[1])
            self.program.add("check", (targets,), ("target", arrays[0].shape[-1]), (), np.bool_)
        with switched(symbolic=False, recording=False):
            same = COMPOSED[op](*operands, **options)
        self._keep(made, self.program.cast(self._value(same, same._data), made.dtype))
        self.ops, self.nbytes = counts

    # What a tensor is to the program

    def _value(self, x: Tensor, array: Array) -> Value:
        value = self.values.get(x)
        if value is None:
            value = self._keep(
                x, self._inside(array) if x.id >= self.first_id else self._outside(x)
            )
        return value

    def _keep(self, x: Tensor, value: Value) -> Value:
        self.values[x] = value
        if not x.requires_grad:  # else it can be no option
            self.arrays[x._data] = value
        return value

    def _options(self, option: Any) -> Any:
        """Options with values in place of the arrays of recorded tensors: an index may be one."""
        if isinstance(option, dict):
            return {name: self._options(part) for name, part in option.items()}
        if isinstance(option, tuple | list):
            return type(option)(self._options(part) for part in option)
        return (self.arrays.get(option) or option) if isinstance(option, np.ndarray) else option

    def _inside(self, array: Array) -> Value:
        """A tensor that was made of an array: of a recorded tensor's own, or of one that is always the same."""
        return self.arrays.get(array) or self.program.constant(array)

    def _outside(self, x: Tensor) -> Value:
        """A tensor that was there before: it is read at each call."""
        owners = self._owners(x)
        if len(owners) > 1:
            self._refuse(
                f"{describe(x)} is the gradient of {len(owners)} tensors",
                "give each a tensor of its own",
            )
        if owners:
            self._use(owners[0])
            self.added[self.numbers[owners[0]]] = x.dtype
            return self._source(("gradient", self.numbers[owners[0]]), x._data)
        if x.op is not None:
            self._refuse(f"{describe(x)} was computed outside", "pass it as an argument, detached")
        if any(x is given for given in self.given):
            self._refuse(
                f"{describe(x)} is an argument, and used from outside as well",
                "use the argument alone",
            )
        self._meet(x)
        return self._source(("leaf", self.numbers[x]), x._data)

    def _owners(self, gradient: Tensor) -> list[Tensor]:
        """The tensors whose gradient this was at the beginning."""
        return [x for x, before in self.before.items() if before is gradient]

    def _meet(self, leaf: Tensor) -> None:
        if leaf not in self.numbers:
            self.numbers[leaf] = len(self.given) + len(self.leaves)
            self.leaves.append(leaf)
            self.states.append(
                (leaf._data.dtype, leaf.requires_grad, leaf._hooks and list(leaf._hooks))
            )
            self.before[leaf] = leaf._grad

    def _use(self, leaf: Tensor) -> None:
        """What its gradient was before makes a difference, unless it was replaced first."""
        if leaf in self.before and leaf not in self.replaced:
            self.used.add(leaf)

    def _zero(self, leaf: Tensor) -> None:
        if leaf.id < self.first_id:
            self._meet(leaf)
            if leaf not in self.used:
                self.replaced.add(leaf)

    def _source(self, what: Any, array: Array) -> Value:
        return self.program.add("source", (), what, array.shape, array.dtype)


def _holds_value(option: Any) -> bool:
    return isinstance(option, Value) or (
        isinstance(option, tuple | list) and any(map(_holds_value, option))
    )
