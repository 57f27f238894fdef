"""Exercises on recurrent networks: reading, unrolling, shapes, layers, texts."""

import re
from itertools import pairwise
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..diagrams import draw
from ..nn.cells import RNNCell
from ..nn.recurrent import GRU, LSTM, RNN
from ..tracing.trace import Trace
from .exercise import Answer, exercise, near, require


@exercise(
    0,
    hints=("`np.eye(size)` has a row for each letter.",),
    solution="""
        import numpy as np

        def one_hot(indices, size):
            return np.eye(size)[indices]
    """,
)
def one_hot(answer: Answer) -> None:
    """Letters as vectors.

    Write `one_hot(indices, size)`: for each index a row of `size` numbers, with a 1 in its place.
    """
    encode = answer.function("one_hot")
    near("one_hot([2, 0], 3)", encode([2, 0], 3), [[0, 0, 1], [1, 0, 0]])
    near("one_hot([1], 4)", encode([1], 4), [[0, 1, 0, 0]], "A row for each index, even for one.")


@exercise(
    0,
    hints=("The equation in the chapter is the code, with @ for the products.",),
    solution="""
        import numpy as np

        def rnn(xs, h, W_xh, W_hh, W_hy):
            ys = []
            for x in xs:
                h = np.tanh(W_hh @ h + W_xh @ x)
                ys.append(W_hy @ h)
            return np.array(ys)
    """,
)
def read(answer: Answer) -> None:
    """Write the network that reads.

    Write `rnn(xs, h, W_xh, W_hh, W_hy)` with NumPy alone: it reads xs (T, I) from the state h (H,)
    on, and returns all outputs (T, O).

        h_t = tanh(W_hh h_{t-1} + W_xh x_t)        y_t = W_hy h_t
    """
    rnn = answer.function("rnn")
    rng = np.random.default_rng(0)
    xs, h = rng.standard_normal((4, 3)), rng.standard_normal(5)
    W_xh, W_hh, W_hy = (rng.standard_normal(shape) for shape in ((5, 3), (5, 5), (2, 5)))
    expected, state = [], h
    for x in xs:
        state = np.tanh(W_hh @ state + W_xh @ x)
        expected.append(W_hy @ state)
    got = rnn(xs, h, W_xh, W_hh, W_hy)
    near("the first output", np.asarray(got)[0], expected[0], "y_0 reads h_0, which has read x_0.")
    near("all outputs", got, expected, "Is each state made from the one before it?")


@exercise(
    0,
    hints=(
        "Read the sequence with and without the change, and compare outputs.",
        "An output before the change cannot notice it.",
    ),
    solution="""
        def depends_on(rnn, xs, t, k):
            changed = xs.copy()
            changed[k] += 1.0
            return bool((rnn(changed)[t] != rnn(xs)[t]).any())
    """,
)
def depends_on(answer: Answer) -> None:
    """On what does an output depend?

    Write `depends_on(rnn, xs, t, k)`: whether the output y_t of a network depends on the input x_k.
    `rnn(xs)` returns all outputs, xs is (T, I). Do not look inside the network: try it.
    """
    depends = answer.function("depends_on")
    cell = RNNCell(2, 3, rng=0)

    def rnn(xs: Any) -> Any:
        h, ys = None, []
        for x in xs:
            h = cell(Tensor(x), h)
            ys.append(h.data)
        return np.array(ys)

    def memoryless(xs: Any) -> Any:
        return np.tanh(xs)

    xs = np.random.default_rng(0).standard_normal((4, 2))
    before = xs.copy()
    for t in range(4):
        for k in range(4):
            found = depends(rnn, xs, t, k)
            require(found == (k <= t), f"y_{t} and x_{k}: you say {found}. y_t = f(x_0, …, x_t).")
    require(np.array_equal(xs, before), "xs itself was changed: work on a copy.")
    help = "of a network without memory, y_3 does not depend on x_0: is something hard-coded?"
    require(not depends(memoryless, xs, 3, 0), help)


