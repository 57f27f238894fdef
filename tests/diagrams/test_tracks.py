"""Which tracks of a strip edges take: beside each other, never on each other."""

from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.diagrams.grid.tracks import Tracks

ENDS = st.integers(0, 20)


@given(st.lists(st.tuples(ENDS, ENDS, st.integers(0, 5)), max_size=30))
def test_no_two_owners_meet_on_a_track_and_none_is_left_empty(stretches):
    tracks = Tracks()
    placed: dict[int, list[tuple[int, int, int]]] = {}
    for start, end, owner in stretches:
        low, high = min(start, end), max(start, end)
        index = tracks.take(start, end, owner)
        free = [
            k
            for k in range(len(tracks))
            if not any(_meet(low, high, owner, s) for s in placed.get(k, ()))
        ]
        assert index == free[0], "the first free one"
        placed.setdefault(index, []).append((low, high, owner))
    assert len(tracks) == len(placed)


def _meet(low, high, owner, other):
    return other[2] != owner and other[0] <= high and low <= other[1]
