"""Exercises on LSTM and GRU: their steps, and weights chosen by hand."""

import numpy as np

from ..nn.cells import GRUCell, LSTMCell
from .exercise import Answer, exercise, near, require


@exercise(
    7,
    hints=(
        "The gates' rows stand on top of each other, in the order i, f, g, o: split z in four.",
        "Through σ go i, f and o; g goes through tanh.",
    ),
    solution="""
        import numpy as np

        def sigmoid(z):
            return 1 / (1 + np.exp(-z))

        def lstm_step(x, h, c, W_xh, W_hh, b_h):
            i, f, g, o = np.split(W_xh @ x + W_hh @ h + b_h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            return sigmoid(o) * np.tanh(c), c
    """,
)
def lstm_step(answer: Answer) -> None:
    """One step of an LSTM.

    Write `lstm_step(x, h, c, W_xh, W_hh, b_h)`, which returns the next h and c, with NumPy alone.
    W_xh is (4H, I), W_hh (4H, H), b_h (4H,); the gates stand in the order i, f, g, o.
    """
    step = answer.function("lstm_step")
    cell = LSTMCell(3, 4, rng=0)
    rng = np.random.default_rng(1)
    x, h, c = rng.standard_normal(3), rng.standard_normal(4), rng.standard_normal(4)
    weights = [getattr(cell, name).data for name in ("W_xh", "W_hh", "b_h")]
    expected_h, expected_c = cell(x, (h, c))
    found = step(x, h, c, *weights)
    require(isinstance(found, tuple) and len(found) == 2, "Return two states: h and c.")
    near("the memory c", found[1], expected_c, "c = σ(f) ⊙ c + σ(i) ⊙ tanh(g).")
    near("the output h", found[0], expected_h, "h = σ(o) ⊙ tanh(c), with the new c.")


@exercise(
    7,
    hints=(
        "Split W x + b_x and W h + b_h in three each: r, z and n.",
        "r multiplies the whole part of n that comes from the past, its bias too.",
    ),
    solution="""
        import numpy as np

        def sigmoid(z):
            return 1 / (1 + np.exp(-z))

        def gru_step(x, h, W_xh, W_hh, b_x, b_h):
            x_r, x_z, x_n = np.split(W_xh @ x + b_x, 3)
            h_r, h_z, h_n = np.split(W_hh @ h + b_h, 3)
            r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
            n = np.tanh(x_n + r * h_n)
            return (1 - z) * n + z * h
    """,
)
def gru_step(answer: Answer) -> None:
    """One step of a GRU.

    Write `gru_step(x, h, W_xh, W_hh, b_x, b_h)`, which returns the next h. The gates stand in the
    order r, z, n, and r multiplies after the matrix: n = tanh(W_xn x + b_xn + r ⊙ (W_hn h + b_hn)).
    """
    step = answer.function("gru_step")
    cell = GRUCell(3, 4, rng=0)
    rng = np.random.default_rng(1)
    x, h = rng.standard_normal(3), rng.standard_normal(4)
    weights = [getattr(cell, name).data for name in ("W_xh", "W_hh", "b_x", "b_h")]
    help = "h = (1 - z) ⊙ n + z ⊙ h: z keeps the old state."
    near("the next h", step(x, h, *weights), cell(x, h), help)


@exercise(
    7,
    hints=(
        "After n steps σ(b)ⁿ of the memory is left.",
        "Solve σ(b)ⁿ = 1/2 for b: σ⁻¹(p) = log(p / (1 - p)).",
    ),
    solution="""
        import numpy as np

        def bias(steps):
            p = 0.5 ** (1 / steps)
            return np.log(p / (1 - p))
    """,
)
def half_life(answer: Answer) -> None:
    """A forget gate with a half-life.

    Write `bias(steps)`: the bias of the forget gate with which an LSTM, as long as nothing else
    comes in, has lost half of its memory after so many steps.
    """
    bias = answer.function("bias")
    for steps in (1, 10, 80):
        kept = (1 / (1 + np.exp(-float(bias(steps))))) ** steps
        help = f"The bias {float(bias(steps)):.3f} keeps σ(b)^{steps} = {kept:.3f} of it."
        near(f"what is left after {steps} steps", kept, 0.5, help, tolerance=1e-6)


@exercise(
    7,
    hints=(
        "Open the forget gate by a large bias, shut the input gate by a large negative one.",
        "b_h has the gates in the order i, f, g, o, H rows each.",
    ),
    solution="""
        import numpy as np
        import tinygrad_rnn as tg

        cell = tg.nn.LSTMCell(input_size=2, hidden_size=3)
        cell.W_xh.data = np.zeros((12, 2))
        cell.W_hh.data = np.zeros((12, 3))
        cell.b_h.data = np.repeat([-40.0, 40.0, 0.0, 0.0], 3)
    """,
)
def keep(answer: Answer) -> None:
    """An LSTM that never forgets.

    Choose the parameters of an `LSTMCell(2, 3)` called `cell` by hand, so that its memory c stays
    as it is for 100 steps, whatever it reads.
    """
    cell = answer["cell"]
    require(isinstance(cell, LSTMCell), "`cell` must be a tg.nn.LSTMCell.")
    rng = np.random.default_rng(0)
    c = np.array([0.7, -0.4, 0.1])
    state = (np.zeros(3), c)
    for _ in range(100):
        state = cell(rng.standard_normal(2), state)
    help = (
        "Is the forget gate open (σ(f) = 1), and the input gate shut (σ(i) = 0), for any x and h?"
    )
    near("the memory after 100 steps", state[1], c, help, tolerance=1e-3)


@exercise(
    7,
    hints=(
        "Keep everything: f = 1. Let everything in: i = 1. Then c grows by tanh(g).",
        "Choose W_xh's rows of g so that tanh(g) is nearly 1 for an a, and nearly -1 for a b.",
    ),
    solution="""
        import numpy as np
        import tinygrad_rnn as tg

        cell = tg.nn.LSTMCell(input_size=2, hidden_size=1)
        cell.W_hh.data = np.zeros((4, 1))
        cell.W_xh.data = np.array([[0, 0], [0, 0], [20, -20], [0, 0]], float)
        cell.b_h.data = np.array([20, 20, 0, 20], float)
    """,
)
def counter(answer: Answer) -> None:
    """An LSTM that counts.

    Choose the parameters of an `LSTMCell(2, 1)` called `cell` by hand, so that its memory counts:
    it reads a = [1, 0] and b = [0, 1], and after any text c is the number of a's minus the number
    of b's, to 1%.
    """
    cell = answer["cell"]
    require(isinstance(cell, LSTMCell), "`cell` must be a tg.nn.LSTMCell.")
    letters = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
    for text in ("a", "b", "aaab", "a" * 30 + "b" * 29, "ab" * 20):
        state = (np.zeros(1), np.zeros(1))
        for letter in text:
            state = cell(letters[letter], state)
        expected = text.count("a") - text.count("b")
        shown = text if len(text) < 8 else f"{text[:3]}…"
        near(f"c after {shown!r} ({len(text)} letters)", state[1], [expected], tolerance=0.01)
