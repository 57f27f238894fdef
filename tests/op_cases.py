"""Every op, and what it is tested on: one record per op, of which the general tests make cases.

Inputs keep at least 1e-2 from every kink by construction, so that a central difference never
straddles one; what happens at the kinks is said separately, in `kinks`. A case is small: its
gradient is taken element by element.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import Tensor, ops, tensor

SHAPES = [(), (1,), (3,), (0,), (2, 3), (1, 2), (2, 0), (2, 1, 3), (2, 1, 2, 2), (1, 3, 1, 2)]
PAIRS = [
    ((), ()),
    ((), (3,)),
    ((3,), ()),
    ((3,), (3,)),
    ((1,), (3,)),
    ((0,), (1,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((2, 1, 3), (2, 1)),
    ((1, 2, 1), (2, 1, 3)),
    ((2, 1, 2, 1), (2, 1, 2)),
    ((1, 1, 1, 1), (2,)),
    ((2, 0), (2, 1)),
]
REDUCED = [
    ((), None), ((), ()), ((3,), None), ((3,), 0), ((3,), -1), ((1,), 0), ((2, 3), None),
    ((2, 3), 0), ((2, 3), -1), ((2, 3), (0, 1)), ((2, 3), ()), ((2, 2, 2), 1), ((2, 1, 3), (0, 2)),
    ((2, 1, 3), (-1, 0)), ((2, 1, 2, 2), None), ((2, 1, 2, 2), -2), ((2, 1, 2, 2), (1, 3)),
    ((2, 1, 2, 2), (0, 1, 2, 3)),
]  # fmt: skip
FLOATS = (np.float64, np.float32)


@dataclass(frozen=True)
class Arg:
    """A tensor operand: its shape, and where its values lie."""

    shape: tuple[int, ...]
    kind: str = "any"
    dtype: Any = np.float64
    differentiable: bool = True


@dataclass(frozen=True)
class Case:
    """One call: `call(*tensors)` of ours, and `reference(*arrays)` in NumPy alone."""

    op: str
    id: str
    args: tuple[Arg, ...]
    call: Callable[..., Any]
    reference: Callable[..., Any]

    @property
    def double(self) -> bool:
        return all(arg.dtype != np.float32 for arg in self.args)

    def tensors(self) -> list[Tensor]:
        """Its operands, always the same: the seed is the case's name."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        return [
            tensor(values(arg, i, rng), dtype=arg.dtype, requires_grad=arg.differentiable)
            for i, arg in enumerate(self.args)
        ]


def values(arg: Arg, number: int, rng: np.random.Generator) -> Any:
    """Random values of a kind; "apart": no two, of one operand or several, are nearer than 0.02."""
    n = int(np.prod(arg.shape))
    if arg.kind == "apart":
        flat = (rng.permutation(n) - n // 2) * 0.1 + 0.02 * number + 0.01
    elif arg.kind == "positive":
        flat = rng.uniform(0.5, 2.0, n)
    elif arg.kind in ("inner", "outer"):  # of ±1
        ends = (0.1, 0.8) if arg.kind == "inner" else (1.2, 2.0)
        flat = rng.uniform(*ends, n)
    elif arg.kind == "bool":
        flat = rng.random(n) < 0.5
    elif arg.kind.startswith("below "):
        flat = rng.integers(0, int(arg.kind.removeprefix("below ")), n)
    else:
        flat = rng.uniform(0.2, 1.5, n) * rng.choice([-1.0, 1.0], n)
    return np.reshape(flat, arg.shape)


@dataclass(frozen=True)
class Record:
    """All that is tested of one op."""

    cases: Sequence[Case]
    # A call that is refused, and how the message begins; "..." stands for any text.
    errors: Sequence[tuple[Callable[[], Any], str]] = ()
    # A call, its inputs, their gradients.
    kinks: Sequence[tuple[Callable[..., Any], list[Any], list[Any]]] = ()
    differentiable: bool = True


RECORDS: dict[str, Record] = {}


def record(op: str, cases: Iterator[Case] | list[Case], **facts: Any) -> None:
    named = {case.id: case for case in cases}
    RECORDS[op] = Record(list(named.values()), **facts)


def show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array{value.tolist()}".replace(" ", "")
    return str(value).replace(" ", "")


def case(
    op: str,
    args: Sequence[Arg],
    reference: Callable[..., Any],
    /,
    *given: Any,
    call: Any = None,
    **options: Any,
) -> Case:
    """`ops.<op>(*tensors, *given, **options)` beside `reference(*arrays, *given, **options)`."""
    function = call or getattr(ops, op)
    shapes = "-".join(f"{show(arg.shape)}{'f4' if arg.dtype == np.float32 else ''}" for arg in args)
    what = ",".join([*map(show, given), *(f"{k}={show(v)}" for k, v in options.items())])
    return Case(
        op,
        f"{op}-{shapes}{'-' + what if what else ''}",
        tuple(args),
        lambda *xs: function(*xs, *given, **options),
        lambda *xs: reference(*xs, *given, **options),
    )


def t(*values: Any, **options: Any) -> Tensor:
    return tensor(list(values), requires_grad=True, **options)


# Functions of one number


def sigmoid(x):
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(x.dtype)


def of_each(function):
    return lambda x: np.vectorize(function, otypes=[x.dtype])(x.astype(np.float64))


def gelu(x, approximate="none"):
    z = x.astype(np.float64)
    if approximate == "none":
        return x * of_each(lambda a: 0.5 * math.erfc(-a / math.sqrt(2)))(x)
    return (0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))).astype(x.dtype)


