"""The network in a recorded graph as plain data: the quotient of the graph by its blocks.

Every element that the root depends on belongs to one piece, every piece to one block. An arrow
stands for exactly the reads across it. Nothing here is invented for a picture: what a view leaves
out or folds it decides itself, and says so.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ...autograd.state import Scope
from ...autograd.tensor import Array
from ...cached import cached_property
from ..recording.graph import Node
from .slices import Slice

BlockKind = Literal[
    "input",  # a leaf, or a slice of one, as one column reads it: data, integers, a condition
    "initial",  # a state before the first copy of a chain
    "parameter",  # a leaf that is trained
    "derived",  # made from parameters and constants alone: exp(log_A), W.T
    "constant",  # a leaf that needs no gradient and is the same at every step: in the legend
    "target",  # a leaf that only the loss reads: listed on the loss
    "cell",  # a copy of a recurrent module, scope or plain loop
    "bar",  # a value of several columns that others read as a whole
    "between",  # everything else
    "loss",
]

ArrowKind = Literal[
    "initial",  # from an initial state
    "message",  # along a chain: to the next copy, or to and from a sign on the way there
    "input",  # from an input
    "up",  # within a column, or into a bar
    "skip",  # within a column, past a row of copies
    "tap",  # from a bar to its readers
    "other",  # from one column to another
    "loss",  # into the loss
    "parameter",  # from a parameter, derived or constant: a picture has it in the legend
]

RowKind = Literal["cell", "loop", "between", "bar"]

ReadFlow = Literal["gradient", "cut", "none"]


class Piece(NamedTuple):
    """A part of a value: the elements of one time.

    Args:
        node: the value.
        where: which elements; None: all of them. `where.of(array)` takes them out of an array of
            the value's shape, `where.text` is "[3]" where one index says it, `where.shape` theirs.
    """

    node: Node
    where: Slice | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the part."""
        return self.node.shape if self.where is None else self.where.shape

    def of(self, array: Array) -> Array:
        """These elements of an array of the value's shape: its data, its gradient."""
        return array if self.where is None else self.where.of(array)

    def only(self, array: Array) -> Array:
        """An array of the value's shape, 0 at all other elements."""
        return array if self.where is None else self.where.only(array)


class Read(NamedTuple):
    """An op reads a value: the atom of which arrows are made.

    Args:
        reader: what was computed from it, as a whole or a part.
        slot: which input of the reader's op it is.
        value: what is read.
        flow: "gradient": the op hands a gradient back here; "cut": the value passed a `detach` here
            (scissors); "none": the value requires no gradient, or the op is not differentiable in
            it (integers, conditions, constants: a plain arrow without a lane).
        shape: of what passes: of a value of which a slice is taken that of the slice.
    """

    reader: Piece
    slot: int
    value: Piece
    flow: ReadFlow
    shape: tuple[int, ...]


