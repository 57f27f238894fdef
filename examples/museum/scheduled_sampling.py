"""A decoder that is told what is right for half of the way, and then reads its own guesses.

S. Bengio, O. Vinyals, N. Jaitly, N. Shazeer, Scheduled Sampling for Sequence Prediction with
Recurrent Neural Networks (2015), with soft guesses, so that they have a gradient.
In the second half a second way leads from step to step, beside the state of the GRU: what it
believed to be the next symbol is what it reads there.
"""

import numpy as np

import tinygrad_rnn as tg

SYMBOLS, EMBED, HIDDEN, SEQUENCES = 5, 4, 6, 2

rng = np.random.default_rng(0)
embed = tg.nn.Parameter(rng.normal(0, 0.5, (SYMBOLS, EMBED)), name="embed")
cell, head = tg.nn.GRUCell(EMBED, HIDDEN, rng=1), tg.nn.Linear(HIDDEN, SYMBOLS, rng=2)
PARAMS = [embed, *cell.parameters(), *head.parameters()]


def loss_fn(image, caption):
    h = image
    x = tg.ops.embedding(embed, np.zeros(SEQUENCES, int))
    loss = 0
    for t in range(len(caption)):
        h = cell(x, h)
        logits = head(h)
        loss = loss + tg.nn.cross_entropy(logits, caption[t])
        if t < len(caption) // 2:
            x = tg.ops.embedding(embed, caption[t])
        else:
            x = tg.ops.softmax(logits) @ embed
    return loss / len(caption)


def scaled(steps):
    """What the captions are of, and their symbols."""
    image = rng.standard_normal((SEQUENCES, HIDDEN))
    return image, rng.integers(0, SYMBOLS, (steps, SEQUENCES))


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
