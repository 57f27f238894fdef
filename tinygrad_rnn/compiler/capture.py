"""Recording: a function runs as it always does, and every op becomes a value of a program."""

# pyright: reportPrivateUsage=false

import weakref
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..autograd.op import NO_OPTIONS, Op
from ..autograd.switches import observed, switched
from ..autograd.tensor import Array, Tensor, creation_ids
from ..errors import CompileError, describe
from ..nn.module import Parameter
from ..tracing.recording.source import Source
from .gather import gathered, has_value
from .guards import GENERATORS, Guards, state_of
from .lowering import COMPOSED, lower
from .marks import Known, Marks, of_operands, of_option
from .program import Program, Value, needed

_BAKED = (
    "its value would be the same at every later call; "
    "keep to ops, or return it and look at it outside"
)


@dataclass(frozen=True, slots=True)
class Gradient:
    """What a call leaves in the `.grad` of tensor number `of`."""

    of: int
    known: Known | None  # None: the call clears it


@dataclass(slots=True)
class Recording:
    """One run of a function, and what a later call must find again for the recording to hold.

    Tensors have numbers: first the arguments, then the leaves from outside.

    Args:
        program: what was computed, of the run of which a program is made.
        outputs: what the function returned.
        trained: the numbers of those that require a gradient.
        gradients: what it left.
        had: tensors, and whether there must be a gradient before the call.
        argument_count: how many numbers are those of arguments.
        leaves: the tensors from outside that it read.
        states: what of each leaf a call depends on, but its values.
        added: the tensors whose gradients are read, to be added to, and the dtypes of these.
        options: tensors from outside that are not operands but an index, say, and their values.
        modules: every module that had a part, by id, and whether it was in training.
        values: the arguments of integers whose values Python looked at, by number.
        guards: what else was found around the function.
        ops: calls of ops, forward and backward.
        nbytes: of their results.
        work: what it was, in numbers: `report.Work`, once it is planned and the program forgotten.
    """

    program: Program
    outputs: list[Known]
    trained: list[int]
    gradients: list[Gradient]
    had: dict[int, bool]
    argument_count: int
    leaves: list[Tensor]
    states: list[Any]
    added: dict[int, np.dtype[Any]]
    options: dict[Tensor, Array]
    modules: dict[int, tuple[Any, bool]]
    values: dict[int, Array]
    guards: Guards
    ops: int
    nbytes: int
    work: Any = None

    def arrays(self, tensors: Sequence[Any]) -> list[Array] | None:
        """What the sources are at a call, by `position`; None: it would not do the same again."""
        for of, had in self.had.items():
            if had is (tensors[of]._grad is None):
                return None
        if any(x._data is not array for x, array in self.options.items()):
            return None
        if any(module.training is not was for module, was in self.modules.values()):
            return None
        if [(x._data.dtype, x._requires_grad, x._hooks) for x in self.leaves] != self.states:
            return None
        if not self.guards.hold():
            return None
        arrays = [x._data if isinstance(x, Tensor) else x for x in tensors]
        if not all(np.array_equal(arrays[of], seen) for of, seen in self.values.items()):
            return None
        for of, dtype in self.added.items():
            array = tensors[of]._grad._data
            if array.dtype != dtype:
                return None
            arrays.append(array)
        return arrays

    def position(self, source: Value) -> int:
        """Where among `arrays` that of a source is."""
        what, of = source.detail
        if what == "gradient":
            return self.argument_count + len(self.leaves) + [*self.added].index(of)
        return of


class _OfTensors:
    """What tensors are, by creation id: those of one run follow each other, and are in columns.

    An object for each would take four times the memory.
    """

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id
        self._before: dict[int, Known] = {}
        self._numbers, self._constants = array("q"), bytearray()
        self._values: list[Value | None] = []

    def get(self, x: Tensor) -> Known | None:
        place = x.id - self.first_id
        if place < 0:
            return self._before.get(x.id)
        if place >= len(self._numbers) or self._numbers[place] == _UNKNOWN:
            return None
        return Known(self._numbers[place], bool(self._constants[place]), self._values[place])

    def __setitem__(self, x: Tensor, known: Known) -> None:
        place = x.id - self.first_id
        if place < 0:
            self._before[x.id] = known
            return
        while place >= len(self._numbers):
            self._numbers.append(_UNKNOWN)
            self._constants.append(False)
            self._values.append(None)
        self._numbers[place] = known.number
        self._constants[place], self._values[place] = known.is_constant, known.value


