"""A run as a table: a row an event, as columns that every data frame takes."""

from typing import Any

import numpy as np

from ...errors import TraceError
from ..recording.event import Event, Failure, Forward, Stats, Update
from ..recording.held import Gone
from .queries import GRADIENT, Queries

COLUMNS = (
    "index", "kind", "op", "name", "t", "layer", "shape", "dtype", "norm", "min", "max", "mean",
    "non_finite", "file", "line", "source",
)  # fmt: skip


def table_of(queries: Queries) -> dict[str, list[Any]]:
    """The columns, by name; `Trace.table` says what they hold."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for event in queries.run.events:
        row = {**_facts(queries, event), **_numbers(queries, event)}
        for name, column in columns.items():
            column.append(row.get(name))
    return columns


def _facts(queries: Queries, event: Event) -> dict[str, Any]:
    place, source = queries.here(event), event.source
    facts: dict[str, Any] = {"index": event.index, "kind": event.kind, "op": event.op}
    if not isinstance(event, Failure):
        name = queries.names.of(event.output)
        facts["name"] = name if isinstance(event, Forward | Update) else GRADIENT + name
        source = source or event.subject.source
    if place is not None:
        facts |= {"t": place.t, "layer": place.layer}
    if source is not None:
        facts |= {"file": source.file, "line": source.line, "source": source.text}
    return facts


def _numbers(queries: Queries, event: Event) -> dict[str, Any]:
    """What was written, in a few numbers: NaN for those of a value that is gone."""
    numbers: dict[str, Any] = dict.fromkeys(("norm", "min", "max", "mean"), np.nan)
    try:
        value = None if isinstance(event, Failure) else queries.written_by(event)
    except TraceError:
        value = None
    if value is not None:
        stats = Stats.of(value)
        numbers |= {"norm": stats.norm, "min": stats.low, "max": stats.high, "mean": stats.mean}
        numbers |= {"shape": value.shape, "dtype": value.dtype.name}
        numbers["non_finite"] = stats.nans + stats.infs
    elif isinstance(event.held, Gone):
        numbers |= {"shape": event.held.shape, "dtype": event.held.dtype.name}
    return numbers
