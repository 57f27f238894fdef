"""Each exercise takes its solution, and refuses a plausible wrong answer with a word of help."""

from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from tables import one_in, rows

from tinygrad_rnn.cli import cli
from tinygrad_rnn.errors import StudyError
from tinygrad_rnn.exercises import EXERCISES, NotYet

# exercise -> a wrong answer, and what it is told
WRONG = {
    "one-hot": ("def one_hot(indices, size): return indices", "has shape"),
    "read": (
        """
        import numpy as np

        def rnn(xs, h, W_xh, W_hh, W_hy):
            return np.array([W_hy @ np.tanh(W_hh @ h + W_xh @ x) for x in xs])
        """,
        "made from the one before",
    ),
    "depends-on": ("def depends_on(rnn, xs, t, k): return k <= t", "without memory"),
    "count-ops": (
        """
        def count_ops(tensor):
            if tensor.op is None:
                return 0
            return 1 + sum(count_ops(x) for x in tensor.inputs if x is not None)
        """,
        "computed once",
    ),
    "find-leaves": (
        "def leaves(tensor): return {x.name for x in tensor.inputs if x is not None}",
        "comes from itself",
    ),
    "softplus-vjp": ("def softplus_vjp(g, y, x): return g * y * (1 - y)", "sigmoid"),
    "sigmoid-vjp": ("def sigmoid_vjp(g, y): return y * (1 - y)", "cotangent"),
    "matmul-vjp": ("def matmul_vjp(g, a, b): return g @ b.T, g.T @ a", "has shape"),
    "own-op": (
        """
        import numpy as np
        import tinygrad_rnn as tg

        @tg.op(lambda g, y, x: g / (1 + np.exp(-x)))
        def swish(x):
            \"\"\"y = x σ(x)\"\"\"
            return x / (1 + np.exp(-x))
        """,
        "gradient is not right",
    ),
    "unbroadcast": (
        "def unbroadcast(g, shape): return g.mean(axis=tuple(range(g.ndim - len(shape))))",
        "sum of all its gradients",
    ),
    "central-difference": (
        """
        import numpy as np

        def central_difference(f, x, eps=1e-6):
            gradient = np.zeros_like(x)
            for place in np.ndindex(x.shape):
                moved = x.copy()
                moved[place] += eps
                gradient[place] = (f(moved) - f(x)) / eps
            return gradient
        """,
        "expected",
    ),
    "backward-order": (
        """
        def backward_order(tensor):
            if tensor.op is None:
                return []
            order = [tensor.op.name]
            for x in tensor.inputs:
                order += [name for name in backward_order(x) if name not in order]
            return order
        """,
        "hands on after",
    ),
    "zero-grad": (
        """
        def train(layer, optimizer, xs, targets, steps):
            losses = []
            for _ in range(steps):
                error = layer(xs) - targets
                loss = (error * error).mean()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses
        """,
        "fresh sum",
    ),
    "used-three-times": (
        "import numpy as np\n\n\ndef gradient(x): return np.exp(x) + 1",
        "x is read by",
    ),
    "second-derivative": (
        """
        import tinygrad_rnn as tg

        def second_derivative(f, x):
            x = tg.tensor(x, requires_grad=True)
            return tg.grad(f(x), [x])[0].item()
        """,
        "expected 18",
    ),
    "hessian-vector": (
        """
        import tinygrad_rnn as tg

        def hvp(f, x, v):
            x = tg.tensor(x, requires_grad=True)
            return tg.grad(f(x), [x])[0].data * v
        """,
        "∇f · v",
    ),
    "count-parameters": (
        """
        def parameters(cell, input_size, hidden_size):
            gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
            return gates * hidden_size * (input_size + hidden_size + 1)
        """,
        "parameters('gru', 3, 5)",
    ),
    "shapes": (
        """
        shapes = {"ys": (7, 2, 5), "h": (2, 2, 5), "W_xh": (5, 3), "W_hh": (5, 5)}
        """,
        "ys is (7, 2, 5)?",
    ),
    "last-outputs": ("def last_outputs(ys, lengths): return ys[-1]", "padding"),
    "both-ways": (
        """
        import numpy as np

        def both_ways(forward, backward, xs):
            return np.concatenate([forward(xs), backward(xs[::-1])], axis=-1)
        """,
        "At t = 0",
    ),
    "six-copies": (
        """
        import numpy as np
        import tinygrad_rnn as tg

        W = tg.tensor(np.eye(3), requires_grad=True, name="W")
        h = tg.tensor(np.ones(3))
        for x in np.eye(5, 3):
            with tg.scope("cell"):
                h = tg.ops.tanh(W @ h + x)
        """,
        "5 copies, not six",
    ),
    "two-layers": (
        """
        import numpy as np
        import tinygrad_rnn as tg

        cell = tg.nn.RNNCell(3, 4, rng=0)
        a = None
        for x in np.eye(4, 3):
            a = cell(tg.tensor(x), a)
        loss = (a * a).sum()
        """,
        "expected two",
    ),
    "temperature": (
        """
        import numpy as np

        def probabilities(scores, temperature):
            e = np.exp(scores / temperature)
            return e / e.sum()
        """,
        "subtract the largest",
    ),
    "bigram-entropy": (
        """
        from collections import Counter
        from math import log2

        def bigram_entropy(text):
            pairs, firsts = Counter(zip(text, text[1:])), Counter(text[:-1])
            n = len(text) - 1
            return -sum(k / n * log2(k / firsts[a]) for (a, _), k in pairs.items())
        """,
        "nats",
    ),
    "lstm-step": (
        """
        import numpy as np

        def lstm_step(x, h, c, W_xh, W_hh, b_h):
            i, f, o, g = np.split(W_xh @ x + W_hh @ h + b_h, 4)
            s = lambda z: 1 / (1 + np.exp(-z))
            c = s(f) * c + s(i) * np.tanh(g)
            return s(o) * np.tanh(c), c
        """,
        "the memory c",
    ),
    "gru-step": (
        """
        import numpy as np

        def gru_step(x, h, W_xh, W_hh, b_x, b_h):
            s = lambda z: 1 / (1 + np.exp(-z))
            x_r, x_z, x_n = np.split(W_xh @ x + b_x, 3)
            h_r, h_z, h_n = np.split(W_hh @ h + b_h, 3)
            z = s(x_z + h_z)
            return z * np.tanh(x_n + s(x_r + h_r) * h_n) + (1 - z) * h
        """,
        "z keeps",
    ),
    "half-life": ("def bias(steps): return 1.0", "keeps"),
    "keep": (
        "import tinygrad_rnn as tg\n\ncell = tg.nn.LSTMCell(2, 3, forget_bias=40.0, rng=0)",
        "input gate shut",
    ),
    "counter": (
        """
        import numpy as np
        import tinygrad_rnn as tg

        cell = tg.nn.LSTMCell(input_size=2, hidden_size=1)
        cell.W_hh.data = np.zeros((4, 1))
        cell.W_xh.data = np.array([[0, 0], [0, 0], [20, 0], [0, 0]], float)
        cell.b_h.data = np.array([20, 20, 0, 20], float)
        """,
        "c after 'b'",
    ),
    "decades": (
        "from math import log\n\n\ndef decades(first, last): return log(last / first)",
        "expected 8",
    ),
    "p-minus-y": (
        """
        import numpy as np

        def gradient(scores, target):
            e = np.exp(scores)
            return np.eye(len(scores))[target] - e / e.sum()
        """,
        "p - y",
    ),
    "two-terms": (
        "def gradient_of_h1(g_y1, g_h2, h2, W_hh, W_hy): return W_hh.T @ ((1 - h2 * h2) * g_h2)",
        "Both terms",
    ),
    "jacobian": (
        """
        import numpy as np

        def jacobian(h_t, W_hh):
            return W_hh @ np.diag(1 - h_t**2)
        """,
        "Each row",
    ),
    "influence": (
        """
        import numpy as np

        def influence(hs, k, t, W_xh, W_hh):
            return np.diag(1 - hs[t] ** 2) @ np.linalg.matrix_power(W_hh, t - k) @ W_xh
        """,
        "newest Jacobian",
    ),
    "truncated": (
        """
        def read_in_pieces(cell, xs, size):
            h, total = None, 0.0
            for x in xs:
                h = cell(x, h)
                total = total + (h * h).sum()
            return total
        """,
        "only between two pieces",
    ),
    "neither": (
        "import numpy as np\n\n\ndef weights(size): return np.ones((size, size)) / size",
        "singular values",
    ),
    "how-many-steps": (
        """
        from math import log

        def steps(gain, limit):
            return round(log(limit) / log(gain))
        """,
        "but",
    ),
    "clip": (
        """
        import numpy as np

        def clip(gradients, most):
            return [g * min(1.0, most / np.sqrt((g * g).sum() + 1e-300)) for g in gradients]
        """,
        "joint norm",
    ),
    "spectral-radius": (
        """
        import numpy as np

        def rescaled(W, radius):
            return W * (radius / np.linalg.norm(W, 2))
        """,
        "take |λ|",
    ),
    "scissors": (
        """
        import numpy as np
        import tinygrad_rnn as tg

        cell, h = tg.nn.RNNCell(3, 4, rng=0), None
        with tg.trace() as tr:
            for t, x in enumerate(np.eye(5, 3)):
                h = cell(tg.tensor(x), h)
                if t == 3:
                    h = tg.nn.detach(h)
            loss = (h * h).sum()
            loss.backward()
        """,
        "after copy 3",
    ),
    "how-many-terms": (
        "def terms(value, root): return sum(x is value for x in root.inputs)",
        "exp reads h",
    ),
    "one-product": (
        """
        import numpy as np

        def weight_gradient(gs, xs):
            return sum(np.outer(g, x) for g, x in zip(gs, xs))
        """,
        "a loop over the steps",
    ),
    "before-the-loop": (
        """
        import numpy as np

        def states(xs, h, W_xh, W_hh):
            hs = []
            for x in xs:
                h = np.tanh(W_hh @ h + W_xh @ x)
                hs.append(h)
            return np.array(hs)
        """,
        "multiplied 6 times",
    ),
    "find-the-leap": ("break upd\ncontinue", "one of the others is larger"),
    "find-the-nan": ("break op=exp\ncontinue", "negative number"),
    "find-the-broadcast": ("break fwd op=mul\ncontinue", "(5, 5)"),
    "find-the-cut": ("break op=tanh\ncontinue", "no gradient back"),
    "go-to-the-last-state": ("next h@3", "not at h@19"),
    "hold-the-gate": (
        "def opened(run, steps): return run.what_if({'f@0': 1.0})",
        "Hold it at every step",
    ),
    "what-it-costs": (
        "def cost(run, t): return float(run.what_if({f'h@{t}': 0})['loss'])",
        "less the old one",
    ),
    "open-the-forget-gate": (
        "def open_forget_gate(cell, by): cell.b_h.data = cell.b_h.data + by",
        "i, f, g, o",
    ),
    "gates-in-order": ("def from_onnx(W): return W", "then f"),
}


