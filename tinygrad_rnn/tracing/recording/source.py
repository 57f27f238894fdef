"""Where in the user's code something happened, and what that code calls it."""

import ast
import dis
import linecache
import re
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain, islice, pairwise
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, TypeGuard, cast
from weakref import ref

import numpy as np

from ...autograd.origin import Origin
from ...autograd.state import Scope
from ...autograd.tensor import Array, Tensor
from ...nn.module import Module
from .spelling import spelled

_PACKAGE = __name__.partition(".")[0]
_FOLDER = sys.modules[_PACKAGE].__path__[0]
_MACHINERY = (f"{_PACKAGE}.autograd", f"{_PACKAGE}.onnx", f"{_PACKAGE}.tracing", "numpy")
_COMMANDS = f"{_PACKAGE}.cli"
_MACHINE, _OURS, _USERS, _COMMAND_LINE = range(4)  # whose code it is, see `_owner`
# A helper function's result is named where the helper was called, or a few calls further out.
_CALLERS_KEPT = 4
# A line that unpacks more values than that at once names none of the others.
_PARTS_MOST = 16

_MISSED_MOST = 3  # so often a place is searched for the name of an array, and none is found
_HELD_MOST = 1000  # how long a list may be that is looked through for a parameter

Frames = tuple[tuple[CodeType, int], ...]
# Calls, the outermost last: an instruction of a code, and what is inside; or a number and that.
_Key = tuple[Any, ...] | None
Position = tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a function the program stood, when it called what came to make an op.

    Args:
        function: which function; equal for the same one.
        at: how far in it: the number of the instruction.
        loops: the line and column of each loop around that, in this function; the outermost first.
    """

    function: Hashable
    at: int
    loops: tuple[tuple[int, int], ...] = ()

    def is_with(self, other: "Place") -> bool:
        """Whether both are in one function."""
        # it takes long to compare code with itself
        return self.function is other.function or self.function == other.function


def plain_places(places: Iterable[Place], functions: dict[Hashable, int]) -> list[Any]:
    """Places as a file can hold them: functions by their numbers in `functions`, which grow."""
    return [
        [functions.setdefault(one.function, len(functions)), one.at, list(map(list, one.loops))]
        for one in places
    ]


def places_of(plain: Any) -> tuple[Place, ...]:
    """Places as a file holds them.

    Raises:
        TypeError, ValueError: they are none.
    """
    found: list[Place] = []
    for function, at, loops in plain:
        around = [(line, column) for line, column in loops]
        if any(type(number) is not int for number in (function, at, *chain.from_iterable(around))):
            raise TypeError(f"no place in a program: {function!r:.20}, {at!r:.20}")
        found.append(Place(function, at, tuple(around)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Known:
    """What a saved recording knows of a source: the code itself is not in the file."""

    variable: str | None
    is_inside_package: bool
    lines: list[str]
    places: tuple[Place, ...] = ()
    part_of: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Elsewhere:
    """What a function stands for whose code has this as its last constant: another program's line.

    Args:
        variable: what that line calls the value; a list for the parts of a tuple.
        is_inside_package: whether it is a line of this package, and not the program's own.
        places: where the calls stood that led there.
    """

    variable: Any
    is_inside_package: bool
    places: tuple[Place, ...] = ()

    def part(self, path: Sequence[int]) -> str | None:
        """What the line calls a part of the value."""
        found = self.variable
        for i in path:
            if not isinstance(found, list) or i >= len(cast("list[Any]", found)):
                return None
            found = cast("list[Any]", found)[i]
        return found if isinstance(found, str) else None


def _elsewhere(code: CodeType) -> Elsewhere | None:
    last = code.co_consts[-1] if code.co_consts else None
    return last if isinstance(last, Elsewhere) else None


@dataclass(frozen=True)
class Source:
    """A line of the user's code, and the calls that led from it to the op: the innermost first."""

    file: str
    line: int
    frames: Frames = field(default=(), repr=False, compare=False)
    # Which of the values it is that its line made one after the other: for `i, f = split(z)`.
    part: int = field(default=0, repr=False, compare=False)
    known: Known | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of_caller(cls) -> "Source":
        """The innermost line outside this package.

        Of a command that runs no script it is the package's own.
        """
        return Sources().around(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]

    @property
    def is_inside_package(self) -> bool:
        """Whether a line of this package called the op, and not the user's own."""
        if self.known is not None:
            return self.known.is_inside_package
        stands_for = _elsewhere(self.frames[0][0]) if self.frames else None
        if stands_for is not None:
            return stands_for.is_inside_package
        return bool(self.frames) and self.frames[0][0].co_filename.startswith(_FOLDER)

    def is_of(self, places: tuple[str, ...]) -> bool:
        """Whether the innermost call, our own included, stands in one of these files or folders."""
        return bool(self.frames) and self.frames[0][0].co_filename.startswith(places)

    @property
    def lines(self) -> list[str]:
        """The lines of the file; none when it is gone."""
        return self.known.lines if self.known is not None else linecache.getlines(self.file)

    @property
    def text(self) -> str:
        """The line itself, stripped; "" when the file is gone."""
        lines = self.lines
        return lines[self.line - 1].strip() if 0 < self.line <= len(lines) else ""

    @cached_property
    def variable(self) -> str | None:
        """What its line calls the value: "h" for `h = tanh(z)`, nothing for the z + b inside."""
        if self.known is not None:
            return self.known.variable
        path: tuple[int, ...] = ()
        own: str | None = None  # what our code calls it; what the program does comes first
        is_named = False
        for code, instruction in self.frames:
            stands_for = _elsewhere(code)
            if stands_for is not None:
                return stands_for.part(path) or own
            binding = _bindings(code.co_filename).get(_position(code, instruction))
            if binding is None:
                return own
            path = binding.within(path)
            if binding.target is None:
                continue
            is_ours = code.co_filename.startswith(_FOLDER)
            if not is_ours or not is_named:
                name = _target_name(binding.target, self._part_of(binding.target, path))
                if not is_ours:
                    return name or own
                own, is_named = name, True
            returned = _returned_from(code, binding.target)
            if returned is None:
                return own
            path = returned.within(path)
        return own

    @cached_property
    def part_of(self) -> tuple[int, ...]:
        """Which part the value is of what functions return or a line binds; () of no such part.

        It is that of the outermost call: (1,) of the c of `h, c = step(x, h, c)`.
        """
        if self.known is not None:
            return self.known.part_of
        path: tuple[int, ...] = ()
        for code, instruction in self.frames:
            binding = _bindings(code.co_filename).get(_position(code, instruction))
            if binding is None:
                return path
            path = binding.within(path)
            if binding.target is not None:
                returned = _returned_from(code, binding.target)
                if returned is None:
                    return path
                path = returned.within(path)
        return path

    def _part_of(self, target: ast.expr, path: tuple[int, ...]) -> tuple[int, ...]:
        """Which part of a target it is: the line that unpacks may have made the parts itself."""
        if not path and isinstance(target, ast.Tuple | ast.List):
            return (self.part,)
        return path

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where each of the calls stands that led to the op, the outermost first."""
        if self.known is not None:
            return self.known.places
        stands_for = _elsewhere(self.frames[0][0]) if self.frames else None
        if stands_for is not None:
            return stands_for.places
        return tuple(_place(code, instruction) for code, instruction in reversed(self.frames))

    def calls(self) -> list[tuple[str, int, str]]:
        """File, line and function of each call, the innermost first; none in a loaded run."""
        found: list[tuple[str, int, str]] = []
        for code, instruction in self.frames:
            line = _position(code, instruction)[0] or code.co_firstlineno
            found.append((code.co_filename, line, code.co_qualname))
        return found

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Sources:
    """The sources of one recording, each made once: a loop meets the same line again and again.

    The calls that lead to an op are taken down while they last, and looked up later.

    Attributes:
        before: the place that was looked up last, and which of its values that was.
    """

    def __init__(self) -> None:
        # The calls by their key -> the place; several keys may mean one place.
        self._places: dict[_Key, _Place] = {}
        self.before: tuple[_Place | None, int] = None, 0
        # What led to calls of modules, by their numbers; and those that were met.
        self._around: list[list[Any]] = []
        self._numbers: dict[_Key, int] = {}
        self._met: dict[tuple[Scope, int, int], int] = {}

    def walk(
        self, innermost: FrameType, left: int, scope: Scope | None, note: Callable[[Any], None]
    ) -> None:
        """Take down the calls from a frame out to the user's code and a little further.

        Args:
            innermost: the frame.
            left: how many frames beyond the user's own are still to be noted; -1: we are not there
                yet.
            scope: the call of a module that it is in.
            note: is given them: each code and its instruction, `_OWN` before the user's own; and at
                last what is around them: the number of a call of a module, or the outermost call
                where none is the user's, or None.
        """
        frame: FrameType | None = innermost
        while frame is not None and left:
            code = frame.f_code
            if code is _MODULE_CALL and scope is not None and frame is not innermost:
                note(self._number_of(frame, left, scope))
                return
            owner = _owners.get(code.co_filename)
            if owner is None:
                owner = _owner_of(frame)
            if owner != _MACHINE:
                if owner == _COMMAND_LINE:
                    break
                if left > 0:
                    left -= 1
                elif owner == _USERS:
                    note(_OWN)
                    left = _CALLERS_KEPT
                note(code)
                note(frame.f_lasti)
            frame = frame.f_back
        note(_outermost(innermost) if left < 0 else None)

    def _number_of(self, call: FrameType, left: int, scope: Scope) -> int:
        """A number for a call of a module and all that is around it, of which `left` are kept.

        Nothing around a call goes on before it returns, and a later call at the same address is in
        another scope: so in one scope each call is walked from once.
        """
        met = scope, id(call), left
        number = self._met.get(met)
        if number is None:
            calls: list[Any] = []
            self.walk(call, left, scope.parent, calls.append)
            key = _key_of(calls, 0)
            number = self._numbers.get(key)
            if number is None:
                number = len(self._around)
                self._around.append(calls)
                self._numbers[key] = number  # once it stands for calls, should Ctrl-C come between
            self._met[met] = number
        return number

    def around(self, innermost: FrameType) -> Source:
        """The source of the calls that led to a frame, looked up at once."""
        calls: list[Any] = []
        self.walk(innermost, -1, None, calls.append)
        return self._noted(calls, 0)

    def at(self, calls: list[Any], position: int) -> Source:
        """The source that was taken down at a position of `calls`."""
        key = _key_of(calls, position)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._met_anew(self._noted(calls, position).frames)
        before, part = self.before
        part = part + 1 if place is before and place.counts else 0
        self.before = place, part
        part = part if part < _PARTS_MOST else 0
        found = place.sources.get(part)
        if found is None:
            found = replace(self._noted(calls, position), part=part)
            place.sources[part] = found
        return found

    def _noted(self, calls: list[Any], position: int) -> Source:
        """The source that was taken down at a position."""
        frames: list[tuple[CodeType, int]] = []
        own: tuple[CodeType, int] | None = None
        is_own = False
        while True:
            match calls[position]:
                case CodeType() as code:
                    instruction = calls[position + 1]
                    frames.append((code, _start(code, instruction)))
                    if is_own:
                        own, is_own = (code, instruction), False
                    position += 2
                case str():
                    is_own = True
                    position += 1
                case int() as number:
                    calls, position = self._around[number], 0
                case outermost:
                    code, instruction = own or outermost
                    return Source(code.co_filename, _line(code, instruction), tuple(frames))

    def _met_anew(self, frames: Frames) -> "_Place":
        """The place of calls that were not met before, or not by the same numbers."""
        known: _Key = None
        for code, start in frames:
            known = known, id(code), start
        place = self._places.get(known)
        if place is None:
            is_elsewhere = bool(frames) and _elsewhere(frames[0][0]) is not None
            place = self._places[known] = _Place(not is_elsewhere)
        return place


_OWN = "the user's own call follows"


def _key_of(calls: list[Any], position: int) -> _Key:
    """What tells the calls apart that were noted at a position."""
    key: _Key = None
    while True:
        noted = calls[position]
        if type(noted) is CodeType:
            key = key, id(noted), calls[position + 1]
            position += 2
        elif noted is _OWN:
            position += 1
        else:
            return key, noted


def _outermost(innermost: FrameType) -> tuple[CodeType, int]:
    """The outermost call that is not of the command line's own."""
    frame = innermost
    while frame.f_back is not None and _owner_of(frame.f_back) != _COMMAND_LINE:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def _line(code: CodeType, instruction: int) -> int:
    """The line that an instruction stands in, as `frame.f_lineno`."""
    lines = (line for first, end, line in code.co_lines() if first <= instruction < end)
    return next(lines, None) or code.co_firstlineno