_UNKNOWN = -1


class _LivingArray(weakref.ref[Array]):
    """An array, as long as it lives, and what it is."""

    __slots__ = ("known",)
    known: Known


class _OfArrays:
    """What each array is that is alive. It keeps none alive, and an id may be used again.

    No callback is called when an array is freed: in a callback, Ctrl-C would be lost.

    Args:
        outside: where to look for an array that is not here.
    """

    def __init__(self, outside: "_OfArrays | None" = None) -> None:
        self._living: dict[int, _LivingArray] = {}
        self._outside = outside

    def get(self, array: Array) -> Known | None:
        living = self._living.get(id(array))
        if living is not None and living() is array:
            return living.known
        return None if self._outside is None else self._outside.get(array)

    def __setitem__(self, array: Array, known: Known) -> None:
        living = _LivingArray(array)
        living.known = known
        self._living[id(array)] = living


class _Gradients:
    """What a run does to the gradients of tensors that were there before it."""

    def __init__(self, arguments: Sequence[Tensor]) -> None:
        self.before = {x: x._grad for x in arguments}  # at the beginning
        self._used: set[Tensor] = set()  # something depends on it, be it that there is none
        self._replaced: set[Tensor] = set()  # gone before anything depended on it

    def use(self, x: Tensor) -> None:
        """Something depends on the gradient from before, unless it was replaced first."""
        if x in self.before and x not in self._replaced:
            self._used.add(x)

    def replace(self, x: Tensor) -> None:
        """The gradient from before is gone."""
        if x not in self._used:
            self._replaced.add(x)

    def matters(self, x: Tensor) -> bool:
        """Whether a call depends on whether there is a gradient before it."""
        changed = x._grad is not self.before[x]
        return x not in self._replaced and (x in self._used or changed)

    def is_left(self, x: Tensor) -> bool:
        """Whether a call sets or clears the gradient."""
        changed = x._grad is not self.before[x]
        return changed or x in self._replaced or (x in self._used and x._grad is None)

    def owners(self, gradient: Tensor) -> list[Tensor]:
        """The tensors whose gradient this was at the beginning."""
        return [x for x, before in self.before.items() if before is gradient]

    def undo(self) -> None:
        """Make every gradient what it was before."""
        for x, gradient in self.before.items():
            x._grad = gradient


