"""S4D: a diagonal linear state space, run as a recurrence.

A. Gu, A. Gupta, K. Goel, C. Ré, On the Parameterization and Initialization of Diagonal State Space
Models (2022), its S4D-Lin.
A continuous system is made discrete by its step length Δ, which gives ā and b̄. The complex state,
here a pair of real arrays, is turned and shrunk by ā at each step, and the input times b̄ is added.
"""

import numpy as np

import tinygrad_rnn as tg

STATES = 4

A_im = np.pi * np.arange(STATES)
log_A_re = tg.nn.Parameter(np.log(np.full(STATES, 0.5)), name="log_A_re")
log_dt = tg.nn.Parameter(np.log(0.1), name="log_dt")
C = tg.nn.Parameter(np.random.default_rng(0).normal(0, 0.7, (2, STATES)), name="C")
D = tg.nn.Parameter(1.0, name="D")
PARAMS = [log_A_re, log_dt, C, D]


def discretised():
    """Zero-order hold with B = 1: ā = exp(ΔA) and b̄ = (ā - 1) / A, real and imaginary parts."""
    dt, A_re = np.exp(log_dt), -np.exp(log_A_re)
    size = np.exp(dt * A_re)
    a_re, a_im = size * np.cos(dt * A_im), size * np.sin(dt * A_im)
    norm = A_re**2 + A_im**2
    b_re = ((a_re - 1) * A_re + a_im * A_im) / norm
    b_im = (a_im * A_re - (a_re - 1) * A_im) / norm
    return a_re, a_im, b_re, b_im


def loss_fn(us, targets):
    a_re, a_im, b_re, b_im = discretised()
    h_re, h_im = np.zeros(STATES), np.zeros(STATES)
    ys = []
    for u in us:
        h_re, h_im = a_re * h_re - a_im * h_im + b_re * u, a_re * h_im + a_im * h_re + b_im * u
        ys.append(2 * (C[0] * h_re - C[1] * h_im).sum() + D * u)
    return tg.nn.mse_loss(np.stack(ys), targets)


def scaled(steps):
    """A wave, and the same one two steps later."""
    t = np.arange(steps)
    return np.sin(0.7 * t), np.sin(0.7 * (t - 2))


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
