"""What the program calls an array that it hands to an op."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from itertools import islice, pairwise
from types import CodeType, FrameType
from typing import Any, cast
from weakref import ref

import numpy as np

from ...autograd.origin import Origin
from ...autograd.tensor import Array, Tensor
from ...nn.module import Module
from .frames import CALLERS_KEPT, Frames, is_module_call, our_frames, user_frames
from .lines import expressions_in, position_of, target_name
from .spelling import spelled
from .variables import by_name, name_in_object, value_of, variables_of

_MISSED_MOST = 3  # so often a place is searched for the name of an array, and none is found


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """In place of the array that a tensor was made from: what another program called that."""

    name: str


class ArrayNames:
    """What the program calls the arrays that ops are given.

    A loop gives the same variable at the same place again and again: it is tried first, and a place
    where nothing was found a few times is not searched any more.
    """

    def __init__(self) -> None:
        self._known: defaultdict[Frames, dict[tuple[CodeType, str], None]] = defaultdict(dict)
        self._missed: Counter[Frames] = Counter()
        self._found: set[tuple[CodeType, str]] = set()  # the functions, and their variables

    def of(self, origin: Origin, array: Array) -> str | None:
        """The variable that holds an array, or the attribute: "F", "slower", "F.T" for F.T.

        Of the user's innermost frames the outermost one that has it, so that a helper does not name
        it; else what the user's call of our code says there: "words[3]" for `embedding(words[t])`;
        else what a layer of ours calls an array of its own. What nobody holds is called as the
        function that made it; but no fraction is, of which a formula prints the number.
        """
        owner: Any = origin.owner
        if isinstance(owner, Called):
            return owner.name
        if isinstance(owner, ref) and owner() is None:
            return None
        makers = bool(array.shape) or array.dtype.kind != "f"
        users = list(islice(user_frames(), CALLERS_KEPT))
        ours = list(our_frames())
        near = [*users[:1], *ours[:1]]
        place = tuple((frame.f_code, frame.f_lasti) for frame in near)
        frames = users[::-1]
        for code, name in self._known[place]:
            for frame in (*frames, *ours):
                if frame.f_code is code and _is_of(origin, value_of(frame, name)):
                    return name
        if self._missed[place] >= _MISSED_MOST:
            return None
        found = self._held(frames, origin, place)
        found = found or _name_as_attribute(frames, origin) or _name_as_view(frames, origin)
        if found is None and not ours:
            found = _name_in_expression(users[0], makers=makers)
        elif found is None:
            called = next((one for one in reversed(ours) if not is_module_call(one)), ours[-1])
            which = _parameter(called, origin, array)
            if which is not None and users:
                found = _name_of_argument(users[0], *which, makers=makers)
            else:
                found = self._held(ours, origin, place)
        self._missed[place] += found is None
        return found

    def _held(self, frames: Iterable[FrameType], origin: Origin, place: Frames) -> str | None:
        for frame in frames:
            for name, held in variables_of([frame]):
                if _is_of(origin, held):
                    self._known[place][frame.f_code, name] = None
                    self._found.add((frame.f_code, name))
                    return name
        return None

    def said(self, origin: Origin, name: str) -> str:
        """Of several variables of a function that hold an array the one that the program reads.

        The program says it in the line of the op; of an argument in the line of the call, and so
        on, further out.

        Args:
            origin: the array.
            name: a variable that holds it, or held it when it was read first.
        """
        frames = list(islice(user_frames(), CALLERS_KEPT))
        found = [x for x in _names_in(frames[0]) if _is_of(origin, value_of(frames[0], x))]
        if len(found) != 1:
            return name
        (said,) = found
        for frame, caller in pairwise(frames):
            argument = _argument_named(frame, caller, said)
            held = value_of(caller, argument.id) if isinstance(argument, ast.Name) else None
            if not isinstance(argument, ast.Name) or not _is_of(origin, held):
                return said if (frame.f_code, name) in self._found else name
            said = argument.id
        return said if (frames[-1].f_code, name) in self._found else name


def _names_in(frame: FrameType) -> dict[str, None]:
    """The variables in the expression that a frame is in."""
    expression = _expression(frame)
    inside = () if expression is None else ast.walk(expression)
    return dict.fromkeys(x.id for x in inside if isinstance(x, ast.Name))


def _argument_named(frame: FrameType, caller: FrameType, name: str) -> ast.expr | None:
    """What the call that a frame is in says for one of its arguments."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    if name not in names:
        return None
    return _argument(caller, names.index(name) - (names[0] == "self"), name)


def _parameter(frame: FrameType, origin: Origin, array: Array) -> tuple[int, str] | None:
    """Which argument of a function an array was: its place, without `self`, and its name.

    Or it is by now the tensor that was made of it; or a whole number, as one that says which row
    is looked up.
    """
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for place, name in enumerate(names):
        held = frame.f_locals.get(name)
        made = isinstance(held, Tensor) and getattr(held, "origin", None) is origin
        if (
            made
            or _is_of(origin, held)
            or (type(held) is int and not array.shape and held == array)
        ):
            return place - (names[0] == "self"), name
    return None


