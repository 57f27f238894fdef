"""Long tables of cases: the default run takes some rows of each, `.ci/run` takes them all.

What costs seconds and proves on one more program what was proved on another is marked `rest`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import pytest


def rows(table: Sequence[Any], default: Collection[Any]) -> list[Any]:
    """One parameter a row; those that are not in `default` are marked `rest`."""
    return [
        row if row in default else pytest.param(*as_tuple(row), marks=pytest.mark.rest)
        for row in table
    ]


def one_in(number: int, table: Sequence[Any]) -> list[Any]:
    """The first of each `number` rows is run by default."""
    return rows(table, table[::number])


def as_tuple(row: Any) -> tuple[Any, ...]:
    return row if isinstance(row, tuple) else (row,)
