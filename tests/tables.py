"""Long tables of cases, and laws: the default run takes some of each, `.ci/run` takes more.

What costs seconds and proves on one more program what was proved on another is marked `rest`; what
costs hours is marked `slow`, and `.ci/run` leaves it out.
"""

from collections.abc import Collection, Sequence
from typing import Any

import pytest
from hypothesis import settings


def rows(
    table: Sequence[Any], default: Collection[Any], mark: pytest.MarkDecorator = pytest.mark.rest
) -> list[Any]:
    """One parameter a row; those that are not in `default` are marked."""
    return [row if row in default else pytest.param(*as_tuple(row), marks=mark) for row in table]


def one_in(
    number: int, table: Sequence[Any], mark: pytest.MarkDecorator = pytest.mark.rest
) -> list[Any]:
    """The first of each `number` rows is run by default, the others are marked."""
    return rows(table, table[::number], mark)


def as_tuple(row: Any) -> tuple[Any, ...]:
    return row if isinstance(row, tuple) else (row,)


def examples(percent: int) -> int:
    """How many examples a law gets that costs more than others: a share of the profile's."""
    return max(settings().max_examples * percent // 100, 1)
