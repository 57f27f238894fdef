"""Linear attention as a recurrent network: the past is a matrix of fixed size.

A. Katharopoulos, A. Vyas, N. Pappas, F. Fleuret, Transformers are RNNs: Fast Autoregressive
Transformers with Linear Attention (2020).
Each step adds the outer product of its key and value to S, and its key to z. The query reads S and
divides by what it finds in z. Nothing else goes from step to step.
"""

import numpy as np

import tinygrad_rnn as tg

TOKENS, D = 6, 4


def feature_map(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))  # elu + 1


class LinearAttention(tg.nn.Module):
    """One step of the attention."""

    def __init__(self, rng):
        self.q, self.k, self.v = (tg.nn.Linear(D, D, bias=False, rng=rng) for _ in range(3))

    def forward(self, x, S, z):
        q, k, v = feature_map(self.q(x)), feature_map(self.k(x)), self.v(x)
        S = S + k[:, None] * v[None, :]
        z = z + k
        return (q @ S) / (q @ z), S, z


class LanguageModel(tg.nn.Module):
    def __init__(self, rng):
        self.embedding = tg.nn.Embedding(TOKENS, D, rng=rng)
        self.attention = LinearAttention(rng)
        self.feed_forward = tg.nn.Linear(D, 2 * D, rng=rng)
        self.head = tg.nn.Linear(2 * D, TOKENS, rng=rng)

    def forward(self, tokens):
        S, z = np.zeros((D, D)), np.zeros(D)
        logits = []
        for x in self.embedding(tokens):
            y, S, z = self.attention(x, S, z)
            logits.append(self.head(np.tanh(self.feed_forward(x + y))))
        return np.stack(logits)


rng = np.random.default_rng(0)
model = LanguageModel(rng)
PARAMS = list(model.parameters())


def loss_fn(tokens, following):
    return tg.nn.cross_entropy(model(tokens), following)


def scaled(steps):
    tokens = rng.integers(0, TOKENS, steps + 1)
    return tokens[:-1], tokens[1:]


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.AdamW(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
