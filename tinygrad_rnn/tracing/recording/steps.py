"""The training steps of a run: which events belong to which.

A step ends at the last update of a parameter before the next backward pass, so that an inner
`tg.grad` and the passes of micro-batches end none. In a run without updates each `backward()` ends
one, where something is computed after it.
"""

from bisect import bisect_right
from collections.abc import Iterable

from .event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero


class Steps:
    """Where each step of a run begins, as far as its events are known.

    Args:
        events: in order; `add` takes more.

    Attributes:
        starts: the first event of each step; step 0 begins with the run.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.starts = [0]
        # The last event of a step that an update ended; None while a step is under way.
        self._end: int | None = None
        self._saw_pass = self._saw_backward = self._has_updates = False
        self._without_updates = [0]
        self._newest: Event | None = None
        self._last_seed: int | None = None
        for event in events:
            if type(event) is Vjp:  # most of them, which begin and end nothing
                self._newest = event
            else:
                self.add(event)
        self._close()

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, event: Event) -> bool:
        """Note the next event; whether a step that an update ended is over."""
        self._newest = event
        match event:
            case Update(output=leaf) if leaf.requires_grad and self._saw_pass:
                self._end, self._has_updates = event.index, True
            case Zero() if self._end == event.index - 1:
                self._end = event.index
            case Accumulate():
                self._saw_backward = True
            case Forward() if self._saw_backward:
                self._saw_backward = False
                self._without_updates.append(event.index)
            case Seed():
                self._saw_pass, self._last_seed = True, event.index
                return self._begin_another()
            case _:
                pass
        return False

    def _begin_another(self) -> bool:
        if self._end is None:
            return False
        self.starts.append(self._end + 1)
        self._end = None
        return True

    def _close(self) -> None:
        """The run is over: what follows its last update is a step that has not ended."""
        if not self._has_updates:
            self.starts = self._without_updates
        elif self._end is not None and isinstance(self._newest, Forward | Failure):
            self._begin_another()

    @property
    def trained(self) -> int:
        """How many steps had a backward pass: all but what follows the last. All where none had."""
        return len(self) if self._last_seed is None else self.of(self._last_seed) + 1

    def of(self, event: int) -> int:
        """The step that an event belongs to."""
        return max(bisect_right(self.starts, event) - 1, 0)

    def first(self, step: int) -> int:
        """The first event of a step."""
        return self.starts[step]
