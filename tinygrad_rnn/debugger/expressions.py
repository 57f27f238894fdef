"""Expressions: read by Python's own parser, evaluated over a whitelisted tree, never by `eval`.

Names of tensors are not Python ("h@3", "d.rnn.0.W_hh", "tanh#12"), so they are taken out before
parsing. What an expression may cost is bounded: 500 characters, 200 nodes, and for each value, a
tuple's too, 4M elements. All of them together take at most 40M steps: one for each element that is
made, and for 16 multiplications in a product of matrices.
"""

import ast
import inspect
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..autograd.switches import quietly
from ..errors import TinygradError

MAX_CHARACTERS = 500
MAX_NODES = 200
MAX_ELEMENTS = 4_000_000
MAX_STEPS = 40_000_000

Lookup = Callable[[str], Any]


class CommandError(TinygradError, ValueError):
    """A command that cannot be run; `column` is where in its text, if the place is known."""

    def __init__(self, message: str, text: str = "", column: int | None = None) -> None:
        super().__init__(message)
        self.text, self.column = text, column

    def lines(self) -> list[str]:
        """The message, below the text with a caret at the spot."""
        if self.column is None:
            return [str(self)]
        return [self.text, " " * self.column + "^", str(self)]


def is_whole(text: str, at_least: int = 0) -> bool:
    """Whether a text is a whole number that is not absurdly large."""
    return text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= at_least