def shapes_passed(reads: Iterable[Read]) -> Iterable[tuple[int, ...]]:
    """The shapes of what passes at some reads, each once; of a value that is cut in several its."""
    found: dict[Piece, set[tuple[int, ...]]] = {}
    for read in reads:
        found.setdefault(read.value, set()).add(read.shape)
    own = (max(s) if len(s) == 1 else piece.shape for piece, s in found.items())
    return tuple(dict.fromkeys(own))


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a block.

    Args:
        label: what is written in it: "h₃", "x₂", "L", "attention", "W_hh", "α".
        caption: what the program calls it or its value, where that is not the label: "" else.
        formula: of derived, between and loss blocks, and bars: "softmax(q Kᵀ) V", "exp(log_A)".
        equation: of a copy of a row that has one, its own: of what it reads itself.
    """

    label: str = ""
    caption: str = ""
    formula: str = ""
    equation: str = ""


@dataclass(eq=False)
class Block:
    """What a picture may draw as one thing: a box, a circle, a chip, a sign on an arrow.

    Args:
        id: "cell-<row>-<t>", "between-<row>-<t>", "bar-<name>", "input-<column>",
            "input-<column>-<k>" for the k-th (k ≥ 1) input beside it, "initial-<row>", or
            "initial-<row>-<t>" of a chain that begins at copy t > 0, "initial-fed-<k>" of what is
            fed back beside the copies; "parameter-<name>" (derived ones too), "constant-<k>",
            "loss". `t` counts the blocks of a row from 0.
        kind: what it is.
        held: gives its pieces. They are asked for where it is drawn.
        row: its row in `Quotient.rows`; None for inputs, initial states, parameters and the loss.
        t: which block of its row it is, from 0: the call of the copy.
        delay: how much later its timestep is: in a row that runs backwards it counts from the end,
            in one that begins with a later slice of a sequence from that.
        columns: the columns that it stands in: one, several for a bar or a wide op, none for
            parameters and the loss. An initial state stands in the column of its reader. An input
            that several columns read is drawn once in each: see `circles`.
        circles: of an input the id of its circle in each of `columns`: "input-3", "input-3-1"; of
            an initial state that several chains begin with, one for each of these.
        labels: of an input what is written in each of its circles; the first is `label`.
        begun: of an initial state what each of its pieces is called; "" of one that begins several.
        words: gives its words. They are asked for where it is drawn: most blocks of a long run are
            folded away.
        sign: what a small between-block may shrink to on its arrow: "⊕ ⊙ ⊖ ∥ ◇ σ ∇ …"; "" for
            pure moves, which need none (the arrow's caption shows the slice); None: it needs a box.
        call: the call of a module or `tg.scope` that it is, if any.
        prime: what stands behind the names of its states where its row has several chains that
            count alike: h₀ h₁ … and h′₀ h′₁ …
        states: of a cell, the values that it passes on or would: in the order of `Row.states`.
        called: of a cell, the value that its label names: the "h₃" in its box.
        outputs: the pieces that other blocks read, or that the root is: states first; then states
            that nobody reads.
        structure: equal for blocks that are made alike: same ops, wired alike, same parameters.
        trained: of a parameter its name in the legend; of an initial state too, if it is trained.
    """

    id: str
    kind: BlockKind
    held: Callable[[], tuple[Piece, ...]]
    row: "Row | None" = None
    t: int = 0
    delay: int = 0
    columns: tuple[int, ...] = ()
    words: Callable[[], Words] = Words
    sign: str | None = None
    call: Scope | None = None
    prime: str = ""
    states: tuple[Piece, ...] = ()
    called: Piece | None = None
    outputs: tuple[Piece, ...] = ()
    structure: object = None
    circles: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()
    trained: str = ""

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Everything in it, in the order of creation; of a leaf that is one."""
        return self.held()

    @cached_property
    def _words(self) -> Words:
        return self.words()

    @property
    def label(self) -> str:
        """What is written in it."""
        return self._words.label

    @property
    def caption(self) -> str:
        """What the program calls it or its value, where that is not the label: "" else."""
        return self._words.caption

    @property
    def formula(self) -> str:
        """What is computed in it, where it is no copy and no leaf."""
        return self._words.formula

    @property
    def equation(self) -> str:
        """Of a copy of a row that has one, its own: of what it reads itself."""
        return self._words.equation

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The values of which it has parts or all, in the order of creation."""
        return tuple(dict.fromkeys(piece.node for piece in self.pieces))

    @property
    def time(self) -> int:
        """Of a copy the timestep of its states, of what stands between copies its own."""
        return self.t + self.delay

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the states of a copy are called, without their step."""
        return () if self.row is None else tuple(name + self.prime for name in self.row.states)

    @property
    def shown(self) -> Piece | None:
        """The value whose shape and numbers it shows: what its label names, else what leaves it."""
        return self.called or next(iter(self.outputs), None)

    @property
    def is_called_otherwise(self) -> bool:
        """Whether it is a copy of which nobody reads what it is called by.

        As may be the last one of a chain.
        """
        return bool(self.states) and self.outputs[:1] != (self.called,)

    @property
    def parameter(self) -> Piece:
        """Of a parameter, derived or a trained initial state, the value that the legend shows."""
        trained = (piece for piece in self.pieces if piece.node.is_parameter)
        made = self.outputs or self.pieces[-1:]
        return next(trained, made[0]) if self.trained else made[0]

    @property
    def column(self) -> int | None:
        """The column it stands in: of several the last one, None where it stands in none."""
        return self.columns[-1] if self.columns else None

    def __repr__(self) -> str:
        return f"<{self.id}>"


@dataclass(eq=False)
class Arrow:
    """The reads of one block's values by another block.

    Its gradient is the sum, value by value, of the contributions handed back at exactly these
    reads: ask `Flow.arrow(arrow)`.

    Args:
        source: what is read.
        target: what reads.
        kind: as what.
        found: gives its reads. They are asked for where it is drawn, or counted.
        caption: of what a chain begins with what else than its states the program calls it here.
    """

    source: Block
    target: Block
    kind: ArrowKind
    found: Callable[[], tuple[Read, ...]]
    caption: str = ""

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """The reads, in the order of creation of their readers."""
        return self.found()

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.source.id}-{self.target.id}"

    @property
    def values(self) -> tuple[Piece, ...]:
        """What passes along it, each once, in the order of the source's states."""
        return tuple(dict.fromkeys(read.value for read in self.reads))

    @property
    def cut(self) -> bool:
        """Whether a `detach` stands here: the value passes, its gradient does not."""
        flows = {read.flow for read in self.reads}
        return "cut" in flows and "gradient" not in flows

    def __repr__(self) -> str:
        return f"<{self.id}>"


