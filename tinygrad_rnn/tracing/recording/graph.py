"""The recorded graph as plain data: one `Node` per tensor, inputs before outputs."""

import gc
from collections.abc import Callable, Hashable, Iterable, Mapping, Reversible, Sequence
from dataclasses import dataclass, field
from functools import wraps
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from ...autograd.op import Kind, Op
from ...autograd.origin import Origin
from ...autograd.state import Scope
from ...autograd.tensor import Array, Tensor
from ...errors import TinygradError, TraceError, said
from .array_names import index_of, spelled_in, stem_of
from .held import Gone, gone_error, is_array
from .source import Source
from .variables import callers_name, modules_name

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NOTHING: dict[tuple[int, int], str] = {}  # of most, which must not cost a dict each


class Node:
    """One tensor of a recorded run, and the op that made it (`op is None`: a leaf).

    It holds arrays by reference, never the tensor, until a recording with a budget lets go of them.
    A leaf whose data was replaced between two uses is two nodes with one id.

    Args:
        id: creation order of the tensor.
        op: the name of the op.
        inputs: None stands for a Python number.
        operands: what the forward saw: an array or a Python number per input.
        data: what the tensor holds.
        name: what the user calls it.
        requires_grad: whether gradients reach it.
        options: the op's other arguments: axis, index …
        scope: the call that it was made in.
        source: the line that made it.
        rule: the op itself, to compute it again.

    Attributes:
        origin: of a leaf that was an array of the program's: which one.
        read_as: what else the program calls that where it reads it: reader's id and slot -> name.
    """

    __slots__ = (
        "_data", "_is_whole", "_operands", "id", "inputs", "name", "op", "options", "origin",
        "read_as", "requires_grad", "rule", "scope", "source")  # fmt: skip

    def __init__(
        self,
        id: int,
        op: str | None,
        inputs: "tuple[Node | None, ...]",
        operands: tuple[Any, ...],
        data: Array | Gone,
        name: str | None,
        requires_grad: bool,
        options: Mapping[str, Any],
        scope: Scope | None,
        source: Source | None = None,
        rule: Op | None = None,
    ) -> None:
        self.id, self.op, self.inputs, self._operands, self._data = id, op, inputs, operands, data
        self.name, self.requires_grad, self.options = name, requires_grad, options
        self.scope, self.source, self.rule = scope, source, rule
        self._is_whole = False  # whether all operands were looked through: there may be thousands
        self.origin: Origin | None = None
        self.read_as = _NOTHING

    def __repr__(self) -> str:
        return f"<{self.name or self.op or 'leaf'} {self.shape}>"

    @property
    def data(self) -> Array:
        """What the tensor holds.

        Raises:
            TraceError: it is gone.
        """
        if isinstance(self._data, Gone):
            raise gone_error(f"the value of {self.name or f'{self.op} {self.shape}'}")
        return self._data

    @property
    def operands(self) -> tuple[Any, ...]:
        """What the forward saw: an array or a Python number per input.

        Raises:
            TraceError: one is gone.
        """
        if not self._is_whole:
            if any(isinstance(x, Gone) for x in self._operands):
                raise gone_error(f"what {self.name or self.op} {self.shape} was made from")
            self._is_whole = True
        return self._operands

    @property
    def numbers(self) -> tuple[Any, ...]:
        """The operands that are Python numbers, None for the others."""
        return tuple(None if is_array(x) or isinstance(x, Gone) else x for x in self._operands)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def nbytes(self) -> int:
        return self._data.nbytes

    @property
    def given_name(self) -> str | None:
        """What the user's code calls it: its own name, else the variable that its line assigns.

        Of a leaf that is a part of an array the array's name: "words" of `words[3]`; of one that no
        variable holds that of the function that made it.
        """
        if self.name:
            return self.name if self.op is not None else stem_of(self.name) or None
        return None if self.source is None else self.source.variable

    @property
    def index(self) -> int | slice | None:
        """Of a leaf that is a part of a named array which one: 3 of `words[3]`."""
        return index_of(self.name) if self.name and self.op is None else None

    @property
    def spelled(self) -> str:
        """Of a leaf that no variable holds the expression that made it: "W_in u"; "" else."""
        return spelled_in(self.name) if self.name and self.op is None else ""

    @property
    def calls(self) -> tuple[Scope, ...]:
        """The calls that it was made in, the outermost first."""
        return () if self.scope is None else self.scope.chain()

    @property
    def kind(self) -> Kind | None:
        """What kind of op made it; None for a leaf."""
        return None if self.rule is None else self.rule.kind

    @property
    def moved_from(self) -> "Node | None":
        """The one value that a move only moved; None of anything else."""
        return self.inputs[0] if self.is_move and len(self.inputs) == 1 else None

    @property
    def is_move(self) -> bool:
        """Whether its op only moved data."""
        return self.rule is not None and self.rule.kind == "move"

    @property
    def is_parameter(self) -> bool:
        """Whether it is trained: a leaf that requires a gradient."""
        return self.op is None and self.requires_grad

    @property
    def reads_a_parameter(self) -> bool:
        """Whether an input of its op is a parameter."""
        for x in self.inputs:
            if x is not None and x.op is None and x.requires_grad:
                return True
        return False

    def tensors(self) -> "Sequence[Node]":
        """The inputs that are tensors."""
        given = self.inputs
        if None in given:
            return [x for x in given if x is not None]
        return cast("tuple[Node, ...]", given)

    def call_also(self, reader: int, slot: int, name: str) -> None:
        """Say what else the program calls a leaf, where an op reads it."""
        if self.read_as is _NOTHING:
            self.read_as = {}
        self.read_as[reader, slot] = name

    # What it holds

    @property
    def is_gone(self) -> bool:
        """Whether a recording let go of its arrays, or of what it was made from."""
        return isinstance(self._data, Gone) or any(isinstance(x, Gone) for x in self._operands)

    @property
    def seen(self) -> tuple[Array | Gone, tuple[Any, ...]]:
        """Its data and operands, or what is remembered of them."""
        return self._data, self._operands

    @property
    def arrays(self) -> list[Array]:
        """The arrays that it holds."""
        return [x for x in (self._data, *self._operands) if isinstance(x, np.ndarray)]

    def release(self) -> None:
        """Let go of all arrays."""
        self._data, *operands = (
            Gone(x.shape, x.dtype) if is_array(x) else x for x in (self._data, *self._operands)
        )
        self._operands, self._is_whole = tuple(operands), False

    def complete(
        self, rule: Op, inputs: "tuple[Node | None, ...]", operands: tuple[Any, ...], options: Any
    ) -> None:
        """Say which op made it: it was taken for a leaf, since the recording began after that."""
        self.op, self.rule, self.requires_grad = rule.name, rule, True
        self.inputs, self._operands, self.options = inputs, operands, options
        self._is_whole = False

    def revive(self, data: Array, operands: tuple[Any, ...] | None = None) -> None:
        """Hold the arrays again."""
        self._data = data
        if operands is not None:
            self._operands, self._is_whole = operands, False


