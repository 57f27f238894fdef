"""Random programs: short straight-line computations, away from kinks, of moderate values.

A program is plain data, so that Hypothesis shrinks it and the oracle can run it in another
framework. Every value stays within ±3 or so, since each step ends in something bounded; what has a
kink is applied at a distance from it.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

SHAPE = (2, 3)

TAKEN = np.array([[2, 0, 0], [1, 1, 2]])

# What a step computes, from one or two values of one shape. Each entry is valid for tinygrad_rnn's
# ops and for torch: `f` is the module of functions, `x` and `y` are the operands.
STEPS = {
    "tanh": lambda f, x, y: f.tanh(x),
    "sigmoid": lambda f, x, y: f.sigmoid(x),
    "sin": lambda f, x, y: f.sin(x),
    "cos": lambda f, x, y: f.cos(x),
    "exp": lambda f, x, y: f.exp(-x * x),
    "log": lambda f, x, y: f.log(x * x + 1.5),
    "sqrt": lambda f, x, y: f.sqrt(x * x + 0.5),
    "add": lambda f, x, y: f.tanh(x + y),
    "sub": lambda f, x, y: 0.5 * (x - y),
    "mul": lambda f, x, y: f.tanh(x * y),
    "div": lambda f, x, y: x / (1.0 + y * y),
    "pow": lambda f, x, y: (1.0 + x * x) ** (0.3 * f.tanh(y)) - 1.0,
    "rpow": lambda f, x, y: 0.5 * 1.7 ** f.tanh(x),
    "square": lambda f, x, y: f.tanh(x**2),
    "matmul": lambda f, x, y: f.tanh(x @ y.T @ x),
    "vector": lambda f, x, y: f.tanh(x * (x[0] @ y[1])),
    "softmax": lambda f, x, y: f.softmax(x, -1) + 0.1 * x,
    "log_softmax": lambda f, x, y: 0.3 * f.log_softmax(x, 0),
    "logsumexp": lambda f, x, y: f.tanh(x - f.logsumexp(y, -1, True)),
    "sum": lambda f, x, y: f.tanh(y + x.sum(0)),
    "mean": lambda f, x, y: y - x.mean(-1, True),
    "index": lambda f, x, y: x[[1, 0]] + 0.5 * y[:, [2, 2, 0]],
    "row": lambda f, x, y: f.tanh(x[1] + y),
    "transpose": lambda f, x, y: f.tanh(x.T.reshape(2, 3) + y),
    "concatenate": lambda f, x, y: f.concatenate([x[:1], y[:, :][1:]], 0),
    "stack": lambda f, x, y: f.stack([x[0], y[1]], 0),
    "where": lambda f, x, y: f.where(np.array([[True, False, True], [False, True, False]]), x, y),
    "negative": lambda f, x, y: -abs(x * x + 0.1),
    "prod": lambda f, x, y: y * f.tanh(f.prod(x, 1, True)),
    "prod of zeros": lambda f, x, y: f.tanh(y + f.prod(f.pad(x[:, :1], ((0, 0), (1, 1))) * x, 0)),
    "cumsum": lambda f, x, y: f.tanh(f.cumsum(x, 0) - f.cumsum(y, 1)),
    "flip": lambda f, x, y: f.tanh(f.flip(x, (0, 1)) * f.flip(y, (1,))),
    "roll": lambda f, x, y: 0.5 * (f.roll(x, 1, 1) + f.roll(y, (1, -1), (0, 1))),
    "pad": lambda f, x, y: f.tanh(f.pad(x, ((1, 0), (0, 2)))[:2, 1:4] + y),
    "repeat": lambda f, x, y: f.tanh(f.repeat(x[:, 1:], 2, 1)[:, :3] * f.repeat(y[:1], 2, 0)),
    "tile": lambda f, x, y: f.tanh(f.tile(x[:, :2], (2, 2))[1:3, 1:] + y),
    "take": lambda f, x, y: f.tanh(f.take_along_axis(x, TAKEN, 1) - 0.5 * y),
    "diff": lambda f, x, y: f.tanh(f.hstack([x[:, :1], f.diff(y, 1, 1)])),
    "vstack": lambda f, x, y: f.vstack([y[1], x[:1]]),
    "outer": lambda f, x, y: f.tanh(f.outer(x[:, 2], y[0])),
    "dot": lambda f, x, y: f.tanh(x * f.dot(x[1], y[0])),
    "tensordot": lambda f, x, y: f.tanh(f.tensordot(f.tensordot(x, y, ([1], [1])), x, 1)),
    "einsum": lambda f, x, y: f.tanh(f.einsum("ij,kj,kl->il", x, y, x)),
    "einsum of all": lambda f, x, y: f.tanh(y * f.einsum("ij,...j->...", x, y)[:, None]),
    "einsum of a diagonal": lambda f, x, y: f.tanh(f.einsum("ii,ij->ij", x @ y.T, x)),
    "var": lambda f, x, y: f.tanh(y + f.var(x, 0, correction=0)),
    "std": lambda f, x, y: y / f.std(f.hstack([0.3 * x, 0.0 * x[:, :1] + 4.0]), 1)[:, None],
    "norm": lambda f, x, y: (y + 2.0) / f.norm(0.1 * x + 2.0, 2, 1)[:, None],
    "norm of order 3": lambda f, x, y: f.tanh(y * f.norm(0.1 * x + 1.0, 3, 0)),
    "softplus": lambda f, x, y: f.tanh(f.softplus(3.0 * x) - 1.0),
    "log_sigmoid": lambda f, x, y: f.tanh(f.log_sigmoid(2.0 * x) + y),
    "silu": lambda f, x, y: f.tanh(f.silu(2.0 * x)),
    "gelu": lambda f, x, y: f.tanh(f.gelu(x, approximate="none") - f.gelu(y, approximate="tanh")),
    "erf": lambda f, x, y: f.erf(x) - 0.3 * f.erfc(y),
    "rows twice": lambda f, x, y: f.tanh(x[[1, 1]] * y[:, [0, 0, 2]]),
    "elements": lambda f, x, y: f.tanh(x[[0, 1, 1], [2, 2, 2]] + y[..., -1:]),
    "new axes": lambda f, x, y: f.tanh((x[:, None] * y[None, :, :]).sum(1)),
}


@dataclass(frozen=True)
class Program:
    """Start values, and steps: what to compute of two earlier values. The last is the output."""

    seed: int
    leaves: int
    steps: tuple[tuple[str, int, int], ...]

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return [rng.uniform(-1.5, 1.5, SHAPE) for _ in range(self.leaves)]

    def run(self, functions, values):
        values = list(values)
        for name, i, j in self.steps:
            values.append(STEPS[name](functions, values[i], values[j]))
        return values[-1]


@st.composite
def programs(draw, least: int = 2, most: int = 30):
    leaves = draw(st.integers(1, 3))
    names = draw(st.lists(st.sampled_from(sorted(STEPS)), min_size=least, max_size=most))
    steps = []
    for k, name in enumerate(names):
        here = leaves + k
        recent = st.integers(max(0, here - 4), here - 1)
        steps.append(
            (name, draw(st.integers(here - 1, here - 1)), draw(recent | st.integers(0, here - 1)))
        )
    return Program(draw(st.integers(0, 2**32 - 1)), leaves, tuple(steps))


def random_program(rng: np.random.Generator, most: int = 30) -> Program:
    """The same without Hypothesis, for a long run of the oracle."""
    leaves, length, names = int(rng.integers(1, 4)), int(rng.integers(2, most + 1)), sorted(STEPS)
    steps = []
    for k in range(length):
        here = leaves + k
        steps.append((names[rng.integers(len(names))], here - 1, int(rng.integers(here))))
    return Program(int(rng.integers(2**32)), leaves, tuple(steps))


def shapes(max_dims: int = 4, least: int = 0):
    return st.lists(st.integers(least, 3), max_size=max_dims).map(tuple)


@st.composite
def broadcasts(draw):
    """Two shapes that broadcast with each other, and the shape they make."""
    whole = draw(shapes(least=1))

    def part():
        kept = whole[draw(st.integers(0, len(whole))) :]
        return tuple(n if draw(st.booleans()) else 1 for n in kept)

    a, b = part(), part()
    return a, b, np.broadcast_shapes(a, b)


seeds = st.integers(0, 2**32 - 1)
