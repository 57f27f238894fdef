"""Which parts of a picture read from which, told by the recorded numbers of the graph alone.

What only moves data is run again on numbers of the parts in place of the data, so that slices are
followed element by element. Of other ops it is tried which elements reach a result: NaN does.
"""

from collections import defaultdict

import numpy as np

from tinygrad_rnn.diagrams.grid.standing import Standing
from tinygrad_rnn.diagrams.grid.unrolled import unrolled_grid
from tinygrad_rnn.tracing.recording.graph import compute, reached

LEGEND = {"parameter", "derived", "constant", "target"}


class Ways:
    """The blocks that read from each other, however their values were moved in between.

    Args:
        quotient: what the picture is of.
        standing: what of it is drawn.
        joins: whether what is joined was made by the join, and not by what is joined.
    """

    def __init__(self, quotient, standing, joins=True):
        self.quotient, self.standing, self.joins = quotient, standing, joins
        self.nodes = sorted(reached([quotient.root]), key=lambda node: node.id)
        self.number = {block: k for k, block in enumerate(quotient.blocks, 1)}
        self.parts = defaultdict(list)  # of a value: the blocks, and their elements
        for block in quotient.blocks:
            for piece in block.pieces:
                self.parts[piece.node].append((block, self.elements(piece)))
        self.makers = {}  # of each element the number of the block that made it; 0: in the legend
        for node in self.nodes:
            self.makers[node] = self.made_by(node)
        self.live = self.find_live()

    def through_joins(self):
        """The same, where a join is followed as a move is."""
        return Ways(self.quotient, self.standing, joins=False)

    def made_by(self, node):
        found = np.zeros(node.shape, int)
        moved = self.moved(node) if node.is_move else None
        for block, mask in self.parts[node]:
            if block.kind in LEGEND:
                continue
            found[mask] = self.number[block]
            if moved is None or block.kind != "between" or not mask.any():
                continue
            mere = block in self.standing.moves or block not in self.standing.item_of
            mere = mere or (block.sign == "∥" and not self.joins)
            if mere or (moved[mask] == moved[mask].flat[0]).all():
                found[mask] = moved[mask]
        return found

    def moved(self, node):
        """The makers of what is moved."""
        options = dict(node.options)
        if node.op in ("astype", "detach"):
            return self.makers[node.inputs[0]]
        if "constant_values" in options:
            options["constant_values"] = 0
        return compute(node.rule, [self.makers[x] for x in node.inputs], options)

    def find_live(self):
        """Of what is only moved, or in the loss, the elements that something goes on with."""
        loss = self.quotient.loss
        live = {node: np.zeros(node.shape, bool) for node in self.nodes}
        self.read_elements = {node: np.zeros(node.shape, bool) for node in self.nodes}
        live[self.quotient.root][...] = True
        for node in reversed(self.nodes):
            for block, mask in self.parts[node]:
                if block.kind == "cell" or (block is not loss and not node.is_move):
                    live[node] |= mask
            for slot, x in enumerate(node.inputs):
                if x is not None and live[node].any():
                    live[x] |= needed(node, slot, live[node])
                    self.read_elements[x] |= needed(node, slot, live[node])
        return live

    def elements(self, piece):
        return piece.only(np.ones(piece.node.shape, bool)).astype(bool)

    def pairs(self):
        """Who reads a value of whom."""
        found = set()
        for node in self.nodes:
            for block, mask in self.parts[node]:
                if block.kind in LEGEND or not self.is_part(block):
                    continue
                own = self.live[node] & mask
                for slot, x in enumerate(node.inputs):
                    if x is None or not own.any():
                        continue
                    for maker in self.read(node, slot, x, own):
                        found.add((maker, self.number[block]))
        blocks = dict(enumerate(self.quotient.blocks, 1))
        return {(blocks[a], blocks[b]) for a, b in found if a and a != b}

    def is_part(self, block):
        """Whether it is drawn, and not only as what it reads."""
        return block in self.standing.item_of and block not in self.standing.moves

    def read(self, node, slot, x, own):
        """The makers of what some elements of a value are made from."""
        made = self.makers[x]
        if node.is_move or own.all():
            return set(made[needed(node, slot, own)].flat)
        return {maker for maker in set(made.flat) if reaches(node, slot, made == maker, own)}


