"""A unitary RNN, in real numbers: the recurrent matrix turns the state and never stretches it.

M. Arjovsky, A. Shah, Y. Bengio, Unitary Evolution Recurrent Neural Networks (2016).
The state is complex, here a pair of real arrays. From step to step it is turned by diagonal phases,
a Fourier transform, reflections and a permutation; modReLU shortens each entry and keeps its
direction.
"""

import numpy as np

import tinygrad_rnn as tg

N, INPUTS = 6, 2
rng = np.random.default_rng(0)
permutation = rng.permutation(N)
fourier = np.exp(-2j * np.pi * np.outer(np.arange(N), np.arange(N)) / N) / np.sqrt(N)


def turned(re, im, angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return re * cos - im * sin, re * sin + im * cos


def transformed(re, im, F):
    return re @ F.real - im @ F.imag, re @ F.imag + im @ F.real


def reflected(re, im, v):
    """Less 2 v (v* z) / |v|², for z = re + i im and v a pair."""
    a, b = v
    norm = (v * v).sum()
    along_re, along_im = (a * re + b * im).sum(), (a * im - b * re).sum()
    re_part, im_part = a * along_re - b * along_im, a * along_im + b * along_re
    return re - 2 * re_part / norm, im - 2 * im_part / norm


class UnitaryCell(tg.nn.Module):
    def __init__(self):
        self.phases = [tg.nn.Parameter(rng.uniform(-np.pi, np.pi, N)) for _ in range(3)]
        self.mirrors = [tg.nn.Parameter(rng.uniform(-1, 1, (2, N))) for _ in range(2)]
        self.V_re, self.V_im = (tg.nn.Linear(INPUTS, N, rng=rng) for _ in range(2))
        self.b = tg.nn.Parameter(np.full(N, 0.05))

    def forward(self, x, re, im):
        re, im = transformed(*turned(re, im, self.phases[0]), fourier)
        re, im = reflected(re, im, self.mirrors[0])
        re, im = turned(re[permutation], im[permutation], self.phases[1])
        re, im = reflected(*transformed(re, im, fourier.conj()), self.mirrors[1])
        re, im = turned(re, im, self.phases[2])
        re, im = re + self.V_re(x), im + self.V_im(x)
        size = np.sqrt(re**2 + im**2 + 1e-8)
        scale = tg.ops.relu(size + self.b) / size
        return re * scale, im * scale


cell, out = UnitaryCell(), tg.nn.Linear(2 * N, 1, rng=rng)
PARAMS = [*cell.parameters(), *out.parameters()]


def loss_fn(xs, target):
    re = im = np.full(N, 0.1)
    for x in xs:
        re, im = cell(x, re, im)
    return tg.nn.mse_loss(out(np.concatenate([re, im])), target)


def scaled(steps):
    return rng.standard_normal((steps, INPUTS)), np.ones(1)


BATCH, COLUMNS, ROWS = scaled(4), 4, 1
if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.003)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