@dataclass(slots=True, eq=False)
class _Place:
    """A line, and the calls that lead to it.

    Args:
        counts: whether values that it makes one after the other are parts of one.
        sources: of each part.
    """

    counts: bool
    sources: dict[int, Source] = field(default_factory=dict[int, Source])


@lru_cache(maxsize=1024)
def _starts(code: CodeType) -> list[int]:
    """Where each instruction begins; the two that Python 3.11 calls by are one."""
    instructions = list(dis.get_instructions(code))
    halves = {last for first, last in pairwise(instructions) if first.opname == "PRECALL"}
    return [one.offset for one in instructions if one not in halves]


def _start(code: CodeType, instruction: int) -> int:
    """Where an instruction begins: once it has run often Python names it by its end, too.

    Or a call by its first half alone.
    """
    starts = _starts(code)
    return starts[bisect_right(starts, instruction) - 1]


_MODULE_CALL = Module.__call__.__code__


# file -> whose code it is
_owners: dict[str, int] = {}


def _owner_of(frame: FrameType) -> int:
    file, owner = frame.f_code.co_filename, _owner(frame.f_globals.get("__name__", ""))
    if not file.startswith("<"):  # what has no file may be anybody's
        _owners[file] = owner
    return owner


@lru_cache(maxsize=4096)
def _owner(module: str) -> int:
    """Whose code a module is.

    The machine is NumPy, and what runs and records ops. The rest of this package is ours: its
    variables name values too. What called the command line is no code of the user's.
    """
    if module.partition(".")[0] not in (_PACKAGE, "numpy"):
        return _USERS
    if module.startswith(_COMMANDS):
        return _COMMAND_LINE
    return _MACHINE if module.startswith(_MACHINERY) else _OURS


