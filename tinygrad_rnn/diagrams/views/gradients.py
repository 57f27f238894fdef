"""Puts norms on a grid: one in each block, and one on each connection.

They are those of what the backward pass left, on the ways back; or of the difference to another
run, on what is handed on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...autograd.tensor import Array
from ...tracing.network.gradients.differences import Differences
from ...tracing.network.gradients.flow import together
from ...tracing.network.gradients.norms import Norms, norms_of
from ...tracing.network.quotient import Block, Piece, Quotient
from ..grid.grid import Connection, Grid
from ..grid.items import (
    NOTE_SIZE,
    NOTE_WIDTH_MOST,
    Bar,
    Box,
    Circle,
    Glyph,
    Item,
    Opened,
    Plate,
    Sign,
)
from ..picture.lanes import LANE_CROWDED, LANE_DISTANCE
from ..picture.ramp import Ramp, is_non_finite, look_of, norm_text
from ..picture.shapes import Edge
from ..picture.text_metrics import fit_apart, text_width
from .options import Options


@dataclass(frozen=True, slots=True)
class Words:
    """What the norms of a picture are called."""

    title: str  # "Gradients"
    note: str  # behind it: "‖∂L/∂·‖ on the way back:"
    before: str  # a value's name, in full: "∂L/∂"
    sign: str  # … and in a block: "∇"
    zero: str  # what a norm of exactly 0 means
    is_forward: bool = False  # they are of what is handed on


GRADIENTS = Words("Gradients", "‖∂L/∂·‖ on the way back:", "∂L/∂", "∇", "exactly zero")
DIFFERENCES = Words("Difference", "‖Δ·‖ of what is handed on:", "Δ", "Δ", "exactly equal", True)


def words_for(options: Options) -> Words:
    """Return what the gradients of a picture are called: of the loss, or of another value."""
    of = options.of
    if not of:
        return GRADIENTS
    note = f"‖∂{of}/∂·‖ on the way back:"
    return Words("Influence", note, f"∂{of}/∂", "∇", "exactly zero: no influence")


def turned(edge: Edge, norm: float, ramp: Ramp) -> Edge:
    """Return an edge as the way back along it, in the colour and width of what comes back."""
    look = look_of(norm, ramp)
    return replace(
        edge,
        id=f"gradient-{edge.id}",
        cls="gradient",
        source=edge.target,
        target=edge.source,
        points=edge.points[::-1],
        color=look.color,
        width=look.width,
        dashed=look.dashed,
        label=None,
        note=None,
    )


@dataclass(frozen=True, slots=True)
class Overlay:
    """A grid with its norms, what they are at every step, and the ramp for all of them."""

    grid: Grid
    flow: Norms | Differences
    ramp: Ramp
    # of each item: what it holds, by the names of these
    parts: Mapping[str, Mapping[str, float | None]]
    words: Words = GRADIENTS

    def between(self, scale: tuple[int, int] | None) -> "Overlay":
        """Return it with the scale that was chosen for its colours, if one was."""
        return replace(self, ramp=self.ramp.between(scale))

    @property
    def norms(self) -> Iterator[float | None]:
        """Those of all that comes back in the picture."""
        return _norms(self.grid)

    @property
    def has_cuts(self) -> bool:
        """Whether a `detach` stops a gradient somewhere in the picture."""
        insides = [item.inside for item in self.grid.items.values() if item.inside]
        return any(c.cut for c in self.grid.connections) or any(
            inside.is_cut(id) for inside in insides for id in inside.reads
        )


def _norms(grid: Grid) -> Iterator[float | None]:
    """Yield the norms but of what a `detach` cuts: nothing arrives there, which is no zero."""
    for connection in grid.connections:
        if not connection.cut:
            yield connection.norm
    for item in grid.items.values():
        inside = item.inside
        if inside:
            yield from (norm for id, norm in inside.norms.items() if not inside.is_cut(id))


def with_gradients(grid: Grid, quotient: Quotient, words: Words = GRADIENTS) -> Overlay:
    """Return `grid` with the gradients of `quotient` on its items and connections.

    Raises:
        DrawError: no backward pass was recorded.
    """
    return _with_norms(grid, quotient, norms_of(quotient), words)


def with_differences(grid: Grid, quotient: Quotient, deltas: Mapping[int, Array]) -> Overlay:
    """Return `grid` with how far its values are off, `deltas` by the ids of their nodes."""
    return _with_norms(grid, quotient, Differences(deltas), DIFFERENCES)


def _with_norms(grid: Grid, quotient: Quotient, flow: Norms | Differences, words: Words) -> Overlay:
    pieces = dict(_pieces(quotient))
    parts = {
        id: {name: flow.norm(piece) for name, piece in pieces[id].items()}
        for id in grid.items
        if id in pieces
    }
    connections = tuple(_connection(c, flow, words) for c in grid.connections)
    whole = replace(grid, connections=connections)
    if not words.is_forward:
        lane, crowded = grid.lane or LANE_DISTANCE, grid.crowded_lane or LANE_CROWDED
        whole = replace(whole, lane=lane, crowded_lane=crowded)
    norms = _Norms(flow, quotient, words)
    items = {id: norms.on(item, parts.get(id, {})) for id, item in grid.items.items()}
    whole = replace(whole, items=items)
    cells = (flow.norm(piece) for cell in quotient.cells for piece in cell.states)
    ramp = Ramp.of([*cells, *_norms(whole)])
    if words.is_forward:
        whole = replace(whole, items={id: _outlined(x, parts, ramp) for id, x in items.items()})
    return Overlay(whole, flow, ramp, parts, words)


def _outlined(item: Item, parts: Mapping[str, Mapping[str, float | None]], ramp: Ramp) -> Item:
    """Colour the outline of what is another by how far it is off."""
    norm = together(tuple(parts.get(item.id, {}).values()))
    face = item.face
    if norm is None or isinstance(face, Glyph):
        return item
    return replace(item, face=replace(face, look=look_of(norm, ramp)))


def _pieces(quotient: Quotient) -> Iterator[tuple[str, dict[str, Piece]]]:
    """Yield for each item what its norms are of, under its names."""
    for block in quotient.blocks:
        pieces = named_pieces(block)
        for id in block.circles or (block.id,):
            yield id, pieces
    for output in quotient.outputs:
        yield output.id, {output.label: output.value}


def named_pieces(block: Block) -> dict[str, Piece]:
    """Return what a block is to others, by name: a copy's states, else what others read of it."""
    if block.kind == "cell" and block.row is not None and block.states:
        return dict(zip(block.row.states, block.states, strict=False))
    if block.kind in ("cell", "bar", "between", "loss"):
        found = block.outputs or block.pieces[-1:]
        if len(found) == 1:
            return {"": found[0]}
        return {f"v{number}": piece for number, piece in enumerate(found)}
    return {"": block.pieces[0]} if block.pieces else {}


