"""What of a quotient is drawn as an item, and how high it stands."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...cached import cached_property
from ...tracing.network.quotient import (
    Arrow,
    Block,
    Chain,
    Output,
    Piece,
    Quotient,
    Read,
    Row,
    indexed,
    timeless,
)
from .levels import row_levels, tree_heights

_ON_THE_WAY_MOST = 2  # signs that follow each other on the way of a message
_DRAWN = ("input", "initial", "cell", "bar", "between")


class Ends(NamedTuple):
    """What a connection joins, and as what."""

    kind: str
    source: str
    target: str

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.source}-{self.target}"


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the arrows is drawn as one connection."""

    id: str
    kind: str
    source: str
    target: str
    reads: tuple[Read, ...]


class Standing:
    """What of a quotient is drawn as an item, and where it stands, without its columns.

    Args:
        quotient: the network.

    Attributes:
        item_of: the id of the item that each block is drawn as. Mere moves are none: what comes
            out of them starts where they read. The initial states of a chain are one.
        begun: of each initial state the chains that begin with it, with a circle each.
        hosts: rows on the way of a message, which stand beside copies: the row of these.
        levels: of each row.
        outputs_level: that of the outputs.
        count: how many levels there are.
    """

    def __init__(self, quotient: Quotient) -> None:
        self.quotient = quotient
        self.moves = _moves(quotient)
        # of blocks between the copies, as far as somebody asked: what each of its values reads
        self._made_from: dict[Block, defaultdict[Piece, set[Piece]]] = {}
        self.item_of: dict[Block, str] = {}
        shown = {output.source for output in quotient.outputs}
        for block in quotient.blocks:
            if block.kind not in _DRAWN and block is not quotient.loss:
                continue
            if block.sign == "" and not quotient.leaving[block] and block not in shown:
                continue  # what a program packs its results into
            self.item_of[block] = block.id
        self._chain_of: dict[Block, Chain] = {}
        self.begun: defaultdict[Block, list[Chain]] = defaultdict(list)
        for chain in quotient.chains:
            self._chain_of |= dict.fromkeys(chain.copies, chain)
            for block in chain.initial:
                self.begun[block].append(chain)
        self.item_of.update({block: begun[0].circle for block, begun in self.begun.items()})
        for block in self.moves:
            self.item_of[block] = self.item_of[self.resolved(block)]
        self.hosts = self._hosts()
        self.has_inputs = any(block.kind == "input" for block in self.item_of)
        first = 1 if self.has_inputs else 0
        shown = [row for row in quotient.rows if any(self.stands(b) for b in row.blocks)]
        self.trees = {row: tree_heights(row, self._children(row)) for row in shown if row.tree}
        self.levels = row_levels(shown, self._joins(), self.hosts, self.trees, first)
        top = max(
            [
                first - 1,
                *self.levels.values(),
                *(self.level(block) for row in self.trees for block in row.blocks),
            ]
        )
        self.outputs_level = max(top + 1, 0) if quotient.outputs else max(top, 0)
        self.count = self.outputs_level + 1

    def stands(self, block: Block) -> bool:
        """Whether a block has an item of its own."""
        return block in self.item_of and block not in self.moves

    def resolved(self, block: Block) -> Block:
        """Return the block that a mere move reads; any other block itself."""
        return _behind(block, self.moves)

    def readers(self, block: Block) -> Iterator[Block]:
        """Yield the items that read a block, directly or through mere moves."""
        for arrow in self.quotient.leaving[block]:
            if arrow.target in self.moves:
                yield from self.readers(arrow.target)
            elif arrow.target in self.item_of:
                yield arrow.target

    def is_another(self, label: str, columns: Iterable[int]) -> bool:
        """Whether a state of a copy in some columns, or an input there, is called so."""
        return any(label in _called(one) for column in columns for one in self._named_in[column])

    @cached_property
    def _named_in(self) -> Mapping[int, Sequence[Block]]:
        """The copies and inputs of each column."""
        found: defaultdict[int, list[Block]] = defaultdict(list)
        for block in self.quotient.blocks:
            for column in block.columns if block.kind in ("cell", "input") else ():
                found[column].append(block)
        return found

    def made(self, piece: Piece) -> Piece:
        """Return the value that something is, but for what between the copies only moves it."""
        while piece.node.is_move and len(given := self._read_between(piece)) == 1:
            (piece,) = given
        return piece

    def _read_between(self, piece: Piece) -> set[Piece]:
        """What a part of a value between the copies is made from."""
        block = self._between.get(piece)
        if block is None:
            return set()
        if block not in self._made_from:
            found = self._made_from[block] = defaultdict[Piece, set[Piece]](set)
            entering = (read for arrow in self.quotient.entering[block] for read in arrow.reads)
            for read in (*entering, *self.quotient.inside(block)):
                found[read.reader].add(read.value)
        return self._made_from[block][piece]

    @cached_property
    def _between(self) -> Mapping[Piece, Block]:
        """Of each part of a value between the copies the block that it is in."""
        return {
            piece: block
            for block in self.quotient.blocks
            if block.kind == "between"
            for piece in block.pieces
        }

    def is_cut(self, block: Block) -> bool:
        """Whether a `detach` stands on the way through mere moves to a block that reads there."""
        while block in self.moves:
            entering = (read for arrow in self.quotient.entering[block] for read in arrow.reads)
            if any(read.flow == "cut" for read in entering):
                return True
            block = self.moves[block]
        return False

    def level(self, block: Block) -> int:
        """Return the level that a block of a row stands on."""
        assert block.row is not None
        level = self.levels[block.row]
        if block.row.tree:
            level += self.trees[block.row].get(block, 0)
        return level

    def item_read(self, source: Block, target: Block) -> str:
        """Return the item that a block is to one that reads it.

        Of an input that is the nearest circle, of an initial state that of the reader's chain.
        """
        if source.kind == "initial":
            return self._circle_read(source, target)
        if not source.circles:
            return self.item_of[source]
        reader = target.columns[0] if target.columns else source.columns[-1]
        before = [k for k, column in enumerate(source.columns) if column <= reader]
        return source.circles[before[-1] if before else 0]

    def _circle_read(self, source: Block, target: Block) -> str:
        chains = self.begun.get(source, ())
        own = self._chain_of.get(target)
        if own is not None and own in chains:
            return own.circle
        host = self.hosts.get(target.row) if target.row else None
        beside = (chain.circle for chain in chains if chain.row is host)
        return next(beside, self.item_of[source])

    def begun_name(self, piece: Piece, source: Block, target: Block) -> str:
        """Return what a value of an initial state is called by what reads it.

        A copy of its chain reads it as all its states; a sign beside it as the one that it is.
        """
        own = self._chain_of.get(target)
        if own is not None:
            return own.begun(source)
        named = dict(zip(source.pieces, source.begun, strict=False))
        return named.get(piece, source.label)

    def ends(self, source: Block, arrow: Arrow) -> "Ends":
        """Return what is joined by what is drawn of an arrow."""
        kind, target = self.kind(source, arrow), self.item_of[arrow.target]
        return Ends(kind, self.item_read(source, arrow.target), target)

    def kind(self, source: Block, arrow: Arrow) -> str:
        """Return what an arrow is in the picture: an old state that passes a copy is a message."""
        host = self.hosts.get(arrow.target.row) if arrow.target.row else None
        if source.kind == "initial" and self._is_read_aside(source, arrow.target):
            return "other"
        if source is not arrow.source and source.kind in ("input", "initial"):
            return source.kind
        if host is None or arrow.kind in ("input", "tap"):
            return arrow.kind
        start = source.row
        if source.kind == "initial" or start is host or (start and self.hosts.get(start) is host):
            return "initial" if source.kind == "initial" else "message"
        return arrow.kind

    def _is_read_aside(self, source: Block, target: Block) -> bool:
        """Whether what reads the beginning of a chain is no copy of it, nor beside one."""
        chains = self.begun.get(source, ())
        host = self.hosts.get(target.row) if target.row else None
        rows = {chain.row for chain in chains}
        return bool(chains) and target.row not in rows and host not in rows

    @cached_property
    def arrows(self) -> Sequence[tuple[Block, Arrow]]:
        """What is drawn of the arrows, each with the block that it starts from."""
        return [
            (source, arrow)
            for arrow in self.quotient.arrows
            if (source := self.resolved(arrow.source)) in self.item_of and self.stands(arrow.target)
        ]

    def _children(self, row: Row) -> dict[Block, list[Block]]:
        """Return what each node of a tree reads of its own row."""
        return {
            block: [
                source
                for arrow in self.quotient.entering[block]
                if (source := self.resolved(arrow.source)).row is row
            ]
            for block in row.blocks
        }

    def _joins(self) -> Iterator[Arrow]:
        for source, arrow in self.arrows:
            yield arrow if source is arrow.source else replace(arrow, source=source)

    def _hosts(self) -> dict[Row, Row]:
        """Find the rows on the way of a message: read from a copy, and handed on to the next."""
        hosts: dict[Row, Row] = {}
        quotient = self.quotient
        for row in quotient.rows:
            if row.kind != "between":
                continue
            for block in row.blocks:
                host = self._host(block)
                if host is not None:
                    hosts[row] = host
                    break
        return hosts

    def _host(self, block: Block) -> Row | None:
        """Return the row of the copies that a block stands between, on the way of their message."""
        if not self.stands(block) or len(block.columns) != 1:
            return None
        ahead = self._ahead(block, _ON_THE_WAY_MOST)
        before = self._before(block, _ON_THE_WAY_MOST)
        return next((row for row in ahead if row in before), None)

    def _ahead(self, block: Block, most: int) -> list[Row]:
        """Return the rows of copies that a message leads to from a block, over signs beside it."""
        found: list[Row] = []
        for arrow in self.quotient.leaving[block]:
            target = arrow.target
            if arrow.kind == "message" and target.row is not None:
                found.append(target.row)
            elif most and target.sign and block.sign and target.columns == block.columns:
                found += self._ahead(target, most - 1)
        return found

    def _before(self, block: Block, most: int) -> set[Row]:
        """Return the rows of copies that a block reads in its column, itself or over signs."""
        found: set[Row] = set()
        for arrow in self.quotient.entering[block]:
            source = self.resolved(arrow.source)
            if source.columns != block.columns or source.row is None:
                continue
            if source.kind == "cell":
                found.add(source.row)
            elif most and source.sign and block.sign:
                found |= self._before(source, most - 1)
        return found


