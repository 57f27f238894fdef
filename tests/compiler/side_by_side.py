"""A function and its compiled form, side by side."""

import numpy as np

import tinygrad_rnn as tg

CALLS = 5  # two are recorded, the fourth is recorded to check, the others are replayed


def gradients(parameters):
    return [None if p.grad is None else p.grad.data.copy() for p in parameters]


def arrays(returned):
    if isinstance(returned, tg.Tensor):
        return [returned.data]
    return [array for part in returned for array in arrays(part)]


def agree(found, expected):
    """Equal to rounding: both sum the same terms, in another order."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            tolerance = 1e-10 if b.dtype == np.float64 else 2e-5
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def compare(step, parameters, calls, clear=True):
    """`step` and its compiled form side by side, on each of several calls' arguments."""
    fast = tg.compile(step)
    for arguments in calls:
        before = [None if clear or p.grad is None else p.grad for p in parameters]
        results = []
        for function in (step, fast):
            for p, gradient in zip(parameters, before, strict=True):
                p.grad = gradient
            returned = function(*(tg.tensor(x) for x in arguments))
            results.append((arrays(returned), gradients(parameters)))
        agree(results[1][0], results[0][0])
        agree(results[1][1], results[0][1])
        for p in parameters:
            p.data = p.data * 0.9
    return fast


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def backward(loss):
    loss.backward()
    return loss
