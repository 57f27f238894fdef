"""What leaves the copies: the output of each column, and the loss."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..recording.graph import Graph, Node
from .columns import Columns
from .copies import Copies, Copy
from .entering import Entering, Links
from .routing import Origins

_MANY = -1  # columns: which ones does not matter

Outputs = Mapping[int, Sequence[Node]]  # column -> what leaves there


def used_by_root(graph: Graph, copies: Copies, origins: Origins) -> set[Node]:
    """The values that the root was made from, down to the copies, through stacks and slices."""
    used = set(origins.routing.sources(graph.root))
    stack = list(used)
    while stack:
        node = stack.pop()
        if copies.of(node) is None:
            fresh = [x for x in origins.made_from(node) if x not in used]
            used.update(fresh)
            stack += fresh
    return used


def outputs_of(
    copies: Copies, origins: Origins, entering: Entering, columns: Columns, used: set[Node]
) -> Outputs:
    """In each column y_t, the last value that a parameter made of this column alone.

    Where there is none it is h_t, if that is used.
    """
    found: defaultdict[int, list[Node]] = defaultdict(list)
    for value, copy in _leaving(copies, entering, used):
        found[columns[copy.id]].append(value)
    for column, value in _made_of_one_column(copies, origins, columns).items():
        if value not in entering.between:
            found[column] = [value]
    return dict(sorted(found.items()))


def _leaving(copies: Copies, entering: Entering, used: set[Node]) -> list[tuple[Node, Copy]]:
    """The copies' values that the root was made from, of rows that do not merely feed another."""
    feeding = {source for sources in entering.feeds.values() for source in sources}
    made = [(node, copy) for node in used if (copy := copies.of(node)) is not None]
    leaving = [(node, copy) for node, copy in made if copy not in feeding] or made
    return sorted(leaving, key=lambda pair: pair[0].id)


def _made_of_one_column(copies: Copies, origins: Origins, columns: Columns) -> dict[int, Node]:
    """Outside the copies, the last value of each column made with a parameter, and of no other."""
    made: dict[int, Node] = {}
    column_of: dict[Node, int] = {}
    for node in copies.outside:
        if node.op is None or node.is_move:
            continue
        found = set[int]()
        for source in origins.made_from(node):
            copy = copies.of(source)
            if copy is not None:
                found.add(columns[copy.id])
            elif source in column_of:
                found.add(column_of[source])
        if len(found) > 1:
            column_of[node] = _MANY
        elif found:
            (column_of[node],) = found
            if column_of[node] != _MANY and node.reads_a_parameter:
                made[column_of[node]] = node
    return made


def feedback(entering: Entering, origins: Origins, columns: Columns, outputs: Outputs) -> Links:
    """An output that a later copy reads comes from the output's circle.

    What has no circle comes from its copies: it joins the links between these.
    """
    links = Links()
    for source, copy in entering.fed_back:
        for root in origins.roots(source):
            column = columns[root.id]
            if column in outputs:
                links.add(f"output-{column}", copy.id, "other", source)
            else:
                entering.links.add(root.id, copy.id, "other", source)
    return links
