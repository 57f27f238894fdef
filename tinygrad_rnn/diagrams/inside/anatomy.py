"""What a copy is made of: its recorded ops as parts, parameters inside the parts that use them.

Three things that were recorded are drawn without a box of their own: a view of a parameter (its
chip says which part of it), the addition of a bias (a chip on what it is added to), and a slice of
a value (the wire it leaves by).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...autograd.ops import broadcast_to
from ...autograd.state import Scope
from ...tracing.questions.notation import index_text
from ...tracing.recording.graph import Node


class Inlet(NamedTuple):
    """Where a value enters a copy."""

    state: bool  # it comes from the copy before
    number: int = 0  # of the link, among those that bring no state
    place: int = 0  # among the link's values: of a state, its number


class Chip(NamedTuple):
    """A parameter, or a view of one, as it stands in the op that uses it."""

    parameter: int  # its node's id
    name: str
    label: str  # what is written in it, which may be shorter


class Read(NamedTuple):
    """What an op reads: which slice of what, and the node that does, as which of its inputs."""

    source: "Part | Inlet"
    cut: str
    slot: int
    reader: Node


@dataclass(slots=True, eq=False)
class Part:
    """One op as it is drawn: the recorded node that it computes last, its chips, what it reads."""

    node: Node
    place: int  # of the node in its copy
    sign: str
    op: str
    arithmetic: bool = False  # its sign, such as +, says all
    chips: list[Chip] = field(default_factory=list[Chip])
    reads: list[Read] = field(default_factory=list[Read])
    absorbed: list[Node] = field(default_factory=list[Node])  # other nodes that are drawn with it
    module: bool = False  # all that a module computes, closed
    note: str = ""  # of a module: its class, where that is not its name

    @property
    def tooltip(self) -> str:
        ops = " then ".join(node.op or "" for node in [*self.absorbed, self.node])
        if self.module:
            name = f"{self.sign} ({self.note})" if self.note else self.sign
            ops = f"{name}: {len(self.absorbed) + 1} ops,"
        text = f"{ops} {self.node.shape}"
        if self.chips:
            text += f" with {', '.join(chip.name for chip in self.chips)}"
        return text


class Anatomy:
    """The parts of a set of nodes, each of which computes from what enters and from other parts.

    `entering` says as what an op reads something in a slot, where that is not told by the value
    alone: one array may be two states. `labels` are what is written for names that are too long.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        names: Mapping[int, str],
        inlets: Mapping[Node, Inlet],
        module_of: Mapping[Node, Scope] | None = None,
        shared: Collection[Node] = (),
        entering: Mapping[tuple[Node, int], Inlet] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._shared = shared
        self._entering = entering or {}
        self._labels = labels or {}
        self._names = names
        self._modules: dict[Scope, Part] = {}
        self._module_of = module_of or {}
        self._readers = Counter(x for node in nodes for x in node.tensors())
        self._views: dict[Node, Chip] = {}  # of parameters
        # Each value that a part can read: where it comes from, and which slice it is.
        self.values: dict[Node, tuple[Part | Inlet, str]] = {
            node: (inlet, "") for node, inlet in inlets.items()
        }
        self.parts: list[Part] = []
        for place, node in enumerate(nodes):
            self._add(node, place)

    def part(self, node: Node) -> Part | None:
        """Return the part that a node is drawn as, or a slice of which."""
        source, _ = self.values.get(node, (None, ""))
        return source if isinstance(source, Part) else None

    def _add(self, node: Node, place: int) -> None:
        module = self._module_of.get(node)
        if module is not None:
            self._add_to_module(node, place, module)
            return
        tensors = node.tensors()
        if node in self._shared and self._add_part(node, tensors):
            return
        if _is_slice(node, tensors):
            (x,) = tensors
            if self._add_slice(node, x):
                return
        chips = [chip for x in tensors if (chip := self._chip(x))]
        reads = list(self._reads(node))
        target = self._bias_target(node, chips, reads)
        if target is not None:
            target.absorbed.append(target.node)
            target.node, target.place = node, place
            target.chips += chips
            self.values[node] = (target, "")
            return
        constants = len(tensors) - len(chips) - len(reads)  # what the formula brings along
        sign = _sign_with_number(node) + " const" * constants
        part = Part(node, place, sign, node.op or "", _is_arithmetic(node), chips, reads)
        self.parts.append(part)
        self.values[node] = (part, "")

    def _add_part(self, node: Node, tensors: Sequence[Node]) -> bool:
        """Draw the part of a stack that is made here as what is put there, if it is one value."""
        known = list(self._reads(node))
        if not node.is_move or len(tensors) < 2 or len(known) != 1:
            return False
        self.values[node] = known[0].source, known[0].cut
        return True

    def _reads(self, node: Node) -> Iterator[Read]:
        """Yield what an op reads of what enters, and of other parts."""
        for slot, x in enumerate(node.inputs):
            if x is None or x not in self.values:
                continue
            source, cut = self.values[x]
            inlet = self._entering.get((node, slot))
            if inlet is not None and isinstance(source, Inlet):
                source = inlet
            yield Read(source, cut, slot, node)

    def _add_to_module(self, node: Node, place: int, module: Scope) -> None:
        """Draw an op as a part of its module: what the module reads of others, it reads once."""
        part = self._modules.get(module)
        if part is None:
            note = _class_of(module)
            part = Part(node, place, module.name, "module", module=True, note=note)
            self._modules[module] = part
            self.parts.append(part)
        else:
            part.absorbed.append(part.node)
            part.node = node
        known = {(read.source, read.cut) for read in part.reads}
        for read in self._reads(node):
            if read.source is not part and (read.source, read.cut) not in known:
                known.add((read.source, read.cut))
                part.reads.append(read)
        self.values[node] = (part, "")

    def _add_slice(self, node: Node, x: Node) -> bool:
        """Draw a view of a parameter as a chip, or a slice of a value as a wire, if it is one."""
        cut = _slice_text(node)
        chip = self._chip(x)
        if chip is not None:
            self._views[node] = Chip(chip.parameter, chip.name + cut, chip.label + cut)
            return True
        for read in self._reads(node):
            self.values[node] = (read.source, read.cut + cut)
            return True
        return False

    def _bias_target(self, node: Node, chips: Sequence[Chip], reads: Sequence[Read]) -> Part | None:
        """Return the product or sum that a parameter is added to, if nobody else reads that."""
        if _sign(node) != "+" or len(chips) != 1 or len(reads) != 1:
            return None
        target, cut, *_ = reads[0]
        if isinstance(target, Inlet) or cut or self._readers[target.node] != 1 or target.module:
            return None
        rule = target.node.rule
        if rule is None or (rule.kind != "product" and rule.sign != "+"):
            return None
        return target

    def _chip(self, x: Node) -> Chip | None:
        if x.id in self._names:
            name = self._names[x.id]
            return Chip(x.id, name, self._labels.get(name, name))
        return self._views.get(x)