UNARY = {
    "neg": (np.negative, "any"), "tanh": (np.tanh, "any"), "sigmoid": (sigmoid, "any"),
    "exp": (np.exp, "any"), "relu": (lambda x: np.maximum(x, 0), "any"),
    "log": (np.log, "positive"), "sqrt": (np.sqrt, "positive"), "abs": (np.abs, "any"),
    "sin": (np.sin, "any"), "cos": (np.cos, "any"), "detach": (lambda x: x, "any"),
    "erf": (of_each(math.erf), "any"), "erfc": (of_each(math.erfc), "any"),
    "softplus": (of_each(lambda a: math.log1p(math.exp(a))), "any"),
    "log_sigmoid": (lambda x: np.log(sigmoid(x)), "any"), "silu": (lambda x: x * sigmoid(x), "any"),
    "log1p": (np.log1p, "positive"), "expm1": (np.expm1, "any"), "square": (np.square, "any"),
    "tan": (np.tan, "inner"), "arcsin": (np.arcsin, "inner"), "arccos": (np.arccos, "inner"),
    "arctan": (np.arctan, "any"), "sinh": (np.sinh, "any"), "cosh": (np.cosh, "any"),
    "arcsinh": (np.arcsinh, "any"), "arccosh": (np.arccosh, "outer"),
    "arctanh": (np.arctanh, "inner"), "floor": (np.floor, "apart"), "ceil": (np.ceil, "apart"),
    "rint": (np.rint, "apart"), "trunc": (np.trunc, "apart"), "sign": (np.sign, "any"),
    "isnan": (np.isnan, "any"), "isinf": (np.isinf, "any"),
}  # fmt: skip
# Of these a few shapes say enough: what broadcasting does is said by the others.
FEW_SHAPES = [(), (3,), (0,), (2, 1, 3)]
RARE = list(UNARY)[list(UNARY).index("log1p") :]
KINKS = {
    "relu": [(ops.relu, [[-1.0, 0.0, 2.0]], [[0.0, 0.0, 1.0]])],
    "abs": [(ops.abs, [[-1.0, 0.0, 2.0]], [[-1.0, 0.0, 1.0]])],
    "sqrt": [(ops.sqrt, [[0.0, 4.0]], [[np.inf, 0.25]])],
    "log": [(ops.log, [[0.0, 2.0]], [[np.inf, 0.5]])],
}
for _name, (_reference, _kind) in UNARY.items():
    _shapes = FEW_SHAPES if _name in RARE else SHAPES
    _cases = [case(_name, [Arg(s, _kind, d)], _reference) for s in _shapes for d in FLOATS]
    record(
        _name,
        _cases,
        kinks=KINKS.get(_name, []),
        differentiable=_name not in ("detach", "isnan", "isinf"),
        errors=[
            (
                partial(getattr(ops, _name), object()),
                f"{_name}: tensor: ...a object of dtype object",
            ),
            (getattr(ops, _name), f"{_name} takes 1 operands, got 0"),
        ],
    )

record(
    "gelu",
    [
        case("gelu", [Arg(s, dtype=d)], gelu, **options)
        for s in [(), (3,), (0,), (2, 1, 3)]
        for d in FLOATS
        for options in [{}, {"approximate": "none"}, {"approximate": "tanh"}]
    ],
    errors=[
        (
            lambda: ops.gelu(t(1.0), approximate="erf"),
            "gelu(tensor float64 (1,), approximate='erf'): approximate must be",
        )
    ],
)

# Functions of two


BINARY = {
    "add": (np.add, "any", "any"), "sub": (np.subtract, "any", "any"),
    "mul": (np.multiply, "any", "any"), "div": (np.divide, "any", "positive"),
    "pow": (np.power, "positive", "any"), "maximum": (np.maximum, "apart", "apart"),
    "minimum": (np.minimum, "apart", "apart"), "remainder": (np.remainder, "any", "positive"),
    "fmod": (np.fmod, "any", "positive"),
}  # fmt: skip
TIES = {
    "maximum": [(ops.maximum, [[1.0, 2.0], [1.0, 3.0]], [[0.5, 0.0], [0.5, 1.0]])],
    "minimum": [(ops.minimum, [[1.0, 2.0], [1.0, 3.0]], [[0.5, 1.0], [0.5, 0.0]])],
    "pow": [
        (
            ops.pow,
            [[0.0, 0.0, 0.0, 2.0], [2.0, 0.0, 1.0, 0.0]],
            [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, np.log(2.0)]],
        ),
        (ops.pow, [[0.0], [-1.0]], [[-np.inf], [-np.inf]]),
        (ops.pow, [[-2.0], [2.0]], [[-4.0], [np.nan]]),
    ],
    "div": [(ops.div, [[1.0], [0.0]], [[np.inf], [-np.inf]])],
}
TWO_DTYPES = [(np.float64, np.float64), (np.float32, np.float32), (np.float64, np.float32)]


def reflected(op, x, number, _):
    return getattr(ops, op)(number, x)


def binary_cases(op, reference, first, second):
    for a, b in PAIRS:
        for left, right in TWO_DTYPES:
            yield case(op, [Arg(a, first, left), Arg(b, second, right)], reference)
    for shape in [(), (2, 3)]:
        for dtype in FLOATS:
            yield case(op, [Arg(shape, first, dtype)], reference, 1.25)
            yield case(
                op,
                [Arg(shape, second, dtype)],
                lambda x, number, _: reference(number, x),
                1.25,
                "reflected",
                call=partial(reflected, op),
            )
            if op in ("add", "sub", "mul"):
                yield case(
                    op,
                    [Arg(shape, first, dtype), Arg(shape, "below 3", np.int64, False)],
                    reference,
                )


def mismatch(op):
    return [
        (
            partial(getattr(ops, op), t(1.0, 2.0, name="a"), t(1.0, 2.0, 3.0)),
            f"{op}('a': float64 (2,), tensor float64 (3,)): operands could not be broadcast",
        ),
        (
            partial(getattr(ops, op), t(1.0), "x"),
            f"{op}: tensor: ...a str of dtype <U1, shape ()",
        ),
        (partial(getattr(ops, op), t(1.0)), f"{op} takes 2 operands, got 1"),
    ]


for _name, (_reference, _first, _second) in BINARY.items():
    record(
        _name,
        binary_cases(_name, _reference, _first, _second),
        errors=mismatch(_name),
        kinks=TIES.get(_name, []),
    )

COMPARISONS = {
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
    "greater": np.greater, "greater_equal": np.greater_equal,
}  # fmt: skip
for _name, _reference in COMPARISONS.items():
    _pairs = [(Arg(a, "below 3", np.int64, False), Arg(b, "apart")) for a, b in PAIRS]
    _pairs += [(Arg(a, "below 2", np.int64, False),) * 2 for a, _ in PAIRS]
    record(
        _name,
        [case(_name, pair, _reference) for pair in _pairs],
        errors=mismatch(_name),
        differentiable=False,
    )

record(
    "floor_divide",
    [case("floor_divide", [Arg(a, "any"), Arg(b, "positive")], np.floor_divide) for a, b in PAIRS],
    errors=mismatch("floor_divide"),
    differentiable=False,
)

LOGIC = {
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
}  # fmt: skip
for _name, _reference in LOGIC.items():
    _kinds = [(f"below {n}", np.int64, False) for n in (2, 3)] + [("bool", np.bool_, False)]
    _pairs = [(Arg(a, *kind), Arg(b, *kind)) for a, b in PAIRS for kind in _kinds]
    record(
        _name,
        [case(_name, pair, _reference) for pair in _pairs],
        errors=mismatch(_name)[1:],
        differentiable=False,
    )