@dataclass(frozen=True, slots=True)
class _Norms:
    """Writes norms on items."""

    flow: Norms | Differences
    quotient: Quotient
    words: Words

    def on(self, item: Item, norms: Mapping[str, float | None]) -> Item:
        """Return an item with its norms."""
        known = {name: norm for name, norm in norms.items() if norm is not None}
        alarm = any(map(is_non_finite, known.values()))
        match item.face:
            case Box() as face:
                block = self.quotient.by_id.get(item.id)
                several = len(known) > 1 or (block is not None and block.is_called_otherwise)
                names = self._names(known) if several else [""] * len(known)
                notes = tuple(map(self._note, names, known.values()))
                face = replace(face, note="", notes=notes, alarm=alarm)
                total = together(tuple(known.values()))
                if isinstance(face, Opened) and total is not None and not face.has_room:
                    face = replace(face, notes=(self._note("", total),))
                if isinstance(face, Opened) and face.inside and isinstance(self.flow, Norms):
                    inside = face.inside.with_norms(self.flow, self.quotient.gradients)
                    face = replace(face, inside=inside)
            case Circle() as face:
                zero = bool(known) and all(norm == 0 for norm in known.values())
                face = replace(face, zero=zero and not self.words.is_forward, alarm=alarm)
            case Plate() | Bar() as face:
                total = together(tuple(norms.values()))
                note = "" if total is None else self._note("", total)
                face = replace(face, note=note, alarm=alarm)
            case Sign() as face:
                face = replace(face, alarm=alarm)
            case face:
                pass
        tooltip = _told(item.tooltip, known.items(), self.words)
        return replace(item, face=face, tooltip=tooltip)

    def _names(self, norms: Mapping[str, float]) -> list[str]:
        """Return the names of states, cut so that a number stands beside each in a copy."""
        numbers = (text_width(self._note("", norm), NOTE_SIZE) for norm in norms.values())
        return fit_apart(list(norms), NOTE_WIDTH_MOST - max(numbers, default=0.0), NOTE_SIZE)

    def _note(self, name: str, norm: float) -> str:
        if norm == 0 and self.words.is_forward:
            return f"{name} equal".strip()
        return f"‖{self.words.sign}{name}‖ {norm_text(norm)}"


def _connection(connection: Connection, flow: Norms | Differences, words: Words) -> Connection:
    norms = flow.reads(connection.reads)
    if words.is_forward and not connection.reads and connection.value is not None:
        norms = (flow.norm(connection.value),)  # it is handed on, though nobody reads it
    norm = together(norms)
    about = _told(
        connection.tooltip,
        [("what is handed over, by this way,", norm)] if norm is not None else (),
        words,
    )
    if words.is_forward:
        return replace(connection, norm=norm, tooltip=about)
    flows = {read.flow for read in connection.reads}
    cut = (connection.cut or "cut" in flows) and "gradient" not in flows
    return replace(connection, norm=0.0 if cut else norm, cut=cut, tooltip=about)


def _told(tooltip: str, norms: Iterable[tuple[str, float | None]], words: Words) -> str:
    for name, norm in norms:
        if norm is not None:
            tooltip += f"; ‖{words.before}{name or '·'}‖ = {norm:.4g}"
    return tooltip