def parts_of_modules(nodes: Sequence[Node], call: Scope | None, depth: int) -> dict[Node, Scope]:
    """Return the module call that each op of a copy is part of, `depth` levels inside the copy.

    Ops that lie less deep are in no call.
    """
    found: dict[Node, Scope] = {}
    for node in nodes:
        chain = node.calls
        start = chain.index(call) + 1 if call in chain else 0
        inner = chain[start:]
        if len(inner) >= depth:
            found[node] = inner[depth - 1]
    return found


def _class_of(module: Scope) -> str:
    """Return the class of a module that is not called as its class is."""
    if isinstance(module.owner, str):
        return ""
    name = type(module.owner).__name__
    return "" if name.casefold() == module.name.casefold() else name


def _is_slice(node: Node, tensors: Sequence[Node]) -> bool:
    """Whether an op only takes some numbers out of one tensor, or arranges them anew."""
    rule = node.rule
    if rule is None or rule.kind != "move" or rule.variadic or len(tensors) != 1:
        return False
    return rule.differentiable(0) and rule.function is not broadcast_to


def _is_arithmetic(node: Node) -> bool:
    """Whether an op is elementwise and has a sign of arithmetic, not a name or a letter."""
    rule = node.rule
    if rule is None or rule.kind != "elementwise":
        return False
    return len(rule.sign) == 1 and not rule.sign.isalpha()


def _sign(node: Node) -> str:
    """Return how an op is written."""
    return node.rule.sign if node.rule else node.op or ""


def _sign_with_number(node: Node) -> str:
    """Return how an op is written, with the number that it brings along."""
    for place, (x, value) in enumerate(zip(node.inputs, node.operands, strict=False)):
        if x is None and isinstance(value, int | float):
            return f"{_sign(node)} {value:g}" if place else f"{value:g} {_sign(node)}"
    return _sign(node)


def _slice_text(node: Node) -> str:
    if node.op != "getitem":
        return ""
    return f"[{index_text(node.options.get('index'), brief=True)}]"
