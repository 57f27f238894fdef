"""How a formula writes an expression of the user's code: `W_in @ u` as "W_in u"."""

import ast
from itertools import islice

_LENGTH_MOST = 28
_NODES_MOST = 200  # of a syntax tree
# of "a + b": how tightly it binds
_SUM, _PRODUCT, _MATMUL, _POWER, _ATOM = range(5)
_INFIX: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: (" + ", _SUM), ast.Sub: (" − ", _SUM), ast.Mult: (" ⊙ ", _PRODUCT),
    ast.Div: (" / ", _PRODUCT), ast.MatMult: (" ", _MATMUL),
}  # fmt: skip
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "=", ast.NotEq: "≠", ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥",
}  # fmt: skip
# What says only how an array is held, and nothing of its numbers.
_HELD_AS = {"float", "int", "bool", "array", "asarray", "float64", "float32", "int64", "list"}
_OF_ITSELF = {
    "numpy", "copy", "astype", "reshape", "ravel", "item", "tolist", "detach", "swapaxes",
    "squeeze",
}  # fmt: skip
_REDUCED = {"sum", "mean", "max", "min", "std", "var", "prod", "any", "all", "argmax", "argmin"}
_JOINED = {"concatenate", "hstack", "vstack", "stack", "append"}

_Text = tuple[str, int]  # and how tightly it binds


def spelled(expression: ast.expr) -> str:
    """An expression as a formula; "" of one that is too long, or that no formula has."""
    if sum(1 for _ in islice(ast.walk(expression), _NODES_MOST)) == _NODES_MOST:
        return ""  # too long in any case; and Python may not go so deep
    text, _ = _written(expression)
    return text if "·" not in text and len(text) <= _LENGTH_MOST else ""


def _written(said: ast.expr) -> _Text:
    match said:
        case ast.Attribute(value=whole, attr="T" | "mT"):
            return f"{_within(whole, _ATOM)}ᵀ", _ATOM
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name, _ATOM
        case ast.Constant(value=bool() | int() | float() as value):
            return f"{value:.4g}" if isinstance(value, float) else str(value), _ATOM
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return f"[{', '.join(_within(one, _SUM) for one in elements)}]", _ATOM
        case ast.Subscript(value=whole, slice=index):
            return _within(whole, _ATOM) + _index(index), _ATOM
        case ast.Call(func=function, args=arguments, keywords=keywords):
            return _call(function, arguments, is_all=not keywords)
        case _:
            return _signed(said)


def _signed(said: ast.expr) -> _Text:
    """What is written with a sign."""
    match said:
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, power = _within(left, _ATOM), _within(right, _ATOM)
            return f"{base}²" if power == "2" else f"{base}^{power}", _POWER
        case ast.BinOp(left=ast.Constant() as number, op=ast.Mult(), right=ast.expr() as times) | (
            ast.BinOp(left=times, op=ast.Mult(), right=ast.Constant() as number)
        ) if not isinstance(times, ast.Constant | ast.UnaryOp):
            return f"{_within(number, _ATOM)} {_within(times, _PRODUCT)}", _PRODUCT
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _INFIX:
            sign, binds = _INFIX[type(op)]
            closer = binds + isinstance(op, ast.Sub | ast.Div | ast.MatMult)
            return _within(left, binds) + sign + _within(right, closer), binds
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"−{_within(operand, _PRODUCT)}", _PRODUCT
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            return f"{_within(left, _SUM)} {_COMPARED[type(op)]} {_within(right, _SUM)}", _SUM
        case _:
            return "·", _ATOM


def _within(said: ast.expr, least: int) -> str:
    text, binds = _written(said)
    return text if binds >= least else f"({text})"


def _index(said: ast.expr) -> str:
    """An index in brackets; "" of a variable, which says the step."""
    return "" if isinstance(said, ast.Name) else f"[{ast.unparse(said)}]"


def _call(function: ast.expr, arguments: list[ast.expr], *, is_all: bool) -> _Text:
    name = function.attr if isinstance(function, ast.Attribute) else ""
    if isinstance(function, ast.Name):
        name = function.id
    if name in _OF_ITSELF and isinstance(function, ast.Attribute):
        return _written(function.value)
    if name in _HELD_AS and arguments:
        return _written(arguments[0])
    if name in _JOINED and arguments:
        return f"[{'; '.join(_part(one) for one in _parts(arguments))}]", _ATOM
    if name in _REDUCED and not arguments and isinstance(function, ast.Attribute):
        arguments = [function.value]
    inside = ", ".join(_within(one, _SUM) for one in arguments)
    if not (inside or is_all) or len(inside) > _LENGTH_MOST - len(name) - 2 or "·" in inside:
        inside = "…"
    return f"{name or '·'}({inside})", _ATOM


def _parts(arguments: list[ast.expr]) -> list[ast.expr]:
    """What is joined: the elements of the list that is given, or several arguments."""
    match arguments[0]:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return elements
        case _:
            return arguments


def _part(said: ast.expr) -> str:
    """One of what is joined: a list of one number is this, and a condition the number 1 or 0."""
    match said:
        case ast.List(elts=[element]):
            return _part(element)
        case ast.Call(func=ast.Name(id=name), args=[condition]) if name in _HELD_AS:
            return _part(condition)
        case ast.Compare():
            return f"1[{_within(said, _SUM)}]"
        case _:
            return _within(said, _SUM)
