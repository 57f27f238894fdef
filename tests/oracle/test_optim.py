"""Our optimisers and clipping against torch's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from optim_cases import CASES, SHAPES, STEPS, gradient, ours
from recurrent_cases import waves

import tinygrad_rnn as tg

TABLE = Path(__file__).parents[1] / "nn" / "optim_reference.json"


def theirs(kind, settings):
    params = [torch.nn.Parameter(torch.tensor(waves(shape, i))) for i, shape in enumerate(SHAPES)]
    optimizer = getattr(torch.optim, kind)(params, **settings)
    for step in range(STEPS):
        for i, p in enumerate(params):
            value = gradient(step, i)
            p.grad = None if value is None else torch.tensor(value)
        optimizer.step()
    return [p.detach().numpy() for p in params]


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_every_step_is_torchs(kind, settings):
    for found, expected in zip(ours(kind, settings), theirs(kind, settings), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_stored_table_is_what_torch_says():
    for (kind, settings), entry in zip(CASES, json.loads(TABLE.read_text("utf-8")), strict=True):
        for stored, expected in zip(entry, theirs(kind, settings), strict=True):
            np.testing.assert_allclose(stored, expected, rtol=1e-12)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e3])
def test_clipping_by_norm_is_torchs(norm_type, max_norm):
    mine = [tg.nn.Parameter(np.zeros(shape)) for shape in (*SHAPES, (1,))]
    other = [torch.nn.Parameter(torch.zeros(shape).double()) for shape in (*SHAPES, (1,))]
    for i in range(len(SHAPES)):  # the last has no gradient
        mine[i].grad, other[i].grad = gradient(1, i), torch.tensor(gradient(1, i))
    found = tg.nn.clip_grad_norm_(mine, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(other, max_norm, norm_type)
    assert found == pytest.approx(expected.item(), rel=1e-12)
    for p, q in zip(mine[:-1], other, strict=False):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-12, atol=1e-15)


if __name__ == "__main__":  # python tests/oracle/test_optim.py writes the table
    entries = [[p.tolist() for p in theirs(kind, settings)] for kind, settings in CASES]
    TABLE.write_text("[\n" + ",\n".join(json.dumps(e) for e in entries) + "\n]\n", "utf-8")
