"""The branches of one session, runs with changed numbers: made, switched between, and dropped."""

from ..errors import TraceError
from ..text import elide
from ..tracing.trace import Trace
from ..tracing.whatif.edits import Edit

_SHOWN = 40  # characters of the changes


class Branches:
    """The branches of one recorded run. Each keeps its number.

    Args:
        run: the run itself.

    Attributes:
        current: the number of the branch that is looked at; None for the run.
    """

    def __init__(self, run: Trace) -> None:
        self.run = run
        self.current: int | None = None
        self._made: dict[int, Trace] = {}
        self._next = 1
        self._last = 0  # the branch that was looked at last

    def __bool__(self) -> bool:
        return bool(self._made)

    def __iter__(self):
        return iter(self._made.items())

    @property
    def shown(self) -> Trace:
        """The run or branch that is looked at."""
        return self.run if self.current is None else self._made[self.current]

    @property
    def title(self) -> str:
        """Where we are: "branch 1: h@3[1] = 0"; nothing in a run without branches."""
        if self.current is not None:
            return f"branch {self.current}: {changes_of(self.shown)}"
        return "the run" if self._made else ""

    def change(self, edit: Edit) -> None:
        """Make a change in the branch that is looked at; made in the run, it begins a new branch.

        Raises:
            TraceError: it does not fit.
        """
        made = self.shown.branch_of([edit])
        if self.current is None:
            self.current, self._next = self._next, self._next + 1
        self._made[self.current] = made

    def undo(self) -> str:
        """Take back the last change of the branch; a branch without changes is dropped.

        Raises:
            TraceError: this is the run itself.
        """
        if self.current is None:
            raise TraceError("undo: there is nothing to take back: this is the run itself")
        *kept, last = self.shown.changes
        if kept:
            self._made[self.current] = self.run.branch_of(kept)
        else:
            self.drop(self.current)
        return last.text

    def show(self, number: int | None) -> None:
        """Look at a branch, or at the run.

        Raises:
            TraceError: there is no such branch.
        """
        if number is not None and number not in self._made:
            raise TraceError(f"there is no branch {number}{self._those_that_are()}")
        self._last = self.current or self._last
        self.current = number

    def toggle(self) -> None:
        """From a branch to the run, and back to the branch that was looked at last.

        Raises:
            TraceError: there is no branch.
        """
        if not self._made:
            raise TraceError("there is no branch: `set h@3 = 0` makes one")
        there = self._last if self._last in self._made else max(self._made)
        self.show(there if self.current is None else None)

    def drop(self, number: int) -> None:
        """Forget a branch; if it was looked at, the run is looked at next.

        Raises:
            TraceError: there is no such branch.
        """
        if number not in self._made:
            raise TraceError(f"there is no branch {number}{self._those_that_are()}")
        del self._made[number]
        if self.current == number:
            self.current = None

    def _those_that_are(self) -> str:
        numbers = ", ".join(map(str, self._made))
        return f"; there are {numbers}" if numbers else ": `set h@3 = 0` makes one"


def changes_of(branch: Trace) -> str:
    """The changes of a branch in a few words."""
    return elide(", ".join(edit.text for edit in branch.changes), _SHOWN)
