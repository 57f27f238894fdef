"""A transformer, for comparison: nothing in it is recurrent.

A. Vaswani et al., Attention Is All You Need (2017), one decoder block in the later form of GPT-2.
Each position looks at all before it at once, by causal self-attention. No step waits for another
one, so that there are no copies and no columns.
"""

import numpy as np

import tinygrad_rnn as tg

SYMBOLS, D, HEADS, MOST, SENTENCES = 7, 8, 2, 256, 2


class LayerNorm(tg.nn.Module):
    def __init__(self, size):
        self.weight, self.bias = tg.nn.Parameter(np.ones(size)), tg.nn.Parameter(np.zeros(size))

    def forward(self, x):
        x = x - x.mean(axis=-1, keepdims=True)
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * self.weight + self.bias


class Attention(tg.nn.Module):
    def __init__(self, rng):
        self.qkv, self.proj = tg.nn.Linear(D, 3 * D, rng=rng), tg.nn.Linear(D, D, rng=rng)

    def forward(self, x):
        b, t, d = x.shape
        parts = np.split(self.qkv(x), 3, axis=-1)
        q, k, v = (z.reshape(b, t, HEADS, d // HEADS).transpose(0, 2, 1, 3) for z in parts)
        scores = q @ k.mT / np.sqrt(d // HEADS)
        scores = tg.ops.where(np.tril(np.ones((t, t), bool)), scores, -np.inf)
        y = tg.ops.softmax(scores) @ v
        return self.proj(y.transpose(0, 2, 1, 3).reshape(b, t, d))


class GPT(tg.nn.Module):
    def __init__(self, rng):
        self.wte, self.wpe = (tg.nn.Embedding(n, D, rng=rng) for n in (SYMBOLS, MOST))
        self.ln_1, self.attention, self.ln_2 = LayerNorm(D), Attention(rng), LayerNorm(D)
        self.up, self.down = tg.nn.Linear(D, 2 * D, rng=rng), tg.nn.Linear(2 * D, D, rng=rng)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(np.arange(ids.shape[1]))
        x = x + self.attention(self.ln_1(x))
        x = x + self.down(tg.ops.relu(self.up(self.ln_2(x))))
        return tg.ops.linear(x, self.wte.weight)


rng = np.random.default_rng(0)
model = GPT(rng)
PARAMS = list(model.parameters())


def loss_fn(ids, following):
    return tg.nn.cross_entropy(model(ids), following)


def scaled(steps):
    ids = rng.integers(0, SYMBOLS, (SENTENCES, steps + 1))
    return ids[:, :-1], ids[:, 1:]


BATCH, COLUMNS, ROWS = scaled(4), 0, 0
if __name__ == "__main__":
    optimizer = tg.optim.AdamW(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