def _name_of_argument(frame: FrameType, place: int, name: str, *, makers: bool) -> str | None:
    """What the call that a frame is in says for an argument: "words[3]" for `words[t]`."""
    said = _argument(frame, place, name)
    if said is None:
        return None
    return _element_name(frame, said) or (_maker_name(frame, said) if makers else None)


def _argument(frame: FrameType, place: int, name: str) -> ast.expr | None:
    """The expression that the call that a frame is in gives for an argument."""
    call = _expression(frame)
    if not isinstance(call, ast.Call):
        return None
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    return call.args[place] if place < len(call.args) else given.get(name)


def _name_in_expression(frame: FrameType, *, makers: bool) -> str | None:
    """What an operand is that no variable holds, where there is only one such.

    It is an element of an array, `c` in `c[t] - y`, or `c` in `E[c[t]]`, or what something else
    makes.
    """
    match _expression(frame):
        case ast.BinOp(left=left, right=right):
            operands = [left, right]
        case ast.Call(args=operands):
            pass
        case ast.Subscript(slice=index):  # the rows of a table: `E[tokens[:, t]]`
            operands = [index]
        case _:
            return None
    elements = [x for x in operands if isinstance(x, ast.Subscript)]
    names = {_element_name(frame, x) or "" for x in elements}
    arrays = {name for name in names if isinstance(value_of(frame, stem_of(name)), np.ndarray)}
    if len(arrays) == 1:
        return arrays.pop()
    made = [x for x in operands if isinstance(x, ast.Call | ast.BinOp)]
    if len(made) > 1 or any(isinstance(x, ast.Attribute) for x in operands):
        made = [x for x in made if not _has_tensors(frame, x)]
    is_one = makers and len(made) == 1 and not elements
    return _maker_name(frame, made[0]) if is_one else None


def _has_tensors(frame: FrameType, expression: ast.expr) -> bool:
    """Whether a variable in an expression is a tensor, or a module."""
    names = (x.id for x in ast.walk(expression) if isinstance(x, ast.Name))
    return any(isinstance(value_of(frame, name), Tensor | Module) for name in names)


def _element_name(frame: FrameType, said: ast.expr) -> str | None:
    """The name of a variable, or of one of its elements, with the number: "words[3]"."""
    name = target_name(said, ())
    if name is None or not isinstance(said, ast.Subscript):
        return name
    if isinstance(said.value, ast.Subscript):
        return name
    if isinstance(said.slice, ast.Tuple) and _is_fixed(said.slice):
        return f"{name}{_SPELLED}{name}[{ast.unparse(said.slice).strip('()')}]"
    index = _index_said(frame, said.slice, value_of(frame, name))
    return name if index is None else f"{name}[{index}]"


def _is_fixed(index: ast.Tuple) -> bool:
    """Whether an index of several axes is the same wherever the line runs."""
    parts = (ast.Tuple, ast.Slice, ast.Constant, ast.UnaryOp, ast.USub, ast.Load)
    return all(isinstance(part, parts) for part in ast.walk(index))


def _index_said(frame: FrameType, said: ast.expr, whole: Any) -> str | None:
    """An index as numbers, from the front: "3" for `t + 1` where t is 2."""
    if isinstance(said, ast.Slice):
        ends = [None if x is None else _number(frame, x) for x in (said.lower, said.upper)]
        step = None if said.step is None else _number(frame, said.step)
        written = ":".join("" if end is None else str(end) for end in ends)
        return written if step is None else f"{written}:{step}"
    number = _number(frame, said)
    if number is not None and number < 0 and isinstance(whole, Sized):
        number += len(whole)
    return None if number is None or number < 0 else str(number)


def _number(frame: FrameType, said: ast.expr) -> int | None:
    """What a sum or a difference of whole numbers is; None of anything else."""
    match said:
        case ast.Constant(value=int() as number) if type(number) is int:
            return number
        case ast.Name(id=name):
            held = value_of(frame, name)
            return int(cast(Any, held)) if isinstance(held, int | np.integer) else None
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _number(frame, operand)
            return None if number is None else -number
        case ast.BinOp(op=ast.Add() | ast.Sub() as op, left=left, right=right):
            first, second = _number(frame, left), _number(frame, right)
            if first is None or second is None:
                return None
            return first + second if isinstance(op, ast.Add) else first - second
        case _:
            return None


# What makes an array of nothing says nothing of what it is for.
_MAKERS = {
    "zeros", "ones", "full", "empty", "eye", "identity", "array", "asarray", "arange", "linspace",
    "random", "standard_normal", "normal", "uniform", "integers", "choice", "permutation", "rand",
    "randn", "randint", "binomial",
}  # fmt: skip
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.MatMult: "matmul",
    ast.Pow: "pow",
}  # fmt: skip
_SPELLED = " ≔ "  # between what made an array and the expression: "matmul ≔ W_in u"


