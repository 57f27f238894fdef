"""A name is classified: its letters tell from which language it comes.

The network of S. Robertson's PyTorch tutorial (2017), after J. L. Elman, Finding Structure in Time
(1990).
Letter and hidden state side by side are read by two linear layers: one makes the next hidden state,
the other scores the languages. Only the scores of the last letter count.
"""

import numpy as np

import tinygrad_rnn as tg

LETTERS, LANGUAGES, HIDDEN = "abcdefghijklmnopqrstuvwxyz", 3, 10


class NameRNN(tg.nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        self.hidden_size = hidden_size
        self.i2h = tg.nn.Linear(input_size + hidden_size, hidden_size, rng=0)
        self.i2o = tg.nn.Linear(input_size + hidden_size, output_size, rng=1)

    def forward(self, input, hidden):
        combined = np.concatenate([input, hidden], axis=1)
        hidden = np.tanh(self.i2h(combined))
        output = tg.ops.log_softmax(self.i2o(combined), axis=1)
        return output, hidden

    def init_hidden(self):
        return np.zeros((1, self.hidden_size))


rnn = NameRNN(len(LETTERS), HIDDEN, LANGUAGES)
PARAMS = list(rnn.parameters())


def line_to_array(name):
    """One-hot letters, (T, 1, LETTERS)."""
    return np.eye(len(LETTERS))[[LETTERS.index(letter) for letter in name]][:, None]


def loss_fn(category, line):
    """The negative log-likelihood of a language, given as a one-hot row."""
    hidden = rnn.init_hidden()
    for letter in line:
        output, hidden = rnn(letter, hidden)
    return -(output * category).sum()


def scaled(steps):
    name = "ahmed" * (steps // 5 + 1)
    return np.eye(LANGUAGES)[[2]], line_to_array(name[:steps])


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    examples = [(0, "palooka"), (2, "ahmed"), (1, "fabio")]
    for epoch in range(5):
        total = 0.0
        for category, name in examples:
            rnn.zero_grad()
            loss = loss_fn(np.eye(LANGUAGES)[[category]], line_to_array(name))
            loss.backward()
            for p in rnn.parameters():
                p.data = p.data - 0.05 * p.grad.data
            total += loss.item()
        print(epoch, total)
