"""Events in words, at full length or brief."""

from ...tracing.questions.names import Names
from ...tracing.questions.notation import index_text
from ...tracing.recording.event import (
    Accumulate,
    Event,
    Failure,
    Forward,
    Seed,
    Update,
    Vjp,
    Zero,
)
from ...tracing.recording.graph import Node

_OPERANDS_NAMED = 4  # of a stack of many


def describe(names: Names, event: Event, *, brief: bool = False) -> str:
    """An event in one line: "h@2 = tanh(z@2)"; in brief, "h@2 = tanh"."""
    match event:
        case Forward():
            return _forward(names, event.output, brief)
        case Vjp():
            return _vjp(names, event, brief)
        case Seed(output=output):
            begins = "start" if brief else "the start of the backward pass"
            return f"∂L/∂{names.of(output)} = {begins}"
        case Accumulate(output=leaf):
            name = names.of(leaf)
            return f"{name}.grad +=" if brief else f"{name}.grad += ∂L/∂{name}"
        case Update(output=leaf):
            return f"{names.of(leaf)} ← new values"
        case Zero(output=leaf):
            return f"{names.of(leaf)}.grad ← None"
        case Failure(op=op, message=message):
            return f"{op or 'the program'} raised" if brief else message.partition("\n")[0]


def place_of(event: Event, steps: int = 1) -> list[str]:
    """Training step, where there are several, timestep and layer of an event, where it has them."""
    words: list[str] = []
    if steps > 1:
        words.append(f"step {event.step}/{steps}")
    if event.copy is not None:
        words.append(f"t={event.copy}")
    if event.layer is not None:
        words.append(f"layer {event.layer}")
    return words


def _forward(names: Names, output: Node, brief: bool) -> str:
    name, op = names.of(output), output.op or ""
    index = f"[{index_text(output.options.get('index'))}]" if op == "getitem" else ""
    # An output without a name is called after its op: "tanh#12(z@2)", not "tanh#12 = tanh(z@2)".
    is_unnamed = name.startswith(f"{op}#")
    if brief:
        return name + index if is_unnamed else f"{name} = {op}"
    operands = _operands(names, output)
    if index:
        return f"{name} = {operands}{index}"
    return f"{name}({operands})" if is_unnamed else f"{name} = {op}({operands})"


def _operands(names: Names, output: Node) -> str:
    pairs = list(zip(output.inputs, output.numbers, strict=True))
    shown: list[str] = []
    for node, number in pairs[:_OPERANDS_NAMED]:
        shown.append(f"{number:.4g}" if node is None else names.in_formula(node, output))
    if len(pairs) > _OPERANDS_NAMED:
        shown.append(f"… {len(pairs)} in all")
    return ", ".join(shown)


def _vjp(names: Names, event: Vjp, brief: bool) -> str:
    gradient, source = f"∂L/∂{names.in_formula(event.output, event.of)}", names.of(event.of)
    if brief:
        return f"{gradient} ← {event.op}"
    # "tanh#12" says already which op it is.
    return f"{gradient} ← {source}" if "#" in source else f"{gradient} ← {source} ({event.op})"
