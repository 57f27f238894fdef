"""What there is to play: the recorded run as steps, one per copy, in the order of computing.

The backward pass visits the same parts from last to first, since creation order is a topological
order: that of the engine, see `autograd/backward.py`.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...autograd.tensor import Array
from ...tracing.network.gradients.flow import norm_of
from ...tracing.network.quotient import Block, Piece, Quotient, at_time, indexed, timeless
from ..grid.standing import Standing, shown_arrows

LOSS = "loss"  # the id of its block
Phase = Literal["start", "forward", "seed", "backward", "end"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `part` is what it is about, `newest` the id of the newest tensor made by then."""

    phase: Phase
    text: str
    part: str = ""
    newest: int = -1


@dataclass(frozen=True, slots=True)
class Moment:
    """The computing of one block, with the outputs that are its values."""

    part: str
    label: str
    formula: str  # "h₃ = tanh(…)", or "" where nothing states one
    values: tuple[tuple[str, Piece], ...]  # by what they are called
    newest: int
    appears: tuple[str, ...]  # what the picture shows once it is computed
    links: tuple[str, ...]  # that bring in what it is made of, and lead to its outputs

    def forward(self) -> Step:
        """The step that computes it."""
        names = " and ".join(name for name, _ in self.values)
        text = f"{self.label}: {self.formula or f'{names} is computed'}"
        return Step("forward", text, self.part, self.newest)

    def backward(self, gradients: Mapping[int, Array]) -> Step | None:
        """The step that hands on its complete gradient; None where the backward pass never got."""
        found = [
            (name, piece.of(gradients[piece.node.id]))
            for name, piece in self.values
            if piece.node.id in gradients
        ]
        if not found or self.part == LOSS:
            return None
        norms = ", ".join(f"‖∂L/∂{name}‖ = {norm_of(gradient):.4g}" for name, gradient in found)
        text = f"{self.label}: the gradient has arrived, {norms}"
        return Step("backward", text, self.part, self.newest)


def steps_of(quotient: Quotient, moments: Sequence[Moment]) -> list[Step]:
    """All steps of a run: the start, the forward pass, the backward pass if it was recorded."""
    steps = [_start(quotient), *(moment.forward() for moment in moments)]
    if quotient.gradients:
        back = (moment.backward(quotient.gradients) for moment in reversed(moments))
        steps += [_seed(quotient), *filter(None, back), _END]
    return steps


_END = Step(
    "end",
    "The backward pass is complete: the rows of each ledger sum to the parameter's gradient.",
)


def moments_of(quotient: Quotient) -> list[Moment]:
    """Every computed block, in the order of computing: what is given is there before."""
    standing = Standing(quotient)
    into: defaultdict[str, list[str]] = defaultdict(list)
    for link in shown_arrows(standing):
        into[link.target].append(link.id)
    outputs: defaultdict[Block, list[str]] = defaultdict(list)
    for output in quotient.outputs:
        outputs[output.source].append(output.id)
    moments: list[Moment] = []
    for block in quotient.blocks:
        if block.kind in _COMPUTED and standing.stands(block):
            parts = (block.id, *outputs[block])
            links = [link for id in parts for link in into[id]]
            moments.append(_moment(block, quotient, parts, links))
    return sorted(moments, key=lambda moment: moment.newest)


_COMPUTED = "cell", "bar", "between", "loss"


def _moment(
    block: Block, quotient: Quotient, parts: tuple[str, ...], links: Iterable[str]
) -> Moment:
    newest = _computed(block)
    named = _named(block, quotient)
    formula = ""
    if block.kind == "loss":
        label = "The loss"
        root = quotient.root
        if root.size == 1:
            formula = f"{block.label} = {root.data.item():.6g}"
    elif block.kind == "cell" and block.row is not None:
        label = f"Layer {block.row.number}, t = {block.time}"
        formula = equation_at(_of_states(block), block.time)
    else:
        label = between_label(block)
        formula = between_equation(block, quotient)
    return Moment(block.id, label, formula, named, newest, parts, tuple(links))


def between_label(block: Block) -> str:
    """What is said of a block between copies: what it is, and its time if it has one."""
    label = block.label or block.formula
    if block.column is not None and len(block.columns) == 1:
        label += f", t = {block.column}"
    return label


