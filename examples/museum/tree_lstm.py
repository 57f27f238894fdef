"""A Tree-LSTM reads a sentence along its parse tree, from the leaves to the root.

K. S. Tai, R. Socher, C. D. Manning, Improved Semantic Representations From Tree-Structured Long
Short-Term Memory Networks (2015), the child-sum form.
A node's state is made of its word and of the states of its children, however many these are: their
h are summed, and each child's memory has a forget gate of its own.
"""

import numpy as np

import tinygrad_rnn as tg

SIZE, HIDDEN = 4, 5
TREE = ("sat", [("cat", [("the", [])]), ("on", [("mat", [("a", [])])])])
WORDS = ["the", "cat", "sat", "on", "a", "mat"]
sigmoid = tg.ops.sigmoid


class TreeLSTM(tg.nn.Module):
    def __init__(self, rng):
        self.embed = tg.nn.Embedding(len(WORDS), SIZE, rng=rng)
        self.W_iou = tg.nn.Linear(SIZE, 3 * HIDDEN, rng=rng)
        self.U_iou = tg.nn.Linear(HIDDEN, 3 * HIDDEN, bias=False, rng=rng)
        self.W_f = tg.nn.Linear(SIZE, HIDDEN, rng=rng)
        self.U_f = tg.nn.Linear(HIDDEN, HIDDEN, bias=False, rng=rng)

    def node(self, x, children):
        h_sum = sum((h for h, _ in children), np.zeros(HIDDEN))
        i, o, u = np.split(self.W_iou(x) + self.U_iou(h_sum), 3)
        c = sigmoid(i) * np.tanh(u)
        for h_k, c_k in children:
            f_k = sigmoid(self.W_f(x) + self.U_f(h_k))
            c = c + f_k * c_k
        return sigmoid(o) * np.tanh(c), c

    def forward(self, tree):
        word, branches = tree
        return self.node(self.embed(WORDS.index(word)), [self(branch) for branch in branches])


rng = np.random.default_rng(0)
tree_lstm, classifier = TreeLSTM(rng), tg.nn.Linear(HIDDEN, 3, rng=rng)
PARAMS = [*tree_lstm.parameters(), *classifier.parameters()]


def loss_fn(sentiment):
    h, _ = tree_lstm(TREE)
    return tg.nn.cross_entropy(classifier(h), sentiment)


BATCH = (np.array(1),)
COLUMNS, ROWS = 4, 1  # the tree has four levels

if __name__ == "__main__":
    optimizer = tg.optim.Adagrad(PARAMS, lr=0.05)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