def _user_frames() -> Iterator[FrameType]:
    """The frames outside this package, the innermost first; if there is none, the outermost."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    owner = _owner(frame.f_globals.get("__name__", ""))
    while frame is not None and owner != _COMMAND_LINE:
        outer = frame.f_back
        outside = _COMMAND_LINE if outer is None else _owner(outer.f_globals.get("__name__", ""))
        if owner == _USERS or outside == _COMMAND_LINE:
            yield frame
        frame, owner = outer, outside


def _our_frames() -> Iterator[FrameType]:
    """The innermost frames of this package's layers."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and (owner := _owner(frame.f_globals.get("__name__", ""))) != _USERS:
        if owner == _OURS:
            yield frame
        frame = frame.f_back


def variable_name(value: object) -> str | None:
    """The variable that holds `value` in the innermost frame of the user's code, if any."""
    return _name_in(_variables([next(_user_frames())]), value)


def callers_name(value: object) -> str | None:
    """The variable that holds `value` in the outermost frame of the user's code that has it.

    So a helper that it is given to does not name it. Where a frame has no such variable, a dict or
    an object in it may hold it: then it is the key, or the attribute. A number in a list, "Ws.0",
    is a name only for what has no other.
    """
    seen, passed = set[int](), list[tuple[str, object]]()
    for frame in reversed(list(_user_frames())):
        variables = list(_variables([frame], seen))
        found = _name_in(variables, value) or _name_within(variables, value, _by_name)
        if found is not None:
            return found
        passed += variables
    return _name_within(passed, value, _by_number)