def compute(rule: Op, operands: Sequence[Any], options: Mapping[str, Any]) -> Array:
    """The forward of an op once more.

    Raises:
        TraceError: the op cannot be run on them: the recording lies, or the op is another one now.
    """
    try:
        return np.asarray(rule.forward(*rule.given(operands), **options))
    except TinygradError:
        raise
    except Exception as error:  # a person's op may raise anything
        raise TraceError(
            f"{rule.name} cannot be run again on what was recorded: {said(error)}"
        ) from error


def collector_paused() -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Switch the garbage collector off while a function builds data that all stays alive.

    If it is much, the collector takes it for old then, and does not go through all of it at once.
    """

    def decorated(function: Callable[_P, _T]) -> Callable[_P, _T]:
        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            enabled = gc.isenabled()
            try:
                try:
                    gc.disable()
                    return function(*args, **kwargs)
                finally:
                    _enable(enabled)
            finally:
                _enable(enabled)  # where Ctrl-C came in the line above

        return call

    return decorated


_MUCH = 50_000  # objects


def _enable(enabled: bool) -> None:
    if not enabled:
        return
    if gc.get_count()[0] > _MUCH and not gc.get_freeze_count():
        try:
            gc.freeze()
        finally:
            gc.unfreeze()  # into the oldest generation
    gc.enable()


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Everything that `root` was made from, in creation order.

    Also what the user made of that and named, say a slice of it.

    Args:
        names: node id -> the name that the user gave the tensor.
        gradients: node id -> ∂L/∂node, where recorded.
        owners: id of a module that the program itself called -> its variable there.
    """

    nodes: tuple[Node, ...]
    root: Node
    names: Mapping[int, str]
    gradients: Mapping[int, Array] = field(default_factory=dict[int, Array])
    owners: Mapping[int, str] = field(default_factory=dict[int, str])

    @classmethod
    @collector_paused()
    def of(cls, output: Tensor) -> "Graph":
        """The graph that a tensor itself remembers.

        Raises:
            TraceError: `output` is a leaf: nothing was recorded.
        """
        if output.op is None:
            raise TraceError(
                "nothing was recorded: this tensor was not made from anything that requires a "
                "gradient; give a parameter requires_grad=True, compute outside no_grad(), or "
                "record the run with tg.trace()"
            )
        made: dict[int, Node] = {}
        given = GivenArrays()
        for tensor in sorted(_ancestors(output), key=lambda t: t.id):
            for x, array in zip(tensor.inputs, tensor.arrays, strict=True):
                if x is not None and x.id not in made:
                    made[x.id] = given.leaf(x, array, _leaf)
            inputs = tuple(None if x is None else made[x.id] for x in tensor.inputs)
            made[tensor.id] = Node(
                id=tensor.id,
                op=tensor.op.name if tensor.op else None,
                inputs=inputs,
                operands=tensor.arrays,
                data=tensor.data,
                name=tensor.name,
                requires_grad=tensor.requires_grad,
                options=tensor.options,
                scope=tensor.scope,
                rule=tensor.op,
            )
        nodes = tuple(sorted(set(made.values()), key=lambda node: node.id))
        names = {node.id: node.name for node in nodes if node.name}
        return cls(nodes, made[output.id], names, owners=_owners_of(nodes))

    @classmethod
    @collector_paused()
    def leading_to(
        cls,
        root: Node,
        made: Reversible[Node],
        names: Mapping[int, str],
        gradients: Mapping[int, Array],
        owners: Mapping[int, str] = {},
    ) -> "Graph":
        """The graph of everything that `root` was made from.

        And what has a name and was made directly from that.

        Args:
            root: what everything leads to.
            made: nodes in the order in which they were made; all ops that led to `root` are among
                them.
            names: node id -> the name that the user gave the tensor.
            gradients: node id -> ∂L/∂node.
            owners: id of a module that the program itself called -> its variable there.
        """
        # what the ops that were met so far read; a number is None
        waiting: dict[Node | None, None] = {root: None}
        ops: list[Node] = []
        for node in reversed(made):
            if node in waiting and node.op is not None:
                del waiting[node]
                ops.append(node)
                for x in node.inputs:
                    waiting[x] = None
        ops.reverse()
        # what nobody made are the leaves
        nodes = ops + [x for x in reversed(waiting) if x is not None]
        if names:
            used = set(nodes)
            named = [x for x in made if x.id in names and x not in used]
            nodes += [x for x in named if x.inputs and all(y in used for y in x.tensors())]
        in_order = tuple(sorted(nodes, key=attrgetter("id")))
        return cls(in_order, root, names, gradients, owners)

    def behind_root(self) -> list[Node]:
        """The nodes that the root was made from, and itself, in creation order."""
        behind: set[Node | None] = {self.root}
        found: list[Node] = []
        for node in reversed(self.nodes):
            if node in behind:
                found.append(node)
                behind.update(node.inputs)
        return found[::-1]


