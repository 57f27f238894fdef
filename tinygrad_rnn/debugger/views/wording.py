"""Events in words: one function a kind, each with the whole text and the brief one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...tracing.questions.names import Names
from ...tracing.recording.event import Event

_OPERANDS_NAMED = 4  # of a stack of many


def describe(names: Names, event: Event, *, brief: bool = False) -> str:
    """An event in one line: "h@2 = tanh(z@2)"; in brief, "h@2 = tanh"."""
    return _DESCRIBE[event.kind](names, event, brief)


def place_of(event: Event) -> list[str]:
    """Timestep and layer of an event, as far as it has them."""
    words: list[str] = []
    if event.copy is not None:
        words.append(f"t={event.copy}")
    if event.layer is not None:
        words.append(f"layer {event.layer}")
    return words


def _forward(names: Names, event: Event, brief: bool) -> str:
    output, op = _output(event), event.op or ""
    name = names.of(output)
    index = f"[{_index_text(output.options)}]" if op == "getitem" else ""
    # An output without a name is called after its op: "tanh#12(z@2)", not "tanh#12 = tanh(z@2)".
    is_unnamed = name.startswith(f"{op}#")
    if brief:
        return name + index if is_unnamed else f"{name} = {op}"
    operands = _operands(names, event)
    if index:
        return f"{name} = {operands}{index}"
    return f"{name}({operands})" if is_unnamed else f"{name} = {op}({operands})"


def _operands(names: Names, event: Event) -> str:
    pairs = list(zip(event.inputs, _output(event).numbers, strict=True))
    shown = []
    for node, number in pairs[:_OPERANDS_NAMED]:
        shown.append(f"{number:.4g}" if node is None else names.of(node))
    if len(pairs) > _OPERANDS_NAMED:
        shown.append(f"… {len(pairs)} in all")
    return ", ".join(shown)


def _vjp(names: Names, event: Event, brief: bool) -> str:
    assert event.of is not None
    gradient, source = f"∂L/∂{names.of(_output(event))}", names.of(event.of)
    if brief:
        return f"{gradient} ← {event.op}"
    # "tanh#12" says already which op it is.
    return f"{gradient} ← {source}" if "#" in source else f"{gradient} ← {source} ({event.op})"


def _seed(names: Names, event: Event, brief: bool) -> str:
    begins = "start" if brief else "the start of the backward pass"
    return f"∂L/∂{names.of(_output(event))} = {begins}"


def _accumulate(names: Names, event: Event, brief: bool) -> str:
    name = names.of(_output(event))
    return f"{name}.grad +=" if brief else f"{name}.grad += ∂L/∂{name}"


def _update(names: Names, event: Event, brief: bool) -> str:
    return f"{names.of(_output(event))} ← new values"


def _zero(names: Names, event: Event, brief: bool) -> str:
    return f"{names.of(_output(event))}.grad ← None"


def _error(names: Names, event: Event, brief: bool) -> str:
    if brief:
        return f"{event.op or 'the program'} raised"
    return (event.message or "").partition("\n")[0]


_DESCRIBE: dict[str, Callable[[Names, Event, bool], str]] = {
    "forward": _forward,
    "seed": _seed,
    "vjp": _vjp,
    "accumulate": _accumulate,
    "update": _update,
    "zero": _zero,
    "error": _error,
}


def _output(event: Event) -> Any:
    assert event.output is not None
    return event.output


def _index_text(options: Mapping[str, Any]) -> str:
    """An index as it is written: 0, 1:3, ..., or the shape of an array of indices."""
    index = options.get("index")
    parts = index if isinstance(index, tuple) else (index,)
    return ", ".join(map(_part_text, parts))


def _part_text(part: Any) -> str:
    if isinstance(part, slice):
        ends = [part.start, part.stop] if part.step is None else [part.start, part.stop, part.step]
        return ":".join("" if end is None else str(end) for end in ends)
    if part is Ellipsis:
        return "..."
    return str(part) if np.ndim(part) == 0 else f"array of {np.shape(part)}"