def modules_name(module: object) -> str | None:
    """The same of a module that the program calls; in a list, "cells.0" and not the loop's "cell".

    The variable of a loop is what holds this one of the list alone: in turn it holds all of them.
    """
    seen, variables = set[int](), list[tuple[str, object]]()
    for frame in reversed(list(_user_frames())):
        variables += _variables([frame], seen)
        held = {id(value) for _, value in variables}
        if id(module) in held:
            lists = ((name, value) for name, value in variables if _is_list_of(value, module))
            for name, value in lists:
                if sum(id(one) in held for one in value) == 1 < len(value):
                    return _name_in_sequence(name, value, module)
            break
    return callers_name(module)


def _is_list_of(held: object, value: object) -> TypeGuard[Sequence[object]]:
    is_list = isinstance(held, list | tuple)
    return is_list and any(one is value for one in cast("Sequence[object]", held))


def _name_in(variables: Iterable[tuple[str, object]], value: object) -> str | None:
    return next((name for name, held in variables if held is value), None)


_Within = Callable[[str, Any, object], str | None]  # the name of what a variable holds


def _name_within(
    variables: Iterable[tuple[str, object]],
    value: object,
    within_kind: Callable[[type], _Within | None],
) -> str | None:
    for name, held in variables:
        within = within_kind(type(held))
        found = None if within is None else within(name, held, value)
        if found is not None:
            return found
    return None


