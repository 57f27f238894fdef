"""Breakpoints: the events to stop at.

break := "break" word* ["if" EXPR]
word  := fwd|bwd|acc|upd | nan|inf|nonfinite | once | op=GLOB | in=GLOB | name=GLOB
       | step=N[..M] | t=N[..M] | layer=N | line=[FILE:]N | change=EXPR | hits=N
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

import numpy as np

from ..errors import TinygradError
from ..tracing.questions.queries import Queries
from ..tracing.recording.event import Event
from ..tracing.whatif.compare import delta
from .events import lookup, module_paths, name_written, source_of
from .expressions import MAX_CHARACTERS, CommandError, Expression, is_whole, parse

BREAK_HELP = """\
break fwd|bwd|acc|upd      events of the forward pass, the backward pass, into .grad, of parameters
break nan|inf|nonfinite    the event wrote such a value
break op=GLOB in=GLOB      the op, the module it ran in
break name=GLOB            what it wrote: name=h, name=h@3, name=d.W_*
break step=30 t=2..4 layer=1   training steps, timesteps and layers, from 0
break line=[FILE:]N        the line of your code
break change=E             the value of an expression changed
break differs > 0.01       in a branch: the event wrote something that differs by more from the run's, as ‖Δ‖
break once  hits=N         the first time only, the Nth time only
break … if E               and the expression is true, with out, A, B, G of the event:
                           break bwd op=tanh t=2..4 if norm(G) > 1
