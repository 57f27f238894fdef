"""Every op of the table, compiled: once, and three times side by side, which is batched."""

import numpy as np
from op_cases import RECORDS, with_every_case

import tinygrad_rnn as tg


def step_of(case):
    """`case.call` on operands, once and on several sets of them, and the gradients of all."""

    def step(*sets):
        ys = [case.call(*operands) for operands in sets]
        if RECORDS[case.op].differentiable:
            sum((y * (k + 1.0)).sum() for k, y in enumerate(ys)).backward()
        return ys

    return step


def run(step, sets):
    ys = step(*sets)
    tensors = [x for operands in sets for x in operands]
    gradients = [None if x.grad is None else x.grad.data.copy() for x in tensors]
    for x in tensors:
        x.grad = None
    return [y.data for y in ys], gradients


@with_every_case(one_in=16, one_op_in=2)
def test_compiled_it_does_what_it_does(case):
    check(case, copies=1)


@with_every_case(
    lambda case: any(arg.dtype != np.float32 for arg in case.args), one_in=48, one_op_in=3
)
def test_compiled_beside_its_like_it_does_what_it_does(case):
    """Single precision alone is left out: what it computes is tested above."""
    check(case, copies=3)


def check(case, copies):
    sets = [case.tensors() for _ in range(copies)]
    rng = np.random.default_rng(0)
    for operands in sets:
        for x in operands:
            if x.requires_grad:
                x.data = np.asarray(x.data + 1e-3 * rng.standard_normal(x.shape)).astype(x.dtype)
    step = step_of(case)
    fast = tg.compile(step)
    tolerance = 1e-10 if case.double else 2e-5
    expected = run(step, sets)
    for _ in range(3):
        for found, right in zip(run(fast, sets), expected, strict=True):
            for a, b in zip(found, right, strict=True):
                assert (a is None) == (b is None)
                if b is not None:
                    assert (a.shape, a.dtype) == (b.shape, b.dtype)
                    # Most are equal, which is found out thrice as fast.
                    if not np.array_equal(a, b):
                        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
