"""Recorded runs to look at, and sessions over them."""

from functools import cache

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.debugger.session import Session

TRAINING = """
import sys
import numpy as np
import tinygrad_rnn as tg

w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
for step in range(int(sys.argv[1]) if sys.argv[1:] else 3):
    loss = (w * w).sum()
    print("step", step, "loss", loss.item())
    w.grad = None
    loss.backward()
    w.data = w.data - 0.1 * w.grad.data
"""

KINDS = {"RNN": tg.nn.RNN, "LSTM": tg.nn.LSTM, "GRU": tg.nn.GRU}


@cache
def recorded(kind="RNN", layers=1, steps=4, batch=2, passes=1, hidden=4):
    """Training steps of a recurrent network whose numbers are always the same."""
    rng = np.random.default_rng(0)
    rnn = KINDS[kind](3, hidden, output_size=2, num_layers=layers, rng=0)
    optimizer = tg.optim.SGD(rnn.parameters(), lr=0.1)
    xs = rng.standard_normal((steps, batch, 3))
    with tg.trace() as tr:
        for _ in range(passes):
            ys, _ = rnn(xs)
            loss = tg.nn.cross_entropy(ys, np.zeros((steps, batch), int))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return tr


def session(kind="RNN", **options):
    return Session(recorded(kind, **options))


def text(reply_lines):
    return "\n".join(line.plain for line in reply_lines)