def handed_in(exercise, text, folder):
    path = folder / f"answer{exercise.suffix}"
    path.write_text(dedent(text), "utf-8")
    return path


def test_there_are_forty_and_each_has_a_wrong_answer_here():
    assert len(EXERCISES) >= 40
    assert EXERCISES.keys() == WRONG.keys()


LONG = {"scissors", "hold-the-gate"}  # they cost most


@pytest.mark.parametrize("name", rows(list(EXERCISES), EXERCISES.keys() - LONG))
def test_its_solution_passes(name, tmp_path):
    exercise = EXERCISES[name]
    exercise.check(handed_in(exercise, exercise.solution, tmp_path))
    assert exercise.question
    assert exercise.hints


@pytest.mark.parametrize("name", one_in(2, list(WRONG)))
def test_a_wrong_answer_is_told_what_is_wrong(name, tmp_path):
    exercise = EXERCISES[name]
    text, word = WRONG[name]
    with pytest.raises(NotYet) as caught:
        exercise.check(handed_in(exercise, text, tmp_path))
    assert word in str(caught.value)


def test_an_answer_without_the_name_is_told_so(tmp_path):
    exercise = EXERCISES["read"]
    with pytest.raises(NotYet, match=r"answer\.py defines no `rnn`"):
        exercise.check(handed_in(exercise, "def rmn(): ...", tmp_path))


