"""Conducts a study: runs it on several processors and keeps each run that is done.

A study that was stopped goes on where it was.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import StudyError
from ..files import read_regular, write_atomic
from ..text import elide
from .plots import Chart, Grid
from .study import Findings, Record, Row, Study, by_seed

FORMAT = 1
MOST_RESULTS = 64 * 2**20  # bytes of kept runs
# What reading runs that were made up may raise.
_DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)

Task = tuple[int, dict[str, Any]]  # a seed and a run's settings


class Reporter(Protocol):
    """Receives the progress of a study."""

    def begins(self, total: int, kept: int) -> None:
        """`total` runs make the study; `kept` of them were done before."""

    def ran(self, record: Record) -> None:
        """One more run is done."""


class Silent:
    """A reporter that says nothing."""

    def begins(self, total: int, kept: int) -> None:
        pass

    def ran(self, record: Record) -> None:
        pass


def conduct(
    study: Study,
    *,
    seeds: int = 1,
    full: bool = False,
    path: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    backend: str | None = None,
    reporter: Reporter | None = None,
) -> Findings:
    """Run a study with the seeds 0 … seeds - 1.

    Args:
        study: which.
        seeds: how many times, each from another first state.
        full: the runs that take long as well.
        path: a JSON file to keep each run in as soon as it is done; those found there are not run
            again.
        jobs: how many processes side by side; by default as many as there are processors.
        backend: joblib's, "loky" (processes), "threading", "sequential", or "dask": the cluster
            that Dask's own configuration names, else a local one. When left out, what
            `joblib.parallel_config` says: that is where to register another cluster.
        reporter: receives the progress.

    Raises:
        StudyError: a path that holds something else, or a backend that is not installed.
        OSError: the path cannot be read or written.
    """
    reporter = reporter or Silent()
    kept = {} if path is None else _kept(study, Path(path))
    tasks = [(seed, settings) for seed in range(seeds) for settings in study.runs(full)]
    done = {_key(*task): kept[_key(*task)] for task in tasks if _key(*task) in kept}
    missing = [task for task in tasks if _key(*task) not in done]
    if path is not None:
        try:
            _check_told(study, list(done.values()), full)
        except _DAMAGED as error:
            raise _no_runs(study, path, error) from None
    reporter.begins(len(tasks), len(done))
    if path is not None:
        # A path that cannot be written is known before the first run.
        save(study, list((kept | done).values()), path)
    for record in _run_all(study, missing, jobs, backend):
        done[_key(record.seed, record.settings)] = record
        if path is not None:
            save(study, list((kept | done).values()), path)
        reporter.ran(record)
    records = [done[_key(*task)] for task in tasks]
    if kept:
        try:
            _check_told(study, records, full)
        except _DAMAGED as error:
            raise _no_runs(study, path or "", error) from None
    findings = Findings(study, records)
    if path is not None:
        save(study, list((kept | done).values()), path, findings.rows)
    return findings


def _run_all(
    study: Study, tasks: list[Task], jobs: int | None, backend: str | None
) -> Iterator[Record]:
    if not tasks:
        return
    from joblib import Parallel, delayed

    count = min(len(tasks), jobs or os.cpu_count() or 1)
    with _backend(backend, count):
        # With one job joblib runs the tasks here, whatever the backend's name.
        parallel: Any = Parallel(n_jobs=count, return_as="generator_unordered")
        yield from parallel(delayed(run_one)(study, seed, settings) for seed, settings in tasks)


def run_one(study: Study, seed: int, settings: dict[str, Any]) -> Record:
    """One run, on one thread: the sums of a matrix product depend on how many there are."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        started = time.thread_time()
        measured = study.run(seed, **settings)
        return Record(settings, seed, measured, time.thread_time() - started)