@exercise(
    6,
    hints=("W_xh is (gates · H, I), W_hh (gates · H, H); an LSTM has 4 gates, a GRU 3.",),
    solution="""
        GATES = {"rnn": 1, "lstm": 4, "gru": 3}

        def parameters(cell, input_size, hidden_size):
            gates = GATES[cell]
            biases = 2 if cell == "gru" else 1
            return gates * hidden_size * (input_size + hidden_size + biases)
    """,
)
def count_parameters(answer: Answer) -> None:
    """How many numbers does a layer learn?

    Write `parameters(cell, input_size, hidden_size)` for "rnn", "lstm" and "gru", one layer with
    biases. Mind that this library's GRU has two biases, b_h and b_x, and the others one.
    """
    count = answer.function("parameters")
    for name, kind in {"rnn": RNN, "lstm": LSTM, "gru": GRU}.items():
        expected = sum(each.size for each in kind(3, 5).parameters())
        near(
            f"parameters({name!r}, 3, 5)", count(name, 3, 5), expected, "Count W_xh, W_hh, biases."
        )
    expected = sum(each.size for each in LSTM(7, 2).parameters())
    near("parameters('lstm', 7, 2)", count("lstm", 7, 2), expected, "I and H may differ.")


@exercise(
    6,
    hints=(
        "Without `batch_first` time stands first, the batch second.",
        "Both directions side by side: ys is 2H wide; h has a row for each layer and direction.",
    ),
    solution="""
        shapes = {
            "ys": (7, 2, 10),
            "h": (4, 2, 5),
            "W_xh": (5, 3),
            "W_hh": (5, 5),
            "W_xh_l1": (5, 10),
        }
    """,
)
def shapes(answer: Answer) -> None:
    """Say the shapes before you run it.

        rnn = tg.nn.RNN(3, 5, num_layers=2, bidirectional=True)
        ys, h = rnn(xs)        # xs is (7, 2, 3): 7 steps, 2 sequences, 3 features

    Write a dict `shapes` with the shapes of "ys", "h", "W_xh", "W_hh" and "W_xh_l1", as tuples.
    """
    given = answer["shapes"]
    require(isinstance(given, dict), "`shapes` must be a dict.")
    rnn = RNN(3, 5, num_layers=2, bidirectional=True)
    ys, h = rnn(np.zeros((7, 2, 3)))
    found = {"ys": ys.shape, "h": h.shape}
    found |= {name: getattr(rnn, name).shape for name in ("W_xh", "W_hh", "W_xh_l1")}
    for name, shape in found.items():
        require(name in given, f"`shapes` has no {name!r}.")
        require(
            tuple(given[name]) == shape, f"{name} is {given[name]}? It is not; run it and look."
        )


@exercise(
    6,
    hints=("Row `length - 1` of each sequence: index with two arrays, the steps and the batch.",),
    solution="""
        import numpy as np

        def last_outputs(ys, lengths):
            lengths = np.asarray(lengths)
            return ys[lengths - 1, np.arange(len(lengths))]
    """,
)
def last_outputs(answer: Answer) -> None:
    """The last output of each of several sequences.

    ys is (T, B, H), padded; `lengths` (B,) says how long each sequence really is. Write
    `last_outputs(ys, lengths)`, (B, H): what each sequence ended with.
    """
    last = answer.function("last_outputs")
    ys = np.arange(24.0).reshape(4, 3, 2)
    expected = np.array([ys[3, 0], ys[0, 1], ys[2, 2]])
    help = "ys[-1] is padding for all but the longest."
    near("last_outputs(ys, [4, 1, 3])", last(ys, [4, 1, 3]), expected, help)