def shown_arrows(standing: "Standing") -> Iterator[Shown]:
    """Yield every connection of a network as the unrolled view has it, folded away or not."""
    quotient = standing.quotient
    joined: dict[Ends, list[Read]] = {}
    for source, arrow in standing.arrows:
        if arrow.target is not quotient.loss:
            joined.setdefault(standing.ends(source, arrow), []).extend(arrow.reads)
    for ends, reads in joined.items():
        yield Shown(ends.id, ends.kind, ends.source, ends.target, tuple(reads))
    for output in quotient.outputs:
        source = standing.item_of.get(standing.resolved(output.source))
        if source is None:
            continue
        ends = Ends("output", source, output.id)
        yield Shown(ends.id, ends.kind, ends.source, ends.target, output_reads(output, quotient))
        if quotient.loss is not None and output.used:
            ends = Ends("loss", output.id, quotient.loss.id)
            reads = output_reads(output, quotient)
            yield Shown(ends.id, ends.kind, ends.source, ends.target, reads)


def output_reads(output: Output, quotient: Quotient) -> tuple[Read, ...]:
    """Return the reads by which an output goes into the loss."""
    return tuple(
        read
        for arrow in quotient.leaving[output.source]
        if arrow.target is quotient.loss
        for read in arrow.reads
        if read.value == output.value or read.value.node is output.value.node
    )