class GivenArrays:
    """The arrays that ops were given: several ops may be given one, and that is one leaf."""

    def __init__(self) -> None:
        # the origin is kept, since the id of its owner is part of the key
        self._leaves: dict[Hashable, tuple[Origin, Node]] = {}

    def leaf(self, tensor: Tensor, array: Array, make: Callable[[Tensor, Array], Node]) -> Node:
        """The leaf of a tensor: the one that there is of its array, if that still is the same."""
        origin = tensor.origin if hasattr(tensor, "origin") else Origin.of(array)  # of a result
        if tensor.requires_grad:
            return make(tensor, array)
        key = (id(origin.owner), *origin[1:])
        if key in self._leaves:
            _, node = self._leaves[key]
            if _is_same(node, tensor, array):
                return node
        node = make(tensor, array)
        node.origin = origin
        self._leaves[key] = origin, node
        return node


def _is_same(node: Node, tensor: Tensor, array: Array) -> bool:
    """Whether the array was not written into meanwhile, so that both reads are of one leaf."""
    if node.is_gone or tensor.name not in (None, node.name):
        return False
    return node.data.tobytes() == array.tobytes()


def leaf_node(tensor: Tensor, array: Array, name: str | None = None) -> Node:
    """A leaf as an op saw it.

    What was made before the recording began is one too, until a gradient goes back through it.
    """
    return Node(
        id=tensor.id,
        op=None,
        inputs=(),
        operands=(),
        data=array,
        name=tensor.name or name,
        requires_grad=tensor.requires_grad and tensor.is_leaf,
        options={},
        scope=tensor.scope,
    )


def _owners_of(nodes: Iterable[Node]) -> dict[int, str]:
    """The variables of the modules that the program itself called."""
    scopes = {node.scope for node in nodes if node.op is not None and node.scope is not None}
    calls = (outermost_module(scope) for scope in scopes)
    owners = {id(call.owner): call.owner for call in calls if call is not None}
    named = {key: modules_name(owner) for key, owner in owners.items()}
    return {key: name for key, name in named.items() if name is not None}


def outermost_module(scope: Scope) -> Scope | None:
    """The call of the module that no other one calls."""
    return next((call for call in scope.chain() if not isinstance(call.owner, str)), None)


def _leaf(tensor: Tensor, array: Array) -> Node:
    """A leaf of a graph that a tensor remembers: what is trained is called as its variable."""
    is_trained = tensor.requires_grad and tensor.is_leaf
    name = callers_name(tensor) if is_trained and not tensor.name else None
    return leaf_node(tensor, array, name)


def reached(nodes: Iterable[Node]) -> set[Node]:
    """Nodes, and everything that they were made from."""
    seen = set(nodes)
    stack = list(seen)
    while stack:
        for x in stack.pop().tensors():
            if x not in seen:
                seen.add(x)
                stack.append(x)
    return seen


def _ancestors(output: Tensor) -> Iterable[Tensor]:
    """The tensors with a history that `output` was made from."""
    seen = {output}
    stack = [output]
    while stack:
        for x in stack.pop().inputs:
            if x is not None and x.op is not None and x not in seen:
                seen.add(x)
                stack.append(x)
    return seen
