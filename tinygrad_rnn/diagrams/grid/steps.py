"""By which step each column is headed: where one chain follows another, time begins anew."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ...tracing.network.quotient import Quotient


def steps_of(quotient: Quotient) -> Mapping[int, int]:
    """Return the step of each column: that of its copies, if they agree in every column.

    If they do not, as where one clock is slower than another, columns are counted. What stands
    before or behind the copies goes on counting as they do.
    """
    times: defaultdict[int, set[int]] = defaultdict(set)
    for block in quotient.cells:
        for column in block.columns:
            times[column].add(block.time)
    steps = {column: column for column in range(quotient.columns)}
    if any(len(found) > 1 for found in times.values()):
        return steps
    ahead = 0
    for column in steps:
        if column in times:
            ahead = column - min(times[column])
        steps[column] = column - ahead
    return steps


def named_stretches(quotient: Quotient, steps: Mapping[int, int]) -> Iterator[tuple[int, int, str]]:
    """Yield the first and the last column of each stretch of time, and whose it is: "encoder".

    Nothing where that does not tell them apart, as two sequences that one module reads.
    """
    begins = [column for column in steps if column and steps[column] <= steps[column - 1]]
    if not begins:
        return
    stretches = list(pairwise([0, *begins, quotient.columns]))
    paths = [_paths_in(quotient, first, end) for first, end in stretches]
    shared = 0
    while len({path[shared] for found in paths for path in found if shared < len(path)}) == 1:
        shared += 1
    names = [{path[shared] if shared < len(path) else "" for path in found} for found in paths]
    if any(len(found) != 1 for found in names) or len(set.union(*names)) != len(names):
        return
    for (first, end), (name,) in zip(stretches, names, strict=True):
        yield first, end - 1, name


def _paths_in(quotient: Quotient, first: int, end: int) -> set[Sequence[str]]:
    """The paths of what has copies in some columns, in parts."""
    return {
        tuple(chain.row.path.split("."))
        for chain in quotient.chains
        if any(first <= column < end for copy in chain.copies for column in copy.columns)
    }
