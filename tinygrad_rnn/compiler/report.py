"""What the compiler did, in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..outline import Outline
from .capture import Recording
from .plan import Plan
from .program import FREE, Value
from .stages import outline


@dataclass(frozen=True, slots=True)
class Work:
    """What a recording computed, in numbers, which outlast it."""

    calls: int
    nbytes: int
    flops: int
    computed: int  # values that the results are made from
    removed: int
    rewrites: Counter[str] = field(default_factory=Counter[str])  # how often each was applied

    @classmethod
    def of(cls, recording: Recording, live: Sequence[Value]) -> "Work":
        """The work of a recording, whose results are made from `live`."""
        computed = _computed(live)
        removed = recording.program.repeated + _computed(recording.program.values) - computed
        return cls(recording.ops, recording.nbytes, _flops(live), computed, removed)


@dataclass(frozen=True, slots=True)
class Report:
    """One recording of a compiled function, before and after; `str()` is the table.

    Calls are calls of ops before, of NumPy after. Bytes are those of all results before, of the
    shared memory after.
    """

    calls: tuple[int, int]
    nbytes: tuple[int, int]
    flops: tuple[int, int]  # two for a term of a product, else one an element
    removed: int  # values that nobody needs, or that were there twice
    batched: int  # values that became rows of another
    in_place: int  # values that are written over an operand
    outline: Outline  # what is called, each kind of call once
    rewrites: Mapping[str, int]  # how often each was applied, by name
    notes: Sequence[str]  # why some calls are not compiled

    @classmethod
    def of(cls, recording: Recording, plan: Plan, notes: Sequence[str] = ()) -> "Report":
        """The report on a recording and what was planned for it."""
        before: Work = recording.work
        after = plan.values
        return cls(
            calls=(before.calls, len(plan.calls)),
            nbytes=(before.nbytes, plan.nbytes),
            flops=(before.flops, _flops(after)),
            removed=before.removed,
            batched=max(0, before.computed - _computed(after)),
            in_place=plan.in_place,
            outline=outline(recording, plan),
            rewrites=before.rewrites,
            notes=tuple(notes),
        )

    def __str__(self) -> str:
        rows = [("calls", *self.calls), ("bytes", *self.nbytes), ("flops", *self.flops)]
        lines = [f"{'':8}{'before':>16}{'after':>16}"]
        lines += [f"{name:8}{a:16,}{b:16,}" for name, a, b in rows]
        lines.append(f"removed {self.removed}, batched {self.batched}, in place {self.in_place}")
        lines += self._listed("at once", "at_once")
        lines += self._listed("one after the other", "calls")
        lines += self._rewritten()
        lines += [f"as it is: the function {note}" for note in self.notes]
        return "\n".join(lines)

    def _listed(self, title: str, how_many: str) -> list[str]:
        """A line for each kind of call that computes many values, or that there are many of."""
        many = [(getattr(stage, how_many), stage) for stage in self.outline.stages]
        lines = [f"{count:6,}  {stage}" for count, stage in many if count > 1]
        if how_many == "calls":
            lines = [f"{count:6,}  {stage}: {stage.why}" for count, stage in many if count > 1]
        return [f"{title}:", *lines] if lines else []

    def _rewritten(self) -> list[str]:
        """A line for each rewrite that was applied."""
        lines = [f"{count:6,}  {name}" for name, count in sorted(self.rewrites.items()) if count]
        return ["rewritten:", *lines] if lines else []


def _computed(values: Sequence[Value]) -> int:
    return sum(value.kind not in FREE for value in values)


def _flops(values: Sequence[Value]) -> int:
    return sum(_flops_of(value) for value in values)


def _flops_of(value: Value) -> int:
    if value.kind == "matmul":
        return 2 * value.size * value.operand.shape[-1]
    if value.kind == "reduce":
        return value.operand.size
    if value.kind == "ufunc":
        return value.size
    return 0