@dataclass(frozen=True, eq=False)
class Row:
    """Blocks beside each other that are the same part of the network: a layer, a head, a loop.

    Args:
        kind: "cell": copies of a module or scope; "loop": copies of a plain loop (dashed border);
            "between": calls of one path, or one formula, outside the copies; "bar".
        number: the <row> of its blocks' ids; cells and loops are counted together, from the bottom.
        path: where the module sits, as the user's code names it: "rnn", "decoder.gru".
        name: the module's class, "scope", "loop at line 24", or the formula.
        equation: "hₜ = tanh(W_xh xₜ + …)" where the module states one: what holds for most copies,
            under the names of what they read, and below it what is otherwise in which.
        states: what the copies pass on, under the cell's own names: ("h", "c"), ("memory", "w_r").
        blocks: in the order of their calls.
        parameters: the names of those that its first block reads.
        layer: which layer it is, from 0; the two directions of one are one layer.
        reverse: its calls run from the last column to the first.
        tree: its calls are the nodes of a tree; columns are the depths.
    """

    kind: RowKind
    number: int
    path: str
    name: str
    equation: str | None = None
    states: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    parameters: tuple[str, ...] = ()
    layer: int = 0
    reverse: bool = False
    tree: bool = False

    @property
    def title(self) -> str:
        """What it is called: "layer 1", "layer 0, reversed"."""
        return f"layer {self.layer}, reversed" if self.reverse else f"layer {self.layer}"


@dataclass(frozen=True, eq=False)
class Chain:
    """Copies of one row, each of which receives from the one before it.

    Args:
        id: "chain-<row>-<n>".
        row: their row.
        copies: in the order of time. (Of a tree: in the order of their calls.)
        direction: 1: columns run to the right; -1: reversed, to the left.
        initial: its initial states; a chain that begins with another one's end has none.
        begins: what each of these is called in this chain.
        circle: the id of the one circle that they are drawn as; "" without any.
    """

    id: str
    row: Row
    copies: tuple[Block, ...]
    direction: Literal[1, -1]
    initial: tuple[Block, ...] = ()
    begins: tuple[str, ...] = ()
    circle: str = ""

    def begun(self, initial: Block) -> str:
        """What one of its initial states is called."""
        named = dict(zip(self.initial, self.begins, strict=False))
        return named.get(initial, initial.label)


