"""RWKV: attention whose scores fade with time, computed step by step.

B. Peng et al., RWKV: Reinventing RNNs for the Transformer Era (2023), one block of RWKV-4.
Time mixing carries two sums from step to step, of exp(k) v and of exp(k), both fading at a learned
rate. Both halves of the block also look one token back, at what they themselves read there.
"""

import numpy as np

import tinygrad_rnn as tg

TOKENS, D = 7, 4
sigmoid = tg.ops.sigmoid


class TimeMix(tg.nn.Module):
    def __init__(self, rng):
        self.decay, self.bonus = tg.nn.Parameter(rng.normal(0, 1, D)), tg.nn.Parameter(np.zeros(D))
        self.mix = tg.nn.Parameter(rng.random((3, D)))
        self.R, self.K, self.V, self.O = (tg.nn.Linear(D, D, bias=False, rng=rng) for _ in range(4))

    def forward(self, x, before, numerator, denominator):
        k = self.K(x * self.mix[0] + before * (1 - self.mix[0]))
        v = self.V(x * self.mix[1] + before * (1 - self.mix[1]))
        r = self.R(x * self.mix[2] + before * (1 - self.mix[2]))
        now = np.exp(self.bonus + k)
        wkv = (numerator + now * v) / (denominator + now)
        fade = np.exp(-np.exp(self.decay))
        numerator, denominator = fade * numerator + np.exp(k) * v, fade * denominator + np.exp(k)
        return self.O(sigmoid(r) * wkv), numerator, denominator


class ChannelMix(tg.nn.Module):
    def __init__(self, rng):
        self.mix = tg.nn.Parameter(rng.random((2, D)))
        self.R, self.K = (tg.nn.Linear(D, D, bias=False, rng=rng) for _ in range(2))

    def forward(self, x, before):
        k = self.K(x * self.mix[0] + before * (1 - self.mix[0]))
        r = self.R(x * self.mix[1] + before * (1 - self.mix[1]))
        return sigmoid(r) * tg.ops.relu(k) ** 2


rng = np.random.default_rng(0)
embedding, head = tg.nn.Embedding(TOKENS, D, rng=rng), tg.nn.Linear(D, TOKENS, rng=rng)
time_mix, channel_mix = TimeMix(rng), ChannelMix(rng)
PARAMS = [p for part in (embedding, time_mix, channel_mix, head) for p in part.parameters()]


def loss_fn(tokens, following):
    x_before = y_before = numerator = denominator = np.zeros(D)
    logits = []
    for x in embedding(tokens):
        y, numerator, denominator = time_mix(x, x_before, numerator, denominator)
        x_before, y = x, x + y
        logits.append(head(y + channel_mix(y, y_before)))
        y_before = y
    return tg.nn.cross_entropy(np.stack(logits), following)


def scaled(steps):
    tokens = rng.integers(0, TOKENS, steps + 1)
    return tokens[:-1], tokens[1:]


BATCH, COLUMNS, ROWS = scaled(4), 4, 1
if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
