"""What there is to play: the recorded run as steps, one per copy, in the order of computing.

The backward pass visits the same parts from last to first, since creation order is a topological
order: that of the engine, see `autograd/backward.py`.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...autograd.tensor import Array
from ...tracing.network.flow import norm_of
from ...tracing.network.network import Cell, Link, Network, Port, Row, indexed
from ...tracing.recording.graph import Node

LOSS = "loss"  # the id of its port
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
    """The computing of one part: a port, or a cell with the outputs that are its own values."""

    part: str
    label: str
    formula: str  # "h₃ = tanh(…)", or "" where nothing states one
    values: tuple[tuple[str, Node], ...]  # by what they are called
    newest: int
    appears: tuple[str, ...]  # what the picture shows once it is computed
    links: tuple[Link, ...]  # that bring in what it is made of

    def forward(self) -> Step:
        """The step that computes it."""
        names = " and ".join(name for name, _ in self.values)
        text = f"{self.label}: {self.formula or f'{names} is computed'}"
        return Step("forward", text, self.part, self.newest)

    def backward(self, gradients: Mapping[int, Array]) -> Step | None:
        """The step that hands on its complete gradient; None where the backward pass never got."""
        found = [(name, gradients[node.id]) for name, node in self.values if node.id in gradients]
        if not found or self.part == LOSS:
            return None
        norms = ", ".join(f"‖∂L/∂{name}‖ = {norm_of(gradient):.4g}" for name, gradient in found)
        text = f"{self.label}: the gradient has arrived, {norms}"
        return Step("backward", text, self.part, self.newest)


def steps_of(network: Network, moments: Sequence[Moment]) -> list[Step]:
    """All steps of a run: the start, the forward pass, the backward pass if it was recorded."""
    steps = [_start(network), *(moment.forward() for moment in moments)]
    if network.gradients:
        back = (moment.backward(network.gradients) for moment in reversed(moments))
        steps += [_seed(network), *filter(None, back), _END]
    return steps


_END = Step(
    "end",
    "The backward pass is complete: the rows of each ledger sum to the parameter's gradient.",
)


def moments_of(network: Network) -> list[Moment]:
    """Every computed part, in the order of computing: what is given is there before."""
    into: defaultdict[str, list[Link]] = defaultdict(list)
    for link in network.links:
        into[link.target].append(link)
    own = {node: cell.id for cell in network.cells for node in cell.nodes}
    merged: defaultdict[str, list[str]] = defaultdict(list)
    moments: list[Moment] = []
    for port in network.ports:
        if port.node in own:
            merged[own[port.node]].append(port.id)
        elif port.kind in ("output", "loss") and port.node is not None:
            moments.append(_of_port(port, port.node, into[port.id]))
    for cell in network.cells:
        parts = (cell.id, *merged[cell.id])
        links = [link for id in parts for link in into[id]]
        moments.append(_of_cell(cell, network.rows[cell.layer], parts, links))
    return sorted(moments, key=lambda moment: moment.newest)


def _of_port(port: Port, node: Node, links: Iterable[Link]) -> Moment:
    label, formula = f"Output, t = {port.column}", ""
    if port.kind == "loss":
        label = "The loss"
        if node.size == 1:
            formula = f"L = {node.data.item():.6g}"
    return Moment(port.id, label, formula, ((port.label, node),), node.id, (port.id,), tuple(links))


def _of_cell(cell: Cell, row: Row, parts: tuple[str, ...], links: Iterable[Link]) -> Moment:
    names = [indexed(state, cell.t) for state in row.states or ("h",)]
    return Moment(
        part=cell.id,
        label=f"Layer {cell.layer}, t = {cell.t}",
        formula=equation_at(row.equation, cell.t),
        values=tuple(zip(names, cell.outputs, strict=False)),
        newest=max((node.id for node in (*cell.nodes, *cell.outputs)), default=-1),
        appears=parts,
        links=tuple(links),
    )


def equation_at(equation: str | None, t: int) -> str:
    """An equation with its timestep filled in, its lines joined.

    >>> equation_at("hₜ = tanh(W hₜ₋₁)", 3)
    'h₃ = tanh(W h₂)'
    """
    text = "; ".join((equation or "").splitlines())
    return text.replace("ₜ₋₁", indexed("", t - 1)).replace("ₜ", indexed("", t))


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


def _start(network: Network) -> Step:
    given = [port for port in network.ports if port.kind in ("input", "initial")]
    what = "the inputs and the initial state are given" if given else "nothing is computed yet"
    text = f"Before the first step: {what}."
    if not network.gradients:
        text += " There is no backward pass in this recording: only the forward pass is played."
    return Step("start", text)


def _seed(network: Network) -> Step:
    loss = next((port for port in network.ports if port.kind == "loss"), None)
    newest = network.root.id if network.root is not None else -1
    if loss is None:
        text = "The backward pass starts at the output, with the gradient that was given."
        return Step("seed", text, newest=newest)
    return Step("seed", f"The backward pass starts: ∂L/∂{loss.label} = 1", loss.id, newest)
