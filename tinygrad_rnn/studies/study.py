"""What a study is: its question, the runs that answer it, and what they say.

A study decides nothing about screens, files or processes: it declares its runs, computes one of
them at a time from a seed, and turns what was measured into rows and charts. So every study is run,
kept, resumed and shown alike.
"""

import hashlib
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..autograd.tensor import Tensor
from .plots import Chart, Grid

Settings = Mapping[str, Any]  # of a run, and what it measured: what JSON can hold


@dataclass(frozen=True, slots=True)
class Record:
    """A run that is done; `seconds` are the processor's."""

    settings: Settings
    seed: int
    measured: Settings
    seconds: float

    def __getitem__(self, name: str) -> Any:
        """A measurement or a setting, by its name."""
        return {**self.settings, **self.measured}[name]


@dataclass(frozen=True, slots=True)
class Row:
    """What one seed says about a claim: what was measured, and whether the claim holds."""

    claim: str
    reference: str
    measured: str
    seed: int
    holds: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim over all seeds: in how many it held, and the range of what was measured."""

    claim: str
    reference: str
    measured: str
    held: int
    seeds: int

    @property
    def holds(self) -> bool:
        """Whether it held for every seed."""
        return self.held == self.seeds

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Claim":
        """The claim that some rows, one a seed, make."""
        first = rows[0]
        references = {row.reference for row in rows}
        return cls(
            claim=first.claim,
            reference=first.reference if len(references) == 1 else "by seed",
            measured=_range([row.measured for row in rows]),
            held=sum(row.holds for row in rows),
            seeds=len(rows),
        )


_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?")


def _range(measured: Sequence[str]) -> str:
    """The least and the greatest, where each begins with a number; else all that was seen."""
    numbers = [_NUMBER.match(each) for each in measured]
    if not all(numbers):
        return "; ".join(dict.fromkeys(measured))
    ordered = sorted(measured, key=lambda each: float(_NUMBER.match(each)[0]))  # type: ignore[index]
    return " … ".join(dict.fromkeys([ordered[0], ordered[-1]]))


@dataclass(frozen=True, slots=True, repr=False)
class Findings:
    """What a study found out: the runs, the table, the charts."""

    study: "Study"
    records: Sequence[Record]
    rows: Sequence[Row] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.study.rows(self.records))

    @property
    def holds(self) -> bool:
        """Whether every claim held."""
        return all(row.holds for row in self.rows)

    @property
    def claims(self) -> "list[Claim]":
        """The table: a claim a line, over all seeds."""
        grouped: dict[str, list[Row]] = {}
        for row in self.rows:
            grouped.setdefault(row.claim, []).append(row)
        return [Claim.of(rows) for rows in grouped.values()]

    @property
    def charts(self) -> "Sequence[Chart | Grid]":
        """The charts, side by side."""
        return self.study.charts(self.records)

    @property
    def seconds(self) -> float:
        """Of the processor, all runs together."""
        return sum(record.seconds for record in self.records)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from ..diagrams.picture.theme import LIGHT
        from .chart import render

        return {
            "image/svg+xml": render(self.charts, LIGHT, "svg").decode(),
            "text/plain": repr(self),
        }

    def __repr__(self) -> str:
        held = sum(claim.holds for claim in self.claims)
        return f"<{self.study.name}: {held} of {len(self.claims)} claims hold for every seed>"


class Study(ABC):
    """One question. A subclass is one file: its model, its runs, its table, its charts.

    Attributes:
        name: what the command calls it.
        question: what it answers, in a line.
        source: the paper, and the equation.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def runs(self, full: bool) -> list[dict[str, Any]]:
        """The settings of every run that a seed takes; with `full`, of the long ones as well."""

    @abstractmethod
    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        """Measure: depends on the seed and the settings alone, and returns what JSON can hold."""

    def rows(self, records: Sequence[Record]) -> list[Row]:
        """The table, by seed; a claim that compares runs overrides this."""
        ordered = sorted(records, key=lambda record: record.seed)
        return [row for record in ordered for row in self.rows_of(record)]

    def rows_of(self, record: Record) -> list[Row]:
        """What one run says about the claims."""
        raise NotImplementedError

    @abstractmethod
    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        """The charts of some runs."""

    def loss(self) -> Tensor | None:
        """A small example of the model, whose flow of gradients is drawn; None to draw nothing."""
        return None

    @property
    def digest(self) -> str:
        """Identifies this version of the study's source: kept runs of others do not count."""
        source = inspect.getsource(inspect.getmodule(type(self)) or type(self))
        return hashlib.sha256(source.encode()).hexdigest()[:16]


def by_seed(records: Iterable[Record]) -> dict[int, list[Record]]:
    """The records of each seed, in the order of the seeds."""
    found: dict[int, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        found.setdefault(record.seed, []).append(record)
    return found


def number(value: float) -> str:
    """A measured number, as tables print it."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    return f"{value:.2e}"
