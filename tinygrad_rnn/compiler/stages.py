"""The outline of a planned program: calls that are alike are one stage."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ..autograd.tensor import Tensor
from ..outline import Outline, Source, Stage
from ..tracing.network.parameters import names_in
from .capture import Recording
from .plan import Plan
from .program import FREE, Value
from .rewrites.ancestry import self_dependent
from .rewrites.batching import Classes

_REDUCED = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}
_WORDS = {
    "less_one": "less 1 at the target",
    "pick": "pick the target",
    "take": "take rows",
    "sum_rows": "sum rows",
}
_DEPTH = 1  # how far operands of operands must be alike: the first call of a loop may read another


def outline(recording: Recording, plan: Plan) -> Outline:
    """The outline of a plan, and what its recording calls things."""
    computed = [value for value in plan.values if value.kind not in FREE]
    classes = Classes(plan.values).level(_DEPTH)
    groups: dict[int | None, list[Value]] = defaultdict(list)
    for value in computed:
        groups[classes[value.id]].append(value)
    ids = {value: f"stage-{i}" for i, members in enumerate(groups.values()) for value in members}
    names = _Names(recording)
    sources = {value: names.source(value) for value in plan.values if value.kind == "source"}
    ids |= {value: source.id for value, source in sources.items()}
    made_of = _origins(plan.values, ids)
    in_order = self_dependent([*groups.values()], plan.values)
    carried = {members[0] for members in in_order}
    stages = [
        _stage(ids[members[0]], members, made_of, members[0] in carried)
        for members in groups.values()
    ]
    ends = zip(names.results(), plan.results, strict=True)
    results = tuple((name, tuple(made_of[value])) for name, value in ends)
    return Outline(tuple(sources.values()), tuple(stages), results)


def _origins(values: Sequence[Value], ids: dict[Value, str]) -> dict[Value, list[str]]:
    """For every value the stages and sources that it is, or that it is laid together from."""
    found: dict[Value, list[str]] = {}
    for value in values:
        found[value] = [ids[value]] if value in ids else _once(value.inputs, found)
    return found


def _once(values: Iterable[Value], found: dict[Value, list[str]]) -> list[str]:
    return list(dict.fromkeys(id for value in values for id in found[value]))


def _stage(
    id: str, members: Sequence[Value], made_of: dict[Value, list[str]], is_carried: bool
) -> Stage:
    first = members[0]
    why = "each needs the one before" if is_carried else "made in different ways"
    return Stage(
        id=id,
        what=_word(first),
        operands=tuple(x.shape for x in first.inputs),
        shape=first.shape,
        calls=len(members),
        at_once=max(value.stands_for for value in members),
        reads=tuple(_once([x for value in members for x in value.inputs], made_of)),
        why=why if len(members) > 1 else "",
    )


def _word(value: Value) -> str:
    if value.kind == "reduce":
        return _REDUCED.get(value.head) or value.head.__name__
    return _WORDS.get(value.kind) or value.call_name


class _Names:
    """What the recorded function's arguments, parameters and results are called."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.parameters = names_in([module for module, _ in recording.modules.values()])

    def source(self, value: Value) -> Source:
        what, of = value.detail
        name = f"∂L/∂{self._tensor(of)} before" if what == "gradient" else self._tensor(of)
        trained = what == "leaf" and self._leaf(of).requires_grad
        return Source(f"source-{value.id}", name, value.shape, trained)

    def results(self) -> list[str]:
        """The names of what is returned, then of the gradients that are left."""
        count = len(self.recording.outputs)
        returned = ["output"] if count == 1 else [f"output {i}" for i in range(count)]
        left = [gradient.of for gradient in self.recording.gradients if gradient.known is not None]
        return returned + [f"∂L/∂{self._tensor(of)}" for of in left]

    def _tensor(self, of: int) -> str:
        if of < self.recording.argument_count:
            return f"argument {of}"
        leaf = self._leaf(of)
        kind = "parameter" if leaf.requires_grad else "tensor"
        numbered = f"{kind} {of - self.recording.argument_count}"
        return leaf.name or self.parameters.get(leaf.id) or numbered

    def _leaf(self, of: int) -> Tensor:
        return self.recording.leaves[of - self.recording.argument_count]