for _name, _reference in {"logical_not": np.logical_not, "invert": np.invert}.items():
    record(
        _name,
        [case(_name, [Arg(s, "bool", np.bool_, False)], _reference) for s in SHAPES],
        errors=[(getattr(ops, _name), f"{_name} takes 1 operands, got 0")],
        differentiable=False,
    )
for _name, _reference in {"any": np.any, "all": np.all}.items():
    record(
        _name,
        [
            case(_name, [Arg((2, 3), "bool", np.bool_, False)], _reference, *given)
            for given in [(), (0,), (-1,), ((0, 1),)]
        ],
        errors=[(partial(getattr(ops, _name), t(1.0), 3), f"{_name}(tensor float64 (1,), axis=3")],
        differentiable=False,
    )

_pairs = [(Arg(a, "apart"), Arg(b, "apart")) for a, b in PAIRS]
record(
    "isclose",
    [case("isclose", pair, np.isclose, *given) for pair in _pairs for given in [(), (0.0, 0.3)]],
    errors=mismatch("isclose")[1:],
    differentiable=False,
)

CHOICES = [
    ((), (), ()), ((3,), (3,), (3,)), ((3,), (), (3,)), ((), (3,), (2, 3)), ((2, 1), (1, 3), (3,)),
    ((2, 3), (2, 1), ()), ((2, 1, 3), (3,), (2, 1)), ((2, 0), (1,), (2, 1)),
    ((2, 1, 2, 1), (2,), (2, 1, 1, 2)),
]  # fmt: skip
record(
    "where",
    [
        case("where", [Arg(c, "bool", np.bool_, False), Arg(a, dtype=d), Arg(b, dtype=e)], np.where)
        for c, a, b in CHOICES
        for d, e in TWO_DTYPES
    ],
    errors=[
        (
            lambda: ops.where(tensor([True, False]), t(1.0, 2.0, 3.0), t(1.0)),
            "where(tensor bool (2,), tensor float64 (3,), tensor float64 (1,)): operands could not",
        )
    ],
)
record(
    "clip",
    [
        case("clip", [Arg(s, "any", d)], np.clip, *bounds)
        for s in SHAPES
        for bounds in [(-0.1, 0.1), (None, 0.1), (-0.1, None), (np.full(s, -0.1), np.full(s, 0.15))]
        for d in FLOATS
        if d == np.float64 or not isinstance(bounds[0], np.ndarray)
    ],
    kinks=[
        (lambda x: ops.clip(x, 0.0, 1.0), [[-1.0, 0.0, 0.5, 1.0, 2.0]], [[0.0, 1.0, 1.0, 1.0, 0.0]])
    ],
    errors=[
        (
            lambda: ops.clip(t(1.0, 2.0), [0.0, 0.0, 0.0], None),
            "clip(tensor float64 (2,), min=...could not be broadcast",
        ),
        (
            lambda: ops.clip(t(1.0), t(0.0)),
            "clip: min = tensor float64 (1,) would lose its gradient",
        ),
    ],
)

# Products of matrices

PRODUCTS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((1, 1), (1, 1)),
    ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((1, 2, 3), (2, 3, 1)), ((2, 1, 2, 3), (2, 3, 2)),
    ((2, 3, 1, 2), (1, 3, 2, 1)),
]  # fmt: skip
record(
    "matmul",
    [
        case("matmul", [Arg(a, dtype=d), Arg(b, dtype=e)], np.matmul)
        for a, b in PRODUCTS
        for d, e in TWO_DTYPES
    ],
    errors=[
        (
            lambda: ops.matmul(t(1.0, 2.0), t(1.0)),
            "matmul(tensor float64 (2,), tensor float64 (1,)): ...mismatch",
        ),
        (
            lambda: ops.matmul(tensor(2.0), t(1.0)),
            "matmul(tensor float64 (), tensor float64 (1,)): ",
        ),
        (lambda: t(1.0) @ 2.0, "matmul(tensor float64 (1,), 2.0): "),
    ],
)
record(
    "linear",
    [
        case("linear", [Arg((*s, 3), dtype=d), Arg((2, 3), dtype=d)], lambda x, W: x @ W.T)
        for s in [(), (1,), (2,), (0,), (2, 2), (2, 1, 2)]
        for d in FLOATS
    ],
    errors=[
        (
            lambda: ops.linear(t(1.0), t(1.0)),
            "linear(...): W must be a matrix (outputs, inputs), got shape (1,)",
        ),
        (
            lambda: ops.linear(t(1.0), tensor([[[1.0]]])),
            "linear(...): W must be a matrix ... got shape (1, 1, 1)",
        ),
        (
            lambda: ops.linear(t(1.0, 2.0), tensor([[1.0]])),
            "linear(tensor float64 (2,), tensor float64 (1, 1))",
        ),
    ],
)