_NAME = re.compile(
    r"""
    [^\W\d]\w*(?:′+\w*)?(?:\.\w+)*  # rnn.0.W_hh, d.h, α, h′, h′⁴
    (?:\#[0-9]+)?               # tanh#12
    # h@3, h@30:3, loss@30:, directly behind: `W @ h` with spaces is a product
    (?:@[0-9]+:(?:-?[0-9]+)?|@-?[0-9]+)?
    (?:\.(?:T|shape|size|ndim)(?!\w))?
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_GOES_ON = re.compile(r"\w")  # directly behind a name or a number: it is another than it seems
_ATTRIBUTES = ("T", "shape", "size", "ndim")
_CONSTANTS = {"True": True, "False": False, "nan": np.nan, "inf": np.inf, "pi": np.pi}
_KEYWORDS = {
    "and", "or", "not", "in", "is", "if", "else", "for", "lambda", "import", "await", "yield",
    "None",
}  # fmt: skip


def _mean(x: Any, axis: Any = None) -> Any:
    return np.mean(x, axis=axis) if np.size(x) else np.nan


def _std(x: Any, axis: Any = None) -> Any:
    return np.std(x, axis=axis) if np.size(x) else np.nan


class Gate(np.ndarray):
    """What a sigmoid made: saturated near 0, a closed gate, as well as near 1, an open one."""


def _saturated(x: Any, limit: Any) -> float:
    """The share of what is near an end of its range: ±1, of a gate 0 and 1."""
    is_near = np.abs(x) > limit
    if isinstance(x, Gate):
        is_near = is_near | (np.asarray(x) < 1 - limit)
    return float(_mean(is_near))


# With signatures of their own: NumPy's have an `out`, which would be written into.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "norm": lambda x: float(np.linalg.norm(np.asarray(x, float))),
    "absmax": lambda x: float(np.max(np.abs(x), initial=0.0)),
    "mean": _mean,
    "std": _std,
    "sum": lambda x, axis=None: np.sum(x, axis=axis),
    "min": lambda x, axis=None: np.min(x, axis=axis),
    "max": lambda x, axis=None: np.max(x, axis=axis),
    "any": lambda x, axis=None: np.any(x, axis=axis),
    "all": lambda x, axis=None: np.all(x, axis=axis),
    "abs": lambda x: np.abs(x),
    "exp": lambda x: np.exp(x),
    "log": lambda x: np.log(x),
    "sqrt": lambda x: np.sqrt(x),
    "tanh": lambda x: np.tanh(x),
    "sat": lambda x, limit=0.95: _saturated(x, limit),
    "frac": lambda condition: float(_mean(np.asarray(condition, bool))),
    "has_nan": lambda x: bool(np.isnan(x).any()),
    "has_inf": lambda x: bool(np.isinf(x).any()),
    "nonfinite": lambda x: bool(not np.isfinite(x).all()),
}
_SIGNATURES = {name: inspect.signature(function) for name, function in FUNCTIONS.items()}

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: lambda a, b: np.power(np.asarray(a, float), b),
    ast.MatMult: operator.matmul,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: lambda x: not _truth(x),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.And: np.logical_and,
}


_REFUSALS = (
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression, to be evaluated as often as asked.

    Args:
        text: as it was written.
        tree: the same, with placeholders for the names.
        names: what the placeholders stand for.
    """

    text: str
    tree: ast.expr
    names: tuple[str, ...]

    @quietly
    def __call__(self, lookup: Lookup) -> Any:
        """The value; `lookup` gives that of each name.

        Raises:
            CommandError: the operation is not possible, or too large.
        """
        try:
            return _Evaluation(self, lookup).of(self.tree)
        except TinygradError:
            raise
        except _REFUSALS as error:
            raise CommandError(f"{self.text}: {error}") from None

    def holds(self, lookup: Lookup) -> bool:
        """Whether it is true."""
        return _truth(self(lookup))


def parse(text: str, line: str | None = None, origin: int = 0) -> Expression:
    """Read an expression.

    Args:
        text: the expression.
        line: the command it stands in, where that is more.
        origin: the column at which it stands there.

    Raises:
        CommandError: it is not an expression, or not an allowed one.
    """
    if line is None:
        line = text
    if len(text) > MAX_CHARACTERS:
        raise CommandError(
            f"an expression has at most {MAX_CHARACTERS} characters, this one {len(text)}"
        )
    if not text.strip():
        raise CommandError("an expression is missing", line, origin)
    source, columns, names, fused = _without_names(text)
    if fused is not None:
        raise CommandError(
            f"not an expression: {text[fused]!r} follows a name or a number directly",
            line,
            origin + fused,
        )

    def error(message: str, at: int) -> CommandError:
        return CommandError(message, line, origin + columns[min(at, len(columns) - 1)])

    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as caught:
        # At its end, where Python does not say.
        at = getattr(caught, "offset", None) or len(columns)
        reason = getattr(caught, "msg", None) or "it is nested too deeply"
        raise error(f"not an expression: {reason}", at - 1) from None
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES:
        raise CommandError(f"an expression has at most {MAX_NODES} parts, this one {len(nodes)}")
    for node in nodes:
        refused = _refusal(node)
        if refused:
            raise error(refused, getattr(node, "col_offset", 0))
    return Expression(text, tree, tuple(names))


def _without_names(text: str) -> tuple[str, list[int], list[str], int | None]:
    """The text with placeholders for names, the column each character came from, and the names.

    Also where something follows a name or a number that would make another one of it.
    """
    source, names, columns, at, fused = "", list[str](), list[int](), 0, None
    while at < len(text):
        number = _NUMBER.match(text, at)
        name = None if number else _NAME.match(text, at)
        if number:
            piece = shown = number[0]
        elif name:
            piece = name[0]
            shown = _placeholder(piece, text[name.end() :], names)
        else:
            piece = shown = text[at]
        if not shown.isascii():
            # No characters but names' may be other than ASCII; the parser says where.
            shown = "?" * len(shown)
        source += shown
        columns += [at] * len(shown)
        at += len(piece)
        if fused is None and text[at - 1] == "#":
            fused = at - 1  # to Python's parser a comment
        if fused is None and (number or name) and _GOES_ON.match(text, at):
            fused = at
    return source, [*columns, len(text)], names, fused


def _placeholder(piece: str, rest: str, names: list[str]) -> str:
    """What stands for a name, which is added to `names`; a word of the language for itself."""
    is_call = piece in FUNCTIONS and rest.lstrip().startswith("(")
    if is_call or piece in _KEYWORDS or piece in _CONSTANTS:
        return piece
    name, dot, attribute = piece.rpartition(".")
    if not dot or attribute not in _ATTRIBUTES:
        name, dot, attribute = piece, "", ""
    if name not in names:
        names.append(name)
    return f"_{names.index(name)}{dot}{attribute}"


_ALLOWED = (
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Tuple,
    ast.Slice,
    ast.Subscript,
    ast.Load,
    ast.And,
    ast.Or,
    *_OPERATORS,
)


def _refusal(node: ast.AST) -> str:
    """Why a part of the tree is not allowed; "" where it is."""
    match node:
        case ast.Constant(value=bool() | float()) | ast.Name():
            return ""
        case ast.Constant(value=int() as value):
            return "" if abs(value) < 2**53 else "a whole number has at most 53 bits"
        case ast.Attribute(attr=attribute) if attribute not in _ATTRIBUTES:
            return f".{attribute} is not one of {', '.join(_ATTRIBUTES)}"
        case ast.Attribute():
            return ""
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            try:
                _SIGNATURES[name].bind(*args)
            except TypeError as error:
                return f"{name}{_SIGNATURES[name]}: {error}"
            return ""
        case ast.Call():
            return f"the functions are {', '.join(FUNCTIONS)}"
        case _ if isinstance(node, _ALLOWED):
            return ""
    allowed = "numbers, names, operators, comparisons, indices, functions"
    return f"{type(node).__name__} is not allowed: {allowed}"


class _Evaluation:
    """One walk over the tree."""

    def __init__(self, expression: Expression, lookup: Lookup) -> None:
        self.names, self.lookup = expression.names, lookup
        self.left = MAX_STEPS

    def of(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.UnaryOp(op=op, operand=operand):
                return _OPERATORS[type(op)](self._counted(self.of(operand)))
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self.of(left), self.of(right))
            case ast.BoolOp(op=op, values=values):
                truths = (_truth(self.of(value)) for value in values)
                return all(truths) if isinstance(op, ast.And) else any(truths)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compare(self.of(left), ops, others)
            case _:
                return self._part(node)

    def _part(self, node: ast.AST) -> Any:
        match node:
            case ast.Attribute(value=value, attr=attribute):
                return getattr(self._array(value), attribute)
            case ast.Subscript(value=value, slice=index):
                return self._array(value)[self._index(index)]
            case ast.Call(func=ast.Name(id=name), args=arguments):
                values = [self._counted(self.of(argument)) for argument in arguments]
                return FUNCTIONS[name](*values)
            case ast.Tuple(elts=elements):
                return self._counted(tuple(self.of(element) for element in elements))
            case _:
                raise CommandError(f"{type(node).__name__} is not allowed here")

    def _named(self, name: str) -> Any:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        return self.lookup(self.names[int(name[1:])])

    def _array(self, node: ast.expr) -> Any:
        value = self.of(node)
        return np.asanyarray(self._counted(value) if isinstance(value, tuple) else value)

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(left, tuple) or isinstance(right, tuple):
            raise CommandError("a shape can be compared and indexed, not computed with")
        if not isinstance(op, ast.MatMult):
            return self._pointwise(op, left, right)
        a, b = np.shape(left), np.shape(right)
        columns = b[-1] if len(b) > 1 else 1
        size = prod((*a[:-1], *b[:-2], columns))
        products = size * max(a[-1:], default=1)
        self._count(size, size + products // 16)
        return left @ right

    def _pointwise(self, op: ast.AST, left: Any, right: Any) -> Any:
        size = prod(np.broadcast_shapes(np.shape(left), np.shape(right)))
        self._count(size, size)
        return _OPERATORS[type(op)](left, right)

    def _compare(self, left: Any, ops: list[ast.cmpop], others: list[ast.expr]) -> Any:
        result: Any = True
        for op, other in zip(ops, others, strict=True):
            right = self.of(other)
            if isinstance(left, tuple) and isinstance(right, tuple):
                this = _OPERATORS[type(op)](left, right)
            else:
                this = self._pointwise(op, self._counted(left), self._counted(right))
            result = this if result is True else self._pointwise(ast.And(), result, this)
            left = right
        return result

    def _index(self, node: ast.expr) -> Any:
        match node:
            case ast.Tuple(elts=elements):
                return tuple(self._index(element) for element in elements)
            case ast.Slice(lower=lower, upper=upper, step=step):
                parts = (lower, upper, step)
                return slice(*(None if part is None else self._index(part) for part in parts))
            case _:
                return operator.index(self.of(node))

    def _counted(self, value: Any) -> Any:
        """A value that something is made of, as large at most."""
        size = _size(value)
        if size > MAX_ELEMENTS:
            raise CommandError(f"an array of {size} elements is more than {MAX_ELEMENTS}")
        self._count(size, size)
        return value

    def _count(self, size: int, steps: int) -> None:
        """Refuse a result that is too large, or all of them together."""
        self.left -= steps
        if size > MAX_ELEMENTS:
            raise CommandError(f"the result would have {size} elements, more than {MAX_ELEMENTS}")
        if self.left < 0:
            raise CommandError(f"it would take more than {MAX_STEPS} steps")


def _size(value: Any) -> int:
    return sum(map(_size, value)) if isinstance(value, tuple) else np.size(value)


def _truth(value: Any) -> bool:
    count = _size(value)
    if count != 1:
        raise CommandError(f"{count} values are neither true nor false; use any(…) or all(…)")
    return bool(np.asarray(value).item())
