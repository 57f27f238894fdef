"""A world model: an LSTM dreams what a controller sees next.

D. Ha, J. Schmidhuber, Recurrent World Models Facilitate Policy Evolution (2018), in small and
trained as one.
V makes a code z of each frame. The controller C acts on z and on what the memory M holds; M, which
is recurrent, reads code and action and predicts the next code as a mixture of Gaussians.
"""

import numpy as np

import tinygrad_rnn as tg

FRAME, CODE, HIDDEN, ACTIONS, GAUSSIANS = 9, 3, 6, 2, 2


class WorldModel(tg.nn.Module):
    def __init__(self, rng):
        self.V = tg.nn.Linear(FRAME, CODE, rng=rng)
        self.M = tg.nn.LSTMCell(CODE + ACTIONS, HIDDEN, rng=rng)
        self.C = tg.nn.Linear(CODE + 2 * HIDDEN, ACTIONS, rng=rng)
        self.mixture = tg.nn.Linear(HIDDEN, 3 * GAUSSIANS * CODE, rng=rng)
        self.reward = tg.nn.Linear(HIDDEN, 1, rng=rng)

    def surprise(self, h, z):
        """-log of the density of code z, of which M expected a mixture."""
        log_pi, mu, log_sigma = np.split(self.mixture(h).reshape(-1, CODE), 3)
        log_pi = tg.ops.log_softmax(log_pi, axis=0)
        error = (z - mu) / np.exp(log_sigma)
        log_normal = -0.5 * error**2 - log_sigma - 0.5 * np.log(2 * np.pi)
        return -tg.ops.logsumexp(log_pi + log_normal, axis=0).sum()

    def forward(self, frames):
        h, c = np.zeros(HIDDEN), np.zeros(HIDDEN)
        codes = [np.tanh(self.V(frame)) for frame in frames]
        surprises, rewards = [], []
        for z, z_next in zip(codes[:-1], codes[1:]):
            action = np.tanh(self.C(np.concatenate([z, h, c])))
            h, c = self.M(np.concatenate([z, action]), (h, c))
            surprises.append(self.surprise(h, z_next))
            rewards.append(self.reward(h))
        return np.stack(surprises), np.stack(rewards)


rng = np.random.default_rng(0)
model = WorldModel(rng)
PARAMS = list(model.parameters())


def loss_fn(frames, rewards):
    surprises, expected = model(frames)
    return surprises.mean() + tg.nn.mse_loss(expected, rewards)


def scaled(steps):
    """A ball that moves over three by three pixels; on the right there is a reward."""
    place = np.arange(steps + 1) * 2 % FRAME
    return np.eye(FRAME)[place], (place[1:, None] % 3 == 2).astype(float)


BATCH = scaled(4)
COLUMNS, ROWS = 5, 1  # the last frame is only expected

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