EINSUMS = [
    ("ij,jk", (2, 3), (3, 2)), ("ij,jk->ki", (2, 3), (3, 2)), ("ij", (2, 3)), ("ji", (2, 3)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->j", (2, 2, 3)), ("iii->i", (2, 2, 2)),
    ("ii,i->i", (3, 3), (3,)), ("i,j", (2,), (3,)), ("ij->", (2, 3)), ("i,i,i", (3,), (3,), (3,)),
    ("...i,...i", (2, 3), (3,)), ("...ij,jk", (2, 1, 3), (3, 2)),
    ("ij...,j->i...", (2, 3, 2), (3,)),
    ("...,...", (2, 1, 3), (2, 1)), ("ij,ij->ij", (1, 3), (2, 3)), ("ij,ij->i", (2, 1), (2, 3)),
    ("ij,ij->", (2, 1), (1, 3)), (" i j , j -> i ", (2, 3), (3,)), (",ij->ij", (), (2, 3)),
    ("...->...", ()), ("i->", (0,)), ("ij,j->i", (2, 0), (0,)), ("...ii->...i", (2, 3, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)), ("bi,bj->ij", (2, 3), (2, 2)),
]  # fmt: skip
record(
    "einsum",
    [
        case(
            "einsum",
            [Arg(s, dtype=d) for s in shapes],
            lambda *xs, subscripts, **o: np.einsum(subscripts, *xs, **o),
            call=lambda *xs, subscripts, **o: ops.einsum(subscripts, *xs, **o),
            subscripts=subscripts,
            **options,
        )
        for subscripts, *shapes in EINSUMS
        for d in FLOATS
        for options in ([{}, {"optimize": True}] if len(shapes) == 3 else [{}])
    ],
    errors=[
        (lambda: ops.einsum(t(1.0), [0]), "einsum: the subscripts come first, as one str: "),
        (lambda: ops.einsum("ij", t(1.0)), "einsum(tensor float64 (1,), ...too many subscripts"),
        (lambda: ops.einsum("i->j", t(1.0)), "einsum(tensor float64 (1,), ...output subscript 'j'"),
        (lambda: ops.einsum("i", t(1.0), optimize="x"), "einsum(...): optimize must be one of"),
        (lambda: ops.einsum("ij"), "einsum(...at least one operand"),
        (
            lambda: ops.einsum("i,i", t(1.0, 2.0), t(1.0, 2.0, 3.0)),
            "einsum(tensor float64 (2,), tensor float64 (3,), ...broadcast",
        ),
    ],
)
DOTS = [*PRODUCTS[:8], ((), (3,)), ((2, 3), ()), ((2, 1, 3), (3,)), ((3,), (2, 3, 2)),
        ((2, 1, 3), (2, 3, 2)), ((1, 2), (2, 2, 1))]  # fmt: skip
record(
    "dot",
    [case("dot", [Arg(a, dtype=d), Arg(b, dtype=d)], np.dot) for a, b in DOTS for d in FLOATS],
    errors=[
        (
            lambda: ops.dot(t(1.0, 2.0), t(1.0)),
            "dot: matmul(tensor float64 (2,), tensor float64 (1,)): ...mismatch",
        ),
        (lambda: ops.dot(t(1.0), tensor(np.ones((2, 3, 4)))), "dot: axes (0,) of tensor float64"),
    ],
)
record(
    "tensordot",
    [
        case("tensordot", [Arg(a, dtype=d), Arg(b, dtype=d)], np.tensordot, *given)
        for a, b, *given in [
            ((2, 3), (2, 3)), ((2, 3), (3, 2), 1), ((2,), (3,), 0), ((), (3,), 0),
            ((2, 3), (2, 3), (0, 0)), ((2, 1, 3), (3, 1, 2), ([0, 2], [2, 0])),
            ((2, 3), (3, 2), ((-1,), (0,))), ((2, 3), (3, 2), (1, 0)), ((0, 2), (2, 0), ([0], [1])),
        ]
        for d in FLOATS
    ],
    errors=[
        (
            lambda: ops.tensordot(t(1.0, 2.0), t(1.0), 1),
            "tensordot: axes (0,) of tensor float64 (2,) and (0,) of tensor float64 (1,) are not",
        ),
        (lambda: ops.tensordot(t(1.0), t(1.0), ([3], [0])), "tensordot: axis 3 is out of bounds"),
    ],
)  # fmt: skip
record(
    "outer",
    [
        case("outer", [Arg(a, dtype=d), Arg(b, dtype=d)], np.outer)
        for a, b in [((), ()), ((2,), (3,)), ((2, 1), (1, 3)), ((2, 2), (0,)), ((3,), ())]
        for d in FLOATS
    ],
    errors=[(lambda: ops.outer(t(1.0), "x"), "outer: reshape: tensor: a str")],
)

# Reductions

REDUCTIONS = {
    "sum": (np.sum, "any"),
    "prod": (np.prod, "any"),
    "mean": (np.mean, "any"),
    "max": (np.max, "apart"),
    "min": (np.min, "apart"),
}


def logsumexp(x, axis=-1, keepdims=False):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def axis_errors(op):
    return [
        (
            partial(getattr(ops, op), t(1.0, 2.0), axis=1),
            f"{op}(tensor float64 (2,), axis=1...out of bounds",
        ),
        (partial(getattr(ops, op), t(1.0), axis="x"), f"{op}(tensor float64 (1,), axis='x'"),
        (
            partial(getattr(ops, op), t(1.0), dtype=int),
            f"{op} has the options ['axis'...], not ['dtype']",
        ),
        (partial(getattr(ops, op), t(1.0), 0, False, 3), f"{op} takes at most 3 arguments, got 4"),
    ]


TOPS = {
    "max": [(ops.max, [[1.0, 3.0, 3.0]], [[0.0, 0.5, 0.5]])],
    "min": [(ops.min, [[1.0, 1.0, 3.0]], [[0.5, 0.5, 0.0]])],
    "prod": [
        (ops.prod, [[2.0, 0.0, 3.0]], [[0.0, 6.0, 0.0]]),
        (ops.prod, [[2.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]),
        (ops.prod, [[1e200, 1e-200, 3.0]], [[3e-200, 3e200, 1.0]]),
    ],
}
EMPTY = [
    (
        lambda f=f: f(tensor(np.zeros((2, 0)))),
        f"{f.__name__}(tensor float64 (2, 0), ...zero-size array",
    )
    for f in (ops.max, ops.min)
]
for _name, (_reference, _kind) in {**REDUCTIONS, "logsumexp": (logsumexp, "any")}.items():
    record(
        _name,
        [
            case(_name, [Arg(s, _kind, d)], _reference, axis=axis, keepdims=keepdims)
            for s, axis in REDUCED
            for keepdims in (False, True)
            for d in FLOATS
        ]
        + [
            case(_name, [Arg((2, 0), _kind)], _reference, axis=0),
            case(_name, [Arg((0, 2), _kind)], _reference, axis=1),
            case(_name, [Arg((2, 2, 3), _kind)], _reference),
        ],
        errors=axis_errors(_name) + [e for e in EMPTY if e[1].startswith(_name)],
        kinks=TOPS.get(_name, []),
    )

for _name, _reference in {"argmax": np.argmax, "argmin": np.argmin}.items():
    record(
        _name,
        [
            case(_name, [Arg(s, "apart")], _reference, axis=axis, keepdims=keepdims)
            for s, axis in [((3,), None), ((2, 3), None), ((2, 3), 0), ((2, 1, 3), -1), ((), None)]
            for keepdims in (False, True)
        ],
        errors=axis_errors(_name)[:1] + axis_errors(_name)[2:],
        differentiable=False,
    )
record(
    "cumsum",
    [
        case("cumsum", [Arg(s, dtype=d)], np.cumsum, *given)
        for s, *given in [
            ((),), ((3,),), ((3,), 0), ((0,),), ((2, 3),), ((2, 3), 0), ((2, 3), -1),
            ((2, 1, 3), 1), ((2, 1, 2, 2), -2),
        ]
        for d in FLOATS
    ],
    errors=axis_errors("cumsum")[:1],
)  # fmt: skip
for _name, _reference in {"var": np.var, "std": np.std}.items():
    record(
        _name,
        [
            case(_name, [Arg(s, "apart", d)], _reference, axis=axis, keepdims=keepdims, **options)
            for s, axis in [
                ((3,), None), ((3,), 0), ((2, 3), None), ((2, 3), 1), ((2, 2, 2), (0, -1)),
            ]
            for keepdims in (False, True)
            for d in FLOATS
            for options in [{}, {"ddof": 1}, {"correction": 1}]
        ],
        kinks=[(ops.std, [[2.0, 2.0]], [[0.0, 0.0]])] if _name == "std" else [],
        errors=[
            (
                partial(getattr(ops, _name), t(1.0, 2.0), axis=1),
                f"{_name}: mean(tensor float64 (2,), axis=1, keepdims=True): ...out of bounds",
            ),
            (partial(getattr(ops, _name), "x"), f"{_name}: tensor: a str of dtype"),
        ],
    )  # fmt: skip
NORMS = [
    ((), {}), ((3,), {}), ((2, 1, 3), {}), ((2, 3), {"keepdims": True}), ((0,), {}),
    *(((3,), {"ord": n}) for n in (1, 2, 3, 0.5, -1, -2.5, np.inf, -np.inf)),
    *(((2, 3), {"ord": n}) for n in ("fro", 1, -1, np.inf, -np.inf)),
    *(((2, 1, 3), {"ord": n, "axis": 2, "keepdims": True}) for n in (None, 1, 1.5, np.inf)),
    *(((2, 2, 3), {"ord": n, "axis": (2, 0)}) for n in (None, "fro", 1, -np.inf)),
    ((2, 3), {"axis": -1}),
]  # fmt: skip
record(
    "norm",
    [case("norm", [Arg(s, dtype=d)], np.linalg.norm, **o) for s, o in NORMS for d in FLOATS],
    kinks=[
        (ops.norm, [[0.0, 0.0]], [[0.0, 0.0]]),
        (lambda x: ops.norm(x, 1), [[0.0, -2.0]], [[0.0, -1.0]]),
        (lambda x: ops.norm(x, 3), [[0.0, 0.0]], [[0.0, 0.0]]),
        (lambda x: ops.norm(x, 0.5), [[0.0, 4.0]], [[0.0, 1.0]]),
        (lambda x: ops.norm(x, -1), [[0.0, 4.0]], [[0.0, 0.0]]),
        (lambda x: ops.norm(x, np.inf), [[2.0, -2.0]], [[0.5, -0.5]]),
    ],
    errors=[
        (lambda: ops.norm(tensor([[1.0]]), "nuc"), "norm: ord='nuc' is not a norm of matrices"),
        (lambda: ops.norm(t(1.0), "fro"), "norm: ord='fro' is not a norm of vectors"),
        (lambda: ops.norm(t(1.0), axis=1), "norm: axis 1 is out of bounds"),
        (lambda: ops.norm(tensor([[[1.0]]]), 1), "norm: tensor float64 (1, 1, 1) has 3 axes"),
        (lambda: ops.norm(tensor([[1.0]]), axis=(0, -2)), "norm: repeated axis"),
    ],
)  # fmt: skip

# Shapes


def shaped(op, reference, calls, errors, *, call=None):
    cases = [
        case(op, [Arg(s, dtype=d)], reference, *given, call=call)
        for s, given in calls
        for d in FLOATS
    ]
    record(op, cases, errors=errors)


shaped(
    "reshape",
    np.reshape,
    [
        ((), ((),)), ((), ((1, 1),)), ((3,), (-1,)), ((3,), ((3, 1),)), ((2, 3), (6,)),
        ((2, 3), ((3, -1),)), ((2, 0), ((0, 5),)), ((2, 1, 3), ([3, 2],)),
        ((2, 1, 2, 2), ((4, 2),)), ((4,), ((2, 1, 2, 1),)),
    ],
    [(lambda: ops.reshape(t(1.0, 2.0), (3,)),
      "reshape(tensor float64 (2,), shape=(3,)): cannot reshape"),
     (lambda: ops.reshape(t(1.0)), "reshape(tensor float64 (1,)): ...shape")],
)  # fmt: skip
shaped(
    "transpose",
    np.transpose,
    [
        ((), ()), ((), ((),)), ((3,), ()), ((2, 3), ()), ((2, 3), ((1, 0),)), ((2, 3), ((-1, 0),)),
        ((2, 0), ()), ((2, 1, 3), ((1, 2, 0),)), ((2, 1, 3), ((-1, 0, 1),)),
        ((2, 1, 2, 3), ((3, 0, 2, 1),)), ((2, 1, 3), ([2, 0, 1],)),
    ],
    [(lambda: ops.transpose(t(1.0), (1, 0)),
      "transpose(tensor float64 (1,), axes=(1, 0)): axes don't match"),
     (lambda: ops.transpose(tensor([[1.0]]), (0, 0)), "transpose(...repeated axis")],
)  # fmt: skip
shaped(
    "swapaxes",
    np.swapaxes,
    [((3,), (0, 0)), ((2, 3), (0, 1)), ((2, 3), (-1, -2)), ((2, 1, 3), (0, 2)),
     ((2, 1, 3), (1, -1)), ((2, 0), (0, 1)),
     ((2, 1, 2, 3), (-1, 1))],
    [(lambda: ops.swapaxes(t(1.0), 0, 1),
      "swapaxes(tensor float64 (1,), axis1=0, axis2=1): ...out of bounds")],
)  # fmt: skip
shaped(
    "broadcast_to",
    np.broadcast_to,
    [((), (3,)), ((), ((2, 3),)), ((3,), ((2, 3),)), ((1,), ((3,),)), ((2, 1), ((2, 3),)),
     ((1, 2, 1), ((3, 2, 2),)),
     ((2, 1), ((3, 1, 2, 2),)), ((1,), ((0,),)), ((3,), ((3,),))],
    [(lambda: ops.broadcast_to(t(1.0, 2.0), (3,)),
      "broadcast_to(tensor float64 (2,), shape=(3,)): ")],
)  # fmt: skip
shaped(
    "squeeze",
    np.squeeze,
    [((), ()), ((1,), ()), ((1, 3), (0,)), ((2, 1, 3), (1,)), ((2, 1, 3), (-2,)),
     ((1, 2, 1), ((0, 2),)),
     ((1, 2, 1), ()), ((1, 0), ()), ((1, 2, 1, 1), ((-1, 0),))],
    [(lambda: ops.squeeze(t(1.0, 2.0), 0),
      "squeeze(tensor float64 (2,), axis=0): cannot select an axis")],
)  # fmt: skip
shaped(
    "expand_dims",
    np.expand_dims,
    [((), (0,)), ((), (-1,)), ((3,), (0,)), ((3,), (1,)), ((3,), (-1,)), ((2, 3), ((0, 2),)),
     ((2, 0), (1,)),
     ((2, 1, 3), ((1, -1),))],
    [(lambda: ops.expand_dims(t(1.0), 3),
      "expand_dims(tensor float64 (1,), axis=3): ...out of bounds")],
)  # fmt: skip
record(
    "astype",
    [
        case("astype", [Arg(s, dtype=d)], lambda x, dtype: x.astype(dtype), to)
        for s in SHAPES[:6]
        for d in FLOATS
        for to in FLOATS
        if np.float32 not in (d, to) or d == np.float32
    ],
    errors=[
        (
            lambda: ops.astype(t(1.0), "no dtype"),
            "astype(tensor float64 (1,), dtype='no dtype'): ",
        )
    ],
)

shaped(
    "flip",
    np.flip,
    [((), ()), ((3,), ()), ((2, 3), ()), ((2, 3), (0,)), ((2, 3), (-1,)), ((2, 1, 3), ((0, 2),))],
    [(lambda: ops.flip(t(1.0), 1), "flip(tensor float64 (1,), axis=1): axis 1 is out of bounds")],
)
shaped(
    "roll",
    np.roll,
    [
        ((3,), (1,)), ((3,), (-4,)), ((2, 3), (2,)), ((2, 3), (1, 0)), ((2, 3), (-1, -1)),
        ((2, 3), ((1, 2), (0, 1))), ((2, 3), (1, (0, 1))), ((0,), (1,)), ((2, 1, 3), ([1, 1], 2)),
    ],
    [(lambda: ops.roll(t(1.0), 1, 1), "roll(tensor float64 (1,), axis=1, shift=1): axis 1 is out")],
)  # fmt: skip
shaped(
    "tile",
    np.tile,
    [((), (3,)), ((3,), (2,)), ((3,), ((2, 2),)), ((2, 3), (2,)), ((2, 1, 3), ([2, 1],)),
     ((2,), (0,)), ((2, 1), ((1, 2, 3),)), ((2,), (np.int64(2),))],
    [(lambda: ops.tile(t(1.0), -1), "tile: broadcast_to(")],
)  # fmt: skip
shaped(
    "diff",
    np.diff,
    [((3,), ()), ((3,), (2,)), ((3,), (0,)), ((3,), (3,)), ((2, 3), (1, 0)), ((2, 3), ()),
     ((2, 1, 3), (1, -1)), ((3, 2), (2, 0))],
    [(lambda: ops.diff(tensor(1.0)), "diff: n must be 0 or more, and tensor float64 () must have"),
     (lambda: ops.diff(t(1.0), -1), "diff: n must be 0 or more, "),
     (lambda: ops.diff(t(1.0), 1, 1), "diff: axis 1 is out of bounds")],
)  # fmt: skip
for _name, _reference in {"zeros_like": np.zeros_like, "ones_like": np.ones_like}.items():
    record(
        _name,
        [
            case(_name, [Arg(s, dtype=d)], _reference, *given)
            for s in SHAPES
            for d in FLOATS
            for given in [(), (np.int64,)]
        ],
        errors=[(partial(getattr(ops, _name), t(1.0), object()), "Cannot interpret")],
        differentiable=False,
    )

# Parts and wholes

INDEXED = [
    ((3,), 0), ((3,), -1), ((3,), slice(1, None)), ((3,), slice(None, None, -1)),
    ((3,), slice(3, 3)), ((3,), ...), ((3,), None), ((), ()), ((), ...), ((), None), ((2, 3), 1),
    ((2, 3), (1, 2)), ((2, 3), (slice(None), 1)), ((2, 3), (..., slice(None, None, 2))),
    ((2, 3), (0, None)), ((2, 3), (slice(1, None), slice(None, -1))), ((3,), [0, 2]),
    ((3,), [0, 0, 0]), ((3,), np.array([[1, 1], [2, 0]])), ((3,), []), ((3,), np.array(1)),
    ((2, 3), [1, 0, 1]), ((2, 3), (slice(None), [0, 0])), ((2, 3), ([0, 1, 1], [2, 2, 2])),
    ((2, 3), ([1], slice(1, 2))), ((3,), np.array([True, False, True])),
    ((2, 3), np.array([True, False])), ((2, 3), np.zeros((2, 3), bool)),
    ((2, 3), np.eye(2, 3, dtype=bool)), ((3,), np.int64(1)), ((2, 1, 3), (0, ..., [1, 1])),
    ((2, 1, 2, 2), (1, 0, 1)), ((2, 1, 2, 2), (..., 0, [0, 1, 0])), ((2, 0), 1), ((3,), True),
]  # fmt: skip
shaped(
    "getitem",
    lambda x, i: x[i],
    [(s, (index,)) for s, index in INDEXED],
    [
        (lambda: t(1.0)[1], "getitem(tensor float64 (1,), index=1): index 1 is out of bounds"),
        (lambda: t(1.0)[0, 0], "getitem(...too many indices"),
        (lambda: t(1.0)[1.5], "getitem(...index=1.5): only integers"),
        (lambda: t(1.0)["a"], "getitem(...index='a'): only integers"),
        (lambda: t(1.0, 2.0)[np.array([True])], "getitem(...boolean index did not match"),
    ],
)
record(
    "embedding",
    [
        case(
            "embedding",
            [Arg((3, 2), dtype=d), Arg(s, "below 3", np.int64, False)],
            lambda W, i: W[i],
        )
        for s in [(), (1,), (4,), (0,), (2, 3), (2, 1, 2)]
        for d in FLOATS
    ]
    + [case("embedding", [Arg((3, 2))], lambda W, i: W[i], 2)],
    errors=[
        (
            lambda: ops.embedding(tensor([[1.0]]), [0.5]),
            "embedding(...every index must be an integer, got dtype float64",
        ),
        (
            lambda: ops.embedding(tensor([[1.0]]), [0, 1]),
            "embedding(...every index must be in 0..0, got [0 1]",
        ),
        (
            lambda: ops.embedding(tensor(np.ones((5, 1))), [7, 0]),
            "embedding(...every index must be in 0..4, got [7 0]",
        ),
        (
            lambda: ops.embedding(tensor([[1.0]]), [-1]),
            "embedding(...every index must be in 0..0",
        ),
    ],
)


def joined(*shapes, dtypes=FLOATS, **options):
    for d in dtypes:
        yield [Arg(s, dtype=d) for s in shapes], options


JOINS = [
    *joined((3,)), *joined((3,), (1,)), *joined((2, 3), (1, 3), (2, 3)),
    *joined((2, 1), (2, 3), axis=1), *joined((2, 1), (2, 3), axis=-1),
    *joined((2, 0), (2, 1), axis=1), *joined((2, 1, 3), (2, 2, 3), axis=1),
    *joined((1, 2, 1, 1), (1, 2, 2, 1), axis=-2), ([Arg((2,)), Arg((1,), dtype=np.float32)], {}),
]  # fmt: skip
record(
    "concatenate",
    [
        case(
            "concatenate",
            args,
            lambda *xs, axis=0: np.concatenate(xs, axis),
            call=lambda *xs, **o: ops.concatenate(xs, **o),
            **o,
        )
        for args, o in [*JOINS, *joined((2, 3), (), (1, 2), axis=None)]
    ],
    errors=[
        (
            lambda: ops.concatenate([t(1.0), tensor([[1.0]])]),
            "concatenate(tensor float64 (1,), tensor float64 (1, 1)",
        ),
        (
            lambda: ops.concatenate([t(1.0)], axis=1),
            "concatenate(tensor float64 (1,), axis=1): axis 1 is out of bounds",
        ),
        (lambda: ops.concatenate([]), "concatenate(axis=0): need at least one array"),
    ],
)
shaped(
    "repeat",
    np.repeat,
    [
        ((), (2,)), ((3,), (2,)), ((3,), (0,)), ((3,), ([1, 0, 2],)), ((2, 3), (2,)),
        ((2, 3), (2, 0)), ((2, 3), ([2, 0, 1], 1)), ((2, 1, 3), (3, -2)), ((2, 3), ([3, 1], -2)),
        ((0, 2), (2, 0)),
    ],
    [
        (lambda: ops.repeat(t(1.0), 2, 1), "repeat(tensor float64 (1,), ...axis 1 is out of"),
        (lambda: ops.repeat(t(1.0), -1), "repeat(tensor float64 (1,), ...repeats=-1): "),
    ],
)  # fmt: skip
shaped(
    "pad",
    np.pad,
    [
        ((3,), (1,)), ((3,), ((2, 1),)), ((2, 3), (1,)), ((2, 3), ((1, 2),)), ((), (1,)),
        ((2, 3), ([[0, 1], [2, 0]],)), ((2, 3), (((1,), (2,)),)), ((0, 2), (1,)),
        *(((3,), ((4, 2), mode)) for mode in ("edge", "reflect", "symmetric", "wrap")),
        *(((2, 3), (((1, 0), (1, 2)), mode)) for mode in ("edge", "reflect", "symmetric", "wrap")),
    ],
    [
        (lambda: ops.pad(t(1.0), 1, "mean"), "pad(...mode='mean', ...): the mode must be one of"),
        (lambda: ops.pad(t(1.0), 0.5), "pad(tensor float64 (1,), ...integral"),
        (lambda: ops.pad(t(1.0), 1, constant_values=t(1.0)), "pad: constant_values = ...lose"),
    ],
)  # fmt: skip
TAKEN = [
    ((3,), (3,), 0), ((3,), (0,), 0), ((2, 3), (2, 3), 1), ((2, 3), (4, 3), 0),
    ((2, 3), (2, 1), -1), ((2, 3), (4,), None), ((2, 3), (1, 2), 1), ((2, 1, 3), (2, 2, 3), 1),
]  # fmt: skip
record(
    "take_along_axis",
    [
        case(
            "take_along_axis",
            [Arg(s, dtype=d), Arg(i, f"below {s[axis or 0]}", np.int64, False)],
            np.take_along_axis,
            axis=axis,
        )
        for s, i, axis in TAKEN
        for d in FLOATS
    ],
    errors=[
        (
            lambda: ops.take_along_axis(t(1.0), [0.5]),
            "take_along_axis(...): `indices` must be an integer array",
        ),
        (
            lambda: ops.take_along_axis(t(1.0), [3]),
            "take_along_axis(tensor float64 (1,), tensor int64 (1,), axis=-1): index 3 is out",
        ),
    ],
)
record(
    "one_hot",
    [
        case(
            "one_hot",
            [Arg(s, "below 3", np.int64, False)],
            lambda ids, num_classes: np.eye(num_classes, dtype=np.int64)[ids],
            num_classes=n,
        )
        for s in [(), (1,), (4,), (0,), (2, 3)]
        for n in (3, 5)
    ],
    differentiable=False,
    errors=[
        (
            lambda: ops.one_hot([3], 3),
            "one_hot(tensor int64 (1,), num_classes=3): every id must be",
        ),
        (lambda: ops.one_hot([0.5], 3), "one_hot(...): every id must be an integer, got dtype"),
        (lambda: ops.one_hot([1]), "one_hot(...num_classes"),
    ],
)
for _name, _reference in {"vstack": np.vstack, "hstack": np.hstack}.items():
    _ours = getattr(ops, _name)
    record(
        _name,
        [
            case(
                _name,
                args,
                lambda *xs, f=_reference: f(xs),
                call=lambda *xs, f=_ours: f(xs),
            )
            for args, _ in [
                *joined((), ()), *joined((3,)), *joined((3,), (3,)), *joined((2, 3), (2, 3)),
                *joined((2, 1, 2), (2, 1, 2)), ([Arg((2,)), Arg((2,), dtype=np.float32)], {}),
            ]
        ],
        errors=[
            (
                partial(_ours, [tensor([[1.0, 2.0]]), tensor([[[1.0]]])]),
                f"{_name}: concatenate(tensor float64 (1, 2), tensor float64 (1, 1, 1), axis=",
            ),
            (partial(_ours, []), f"{_name}: concatenate(axis=0): need at least one"),
        ],
    )  # fmt: skip
STACKS = [
    *joined((), ()), *joined((3,)), *joined((3,), (3,)), *joined((3,), (3,), axis=1),
    *joined((2, 3), (2, 3), axis=-1), *joined((2, 3), (2, 3), (2, 3), axis=1),
    *joined((2, 0), (2, 0), axis=2), *joined((2, 1, 2), (2, 1, 2), axis=-3),
    ([Arg((2,)), Arg((2,), dtype=np.float32)], {}),
]  # fmt: skip
record(
    "stack",
    [
        case(
            "stack",
            args,
            lambda *xs, axis=0: np.stack(xs, axis),
            call=lambda *xs, **o: ops.stack(xs, **o),
            **o,
        )
        for args, o in STACKS
    ],
    errors=[
        (
            lambda: ops.stack([t(1.0), t(1.0, 2.0)]),
            "stack(tensor float64 (1,), tensor float64 (2,), axis=0): all input",
        ),
        (
            lambda: ops.stack([t(1.0)], axis=3),
            "stack(tensor float64 (1,), axis=3): axis 3 is out of bounds",
        ),
        (lambda: ops.stack([]), "stack(axis=0): need at least one array"),
    ],
)
record(
    "scatter",
    [
        case(
            "scatter",
            [Arg(s, dtype=d) for s in shapes],
            lambda *xs, indices, shape: sum_at(xs, indices, shape),
            call=lambda *xs, **o: ops.scatter(xs, **o),
            indices=indices,
            shape=shape,
        )
        for shapes, indices, shape in [
            ([()], (1,), (3,)), ([(), ()], (1, 1), (3,)),
            ([(2,), (3,)], (slice(1, 3), slice(0, 3)), (3,)), ([(3,)], ((0, [0, 1, 1]),), (2, 2)),
            ([(2, 2), (2,)], ([0, 0], 1), (3, 2)),
        ]
        for d in FLOATS
    ],
    errors=[(lambda: ops.scatter([t(1.0)], (5,), (2,)),
      "scatter(tensor float64 (1,), indices=(5,), ...index 5"),
            (lambda: ops.scatter([tensor(1.0), tensor(1.0)], (0,), (2,)),
             "scatter(...indices=(0,), ...shorter")],
)  # fmt: skip


def sum_at(xs, indices, shape):
    y = np.zeros(shape, np.result_type(*xs))
    for x, index in zip(xs, indices, strict=True):
        np.add.at(y, index, x)
    return y


def listed(call):
    """Several outputs as one, so that a case has one output: side by side, flat."""
    return lambda x, *given, **options: ops.concatenate(
        [ops.reshape(part, -1) for part in call(x, *given, **options)]
    )


def flat(call):
    return lambda x, *given, **options: np.concatenate(
        [np.ravel(part) for part in call(x, *given, **options)]
    )


shaped(
    "split",
    flat(np.split),
    [
        ((4,), (2,)), ((3,), (3,)), ((3,), ([1],)), ((3,), ([1, 1],)), ((3,), ([3, 1],)),
        ((2, 4), (2, 1)), ((2, 4), ([1, 3], -1)), ((2, 2, 1, 2), (2, 1)), ((2, 0), (2, 0)),
    ],
    [
        (lambda: ops.split(t(1.0, 2.0, 3.0), 2),
         "split: axis 0 of tensor float64 (3,): array split does not"),
        (lambda: ops.split(t(1.0), 1, 2), "split: axis 2 of tensor float64 (1,): "),
        (lambda: ops.split(t(1.0), None), "split: axis 0 of tensor float64 (1,): "),
    ],
    call=listed(ops.split),
)  # fmt: skip
shaped(
    "unstack",
    flat(lambda x, axis=0: np.unstack(x, axis=axis)),
    [((3,), ()), ((2, 3), ()), ((2, 3), (1,)), ((2, 1, 3), (-1,)), ((2, 1, 2, 2), (2,))],
    [
        (lambda: ops.unstack(tensor(1.0)), "unstack: axis 0 of tensor float64 (): "),
        (lambda: ops.unstack(t(1.0), 1), "unstack: axis 1 of tensor float64 (1,): "),
        (lambda: ops.unstack(t(1.0), "x"), "unstack: axis x of tensor float64 (1,): "),
    ],
    call=listed(ops.unstack),
)

# Probabilities


def softmax(x, axis=-1):
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


ALONG = [((3,), -1), ((1,), 0), ((2, 3), -1), ((2, 3), 0), ((2, 1, 3), 1), ((2, 1, 3), -1),
 ((2, 1, 2, 2), 2),
         ((0, 2), 1), ((2, 3), (0, 1))]  # fmt: skip
for _name, _reference in {
    "softmax": softmax,
    "log_softmax": lambda x, axis=-1: np.log(softmax(x, axis)),
}.items():
    record(
        _name,
        [case(_name, [Arg(s, dtype=d)], _reference, axis=axis) for s, axis in ALONG for d in FLOATS]
        + [case(_name, [Arg((2, 2, 3))], _reference)],
        errors=axis_errors(_name)[:1],
    )


def cross_entropy(x, targets, reduction="mean"):
    log_p = np.log(softmax(x))
    y = -np.take_along_axis(log_p, targets[..., None], -1)[..., 0]
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](y)


record(
    "cross_entropy",
    [
        case(
            "cross_entropy",
            [Arg((*s, 3), dtype=d), Arg(s, "below 3", np.int64, False)],
            cross_entropy,
            reduction=reduction,
        )
        for s in [(), (1,), (4,), (2, 2), (2, 1, 2)]
        for reduction in ("mean", "sum", "none")
        for d in FLOATS
    ]
    + [
        case(
            "cross_entropy",
            [Arg((n, 3)), Arg((n,), "below 3", np.int64, False)],
            cross_entropy,
            **o,
        )
        for n, o in [(0, {"reduction": "sum"}), (2, {})]
    ],
    errors=[
        (
            lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), [0.5]),
            "cross_entropy(...every target must be an integer, got dtype float64",
        ),
        (
            lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), [2]),
            "cross_entropy(...every target must be in 0..1, got [2]",
        ),
        (
            lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), [-1]),
            "cross_entropy(...every target must be in 0..1, got [-1]",
        ),
        (
            lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), [0, 1]),
            "cross_entropy(tensor float64 (1, 2), ...logits ...need targets of shape (1,)",
        ),
        (
            lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), 0),
            "cross_entropy(...logits of shape (1, 2) need targets of shape (1,)",
        ),
        (
            lambda: ops.cross_entropy(tensor([[1.0, 2.0]]), [0], reduction="median"),
            'cross_entropy(...reduction=\'median\'): the reduction must be "mean", "sum" or "none"',
        ),
    ],
)

