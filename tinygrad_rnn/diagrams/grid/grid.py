"""What stands where, without any measures: a network as a grid of slots and levels.

Slots are columns, levels are rows. Level 0 holds the inputs, the levels above it the layers, the
topmost the outputs. Slot 0 is the first column; slot -1 and the one after the last are the margins,
for initial states and the loss. Both the unrolled and the rolled view are grids, so that they are
laid out by the same hand and match side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...errors import DrawError
from ...tracing.network.quotient import Piece, Read
from ..picture.shapes import Passage
from .items import Item

FOLD = "fold"  # the id of the panel that stands for the columns left out
MARGIN = -1  # in place of a column: a slot for the initial state of a chain that begins later
_FOLD_ABOVE, _FOLD_KEEPS = 16, 3

ConnectionKind = Literal["initial", "message", "input", "up", "output", "loss", "other"]
Fold = int | Literal["auto"] | None
_Slots = Sequence[int | None]  # the column in each slot; None: the fold


@dataclass(frozen=True, slots=True)
class Connection:
    """A link between two items; one from an item to itself is the rolled view's loop."""

    id: str
    cls: str
    kind: ConnectionKind
    source: str
    target: str
    label: str = ""
    note: str = ""
    tooltip: str = ""
    norm: float | None = None  # of the gradient that comes back, where one is drawn
    cut: bool = False  # a `detach` stops the gradient
    # Where copies are opened: which state it hands on, or as what it enters from below.
    state: int | None = None
    inlet: int | None = None
    outlet: int | None = None  # … and the place of the part whose value it is
    leaves: int | None = None  # the state as which it leaves on the right, if it is not a message
    link: str = ""  # the id of the connection that it is a part of, where that is another
    reads: tuple[Read, ...] = ()  # what it stands for
    passes: frozenset[Piece] = frozenset()  # the values of its source, wherever they were moved
    value: Piece | None = None  # what passes, where nobody reads it
    in_time: bool = False  # it hands something on to a later column
    laned: bool = False  # it keeps to its lane even if nothing comes back
    # What else it joins: ways that come here through boxes and signs, from end to end.
    passages: tuple[Passage, ...] = ()


def drawn_id(id: str, which: int | Literal["in"] = 0) -> str:
    """Return the id of one of several things that are drawn for one link or port of opened copies.

    They are one for each state; or, on the way to an output, one from each op, counted from the
    output back, and the way "in" to the first op. Number 0 has the id of the link or port itself.
    """
    return f"{id}-{which}" if which else id


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands to the left of a level."""

    level: int
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bracket:
    """Slots that belong to one step of an outer loop, or to one of several chains.

    Args:
        first: the slot in which it begins.
        last: the one in which it ends.
        label: what stands below it.
        begins: how far from the left of the first slot, as a share of that: of a fold a part.
        ends: how far from the left of the last one.
    """

    first: int
    last: int
    label: str
    begins: float = 0.0
    ends: float = 1.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Items by id, connections between them, and the column in each slot (None: the fold).

    `lane` is how far beside the middle of each connection its way back is drawn, and
    `crowded_lane` how far where one comes around to its source or target; 0: no way back is drawn.
    """

    items: Mapping[str, Item]
    connections: tuple[Connection, ...]
    headings: tuple[Heading, ...]
    slots: tuple[int | None, ...]
    levels: int
    folded: int = 0  # how many columns the fold stands for
    left_out: int = 0  # links to or from folded columns that are not drawn
    detached: int = 0  # folded copies to which a state comes by way of a `detach`
    unlike: tuple[str, ...] = ()  # in folded columns, copies made otherwise than any shown
    brackets: tuple[Bracket, ...] = ()
    steps: Mapping[int, int] = field(default_factory=dict[int, int])  # by which columns are headed
    panels: bool = True  # draw each column as a panel with its timestep
    lane: float = 0.0
    crowded_lane: float = 0.0


def slots_of(columns: int, fold: Fold) -> tuple[int | None, ...]:
    """Return the column in each slot, None for the fold.

    Raises:
        DrawError: `fold` is not "auto", None or a positive int.
    """
    keep = columns
    if fold == "auto":
        if columns > _FOLD_ABOVE:
            keep = _FOLD_KEEPS
    elif fold is not None:
        if not isinstance(fold, int) or isinstance(fold, bool) or fold < 1:
            raise DrawError(
                'fold is "auto", None or how many copies to keep at each end (at least 1), '
                f"not {fold!r}"
            )
        keep = fold
    if columns <= 2 * keep:
        return tuple(range(columns))
    return (*range(keep), None, *range(columns - keep, columns))
