"""A recorded run that answers questions, and how one is recorded, opened and read from a file."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import ref

from ..autograd.state import STATE
from ..autograd.switches import Change, Switch, watching
from ..autograd.tensor import Tensor
from ..errors import TraceError
from .recording.event import Event
from .recording.graph import Graph, Node
from .recording.held import Memory, parse_size
from .recording.recorder import Recorder
from .recording.run import Run

if TYPE_CHECKING:
    from .questions.ledger import Ledger
    from .questions.names import Place
    from .questions.origin import OriginStep
    from .questions.queries import Difference, Queries
    from .questions.why import Explainer, Why
    from .whatif.branch import Branch
    from .whatif.compare import Comparison
    from .whatif.edits import Edit
    from .whatif.program import Program
    from .whatif.replay import Unfollowed
    from .whatif.verify import Verification


class Trace:
    """A recorded run, and the questions that can be asked about it. `trace()` makes one."""

    def __init__(
        self, run: Run, branch: "Branch | None" = None, recorder: Recorder | None = None
    ) -> None:
        self._run, self._recorder = run, recorder
        self._explainer: Explainer | None = None  # of the run as long as it was when last asked
        self._asked_at = 0
        self._branch = branch
        self._root: Trace | None = None
        self._program: Program | None = None

    def __repr__(self) -> str:
        changed = ", ".join(edit.text for edit in self.changes)
        return f"<trace of {self.run}{f'; what if: {changed}' if changed else ''}>"

    @property
    def run(self) -> Run:
        """The run, as far as it was recorded by now."""
        return self._run if self._recorder is None else self._recorder.run

    @property
    def events(self) -> list[Event]:
        """What happened, in order."""
        return self.run.events

    @property
    def printed(self) -> dict[int, str]:
        """What the program printed, by the event after which it did, where a script was run."""
        return self.run.printed

    def graph(self) -> Graph:
        """The last graph that reached `backward()`, else that of the last output.

        Raises:
            TraceError: nothing was computed.
        """
        return self.run.graph()

    def influence_on(self, place: str) -> Graph:
        """The graph whose gradients are those of one value: what that depends on, and how much.

        Args:
            place: "y@9", or an element "y@9[0,2]"; of several numbers their sum counts.

        Raises:
            TraceError: there is no such value, or it depends on nothing that requires a gradient.
        """
        from .network.blocks import network_of
        from .network.gradients.influence import influence_on
        from .whatif.edits import node_at

        node, index = node_at(self.queries, place)
        if not node.requires_grad:
            raise TraceError(f"{place} depends on nothing that requires a gradient")
        graph = self.graph()
        if node not in graph.nodes:
            graph = Graph.leading_to(node, self.run.nodes.values(), self.run.given_names(), {})
        return replace(graph, gradients=influence_on(node, index, network_of(graph)))

    def name(self, node: Node) -> str:
        """What a tensor is called: its own name, else its line's variable, else "op#id"."""
        return self.run.name(node)

    def memory(self) -> Memory:
        """What the recording holds; `str()` is one phrase.

        >>> import tinygrad_rnn as tg
        >>> with tg.trace() as tr:
        ...     _ = tg.ops.tanh(tg.tensor([0.5] * 128))
        >>> print(tr.memory())
        1 events · 2 KiB held · 0 recomputable · 0 gone
        """
        return self.run.memory()

    # Asking: `at` is the event after which the question is asked, by default the last

    @property
    def explainer(self) -> "Explainer":
        """What answers questions about the run, as far as it was recorded by now."""
        from .questions.queries import Queries
        from .questions.why import Explainer

        if self._explainer is None or self._asked_at != len(self.events):
            queries = Queries(self.run) if self._branch is None else self._branch.queries
            self._explainer, self._asked_at = Explainer(queries), len(self.events)
        return self._explainer

    @property
    def queries(self) -> "Queries":
        return self.explainer.queries

    def place_of(self, event: Event) -> "Place | None":
        """The copy that an event belongs to: what `event.copy` and `event.layer` ask."""
        return self.queries.here(event)

    def step_of(self, event: Event) -> int:
        """The training step that an event belongs to: what `event.step` asks."""
        return self.queries.steps.of(event.index)

    def _moment(self, at: int | None) -> int:
        return len(self.events) - 1 if at is None else at

    def why(self, name: str, index: Sequence[int] = (), at: int | None = None) -> "Why":
        """Why one element is what it is: the rule that made it, with its numbers.

        Args:
            name: "h@3" (h at timestep 3), "W_hh", or "d.h@3" for ∂L/∂h@3.
            index: of the element: (0, 2).
            at: the event after which the question is asked; the last when left out.

        Raises:
            TraceError: there is no such name or element, or it is not written yet.

        >>> import tinygrad_rnn as tg
        >>> with tg.trace() as tr:
        ...     z = tg.tensor(0.5, requires_grad=True, name="z")
        ...     h = tg.ops.tanh(z)
        ...     h.name = "h"
        ...     h.backward()
        >>> print(tr.why("d.z"))
        x̄ = ȳ (1 - y²)
        ∂L/∂z = ∂L/∂h · (1 - h²)
        ∂L/∂z = +1 · (1 - (+0.4621)²)
              = +1 · +0.7864
              = +0.786448
        """
        return self.explainer.why(name, tuple(index), self._moment(at))

    def origin(
        self, name: str, index: Sequence[int] = (), at: int | None = None
    ) -> "list[OriginStep]":
        """Follow the largest contribution to one element back: to data, a gradient's to the loss.

        Arguments and errors are those of `why`.
        """
        from .questions.origin import origin_of

        return origin_of(self.queries, name, tuple(index), self._moment(at))

    def last(self, name: str, at: int | None = None) -> Event | None:
        """The event that wrote `name` last; None before the first.

        Raises:
            TraceError: there is no such name.
        """
        index = self.queries.last(name, self._moment(at))
        return None if index is None else self.events[index]

    def next(self, name: str, at: int = -1) -> Event | None:
        """The first event after `at` that writes `name`; by default the first of all.

        Raises:
            TraceError: there is no such name.
        """
        index = self.queries.next(name, at)
        return None if index is None else self.events[index]

    def diff(self, name: str, i: int, j: int, at: int | None = None) -> "Difference":
        """`name` at timesteps i and j, side by side.

        Raises:
            TraceError: one is not there, or the shapes differ.
        """
        return self.queries.diff(name, i, j, self._moment(at))

    def ledger(self, parameter: str | Tensor, at: int | None = None) -> "Ledger":
        """What each use of a parameter added to its gradient, in the last backward pass.

        Args:
            parameter: its name, "W_hh", or the Tensor itself.
            at: the event after which the question is asked; the last when left out.

        Raises:
            TraceError: there is no such parameter in this run, or no gradient reached it.
        """
        if isinstance(parameter, Tensor):
            if self.run.is_loaded:
                raise TraceError(
                    "ledger: a loaded run knows its parameters by name, not this program's tensors"
                )
            node = next((x for x in self.queries.names.places if x.id == parameter.id), None)
            if node is None:
                raise TraceError("this tensor is not in this run")
            parameter = self.queries.names.of(node)
        from .questions.ledger import ledger_of

        return ledger_of(self.queries, parameter, self._moment(at))

    def table(self) -> dict[str, list[Any]]:
        """The run as a table, a row an event: columns by name, as `pandas.DataFrame` takes them.

        ==============  ========================================================================
        column          what it holds; None where there is no such thing
        ==============  ========================================================================
        ``index``       the event's number
        ``kind``        "forward", "seed", "vjp", "accumulate", "update", "zero" or "error"
        ``op``          the op that ran, forward or backward
        ``name``        what was written, as `why` calls it: "h@3", "d.h@3"
        ``t``           the timestep of the copy it belongs to
        ``layer``       the row of that copy, 0 at the bottom
        ``shape``       of what was written: a tuple
        ``dtype``       its name
        ``norm``        the root of the sum of squares; NaN where nothing was written or it is gone
        ``min``         the smallest finite value, as ``max`` is the largest and ``mean`` their mean
        ``non_finite``  how many values are NaN or infinite
        ``file``        where the user's code stands
        ``line``        its number there
        ``source``      the line itself
        ==============  ========================================================================

        >>> import tinygrad_rnn as tg
        >>> with tg.trace() as tr:
        ...     x = tg.tensor([3.0, 4.0], requires_grad=True, name="x")
        ...     (x * 2.0).sum().backward()
        >>> table = tr.table()
        >>> table["kind"]
        ['forward', 'forward', 'seed', 'vjp', 'vjp', 'accumulate']
        >>> table["norm"][0], table["name"][-1]
        (10.0, 'd.x')
        """
        from .questions.table import table_of

        return table_of(self.queries)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a file, whole or not at all: events, values, and lines of source.

        Args:
            path: where; `.tgtrace` is the usual ending, which `tinygrad-rnn debug` and `draw` take.
                `load_trace` reads it.

        Raises:
            TraceError: it cannot be written; what was there before is then still there.
        """
        from .file.saving import save

        save(self.run, path, lambda event: self.queries.term(event.index))

    # What if

    def __getitem__(self, place: str) -> Any:
        """What a place holds at the end of the run: `tr["h@3"]`, `tr["d.h@3"]`, `tr["f@2[0,5]"]`.

        Returns:
            An array, read-only; of an element a number.

        Raises:
            TraceError: there is no such place, or it is gone.
        """
        from .whatif.edits import value_at

        return value_at(self.queries, place)

    def what_if(self, changes: Mapping[str, Any]) -> "Trace":
        """The run that would have been if some of its numbers had been different.

        All that depends on them is computed again, forward and backward and in the steps of the
        optimisers of `tg.optim`, by the ops that were recorded, in the recorded order. Everything
        else is shared with this run. It is the recorded program: where Python looked at a value
        that has changed, it still does what it did, and `other.unfollowed` lists the place.

        Args:
            changes: new values by their places. A place is named as for `why`: "h@3", an element
                "f@2[0,5]" or a part "h@3[:,0]", "d.h@4" for ∂L/∂h@4 once it is summed, "W_hh" from
                its first read on, "h@30:3" in training step 30, else in the last. A value is a
                number, an array or Tensor of the same shape, or a function of the array that would
                be there; NaN is a number.

        Raises:
            TraceError: there is no such place; the value has another shape or dtype; the place was
                computed before the recording began; a number that is needed is gone; or the code
                of an op is missing.

        >>> import tinygrad_rnn as tg
        >>> x = tg.tensor([3.0, 4.0], requires_grad=True, name="x")
        >>> with tg.trace() as tr:
        ...     (x * x).sum().backward()
        >>> other = tr.what_if({"x[0]": 10.0})
        >>> other["d.x"]
        array([20.,  8.])
        >>> print(tr.compare(other))
        5 of 7 events differ, the first is event 0, mul#0: ‖Δ‖ = 91
        sum#1 25 → 116
        ‖d.x‖ 10 → 21.5407
        """
        from .whatif.edits import edits_of

        return self.branch_of(edits_of(self.program, changes))

    def branch_of(self, changes: "Sequence[Edit]") -> "Trace":
        """The run with these changes, after those that it has already."""
        from .whatif.branch import branched

        root = self if self._root is None else self._root
        made: list[Trace] = []
        branch = branched(
            root.program, [*self.changes, *changes], lambda: made[0] if made else None
        )
        made.append(Trace(branch.run, branch))
        made[0]._root = root
        return made[0]

    @property
    def program(self) -> "Program":
        """The run as a program that can be run again; of a branch, that which it is a branch of."""
        from .whatif.program import Program

        if self._root is not None:
            return self._root.program
        if self._program is None or self._program.queries is not self.queries:
            self._program = Program(self.queries)
        return self._program

    @property
    def changes(self) -> "tuple[Edit, ...]":
        """The changes of a branch; none for a run as it was recorded."""
        return () if self._branch is None else self._branch.changes

    @property
    def unfollowed(self) -> "tuple[Unfollowed, ...]":
        """Where the program itself, run with the changes, might have gone another way."""
        return () if self._branch is None else self._branch.unfollowed

    def compare(self, other: "Trace") -> "Comparison":
        """How another run of the same events differs from this one.

        Args:
            other: what `what_if` gave, or another recording of the same program.

        Raises:
            TraceError: these are not the same events.
        """
        from .whatif.compare import Comparison

        return Comparison(self.queries, other.queries)

    def verify(self) -> "Verification":
        """Compute every event again from its own recorded numbers, and compare bit for bit.

        >>> import tinygrad_rnn as tg
        >>> with tg.trace() as tr:
        ...     tg.ops.tanh(tg.tensor([0.5], requires_grad=True)).sum().backward()
        >>> print(tr.verify())
        5 events computed again, bit for bit the same · 1 given
        """
        from .whatif.program import Program
        from .whatif.verify import verify

        return verify(Program(self.queries))

    def debug(self) -> None:
        """Open the debugger on this run; return when the user leaves it.

        Raises:
            TraceError: nothing was recorded.
        """
        from ..debugger.start import debug_trace

        debug_trace(self)


class _Tracing(Switch[Trace]):
    """`trace()`: a block."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        raise TypeError(
            "trace: as a decorator it would lose its recording; "
            "write `with tg.trace() as tr:` where it is called"
        )


