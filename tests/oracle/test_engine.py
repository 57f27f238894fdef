"""Random programs in the engine and in torch agree to 1e-10, second derivatives included.

`pytest tests/oracle -m slow` runs 10,000 of them, or as many as ORACLE_PROGRAMS says.
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from strategies import Program, random_program

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor

PROGRAMS = int(os.environ.get("ORACLE_PROGRAMS", "10000"))
BATCH = 100

TORCH = SimpleNamespace(
    tanh=torch.tanh,
    sigmoid=torch.sigmoid,
    sin=torch.sin,
    cos=torch.cos,
    exp=torch.exp,
    log=torch.log,
    sqrt=torch.sqrt,
    softmax=torch.softmax,
    log_softmax=torch.log_softmax,
    logsumexp=torch.logsumexp,
    concatenate=torch.cat,
    stack=torch.stack,
    where=lambda condition, x, y: torch.where(torch.from_numpy(condition), x, y),
    prod=torch.prod,
    cumsum=torch.cumsum,
    flip=torch.flip,
    roll=torch.roll,
    pad=lambda x, width: torch.nn.functional.pad(x, (*width[1], *width[0])),
    repeat=torch.repeat_interleave,
    tile=torch.tile,
    take_along_axis=lambda x, index, axis: torch.take_along_dim(x, torch.from_numpy(index), axis),
    diff=torch.diff,
    vstack=torch.vstack,
    hstack=torch.hstack,
    outer=torch.outer,
    dot=torch.dot,
    tensordot=torch.tensordot,
    einsum=torch.einsum,
    var=torch.var,
    std=lambda x, axis: torch.std(x, axis, correction=0),
    norm=torch.linalg.norm,
    softplus=torch.nn.functional.softplus,
    log_sigmoid=torch.nn.functional.logsigmoid,
    silu=torch.nn.functional.silu,
    gelu=torch.nn.functional.gelu,
    erf=torch.erf,
    erfc=torch.erfc,
)


def derivatives(grad, y, xs, u, v):
    """∂⟨y, u⟩/∂x, and how ⟨that, v⟩ changes with x."""
    first = grad(y, xs, u)
    second = grad(sum((g * d).sum() for g, d in zip(first, v, strict=True)), xs, None)
    return [*first, *second]


def ours(program, u, v):
    xs = [tensor(a, requires_grad=True) for a in program.arrays()]
    y = program.run(ops, xs)

    def grad(output, inputs, g):
        if not output.requires_grad:
            return [tensor(np.zeros(x.shape)) for x in inputs]
        return tg.grad(output, inputs, gradient=g, create_graph=True)

    return [part.numpy() for part in [y, *derivatives(grad, y, xs, u, v)]]


def theirs(program, u, v):
    xs = [torch.tensor(a, requires_grad=True) for a in program.arrays()]
    y = program.run(TORCH, xs)

    def grad(output, inputs, g):
        if not output.requires_grad:
            return [torch.zeros_like(x) for x in inputs]
        g = None if g is None else torch.from_numpy(g)
        found = torch.autograd.grad(output, inputs, g, create_graph=True, allow_unused=True)
        return [
            torch.zeros_like(x) if part is None else part
            for x, part in zip(inputs, found, strict=True)
        ]

    return [
        part.detach().numpy()
        for part in [y, *derivatives(grad, y, xs, u, [torch.from_numpy(one) for one in v])]
    ]


def disagreement(program: Program) -> str:
    """What differs, or "". A value near 0 has the scale of the largest value beside it."""
    rng = np.random.default_rng(program.seed)
    u, *v = rng.standard_normal((1 + program.leaves, 2, 3))
    for number, (a, b) in enumerate(zip(ours(program, u, v), theirs(program, u, v), strict=True)):
        scale = max(1.0, float(np.abs(b).max()))
        if not np.allclose(a, b, rtol=1e-10, atol=1e-10 * scale):
            return f"{program}: part {number}: {np.abs(a - b).max()} of {scale}"
    return ""


def test_a_hundred_programs():
    rng = np.random.default_rng(0)
    assert [found for _ in range(100) if (found := disagreement(random_program(rng)))] == []


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(1, 1 + PROGRAMS // BATCH))
def test_many_programs(batch):
    rng = np.random.default_rng(batch)
    assert [found for _ in range(BATCH) if (found := disagreement(random_program(rng)))] == []


CONVENTIONS = {
    "relu at 0": (ops.relu, torch.relu, [[0.0, -1.0, 1.0]]),
    "abs at 0": (ops.abs, torch.abs, [[0.0, -1.0, 1.0]]),
    "maximum of equals": (ops.maximum, torch.maximum, [[1.0, 2.0], [1.0, 3.0]]),
    "minimum of equals": (ops.minimum, torch.minimum, [[1.0, 2.0], [1.0, 3.0]]),
    "max of equals": (ops.max, torch.amax, [[1.0, 3.0, 3.0]]),
    "min of equals": (ops.min, torch.amin, [[1.0, 1.0, 3.0]]),
    "clip at its bounds": (
        lambda x: ops.clip(x, 0, 1),
        lambda x: torch.clip(x, 0, 1),
        [[0.0, 1.0, 2.0, -1.0, 0.5]],
    ),
    "0 to a power": (ops.pow, torch.pow, [[0.0, 0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.0, -1.0, 0.0]]),
    "sqrt of 0": (ops.sqrt, torch.sqrt, [[0.0]]),
    "log of 0": (ops.log, torch.log, [[0.0]]),
    "std of equals": (ops.std, lambda x: torch.std(x, correction=0), [[2.0, 2.0]]),
    "norm of 0": (ops.norm, torch.linalg.norm, [[0.0, 0.0]]),
    "norm of order 1 at 0": (
        lambda x: ops.norm(x, 1),
        lambda x: torch.linalg.norm(x, 1),
        [[0.0, -2.0]],
    ),
    "norm of order inf of equals": (
        lambda x: ops.norm(x, np.inf),
        lambda x: torch.linalg.norm(x, np.inf),
        [[2.0, -2.0, 1.0]],
    ),
    "prod with a zero": (ops.prod, torch.prod, [[2.0, 0.0, 3.0]]),
    "prod with zeros": (ops.prod, torch.prod, [[2.0, 0.0, 0.0]]),
    "tails of softplus": (ops.softplus, torch.nn.functional.softplus, [[-800.0, -40.0, 800.0]]),
    "tails of log_sigmoid": (
        ops.log_sigmoid,
        torch.nn.functional.logsigmoid,
        [[-800.0, -40.0, 0.0, 800.0]],
    ),
    "tails of silu": (ops.silu, torch.nn.functional.silu, [[-800.0, -40.0, 800.0]]),
    "gelu at 0 and afar": (ops.gelu, torch.nn.functional.gelu, [[0.0, 40.0]]),
    "division by 0": (ops.div, torch.div, [[1.0, -1.0], [0.0, 0.0]]),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_kinks_and_poles_are_torchs(name):
    our, their, values = CONVENTIONS[name]
    xs = [tensor(x, requires_grad=True) for x in values]
    ys = [torch.tensor(x, requires_grad=True, dtype=torch.float64) for x in values]
    found = tg.grad(our(*xs).sum(), xs)
    for a, b in zip(found, torch.autograd.grad(their(*ys).sum(), ys), strict=True):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-12)
