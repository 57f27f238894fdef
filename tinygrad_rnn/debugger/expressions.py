"""Expressions: read by Python's own parser, evaluated over a whitelisted tree, never by `eval`.

Names of tensors are no Python ("h@3", "d.rnn.0.W_hh", "tanh#12"), so they are taken out before
parsing. What an expression may cost is bounded: 500 characters, 200 nodes, arrays of 4M elements.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import TinygradError

MAX_CHARACTERS = 500
MAX_NODES = 200
MAX_ELEMENTS = 4_000_000

Lookup = Callable[[str], Any]


class CommandError(TinygradError, ValueError):
    """What cannot be carried out; `column` is where in the text, if anywhere."""

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
    [^\W\d]\w*(?:\.\w+)*        # rnn.0.W_hh, d.h, α
    (?:\#\d+)?                  # tanh#12
    # h@3, h@30:3, loss@30:, directly behind: `W @ h` with spaces is a product
    (?:@\d+:(?:-?\d+)?|@-?\d+)?
    (?:\.(?:T|shape|size|ndim)(?!\w))?
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ATTRIBUTES = ("T", "shape", "size", "ndim")
_CONSTANTS = {"True": True, "False": False, "nan": np.nan, "inf": np.inf, "pi": np.pi}
_KEYWORDS = {
    "and", "or", "not", "in", "is", "if", "else", "for", "lambda", "import", "await", "yield",
    "None",
}  # fmt: skip

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "norm": lambda x: float(np.linalg.norm(np.asarray(x, float))),
    "absmax": lambda x: float(np.max(np.abs(x), initial=0.0)),
    "mean": np.mean,
    "std": np.std,
    "sum": np.sum,
    "min": np.min,
    "max": np.max,
    "any": np.any,
    "all": np.all,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sat": lambda x, limit=0.95: float(np.mean(np.abs(x) > limit)),
    "frac": lambda condition: float(np.mean(np.asarray(condition, bool))),
    "has_nan": lambda x: bool(np.isnan(x).any()),
    "has_inf": lambda x: bool(np.isinf(x).any()),
    "nonfinite": lambda x: bool(not np.isfinite(x).all()),
}

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
}


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

    def __call__(self, lookup: Lookup) -> Any:
        """The value; `lookup` gives that of each name.

        Raises:
            CommandError: the operation is not possible, or too large.
        """
        with np.errstate(all="ignore"):
            try:
                return _Evaluation(self, lookup).of(self.tree)
            except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
                if isinstance(error, TinygradError):
                    raise
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
        CommandError: it is no expression, or none that is allowed.
    """
    if line is None:
        line = text
    if len(text) > MAX_CHARACTERS:
        raise CommandError(
            f"an expression has at most {MAX_CHARACTERS} characters, this one {len(text)}"
        )
    if not text.strip():
        raise CommandError("an expression is missing", line, origin)
    source, columns, names = _without_names(text)

    def error(message: str, at: int) -> CommandError:
        return CommandError(message, line, origin + columns[min(at, len(columns) - 1)])

    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as caught:
        # At its end, where Python does not say.
        at = getattr(caught, "offset", None) or len(columns)
        reason = getattr(caught, "msg", None) or "it is nested too deeply"
        raise error(f"no expression: {reason}", at - 1) from None
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES:
        raise CommandError(f"an expression has at most {MAX_NODES} parts, this one {len(nodes)}")
    for node in nodes:
        refused = _refusal(node)
        if refused:
            raise error(refused, getattr(node, "col_offset", 0))
    return Expression(text, tree, tuple(names))


def _without_names(text: str) -> tuple[str, list[int], list[str]]:
    """The text with placeholders for names, the column each character came from, and the names."""
    source, names, columns, at = "", list[str](), list[int](), 0
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
    return source, [*columns, len(text)], names


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
            return f".{attribute} is none of {', '.join(_ATTRIBUTES)}"
        case ast.Attribute():
            return ""
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
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

    def of(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.UnaryOp(op=op, operand=operand):
                return _OPERATORS[type(op)](self._bounded(self.of(operand)))
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
                return getattr(np.asarray(self.of(value)), attribute)
            case ast.Subscript(value=value, slice=index):
                return np.asarray(self.of(value))[self._index(index)]
            case ast.Call(func=ast.Name(id=name), args=arguments):
                values = [self._bounded(self.of(argument)) for argument in arguments]
                return FUNCTIONS[name](*values)
            case ast.Tuple(elts=elements):
                return tuple(self.of(element) for element in elements)
            case _:
                raise CommandError(f"{type(node).__name__} is not allowed here")

    def _named(self, name: str) -> Any:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        return self.lookup(self.names[int(name[1:])])

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(left, tuple) or isinstance(right, tuple):
            raise CommandError("a shape can be compared and indexed, not computed with")
        a, b = np.shape(left), np.shape(right)
        if isinstance(op, ast.MatMult):
            columns = b[-1] if len(b) > 1 else 1
            size = int(np.prod((*a[:-1], *b[:-2], columns), dtype=float))
        else:
            size = int(np.prod(np.broadcast_shapes(a, b), dtype=float))
        if size > MAX_ELEMENTS:
            raise CommandError(f"the result would have {size} elements, more than {MAX_ELEMENTS}")
        return _OPERATORS[type(op)](left, right)

    def _compare(self, left: Any, ops: list[ast.cmpop], others: list[ast.expr]) -> Any:
        result: Any = True
        for op, other in zip(ops, others, strict=True):
            right = self.of(other)
            this = _OPERATORS[type(op)](left, right)
            result = this if result is True else np.logical_and(result, this)
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

    @staticmethod
    def _bounded(value: Any) -> Any:
        if np.size(value) > MAX_ELEMENTS:
            raise CommandError(f"an array of {np.size(value)} elements is more than {MAX_ELEMENTS}")
        return value


def _truth(value: Any) -> bool:
    if np.size(value) != 1:
        count = np.size(value)
        raise CommandError(f"{count} values are neither true nor false; use any(…) or all(…)")
    return bool(np.asarray(value).item())
