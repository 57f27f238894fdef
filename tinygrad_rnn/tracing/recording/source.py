"""Where in the user's code something happened, and what that code calls it."""

import ast
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType, FrameType
from typing import Any, cast

from ...autograd.state import Scope
from ...cached import cached_property
from .frames import (
    CALLERS_KEPT,
    COMMAND_LINE,
    FOLDER,
    MACHINE,
    MODULE_CALL,
    USERS,
    Frames,
    line_of,
    outermost,
    owner_of,
    owners,
    start_of,
)
from .lines import (
    bindings_in,
    comprehension_around,
    forget_lines,
    place_in,
    position_of,
    returned_from,
    span_of,
    starred,
    target_name,
)
from .place import Place

# A line that makes more values than that, one after the other, tells no more of them apart.
_PARTS_MOST = 16
# The functions that Python makes of comprehensions: each element is made by one run through them.
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
# Calls, the outermost last: an instruction of a code, and what is inside; or a number and that.
_Key = tuple[Any, ...] | None


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
        part_of: which part the value is of what its functions return, or its line binds.
    """

    variable: Any
    is_inside_package: bool
    places: tuple[Place, ...] = ()
    part_of: tuple[int, ...] = ()

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
    # Of what a pass of its line made: which of the gradients, or whether it only led to them.
    gradient: int | None = field(default=None, repr=False, compare=False)
    leads_to_gradients: bool = field(default=False, repr=False, compare=False)
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
        stands_for = self._stands_for
        if stands_for is not None:
            return stands_for.is_inside_package
        return bool(self.frames) and self.frames[0][0].co_filename.startswith(FOLDER)

    @property
    def _stands_for(self) -> Elsewhere | None:
        """The line of another program that its innermost call stands for, if it does."""
        return _elsewhere(self.frames[0][0]) if self.frames else None

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
        if self.leads_to_gradients:
            return None
        path: tuple[int, ...] = ()
        own: str | None = None  # what our code calls it; what the program does comes first
        is_named = False
        for code, instruction in self.frames:
            stands_for = _elsewhere(code)
            if stands_for is not None:
                return stands_for.part(path) or own
            binding = bindings_in(code.co_filename).get(position_of(code, instruction))
            if binding is None:
                return own
            path = binding.within(path)
            if binding.target is None:
                continue
            target, path = starred(binding.target, self._part_of(binding.target, path))
            is_ours = code.co_filename.startswith(FOLDER)
            if not is_ours or not is_named:
                name = target_name(target, path)
                if not is_ours and (name or target is binding.target):
                    return name or own
                own, is_named = name, True
            returned = returned_from(code, target)
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
        stands_for = self._stands_for
        if stands_for is not None:
            return stands_for.part_of
        path: tuple[int, ...] = ()
        for code, instruction in self.frames:
            binding = bindings_in(code.co_filename).get(position_of(code, instruction))
            if binding is None:
                return path
            path = binding.within(path)
            if binding.target is not None:
                returned = returned_from(code, binding.target)
                if returned is None:
                    return path
                path = returned.within(path)
        return path

    def _part_of(self, target: ast.expr, path: tuple[int, ...]) -> tuple[int, ...]:
        """Which part of a target it is: the line that unpacks may have made the parts itself."""
        if path or not isinstance(target, ast.Tuple | ast.List):
            return path
        has_rest = any(isinstance(one, ast.Starred) for one in target.elts)
        part = self.part if has_rest or not target.elts else self.part % len(target.elts)
        return (part if self.gradient is None else self.gradient,)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where each of the calls stands that led to the op, the outermost first."""
        if self.known is not None:
            return self.known.places
        stands_for = self._stands_for
        if stands_for is not None:
            return stands_for.places
        return tuple(place_in(code, instruction) for code, instruction in reversed(self.frames))

    def calls(self) -> list[tuple[str, int, str]]:
        """File, line and function of each call, the innermost first; none in a loaded run."""
        found: list[tuple[str, int, str]] = []
        for code, instruction in self.frames:
            line = position_of(code, instruction)[0] or code.co_firstlineno
            found.append((code.co_filename, line, code.co_qualname))
        return found

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Sources:
    """The sources of one recording, each made once: a loop meets the same line again and again.

    The calls that lead to an op are taken down while they last, and looked up later.

    Attributes:
        before: of each run that was not over at the place that was looked up last, by its number,
            how many values it had made by then.
    """

    def __init__(self) -> None:
        # The calls by their key -> the place; several keys may mean one place.
        self._places: dict[_Key, _Place] = {}
        self.before: Mapping[int, int] = {}
        self._runs: dict[Frames, int] = {}
        # What led to calls of modules, by their numbers; and those that were met.
        self._around: list[list[Any]] = []
        self._numbers: dict[_Key, int] = {}
        self._met: dict[tuple[Scope, int, int], int] = {}
        self._in_passes: dict[tuple[int, int | None], Source] = {}

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
            if code is MODULE_CALL and scope is not None and frame is not innermost:
                note(self._number_of(frame, left, scope))
                return
            owner = owners.get(code.co_filename)
            if owner is None:
                owner = owner_of(frame)
            if owner != MACHINE:
                if owner == COMMAND_LINE:
                    break
                if left > 0:
                    left -= 1
                elif owner == USERS:
                    note(_OWN)
                    left = CALLERS_KEPT
                note(code)
                note(frame.f_lasti)
            frame = frame.f_back
        note(outermost(innermost) if left < 0 else None)

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
        part = self._part_at(place)
        found = place.sources.get(part)
        if found is None:
            found = replace(self._noted(calls, position), part=part)
            place.sources[part] = found
        return found

    def _part_at(self, place: "_Place") -> int:
        """Which value of a run it is that is made at a place; such a run begins with the first."""
        going_on = {run: made for run, made in self.before.items() if run in place.within}
        (run, *_) = place.within
        part = going_on.get(run, 0)
        going_on[run] = part + 1
        self.before = going_on
        return part % place.period

    def in_pass(self, source: Source, gradient: int | None) -> Source:
        """The source of what a pass made: of one of its gradients, or of what leads to them."""
        found = self._in_passes.get((id(source), gradient))
        if found is None:
            found = replace(source, gradient=gradient, leads_to_gradients=gradient is None)
            self._in_passes[id(source), gradient] = found
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
                    frames.append((code, start_of(code, instruction)))
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
                    return Source(code.co_filename, line_of(code, instruction), tuple(frames))

    def _met_anew(self, frames: Frames) -> "_Place":
        """The place of calls that were not met before, or not by the same numbers."""
        known: _Key = None
        for code, start in frames:
            known = known, id(code), start
        place = self._places.get(known)
        if place is None:
            runs = [self._runs.setdefault(run, len(self._runs)) for run in _runs_of(frames)]
            place = self._places[known] = _Place(_period_of(frames), runs)
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


