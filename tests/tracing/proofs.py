"""What must hold of every quotient, each recomputed from the recorded graph alone."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from tinygrad_rnn.tracing.network.gradients.norms import norms_of
from tinygrad_rnn.tracing.recording.graph import compute, reached


def all_reads(quotient):
    yield from quotient.dropped
    for arrow in quotient.arrows:
        yield from arrow.reads
    for block in quotient.blocks:
        yield from quotient.inside(block)


def mask_of(piece):
    ones = np.ones(piece.node.shape, bool)
    return ones if piece.where is None else piece.where.only(ones).astype(bool)


def prove_coverage(graph, quotient):
    """Every element is in one piece; every op reads each of its inputs; no way leads back."""
    held = {node: np.zeros(node.shape, int) for node in reached([graph.root])}
    home = {}
    for block in quotient.blocks:
        for piece in block.pieces:
            held[piece.node] += mask_of(piece)
            assert (piece, piece.node) not in home
            home[piece, piece.node] = block
    assert all((count == 1).all() for count in held.values())
    for arrow in quotient.arrows:
        assert arrow.source is not arrow.target
        for read in arrow.reads:
            assert home[read.value, read.value.node] is arrow.source
            assert home[read.reader, read.reader.node] is arrow.target
    counted = Counter((read.reader, read.slot, read.value) for read in all_reads(quotient))
    assert all(count == 1 for count in counted.values())
    met = {(read.reader.node, read.slot) for read in all_reads(quotient)}
    for node in held:
        for slot, x in enumerate(node.inputs):
            assert x is None or not x.size or not node.size or (node, slot) in met
    assert all(
        read.reader.node.inputs[read.slot] is read.value.node for read in all_reads(quotient)
    )
    prove_acyclic(quotient)
    assert len({block.id for block in quotient.blocks}) == len(quotient.blocks)


def prove_acyclic(quotient):
    waiting = {block: len(quotient.entering[block]) for block in quotient.blocks}
    free = [block for block, count in waiting.items() if not count]
    done = 0
    while free:
        done += 1
        for arrow in quotient.leaving[free.pop()]:
            waiting[arrow.target] -= 1
            if not waiting[arrow.target]:
                free.append(arrow.target)
    left = [block for block, count in waiting.items() if count]
    assert done == len(quotient.blocks), left


def prove_slices(quotient):
    """Elements that a part of an op does not read may be anything: the part stays bit-equal."""
    rng = np.random.default_rng(0)
    read = defaultdict(list)
    for one in all_reads(quotient):
        read[one.reader].append(one)
    for reader, reads in read.items():
        if reader.where is None and all(one.value.where is None for one in reads):
            continue
        node = reader.node
        operands = [np.array(x) if isinstance(x, np.ndarray) else x for x in node.operands]
        with np.errstate(all="ignore"):
            before = compute(node.rule, operands, node.options)
        for slot, x in enumerate(node.inputs):
            if x is None or x.data.dtype.kind != "f":
                continue
            seen = np.zeros(x.shape, bool)
            for one in reads:
                if one.slot == slot:
                    seen |= mask_of(one.value)
            changed = rng.standard_normal(x.shape).astype(x.data.dtype)
            operands[slot] = np.where(seen, operands[slot], changed)
        with np.errstate(all="ignore"):
            again = compute(node.rule, operands, node.options)
        assert np.array_equal(reader.of(again), reader.of(before), equal_nan=True)


def prove_numbers(graph, quotient):
    """The contributions at all reads of a value, and the seed, are its whole gradient."""
    norms = norms_of(quotient)
    reads_of = defaultdict(list)
    for read in all_reads(quotient):
        reads_of[read.value].append(read)
    for block in quotient.blocks:
        for value in block.pieces:
            node = value.node
            if not node.requires_grad or node is graph.root:
                continue
            gradient = graph.gradients.get(node.id)
            expected = 0 if gradient is None else value.of(np.asarray(gradient))
            total = norms.handed_back(value, reads_of[value])
            total = 0 if total is None else total
            np.testing.assert_allclose(total, expected, rtol=1e-9, atol=1e-12, err_msg=str(node))
    for arrow in quotient.arrows:
        returned = norms.arrow(arrow)
        shares = [
            norms.handed_back(v, [r for r in arrow.reads if r.value == v]) for v in arrow.values
        ]
        known = [share.ravel() for share in shares if share is not None]
        if not known:
            assert returned.state in ("cut", "none")
            continue
        every = np.concatenate(known)
        np.testing.assert_allclose(returned.norm, np.linalg.norm(every), rtol=1e-9)
        assert (returned.state == "zero") == (not every.any())


def prove_time(quotient):
    """No arrow goes back, but along a chain that is said to run backwards.

    What is made of inputs alone is there from the start: all of it may be read in any column.
    """
    backwards = {block for row in quotient.rows if row.reverse for block in row.blocks}
    made = made_by_copies(quotient)
    for arrow in quotient.arrows:
        source, target = arrow.source, arrow.target
        if source not in made or not target.columns:
            continue
        if not (source in backwards and target in backwards):
            assert source.columns[-1] <= target.columns[-1], arrow
    for chain in quotient.chains:
        if chain.row.tree:
            continue
        columns = [copy.columns[0] for copy in chain.copies]
        steps = {b - a for a, b in pairwise(columns)}
        assert all(step * chain.direction >= 1 for step in steps), columns


def made_by_copies(quotient):
    """The copies, and all that depends on them."""
    waiting = list(quotient.cells)
    found = set(waiting)
    while waiting:
        for arrow in quotient.leaving[waiting.pop()]:
            if arrow.target not in found:
                found.add(arrow.target)
                waiting.append(arrow.target)
    return found


def prove(graph, quotient):
    prove_coverage(graph, quotient)
    prove_slices(quotient)
    prove_numbers(graph, quotient)
    prove_time(quotient)
