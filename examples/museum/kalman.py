"""A Kalman filter whose noise is learned, by the likelihood of what it observes.

T. Haarnoja, A. Ajay, S. Levine, P. Abbeel, Backprop KF: Learning Discriminative Deterministic
State Estimators (2016); the filter is R. E. Kalman's.
The belief, a mean m and a covariance P, goes from step to step: it is moved by the dynamics, and
then corrected by the observation. How much is trusted to either depends on the two noises.
"""

import numpy as np

import tinygrad_rnn as tg

F = np.array([[1.0, 1.0], [0.0, 1.0]])  # the position moves by the velocity
H = np.array([1.0, 0.0])  # the position alone is seen


class KalmanFilter(tg.nn.Module):
    def __init__(self):
        self.log_q = tg.nn.Parameter(np.zeros(2))
        self.log_r = tg.nn.Parameter(np.zeros(()))
        self.damping = tg.nn.Parameter(np.ones(2))

    def forward(self, z, m, P):
        m = self.damping * (F @ m)
        P = F @ P @ F.T + np.exp(self.log_q) * np.eye(2)
        innovation = z - H @ m
        S = H @ P @ H + np.exp(self.log_r)
        K = P @ H / S
        m = m + K * innovation
        P = P - K[:, None] * (H @ P)
        return m, P, 0.5 * (innovation**2 / S + np.log(2 * np.pi * S))


kalman = KalmanFilter()
PARAMS = list(kalman.parameters())


def loss_fn(observations):
    m, P = np.zeros(2), np.eye(2)
    surprise = 0.0
    for z in observations:
        m, P, nll = kalman(z, m, P)
        surprise = surprise + nll
    return surprise / len(observations)


def scaled(steps):
    """A walk at constant speed, seen through some noise."""
    noise = np.random.default_rng(0).normal(0, 0.1, steps)
    return (0.5 * np.arange(1, steps + 1) + noise,)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.1)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
