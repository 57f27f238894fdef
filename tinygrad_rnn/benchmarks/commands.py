"""What `tinygrad-rnn bench` does."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import BenchmarkError
from ..files import write_atomic
from .conduct import Measured, jobs, machine, run
from .jobs import Job
from .targets import verdicts

NO = 1  # the answer is no: a promise was not kept


def run_benchmarks(
    *,
    parts: Sequence[str],
    sizes: Sequence[str],
    dtypes: Sequence[str],
    quick: bool,
    markdown: bool,
    json_file: Path | None,
) -> int:
    """Measure, print the tables, keep the numbers; 0 if every promise was kept, else 1.

    Raises:
        BenchmarkError: there is nothing to measure, the contenders do not take the same step, or a
            process died.
    """
    from rich.console import Console

    from .tables import tables

    # Said now, not after minutes of measuring.
    if json_file is not None and not json_file.parent.is_dir():
        reason = f"there is no folder {json_file.parent}"
        raise BenchmarkError(f"bench: {json_file} cannot be written: {reason}")
    before = machine()
    found = _measure(jobs(parts, sizes, dtypes, quick), Console(stderr=True, emoji=False))
    console = Console(width=200, emoji=False) if markdown else Console(emoji=False)
    for table in tables(found, markdown=markdown):
        console.print(table)
    after = machine()["load"]
    console.print(_described(before, after), markup=False, highlight=False)
    if json_file is not None:
        write_atomic(json_file, _json(found, {**before, "load_after": after}))
    return 0 if all(verdict.met for verdict in verdicts(found)) else NO


def _described(before: dict[str, Any], after: list[float] | None) -> str:
    loads = " and ".join(
        f"{load[0] if load else 'unknown'} {when}"
        for load, when in ((before["load"], "before"), (after, "after"))
    )
    packages = ", ".join(f"{name} {version}" for name, version in before["packages"].items())
    return (
        f"{before['processor']}, {before['processors']} processors, load {loads}; "
        f"Python {before['python']}, {', '.join(before['blas'])}, {packages}"
    )


def _measure(todo: Sequence[Job], console: Any) -> list[Measured]:
    """Do the jobs, and show how far it is."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    found: list[Measured] = []
    with Progress(*columns, console=console, transient=True) as bar:
        whole = bar.add_task("", total=sum(job.ticks for job in todo))
        for job in todo:
            bar.update(whole, description=str(job))
            found.append(run(job, lambda: bar.advance(whole)))
    return found


def _json(found: Sequence[Measured], on: dict[str, Any]) -> bytes:
    """Every time that was taken, not the medians alone."""
    whole = {
        "machine": on,
        "measured": [{**asdict(measured.job), **measured.result} for measured in found],
        "promises": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts(found)],
    }
    return json.dumps(whole, indent=1).encode()
