"""A recorded run as plain data: what happened, in order, and what the user calls the tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...autograd.tensor import Array, Tensor
from ...cached import cached_property
from ...errors import TraceError
from .budget import memory_of
from .event import Accumulate, Event, Forward, Seed, Vjp
from .graph import Graph, Node, collector_paused
from .held import Memory
from .notes import Note


@dataclass(slots=True, eq=False, repr=False)
class Run:
    """What a `Recorder` wrote down, or a file held.

    Args:
        limit: bytes of arrays that it may hold; None for as many as there are.
        events: in order; each knows its index.
        nodes: tensor id -> its newest node, in the order in which they were made.
        names: tensor id -> the name that the user gave it.
        printed: event -> what the program printed after it, where a script was run.
        gone: bytes of arrays that were let go of.
        is_loaded: whether it comes from a file: then its ids are those of another program.
        forgotten_steps: training steps before the first event, which were let go of.
        notes: what is known of the moments between the events, in order.
        has_notes: whether notes were taken; files of older versions have none.
        owners: id of a module that the program itself called -> its variable there.
        tensors: while it is recorded, the tensors by id: a name may be given after the event.
    """

    limit: int | None = None
    events: list[Event] = field(default_factory=list[Event])
    nodes: dict[int, Node] = field(default_factory=dict[int, Node])
    names: dict[int, str] = field(default_factory=dict[int, str])
    printed: dict[int, str] = field(default_factory=dict[int, str])
    gone: int = 0
    is_loaded: bool = False
    forgotten_steps: int = 0
    notes: list[Note] = field(default_factory=list[Note])
    has_notes: bool = True
    owners: dict[int, str] = field(default_factory=dict[int, str])
    tensors: dict[int, Tensor] = field(default_factory=dict[int, Tensor])

    def __str__(self) -> str:
        kinds = [event.kind for event in self.events]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"{len(kinds)} events: {counts}" if kinds else "0 events"

    def graph(self) -> Graph:
        """The last graph that reached `backward()`, else that of the last output.

        Raises:
            TraceError: nothing was computed.
        """
        newest_first = self.events[::-1]
        seed = next((event for event in newest_first if isinstance(event, Seed)), None)
        last = seed or next((event for event in newest_first if isinstance(event, Forward)), None)
        if last is None:
            raise TraceError(
                "nothing was recorded: no op of tinygrad_rnn ran "
                "(what other threads compute is not recorded)"
            )
        gradients = Gradients(self.events[seed.index :] if seed else ())
        names = self.given_names()
        return Graph.leading_to(last.output, self.nodes.values(), names, gradients, self.owners)

    @collector_paused()
    def memory(self) -> Memory:
        """What it holds."""
        return memory_of(self.events, self.gone, self.notes)

    # Names

    def name(self, node: Node) -> str:
        """What the user calls a tensor: its name, else its line's variable, else "op#id"."""
        return self.given_name(node) or node.given_name or f"{node.op or 'leaf'}#{node.id}"

    def given_name(self, node: Node) -> str | None:
        """The name that the user gave the tensor of a node."""
        tensor = self.tensors.get(node.id)
        return self.names.get(node.id) if tensor is None else tensor.name

    def given_names(self) -> dict[int, str]:
        """The names that tensors have by now, by their ids."""
        tensors = self.tensors.items()
        return self.names | {id: tensor.name for id, tensor in tensors if tensor.name}

    def release_tensor(self, node: Node) -> None:
        """Let go of the tensor of a node, which holds the node's arrays as well; its name stays."""
        tensor = self.tensors.pop(node.id, None)
        if tensor is not None and tensor.name:
            self.names[node.id] = tensor.name

    def release_tensors(self) -> None:
        """End the recording: keep the names that tensors have by now, and let go of the tensors."""
        self.names |= self.given_names()
        self.tensors.clear()


class Gradients(Mapping[int, Array]):
    """∂L/∂node of a backward pass, by node id.

    A gradient that is gone is in it, but raises a TraceError.

    Args:
        events: of the pass, its seed first; they are read when the first gradient is asked for.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def __getitem__(self, id: int) -> Array:
        event = self._written[id]
        array = event.cotangent if isinstance(event, Vjp) else event.value
        assert array is not None
        return array

    def __contains__(self, id: object) -> bool:
        return id in self._written

    def __iter__(self) -> Iterator[int]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)

    def __bool__(self) -> bool:
        return bool(self._events)

    @cached_property
    def _written(self) -> dict[int, Seed | Vjp | Accumulate]:
        """The last event that has the whole gradient of each node."""
        written: dict[int, Seed | Vjp | Accumulate] = {}
        for event in self._events:
            match event:
                case Vjp(of=node) | Seed(output=node) | Accumulate(output=node):
                    written[node.id] = event
                case _:
                    pass
        return written
