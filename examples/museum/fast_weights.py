"""Fast weights by the delta rule: a slow network programs a fast one at each step.

I. Schlag, K. Irie, J. Schmidhuber, Linear Transformers Are Secretly Fast Weight Programmers (2021),
after J. Schmidhuber's fast weights of 1991.
The matrix W goes from step to step. What it answers to the key is compared with the new value, and
it is corrected by a part β of the difference; then it answers the query.
"""

import numpy as np

import tinygrad_rnn as tg

SYMBOLS, D = 6, 4

rng = np.random.default_rng(0)
embedding = tg.nn.Embedding(SYMBOLS, D, rng=rng)
slow = tg.nn.Linear(D, 3 * D + 1, rng=rng)
head = tg.nn.Linear(D, SYMBOLS, rng=rng)
PARAMS = [*embedding.parameters(), *slow.parameters(), *head.parameters()]


def delta_rule(W, key, value, beta):
    """W, corrected so that it answers `key` a little more as `value`."""
    answer = W @ key
    return W + beta * (value - answer)[:, None] * key


def loss_fn(symbols, following):
    W = np.zeros((D, D))
    logits = []
    for x in embedding(symbols):
        with tg.scope("programmer"):
            q, k, v, beta = np.split(slow(x), [D, 2 * D, 3 * D])
            q, k = tg.ops.softmax(q), tg.ops.softmax(k)
            W = delta_rule(W, k, v, tg.ops.sigmoid(beta))
            y = W @ q
        logits.append(head(x + y))
    return tg.nn.cross_entropy(np.stack(logits), following)


def scaled(steps):
    symbols = rng.integers(0, SYMBOLS, steps + 1)
    return symbols[:-1], symbols[1:]


BATCH = scaled(4)
COLUMNS, ROWS = 4, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