def _maker_name(frame: FrameType, said: ast.expr) -> str | None:
    """What made an operand: the function, "floor ≔ floor(x)"; or the sign of a formula.

    It is the name of a formula only where the program calls something x, which it would be called
    otherwise.
    """
    match said:
        case ast.Call(func=function):
            name = target_name(function, ()) or ""
            if not name or name.removesuffix("_like") in _MAKERS:
                return None
        case ast.BinOp(op=op):
            is_x = "x" in frame.f_code.co_varnames
            name = _SIGNS.get(type(op), "") if is_x else ""
        case _:
            return None
    text = spelled(said)
    return f"{name}{_SPELLED}{text}" if text else name or None


# A number of more digits, which only a file can hold, is no index.
_NUMBER = r"-?[0-9]{1,9}"
_PART = re.compile(rf"(.+)\[({_NUMBER}|(?:{_NUMBER})?:(?:{_NUMBER})?(?::{_NUMBER})?)\]", re.DOTALL)


def spelled_in(name: str) -> str:
    """The expression that a name tells of: "W_in u" of "matmul ≔ W_in u"."""
    return name.partition(_SPELLED)[2]


def stem_of(name: str) -> str:
    """The array that a part is of, or what made it.

    >>> stem_of("words[3]"), stem_of("target[1:]"), stem_of("words"), stem_of("round ≔ round(z)")
    ('words', 'target', 'words', 'round')
    """
    name = name.partition(_SPELLED)[0]
    part = _PART.fullmatch(name)
    return name if part is None else part[1]


def index_of(name: str) -> int | slice | None:
    """Which part of an array a name tells of.

    >>> index_of("words[3]"), index_of("target[1:]"), index_of("words")
    (3, slice(1, None, None), None)
    """
    part = None if _SPELLED in name else _PART.fullmatch(name)
    if part is None:
        return None
    ends = [int(end) if end else None for end in part[2].split(":")]
    return ends[0] if len(ends) == 1 else slice(*ends)


def _expression(frame: FrameType) -> ast.expr | None:
    """The expression that a frame is in."""
    code = frame.f_code
    return expressions_in(code.co_filename).get(position_of(code, frame.f_lasti))


def _name_as_attribute(frames: Iterable[FrameType], origin: Origin) -> str | None:
    """What the objects have that local variables hold: `self` above all."""
    for frame in frames:
        for held in frame.f_locals.values():
            if by_name(cast(Any, type(held))) is name_in_object:
                attributes: dict[str, Any] = getattr(held, "__dict__", {})
                for name, value in attributes.items():
                    if _is_of(origin, value):
                        return name
    return None


def _name_as_view(frames: Iterable[FrameType], origin: Origin) -> str | None:
    """Of what is no variable, but a view of one: its transpose, its real part, or a row of it."""
    for name, held in variables_of(frames):
        if not isinstance(held, np.ndarray):
            continue
        whole = cast(Any, held)
        if Origin.of(whole).owner is not origin.owner:
            continue
        for part in ("T", "real", "imag"):
            if _is_of(origin, getattr(whole, part)):
                return f"{name}.{part}"
        if _is_reversed(origin, whole):
            axis = next(i for i, own in enumerate(origin.strides) if own != whole.strides[i])
            return name if axis else f"{name}[::-1]"
        part = _rows_of(origin, whole)
        if part is not None:
            return f"{name}[{part}]"
    return None


def _rows_of(origin: Origin, whole: Any) -> str | None:
    """Which row of `whole` an array is, "3", or which rows, "1:"."""
    is_row = whole.shape[1:] == origin.shape
    skipped = 0 if is_row else 1
    if whole.shape[1:] != origin.shape[skipped:] or whole.strides[1:] != origin.strides[skipped:]:
        return None
    if not whole.ndim or len(origin.shape) not in (whole.ndim, whole.ndim - 1):
        return None
    distance, step = origin.address - whole.__array_interface__["data"][0], whole.strides[0]
    if not step or distance % step or not 0 <= distance // step < len(whole):
        return None
    first = distance // step
    if is_row:
        return str(first)
    left = len(whole) - first - origin.shape[0]
    if origin.strides[0] != step or left < 0:
        return None
    return f"{first or ''}:{-left or ''}"


def _is_reversed(origin: Origin, whole: Any) -> bool:
    """Whether it is all of `whole`, some axes in the other order: `whole[::-1]`."""
    if origin.shape != whole.shape or not origin.address:
        return False
    first = whole.__array_interface__["data"][0]
    for n, own, other in zip(origin.shape, origin.strides, whole.strides, strict=True):
        if abs(own) != abs(other):
            return False
        if own != other:
            first += (n - 1) * other
    return first == origin.address


def _is_of(origin: Origin, held: Any) -> bool:
    """Whether something is the array, or the scalar."""
    if not isinstance(held, np.ndarray):
        return held is origin.owner
    return origin.is_of(cast("Array", held))
