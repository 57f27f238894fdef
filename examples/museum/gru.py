"""Gated recurrent units, in a stack of two layers: predict the notes of the next beat.

J. Chung, C. Gulcehre, K. Cho, Y. Bengio, Empirical Evaluation of Gated Recurrent Neural Networks
on Sequence Modeling (2014), on polyphonic music.
The update gate says how much of the old state is kept, the reset gate how much of it the proposal
sees. Each layer has its own state, and the upper one reads that of the lower one.
"""

import numpy as np

import tinygrad_rnn as tg

NOTES, HIDDEN, PIECES = 6, 5, 2

gru = tg.nn.GRU(NOTES, HIDDEN, num_layers=2, rng=0)
head = tg.nn.Linear(HIDDEN, NOTES, rng=1)
PARAMS = [*gru.parameters(), *head.parameters()]
rng = np.random.default_rng(0)


def loss_fn(notes, following):
    states, _ = gru(notes)
    logits = head(states)
    # The cross-entropy of independent notes, from logits.
    return (np.log(1 + np.exp(logits)) - following * logits).sum(axis=-1).mean()


def scaled(steps):
    """Two voices that walk up and down."""
    walk = rng.integers(-1, 2, (steps + 1, PIECES, 2)).cumsum(axis=0) % NOTES
    notes = np.eye(NOTES)[walk].max(axis=2)
    return notes[:-1], notes[1:]


BATCH = scaled(5)
COLUMNS, ROWS = 5, 2

if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_norm_(PARAMS, 1.0)
        optimizer.step()
        print(step, loss.item())
