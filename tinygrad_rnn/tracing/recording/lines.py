"""What the lines of a file bind, and the loops that they stand in."""

import ast
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import cast

from .place import Place

Position = tuple[int | None, int | None, int | None, int | None]


@lru_cache(maxsize=256)
def expressions_in(file: str) -> dict[Position, ast.expr]:
    """The calls in a file, what adds and multiplies, and what is indexed, by where they stand."""
    found: dict[Position, ast.expr] = {}
    for tree in _parsed(file):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call | ast.BinOp | ast.Subscript):
                found[span_of(node)] = node
    return found


def forget_lines() -> None:
    """Read files anew, if one that was read is another one now."""
    if all(linecache.getlines(file) == lines for file, lines in _read.items()):
        return
    _read.clear()
    bindings_in.cache_clear()
    expressions_in.cache_clear()
    _scopes_of_loops.cache_clear()
    _returns.cache_clear()
    place_in.cache_clear()


@lru_cache(maxsize=65536)
def place_in(code: CodeType, instruction: int) -> Place:
    """Where a function stands at one of its instructions, and in which of its loops."""
    loops = (loop.start for loop in _loops_around(code, instruction))
    return Place(code, instruction, tuple(sorted(loops)))


def comprehension_around(code: CodeType, instruction: int) -> int | None:
    """The line of the outermost comprehension in which a function stands at an instruction."""
    around = _loops_around(code, instruction)
    return min((loop.start[0] for loop in around if loop.is_comprehension), default=None)


