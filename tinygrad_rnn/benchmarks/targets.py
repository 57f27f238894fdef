"""What the project promises of its speed and memory, and whether a run keeps it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from statistics import median

from . import forms, layers, per_op
from .conduct import Measured
from .contenders import BY_HAND, COMPILED, JAX, LAYER, LOOP, MIN_CHAR_RNN, TORCH_LAYER, TORCH_LOOP

# By size, and where they differ by dtype.
Bounds = dict[str, float | dict[str, float]]

RATIOS: list[tuple[str, str, Bounds]] = [
    (COMPILED, BY_HAND, {"karpathy": 1.10, "medium": 1.05, "large": 1.05}),
    (COMPILED, MIN_CHAR_RNN, {"karpathy": 0.22, "medium": 0.80, "large": 0.88}),
    (COMPILED, TORCH_LAYER, {"karpathy": 0.22, "medium": 1.02, "large": 1.05}),
    (COMPILED, JAX, {"karpathy": 0.75, "medium": 0.95, "large": 0.85}),
    (
        LOOP,
        TORCH_LOOP,
        {"karpathy": 0.60, "medium": {"float64": 1.25, "float32": 1.35}, "large": 1.30},
    ),
    (LAYER, TORCH_LAYER, {"karpathy": 0.90, "medium": 1.45, "large": 1.30}),
]
GATED: list[tuple[str, str, Bounds]] = [
    (COMPILED, BY_HAND, {"medium": 1.15}),
    (COMPILED, TORCH_LAYER, {"medium": 1.30}),
]
FORMS = {"karpathy": 1.15, "medium": 1.06}  # compiled ÷ by hand, however it is written
SEPARATE = 1.15  # a matrix for each gate ÷ one for all
MEMORY = {"large": 1.5, "karpathy": 4.0}
LINEAR = 1.1  # the power of T
COMPILING = 100.0  # eager steps
PER_OP = 0.6


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promise, what was measured, and the most it may be."""

    claim: str
    where: str
    measured: float
    bound: float

    @property
    def met(self) -> bool:
        return self.measured <= self.bound


def verdicts(found: Sequence[Measured]) -> list[Verdict]:
    """On every promise that the run says something about."""
    return [
        *_ratios(found),
        *_growth(found),
        *_memory(found),
        *_ops(found),
        *_layers(found),
        *_forms(found),
    ]


def _ratios(found: Sequence[Measured]) -> Iterator[Verdict]:
    for measured in (measured for measured in found if measured.job.kind == "step"):
        job, medians = measured.job, measured.medians
        for contender, reference, bounds in RATIOS if job.cell == "rnn" else GATED:
            bound = bounds.get(job.size.name)
            if bound is not None and reference in medians:
                bound = bound[job.dtype] if isinstance(bound, dict) else bound
                claim = f"{job.cell.upper()}: {contender} ÷ {reference}"
                where, ratio = (
                    f"{job.size.name} {job.dtype}",
                    medians[contender] / medians[reference],
                )
                yield Verdict(claim, where, ratio, bound)


def _growth(found: Sequence[Measured]) -> Iterator[Verdict]:
    grown = [one for one in found if one.job.kind == "growth" and one.job.size.name == "karpathy"]
    if not grown:
        return
    for measured in grown:
        steps = median(measured.result["compiling"]) / measured.medians[LOOP]
        yield Verdict("compiling ÷ an eager step", f"T={measured.job.size.T:,}", steps, COMPILING)
    lengths = [measured.job.size.T for measured in grown]
    where = f"T={lengths[len(lengths) // 2]:,} to {lengths[-1]:,}"
    costs = {name: [measured.medians[name] for measured in grown] for name in (COMPILED, LOOP)}
    costs["compiling"] = [median(measured.result["compiling"]) for measured in grown]
    for name, seconds in costs.items():
        yield Verdict(f"{name}: power of T", where, power(lengths, seconds), LINEAR)


def power(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """The p of seconds ~ T^p, from the middle length to the greatest.

    Below the middle, what does not grow weighs too much.
    """
    middle = len(lengths) // 2
    return log(seconds[-1] / seconds[middle]) / log(lengths[-1] / lengths[middle])


def _memory(found: Sequence[Measured]) -> Iterator[Verdict]:
    peaks = memory(found)
    for (size, dtype), bytes_of in peaks.items():
        name = size.partition(":")[0]
        if name in MEMORY:
            for when, what in (("first", "recording"), ("later", "replaying")):
                ratio = bytes_of[COMPILED][when] / bytes_of[BY_HAND][when]
                claim = f"peak memory, {what} ÷ by hand"
                yield Verdict(claim, f"{size} {dtype}", ratio, MEMORY[name])


def memory(found: Sequence[Measured]) -> dict[tuple[str, str], dict[str, dict[str, int]]]:
    """Bytes by size and dtype, by contender, and by when: at the first steps or at later ones."""
    peaks: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for measured in found:
        job = measured.job
        if job.kind == "memory":
            peaks.setdefault((str(job.size), job.dtype), {})[job.contender] = measured.result
    return peaks


def _ops(found: Sequence[Measured]) -> Iterator[Verdict]:
    for measured in found:
        if measured.job.kind == "ops" and measured.job.size.name == "karpathy":
            for op, costs in op_costs(measured).items():
                if per_op.TORCH in costs:
                    by_hand = costs[per_op.BY_HAND]
                    ratio = (costs[per_op.OURS] - by_hand) / (costs[per_op.TORCH] - by_hand)
                    claim = f"{op} over NumPy: eager ÷ PyTorch eager"
                    yield Verdict(claim, "shape (10,)", ratio, PER_OP)


def _forms(found: Sequence[Measured]) -> Iterator[Verdict]:
    for measured in found:
        size, cell = measured.job.size.name, measured.job.cell
        if measured.job.kind != "forms" or size not in FORMS:
            continue
        by = measured.medians
        where = f"{size} {measured.job.dtype}"
        these = [form for form in forms.FORMS if form.cell == cell]
        for form in these:
            claim = f"{form.name}: compiled ÷ by hand"
            yield Verdict(claim, where, by[form.name] / by[forms.BY_HAND], FORMS[size])
        for form in these:
            if form.separate:
                claim = f"{form.name} ÷ {these[0].name}"
                yield Verdict(claim, where, by[form.name] / by[these[0].name], SEPARATE)


def _layers(found: Sequence[Measured]) -> Iterator[Verdict]:
    for measured in found:
        if measured.job.kind != "layers" or measured.job.size.name == "tiny":
            continue
        for layer, by in measured.nested_medians.items():
            if layers.TORCH in by:
                most = 1.0 if "large" in layer else 0.6
                for name, bound in ((layers.EAGER, 1.2), (layers.COMPILED, most)):
                    yield Verdict(
                        f"layer: {name} ÷ PyTorch", layer, by[name] / by[layers.TORCH], bound
                    )


def op_costs(measured: Measured) -> dict[str, dict[str, float]]:
    """Seconds an op, forward and backward, by op and by who ran it."""
    found = measured.result["seconds"]
    return {
        op: {name: median(values) for name, values in runs.items()} for op, runs in found.items()
    }
