"""Breakpoints: which events a person wants to stop at.

break := "break" word* ["if" EXPR]
word  := fwd|bwd|acc|upd | nan|inf|nonfinite | once | op=GLOB | in=GLOB | name=GLOB
       | t=N[..M] | layer=N | line=[FILE:]N | change=EXPR | hits=N
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TinygradError
from .expressions import CommandError, Expression, parse

if TYPE_CHECKING:
    from ..tracing.recording.event import Event
    from .session import Session

Test = Callable[["Session", "Event"], bool]

_KINDS = {
    "fwd": ("forward",),
    "bwd": ("seed", "vjp"),
    "acc": ("accumulate", "zero"),
    "upd": ("update",),
}
_WORD = re.compile(
    r"(?<=\s)(?:fwd|bwd|acc|upd|nan|inf|nonfinite|once|(?:op|in|name|t|layer|line|hits)=(?!=)\S+)(?=\s|$)"
)
_WORDS = "fwd bwd acc upd nan inf nonfinite once op= in= name= t= layer= line= change= hits="


@dataclass(slots=True)
class Breakpoint:
    """One breakpoint: every test must pass, then the condition, and then it may be the Nth time that counts."""

    text: str
    tests: list[Test] = field(default_factory=list[Test])
    kinds: set[str] = field(default_factory=set[str])
    condition: Expression | None = None
    change: Expression | None = None
    hits: int | None = None  # only the Nth time
    enabled: bool = True
    _counted: int = 0  # events looked at, from the start of the run
    _matching: list[int] = field(default_factory=list[int])

    def matches(self, session: "Session", event: "Event") -> bool:
        """Whether it stops at this event."""
        if not self._passes(session, event):
            return False
        if self.hits is None:
            return True
        for index in range(self._counted, event.index + 1):
            if self._passes(session, session.trace.events[index]):
                self._matching.append(index)
        self._counted = max(self._counted, event.index + 1)
        return len(self._matching) >= self.hits and self._matching[self.hits - 1] == event.index

    def _passes(self, session: "Session", event: "Event") -> bool:
        if self.kinds and event.kind not in self.kinds:
            return False
        if not all(test(session, event) for test in self.tests):
            return False
        if self.condition is not None and not self._holds(session, event.index):
            return False
        return self.change is None or self._changes(session, event.index)

    def _holds(self, session: "Session", at: int) -> bool:
        assert self.condition is not None
        try:
            return self.condition.holds(session.lookup(at))
        except TinygradError:
            return False  # a name that is not written yet, or another shape, is no reason to stop

    def _changes(self, session: "Session", at: int) -> bool:
        assert self.change is not None
        if at == 0:
            return False
        before, after = (_value_or_none(self.change, session, k) for k in (at - 1, at))
        if before is None or after is None:
            return (before is None) != (after is None)
        return not np.array_equal(before, after, equal_nan=_is_float(before) and _is_float(after))


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def _value_or_none(expression: Expression, session: "Session", at: int) -> Any:
    try:
        return expression(session.lookup(at))
    except TinygradError:
        return None


def parse_breakpoint(line: str, start: int) -> Breakpoint:
    """Read what follows "break" in a command line, from column `start`.

    Raises:
        CommandError: a word is unknown or its value is no number, pattern or expression; says
            where.
    """
    made = Breakpoint(line[start:].strip())
    condition = re.search(r"(?:^|\s)if\s", line[start:] + " ")
    end = start + condition.start() if condition else len(line)
    if condition:
        at = start + condition.end()
        made.condition = parse(line[at:].rstrip(), line, at)
    at = start
    while (word := re.compile(r"\s*(\S+)").match(line, at, end)) is not None:
        at = word.end()
        if word[1].startswith("change="):
            at = _end_of_change(line, word.start(1) + len("change="), end)
        _add_word(made, line[word.start(1) : at].rstrip(), line, word.start(1))
    return made


def _end_of_change(line: str, start: int, end: int) -> int:
    """Where the expression behind "change=" ends: before the first other word that leaves it whole, or at the end."""
    for word in _WORD.finditer(line, start, end):
        with suppress(CommandError):
            parse(line[start : word.start()].strip())
            return word.start()
    return end


def _add_word(made: Breakpoint, word: str, line: str, column: int) -> None:
    key, equals, value = word.partition("=")
    if word in _KINDS:
        made.kinds.update(_KINDS[word])
    elif word in ("nan", "inf", "nonfinite"):
        made.tests.append(_VALUE_TESTS[word])
    elif word == "once":
        made.hits = 1
    elif equals and key == "change":
        made.change = parse(value, line, column + len("change="))
    elif equals and key == "hits":
        made.hits = _whole(value, line, column + len("hits="), lowest=1)
    elif equals and key in _PATTERN_TESTS:
        _expect(value, f"{key}= needs a pattern", line, column + len(word))
        made.tests.append(_PATTERN_TESTS[key](value))
    elif equals and key in _NUMBER_TESTS:
        made.tests.append(_NUMBER_TESTS[key](value, line, column + len(key) + 1))
    else:
        raise CommandError(
            f"no word of a breakpoint: {word!r}; there are {_WORDS} and `if EXPR`", line, column
        )


def _expect(condition: object, message: str, line: str, column: int) -> None:
    if not condition:
        raise CommandError(message, line, column)


def _whole(text: str, line: str, column: int, lowest: int = 0) -> int:
    ok = text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= lowest
    _expect(ok, f"needs a whole number of at least {lowest}, not {text!r}", line, column)
    return int(text)


# What an event must be


def _has(check: Callable[[Any], Any], remembered: Callable[["Event"], bool]) -> Test:
    def test(session: "Session", event: "Event") -> bool:
        if event.is_gone:
            return remembered(event)
        value = session.queries.written_by(event)
        return value is not None and value.dtype.kind == "f" and bool(check(value))

    return test


_VALUE_TESTS: dict[str, Test] = {
    "nan": _has(lambda value: np.isnan(value).any(), lambda event: event.nans),
    "inf": _has(lambda value: np.isinf(value).any(), lambda event: event.infs),
    "nonfinite": _has(
        lambda value: not np.isfinite(value).all(), lambda event: not event.is_finite
    ),
}


def _op_test(pattern: str) -> Test:
    return lambda session, event: fnmatchcase(event.op or "", pattern)


def _module_test(pattern: str) -> Test:
    return lambda session, event: any(
        fnmatchcase(path, pattern) for path in session.module_paths(event)
    )


def _name_test(pattern: str) -> Test:
    """With a timestep the full name; without one, the name at any."""

    def test(session: "Session", event: "Event") -> bool:
        name = session.name_written(event)
        return name is not None and (
            fnmatchcase(name, pattern) or fnmatchcase(name.partition("@")[0], pattern)
        )

    return test


def _time_test(text: str, line: str, column: int) -> Test:
    low, dots, high = text.partition("..")
    first = _whole(low, line, column)
    last = _whole(high, line, column + len(low) + 2) if dots else first
    _expect(first <= last, f"{first}..{last} is empty", line, column)
    return lambda session, event: event.copy is not None and first <= event.copy <= last


def _layer_test(text: str, line: str, column: int) -> Test:
    layer = _whole(text, line, column)
    return lambda session, event: event.layer == layer


def _line_test(text: str, line: str, column: int) -> Test:
    file, _, number = text.rpartition(":")
    at = _whole(number, line, column + len(text) - len(number), lowest=1)

    def test(session: "Session", event: "Event") -> bool:
        source = session.source_of(event)
        return (
            source is not None
            and source.line == at
            and (not file or PurePath(source.file).match(file))
        )

    return test


_PATTERN_TESTS = {"op": _op_test, "in": _module_test, "name": _name_test}
_NUMBER_TESTS = {"t": _time_test, "layer": _layer_test, "line": _line_test}
