"""Exercises on gradients through time: Jacobians, vanishing and exploding, clipping, truncation."""

from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.backward import grad
from ..autograd.tensor import tensor
from ..nn.cells import RNNCell, detach
from .exercise import Answer, exercise, near, require


@exercise(
    9,
    hints=("‖∂L/∂h₀‖ / ‖∂L/∂h₂₉‖ is gain²⁹; the colours are a scale of powers of ten.",),
    solution="""
        from math import log10

        def decades(first, last):
            return log10(last / first)
    """,
)
def decades(answer: Answer) -> None:
    """Read a strip of gradients.

    The strip below a picture shows ‖∂L/∂h_t‖ at each step, in colours of a logarithmic scale. Write
    `decades(first, last)`: by how many powers of ten the norm has fallen from the last step to the
    first.
    """
    fallen = answer.function("decades")
    near("decades(1e-8, 1.0)", fallen(1e-8, 1.0), 8.0)
    near("decades(0.02, 2.0)", fallen(0.02, 2.0), 2.0)
    near("decades(50.0, 0.5)", fallen(50.0, 0.5), -2.0, "An exploding gradient has risen: below 0.")


@exercise(
    11,
    hints=("The derivative of -log softmax(scores)[target] is p - y, y the one-hot target.",),
    solution="""
        import numpy as np

        def gradient(scores, target):
            e = np.exp(scores - scores.max())
            p = e / e.sum()
            p[target] -= 1
            return p
    """,
)
def p_minus_y(answer: Answer) -> None:
    """Why softmax and cross-entropy belong together.

    L = -log softmax(scores)[target]. Write `gradient(scores, target)`, which returns ∂L/∂scores.
    """
    gradient = answer.function("gradient")
    scores = np.array([2.0, -1.0, 0.5])
    e = np.exp(scores)
    for target in range(3):
        expected = e / e.sum() - np.eye(3)[target]
        help = "It is what the model believes minus what is true: p - y."
        near(f"the gradient for target {target}", gradient(scores.copy(), target), expected, help)


@exercise(
    11,
    hints=(
        "h₁ is read by the next step, and by its own output: two terms.",
        "∂L/∂h₁ = W_hhᵀ ((1 - h₂²) ⊙ ∂L/∂h₂) + ∂L/∂y₁ through W_hy.",
    ),
    solution="""
        def gradient_of_h1(g_y1, g_h2, h2, W_hh, W_hy):
            from_output = W_hy.T @ g_y1
            from_next = W_hh.T @ ((1 - h2 * h2) * g_h2)
            return from_output + from_next
    """,
)
def two_terms(answer: Answer) -> None:
    """The gradient of a state, from its two readers.

    h_2 = tanh(W_hh h_1 + …) and y_1 = W_hy h_1 both read h_1. Write `gradient_of_h1(g_y1, g_h2, h2,
    W_hh, W_hy)`, where g_y1 is ∂L/∂y_1 and g_h2 is ∂L/∂h_2 as a whole.
    """
    gradient = answer.function("gradient_of_h1")
    rng = np.random.default_rng(0)
    W_hh, W_hy = rng.standard_normal((3, 3)), rng.standard_normal((2, 3))
    h1 = tensor(rng.standard_normal(3), requires_grad=True)
    g_y1, g_h2 = rng.standard_normal(2), rng.standard_normal(3)
    h2 = ops.tanh(W_hh @ h1)
    loss = (h2 * g_h2).sum() + (W_hy @ h1 * g_y1).sum()
    (expected,) = grad(loss, [h1])
    got = gradient(g_y1, g_h2, h2.data, W_hh, W_hy)
    near(
        "∂L/∂h_1", got, expected, "Both terms count: what its output hands back, and the next step."
    )