def _moves(quotient: Quotient) -> dict[Block, Block]:
    """Return the blocks that only move what one other block makes, each with that block."""
    moves: dict[Block, Block] = {}
    shown = {output.source for output in quotient.outputs}
    for block in quotient.blocks:
        if block.kind != "between" or block.sign != "" or len(block.columns) > 1:
            continue
        sources = {arrow.source for arrow in quotient.entering[block]}
        sources = {_behind(source, moves) for source in sources if source.kind in _DRAWN}
        if len(sources) == 1 and (quotient.leaving[block] or block in shown):
            moves[block] = sources.pop()
    return moves


def _behind(block: Block, moves: dict[Block, Block]) -> Block:
    """Return the block that a mere move reads, also where parts of it are joined again."""
    while block in moves:
        block = moves[block]
    return block


def value_name(piece: Piece, arrows: Iterable[Arrow], standing: Standing) -> str:
    """Return what a value is called on its way: a copy's state under the cell's own name."""
    for arrow in arrows:
        block = standing.resolved(arrow.source)
        if block.kind == "initial":
            names = standing.begun_name(piece, block, arrow.target), arrow.caption
            return ", ".join(filter(None, names))
        if block.row is not None and block.kind == "cell":
            piece = standing.made(piece)
            for state, name in zip(block.states, block.state_names, strict=False):
                if state.node is piece.node:
                    return indexed(name, block.time)
    name = timeless(standing.quotient.name_of(piece.node))
    time = standing.quotient.time_of(piece.node)
    if not name:
        return ""
    if time is None:
        time = _time_on_its_way(name, arrows, standing.quotient)
    label = name if time is None else indexed(name, time)
    is_another = any(standing.is_another(label, arrow.source.columns) for arrow in arrows)
    return "" if is_another else label


def _called(block: Block) -> Container[str]:
    """Return what a copy's states, or an input in each of its circles, are called."""
    if block.kind == "input":
        return block.labels or (block.label,)
    return (block.label, *(indexed(name, block.time) for name in block.state_names))


def _time_on_its_way(name: str, arrows: Iterable[Arrow], quotient: Quotient) -> int | None:
    """The step of what is made between the copies, where it goes on to another column.

    As the first state of a chain it is that before; what is called as copies call a state of their
    own is of no step of these, and what is made once is of none.
    """
    for arrow in arrows:
        source, target = arrow.source, arrow.target
        is_first = any(chain.copies[0] is target for chain in quotient.chains)
        if arrow.kind == "message" and is_first and target.row is not None:
            return target.time + (1 if target.row.reverse else -1)
        is_of_copies = any(name in row.states for row in quotient.rows)
        is_one = source.row is None or len(source.row.blocks) == 1
        if source.columns != target.columns and not (is_of_copies or is_one):
            return source.time
    return None


def about_block(block: Block) -> str:
    """Return what is said of a block where a pointer rests on it."""
    ops = " then ".join(piece.node.op or "" for piece in block.pieces[:6])
    if len(block.pieces) > 6:
        ops += f" … ({len(block.pieces)} ops)"
    words = [block.label, block.formula if block.formula != block.label else "", f"({ops})"]
    return " ".join(filter(None, words))