def test_an_answer_of_another_kind_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"a \.tgdb file"):
        EXERCISES["find-the-nan"].check(handed_in(EXERCISES["read"], "", tmp_path))


def run(*arguments):
    return CliRunner().invoke(cli, ["exercise", *map(str, arguments)])


def test_the_command(tmp_path):
    listed = run()
    assert all(title in listed.output for title in ("softplus-vjp", "go-to-the-last-state"))
    asked = run("softplus-vjp")
    assert "log(1 + eˣ)" in asked.output
    assert "sigmoid" not in asked.output
    assert "sigmoid" in run("softplus-vjp", "--hint").output
    assert "def softplus_vjp" in run("softplus-vjp", "--solution").output
    exercise = EXERCISES["softplus-vjp"]
    right = run("softplus-vjp", handed_in(exercise, exercise.solution, tmp_path))
    assert (right.exit_code, right.output.splitlines()[0]) == (
        0,
        "Right. Write the VJP of softplus",
    )
    wrong = run("softplus-vjp", handed_in(exercise, WRONG["softplus-vjp"][0], tmp_path))
    assert wrong.exit_code == 1
    assert "Not yet. softplus_vjp(1, y, x) is" in wrong.output
    unknown = run("no-such")
    assert unknown.exit_code == 2
    assert "there is no exercise 'no-such'" in unknown.output


