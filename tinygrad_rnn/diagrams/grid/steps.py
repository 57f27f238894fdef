"""By which step each column is headed: where one chain follows another, time begins anew."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ...tracing.network.quotient import Quotient, without_index


def steps_of(quotient: Quotient) -> Mapping[int, int]:
    """Return the step of each column: that of all copies and outputs that stand there.

    Of none where some are of another, as where one clock is slower than the next, or on a tree:
    what stands there has its own number below its name.
    """
    copies = [(column, block.time) for block in quotient.cells for column in block.columns]
    steps = _counted(copies, quotient.columns)
    agree = all(steps[column] == time for column, time in (*copies, *_outputs(quotient)))
    return steps if agree else {}


def _outputs(quotient: Quotient) -> Iterator[tuple[int, int]]:
    """Yield the column and the step of each output that has both."""
    for output in quotient.outputs:
        (_, time) = without_index(output.label)
        if output.column is not None and time is not None:
            yield output.column, time


def _counted(copies: Sequence[tuple[int, int]], columns: int) -> Mapping[int, int]:
    """Return the columns with their steps: before and behind copies they go on as these do."""
    times = dict(reversed(copies))
    steps: dict[int, int] = {}
    ahead = 0
    for column in range(columns):
        ahead = column - times.get(column, column - ahead)
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