@exercise(
    14,
    hints=("z = W h_{t-1} + …; h_t = tanh(z), dh_t/dz = diag(1 - h_t²).",),
    solution="""
        import numpy as np

        def jacobian(h_t, W_hh):
            return np.diag(1 - h_t**2) @ W_hh
    """,
)
def jacobian(answer: Answer) -> None:
    """From one state to the next.

    h_t = tanh(W_hh h_{t-1} + W_xh x_t). Write `jacobian(h_t, W_hh)`: the matrix ∂h_t/∂h_{t-1}, (H,
    H).
    """
    given = answer.function("jacobian")
    rng = np.random.default_rng(0)
    W_hh, h = rng.standard_normal((3, 3)), np.tanh(rng.standard_normal(3))
    help = "Each row is scaled by its own 1 - h²: diag(1 - h_t²) W_hh."
    near("∂h_t/∂h_{t-1}", given(h, W_hh), (1 - h * h)[:, None] * W_hh, help)


@exercise(
    14,
    hints=(
        "One Jacobian for each step from k + 1 to t, the newest on the left.",
        "The last factor is ∂h_k/∂x_k = diag(1 - h_k²) W_xh.",
    ),
    solution="""
        import numpy as np

        def influence(hs, k, t, W_xh, W_hh):
            product = np.diag(1 - hs[k] ** 2) @ W_xh
            for step in range(k + 1, t + 1):
                product = np.diag(1 - hs[step] ** 2) @ W_hh @ product
            return product
    """,
)
def influence(answer: Answer) -> None:
    """How much of x_k is left in h_t?

    hs (T, H) are the states of a network h_t = tanh(W_hh h_{t-1} + W_xh x_t). Write
    `influence(hs, k, t, W_xh, W_hh)`: the matrix ∂h_t/∂x_k, (H, I), for k ≤ t.
    """
    given = answer.function("influence")
    rng = np.random.default_rng(0)
    cell = RNNCell(2, 3, bias=False, rng=0)
    xs = [tensor(x, requires_grad=True) for x in rng.standard_normal((5, 2))]
    h, hs = None, []
    for x in xs:
        h = cell(x, h)
        hs.append(h)
    states = np.array([each.data for each in hs])
    weights = (cell.W_xh.data, cell.W_hh.data)
    for k, t in ((3, 3), (2, 3), (0, 4)):
        rows = [grad(hs[t][i], [xs[k]])[0].data for i in range(3)]
        help = "The newest Jacobian stands on the left, W_xh on the right."
        near(f"∂h_{t}/∂x_{k}", given(states, k, t, *weights), np.array(rows), help)


@exercise(
    14,
    hints=("Detach the state between the pieces: its value goes on, its gradient does not.",),
    solution="""
        import tinygrad_rnn as tg

        def read_in_pieces(cell, xs, size):
            h, total = None, 0.0
            for t, x in enumerate(xs):
                if t % size == 0 and h is not None:
                    h = tg.nn.detach(h)
                h = cell(x, h)
                total = total + (h * h).sum()
            return total
    """,
)
def truncated(answer: Answer) -> None:
    """Read a long text in pieces.

    Write `read_in_pieces(cell, xs, size)`: read all of xs with one cell and return Σ_t Σ h_t², but
    let no gradient cross from one piece of `size` steps to the piece before. The values do not
    change by that.
    """
    pieces = answer.function("read_in_pieces")
    xs = np.random.default_rng(0).standard_normal((6, 2))
    cell = RNNCell(2, 3, rng=0)

    def reference(size: int) -> Any:
        h, total = None, 0.0
        for t, x in enumerate(xs):
            if t and t % size == 0:
                h = detach(h)
            h = cell(x, h)
            total = total + (h * h).sum()
        return total

    for size in (6, 2, 4):
        got, expected = pieces(cell, xs, size), reference(size)
        near(f"the sum with pieces of {size}", got, expected, "The state itself goes on.")
        help = "Detach the state, and only between two pieces."
        gradient, wanted = (grad(each, [cell.W_hh])[0] for each in (got, expected))
        near(f"its gradient with pieces of {size}", gradient, wanted, help)