def between_equation(block: Block, quotient: Quotient) -> str:
    """The formula of a block between copies, with the times of what it reads: "y₂ = W h₂ + b"."""
    formula = equation_at(block.formula, block.time)
    if not formula:
        return ""
    for name, time in _times_of_reads(block, quotient).items():
        word = rf"(?<![\w.]){re.escape(name)}(?![\w.(])"
        formula = re.sub(word, indexed(name, time), formula)
    computed = [piece.node for piece in block.pieces if not piece.node.is_move]
    made = quotient.names.get(computed[-1], "") if computed else ""
    if not made or made in (block.label, block.formula):
        return formula
    if block.column is not None:
        made = indexed(made, block.time if len(block.columns) == 1 else block.column)
    return f"{made} = {formula}"


def _times_of_reads(block: Block, quotient: Quotient) -> dict[str, int]:
    """The time of each name that a block reads, where it is one."""
    times: defaultdict[str, set[int | None]] = defaultdict(set)
    for arrow in quotient.entering[block]:
        for read in arrow.reads:
            node = read.value.node
            times[quotient.names.get(node, "")].add(quotient.time_of(node))
    known: dict[str, int] = {}
    for name, found in times.items():
        time = found.pop()
        if name.isidentifier() and not found and time is not None:
            known[name] = time
    return known


def _computed(block: Block) -> int:
    """The id of the newest value that a block computes, what is only moved left out."""
    made = [piece.node.id for piece in block.pieces if not piece.node.is_move]
    return max(made or [piece.node.id for piece in block.pieces], default=-1)


def _named(block: Block, quotient: Quotient) -> tuple[tuple[str, Piece], ...]:
    """What a block shows to others, by what it is called."""
    if block.kind == "loss":
        return ((block.label, Piece(quotient.root)),)
    if block.kind == "cell" and block.row is not None and block.states:
        names = [indexed(state, block.time) for state in block.state_names]
        return tuple(zip(names, block.states, strict=False))
    shown = block.outputs or block.pieces[-1:]
    return tuple((called(piece, block, quotient), piece) for piece in shown)


def called(piece: Piece, block: Block, quotient: Quotient) -> str:
    """What a value of a block is called: its name in the program, with its time."""
    name = quotient.names.get(piece.node, "")
    time = quotient.time_of(piece.node)
    if not name:
        return block.label or "it"
    return name if time is None else indexed(name, time)


def _of_states(block: Block) -> str:
    """The lines of a copy's equation that make its states: it stands in full beside its numbers."""
    lines = (block.equation or "").splitlines()
    made = {f"{timeless(name)}ₜ" for name in block.state_names}
    own = [line for line in lines if line.partition(" = ")[0] in made]
    return "\n".join(own or lines)


def equation_at(equation: str | None, t: int) -> str:
    """An equation with its timestep filled in, its lines joined.

    >>> equation_at("hₜ = tanh(W hₜ₋₁)", 3)
    'h₃ = tanh(W h₂)'
    >>> equation_at("hₜ = tanh(W hₜ₊₁)", 3)
    'h₃ = tanh(W h₄)'
    """
    return at_time("; ".join((equation or "").splitlines()), t)


class Clock:
    """At which step a tensor is there, and at which its gradient is."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._forward = [
            (step.newest, at) for at, step in enumerate(steps) if step.phase == "forward"
        ]
        self._backward = [
            (-step.newest, at)
            for at, step in enumerate(steps)
            if step.phase in ("seed", "backward")
        ]
        self._last = len(steps) - 1

    def made(self, id: int) -> int:
        """The step that computes the tensor with this creation id."""
        at = bisect_left(self._forward, (id, -1))
        return self._forward[at][1] if at < len(self._forward) else self._last

    def handed_on(self, id: int) -> int:
        """The backward step that gets to it: no later one adds anything to its gradient."""
        at = bisect_right(self._backward, (-id, self._last))
        return self._backward[at - 1][1] if at else self._last


def _start(quotient: Quotient) -> Step:
    given = [block for block in quotient.blocks if block.kind in ("input", "initial")]
    what = "the inputs and the initial state are given" if given else "nothing is computed yet"
    text = f"Before the first step: {what}."
    if not quotient.gradients:
        text += " There is no backward pass in this recording: only the forward pass is played."
    return Step("start", text)


def _seed(quotient: Quotient) -> Step:
    loss, newest = quotient.loss, quotient.root.id
    if loss is None:
        text = "The backward pass starts at the output, with the gradient that was given."
        return Step("seed", text, newest=newest)
    return Step("seed", f"The backward pass starts: ∂L/∂{loss.label} = 1", loss.id, newest)