def _variables(
    frames: Iterable[FrameType], seen: set[int] | None = None
) -> Iterator[tuple[str, object]]:
    """Local and global variables whose names begin with no underscore.

    A module's are gone through once, however many frames it has: `seen` are those that were.
    A notebook or a test has dozens of frames of few modules around each op. They are listed first:
    another thread, or a signal's handler, may make a variable meanwhile.
    """
    seen = set() if seen is None else seen
    for frame in frames:
        module = frame.f_globals
        found = [] if frame.f_locals is module else list(frame.f_locals.items())
        if id(module) not in seen:
            seen.add(id(module))
            found += list(module.items())
        for name, held in found:
            if name[:1] != "_":
                yield name, held


@lru_cache(maxsize=4096)
def _by_number(kind: type) -> _Within | None:
    """How what a list or tuple holds is named."""
    return _name_in_sequence if issubclass(kind, list | tuple) else None


@lru_cache(maxsize=4096)
def _by_name(kind: type) -> _Within | None:
    """How what a variable of this type holds under a name is found, if it may."""
    if issubclass(kind, dict):
        return _name_in_dict
    if issubclass(kind, list | tuple):
        return None
    # An instance of a class of the user's: not a module, a function or a class.
    has_attributes = kind.__dictoffset__ != 0
    if has_attributes and not issubclass(kind, type | ModuleType | FunctionType):
        return _name_in_object
    return None


def _name_in_dict(name: str, held: dict[Any, Any], value: object) -> str | None:
    if len(held) > _HELD_MOST:
        return None
    pairs = held.items()
    return next((key for key, one in pairs if one is value and isinstance(key, str)), None)


def _name_in_sequence(name: str, held: Sequence[Any], value: object) -> str | None:
    if len(held) > _HELD_MOST:
        return None
    return next((f"{name}.{i}" for i, one in enumerate(held) if one is value), None)


