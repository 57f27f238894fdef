"""Networks that really ran, forward and backward."""

import numpy as np

import tinygrad_rnn as tg


def trained(layer=tg.nn.RNN, steps=5, layers=1, *, last=False, **options):
    """A trace of a layer's forward and backward pass; the loss is of each step, or of the last."""
    net = layer(3, 4, num_layers=layers, output_size=2, rng=0, **options)
    xs = np.random.default_rng(1).standard_normal((steps, 3))
    with tg.trace() as tr:
        ys, _ = net(xs)
        targets = np.arange(steps) % 2
        loss = (
            tg.nn.cross_entropy(ys[-1:], targets[-1:]) if last else tg.nn.cross_entropy(ys, targets)
        )
        loss.backward()
    return tr


def truncated(steps=6, cut=3, factor=lambda t: 1.0):
    """A trace of a loop over a cell whose message is detached before step `cut`."""
    cell, head = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)
    h, loss = None, 0.0
    with tg.trace() as tr:
        for t in range(steps):
            h = cell(np.ones(3) * t, h.detach() if t == cut else h)
            loss = loss + (head(h) ** 2).sum() * factor(t)
        loss.backward()
    return tr