@exercise(
    6,
    hints=(
        "Give the backward cell the inputs from last to first.",
        "Turn its states around again, so that both belong to the same t.",
    ),
    solution="""
        import numpy as np

        def both_ways(forward, backward, xs):
            there = forward(xs)
            back = backward(xs[::-1])[::-1]
            return np.concatenate([there, back], axis=-1)
    """,
)
def both_ways(answer: Answer) -> None:
    """Read from both ends.

    `forward(xs)` and `backward(xs)` are two networks: each reads xs (T, I) in the order given, and
    returns its states (T, H). Write `both_ways(forward, backward, xs)`, (T, 2H): at each t what has
    been read from the left up to it, then what has been read from the right down to it.
    """
    both = answer.function("both_ways")

    def left(xs: Any) -> Any:
        return np.cumsum(xs, axis=0)

    def right(xs: Any) -> Any:
        return 10 * np.cumsum(xs, axis=0)

    xs = np.array([[1.0], [2.0], [4.0]])
    expected = [[1, 70], [3, 60], [7, 40]]
    help = "At t = 0 the second one has read everything, at t = 2 the last input alone."
    near("both_ways", both(left, right, xs), expected, help)


def picture_of(value: Any, *, gradients: bool = False) -> str:
    """The picture of a value or a trace with all its columns, as SVG."""
    drawable = isinstance(value, Tensor | Trace)
    require(drawable, "It must be a Tensor or a trace, which the picture is drawn from.")
    return draw(value, gradients=gradients, fold=None).svg


def cells_in(picture: str) -> set[tuple[int, int]]:
    """Row and timestep of each copy."""
    found = re.findall(r'<g id="cell-(\d+)-(\d+)" ', picture)
    return {(int(row), int(t)) for row, t in found}


@exercise(
    9,
    hints=("`tg.nn.detach(h)` passes the value on, and no gradient back.",),
    solution="""
        import numpy as np
        import tinygrad_rnn as tg

        cell, h = tg.nn.RNNCell(3, 4, rng=0), None
        with tg.trace() as tr:
            for t, x in enumerate(np.eye(5, 3)):
                if t == 3:
                    h = tg.nn.detach(h)
                h = cell(tg.tensor(x), h)
            loss = (h * h).sum()
            loss.backward()
    """,
)
def scissors(answer: Answer) -> None:
    """A picture with scissors.

    Write a loop of five steps over a cell with a loss on the last state, all of it and the
    `backward()` in a trace called `tr`, so that the picture `tg.draw(tr, gradients=True)` has ✂
    between the third copy and the fourth, and nowhere else.
    """
    picture = picture_of(answer["tr"], gradients=True)
    cells = cells_in(picture)
    require(len(cells) == 5, f"The picture has {len(cells)} copies, expected five.")
    cut = re.findall(
        r'<g id="gradient-message-cell-0-(\d)-cell-0-(\d)"(?:(?!</g>).)*✂', picture, re.DOTALL
    )
    require(bool(cut), "No message is cut: where does the state lose its history?")
    require(cut == [("2", "3")], f"The cut is after copy {cut[0][0]}; copies count from 0.")


@exercise(
    10,
    hints=(
        "Any value that is made again and again from its last one will do.",
        'Mark each step: `with tg.scope("cell"):`.',
    ),
    solution="""
        import numpy as np
        import tinygrad_rnn as tg

        W = tg.tensor(np.eye(3) / 2, requires_grad=True, name="W")
        h = tg.tensor(np.ones(3))
        for x in np.eye(6, 3):
            with tg.scope("cell"):
                h = tg.ops.tanh(W @ h + x)
    """,
)
def six_copies(answer: Answer) -> None:
    """A loop of your own, drawn as six copies.

    Write a loop of plain ops whose last state is called `h`, so that its picture shows one row of
    six copies, each passing a message to the next. `tg.draw(h)` shows you what you have.
    """
    cells = cells_in(picture_of(answer["h"]))
    rows = {row for row, _ in cells}
    require(bool(cells), 'No copies: mark each step by `with tg.scope("cell"):`.')
    require(rows == {0}, f"There are {len(rows)} rows of copies; one is enough.")
    require(len(cells) == 6, f"There are {len(cells)} copies, not six.")


