"""Where edges run beside each other: the parallel tracks of a free strip of the grid.

A strip is a *gap* above a level or a *lane* on either side of a slot. Two edges share a track only
where they do not meet, or where they belong to the same owner.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable
from operator import itemgetter

TRACK = 9.0  # between parallel edges

_Stretch = tuple[float, float, Hashable]  # from, to, whose


class _Track:
    """Stretches from left to right, no two of which meet."""

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []

    def _met(self, low: float, high: float) -> slice:
        first = bisect_left(self._stretches, low, key=itemgetter(1))
        return slice(first, bisect_right(self._stretches, high, first, key=itemgetter(0)))

    def is_free(self, low: float, high: float, owner: Hashable) -> bool:
        """Whether nobody else is there."""
        return all(other == owner for _, _, other in self._stretches[self._met(low, high)])

    def add(self, low: float, high: float, owner: Hashable) -> None:
        """Take a free stretch, and join it to what its owner has there already."""
        met = self._met(low, high)
        for start, end, _ in self._stretches[met]:
            low, high = min(low, start), max(high, end)
        self._stretches[met] = [(low, high, owner)]


class Tracks:
    """The parallel tracks of one strip, handed out first come, first served."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []

    def __len__(self) -> int:
        return len(self._tracks)

    def take(self, start: float, end: float, owner: Hashable) -> int:
        """Take the first track that is free from `start` to `end`, or already `owner`'s there.

        Returns:
            Its number.
        """
        low, high = min(start, end), max(start, end)
        for number, track in enumerate(self._tracks):
            if track.is_free(low, high, owner):
                track.add(low, high, owner)
                return number
        self._tracks.append(_Track())
        self._tracks[-1].add(low, high, owner)
        return len(self._tracks) - 1
