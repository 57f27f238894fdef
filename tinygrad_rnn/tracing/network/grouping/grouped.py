"""Which block every piece belongs to: the groups of atoms of a graph, and their columns."""

from collections.abc import Mapping, Sequence

from ...recording.graph import Node
from ..copies.cells import Cells
from ..timesteps.pieces import WHOLE, Atom
from .between import Between
from .columns import Columns
from .fed_back import FedBack
from .given import Given
from .groups import Groups
from .made import Made


def grouped(root: Node, nodes: Sequence[Node], cells: Cells, owners: Mapping[int, str]) -> Groups:
    """Sort all atoms of a graph into groups; the first of these that fits has it.

    Args:
        root: what everything leads to.
        nodes: all, in creation order.
        cells: the copies among them.
        owners: id of a module that the program itself called -> its variable there.
    """
    groups = Groups(root, nodes, cells, owners)
    _group_copies(groups)
    _group_loss(groups)
    Given(groups).group()
    made, between, columns = Made(groups), Between(groups), Columns(groups)
    made.group()
    made.group_filled()
    between.group_bars()
    between.group()
    columns.place_between()
    FedBack(groups).find()
    columns.place_leaves()
    groups.dropped = groups.find_dropped()
    return groups


def _group_copies(groups: Groups) -> None:
    """Each copy is a group; its atoms are those that others read, or that read others."""
    cells = groups.cells
    for copy in cells.all:
        group = groups.of_copy[copy] = groups.new("cell", copy=copy)
        group.id = f"cell-{copy.row}-{copy.t}"
        group.columns = (groups.placement.columns[copy],)
    met = [Atom(node, WHOLE) for node in groups.nodes if cells.of(node) is not None]
    for atom in (*met, *groups.readers):
        copy = cells.of(atom.node)
        if copy is not None:
            groups.group_of[atom] = groups.of_copy[copy]


def _group_loss(groups: Groups) -> None:
    if groups.loss:
        own = (node for node in groups.nodes if node in groups.loss)
        atoms = [atom for node in own for atom in groups.pieces.atoms[node]]
        group = groups.new("loss", atoms)
        group.id, group.label = "loss", "L"