@exercise(
    10,
    hints=("The second cell reads the state of the first one at the same step.",),
    solution="""
        import numpy as np
        import tinygrad_rnn as tg

        lower, upper = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(4, 4, rng=1)
        a = b = None
        for x in np.eye(4, 3):
            a = lower(tg.tensor(x), a)
            b = upper(a, b)
        loss = (b * b).sum()
    """,
)
def two_layers(answer: Answer) -> None:
    """One network fed to another.

    Write a loop over two cells, so that the picture of `loss` shows two rows of four copies: the
    upper one reads the states of the lower one.
    """
    picture = picture_of(answer["loss"])
    cells = cells_in(picture)
    rows = {row for row, _ in cells}
    require(len(rows) == 2, f"The picture has {len(rows)} rows of copies, expected two.")
    for row in sorted(rows):
        copies = sum(1 for each, _ in cells if each == row)
        require(copies == 4, f"Row {row} has {copies} copies, expected four.")
    links = re.findall(r'id="up-cell-0-(\d+)-cell-1-(\d+)"', picture)
    steps = [(str(t), str(t)) for t in range(4)]
    require(links == steps, "Each upper copy must read the lower copy of its own step.")


@exercise(
    8,
    hints=(
        "Divide the scores, then softmax.",
        "Subtract the largest before exp: e¹⁰⁰⁰ is infinite.",
    ),
    solution="""
        import numpy as np

        def probabilities(scores, temperature):
            z = np.asarray(scores) / temperature
            e = np.exp(z - z.max())
            return e / e.sum()
    """,
)
def temperature(answer: Answer) -> None:
    """Sampling with a temperature.

    Write `probabilities(scores, temperature)`: the probabilities of the next letter. Below 1 the
    model says what it is sure of, above 1 it takes risks. Scores may be as large as 1000.
    """
    probabilities = answer.function("probabilities")
    scores = np.array([1.0, 2.0, 0.0])
    for degree in (1.0, 0.5, 3.0):
        e = np.exp(scores / degree)
        near(f"probabilities(scores, {degree})", probabilities(scores, degree), e / e.sum())
    help = "e¹⁰⁰⁰ overflows: subtract the largest score first, which changes nothing."
    with np.errstate(all="ignore"):
        huge = probabilities(np.array([1000.0, 999.0]), 1.0)
    near("probabilities([1000, 999], 1)", huge, [1 / (1 + np.exp(-1)), 1 / (1 + np.e)], help)


@exercise(
    8,
    hints=(
        "Count pairs: how often does each letter follow each other letter?",
        "Average -log P(next | letter) over all pairs of the text.",
    ),
    solution="""
        from collections import Counter
        from math import log

        def bigram_entropy(text):
            pairs = Counter(zip(text, text[1:]))
            firsts = Counter(text[:-1])
            n = len(text) - 1
            return -sum(k / n * log(k / firsts[a]) for (a, b), k in pairs.items())
    """,
)
def bigram_entropy(answer: Answer) -> None:
    """How surprised is one who remembers one letter?

    Write `bigram_entropy(text)`, in nats a letter: the mean of -log P(next letter | letter) over
    the text, with the text's own frequencies as the probabilities.
    """
    entropy = answer.function("bigram_entropy")
    near("bigram_entropy('abababab')", entropy("abababab"), 0.0, "b always follows a.")
    text = "hello hello help"
    pairs = list(pairwise(text))
    firsts = [a for a, _ in pairs]
    expected = -np.mean([np.log(pairs.count((a, b)) / firsts.count(a)) for a, b in pairs])
    help = "In nats (natural logarithm); the last letter is followed by nothing."
    near(f"bigram_entropy({text!r})", entropy(text), expected, help)