def trace(max_memory: int | str | None = None) -> Switch[Trace]:
    """Record everything that is computed in a block, forward and backward.

    Entered again, it makes another recording.

    Args:
        max_memory: how much memory the recorded arrays may take: bytes, or "256M" or "1G". Above
            it the recording lets go of terms that can be computed again exactly, then of what the
            oldest events alone need; a question about a value that is gone says so. None keeps
            everything.

    Raises:
        TraceError: `max_memory` is not such a size.

    >>> import tinygrad_rnn as tg
    >>> with tg.trace() as tr:
    ...     x = tg.tensor(3.0, requires_grad=True)
    ...     (x * x).backward()
    >>> [event.kind for event in tr.events]
    ['forward', 'seed', 'vjp', 'vjp', 'accumulate']
    """

    def begin() -> tuple[Change, Trace, Callable[[], None]]:
        made, recorder = _recorded(max_memory)
        return watching(recorder.observe), made, recorder.end

    return _Tracing(begin)


def traced(max_memory: int | str | None) -> Switch[tuple[Trace, Recorder]]:
    """As `trace`, for those who need the recorder too."""
    both = _, recorder = _recorded(max_memory)
    return Switch(lambda: (watching(recorder.observe), both, recorder.end))


def _recorded(max_memory: int | str | None) -> tuple[Trace, Recorder]:
    run = Run(None if max_memory is None else parse_size(max_memory))
    traces: list[ref[Trace]] = []  # events are no reason for a whole run to live
    recorder = Recorder(run, lambda: traces[0]())
    made = Trace(run, recorder=recorder)
    traces.append(ref(made))
    return made, recorder


