"""What was measured, as tables for a terminal or for Markdown."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from . import every_op, layers
from .conduct import Measured
from .contenders import BY_HAND, COMPILED, CONTENDERS, LOOP
from .forms import BY_HAND as FORMS_BY_HAND
from .forms import EAGER, FORMS
from .per_op import BY_HAND as CHAIN_BY_HAND
from .targets import Verdict, memory, op_costs, verdicts

if TYPE_CHECKING:
    from rich.table import Table

Tables = Iterator["Table"]


def tables(found: Sequence[Measured], *, markdown: bool = False) -> Tables:
    """One table for each part that was measured, and the promises."""
    from rich import box

    for make in (_steps, _growth, _memory, _ops, _every_op, _layers, _forms, _promises):
        for table in make(found):
            table.title_justify = "left"
            if markdown:
                table.box = box.MARKDOWN
                for column in table.columns:
                    column.header = str(column.header).replace("\n", " ")
                for row in table.rows:
                    row.end_section = False
            yield table


def _table(title: str, first: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table(title=title)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _steps(found: Sequence[Measured]) -> Tables:
    for cell in CONTENDERS:
        these = [one for one in found if one.job.kind == "step" and one.job.cell == cell]
        if these:
            yield _ratios(f"{cell.upper()}: processor time ÷ by hand, time-batched", these)


def _ratios(title: str, these: Sequence[Measured]) -> "Table":
    table = _table(title, "", *(f"{one.job.size.name}\n{one.job.dtype}" for one in these))
    for name in CONTENDERS[these[0].job.cell]:
        cells = [_ratio(one.medians, name) for one in these]
        if any(cells):
            table.add_row(name, *cells)
    table.add_section()
    seconds = [one.medians[BY_HAND] for one in these]
    table.add_row("by hand, time-batched, ms", *(f"{1e3 * value:.3g}" for value in seconds))
    return table


def _ratio(medians: dict[str, float], name: str) -> str:
    if name not in medians:
        return ""
    return f"{medians[name] / medians[BY_HAND]:.2f}"


def _growth(found: Sequence[Measured]) -> Tables:
    these = [measured for measured in found if measured.job.kind == "growth"]
    if not these:
        return
    names = (BY_HAND, COMPILED, LOOP)
    title = "Growth: µs of processor time a timestep"
    table = _table(title, "T", *names, "compiling, in eager steps")
    for measured in these:
        T, medians = measured.job.size.T, measured.medians
        compiling = median(measured.result["compiling"]) / medians[LOOP]
        costs = [f"{1e6 * medians[name] / T:.2f}" for name in names]
        table.add_row(f"{T:,}", *costs, f"{compiling:.0f}")
    yield table


def _memory(found: Sequence[Measured]) -> Tables:
    peaks = memory(found)
    if not peaks:
        return
    table = _table("Memory: peak, MB", "", "by hand", "compiled: recording", "replaying")
    for (size, dtype), by in peaks.items():
        values = by[BY_HAND]["later"], by[COMPILED]["first"], by[COMPILED]["later"]
        table.add_row(f"{size}, {dtype}", *(f"{value / 1e6:.3g}" for value in values))
    yield table


def _ops(found: Sequence[Measured]) -> Tables:
    for measured in found:
        if measured.job.kind == "ops":
            costs = op_costs(measured)
            names = list(next(iter(costs.values())))
            chains = f"Chains of {measured.job.length:,} ops on shape (10,)"
            title = f"{chains}, forward and backward: µs an op"
            over = [f"{name} - by hand" for name in names[1:]]
            table = _table(title, "", *names, *over)
            for op, by in costs.items():
                extra = [by[name] - by[CHAIN_BY_HAND] for name in names[1:]]
                table.add_row(op, *(f"{1e6 * value:.2f}" for value in (*by.values(), *extra)))
            yield table


def _every_op(found: Sequence[Measured]) -> Tables:
    for measured in found:
        if measured.job.kind == "every op":
            yield _every_op_of(measured)


def _every_op_of(measured: Measured) -> "Table":
    """µs of each op, and what is left of it without its arithmetic and what neg takes."""
    size, by_op = measured.job.size, measured.nested_medians
    names = list(dict.fromkeys(name for by in by_op.values() for name in by))
    title = f"Every op, forward and backward, {size.B} rows of {size.H}: µs"
    table = _table(title, "", *names, "eager ÷ allowed")
    fixed = by_op[every_op.FIXED][every_op.OURS]
    for op, by in by_op.items():
        cells = [f"{1e6 * by[name]:.3g}" if name in by else "" for name in names]
        allowed = 1.3 * by[every_op.ARITHMETIC] + fixed
        table.add_row(op, *cells, f"{by[every_op.OURS] / allowed:.2f}")
    return table


def _layers(found: Sequence[Measured]) -> Tables:
    for measured in found:
        if measured.job.kind == "layers":
            medians = measured.nested_medians
            names = list(next(iter(medians.values())))
            over = [f"{name} ÷ {layers.TORCH}" for name in names[:2] if layers.TORCH in names]
            table = _table("Layers, forward and backward: ms", "", *names, *over)
            for layer, by in medians.items():
                ratios = [f"{by[name] / by[layers.TORCH]:.2f}" for name in names[:2] if over]
                table.add_row(layer, *(f"{1e3 * by[name]:.3g}" for name in names), *ratios)
            yield table


def _forms(found: Sequence[Measured]) -> Tables:
    """Every way to write a step: compiled and eager, ÷ by hand."""
    these = [one for one in found if one.job.kind == "forms"]
    if not these:
        return
    sizes = list(dict.fromkeys(one.job.size.name for one in these))
    heads = [f"{size}\n{how}" for size in sizes for how in ("compiled", "eager")]
    table = _table("Forms: processor time ÷ by hand, time-batched", "", *heads)
    medians = {(one.job.size.name, one.job.cell): one.medians for one in these}
    for form in FORMS:
        cells: list[str] = []
        for size in sizes:
            by = medians.get((size, form.cell), {})
            for name in (form.name, f"{form.name}{EAGER}"):
                cells.append(f"{by[name] / by[FORMS_BY_HAND]:.2f}" if name in by else "")
        table.add_row(form.name, *cells)
    yield table


_COLUMNS = 4  # that a terminal of 80 characters has room for


def _promises(found: Sequence[Measured]) -> Tables:
    """What was measured and the most it may be: a table for all promises about the same places."""
    rows: dict[str, dict[str, str]] = {}
    for verdict in verdicts(found):
        rows.setdefault(verdict.claim, {})[verdict.where] = _judged(verdict)
    claims: dict[tuple[str, ...], list[str]] = {}
    for claim, cells in rows.items():
        claims.setdefault(tuple(cells), []).append(claim)
    for places, these in claims.items():
        if len(places) > _COLUMNS:
            table = _table("Promises", "", *these)
            for place in places:
                table.add_row(place, *(rows[claim][place] for claim in these))
        else:
            table = _table("Promises", "", *places)
            for claim in these:
                table.add_row(claim, *rows[claim].values())
        yield table


def _judged(verdict: Verdict) -> str:
    word = "[green]met[/green]" if verdict.met else "[bold red]missed[/bold red]"
    return f"{verdict.measured:.3g}, at most {verdict.bound:g}: {word}"