@dataclass(frozen=True, slots=True)
class Output:
    """A value that crosses into the loss, or that the root is: a circle at the end of its arrow.

    Args:
        id: "output-<column>", "output-<column>-<k>" for further ones of the column; "output" where
            it belongs to no column.
        value: what it shows.
        source: the block that the value belongs to.
        column: where it stands.
        label: "y₃".
        caption: what the program calls it, "" where the label says it.
        used: whether the root was made from it.
    """

    id: str
    value: Piece
    source: Block
    column: int | None
    label: str
    caption: str = ""
    used: bool = True


@dataclass(frozen=True, slots=True)
class Bracket:
    """Columns that belong to one step of an outer loop: drawn below them."""

    first: int
    last: int
    label: str  # "step 2"


def _nameless(node: Node) -> str:
    return ""


def _timeless(node: Node) -> int | None:
    return None


@dataclass(frozen=True, eq=False)
class Quotient:
    """The whole network.

    Args:
        blocks: all of them; those of rows from the bottom row up and from left to right.
        arrows: all of them, those into and out of parameters too.
        rows: from the bottom of the picture up: cells, betweens and bars as they stand.
        chains: those of all rows.
        columns: how many there are.
        outputs: from left to right.
        brackets: of nested loops, the outer steps.
        parameters: the legend: parameters and derived ones, in the order of their first use.
        constants: … and what is the same at every step and not trained, but for single numbers.
        loss: the block that the root is in, where that is a loss.
        root: what everything leads to, where the backward pass starts.
        gradients: node id -> ∂L/∂node, where recorded.
        inside: the reads of a block whose value is in the same block.
        dropped: reads of other blocks' values that are on no arrow: what is moved there, or goes
            into the loss, is then left out: `stack(ys)[2:]` of y₀.
        name_of: what a node is called wherever it is shown; "" where nobody named it.
        nodes: what the root was made from, in the order of creation.
        time_of: the timestep of a node, where it has one.
    """

    blocks: tuple[Block, ...]
    arrows: tuple[Arrow, ...]
    rows: tuple[Row, ...]
    chains: tuple[Chain, ...]
    columns: int
    outputs: tuple[Output, ...]
    root: Node
    inside: Callable[[Block], tuple[Read, ...]]
    dropped: tuple[Read, ...] = ()
    brackets: tuple[Bracket, ...] = ()
    parameters: tuple[Block, ...] = ()
    constants: tuple[Block, ...] = ()
    loss: Block | None = None
    gradients: Mapping[int, Array] = field(default_factory=dict[int, Array])
    name_of: Callable[[Node], str] = _nameless
    nodes: tuple[Node, ...] = ()
    time_of: Callable[[Node], int | None] = _timeless

    @cached_property
    def names(self) -> Mapping[Node, str]:
        """What each node that has a name is called: "h", "f_gate"; without a timestep."""
        return {node: name for node in self.nodes if (name := self.name_of(node))}

    @cached_property
    def by_id(self) -> Mapping[str, Block]:
        """The blocks by their ids."""
        return {block.id: block for block in self.blocks}

    @cached_property
    def entering(self) -> Mapping[Block, tuple[Arrow, ...]]:
        """The arrows into each block."""
        found: dict[Block, list[Arrow]] = {block: [] for block in self.blocks}
        for arrow in self.arrows:
            found[arrow.target].append(arrow)
        return {block: tuple(arrows) for block, arrows in found.items()}

    @cached_property
    def leaving(self) -> Mapping[Block, tuple[Arrow, ...]]:
        """The arrows out of each block."""
        found: dict[Block, list[Arrow]] = {block: [] for block in self.blocks}
        for arrow in self.arrows:
            found[arrow.source].append(arrow)
        return {block: tuple(arrows) for block, arrows in found.items()}

    @property
    def cells(self) -> tuple[Block, ...]:
        """The copies."""
        return tuple(block for block in self.blocks if block.kind == "cell")


