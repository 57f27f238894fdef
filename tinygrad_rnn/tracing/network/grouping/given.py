"""What a network is given: parameters, inputs, initial states, targets and constants."""

from functools import partial

import numpy as np

from ....cached import cached_property
from ...recording.graph import Node
from ..copies.beginnings import STATE
from ..copies.copies import Copy, fed_parameters
from ..copies.recurrence import is_moved
from ..timesteps.pieces import WHOLE, Atom
from .groups import Group, Groups


class Given:
    """Groups the leaves.

    Args:
        groups: those of the copies and of the loss are made.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self._parameters: dict[int, Group] = {}
        self._inputs: dict[Atom, Group] = {}

    def group(self) -> None:
        """Leaves, and what is made of parameters and constants alone."""
        initial: dict[Copy, Group] = {}
        constants: dict[Node, Group] = {}
        leaves = [node for node in self.groups.nodes if node.op is None]
        # what is a part of them may be found among the others
        for node in sorted(leaves, key=self.groups.cells.joined.__contains__):
            for atom in self.groups.pieces.atoms[node]:
                begun = self._begins(atom)
                if begun is not None:
                    if begun not in initial:
                        initial[begun] = self.groups.new("initial")
                        t = f"-{begun.t}" if begun.t else ""
                        initial[begun].begins = begun
                        initial[begun].id = f"initial-{begun.row}{t}"
                    self.groups.add(initial[begun], [atom])
                elif node in self.groups.updated:
                    group = self.groups.new("initial", [atom])
                    group.before = self.groups.updated[node]
                elif node.is_parameter and node not in self._fed:
                    self.groups.add(self._parameter(node), [atom])
                else:
                    self._group_input(atom, constants)
        for copy, group in initial.items():
            if len(group.atoms) > 1:
                group.own.sort(key=partial(self.groups.states_begun, copy))

    @cached_property
    def _fed(self) -> set[Node]:
        """The parameters that are nothing but what comes into copies, as inputs do."""
        found = {node for loop in self.groups.cells.loops for node in fed_parameters(loop)}
        readers = {node: self.groups.readers[Atom(node, WHOLE)] for node in found}
        of = self.groups.cells.of
        return {
            node for node, reads in readers.items() if all(of(read.reader.node) for read in reads)
        }

    def _parameter(self, node: Node) -> Group:
        """One block a parameter: where it was updated in between, each of its values is a piece."""
        if node.id not in self._parameters:
            group = self._parameters[node.id] = self.groups.new("parameter")
            group.label = self.groups.parameter_names.get(node.id, "parameter")
            group.id = f"parameter-{group.label}"
        return self._parameters[node.id]

    def _begins(self, atom: Atom) -> Copy | None:
        """The first copy of a chain whose state it is at first."""
        parts, own = self.groups.cells.joined.get(atom.node), self.groups.pieces.slices.get(atom)
        if parts is not None and own is not None and (own.of(parts) != STATE).any():
            return None
        if own is not None and atom.node in self.groups.cells.begun:
            return self.groups.cells.begun[atom.node]
        waiting = list(self.groups.readers[atom])
        for read in waiting:  # grows
            copy = self.groups.cells.of(read.reader.node)
            if copy is None and is_moved(read.reader.node):
                waiting += self.groups.readers[read.reader]
            elif copy is not None and not copy.before and self.groups.is_state(read):
                return copy
        return None

    def _group_input(self, atom: Atom, constants: dict[Node, Group]) -> None:
        known = self._given_by_another(atom)
        if known is not None:
            self.groups.add(known, [atom])
            return
        readers = [read.reader for read in self.groups.readers[atom]]
        groups = [self.groups.group_of.get(reader) for reader in readers]
        if readers and all(group is not None and group.kind == "loss" for group in groups):
            self.groups.new("target", [atom])
        elif not readers or self.groups.leaves.is_constant(atom.node):
            first = self.groups.leaves.same_as.get(atom.node, atom.node)
            if first not in constants:
                constants[first] = self.groups.new("constant")
            self.groups.add(constants[first], [atom])
        else:
            whole = self._as_slice(atom)
            if whole not in self._inputs:
                self._inputs[whole] = self.groups.new("input")
            self.groups.add(self._inputs[whole], [atom])

    def _as_slice(self, atom: Atom) -> Atom:
        """Of a leaf that is a slice of another one, which is cut, that slice."""
        if atom.node not in self.groups.placement.slice_of:
            return atom
        whole, token = self.groups.placement.slice_of[atom.node]
        cut = Atom(whole, self.groups.placement.times.find(token))
        return cut if cut in self.groups.pieces.slices else atom

    def _given_by_another(self, atom: Atom) -> Group | None:
        """Of a part of a joined array the input or constant that it is, where it is known."""
        value = self.groups.cells.given.get(atom.node)
        if value is None or value.op is not None:
            return None
        group = self.groups.group_of.get(Atom(value, WHOLE))
        if group is None or group.kind not in ("input", "constant"):
            return None
        part = self.groups.pieces.slices[atom].of(atom.node.data)
        same = np.array_equal(np.ravel(part), np.ravel(value.data), equal_nan=True)
        read_here = self.groups.cells.of(
            self.groups.readers[atom][0].reader.node
        ) in self._copies_reading(group)
        return group if same and (read_here or group.kind == "constant") else None

    def _copies_reading(self, group: Group) -> set[Copy | None]:
        reads = (read for atom in group.atoms for read in self.groups.readers[atom])
        return {self.groups.cells.of(read.reader.node) for read in reads}
