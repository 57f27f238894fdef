"""Puts what the backward pass left on a grid: a norm in each cell, and one on each way back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..tracing.network import Link, Network
from .flow import Flow, flow_of, together
from .grid import FOLD, Connection, Grid, Item
from .ramp import Ramp, is_sick, norm_text
from .theme import Theme


@dataclass(frozen=True, slots=True)
class Overlay:
    """A grid with its gradients on it, what they are at every step, and the ramp for all of them."""

    grid: Grid
    flow: Flow
    ramp: Ramp


def with_gradients(grid: Grid, network: Network, theme: Theme) -> Overlay:
    """Return `grid` with the gradients of `network` on its items and connections.

    Raises:
        DrawError: no backward pass was recorded.
    """
    links = {link.id: link for link in network.links}
    shown = {c.id: [links[c.id]] for c in grid.connections}
    for connection in grid.connections:
        if connection.kind == "loss" and connection.source == FOLD:
            shown[connection.id] = [link for link in network.links if _is_hidden_loss(link, grid)]
    flow = flow_of(network, [link for group in shown.values() for link in group])
    states = {cell.id: network.rows[cell.layer].states for cell in network.cells}
    items = {id: _item(item, flow, states.get(id, ())) for id, item in grid.items.items()}
    connections = tuple(_connection(c, shown[c.id], flow) for c in grid.connections)
    norms = [norm for cell in network.cells for norm in flow.parts[cell.id]]
    ramp = Ramp.of([*norms, *(connection.norm for connection in connections)], theme)
    return Overlay(replace(grid, items=items, connections=connections, lanes=True), flow, ramp)


def _is_hidden_loss(link: Link, grid: Grid) -> bool:
    return link.kind == "loss" and link.source not in grid.items


def _item(item: Item, flow: Flow, states: Sequence[str]) -> Item:
    norms = flow.parts.get(item.id, ())
    idle, sick = bool(norms) and norms[0] == 0, any(map(is_sick, norms))
    if item.role != "cell":
        return replace(item, idle=idle, sick=sick, tooltip=_told(item.tooltip, norms[:1], [item.label]))
    known = [(name, norm) for name, norm in zip(states, norms, strict=False) if norm is not None]
    several = len(states) > 1
    note = " · ".join(f"‖∇{name if several else ''}‖ {norm_text(norm)}" for name, norm in known)
    return replace(item, note=note, idle=idle, sick=sick, tooltip=_told(item.tooltip, norms, states))


def _connection(connection: Connection, links: Iterable[Link], flow: Flow) -> Connection:
    norm = together(tuple(flow.link(link.id) for link in links))
    return replace(
        connection,
        norm=norm,
        cut=any(link.cut for link in links),
        tooltip=_told(connection.tooltip, (norm,), ["what is handed over, by this way,"]),
    )


def _told(tooltip: str, norms: Iterable[float | None], names: Iterable[str]) -> str:
    told = [f"‖∂L/∂{name}‖ = {norm:.4g}" for name, norm in zip(names, norms, strict=False) if norm is not None]
    return "; ".join([tooltip, *told])
