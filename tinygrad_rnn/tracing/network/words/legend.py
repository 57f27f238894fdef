"""Which parameters, and what derived of them, a legend has."""

from ..grouping.groups import Group, Groups
from ..parameters import has_parameter
from ..timesteps.pieces import Atom
from .naming import Naming


class Legend:
    """What stands below a picture: the parameters, and what is derived from them."""

    def __init__(self, groups: Groups, naming: Naming) -> None:
        self.groups, self.naming = groups, naming

    def left_out(self) -> set[str]:
        """What is derived without a name, and read by nothing but what prints it in full.

        That is the loss, or what the legend has as well.
        """
        return {
            group.id
            for group in self.groups.groups
            if group.kind == "derived" and not self.naming.of(group.atoms[-1].node)
            if self._is_printed_by_readers(group)
        }

    def _is_printed_by_readers(self, group: Group) -> bool:
        readers = (self.groups.group_of[read.reader] for read in self.groups.read_of(group))
        return all(reader.kind in ("derived", "loss") for reader in readers)

    def trained(self, group: Group) -> str:
        """The name of what is trained, in the legend; "" of all else.

        What the network itself adds updates to is a state, but where it is a module's.
        """
        names = self.groups.parameter_names
        if group.kind not in ("parameter", "initial", "input"):
            return ""
        if all(self._is_updated(atom) and not self._is_of_a_module(atom) for atom in group.atoms):
            return ""
        found = (names.get(atom.node.id, "") for atom in group.atoms if atom.node.is_parameter)
        return ", ".join(dict.fromkeys(found))

    def _is_updated(self, atom: Atom) -> bool:
        """Whether it only begins what something is added to step by step, as weights."""
        after = self.groups.updated.get(atom.node)
        return after is not None and after.op in ("add", "sub") and atom.node in after.inputs

    def _is_of_a_module(self, atom: Atom) -> bool:
        """Whether a call that it is read in is one of a module that has it."""
        readers = (read.reader.node for read in self.groups.readers[atom])
        return any(has_parameter(reader, atom.node) for reader in readers)