def load_trace(path: str | os.PathLike[str], trust: int | str | None = None) -> Trace:
    """Read a recorded run that `Trace.save` wrote; it answers as the run did, and shows its source.

    An op of your own is looked up in this process by its module, name and code. If it is not
    defined here, its values can be looked at, but not explained. Nothing is imported, and no op of
    the program is called before a question is asked about it.

    Args:
        path: of the file.
        trust: how much memory it may take, "8G", if that is more than its size justifies.

    Raises:
        TraceError: there is no such file; it is not a recorded run, is damaged, or is of a newer
            version; or it grows to more than it may.

    Warns:
        UserWarning: the file chose options of an op of this program, with which it will be called.
    """
    from .file.loading import load

    made = Trace(Run())
    bytes_ = 0 if trust is None else parse_size(trust)
    load(path, made.run, ref(made), lambda: made.queries, bytes_)
    return made


def breakpoint() -> None:
    """Open the debugger on what the innermost open trace has recorded so far; then go on.

    It begins at the last event.

    Raises:
        TraceError: no trace is open, or nothing was recorded yet.
    """
    observers = [getattr(observe, "__self__", None) for observe in STATE.get().observers]
    recorders = [observer for observer in observers if isinstance(observer, Recorder)]
    if not recorders:
        raise TraceError("breakpoint: no trace is open: put the code under `with tg.trace():`")
    from ..debugger.start import debug_trace

    run = recorders[-1].run
    debug_trace(Trace(run), len(run.events) - 1)
