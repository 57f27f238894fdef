"""Exercises with a recorded run that is changed, and with models that come from elsewhere."""

import numpy as np

from .. import nn
from ..nn.cells import LSTMCell
from ..tracing.trace import Trace, trace
from .exercise import Answer, exercise, near, require


def _recorded() -> Trace:
    """An LSTM over six steps, with a loss at the last; h@t, f@t and loss are names in it."""
    rng = np.random.default_rng(4)
    lstm = nn.LSTM(3, 4, rng=rng)
    with trace() as run:
        ys, _ = lstm(rng.standard_normal((6, 3)))
        loss = (ys[-1] * ys[-1]).sum()
        loss.name = "loss"
        loss.backward()
    return run


@exercise(
    17,
    hints=(
        "`run.what_if` takes a dict: names such as f@2, and what is to stand there.",
        'One key a step: {f"f@{t}": 1.0 for t in range(steps)}.',
    ),
    solution="""
        def opened(run, steps):
            return run.what_if({f"f@{t}": 1.0 for t in range(steps)})
    """,
)
def hold_the_gate(answer: Answer) -> None:
    """Hold a gate open.

    `run` is the recorded run of an LSTM. Write `opened(run, steps)`, which returns the run that
    would have been if every element of the forget gate had been 1 at each of its `steps` steps.
    """
    run = _recorded()
    found = answer.function("opened")(run, 6)
    require(isinstance(found, Trace), f"opened(run, 6) is {found!r}: return what `what_if` returns")
    for t in range(6):
        near(f"f@{t}", found[f"f@{t}"], np.ones(4), "Hold it at every step.")
    same = run.what_if({f"f@{t}": 1.0 for t in range(6)})
    near("the loss", found["loss"], same["loss"], "Change the forget gate alone.")


@exercise(
    17,
    hints=(
        "The loss of a run is run['loss'], of the changed one other['loss'].",
        'run.what_if({f"h@{t}": 0}) is the run whose state of step t is 0.',
    ),
    solution="""
        def cost(run, t):
            other = run.what_if({f"h@{t}": 0})
            return float(other["loss"] - run["loss"])
    """,
)
def what_it_costs(answer: Answer) -> None:
    """What a state is worth.

    Write `cost(run, t)`: by how much the loss of a recorded run would grow if h@t were 0.
    """
    run, cost = _recorded(), answer.function("cost")
    for t in (0, 3, 5):
        expected = run.what_if({f"h@{t}": 0})["loss"] - run["loss"]
        help = "It is a difference: the new loss less the old one."
        near(f"cost(run, {t})", cost(run, t), expected, help)


@exercise(
    18,
    hints=(
        "The four gates stand on top of each other in b_h (4H), in the order i, f, g, o.",
        "Arrays are read-only: copy, change the second quarter, and bind cell.b_h.data anew.",
    ),
    solution="""
        import numpy as np

        def open_forget_gate(cell, by):
            bias, size = np.array(cell.b_h.data), cell.hidden_size
            bias[size : 2 * size] += by
            cell.b_h.data = bias
    """,
)
def open_the_forget_gate(answer: Answer) -> None:
    """Open the forget gate of a model that you were given.

    Write `open_forget_gate(cell, by)`, which adds `by` to the bias of the forget gate of an
    `LSTMCell`, and changes nothing else.
    """
    cell = LSTMCell(2, 3, rng=0)
    before = cell.b_h
    assert before is not None
    expected = before.data + np.repeat([0.0, 3.0, 0.0, 0.0], 3)
    answer.function("open_forget_gate")(cell, 3.0)
    assert cell.b_h is not None
    near("cell.b_h", cell.b_h, expected, "The order of the gates is i, f, g, o.")


@exercise(
    18,
    hints=(
        "np.split(W, 4) gives the four matrices, in the order that they have.",
        "Name them as they come, i, o, f, g, and join them in our order with np.concatenate.",
    ),
    solution="""
        import numpy as np

        def from_onnx(W):
            i, o, f, g = np.split(W, 4)
            return np.concatenate([i, f, g, o])
    """,
)
def gates_in_order(answer: Answer) -> None:
    """Four gates in another order.

    ONNX stacks the matrices of an LSTM in the order i, o, f, c (its c is our g); here, as in
    PyTorch, the order is i, f, g, o. Write `from_onnx(W)` for a W of shape (4H, I).
    """
    i, f, g, o = np.random.default_rng(0).standard_normal((4, 3, 2))
    found = answer.function("from_onnx")(np.concatenate([i, o, f, g]))
    near("from_onnx(W)", found, np.concatenate([i, f, g, o]), "First i, then f, then g, then o.")