class Capture:
    """An observer: it notes the ops, and refuses that values leave the graph.

    Args:
        arguments: stand-ins for the tensors of the call, which fn gets to see.
        given: the tensors that they stand for.
        marks: where all that happens is noted, and held against an earlier run.
        program: what is made of the ops; None where the run is only held against an earlier one.
        around: fn, and its arguments that are not tensors.
    """

    def __init__(
        self,
        arguments: Sequence[Tensor],
        given: Sequence[Any],
        marks: Marks,
        program: Program | None,
        around: Sequence[Any],
    ) -> None:
        self.marks, self.program = marks, program
        self.guards = Guards(around)
        self.drawn_from: list[Any] = []  # by ops, which draw anew at a replay
        self.first_id = next(creation_ids)
        self.arguments, self.given = arguments, given
        self.gradients = _Gradients(arguments)
        # What a call depends on: see `Recording`.
        self.numbers: dict[Tensor, int] = {x: i for i, x in enumerate(arguments)}
        self.leaves: list[Tensor] = []
        self.states: list[Any] = []
        self.added: dict[int, np.dtype[Any]] = {}
        self.options: dict[Tensor, Array] = {}
        self.modules: dict[int, tuple[Any, bool]] = {}
        self.looked_at: dict[int, Array] = {}
        self.ops = self.nbytes = 0
        self.tensors, self.arrays = _OfTensors(self.first_id), _OfArrays()
        for i, x in enumerate(arguments):
            self._keep(x, self._source(("argument", i), x.data))
            self._meet_hooks(x._hooks)

    def run(self, fn: Callable[[], Any]) -> Any:
        """Call `fn` and record it."""
        with switched(symbolic=True), observed(self):
            return fn()

    def check_generators(self) -> None:
        """Refuse random numbers that would be the same at every later call."""
        for generator, before in self.guards.generators:
            of_an_op = any(generator is known for known in self.drawn_from)
            if not of_an_op and state_of(generator) != before:
                raise CompileError(
                    "compile: the function draws random numbers, which would be the same at every "
                    "later call: pass them as arguments, or draw them with a Generator that is an "
                    "option of an op without inputs, as nn.Dropout does"
                )

    def finish(self, outputs: Sequence[Tensor]) -> Recording:
        """The recording of a run that returned these tensors; gradients are plain tensors again."""
        self.check_generators()
        self.guards.settle()
        results = [self._known(x, x._data) for x in outputs]
        had: dict[int, bool] = {}
        left: list[Gradient] = []
        for x, before in list(self.gradients.before.items()):
            number = self.numbers[x]
            if number < len(self.given) and not isinstance(self.given[number], Tensor):
                continue  # an array has no gradient
            if self.gradients.matters(x):
                had[number] = before is not None
            if self.gradients.is_left(x):
                left.append(self._left(x))
        del self.tensors, self.arrays  # else the program would live as long as this does
        return Recording(
            program=self.program or Program(),
            outputs=results,
            trained=[i for i, x in enumerate(outputs) if x._requires_grad],
            gradients=left,
            had=had,
            argument_count=len(self.given),
            leaves=self.leaves,
            states=self.states,
            added=self.added,
            options=self.options,
            modules=self.modules,
            values=self.looked_at,
            guards=self.guards,
            ops=self.ops,
            nbytes=self.nbytes,
        )

    def _left(self, x: Tensor) -> Gradient:
        """The gradient that the run left, which loses its history."""
        made = x._grad
        if made is None:
            return Gradient(self.numbers[x], None)
        x._grad = Tensor(made._data)
        return Gradient(self.numbers[x], self._known(made, made._data))

    # What the engine tells

    def __call__(self, kind: str, *facts: Any) -> None:
        if kind == "forward":
            self._forward(*facts)
        elif kind == "update":
            leaf, before, _ = facts
            leaf._data = before
            what = f"{describe(leaf)} gets other data"
            self._refuse(what, "update parameters outside, after the call")
        elif kind in ("zero", "replace"):  # what was there is gone in both cases
            self._replace(facts[0])
        elif kind == "accumulate":
            self.gradients.use(facts[0])
        elif kind == "read":
            self._read(*facts)
        elif kind == "option":
            self._option(*facts)
        elif kind == "taken":
            self.guards.contents.take(facts[0])
        elif kind == "enter":
            (module,) = facts
            self._take_part(module, module.training)
            self.guards.meet(module)

    def _read(self, owner: Any, attribute: str) -> None:
        """Python looks at a value, which only ops may do, unless it is the same at every call."""
        if attribute == "training":
            self._take_part(owner, owner._training)
        elif attribute == "grad":
            self._look_at_gradient(owner)
        else:
            self._refuse_to_bake(owner)

    def _take_part(self, module: Any, training: bool) -> None:
        """Note that a module took part; by its id, since a dataclass may have no hash."""
        self.modules.setdefault(id(module), (module, training))

    def _refuse_to_bake(self, x: Tensor) -> None:
        known = self.tensors.get(x)
        inside = known is None and x.id >= self.first_id
        if known is not None and self._is_made_of_integers(known):
            return
        if not inside and (known is None or not known.is_constant):
            self._refuse(f"the values of {describe(x)} are read as an array or a number", _BAKED)

    def _is_made_of_integers(self, known: Known) -> bool:
        """Whether it follows from arguments of integers alone, which must then stay the same."""
        if self.program is None:
            return known.number in self.marks.looked_at
        value = known.in_program
        behind = needed([value], self.program.values[: value.id + 1], effects=False)
        sources = [x for x in behind if x.kind == "source"]
        varying = any(x.kind in ("draw", "call") for x in behind)
        if not sources or varying or not all(map(_is_integers, sources)):
            return False
        for x in sources:
            _, number = x.detail
            self.looked_at.setdefault(number, np.array(self.arguments[number]._data))
        self.marks.looked_at.add(known.number)
        return True

    def _option(self, x: Tensor, array: Array) -> None:
        """A tensor that is an index, say, not an operand: one from outside must stay the same."""
        if self.gradients.owners(x):
            self._known(x, x._data)
        known = self.tensors.get(x)
        if known is None and x.id < self.first_id:
            self.options[x] = x._data
            return
        known = known or self.arrays.get(x._data)
        if known is not None:
            self.arrays[array] = known

    def _look_at_gradient(self, x: Tensor) -> None:
        if x.id < self.first_id:
            self._meet(x)
            if x._grad is self.gradients.before[x]:
                self.gradients.use(x)

    def _refuse(self, what: str, fix: str) -> NoReturn:
        raise CompileError(f"compile: {Source.of_caller()}: {what}: {fix}")

    def _forward(
        self, made: Tensor, op: Op, inputs: Sequence[Tensor | None], arrays: Any, options: Any
    ) -> None:
        known = live = options
        if options:
            self.drawn_from += [x for x in options.values() if isinstance(x, GENERATORS)]
            known = self._options(options)
            live = self._live(options, known)
        if made.op is not None:
            made.options = live  # for the backward pass, whose formula is recorded as well
        self.ops += 1
        self.nbytes += made._data.nbytes
        operands = [
            a if x is None else self._known(x, a) for x, a in zip(inputs, arrays, strict=True)
        ]
        number = self.marks.take(op, of_operands(operands), of_option(known), made._data)
        value = None
        if self.program is not None:
            value = self._made(self.program, made, op, inputs, operands, known, live)
        self._keep(made, self._known_as(number, value))

    def _made(
        self,
        program: Program,
        made: Tensor,
        op: Op,
        inputs: Sequence[Tensor | None],
        operands: Sequence[Any],
        known: dict[str, Any],
        live: dict[str, Any],
    ) -> Value:
        """What an op makes of its operands, in the program.

        Args:
            program: of this run.
            made: what the op made.
            op: which.
            inputs: its tensors.
            operands: what they are; a number is itself.
            known: its options, with what their arrays are.
            live: its options, with tensors where their arrays differ from call to call.
        """
        given = [_in_program(x) for x in operands]
        if op in COMPOSED:
            return self._composed(program, made, op, inputs, given, live)
        options = _in_program(known)
        if made._requires_grad and has_value(options.get("index")):
            return self._gathered(program, made, given[0], options["index"])
        return lower(program, op, given, options, made._data)

    def _gathered(self, program: Program, made: Tensor, x: Any, index: Any) -> Value:
        value = gathered(program, x, index, made._data)
        if value is None:
            what = f"{describe(made)} is indexed by a tensor"
            self._refuse(what, "take rows with tg.ops.embedding(table, index)")
        return value

    def _composed(
        self,
        program: Program,
        made: Tensor,
        op: Op,
        inputs: Sequence[Tensor | None],
        given: Sequence[Any],
        options: dict[str, Any],
    ) -> Value:
        """An op made of others: what its formula does to Tensors, which is noted as one op."""
        if op.name == "cross_entropy" and inputs[1] is not None:
            scores, targets = given
            program.add("check", (targets,), ("target", scores.shape[-1]), (), np.bool_)
        outside = self.marks, self.arrays, self.ops, self.nbytes
        self.marks, self.arrays = Marks(), _OfArrays(self.arrays)
        with switched(symbolic=False, recording=False):
            same = COMPOSED[op](
                *(a if x is None else x for x, a in zip(inputs, given, strict=True)), **options
            )
        value = self._known(same, same._data).in_program
        self.marks, self.arrays, self.ops, self.nbytes = outside
        return program.cast(value, made.dtype)

    # What a tensor is

    def _known(self, x: Tensor, array: Array) -> Known:
        known = self.tensors.get(x)
        if known is not None:
            return known
        if x.id < self.first_id:
            return self._keep(x, self._outside(x))
        if x.op is not None or x.options is NO_OPTIONS:  # an op that nobody told us of
            what = f"{describe(x)} was computed in another thread, which is not recorded"
            self._refuse(what, "compute it here")
        return self._keep(x, self._inside(array))

    def _known_as(self, number: int, value: Value | None) -> Known:
        """What has this number; the first run finds whether it is a constant."""
        constants = self.marks.constants
        if value is not None and value.kind == "constant":
            constants.add(number)
        return Known(number, number in constants, value)

    def _keep(self, x: Tensor, known: Known) -> Known:
        self.tensors[x] = known
        if not x._requires_grad:  # else it can be no option
            self.arrays[x._data] = known
        return known

    def _options(self, option: Any) -> Any:
        """Options with what the arrays of recorded tensors are: an index may be one."""
        if isinstance(option, dict):
            return {name: self._options(part) for name, part in option.items()}
        if type(option) in (tuple, list):
            return type(option)(self._options(part) for part in option)
        if isinstance(option, np.ndarray):
            return self.arrays.get(option) or option
        return option

    def _live(self, option: Any, known: Any) -> Any:
        """Options with Tensors in place of the arrays that differ from call to call."""
        if isinstance(known, Known):
            if known.is_constant:
                return option
            tensor = Tensor(option)
            self.tensors[tensor] = known
            return tensor
        if isinstance(option, dict):
            return {name: self._live(part, known[name]) for name, part in option.items()}
        if type(option) in (tuple, list):
            pairs = zip(option, known, strict=True)
            return type(option)(self._live(part, value) for part, value in pairs)
        return option

    def _inside(self, array: Array) -> Known:
        """A tensor that was made of an array: a recorded tensor's, or a constant."""
        known = self.arrays.get(array)
        if known is not None:
            return known
        number = self.marks.take("constant", (), array.tobytes(), array)
        return self._known_as(number, self.program and self.program.constant(array))

    def _outside(self, x: Tensor) -> Known:
        """A tensor that was there before: it is read at each call."""
        owners = self.gradients.owners(x)
        if len(owners) > 1:
            what = f"{describe(x)} is the gradient of {len(owners)} tensors"
            self._refuse(what, "give each a tensor of its own")
        if owners:
            (owner,) = owners
            self.gradients.use(owner)
            self.added[self.numbers[owner]] = x.dtype
            return self._source(("gradient", self.numbers[owner]), x._data)
        if x.op is not None:
            self._refuse(f"{describe(x)} was computed outside", "pass it as an argument, detached")
        if any(x is given for given in self.given):
            what = f"{describe(x)} is an argument, and used from outside as well"
            self._refuse(what, "use the argument alone")
        self._meet(x)
        is_weight = x._requires_grad or isinstance(x, Parameter)
        return self._source(("leaf" if is_weight else "data", self.numbers[x]), x._data)

    def _meet(self, leaf: Tensor) -> None:
        if leaf not in self.numbers:
            self.numbers[leaf] = len(self.given) + len(self.leaves)
            self.leaves.append(leaf)
            hooks = leaf._hooks and list(leaf._hooks)
            self._meet_hooks(hooks)
            self.states.append((leaf._data.dtype, leaf._requires_grad, hooks))
            self.gradients.before[leaf] = leaf._grad

    def _meet_hooks(self, hooks: Any) -> None:
        for hook in hooks or ():
            self.guards.meet(hook)

    def _replace(self, leaf: Tensor) -> None:
        if leaf.id < self.first_id:
            self._meet(leaf)
            self.gradients.replace(leaf)

    def _source(self, what: Any, array: Array) -> Known:
        number = self.marks.take("source", (), what, array)
        value = None
        if self.program is not None:
            value = self.program.add("source", (), what, array.shape, array.dtype)
        return self._known_as(number, value)


def _in_program(part: Any) -> Any:
    """An operand, or options, with values of the program in place of what is known."""
    if isinstance(part, Known):
        return part.in_program
    if isinstance(part, dict):
        return {name: _in_program(value) for name, value in part.items()}
    if type(part) in (tuple, list):
        return type(part)(map(_in_program, part))
    return part


def _is_integers(source: Value) -> bool:
    what, _ = source.detail
    return what == "argument" and source.dtype.kind in "iub"