def _name_in_object(name: str, held: Any, value: object) -> str | None:
    attributes: dict[str, Any] = getattr(held, "__dict__", {})
    return next((key for key, one in attributes.items() if one is value), None)


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
        users = list(islice(_user_frames(), _CALLERS_KEPT))
        ours = list(_our_frames())
        near = [*users[:1], *ours[:1]]
        place = tuple((frame.f_code, frame.f_lasti) for frame in near)
        frames = users[::-1]
        for code, name in self._known[place]:
            for frame in (*frames, *ours):
                if frame.f_code is code and _is_of(origin, _variable(frame, name)):
                    return name
        if self._missed[place] >= _MISSED_MOST:
            return None
        found = self._held(frames, origin, place)
        found = found or _name_as_attribute(frames, origin) or _name_as_view(frames, origin)
        if found is None and not ours:
            found = _name_in_expression(users[0], makers=makers)
        elif found is None:
            called = next((one for one in reversed(ours) if not _is_module_call(one)), ours[-1])
            which = _parameter(called, origin, array)
            if which is not None and users:
                found = _name_of_argument(users[0], *which, makers=makers)
            else:
                found = self._held(ours, origin, place)
        self._missed[place] += found is None
        return found

    def _held(self, frames: Iterable[FrameType], origin: Origin, place: Frames) -> str | None:
        for frame in frames:
            for name, held in _variables([frame]):
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
        frames = list(islice(_user_frames(), _CALLERS_KEPT))
        found = [x for x in _names_in(frames[0]) if _is_of(origin, _variable(frames[0], x))]
        if len(found) != 1:
            return name
        (said,) = found
        for frame, caller in pairwise(frames):
            argument = _argument_named(frame, caller, said)
            held = _variable(caller, argument.id) if isinstance(argument, ast.Name) else None
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


def _is_module_call(frame: FrameType) -> bool:
    return frame.f_code is _MODULE_CALL


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
    arrays = {name for name in names if isinstance(_variable(frame, stem_of(name)), np.ndarray)}
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
    return any(isinstance(_variable(frame, name), Tensor | Module) for name in names)


def _element_name(frame: FrameType, said: ast.expr) -> str | None:
    """The name of a variable, or of one of its elements, with the number: "words[3]"."""
    name = _target_name(said, ())
    if name is None or not isinstance(said, ast.Subscript):
        return name
    if isinstance(said.value, ast.Subscript):
        return name
    if isinstance(said.slice, ast.Tuple) and _is_fixed(said.slice):
        return f"{name}{_SPELLED}{name}[{ast.unparse(said.slice).strip('()')}]"
    index = _index_said(frame, said.slice, _variable(frame, name))
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
            held = _variable(frame, name)
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
            name = _target_name(function, ()) or ""
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
    return _expressions(code.co_filename).get(_position(code, frame.f_lasti))


@lru_cache(maxsize=256)
def _expressions(file: str) -> dict[Position, ast.expr]:
    """The calls in a file, what adds and multiplies, and what is indexed, by where they stand."""
    found: dict[Position, ast.expr] = {}
    for tree in _parsed(file):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call | ast.BinOp | ast.Subscript):
                found[_span(node)] = node
    return found


def _name_as_attribute(frames: Iterable[FrameType], origin: Origin) -> str | None:
    """What the objects have that local variables hold: `self` above all."""
    for frame in frames:
        for held in frame.f_locals.values():
            if _by_name(cast(Any, type(held))) is _name_in_object:
                attributes: dict[str, Any] = getattr(held, "__dict__", {})
                for name, value in attributes.items():
                    if _is_of(origin, value):
                        return name
    return None


def _name_as_view(frames: Iterable[FrameType], origin: Origin) -> str | None:
    """Of what is no variable, but a view of one: its transpose, its real part, or a row of it."""
    for name, held in _variables(frames):
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


def _variable(frame: FrameType, name: str) -> Any:
    return frame.f_locals.get(name, frame.f_globals.get(name))


def forget_files() -> None:
    """Read source files anew: a script of the same name may have been another one before."""
    linecache.checkcache()
    _owners.clear()
    if all(linecache.getlines(file) == lines for file, lines in _read.items()):
        return
    _read.clear()
    _bindings.cache_clear()
    _expressions.cache_clear()
    _scopes_of_loops.cache_clear()
    _returns.cache_clear()
    _place.cache_clear()


