"""What constants are called."""

import numpy as np

from ...recording.graph import Node
from ..grouping.groups import Group, Groups
from ..parameters import attribute_name
from ..timesteps.pieces import WHOLE
from .formulas import number_text
from .naming import Naming


class Constants:
    """What the constants of a network are called."""

    def __init__(self, groups: Groups, naming: Naming) -> None:
        self.groups, self.cells, self.naming = groups, groups.cells, naming

    def label(self, group: Group) -> str:
        """What a constant is called; "" for one number."""
        node = self._array(group)
        if group.atoms[0].label != WHOLE:  # of a sequence only what fills it up
            return ""
        readers = [read.reader.node for atom in group.atoms for read in self.groups.readers[atom]]
        name = attribute_name(node, readers[:1]) or self.naming.caption(node)
        name = f"{name[:-2]}ᵀ" if name.endswith(".T") else name
        if name or not node.size or (node.data == node.data.flat[0]).all():
            return name
        shape = node.shape
        if len(shape) == 2 and shape[0] == shape[1] and (node.data == np.eye(shape[0])).all():
            return "I"
        return "constant"

    def _array(self, group: Group) -> Node:
        """The array that a constant is, and not one that it is only a part of."""
        nodes = [atom.node for atom in group.atoms]
        return next((node for node in reversed(nodes) if node not in self.cells.joined), nodes[-1])

    def in_formula(self, group: Group) -> str:
        node = self._array(group)
        label = self.label(group)
        if label or node.is_gone or not node.size:
            return label
        first = group.atoms[0]
        return number_text(self.groups.pieces.piece(first).of(first.node.data).flat[0])
