"""The arguments of a command: what is written after its name."""

import re
from collections import deque

from ...tracing.questions.notation import Index
from ..expressions import CommandError, Expression, is_whole, parse

_WORD = re.compile(r"\S+")
_ELEMENT = re.compile(r"\s*+(?P<name>[^\s\[\]]++)\s*+(?:\[(?P<index>[-\d\s,]*+)\])?\s*+$")


class Arguments:
    """The words after a command's name, taken from the left.

    What a method cannot read it refuses with a CommandError, whose caret marks the spot.

    Args:
        line: the whole line.
        start: the column after the command's name.
    """

    def __init__(self, line: str, start: int) -> None:
        self.line, self.start = line, start
        self._words = deque(_WORD.finditer(line, start))
        self._column = start + 1

    def __len__(self) -> int:
        return len(self._words)

    @property
    def text(self) -> str:
        """All of it."""
        return self.line[self.start :].strip()

    @property
    def next(self) -> str:
        """The next word, not taken yet; "" where there is none."""
        return self._words[0][0] if self._words else ""

    def error(self, message: str) -> CommandError:
        """An error that points at the next word, or at the one that was taken last."""
        column = self._words[0].start() if self._words else self._column
        return CommandError(message, self.line, column)

    def word(self) -> str:
        """Take a word; there must be one."""
        taken = self._words.popleft()
        self._column = taken.start()
        return taken[0]

    def number(self) -> int:
        """Take a whole number."""
        if not is_whole(self.next):
            raise self.error(f"a whole number, not {self.next!r}")
        return int(self.word())

    def end(self) -> None:
        """Refuse words that were not taken."""
        if self._words:
            raise self.error(f"nothing is expected here: {self.next!r}")

    def expression(self) -> Expression:
        """All of it as an expression."""
        text = self.line[self.start :]
        lead = len(text) - len(text.lstrip())
        return parse(text.strip(), self.line, self.start + lead)

    def element(self) -> tuple[str, Index | None]:
        """All of it as a name, perhaps with an index; "" and None where nothing is written."""
        if not self._words:
            return "", None
        match = _ELEMENT.match(self.line, self.start)
        if match is None:
            raise self.error("a name and perhaps an element: h@3[0,2]")
        if match["index"] is None:
            return match["name"], None
        if not match["index"].strip():
            return match["name"], ()
        parts = [part.strip() for part in match["index"].split(",")]
        if not all(re.fullmatch(r"-?\d{1,9}", part, re.ASCII) for part in parts):
            column = match.start("index")
            raise CommandError("an element is named by whole numbers: [0,2]", self.line, column)
        return match["name"], tuple(int(part) for part in parts)
