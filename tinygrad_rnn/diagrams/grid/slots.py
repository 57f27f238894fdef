"""The slots of a grid: its columns, the fold in their midst, and room beside them."""

from collections.abc import Iterator, Mapping

from ...cached import cached_property
from ...tracing.network.quotient import Block, Chain
from .grid import MARGIN, Fold, slots_of
from .standing import Standing


class Slots:
    """The columns that are drawn, and what else takes the room of one.

    Args:
        standing: what stands on which level.
        fold: how many columns are folded away.

    Attributes:
        all: from left to right the column in each slot; None for the fold, MARGIN for room.
        slot_of: of a column that is drawn its slot.
        fold: the slot of the fold, if there is one.
    """

    def __init__(self, standing: Standing, fold: Fold) -> None:
        self._standing, self._quotient = standing, standing.quotient
        self.all = self._with_margins(slots_of(standing.quotient.columns, fold))
        self.slot_of = {
            column: slot
            for slot, column in enumerate(self.all)
            if column is not None and column != MARGIN
        }
        self.fold = self.all.index(None) if None in self.all else None

    def share(self, column: int) -> tuple[int, float, float]:
        """The slot of a column, and from where to where in it: of the fold a part is its own."""
        if column in self.slot_of:
            return self.slot_of[column], 0.0, 1.0
        assert self.fold is not None
        place = self._folded[column]
        return self.fold, place / len(self._folded), (place + 1) / len(self._folded)

    @cached_property
    def _folded(self) -> Mapping[int, int]:
        """Which of the columns in the fold each of them is."""
        columns = range(self._quotient.columns)
        folded = (column for column in columns if column not in self.slot_of)
        return {column: place for place, column in enumerate(folded)}

    def _with_margins(self, columns: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Leave room before each chain whose initial state would stand in another's way."""
        quotient, standing = self._quotient, self._standing
        occupied = {
            (standing.level(block), column)
            for block in quotient.blocks
            if block.row is not None and standing.stands(block)
            for column in block.columns
        }
        occupied.update(self._passed())
        before: set[int] = set()
        after: set[int] = set()
        for chain in quotient.chains:
            if not chain.initial or not chain.copies:
                continue
            first = chain.copies[0]
            column, way = self.column_begun(chain), chain.direction
            if (standing.level(first), column - way) in occupied:
                (before if way == 1 else after).add(column)
        for block in quotient.blocks:
            if block.kind == "initial" and block not in standing.begun:
                before.update(block.columns)  # it would stand in the way of what goes up there
        slots: list[int | None] = []
        for column in columns:
            if column in before and slots and slots[-1] is not None:
                slots.append(MARGIN)
            slots.append(column)
            if column in after:
                slots.append(MARGIN)
        return tuple(slots)

    def column_begun(self, chain: Chain) -> int:
        """Return the column beside which a chain's initial state stands.

        Something else may read it before the first copy does.
        """
        first = chain.copies[0].columns[0]
        if chain.direction == -1 or len(self._standing.begun[chain.initial[0]]) > 1:
            return first
        return min(first, *(block.columns[0] for block in chain.initial))

    def _passed(self) -> Iterator[tuple[int, int]]:
        """Yield the level and the column of each place that something goes up through."""
        standing = self._standing
        for source, arrow in standing.arrows:
            target = arrow.target
            if target.row is None or target.row.tree or len(target.columns) != 1:
                continue
            (column,) = target.columns
            if column not in source.columns or source.kind == "initial":
                continue
            level = 0 if source.row is None else standing.level(source)
            for between in range(level + 1, standing.level(target)):
                yield between, column

    def span(self, block: Block) -> tuple[int, int] | None:
        """Return the first and the last slot of a block; None where it is folded away."""
        slots = [self.slot_of[column] for column in block.columns if column in self.slot_of]
        if not slots:
            return None
        first, last = min(slots), max(slots)
        fold = self.fold
        if fold is not None:
            hidden = [column for column in block.columns if column not in self.slot_of]
            if hidden:
                first, last = min(first, fold), max(last, fold)
        return first, last