# Loops: an op ran again because one of them went round.


@lru_cache(maxsize=65536)
def _place(code: CodeType, instruction: int) -> Place:
    line, _, column, _ = _position(code, instruction)
    if line is None or column is None:
        return Place(code, instruction)
    around = [scope for scope in _scopes_of_loops(code.co_filename) if (line, column) in scope]
    inside = max(around, key=lambda scope: scope.start).loops if around else ()
    loops = (loop.start for loop in inside if (line, column) in loop)
    return Place(code, instruction, tuple(sorted(loops)))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From one position of a file to another: a loop, or a function with the loops in it."""

    start: tuple[int, int]
    end: tuple[int, int]
    loops: "list[_Stretch]" = field(default_factory=lambda: list[_Stretch]())

    @classmethod
    def of(cls, node: ast.AST) -> "_Stretch":
        if isinstance(node, ast.Module):
            return cls((0, 0), (sys.maxsize, 0))
        first, last, start, end = _span(cast(ast.expr, node))
        return cls((first or 0, start or 0), (last or 0, end or 0))

    def __contains__(self, position: tuple[int, int]) -> bool:
        return self.start <= position < self.end


_LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp)
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


# A value is named where a statement binds it: `z = …`, `h, c = …`, `for x in …`; what is returned,
# further out.

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
def _position(code: CodeType, instruction: int) -> Position:
    """Where in its file the expression of an instruction stands."""
    for at, position in enumerate(code.co_positions()):
        if 2 * at == instruction:
            return position
    return (None, None, None, None)


@lru_cache(maxsize=256)
def _bindings(file: str) -> dict[Position, _Binding]:
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
            return _parts(value, _best(targets))
        case ast.NamedExpr(target=target, value=value):
            return _parts(value, target)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return _parts(value, target)
        case ast.Call(func=ast.Attribute(attr="append", value=target), args=[value]):
            return _parts(value, target)
        case ast.For(target=target, iter=value):
            # Python 3.11 places the instruction at the loop, later ones at what it loops over
            return {_span(node): _Binding(target), _span(value): _Binding(target)}
        case ast.AugAssign(target=target):
            return {_span(node): _Binding(target)}
        case ast.Return(value=ast.expr() as value) | ast.Lambda(body=value):
            return _parts(value, None)
        case _:
            return {}


def _returned_from(code: CodeType, target: ast.expr) -> _Binding | None:
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
    return {_span(part): binding for part, binding in _parts_of(value, target)}


def _parts_of(
    value: ast.expr, target: ast.expr | None, path: tuple[int, ...] = ()
) -> Iterator[tuple[ast.expr, _Binding]]:
    """The expressions whose values are the bound one: branches of a choice, elements of a tuple.

    Or of a list, `codes = [f(x) for x in xs]`, as by `codes.append(f(x))`; or of a dict or an
    object, `State(h=f(x))`, where each has a name of its own.
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
        case ast.ListComp(elt=element):
            yield from _parts_of(element, target, path)
        case ast.Call(func=ast.Name(id=function), args=[state]) if function == _STATE_OF:
            yield state, _Binding(target, path, is_state=True)
            yield value, _Binding(target, path)
        case _:
            yield value, _Binding(target, path)
            for key, element in _held_in(value):
                yield from _parts_of(element, ast.Name(key))


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


def _span(node: ast.expr | ast.stmt) -> Position:
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)


def _target_name(target: ast.expr, path: tuple[int, ...]) -> str | None:
    for i in path:
        if not isinstance(target, ast.Tuple | ast.List) or i >= len(target.elts):
            return None
        target = target.elts[i]
    match target:
        case (
            ast.Name(id=name)
            | ast.Attribute(attr=name)
            | ast.Subscript(slice=ast.Constant(value=str() as name))
        ):
            return name if name.isidentifier() and not name.startswith("_") else None
        case ast.Subscript(value=whole):
            return _target_name(whole, ())
        case _:
            return None
