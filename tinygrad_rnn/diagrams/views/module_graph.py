"""What a graph without copies is drawn as: its modules, at a depth at which it can be read.

A module that is but one op, as a product with its bias, is drawn as that op, with its parameters.
In a chain of modules of one kind the middle ones are folded, as the columns of a network are.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...autograd.state import Scope
from ...tracing.recording.graph import Node
from ..grid.grid import Fold, slots_of
from ..inside.anatomy import Anatomy, Inlet, Part, parts_of_modules
from ..inside.parts import chip_labels

PARTS_READABLE = 24
_LEVELS_MOST = 32  # of modules in modules that are tried
_PARTS_LEAST = 4  # fewer say nothing of what a model is made of
EVERYTHING = 0  # as a depth: down to the ops


@dataclass(frozen=True, slots=True)
class ModuleGraph:
    """The parts of a graph, and those that a fold stands for."""

    anatomy: Anatomy
    shown: Sequence[Part]
    folds: Sequence[Sequence[Part]] = ()
    closed: int = 0  # calls of modules that are drawn as one part

    @property
    def ops(self) -> int:
        """How many ops there are: a bias that is added belongs to its product."""
        parts = (*self.shown, *(part for run in self.folds for part in run))
        return sum(len(part.absorbed) + 1 if part.module else 1 for part in parts)


def module_graph(
    nodes: Sequence[Node],
    names: Mapping[int, str],
    inlets: Mapping[Node, Inlet],
    *,
    depth: int | None,
    fold: Fold,
) -> ModuleGraph:
    """Return what is drawn of a graph.

    Args:
        nodes: its ops.
        names: the parameters among what they read, by their ids.
        inlets: the other leaves.
        depth: how many levels of modules are open; None: as many as make parts that can be read.
        fold: how chains of modules are folded.
    """
    ops = Anatomy(nodes, names, inlets, labels=chip_labels(names.values()))
    if depth == EVERYTHING:
        return ModuleGraph(ops, ops.parts)
    if depth is not None:
        modules = parts_of_modules(nodes, None, depth)
        return _closed(ops, nodes, names, inlets, modules, fold)
    graphs = [ModuleGraph(ops, ops.parts)]
    if len(ops.parts) > PARTS_READABLE:
        calls = {node: node.calls[:_LEVELS_MOST] for node in nodes}
        for level in reversed(range(max(map(len, calls.values())))):
            modules = {node: chain[level] for node, chain in calls.items() if len(chain) > level}
            graphs.append(_closed(ops, nodes, names, inlets, modules, fold))
    telling = [graph for graph in graphs if len(graph.shown) >= _PARTS_LEAST] or graphs
    for graph in telling:
        if len(graph.shown) <= PARTS_READABLE:
            return graph
    return min(telling, key=lambda graph: len(graph.shown))


def _closed(
    ops: Anatomy,
    nodes: Sequence[Node],
    names: Mapping[int, str],
    inlets: Mapping[Node, Inlet],
    modules: Mapping[Node, Scope],
    fold: Fold,
) -> ModuleGraph:
    """Return the graph with modules closed: the calls that its ops are part of."""
    inner: defaultdict[Scope, set[Part]] = defaultdict(set)
    for part in ops.parts:
        for node in (part.node, *part.absorbed):
            if node in modules:
                inner[modules[node]].add(part)
    larger = {call for call, parts in inner.items() if len(parts) > 1}
    modules = {node: call for node, call in modules.items() if call in larger}
    within = _made_within(nodes, modules)
    outside = {leaf: inlet for leaf, inlet in inlets.items() if leaf not in within}
    labels = chip_labels(names.values())
    anatomy = Anatomy(nodes, names, outside, modules, labels=labels)
    hidden = [run for chain in _chains(anatomy.parts) if (run := _middle(chain, fold))]
    left_out = {part for run in hidden for part in run}
    shown = [part for part in anatomy.parts if part not in left_out]
    return ModuleGraph(anatomy, shown, hidden, len(larger))


def _made_within(nodes: Sequence[Node], modules: Mapping[Node, Scope]) -> set[Node]:
    """Return the constants that one closed call made and read, such as a mask: they are inside."""
    begin: dict[Scope, int] = {}
    readers: defaultdict[Node, set[Scope | None]] = defaultdict(set)
    for node in nodes:
        call = modules.get(node)
        if call is not None:
            begin.setdefault(call, node.id)
        for x in node.tensors():
            if x.op is None and not x.requires_grad:
                readers[x].add(call)
    return {
        leaf
        for leaf, (call, *others) in readers.items()
        if call is not None and not others and leaf.id > begin[call]
    }


def _middle(chain: Sequence[Part], fold: Fold) -> Sequence[Part]:
    slots = slots_of(len(chain), fold)
    if None not in slots:
        return ()
    kept = slots.index(None)
    return chain[kept : len(chain) - kept]


def _chains(parts: Sequence[Part]) -> list[list[Part]]:
    """Return modules of one kind that each read the one before, and nothing else that differs."""
    readers: defaultdict[object, set[Part]] = defaultdict(set)
    for part in parts:
        for read in part.reads:
            readers[read.source].add(part)
    chains: list[list[Part]] = []
    chain_of: dict[object, list[Part]] = {}
    others: dict[Part, set[object]] = {}
    for part in parts:
        if not part.module:
            continue
        sources: set[object] = {read.source for read in part.reads}
        for source in sources:
            chain = chain_of.get(source)
            if chain is None or readers[source] != {part} or _kind(chain[-1]) != _kind(part):
                continue
            rest = sources - {source}
            if len(chain) > 1 and others[chain[-1]] != rest:
                continue
            chain.append(part)
            others[part] = rest
            chain_of[part] = chain
            break
        else:
            chain_of[part] = [part]
            chains.append(chain_of[part])
    return chains


def _kind(part: Part) -> object:
    """Return what modules of one kind have in common: their class, and what they compute."""
    computed = tuple((node.op, node.shape) for node in (*part.absorbed, part.node))
    return part.note or part.sign, computed