@contextmanager
def _backend(name: str | None, jobs: int) -> Iterator[None]:
    if name is None:
        yield
        return
    from joblib import parallel_config

    try:
        with _cluster(jobs) if name == "dask" else nullcontext(), parallel_config(name):
            yield
    except ImportError as error:
        raise StudyError(
            f"the backend {name!r} needs {error.name}: pip install 'tinygrad-rnn[dask]'"
        ) from None


@contextmanager
def _cluster(jobs: int) -> Iterator[None]:
    """Dask's scheduler, of which joblib takes the one that was last connected to."""
    from dask.config import get
    from distributed import Client, LocalCluster

    address = get("scheduler-address", None)
    if address:
        with Client(address):
            yield
        return
    local = LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address="")
    with local, Client(local):
        yield


def _key(seed: int, settings: Any) -> str:
    return json.dumps([seed, settings], sort_keys=True)


def save(
    study: Study, records: Sequence[Record], path: str | os.PathLike[str], rows: Sequence[Row] = ()
) -> None:
    """Write the runs to a JSON file, and the table when there is one yet; whole or not at all."""
    content = {
        "format": FORMAT,
        "study": study.name,
        "digest": study.digest,
        "question": study.question,
        "source": study.source,
        "table": [asdict(row) for row in rows],
        "runs": [asdict(record) for record in records],
    }
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode())


def read(study: Study, path: str | os.PathLike[str]) -> list[Record]:
    """The runs that `save` wrote for this study; none when its source has changed since.

    Raises:
        StudyError: the file is something else.
        OSError: the file cannot be read.
    """
    data = read_regular(path, MOST_RESULTS)
    try:
        content = json.loads(data, parse_constant=_refuse)
        if content["format"] != FORMAT or content["study"] != study.name:
            raise ValueError(f"it is of {content['study']}, format {content['format']}")
        if content["digest"] != study.digest:
            return []
        records = [Record(**run) for run in content["runs"]]
        for record in records:
            _check(record)
        return records
    except _DAMAGED as error:
        raise _no_runs(study, path, error) from None


def _no_runs(study: Study, path: str | os.PathLike[str], error: Exception) -> StudyError:
    reason = elide(" ".join(str(error).split()) or type(error).__name__, 200)
    return StudyError(
        f"{os.fspath(path)} does not hold runs of the study {study.name} ({reason}); "
        "move it away, or name another folder with --out"
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"a number is {constant}")


def _check(record: Record) -> None:
    """Refuse what cannot be a run: wrong types, or NaN."""
    if type(record.seed) is not int or record.seed < 0:
        raise ValueError(f"no seed: {record.seed!r}")
    if type(record.seconds) not in (int, float) or not 0 <= record.seconds < math.inf:
        raise ValueError(f"no seconds: {record.seconds!r}")
    for what in (record.settings, record.measured):
        if not isinstance(what, dict):
            raise TypeError(f"no settings or measurements: {what!r}")
        _check_numbers(what)


def _check_numbers(value: Any) -> None:
    """Refuse what no study measures: it is numbers, words, and lists and dicts of them."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_numbers(part)
    elif not isinstance(value, bool | str | None) and not abs(float(value)) < math.inf:
        raise ValueError(f"no number: {value!r}")


def _check_told(study: Study, records: Sequence[Record], full: bool) -> None:
    """Refuse kept runs that the study cannot tell anything of."""
    if type(study).rows is Study.rows:  # each run says something by itself
        for record in records:
            study.rows([record])
    size = len(study.runs(full))
    complete = [own for own in by_seed(records).values() if len(own) == size]
    for own in complete:
        study.rows(own)
        if own[0].seed != 0:
            continue
        for chart in study.charts(own):
            if isinstance(chart, Chart) and any(len(x.xs) != len(x.ys) for x in chart.lines):
                raise ValueError(f"{chart.title}: as many numbers across as up are needed")
            if isinstance(chart, Grid):
                np.array(chart.values, float)


def _kept(study: Study, path: Path) -> dict[str, Record]:
    if not path.exists():
        return {}
    return {_key(record.seed, record.settings): record for record in read(study, path)}
