"""By what a file knows an op: this package's by the version of its rule, a program's by its code.

No docstring counts: a recording outlives a sentence that was reworded.
"""

import ast
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from textwrap import dedent
from typing import Any, NoReturn

from ...autograd import ops
from ...autograd.op import PUBLIC, Kind, Op
from ...errors import TinygradError, TraceError, said

_PACKAGE = __name__.partition(".")[0]
# What the op table holds: pure functions of arrays, safe to call on anything.
OWN: dict[str, Op] = {
    made.name: made
    for made in (getattr(getattr(ops, name), "op", None) for name in ops.__all__)
    if isinstance(made, Op)
}
# The version of a rule: raise it when the same operands and options give something else than they
# did, in value or gradient. All others are of version 1.
VERSIONS: dict[str, int] = {}


def is_own(rule: Op | None) -> bool:
    """Whether an op is one of the op table."""
    return rule is not None and OWN.get(rule.name) is rule


def address(rule: Op | None) -> list[Any]:
    """Where an op is defined, and which version of its rule: the row of a file."""
    if rule is None or rule.function is None:
        return [None, None, ""]
    if is_own(rule):
        return [_PACKAGE, rule.name, VERSIONS.get(rule.name, 1)]
    return _address_of(rule.function)


def _address_of(function: Callable[..., Any]) -> list[Any]:
    return [function.__module__, function.__qualname__, _digest(function)]


def _digest(function: Callable[..., Any]) -> str:
    """Names the code of a program's op, VJPs and all, whatever its docstring; "" if it is gone."""
    try:
        source = dedent(inspect.getsource(inspect.unwrap(function)))
    except (OSError, TypeError):
        return ""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda: a part of its line
        return _short(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
    return _short(ast.unparse(tree))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


Defined = dict[tuple[Any, Any], list[tuple[Any, Op]]]


def defined() -> Defined:
    """What the program defined as ops by now, functions with ops, by module and name."""
    ops: Defined = {}
    for public in list(PUBLIC.values()):
        made = getattr(public, "op", None)
        if isinstance(made, Op) and not is_own(made):
            ops.setdefault((public.__module__, public.__qualname__), []).append((public, made))
    return ops


def found(name: str, module: Any, qualname: Any, version: Any, ops: Defined) -> Op:
    """An op of this process by its row; else one that says why it cannot be computed."""
    if module == _PACKAGE:
        return _own(name, qualname, version)
    for public, made in ops.get((str(module), str(qualname)), ()):
        if version and _digest(public) not in ("", version):
            return MissingOp(name, f"the rule of {name!r} is not the one it was recorded with")
        vjps = tuple(rule and _guarded(name, rule) for rule in made.vjps)
        return replace(made, forward=_guarded(name, made.forward), vjps=vjps)
    return MissingOp(
        name,
        f"the op {name!r} is not here, and a recording holds no code: "
        "import or define it, then load the recording",
    )


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A program's function, called with what a file says: whatever it raises is the file's."""

    @wraps(function)
    def call(*operands: Any, **options: Any) -> Any:
        try:
            return function(*operands, **options)
        except TinygradError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {said(error)}"
            raise TraceError(f"{name} cannot be run again on what was recorded: {why}") from error

    return call


def _own(name: str, qualname: Any, version: Any) -> Op:
    made = OWN.get(name)
    if qualname != name or made is None:
        raise ValueError(f"there is no op {qualname!r:.40} of the name {name!r:.40}")
    here = VERSIONS.get(name, 1)
    if version == here and type(version) is int:
        return made
    return MissingOp(name, f"the rule of {name!r} is version {here} here, {version!r:.20} there")


def format_1(name: str, module: Any, qualname: Any, prose: Any) -> list[Any]:
    """The row of a file of format 1, which knew ops by their docstrings, as one of today."""
    if str(module).startswith(f"{_PACKAGE}.autograd.ops"):
        return [name, _PACKAGE, name, 1]
    return [name, module, qualname, ""]


class MissingOp(Op):
    """An op that is not here as it was: whoever wants to compute with it is told so.

    It is taken to be of the kind of the op that has its name here.
    """

    def __init__(self, name: str, reason: str) -> None:
        kind: Kind = OWN[name].kind if name in OWN else "other"
        super().__init__(name, self._refuse, (), kind=kind)
        object.__setattr__(self, "reason", reason)

    def differentiable(self, slot: int) -> bool:
        return True

    def vjp(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TraceError(getattr(self, "reason", self.name))