def _loops_around(code: CodeType, instruction: int) -> "list[_Stretch]":
    line, _, column, _ = position_of(code, instruction)
    if line is None or column is None:
        return []
    around = [scope for scope in _scopes_of_loops(code.co_filename) if (line, column) in scope]
    inside = max(around, key=lambda scope: scope.start).loops if around else ()
    return [loop for loop in inside if (line, column) in loop]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From one position of a file to another: a loop, or a function with the loops in it."""

    start: tuple[int, int]
    end: tuple[int, int]
    loops: "list[_Stretch]" = field(default_factory=lambda: list[_Stretch]())
    is_comprehension: bool = False

    @classmethod
    def of(cls, node: ast.AST) -> "_Stretch":
        if isinstance(node, ast.Module):
            return cls((0, 0), (sys.maxsize, 0))
        first, last, start, end = span_of(cast(ast.expr, node))
        is_comprehension = isinstance(node, _COMPREHENSIONS)
        return cls((first or 0, start or 0), (last or 0, end or 0), [], is_comprehension)

    def __contains__(self, position: tuple[int, int]) -> bool:
        return self.start <= position < self.end


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp)
_LOOPS = (ast.For, ast.While, ast.AsyncFor, *_COMPREHENSIONS)
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp)


@lru_cache(maxsize=256)
def _scopes_of_loops(file: str) -> list[_Stretch]:
    """The functions of a file with the loops in each."""
    scopes: list[_Stretch] = []
    waiting: list[tuple[ast.AST, list[_Stretch]]] = [(tree, []) for tree in _parsed(file)]
    while waiting:
        node, loops = waiting.pop()
        if isinstance(node, _SCOPES):
            scopes.append(_Stretch.of(node))
            loops = scopes[-1].loops
        if isinstance(node, (*_LOOPS, ast.GeneratorExp)):
            loops.append(_Stretch.of(node))
        waiting += [(child, loops) for child in ast.iter_child_nodes(node)]
    return scopes


# file -> its lines, as they were when something was read from its tree
_read: dict[str, list[str]] = {}


def _parsed(file: str) -> list[ast.Module]:
    """The tree of a file; none where it is gone, or no Python."""
    lines = _read[file] = linecache.getlines(file)
    return _trees("".join(lines))


@lru_cache(maxsize=16)  # several things are asked of one file soon after each other
def _trees(text: str) -> list[ast.Module]:
    try:
        return [ast.parse(text)]
    except (SyntaxError, ValueError):
        return []


_ALONE = -1  # the part of a tuple of one
_STATE_OF = "state_of"  # takes the one tensor of a state out of its tuple, see nn.cells
# functions that make what holds their arguments under the names that these are given
_HOLDING = frozenset({"dict", "replace", "_replace"})


@dataclass(frozen=True, slots=True)
class _Binding:
    """What becomes of an expression's value: it is element `path` of what `target` is bound to.

    Without a target it is returned.
    """

    target: ast.expr | None
    path: tuple[int, ...] = ()
    is_state: bool = False  # as our cells give it: of one tensor that itself

    def within(self, path: tuple[int, ...]) -> tuple[int, ...]:
        """Which part of the target part `path` of the value is."""
        if self.is_state and path[:1] == (_ALONE,):
            path = path[1:]
        return self.path + path


@lru_cache(maxsize=65536)
def position_of(code: CodeType, instruction: int) -> Position:
    """Where in its file the expression of an instruction stands."""
    for at, position in enumerate(code.co_positions()):
        if 2 * at == instruction:
            return position
    return (None, None, None, None)


@lru_cache(maxsize=256)
def bindings_in(file: str) -> dict[Position, _Binding]:
    """Every expression of a file whose whole value is bound or returned."""
    found: dict[Position, _Binding] = {}
    for tree in _parsed(file):
        for node in ast.walk(tree):
            found |= _bound_by(node)
    return found


def _bound_by(node: ast.AST) -> dict[Position, _Binding]:
    """The expressions that a statement binds or returns."""
    match node:
        case ast.Assign(targets=targets, value=value):
            target = _best(targets)
            # What a generator makes, it makes while it is unpacked.
            return _parts(value, target) | {span_of(target): _Binding(target)}
        case ast.NamedExpr(target=target, value=value):
            return _parts(value, target)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return _parts(value, target)
        case ast.Call(func=ast.Attribute(attr="append", value=target), args=[value]):
            return _parts(value, target)
        case ast.For(target=target, iter=value):
            # Python 3.11 places the instruction at the loop, later ones at what it loops over
            return {span_of(node): _Binding(target), span_of(value): _Binding(target)}
        case ast.AugAssign(target=target):
            return {span_of(node): _Binding(target)}
        case ast.Return(value=ast.expr() as value) | ast.Lambda(body=value):
            return _parts(value, None)
        case _:
            return {}


def returned_from(code: CodeType, target: ast.expr) -> _Binding | None:
    """What a function of ours returns a local variable as, if it does."""
    if not isinstance(target, ast.Name):
        return None
    return _returns(code.co_filename).get((code.co_firstlineno, code.co_name, target.id))


@lru_cache(maxsize=256)
def _returns(file: str) -> dict[tuple[int, str, str], _Binding]:
    """The local variables that the functions of a file return: first line, function, variable."""
    found: dict[tuple[int, str, str], _Binding] = {}
    for tree in _parsed(file):
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
        for function in functions:
            first = min(node.lineno for node in (function, *function.decorator_list))
            for name, binding in _returned_by(function):
                found.setdefault((first, function.name, name), binding)
    return found


def _returned_by(function: ast.FunctionDef) -> Iterator[tuple[str, _Binding]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            for part, binding in _parts_of(node.value, None):
                if isinstance(part, ast.Name):
                    yield part.id, binding


def _best(targets: list[ast.expr]) -> ast.expr:
    """Of `past[t] = h = …` the variable, h."""
    return next((one for one in targets if isinstance(one, ast.Name)), targets[0])


def _parts(value: ast.expr, target: ast.expr | None) -> dict[Position, _Binding]:
    """Where the expressions stand whose values are the bound one."""
    return {span_of(part): binding for part, binding in _parts_of(value, target)}


def _parts_of(
    value: ast.expr, target: ast.expr | None, path: tuple[int, ...] = ()
) -> Iterator[tuple[ast.expr, _Binding]]:
    """The expressions whose values are the bound one: branches of a choice, elements of a tuple.

    Or of a list, `codes = [f(x) for x in xs]`, as by `codes.append(f(x))`, or `tuple(f(x) for …)`;
    or of a dict or an object, `State(h=f(x))`, where each has a name of its own.
    """
    match value:
        case ast.IfExp(body=body, orelse=other):
            yield from _parts_of(body, target, path)
            yield from _parts_of(other, target, path)
        case ast.Tuple(elts=[element]):
            yield from _parts_of(element, target, (*path, _ALONE))
        case ast.Tuple(elts=elements):
            for i, element in enumerate(elements):
                yield from _parts_of(element, target, (*path, i))
        case _ if (element := _each_in(value)) is not None:
            yield value, _Binding(target, path)  # the frame around that of the comprehension
            # Which list of lists it is in, nobody has counted.
            if _each_in(element) is None or isinstance(target, ast.Name):
                yield from _parts_of(element, target, path)
        case ast.Call(func=ast.Name(id=function), args=[state]) if function == _STATE_OF:
            yield state, _Binding(target, path, is_state=True)
            yield value, _Binding(target, path)
        case _:
            yield value, _Binding(target, path)
            for key, element in _held_in(value):
                yield from _parts_of(element, ast.Name(key))


def _each_in(value: ast.expr) -> ast.expr | None:
    """The expression that makes each element, if that is how a list or a tuple is made."""
    match value:
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            return element
        case ast.Call(func=ast.Name(id="tuple" | "list"), args=[elements]):
            return _each_in(elements)
        case _:
            return None


def _held_in(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What a dict or an object that is made there holds, under its names: `State(h=f(x))`.

    Or a copy of one: `state._replace(h=f(x))`.
    """
    match value:
        case ast.Dict(keys=keys, values=elements):
            for key, element in zip(keys, elements, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, element
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=keywords) if (
            name[:1].isupper() or name in _HOLDING
        ):
            yield from ((one.arg, one.value) for one in keywords if one.arg is not None)
        case _:
            pass


def span_of(node: ast.expr | ast.stmt) -> Position:
    """Where an expression or a statement stands in its file."""
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)


def starred(target: ast.expr, path: tuple[int, ...]) -> tuple[ast.expr, tuple[int, ...]]:
    """The variable that takes all that is left, and which part of it: of `key, *rest` the rest."""
    if not path or not isinstance(target, ast.Tuple | ast.List):
        return target, path
    last, before = target.elts[-1], len(target.elts) - 1
    if not isinstance(last, ast.Starred) or path[0] < before:
        return target, path
    return last.value, (path[0] - before, *path[1:])


def target_name(target: ast.expr, path: tuple[int, ...]) -> str | None:
    """What the part of a target at a path is called, if it is a variable or an attribute."""
    for i in path:
        if not isinstance(target, ast.Tuple | ast.List) or i >= len(target.elts):
            return None
        if any(isinstance(one, ast.Starred) for one in target.elts[: i + 1]):
            return None  # of `*rest, last` nobody knows which is the last
        target = target.elts[i]
    match target:
        case (
            ast.Name(id=name)
            | ast.Attribute(attr=name)
            | ast.Subscript(slice=ast.Constant(value=str() as name))
        ):
            return name if name.isidentifier() and not name.startswith("_") else None
        case ast.Subscript(value=whole):
            return target_name(whole, ())
        case _:
            return None