expressions                h (at the event's timestep), h@3, h@-1 (the initial state), d.h@3 (gradient), d.W_hh, h@30:3
                           (training step 30), + - * / ** @, comparisons,
                           and or not, X[r,c], X.T .shape .size .ndim; norm absmax mean std sum min max any all
                           abs exp log sqrt tanh sat(X, limit) frac(condition) has_nan has_inf nonfinite"""  # noqa: E501

# Whether an event of a run is one to stop at.
Test = Callable[[Queries, Event], bool]

_KINDS = {
    "fwd": ("forward",),
    "bwd": ("seed", "vjp"),
    "acc": ("accumulate", "zero"),
    "upd": ("update",),
}


@dataclass(slots=True)
class Breakpoint:
    """One breakpoint: all its tests must pass; with `hits=N`, only the Nth such event stops."""

    text: str
    kinds: set[str] = field(default_factory=set[str])
    tests: list[Test] = field(default_factory=list[Test])
    hits: int | None = None
    conditions: list["_Condition"] = field(default_factory=list["_Condition"])
    # Events that were looked at for `hits`, from the start of the run, and those that passed.
    _counted: int = 0
    _passed: list[int] = field(default_factory=list[int])
    # Event -> whether it passes the tests: asked again by the timeline and by every `continue`.
    _known: dict[int, bool] = field(default_factory=dict[int, bool])

    def restart(self) -> None:
        """Forget what was found, since another run of the same events is looked at."""
        self._counted = 0
        self._passed.clear()
        self._known.clear()

    def matches(self, queries: Queries, event: Event) -> bool:
        """Whether it stops at this event."""
        if not self._passes(queries, event):
            return False
        if self.hits is None:
            return True
        for index in range(self._counted, event.index + 1):
            if self._passes(queries, queries.run.events[index]):
                self._passed.append(index)
        self._counted = max(self._counted, event.index + 1)
        return len(self._passed) >= self.hits and self._passed[self.hits - 1] == event.index

    def _passes(self, queries: Queries, event: Event) -> bool:
        if self.kinds and event.kind not in self.kinds:
            return False
        if event.index not in self._known:
            self._known[event.index] = all(test(queries, event) for test in self.tests)
        return self._known[event.index]

    def failure(self) -> TinygradError | None:
        """Why a condition could not be evaluated at any event where it was tried."""
        for condition in self.conditions:
            if condition.error is not None and not condition.was_evaluated:
                return condition.error
        return None


# Reading


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the command line, at which an error can point."""

    text: str
    line: str
    column: int

    def error(self, message: str) -> CommandError:
        return CommandError(message, self.line, self.column)

    def after(self, length: int) -> "_Part":
        return _Part(self.text[length:], self.line, self.column + length)

    def whole(self, at_least: int = 0) -> int:
        """The part as a number."""
        if not is_whole(self.text, at_least):
            raise self.error(f"needs a whole number of at least {at_least}, not {self.text!r}")
        return int(self.text)


def parse_breakpoint(line: str, start: int) -> Breakpoint:
    """Read what follows "break" in a command line, from column `start`.

    Raises:
        CommandError: a word is unknown, or its value is not a number, pattern or expression; says
            where.
    """
    made = Breakpoint(line[start:].strip())
    condition = re.search(r"(?:^|\s)if\s", line[start:] + " ")
    end, asked_last = len(line), list[Test]()
    if condition:
        end, at = start + condition.start(), start + condition.end()
        made.conditions.append(_Condition(parse(line[at:].rstrip(), line, at)))
        asked_last.append(made.conditions[0].holds)
    line, asked = _without_differs(line, start, end)
    asked_last += asked
    at = start
    while (word := re.compile(r"\s*(\S+)").match(line, at, end)) is not None:
        at = word.end()
        if word[1].startswith("change="):
            value = word.start(1) + len("change=")
            at = _end_of_change(line, value, end)
            asked_last.append(_change(parse(line[value:at].rstrip(), line, value)))
        else:
            _add_word(made, _Part(word[1], line, word.start(1)))
    # Tests that compute come after those that only look.
    made.tests += asked_last
    return made


_DIFFERS = re.compile(r"(?<!\S)differs\s*>\s*(\S+)(?=\s|$)")


def _without_differs(line: str, start: int, end: int) -> tuple[str, list[Test]]:
    """The line with blanks in place of "differs > 0.01", and the tests that it asks for."""
    tests: list[Test] = []
    for found in _DIFFERS.finditer(line, start, end):
        try:
            limit = float(found[1])
        except ValueError:
            message = f"differs > needs a number, not {found[1]!r}"
            raise CommandError(message, line, found.start(1)) from None
        tests.append(_differs(limit))
        line = line[: found.start()] + " " * len(found[0]) + line[found.end() :]
    return line, tests


def _differs(limit: float) -> Test:
    def test(queries: Queries, event: Event) -> bool:
        if queries.base is None:
            return False
        norm = delta(queries.base, queries, event.index).norm
        return norm is not None and not norm <= limit  # a NaN differs

    return test


_WORD_AFTER_CHANGE = re.compile(
    r"(?<=\s)"
    r"(?:fwd|bwd|acc|upd|nan|inf|nonfinite|once|(?:op|in|name|step|t|layer|line|hits)=(?!=)\S+)"
    r"(?=\s|$)"
)
_WORDS = (
    "fwd bwd acc upd nan inf nonfinite once op= in= name= step= t= layer= line= change= hits= "
    "differs >"
)


def _end_of_change(line: str, start: int, end: int) -> int:
    """Where the expression of "change=" ends: before the first word that leaves it whole."""
    for word in _WORD_AFTER_CHANGE.finditer(line, start, min(end, start + MAX_CHARACTERS)):
        with suppress(CommandError):
            parse(line[start : word.start()].strip())
            return word.start()
    return end


def _add_word(made: Breakpoint, word: _Part) -> None:
    key, equals, _ = word.text.partition("=")
    value = word.after(len(key) + 1)
    if word.text in _KINDS:
        made.kinds.update(_KINDS[word.text])
    elif word.text in _VALUE_TESTS:
        made.tests.append(_VALUE_TESTS[word.text])
    elif word.text == "once":
        made.hits = 1
    elif equals and key == "hits":
        made.hits = value.whole(at_least=1)
    elif equals and key in _TESTS:
        made.tests.append(_TESTS[key](value))
    else:
        raise word.error(
            f"not a word of a breakpoint: {word.text!r}; there are {_WORDS} and `if EXPR`"
        )


# What an event must be


def _has(check: Callable[[Any], Any], remembered: Callable[[Event], bool]) -> Test:
    def test(queries: Queries, event: Event) -> bool:
        if event.is_gone:
            return remembered(event)
        value = queries.written_by(event)
        return value is not None and value.dtype.kind == "f" and bool(check(value))

    return test


_VALUE_TESTS: dict[str, Test] = {
    "nan": _has(lambda value: np.isnan(value).any(), lambda event: event.nans),
    "inf": _has(lambda value: np.isinf(value).any(), lambda event: event.infs),
    "nonfinite": _has(
        lambda value: not np.isfinite(value).all(), lambda event: not event.is_finite
    ),
}


def _pattern(value: _Part, key: str) -> str:
    if not value.text:
        raise value.error(f"{key}= needs a pattern")
    return value.text


def _op(value: _Part) -> Test:
    pattern = _pattern(value, "op")
    return lambda queries, event: fnmatchcase(event.op or "", pattern)


def _module(value: _Part) -> Test:
    pattern = _pattern(value, "in")
    return lambda queries, event: any(fnmatchcase(path, pattern) for path in module_paths(event))


def _name(value: _Part) -> Test:
    """With a timestep the full name; without one, the name at any."""
    pattern = _pattern(value, "name")

    def test(queries: Queries, event: Event) -> bool:
        name = name_written(queries, event)
        if name is None:
            return False
        return any(fnmatchcase(part, pattern) for part in (name, *re.split("[@#]", name)[:1]))

    return test


def _numbers(value: _Part) -> tuple[int, int]:
    """The first and the last of N or N..M."""
    low, dots, _ = value.text.partition("..")
    first = last = _Part(low, value.line, value.column).whole()
    if dots:
        last = value.after(len(low) + 2).whole()
    if first > last:
        raise value.error(f"{first}..{last} is empty")
    return first, last


def _timesteps(value: _Part) -> Test:
    first, last = _numbers(value)
    return lambda queries, event: event.copy is not None and first <= event.copy <= last


def _steps(value: _Part) -> Test:
    first, last = _numbers(value)
    return lambda queries, event: first <= queries.steps.of(event.index) <= last


def _layer(value: _Part) -> Test:
    layer = value.whole()
    return lambda queries, event: event.layer == layer


def _line(value: _Part) -> Test:
    file, colon, _ = value.text.rpartition(":")
    at = value.after(len(file) + len(colon)).whole(at_least=1)

    def test(queries: Queries, event: Event) -> bool:
        source = source_of(event)
        if source is None or source.line != at:
            return False
        return not file or PurePath(source.file).match(file)

    return test


_TESTS: dict[str, Callable[[_Part], Test]] = {
    "op": _op,
    "in": _module,
    "name": _name,
    "step": _steps,
    "t": _timesteps,
    "layer": _layer,
    "line": _line,
}


class _Condition:
    """An expression that must be true. It remembers whether it could be evaluated anywhere."""

    def __init__(self, expression: Expression) -> None:
        self._expression = expression
        self.was_evaluated, self.error = False, None

    was_evaluated: bool
    error: TinygradError | None

    def holds(self, queries: Queries, event: Event) -> bool:
        try:
            held = self._expression.holds(lookup(queries, event.index))
        except TinygradError as error:
            # A name that is not written yet, or another shape, is no reason to stop.
            self.error = error
            return False
        self.was_evaluated = True
        return held


def _change(expression: Expression) -> Test:
    def test(queries: Queries, event: Event) -> bool:
        if event.index == 0:
            return False
        before = _value_or_none(expression, queries, event.index - 1)
        after = _value_or_none(expression, queries, event.index)
        if before is None or after is None:
            return (before is None) != (after is None)
        floats = _is_float(before) and _is_float(after)
        return not np.array_equal(before, after, equal_nan=floats)

    return test


def _value_or_none(expression: Expression, queries: Queries, at: int) -> Any:
    try:
        return expression(lookup(queries, at))
    except TinygradError:
        return None


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"