_DIGITS, _LOWERED = "0123456789-+", "₀₁₂₃₄₅₆₇₈₉₋₊"
_SUBSCRIPTS, _FROM_SUBSCRIPTS = str.maketrans(_DIGITS, _LOWERED), str.maketrans(_LOWERED, _DIGITS)
_INDEX = re.compile("(?<![₀-₉])[₋₊]?[₀-₉]{1,9}$")
_STEP = re.compile("(?<!Σ)ₜ([₋₊][₀-₉]{1,9}(?![₀-₉]))?")
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_SUPERSCRIPTS = str.maketrans("0123456789", _RAISED)


def timeless(name: str) -> str:
    """A name without the "_t" at its end: "x_t" is called x, at each timestep."""
    return name.removesuffix("_t") or name


def element_of(name: str) -> str:
    """What one of several is called: of xs it is an x.

    >>> element_of("xs"), element_of("logits")
    ('x', 'logits')
    """
    return name[0] if len(name) == 2 and name[1] == "s" else name


def says_more(caption: str, label: str) -> bool:
    """Whether a caption says more than a label does: that of a list of such values does not.

    >>> says_more("ys", "y₀"), says_more("rewards", "reward₀"), says_more("context", "h₀")
    (False, False, True)
    """
    name = label.rstrip(_LOWERED)
    return timeless(caption) not in (name, f"{name}s")


def indexed(name: str, t: int) -> str:
    """A name with the timestep below it, in place of a "_t" that stands for it.

    >>> indexed("h", 12), indexed("h", -1), indexed("h_t", 3)
    ('h₁₂', 'h₋₁', 'h₃')
    """
    return timeless(name) + str(t).translate(_SUBSCRIPTS)


def number_below(subscript: str) -> int:
    """The number that a subscript is.

    >>> number_below("₁₂"), number_below("₋₁"), number_below("₊₂")
    (12, -1, 2)
    """
    return int(subscript.translate(_FROM_SUBSCRIPTS))


def without_index(label: str) -> tuple[str, int | None]:
    """A label without the number below it, and that number.

    >>> without_index("h₁₂"), without_index("h₋₁"), without_index("L"), without_index("a₋")
    (('h', 12), ('h', -1), ('L', None), ('a₋', None))
    """
    index = _INDEX.search(label)
    if index is None:
        return label, None
    return label[: index.start()], number_below(index[0])


def place_of(label: str) -> str:
    """A label as it is typed: its timestep behind "@".

    >>> place_of("h₁₂"), place_of("h₋₁"), place_of("word′₃"), place_of("L")
    ('h@12', 'h@-1', 'word′@3', 'L')
    """
    name, index = without_index(label)
    return name if index is None else f"{name}@{index}"


def at_time(text: str, t: int) -> str:
    """A text about any step at one of them; Σₜ goes over all.

    >>> at_time("hₜ = tanh(W hₜ₋₁)", 3), at_time("Σₜ yₜ₊₁", 0)
    ('h₃ = tanh(W h₂)', 'Σₜ y₁')
    """
    return _STEP.sub(lambda found: indexed("", t + number_below(found[1] or "₀")), text)


def primes(count: int) -> str:
    """What stands behind a name to tell it from others of the same name.

    >>> primes(0), primes(2), primes(12)
    ('', '′′', '′¹²')
    """
    return "′" * count if count <= 3 else "′" + raised(count)


def primeless(name: str) -> str:
    """A name without what tells it from others of the same name.

    >>> primeless("h"), primeless("h′′"), primeless("h′¹²"), primeless("W²")
    ('h', 'h', 'h', 'W²')
    """
    return re.sub(f"′+[{_RAISED}]*$", "", name)


def raised(number: int) -> str:
    """A number as it stands above a name.

    >>> raised(12)
    '¹²'
    """
    return str(number).translate(_SUPERSCRIPTS)


def at_step(shift: int) -> str:
    """The subscript of what belongs to another step than t.

    >>> at_step(-1), at_step(0), at_step(2)
    ('ₜ₋₁', 'ₜ', 'ₜ₊₂')
    """
    return "ₜ" + f"{shift:+d}".translate(_SUBSCRIPTS) if shift else "ₜ"