@dataclass(slots=True, eq=False)
class _Place:
    """A line, and the calls that lead to it.

    Args:
        period: after how many values it is said to make the first part again.
        within: the runs that go on while it makes one, by their numbers: first that in which its
            values are counted.
        sources: of each part.
    """

    period: int
    within: Sequence[int]
    sources: dict[int, Source] = field(default_factory=dict[int, Source])


def _period_of(frames: Frames) -> int:
    if frames and _elsewhere(frames[0][0]) is not None:
        return 1  # which part it is, the other program's line says
    parts, _ = _unpacked(frames)
    return max(_PARTS_MOST // parts, 1) * parts


def _runs_of(frames: Frames) -> list[Frames]:
    """The call around each comprehension that calls lead through; first where values are counted.

    The elements of a list that is unpacked are counted in one run of it, and not where each is
    made: `a, b = [f(W x) if … else g(x) for …]`. All others are counted where they are made.
    """
    _, bound = _unpacked(frames)
    runs = [_run_around(frames, k) for k in range(len(frames))]
    counted = [run for run in runs[:bound] if run][-1:] or [frames]
    return list(dict.fromkeys([*counted, *filter(None, runs)]))


def _unpacked(frames: Frames) -> tuple[int, int]:
    """Into how many variables a line unpacks what is made there, and by how many of the calls."""
    path: tuple[int, ...] = ()
    for number, (code, instruction) in enumerate(frames, 1):
        binding = bindings_in(code.co_filename).get(position_of(code, instruction))
        if binding is None:
            break
        path = binding.within(path)
        target = binding.target
        if target is None:
            continue
        if isinstance(target, ast.Tuple | ast.List) and target.elts and not path:
            return len(target.elts), number
        returned = returned_from(code, target)
        if returned is None:
            break
        path = returned.within(path)
    return 1, 0


def _run_around(frames: Frames, k: int) -> Frames:
    """The call around the comprehension that call number `k` belongs to; () of none.

    Not those around that one: of a value that is made further inside fewer of them are known.
    """
    code, instruction = frames[k]
    around = frames[k + 1 : k + 2]
    if code.co_name in _COMPREHENSIONS or (around and _is_unpacking(*around[0])):
        return around
    if sys.version_info >= (3, 12):  # a list has no frame of its own
        begin = comprehension_around(code, instruction)
        return () if begin is None else ((code, -begin),)
    return ()


def _is_unpacking(code: CodeType, instruction: int) -> bool:
    """Whether a call is made while its line unpacks what it binds: that of a generator."""
    position = position_of(code, instruction)
    binding = bindings_in(code.co_filename).get(position)
    target = None if binding is None else binding.target
    return isinstance(target, ast.Tuple) and position == span_of(target)


def forget_files() -> None:
    """Read source files anew: a script of the same name may have been another one before."""
    linecache.checkcache()
    owners.clear()
    forget_lines()
