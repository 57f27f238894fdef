"""What is neither a copy nor between them: derived parameters, and the loss."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain, islice

from ....autograd.state import Scope
from ...recording.graph import Node
from ..copies.cells import Cells
from ..copies.copies import Copy
from ..copies.lookups import is_at_number, looked_up
from ..copies.sites import frozen
from .leaves import Leaves


def derived_parameters(
    nodes: Sequence[Node], cells: Cells, leaves: Leaves, updated: Iterable[Node]
) -> set[Node]:
    """What is made outside the copies from parameters and constants alone: exp(log_A), W.T.

    But of no parameter that is `updated` from step to step, and no rows that each step looks up.
    """
    found: set[Node] = set()
    constant: set[Node] = set(filter(leaves.is_constant, nodes))
    updated = set(updated)
    begun = _read_first(nodes, cells) | updated
    rows = _rows_looked_up(nodes, cells)
    for node in nodes:
        if node.op is None or cells.of(node) is not None or node in rows:
            continue
        fixed = (x for x in node.tensors() if x not in updated)
        trained = {x for x in fixed if x.is_parameter or x in found}
        others = [x for x in node.tensors() if x not in trained]
        scales = [x for x in others if x not in begun and _only_scales(x, node, leaves)]
        if trained and all(x in constant or x in scales for x in others):
            found.add(node)
        elif node in leaves.steady and not trained and all(x in constant for x in others):
            constant.add(node)
    return found


def _rows_looked_up(nodes: Sequence[Node], cells: Cells) -> set[Node]:
    """The rows that copies look up from outside, whatever is made of them on the way.

    A row that several copies read counts for the first one: that it is no other's own.
    """
    read: defaultdict[Hashable, dict[Hashable, list[Node]]] = defaultdict(dict)
    first: dict[Node, tuple[Hashable, Copy]] = {}  # where a copy reads it, and the first such copy
    alone = _made_of_leaves(nodes, cells)
    for node in reversed(nodes):
        copy = cells.of(node)
        for slot, x in enumerate(node.inputs):
            if x is None or x not in alone:
                continue
            if copy is not None:
                first[x] = (cells.sites.of(node), slot), copy
            elif node in first:
                first[x] = first[node]
        if node in first and is_at_number(node):
            place, copy = first[node]
            read[place, id(node.source)].setdefault(copy, []).append(node)
    return looked_up(read)


def _made_of_leaves(nodes: Iterable[Node], cells: Cells) -> set[Node]:
    """What is made outside the copies, and of leaves alone."""
    found: set[Node] = set()
    for node in nodes:
        if node.op is None or cells.of(node) is not None:
            continue
        if all(x.op is None or x in found for x in node.tensors()):
            found.add(node)
    return found


def _read_first(nodes: Iterable[Node], cells: Cells) -> set[Node]:
    """The leaves that an op outside the copies reads where it reads what was made, another time.

    They are what something fed back is at first.
    """
    leaves: dict[Hashable, list[Node]] = {}
    made: set[Hashable] = set()
    for node in nodes:
        if node.op is None or cells.of(node) is not None:
            continue
        for slot, x in enumerate(node.inputs):
            place = cells.sites.of(node), id(node.source), slot
            if x is not None and x.op is not None:
                made.add(place)
            elif x is not None and not x.is_parameter:
                leaves.setdefault(place, []).append(x)
    return {x for place, found in leaves.items() if place in made for x in found}


def made_of_constants(nodes: Sequence[Node], cells: Cells, leaves: Leaves) -> set[Node]:
    """What every step reads, and was made of constants alone."""
    found: set[Node] = set()
    for node in nodes:
        if node.op is None or cells.of(node) is not None or node not in leaves.steady:
            continue
        if all(x in found or leaves.is_constant(x) for x in node.tensors()):
            found.add(node)
    return found


def _only_scales(x: Node, reader: Node, leaves: Leaves) -> bool:
    """Whether a leaf only scales or shifts a parameter: then it is not input data."""
    return (
        x.op is None
        and x not in leaves.varying
        and x not in leaves.data
        and reader.kind == "elementwise"
        and x.size <= reader.size
        and not (x.size == reader.size and _is_larger_than_parameters(reader))
    )


def _is_larger_than_parameters(node: Node) -> bool:
    return all(x.size < node.size for x in node.tensors() if x.op is not None or x.is_parameter)


def fed_back(nodes: Sequence[Node], cells: Cells) -> dict[Node, Node]:
    """Trained leaves that only begin what goes from step to step outside of the copies.

    As weights that the network itself updates. Wherever such a leaf is read, the same op reads, in
    later steps, something that was made from it: of each leaf one of those values. No copy reads
    it.
    """
    read_at: dict[Hashable, list[Node]] = {}  # place -> what is read there
    places_of: dict[Node, set[Hashable]] = {}
    inside: set[Node] = set()  # what copies read
    for node in nodes:
        for slot, x in enumerate(node.inputs) if node.op is not None else ():
            if x is None:
                continue
            place: Hashable = node if node.source is None else (id(node.source), node.op, slot)
            read_at.setdefault(place, []).append(x)
            if x.is_parameter:
                places_of.setdefault(x, set()).add(place)
                if cells.of(node) is not None:
                    inside.add(x)
    found: dict[Node, Node] = {}
    for leaf, places in places_of.items():
        later = [x for place in places for x in read_at[place][1:]]
        if leaf in inside or leaf in later or not later:
            continue
        if set(later) <= _made_from(leaf, nodes):
            found[leaf] = min(later, key=lambda x: x.id)
    return found


def _made_from(leaf: Node, nodes: Iterable[Node]) -> set[Node]:
    found = {leaf}
    found.update(node for node in nodes if not found.isdisjoint(node.inputs))
    return found


def alike(nodes: Iterable[Node], apart: Mapping[Node, Node]) -> dict[Node, int]:
    """A number for each op: the same for those that do the same to the same.

    `apart` says of leaves which one stands for them.
    """
    number: dict[Node, int] = {}
    known: dict[Hashable, int] = {}
    for node in nodes:
        read = tuple(number.get(x, apart.get(x, x)) for x in node.tensors())
        key = node.op, read, _numbers_of(node), frozen(node.options)
        number[node] = known.setdefault(key, len(known))
    return number


def loss_of(
    nodes: Sequence[Node], root: Node, cells: Cells, derived: set[Node], leaves: Leaves
) -> set[Node]:
    """The ops that only the loss needs: no parameter is read there, and nobody else reads them.

    What is done to the last state as to every one before it is not part of the loss.
    """
    if root.size != 1 or root.op is None or cells.of(root) is not None or root in derived:
        return set()
    # calls that read parameters themselves, but those that the loss as a whole is made in
    inside = {node.scope for node in nodes if node.scope and node.reads_a_parameter}
    inside = inside.difference(root.calls, (copy.call for copy in cells.all))
    candidates = {node for node in nodes if _may_be_loss(node, cells, derived, inside)}
    found = _read_by_loss_alone(nodes, root, candidates)
    others = _done_at_every_step(nodes, found, cells) | _predictions(nodes, found, leaves)
    return _read_by_loss_alone(nodes, root, candidates - others) if others else found


def _predictions(nodes: Sequence[Node], loss: set[Node], leaves: Leaves) -> set[Node]:
    """Ops in the loss that make what is compared with a target, of several values or by a name.

    They are the end of the network: the loss begins where a target comes in.
    """
    crossing: dict[Node, set[Node]] = {}  # op -> two values that it is made of, of no op of L
    expected: set[Node] = set()  # what a target is, or is made of targets alone
    mixed: set[Node] = set()  # what depends on a target
    compared: list[Node] = []
    for node in nodes:
        if node not in loss:
            continue
        given = node.tensors()
        aims = [x for x in given if x in expected or _may_be_target(x, leaves)]
        if aims and len(aims) == len(given):
            expected.add(node)
        elif aims or not mixed.isdisjoint(given):
            mixed.add(node)
        if aims and len(aims) < len(given):
            compared += [x for x in given if x not in aims]
        made = (crossing.get(x, {x}) for x in given if x not in aims)
        several = dict.fromkeys(chain.from_iterable(made))
        crossing[node] = set(islice(several, 2))
    found: set[Node] = set()
    while compared:
        x = compared.pop()
        if x not in loss or x in mixed or x in found:
            continue
        if x.is_move:
            compared += x.tensors()
        elif len(crossing[x]) > 1 or _has_a_name(x):
            _add_made_of(x, loss, found)
    return found


def _has_a_name(x: Node) -> bool:
    return (x.given_name or "").isidentifier()


def _may_be_target(x: Node, leaves: Leaves) -> bool:
    return x.op is None and not x.is_parameter and not leaves.is_constant(x)


def _add_made_of(x: Node, within: set[Node], found: set[Node]) -> None:
    """Add a value and all that it is made of, as far as that is within some ops."""
    found.add(x)
    waiting = [x]
    while waiting:
        for y in waiting.pop().tensors():
            if y in within and y not in found:
                found.add(y)
                waiting.append(y)


def _read_by_loss_alone(nodes: Sequence[Node], root: Node, candidates: set[Node]) -> set[Node]:
    others: set[Node] = set()  # what something else reads
    found: set[Node] = set()
    for node in reversed(nodes):
        if node is root or (node in candidates and node not in others):
            found.add(node)
        else:
            others.update(node.tensors())
    return found


def _done_at_every_step(nodes: Sequence[Node], loss: set[Node], cells: Cells) -> set[Node]:
    """Ops in the loss that are done to a value of a copy as outside of it to that of others.

    So it is of what a layer makes.
    """
    outside = {
        (cells.sites.joint(node, slot, x), _numbers_of(node))
        for node in nodes
        if node not in loss and cells.of(node) is None
        for slot, x in enumerate(node.inputs)
        if x is not None and x.op is not None
    }
    found: set[Node] = set()
    for node in nodes:
        if node in loss:
            for slot, x in enumerate(node.inputs):
                if x is None or (x in loss and x not in found):
                    continue
                of_layer = x.reads_a_parameter and not node.is_move
                handed_on = x in found or cells.of(x) is not None or of_layer
                if handed_on and (cells.sites.joint(node, slot, x), _numbers_of(node)) in outside:
                    found.add(node)
    return found


def _numbers_of(node: Node) -> Hashable:
    """The numbers that an op reads; of a move, which may join a thousand values, there are none."""
    return () if node.is_move else tuple(map(repr, node.numbers))


def _may_be_loss(node: Node, cells: Cells, derived: set[Node], inside: set[Scope]) -> bool:
    if node.op is None or cells.of(node) is not None or node in derived or node.reads_a_parameter:
        return False
    if node.scope in inside:
        return False
    return all(x not in derived or x.size == 1 for x in node.tensors())