@exercise(
    15,
    hints=("All singular values must be 1: an orthogonal matrix. `np.linalg.qr` makes one.",),
    solution="""
        import numpy as np

        def weights(size):
            q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))
            return q
    """,
)
def neither(answer: Answer) -> None:
    """Weights with which no gradient vanishes or explodes.

    In a linear network h_t = W h_{t-1}, a gradient g comes back as Wᵀ g, then Wᵀ Wᵀ g, and so on.
    Write `weights(size)`: a matrix W, not diagonal, for which the norm stays exactly as it is.
    """
    given = answer.function("weights")
    for size in (2, 7):
        W = np.asarray(given(size))
        near(f"the shape of weights({size})", W.shape, (size, size))
        diagonal = np.allclose(W, np.diag(np.diag(W)))
        require(not diagonal, "A diagonal matrix is too easy: let units talk to each other.")
        g = np.random.default_rng(1).standard_normal(size)
        back = np.linalg.matrix_power(W.T, 50) @ g
        help = "Are all singular values 1?"
        near(
            "the norm after 50 steps, ÷ the first,",
            np.linalg.norm(back) / np.linalg.norm(g),
            1,
            help,
        )


@exercise(
    15,
    hints=("gainⁿ > limit; take logarithms on both sides, and round up.",),
    solution="""
        from math import floor, log

        def steps(gain, limit):
            return floor(log(limit) / log(gain)) + 1
    """,
)
def how_many_steps(answer: Answer) -> None:
    """When does it overflow?

    A gradient of norm 1 grows by the factor `gain` > 1 at each step. Write `steps(gain, limit)`:
    after how many steps it is larger than `limit` for the first time.
    """
    steps = answer.function("steps")
    for gain, limit in ((2.0, 1000.0), (3.0, 10.0), (1.1, 1e6), (1.5, 3.4e38)):
        n = int(steps(gain, limit))
        fits = gain ** (n - 1) <= limit < gain**n
        require(fits, f"steps({gain}, {limit:g}) is {n}, but {gain}^{n} = {gain**n:.4g}.")


@exercise(
    15,
    hints=(
        "The norm is that of all gradients together, as of one long vector.",
        "If it is at most `most`, leave them alone; else multiply all of them by most / norm.",
    ),
    solution="""
        import numpy as np

        def clip(gradients, most):
            norm = np.sqrt(sum((g * g).sum() for g in gradients))
            if norm <= most:
                return gradients
            return [g * (most / norm) for g in gradients]
    """,
)
def clip(answer: Answer) -> None:
    """Clip exploding gradients.

    Write `clip(gradients, most)` for a list of arrays: if their norm, taken together, is larger
    than `most`, all of them are scaled so that it is `most`. Their direction stays.
    """
    given = answer.function("clip")
    small = [np.array([0.3, 0.4]), np.array([[0.0]])]
    for got, expected in zip(given(small, 1.0), small, strict=True):
        near("a gradient that is small enough", got, expected, "Leave it as it is.")
    large = [np.array([3.0, 0.0]), np.array([[4.0]])]
    for got, expected in zip(given(large, 1.0), ([0.6, 0.0], [[0.8]]), strict=True):
        near(
            "a clipped gradient",
            got,
            expected,
            "One factor for all of them, from their joint norm.",
        )


@exercise(
    15,
    hints=("The spectral radius is the largest |eigenvalue|; eigenvalues scale with the matrix.",),
    solution="""
        import numpy as np

        def rescaled(W, radius):
            return W * (radius / np.abs(np.linalg.eigvals(W)).max())
    """,
)
def spectral_radius(answer: Answer) -> None:
    """Set the spectral radius.

    Write `rescaled(W, radius)`: W times a number, so that its spectral radius, the largest absolute
    value of an eigenvalue, is `radius`. Echo state networks begin with this.
    """
    given = answer.function("rescaled")
    for seed in range(3):
        W = np.random.default_rng(seed).standard_normal((5, 5))
        got = np.asarray(given(W, 0.9))
        radius = np.abs(np.linalg.eigvals(got)).max()
        near("the spectral radius", radius, 0.9, "Eigenvalues may be complex: take |λ|.")
        near(
            "rescaled(W, 0.9)", got / np.linalg.norm(got), W / np.linalg.norm(W), "A multiple of W."
        )