CASES = [one for made in RECORDS.values() for one in made.cases]


def with_every_case(
    accept: Callable[[Case], bool] = lambda _: True, one_in: int = 1, one_op_in: int = 1
):
    """Make of `test(case)` one test an op: it goes through the op's cases, and names what fails.

    A test costs pytest more than most cases cost, and there are thousands. Of what costs much, one
    case in so many is run, at random but always the same; `-m slow` runs the others. Of what the
    engine does alike for all ops the default takes one op in so many, and `-m rest` the others.
    """
    of_op: dict[str, list[Case]] = {}
    for one in filter(accept, CASES):
        of_op.setdefault(one.op, []).append(one)

    def decorate(test):
        some, others = [], []
        for op, cases in of_op.items():
            drawn = sorted(cases, key=lambda one: zlib.crc32(f"{test.__name__} {one.id}".encode()))
            few = -(-len(drawn) // one_in)
            is_default = len(some) % one_op_in == 0
            marks = () if is_default else pytest.mark.rest
            some.append(pytest.param(drawn[:few], id=op, marks=marks))
            if drawn[few:]:
                others.append(pytest.param(drawn[few:], id=f"{op}-rest", marks=pytest.mark.slow))

        @pytest.mark.parametrize("cases", [*some, *others])
        def test_of_op(cases):
            for one in cases:
                try:
                    test(one)
                except BaseException as error:
                    error.add_note(f"in the case {one.id}")
                    raise

        test_of_op.__doc__ = test.__doc__
        return test_of_op

    return decorate
