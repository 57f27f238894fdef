"""Exercises with the debugger: an answer is a file of its commands, and where they end counts."""

import contextlib
import io
import tempfile
from pathlib import Path
from textwrap import dedent

import numpy as np

from ..debugger.plain import Exit, run_commands
from ..debugger.session import Session
from ..tracing.script import run_script
from .exercise import Answer, Exercise, NotYet, exercise, require


def _program(question: str) -> str:
    """The program that a question shows: its indented lines."""
    lines = question.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("    "))
    return dedent("\n".join(lines[first:])) + "\n"


def _run(answer: Answer, exercise: Exercise) -> Session:
    """The session in which an answer's commands were carried out, on the exercise's program."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "program.py")
        script.write_text(_program(exercise.question), "utf-8")
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            run = run_script(script, [], echo=None)
    session = Session(run.trace)
    said: list[str] = []
    ended = run_commands(session, answer.lines, said.append)
    if ended is not Exit.OK:
        last = said[-1].strip().rpartition("\n")[2]
        raise NotYet(f"the commands end with exit code {int(ended)}: {last}")
    return session


@exercise(
    12,
    suffix=".tgdb",
    hints=(
        "`break nan` stops where a NaN is made; `continue` goes there.",
        "`origin` follows a NaN back to the op that made it.",
    ),
    solution="break nan\ncontinue",
)
def find_the_nan(answer: Answer) -> None:
    """Find the NaN.

    Write a file of debugger commands that ends at the very op which makes the first NaN of this
    program (save it as program.py, and try `tinygrad-rnn debug --commands answer.tgdb program.py`):

        import numpy as np
        import tinygrad_rnn as tg

        rng = np.random.default_rng(0)
        W = tg.tensor(rng.standard_normal((3, 3)), requires_grad=True, name="W")
        x = tg.tensor(rng.standard_normal((4, 3)))
        h = tg.ops.tanh(x @ W)
        p = tg.ops.exp(h - 1.0)
        score = tg.ops.log(p - 1.0)
        loss = score.mean()
        loss.backward()
    """
    session = _run(answer, find_the_nan)
    _stands_at(session, "forward", "log", "A logarithm reads a negative number.")


@exercise(
    12,
    suffix=".tgdb",
    hints=("`break fwd op=sub` stops at a subtraction; look at the shape there.",),
    solution="break fwd op=sub\ncontinue\nassert out.shape == (5, 5)",
)
def find_the_broadcast(answer: Answer) -> None:
    """Find the shape that is wrong.

    This program learns nothing of use: five outputs of shape (5, 1) meet targets of shape (5,).
    Write a file of debugger commands that ends at the op which makes a (5, 5) of them:

        import numpy as np
        import tinygrad_rnn as tg

        rng = np.random.default_rng(0)
        layer = tg.nn.Linear(3, 1, rng=0)
        xs = rng.standard_normal((5, 3))
        targets = tg.tensor(xs @ [1.0, -2.0, 0.5], name="targets")
        y = layer(xs)
        error = y - targets
        loss = (error * error).mean()
        loss.backward()
    """
    session = _run(answer, find_the_broadcast)
    _stands_at(session, "forward", "sub", "y - targets is where (5, 1) and (5,) become (5, 5).")


@exercise(
    12,
    suffix=".tgdb",
    hints=("`break op=detach` stops where a value is cut off from its history.",),
    solution="break op=detach\ncontinue",
)
def find_the_cut(answer: Answer) -> None:
    """Find where the gradient is cut.

    The first four inputs of this network get no gradient. Write a file of debugger commands that
    ends at the op which is to blame:

        import numpy as np
        import tinygrad_rnn as tg

        cell = tg.nn.RNNCell(2, 3, rng=0)
        h = None
        for t, x in enumerate(np.random.default_rng(0).standard_normal((6, 2))):
            h = cell(x, h)
            if t == 3:
                h = h.detach()
        loss = (h * h).sum()
        loss.backward()
    """
    session = _run(answer, find_the_cut)
    _stands_at(session, "forward", "detach", "A `detach` passes the value on and no gradient back.")


@exercise(
    13,
    suffix=".tgdb",
    hints=(
        "`break E` stops where an expression becomes true; `norm(x)` is the norm of a value.",
        "`h@5` is the state of timestep 5: `break norm(h@5) > 0` is true once it is written.",
    ),
    solution="next h@19",
)
def go_to_the_last_state(answer: Answer) -> None:
    """Go where you want.

    Write a file of debugger commands that ends at the forward event which writes the last state,
    h@19, of this program:

        import numpy as np
        import tinygrad_rnn as tg

        cell = tg.nn.RNNCell(2, 4, nonlinearity="relu", rng=1)
        cell.W_hh.data = 1.6 * np.eye(4)
        h = None
        for x in np.random.default_rng(0).uniform(0, 1, (20, 2)):
            h = cell(x, h)
        loss = (h * h).sum()
        loss.backward()
    """
    session = _run(answer, go_to_the_last_state)
    require(session.name == "h@19", f"It ends at {session.name}, not at h@19.")
    _stands_at(session, "forward", "relu", "h@19 is written by the last relu.")


@exercise(
    13,
    suffix=".tgdb",
    hints=(
        "`break upd` stops where an optimiser changes a parameter.",
        "At an update `before` is the old value, and `change` what was added.",
    ),
    solution="break upd if norm(change) > 1\ncontinue",
)
def find_the_leap(answer: Answer) -> None:
    """Find the update that leaps.

    One step of this training changes the weight far more than the others. Write a file of debugger
    commands that ends at that update:

        import numpy as np
        import tinygrad_rnn as tg

        rng = np.random.default_rng(0)
        layer = tg.nn.Linear(3, 1, bias=False, rng=0)
        optimizer = tg.optim.SGD(layer.parameters(), lr=0.01)
        for step in range(12):
            x = rng.standard_normal((4, 3))
            if step == 7:
                x = 30 * x
            error = layer(x) - 1.0
            loss = (error * error).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """
    session = _run(answer, find_the_leap)
    event = session.event
    require(event.kind == "update", f"It ends at event #{event.index}, {event.kind}: no update.")
    step = session.trace.step_of(event)
    require(step == 7, f"It ends at the update of step {step}: one of the others is larger.")


def _stands_at(session: Session, kind: str, op: str, help: str) -> None:
    event = session.event
    found = f"{event.kind} of {event.op}" if event.op else event.kind
    require(
        (event.kind, event.op) == (kind, op), f"It ends at event #{event.index}, {found}. {help}"
    )