def needed(node, slot, own):
    """The elements of an input that some elements of a result need; of what mixes all."""
    x = node.inputs[slot]
    if node.is_move:
        places = [np.full(one.shape, -1) for one in node.inputs]
        places[slot] = np.arange(x.size).reshape(x.shape)
        options = dict(node.options)
        if "constant_values" in options:
            options["constant_values"] = -1
        if node.op not in ("astype", "detach"):
            places[slot] = compute(node.rule, places, options)
        found = np.zeros(x.size, bool)
        found[places[slot][own & (places[slot] >= 0)]] = True
        return found.reshape(x.shape)
    if node.kind == "elementwise":
        return unbroadcast(own, x.shape)
    return np.full(x.shape, own.any())


def reaches(node, slot, elements, own):
    """Whether some elements of an input change some of the result, where they are others."""
    x = node.inputs[slot]
    if node.kind == "elementwise":
        return (unbroadcast(own, x.shape) & elements).any()
    other = np.nan if x.data.dtype.kind == "f" else np.where(x.data > 0, x.data - 1, 1)
    operands = list(node.operands)
    operands[slot] = np.where(elements, other, x.data).astype(x.data.dtype)
    with np.errstate(all="ignore"):
        changed = compute(node.rule, operands, node.options)
    return bool(((changed != node.data) & own).any())


def unbroadcast(own, shape):
    extra = own.ndim - len(shape)
    found = own.any(axis=tuple(range(extra)))
    short = tuple(i for i, n in enumerate(shape) if n == 1 and found.shape[i] != 1)
    found = found.any(axis=short, keepdims=True)
    return np.broadcast_to(found, shape)


def drawn_pairs(quotient, grid):
    """What the connections join, by the ids of what is drawn; outputs stand on the way to L."""
    whole = {circle: block.id for block in quotient.blocks for circle in block.circles}
    outputs = {output.id: output for output in quotient.outputs}
    made = {
        c.target: whole.get(c.source, c.source) for c in grid.connections if c.target in outputs
    }
    found = set()
    for connection in grid.connections:
        source, target = connection.source, connection.target
        if source in outputs:
            assert outputs[source].used
            found.add((made[source], target))
        elif target not in outputs:
            found.add((whole.get(source, source), target))
        elif quotient.loss is None:
            assert outputs[target].used or outputs[target].value.node is not quotient.root
        named = (passage for passage in connection.passages if passage.cls == "target")
        found |= {(whole.get(one.source, one.source), one.target) for one in named}
    return found


def check_ways(quotient):
    """An arrow from one part to another stands for a read, and every read is on one."""
    standing = Standing(quotient)
    ways = Ways(quotient, standing)
    expected = {(standing.item_of[a], standing.item_of[b]) for a, b in ways.pairs()}
    drawn = drawn_pairs(quotient, unrolled_grid(quotient, None))
    assert drawn - expected == set(), f"arrows where nothing is read: {drawn - expected}"
    assert expected - drawn == set(), f"read, but not joined: {expected - drawn}"
    for output in quotient.outputs:
        read = ways.read_elements[output.value.node] & ways.elements(output.value)
        assert output.used == (output.value.node is quotient.root or read.any())
    check_signs(quotient, standing, ways)


def check_signs(quotient, standing, ways):
    """A sign is one op with one result; what is joined there is read as a whole by somebody."""
    signs = [b for b in quotient.blocks if b.kind == "between" and b.sign and standing.stands(b)]
    unmixed = ways.through_joins().pairs()
    pairs = ways.pairs()
    for sign in signs:
        computed = [piece for piece in sign.pieces if not piece.node.is_move]
        assert len(computed) == (sign.sign != "∥"), sign.formula
        sources = {a for a, b in pairs if b is sign}
        if computed or len(sources) < 2:
            continue
        readers = {b for a, b in pairs if a is sign}
        most = max((sum((one, b) in unmixed for one in sources) for b in readers), default=2)
        assert most > 1, f"{sign.id} is taken apart again"
