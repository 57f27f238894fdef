"""A compiled training step to look at."""

import numpy as np

import tinygrad_rnn as tg

T = 7


def compiled_step(kind=tg.nn.RNN, *, steps=T, calls=2):
    """The step of a network over `steps` timesteps; it is recorded at the first two calls."""
    net = kind(3, 4, output_size=5, rng=0)

    @tg.compile
    def step(xs, targets):
        loss = tg.nn.cross_entropy(net(xs)[0], targets)
        loss.backward()
        return loss

    for _ in range(calls):
        net.zero_grad()
        step(np.ones((steps, 2, 3)), np.zeros((steps, 2), int))
    return step
