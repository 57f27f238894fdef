"""Puts what the backward pass left on a grid: a norm in each block, and one on each way back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...tracing.network.flow import together
from ...tracing.network.norms import Norms, norms_of
from ...tracing.network.quotient import Block, Piece, Quotient
from ..grid.grid import Connection, Grid
from ..grid.items import Bar, Box, Circle, Item, Opened, Plate, Sign
from ..picture.lanes import LANE_CROWDED, LANE_DISTANCE
from ..picture.ramp import Ramp, is_non_finite, norm_text


@dataclass(frozen=True, slots=True)
class Overlay:
    """A grid with its gradients, what they are at every step, and the ramp for all of them."""

    grid: Grid
    flow: Norms
    ramp: Ramp
    # of each item: what it holds, by the names of these
    parts: Mapping[str, Mapping[str, float | None]]

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
    for connection in grid.connections:
        yield connection.norm
    for item in grid.items.values():
        if item.inside:
            yield from item.inside.norms.values()


def with_gradients(grid: Grid, quotient: Quotient) -> Overlay:
    """Return `grid` with the gradients of `quotient` on its items and connections.

    Raises:
        DrawError: no backward pass was recorded.
    """
    flow = norms_of(quotient)
    pieces = dict(_pieces(quotient))
    parts = {
        id: {name: flow.norm(piece) for name, piece in pieces[id].items()}
        for id in grid.items
        if id in pieces
    }
    items = {id: _item(item, parts.get(id, {}), flow, quotient) for id, item in grid.items.items()}
    connections = tuple(_connection(c, flow) for c in grid.connections)
    whole = replace(
        grid,
        items=items,
        connections=connections,
        lane=grid.lane or LANE_DISTANCE,
        crowded_lane=grid.crowded_lane or LANE_CROWDED,
    )
    cells = (flow.norm(piece) for cell in quotient.cells for piece in cell.states)
    return Overlay(whole, flow, Ramp.of([*cells, *_norms(whole)]), parts)


def _pieces(quotient: Quotient) -> Iterator[tuple[str, dict[str, Piece]]]:
    """Yield for each item what its norms are of, under its names."""
    for block in quotient.blocks:
        for id in block.circles or (block.id,):
            yield id, named_pieces(block)
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


def _item(item: Item, norms: Mapping[str, float | None], flow: Norms, quotient: Quotient) -> Item:
    known = {name: norm for name, norm in norms.items() if norm is not None}
    alarm = any(map(is_non_finite, known.values()))
    match item.face:
        case Box() as face:
            face = replace(face, note="", notes=_notes(known), alarm=alarm)
            if isinstance(face, Opened) and face.inside:
                face = replace(face, inside=face.inside.with_norms(flow, quotient.gradients))
        case Circle() as face:
            zero = bool(known) and all(norm == 0 for norm in known.values())
            face = replace(face, zero=zero, alarm=alarm)
        case Plate() | Bar() as face:
            total = together(tuple(norms.values()))
            note = "" if total is None else f"‖∇‖ {norm_text(total)}"
            face = replace(face, note=note, alarm=alarm)
        case Sign() as face:
            face = replace(face, alarm=alarm)
        case face:
            pass
    return replace(item, face=face, tooltip=_with_norms(item.tooltip, known.items()))


def _notes(norms: Mapping[str, float]) -> tuple[str, ...]:
    several = len(norms) > 1
    return tuple(f"‖∇{name if several else ''}‖ {norm_text(norm)}" for name, norm in norms.items())


def _connection(connection: Connection, flow: Norms) -> Connection:
    norms = flow.reads(connection.reads)
    norm = together(norms)
    flows = {read.flow for read in connection.reads}
    about = _with_norms(
        connection.tooltip,
        [("what is handed over, by this way,", norm)] if norm is not None else (),
    )
    cut = (connection.cut or "cut" in flows) and "gradient" not in flows
    return replace(connection, norm=0.0 if cut else norm, cut=cut, tooltip=about)


def _with_norms(tooltip: str, norms: Iterable[tuple[str, float | None]]) -> str:
    for name, norm in norms:
        if norm is not None:
            tooltip += f"; ‖∂L/∂{name or '·'}‖ = {norm:.4g}"
    return tooltip
