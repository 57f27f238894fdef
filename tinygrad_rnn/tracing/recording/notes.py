"""What is written down between the events; a note has no number of its own.

From events alone a run cannot be followed where a number leaves the graph: where Python looks at a
value, where a gradient becomes a tensor, where a clipped gradient takes the place of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

from ...autograd.tensor import Array
from .graph import Node
from .held import Gone, is_array
from .source import Source


@dataclass(slots=True, eq=False)
class Remark:
    """What notes of every kind have.

    Args:
        after: how many events came before it.
    """

    after: int

    # A budget counts notes as it counts events

    @property
    def subject(self) -> "Remark":
        return self

    @property
    def used(self) -> list[Node]:
        return []

    @property
    def arrays(self) -> list[Array]:
        """The arrays that it holds itself."""
        return []

    @property
    def recomputable(self) -> int:
        return 0

    def release_term(self) -> list[Array]:
        return []

    def release(self) -> None:
        """Let go of all arrays."""


@final
@dataclass(slots=True, eq=False)
class Look(Remark):
    """Python looked at a tensor: at its "data", or as much as a "bool" or an "int" tells of it."""

    tensor: int
    kind: str
    source: Source


@final
@dataclass(slots=True, eq=False)
class GradientTaken(Remark):
    """The gradient of tensor `of` became a tensor by itself.

    It is what `.grad` of a leaf holds; or what a backward pass found, which `grad` returns, or
    which a hook is given.
    """

    tensor: int
    of: int
    origin: Literal["grad", "pass", "hook"]


@final
@dataclass(slots=True, eq=False)
class Hooked(Remark):
    """A hook put a tensor in the place of the gradient of tensor `of`."""

    tensor: int
    of: int
    source: Source


@final
@dataclass(slots=True, eq=False)
class Replaced(Remark):
    """`.grad` of a leaf was bound to a tensor: by the clipping noted before, or by hand."""

    tensor: int
    leaf: int
    held: Array | Gone
    is_clipped: bool
    source: Source

    @property
    def arrays(self) -> list[Array]:
        return [self.held] if is_array(self.held) else []

    def release(self) -> None:
        if is_array(self.held):
            self.held = Gone.of(self.held)


@final
@dataclass(slots=True, eq=False)
class Clipped(Remark):
    """The gradients of some leaves are clipped, by a rule of `nn.clipping`."""

    leaves: tuple[int, ...]
    rule: str
    settings: Mapping[str, Any]
    source: Source


@final
@dataclass(slots=True, eq=False)
class Optioned(Remark):
    """The values of a tensor are an option of the op that follows, as this array."""

    tensor: int
    array: Array


@final
@dataclass(slots=True, eq=False)
class Symbolic(Remark):
    """The backward pass under way computes with tensors: its terms are what ops have made."""


Note: TypeAlias = Look | GradientTaken | Hooked | Replaced | Clipped | Optioned | Symbolic
