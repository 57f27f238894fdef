"""Elman's network finds where the words begin: predict the next letter of a text without spaces.

J. L. Elman, Finding Structure in Time (1990).
The hidden layer is copied into context units, which are a second input at the next step. The error
of the prediction is high where a word begins.
"""

import numpy as np

import tinygrad_rnn as tg

TEXT = "manyyearsagoaboyandgirllivedbytheseatheyplayedhappily"
LETTERS = sorted(set(TEXT))

rng = np.random.default_rng(0)
codes = rng.integers(0, 2, (len(LETTERS), 5)).astype(float)  # each letter is five bits


class SRN(tg.nn.Module):
    """The simple recurrent network."""

    def __init__(self, inputs, hidden):
        self.input = tg.nn.Linear(inputs, hidden, rng=1)
        self.context = tg.nn.Linear(hidden, hidden, bias=False, rng=2)
        self.output = tg.nn.Linear(hidden, inputs, rng=3)
        tg.nn.init.xavier_uniform_(self.context.weight, rng=2)

    def forward(self, x, context):
        hidden = tg.ops.sigmoid(self.input(x) + self.context(context))
        return tg.ops.sigmoid(self.output(hidden)), hidden


srn = SRN(5, 12)
PARAMS = list(srn.parameters())


def loss_fn(letters):
    context = np.full(12, 0.5)  # as in the paper
    errors = []
    for x, following in zip(letters[:-1], letters[1:]):
        prediction, context = srn(x, context)
        errors.append(((prediction - following) ** 2).mean())
    return sum(errors) / len(errors)


def scaled(steps):
    return (codes[[LETTERS.index(TEXT[t % len(TEXT)]) for t in range(steps + 1)]],)


BATCH = scaled(7)
COLUMNS, ROWS = 7, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.5, momentum=0.9)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
