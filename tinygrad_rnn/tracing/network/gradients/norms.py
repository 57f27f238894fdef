"""What a backward pass handed back: at each block, and along each arrow of a quotient.

There is no second theory of backpropagation here: a contribution is what the op that read a value
handed back there, by its own rule and from its own recorded gradient. An arrow's gradient is their
sum over the arrow's reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ....autograd.tensor import Array
from ....errors import DrawError
from ...recording.graph import Node
from ..quotient import Arrow, Block, Piece, Quotient, Read
from .flow import norm_of, term_of, together

State = Literal[
    "number",  # a gradient came back
    "zero",  # one came back, and all of it is exactly 0
    "cut",  # a `detach` stands there: scissors
    "none",  # nothing can come back: integers, conditions, constants
]


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back along an arrow, or to a value.

    Args:
        state: which of the four.
        norm: the joint norm: 0.0 unless the state is "number".
        norms: of an arrow one per value, in the order of `arrow.values`; None where nothing can.
    """

    state: State
    norm: float = 0.0
    norms: tuple[float | None, ...] = ()


class Norms:
    """The norms of a quotient's gradients; each is worked out when somebody asks.

    Raises:
        DrawError: no backward pass was recorded.
    """

    def __init__(self, quotient: Quotient) -> None:
        if not quotient.gradients:
            raise DrawError(
                "there are no gradients to draw: no backward pass was recorded; call "
                "loss.backward() inside the trace, or give the loss itself to draw"
            )
        self._gradients = quotient.gradients
        # what an op hands back to one input, as a whole
        self._terms: dict[tuple[Node, int], Any] = {}
        self._shared = _shared_reads(quotient)

    def arrow(self, arrow: Arrow) -> Returned:
        """What comes back along an arrow."""
        norms: list[float | None] = []
        for value in arrow.values:
            reads = [read for read in arrow.reads if read.value == value]
            found = self.handed_back(value, reads)
            norms.append(None if found is None else norm_of(found))
        joint = together(tuple(norms))
        if joint is None:
            flows = {read.flow for read in arrow.reads}
            return Returned("cut" if "cut" in flows else "none", 0.0, tuple(norms))
        return Returned("number" if joint else "zero", joint, tuple(norms))

    def handed_back(self, value: Piece, reads: list[Read]) -> Array | None:
        """The sum of the contributions at some reads of one value; None where none can be."""
        reads = [read for read in reads if read.flow == "gradient"]
        if not reads:
            return None
        total = np.zeros_like(value.of(value.node.data))
        for read in reads:
            total = total + self.contribution(read)
        return total

    def contribution(self, read: Read) -> Any:
        """What the reader hands back to the value that it reads there."""
        reader, slot = read.reader, read.slot
        gradient = self._gradients.get(reader.node.id)
        if gradient is None:
            return 0.0
        if reader.where is None or (reader.node, slot, read.value) not in self._shared:
            key = reader.node, slot
            if key not in self._terms:
                self._terms[key] = term_of(reader.node, slot, gradient)
            term = self._terms[key]
        else:
            term = term_of(reader.node, slot, reader.only(gradient))
        return 0.0 if term is None else read.value.of(term)

    def reads(self, reads: Iterable[Read]) -> tuple[float | None, ...]:
        """What comes back at some reads: a norm for each value; None where nothing can."""
        of_value: dict[Piece, list[Read]] = {}
        for read in reads:
            of_value.setdefault(read.value, []).append(read)
        found = (self.handed_back(value, ones) for value, ones in of_value.items())
        return tuple(None if term is None else norm_of(term) for term in found)

    def norm(self, piece: Piece) -> float | None:
        """The norm of the whole gradient of a value; None where it requires none."""
        returned = self.value(piece)
        return None if returned.state == "none" else returned.norm

    def value(self, piece: Piece) -> Returned:
        """The whole gradient of a value, or of a part of it."""
        node = piece.node
        if not node.requires_grad:
            return Returned("none")
        gradient = self._gradients.get(node.id)
        norm = 0.0 if gradient is None else norm_of(piece.of(np.asarray(gradient)))
        return Returned("number" if norm else "zero", norm, (norm,))

    def block(self, block: Block) -> Returned:
        """The whole gradient at a block: of the first of its outputs, else of its last value."""
        shown = block.outputs[:1] or block.pieces[-1:]
        return self.value(shown[0]) if shown else Returned("none")


def norms_of(quotient: Quotient) -> Norms:
    """What a backward pass handed back in a network."""
    return Norms(quotient)


def _shared_reads(quotient: Quotient) -> set[tuple[Node, int, Piece]]:
    """Values that several parts of one op read at one input: each hands its own share back."""
    seen: dict[tuple[Node, int, Piece], int] = {}
    on_arrows = (read for arrow in quotient.arrows for read in arrow.reads)
    within = (read for block in quotient.blocks for read in quotient.inside(block))
    for read in (*on_arrows, *within):
        if read.reader.where is not None:
            key = read.reader.node, read.slot, read.value
            seen[key] = seen.get(key, 0) + 1
    return {key for key, count in seen.items() if count > 1}
