"""The unrolled network: what a recorded graph shows once its copies have been found.

Rows are layers (0 at the bottom), columns are timesteps; a `Cell` is one copy, a `Link` is what one
part hands to another. Everything refers to `Node`s of the recorded graph: nothing here is invented
for the picture.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from ...autograd.tensor import Array
from ..recording.graph import Node, reached
from .copies import Structure

_SUBSCRIPTS = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")

LinkKind = Literal["initial", "message", "input", "up", "output", "loss", "other"]


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: the module (or `tg.scope`) whose calls are the copies."""

    layer: int
    path: str  # "rnn", "0", "RNNCell": where the module sits, as the user's code names it
    kind: str  # "RNNCell", "LSTMCell", "GRUCell", the class of any other module, or "scope"
    equation: str | None  # "hₜ = tanh(W_xh xₜ + W_hh hₜ₋₁ + b_h)" when the module states one
    states: tuple[str, ...]  # the messages it passes on: ("h",) or ("h", "c")
    copies: int
    parameters: tuple[str, ...] = ()  # the names of those that its first copy reads
    reverse: bool = False  # True when its calls run from the last column to the first


class Cell(NamedTuple):
    """One copy: call `t` of the module of row `layer`, standing in `column`."""

    layer: int
    t: int
    column: int
    nodes: tuple[Node, ...]  # the ops inside, in creation order
    # its values that somebody outside uses; the first is what the picture calls h_t
    outputs: tuple[Node, ...]
    structure: Structure | None = None  # one object for copies that are made alike

    @property
    def id(self) -> str:
        return f"cell-{self.layer}-{self.t}"


class Port(NamedTuple):
    """A circle of the picture: an input, an output, an initial state or the loss."""

    id: str  # "input-3", "output-3", "initial-0", "loss"
    kind: Literal["input", "output", "initial", "loss"]
    label: str  # "x₃": at most about six characters
    caption: str  # what the user named it (`tensor.name`), or ""
    node: Node | None
    layer: int | None = None  # an initial state belongs to a row
    column: int | None = None  # inputs and outputs belong to a column


class Link(NamedTuple):
    """What one part hands to another. `source` and `target` are ids of cells or ports."""

    kind: LinkKind
    source: str
    target: str
    values: tuple[Node, ...]  # the tensors handed over: (h,) or (h, c)
    cut: bool = False  # a `detach` on the way: the value passes, its gradient does not

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.source}-{self.target}"


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """A parameter, one and the same in every copy."""

    name: str  # "W_hh", "rnn.0.W_hh": as named_parameters() has it
    shape: tuple[int, ...]
    node: Node


@dataclass(frozen=True, slots=True)
class Section:
    """What stands in some columns of a network, or in none, and the links from and to that.

    Of the links to the loss from other columns the first is among them too: it stands for all of
    those.
    """

    cells: tuple[Cell, ...]
    ports: tuple[Port, ...]
    links: tuple[Link, ...]
    # other columns, with a copy that is made otherwise than any of these
    odd: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Network:
    """The whole: at least one row of at least one cell. A section is made when somebody asks.

    Per row there are T-1 links of kind "message" (cell to next cell) and at most one "initial"
    (port to first cell). "input" goes port -> cell, "up" cell -> cell of another row, "output" cell
    -> port, "loss" port/cell -> loss, "other" anything else (for example attention across columns).
    """

    rows: tuple[Row, ...]
    columns: int
    has_inputs: bool
    has_outputs: bool
    section: Callable[[Collection[int]], Section]  # makes the section of these columns
    parameters: tuple[ParameterInfo, ...]
    # node id -> ∂L/∂node, where known
    gradients: Mapping[int, Array] = field(default_factory=dict[int, Array])
    root: Node | None = None  # what everything leads to: where the backward pass starts

    @cached_property
    def _all(self) -> Section:
        return self.section(range(self.columns))

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self._all.cells

    @property
    def ports(self) -> tuple[Port, ...]:
        return self._all.ports

    @property
    def links(self) -> tuple[Link, ...]:
        return self._all.links


def all_nodes(network: Network) -> list[Node]:
    """Everything that was recorded of a network, in creation order."""
    shown = [node for cell in network.cells for node in (*cell.nodes, *cell.outputs)]
    shown += [port.node for port in network.ports if port.node is not None]
    shown += [network.root] if network.root is not None else []
    return sorted(reached(shown), key=lambda node: node.id)


def indexed(name: str, t: int) -> str:
    """A name with the timestep below it.

    >>> indexed("h", 12), indexed("h", -1)
    ('h₁₂', 'h₋₁')
    """
    return name + str(t).translate(_SUBSCRIPTS)
