"""Commands that ask the run a question: why a value is what it is, who wrote it, what changed."""

from ...errors import TraceError
from ...tracing.questions.checks import check_vjp
from ...tracing.questions.ledger import ledger_of
from ...tracing.questions.notation import Index
from ...tracing.questions.origin import origin_of
from ...tracing.questions.queries import GRADIENT, Difference
from ...tracing.questions.training import gradients_of
from ...tracing.recording.event import Vjp
from ...tracing.whatif.compare import Comparison
from ...tracing.whatif.replay import same_bits
from ..events import OPERANDS, computed_by, node_of
from ..session import Session
from .arguments import Arguments
from .moving import over
from .registry import command
from .replies import Beside, Gradients, Origin, Reply, TrainingSteps, said


@command("why [X[r,c]]", "the formula that made an element, with its numbers", keys="w")
def why(session: Session, arguments: Arguments) -> Reply:
    name, index = arguments.element()
    if name in ("", "out"):
        return Reply(session.why_here(index))
    name, index = _resolved(session, name, index)
    return Reply(session.explainer.why(name, index, session.cursor))


@command("origin [X[r,c]]", "follow the largest contribution back", keys="o")
def origin(session: Session, arguments: Arguments) -> Reply:
    name, index = arguments.element()
    if name in ("", "out"):
        name = _name_here(session)
    name, index = _resolved(session, name, index)
    return Reply(Origin(tuple(origin_of(session.queries, name, index, session.cursor))))


def _name_here(session: Session) -> str:
    if session.name is None:
        here = f"event {session.cursor} ({session.event.kind})"
        raise TraceError(f"{here} writes nothing: say of what")
    return session.name


def _resolved(session: Session, name: str, index: Index | None) -> tuple[str, Index]:
    """A, B, C and G by their names in the run; the selected element where none is named."""
    event, names = session.event, session.queries.names
    node, computed = node_of(event), computed_by(event)
    if computed is not None and name in OPERANDS:
        slot = OPERANDS.index(name)
        operand = computed.inputs[slot] if slot < len(computed.inputs) else None
        if operand is None:
            raise TraceError(f"event {session.cursor} has no tensor {name}")
        name = names.in_formula(operand, computed)
    elif name == "G" and node is not None:
        name = GRADIENT + names.of(node)
    if index is None:
        index = session.noted(session.queries.value(name, session.cursor))
    return name, index


@command("last [X]", "go to the event that wrote X last, before this one", keys="<")
def last(session: Session, arguments: Arguments) -> Reply:
    name = _written_name(session, arguments)
    to = session.queries.last(name, session.cursor - 1)
    if to is None:
        return said(f"nothing wrote {name} before event {session.cursor}")
    return Reply(moved=session.move(to))


@command(
    "next [X]",
    "go to the event that writes X next; without X as pdb's: `over`",
    keys={">": "next out"},
)
def next_(session: Session, arguments: Arguments) -> Reply:
    if not arguments.text or arguments.text.isdecimal():
        return over(session, arguments)
    name = _written_name(session, arguments)
    to = session.queries.next(name, session.cursor)
    if to is None:
        return said(f"nothing writes {name} after event {session.cursor}")
    return Reply(moved=session.move(to))


def _written_name(session: Session, arguments: Arguments) -> str:
    """The name that is asked about; else, and for "out", what is written here, at any timestep."""
    if arguments.text in ("", "out"):
        return _name_here(session).partition("@")[0]
    return arguments.text


@command(
    "diff [X I J]",
    "two timesteps of X side by side; in a branch alone, the run and the branch",
    keys="D",
)
def diff(session: Session, arguments: Arguments) -> Reply:
    if len(arguments) == 0 and session.trace is not session.run:
        return Reply(_beside(session))
    if len(arguments) == 0:
        name, i, j = _neighbours(session)
    elif len(arguments) == 3:
        name, i, j = arguments.word(), arguments.number(), arguments.number()
    else:
        raise arguments.error("a name and two timesteps: diff h 2 5")
    return Reply(session.queries.diff(name, i, j, session.cursor))


def _beside(session: Session) -> Beside:
    """What the current event wrote in the run and in the branch."""
    run, here, name = session.run.queries, session.queries, session.name
    before = run.written_by(session.run.events[session.cursor])
    after = here.written_by(session.event)
    if name is None or before is None or after is None:
        raise TraceError(f"event {session.cursor} ({session.event.kind}) wrote no numbers")
    names = f"{name} in the run", f"in branch {session.branches.current}"
    loss = Comparison(run, here).loss
    lines = ["the same, to the last bit"] if same_bits(before, after) else []
    if loss is not None:
        lines.append(str(loss))
    return Beside(Difference(names, (before, after)), tuple(lines))


def _neighbours(session: Session) -> tuple[str, int, int]:
    """What is written here, at this timestep and at the one before."""
    name, t = session.name, session.event.copy
    if name is None or "@" not in name or not t:
        raise TraceError("nothing here has a timestep before it: say which, as in `diff h 2 5`")
    return name.partition("@")[0], t - 1, t


@command("ledger [W]", "what each timestep added to a parameter's gradient", keys="d")
def ledger(session: Session, arguments: Arguments) -> Reply:
    name = arguments.text or _parameter_here(session)
    return Reply(ledger_of(session.queries, name, session.cursor))


def _parameter_here(session: Session) -> str:
    """The parameter that this event is about, else the first of the run."""
    event, node = session.event, node_of(session.event)
    involved = (event.output, *(node.inputs if node else ()))
    found = [x for x in involved if x is not None and x.is_parameter]
    found += session.parameters[:1]
    if not found:
        raise TraceError("this run has no parameters")
    return session.queries.names.of(found[0])


@command("steps", "one row a training step: loss, norm of the gradient, size of the update")
def steps(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    here = session.queries.steps.of(session.cursor)
    return Reply(TrainingSteps(tuple(session.training_steps), here))


@command("grads", "one row a parameter: its gradient so far in this step, or that none reached it")
def grads(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    rows = gradients_of(session.queries, session.parameters, session.cursor)
    return Reply(Gradients(session.queries.steps.of(session.cursor), tuple(rows)))


@command("verify", "this vjp against a central difference, on these numbers", keys="v")
def verify(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    event = session.event
    vjps = session.vjps_ahead()
    if vjps:
        event = session.trace.events[vjps[0]]
    if not isinstance(event, Vjp):
        raise TraceError(
            "no vjp is here: verify at an op of the backward pass, or at a forward that has one"
        )
    return Reply(check_vjp(event.of, event.slot, event.cotangent))