RAISES = {
    "def softplus_vjp(g, y, x): return g / x.missing": [
        "line 1, in softplus_vjp",
        "AttributeError",
    ],
    "import tinygrad_rnn as tg\ntg.ops.tanh('x')": ["line 2, in <module>", "Error: tanh:"],
    "def softplus_vjp(": ["line 1", "SyntaxError"],
}


@pytest.mark.parametrize("text", RAISES)
def test_an_error_of_the_answer_is_shown_with_its_own_lines_alone(text, tmp_path):
    found = run("softplus-vjp", handed_in(EXERCISES["softplus-vjp"], text, tmp_path))
    assert found.exit_code == 1
    assert found.output.startswith("Not yet. The answer raised an error.\n")
    said = "".join(found.output.split())  # the lines are as wide as the terminal
    assert all(word.replace(" ", "") in said for word in RAISES[text])
    assert "tinygrad_rnn/" not in found.output


def test_commands_that_are_refused_are_told_so_in_a_line(tmp_path):
    found = run("find-the-nan", handed_in(EXERCISES["find-the-nan"], "brek nan", tmp_path))
    assert found.exit_code == 1
    assert " ".join(found.output.split()).startswith(
        "Not yet. The commands end with exit code 2: there is no command 'brek'"
    )


def test_each_chapter_names_its_exercises():
    docs = Path(__file__).parents[2] / "docs"
    for exercise in EXERCISES.values():
        (page,) = docs.glob(f"{exercise.chapter:02}_*.md")
        assert f"`{exercise.name}`" in page.read_text("utf-8"), (exercise.name, page.name)


def test_each_chapter_ends_with_what_it_said_and_with_exercises():
    for page in sorted((Path(__file__).parents[2] / "docs").glob("[0-9]*.md")):
        headings = [line for line in page.read_text("utf-8").splitlines() if line.startswith("## ")]
        assert headings[-2:] == ["## In short", "## Exercises"], page.name
        own = [each for each in EXERCISES.values() if each.chapter == int(page.name[:2])]
        assert len(own) >= 2, page.name
