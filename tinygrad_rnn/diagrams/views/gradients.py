"""Puts what the backward pass left on a grid: a norm in each cell, and one on each way back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...tracing.network.flow import Flow, flow_of, handed_back, together
from ...tracing.network.network import Link, Network
from ..grid.grid import FOLD, Connection, Grid
from ..grid.items import Box, Circle, Item, Opened
from ..picture.lanes import LANE_CROWDED, LANE_DISTANCE
from ..picture.ramp import Ramp, is_non_finite, norm_text


@dataclass(frozen=True, slots=True)
class Overlay:
    """A grid with its gradients, what they are at every step, and the ramp for all of them."""

    grid: Grid
    flow: Flow
    ramp: Ramp

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


def with_gradients(grid: Grid, network: Network) -> Overlay:
    """Return `grid` with the gradients of `network` on its items and connections.

    Raises:
        DrawError: no backward pass was recorded.
    """
    links = {link.id: link for link in network.links}
    shown = {c.id: [links[c.link or c.id]] for c in grid.connections}
    for connection in grid.connections:
        if connection.kind == "loss" and connection.source == FOLD:
            shown[connection.id] = [link for link in network.links if _is_hidden_loss(link, grid)]
    flow = flow_of(network, [link for group in shown.values() for link in group])
    states = {cell.id: network.rows[cell.layer].states for cell in network.cells}
    items = {id: _item(item, flow, states.get(id, ()), network) for id, item in grid.items.items()}
    connections = tuple(
        _connection(c, shown[c.id], _norm(c, shown[c.id], grid, flow, network))
        for c in grid.connections
    )
    whole = replace(
        grid,
        items=items,
        connections=connections,
        lane=grid.lane or LANE_DISTANCE,
        crowded_lane=grid.crowded_lane or LANE_CROWDED,
    )
    norms = [norm for cell in network.cells for norm in flow.parts[cell.id]]
    return Overlay(whole, flow, Ramp.of([*norms, *_norms(whole)]))


def _is_hidden_loss(link: Link, grid: Grid) -> bool:
    return link.kind == "loss" and link.source not in grid.items


def _item(item: Item, flow: Flow, states: Sequence[str], network: Network) -> Item:
    norms = flow.parts.get(item.id, ())
    alarm = any(map(is_non_finite, norms))
    names = states
    match item.face:
        case Box() as face:
            face = replace(face, note=_note(states, norms), alarm=alarm)
            if isinstance(face, Opened) and face.inside:
                face = replace(face, inside=face.inside.with_norms(flow, network.gradients))
        case Circle() as face:
            zero = bool(norms) and norms[0] == 0
            face = replace(face, zero=zero, alarm=alarm)
            names = [item.label]
        case face:
            pass
    return replace(item, face=face, tooltip=_with_norms(item.tooltip, norms, names))


def _note(states: Sequence[str], norms: Sequence[float | None]) -> str:
    several = len(states) > 1
    return " · ".join(
        f"‖∇{name if several else ''}‖ {norm_text(norm)}"
        for name, norm in zip(states, norms, strict=False)
        if norm is not None
    )


def _norm(
    connection: Connection, links: Sequence[Link], grid: Grid, flow: Flow, network: Network
) -> float | None:
    """Return the norm of what comes back.

    That is of one state, or to or from one op outside the copies, or by whole links.
    """
    if connection.state is not None:
        (link,) = links
        return next(iter(flow.links[link.id][connection.state :]), None)
    if connection.reader is not None:
        return handed_back(*connection.reader, network.gradients)
    source = grid.items.get(connection.source)
    if source is not None and source.role == "head":
        return flow.part(connection.target)
    return together(tuple(flow.link(link.id) for link in links))


def _connection(connection: Connection, links: Sequence[Link], norm: float | None) -> Connection:
    return replace(
        connection,
        norm=norm,
        cut=_is_cut(connection, links, norm),
        tooltip=_with_norms(connection.tooltip, (norm,), ["what is handed over, by this way,"]),
    )


def _is_cut(connection: Connection, links: Sequence[Link], norm: float | None) -> bool:
    """Whether a `detach` stops the gradient on this way."""
    if connection.reader is not None:
        return connection.reader[0].op == "detach"
    passes = connection.state is not None and norm  # of several states one may be cut alone
    return any(link.cut for link in links) and not passes


def _with_norms(tooltip: str, norms: Iterable[float | None], names: Iterable[str]) -> str:
    for name, norm in zip(names, norms, strict=False):
        if norm is not None:
            tooltip += f"; ‖∂L/∂{name}‖ = {norm:.4g}"
    return tooltip
