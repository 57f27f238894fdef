"""Teach an LSTM to remember the first number it read, then watch its gates let it in and keep it.

A sequence of noise begins with +1 or -1; after the last step the network must say which. Only a
memory helps.
"""

import numpy as np

import tinygrad_rnn as tg

T, BATCH, HIDDEN = 16, 32, 6
rng = np.random.default_rng(0)


def sequences(count):
    """xs (T, count, 2), the number and a flag for "remember this"; the first numbers (count, 1)."""
    xs = np.zeros((T, count, 2))
    xs[:, :, 0] = rng.normal(0, 0.5, (T, count))
    xs[0, :, 0], xs[0, :, 1] = rng.choice([-1.0, 1.0], count), 1.0
    return xs, xs[0, :, :1]


lstm = tg.nn.LSTM(2, HIDDEN, output_size=1, forget_bias=2.0, rng=0)
optimizer = tg.optim.Adam(lstm.parameters(), lr=0.02)
for step in range(61):
    xs, first = sequences(BATCH)
    ys, _ = lstm(xs)
    loss = tg.nn.mse_loss(ys[-1], first)
    optimizer.zero_grad()
    loss.backward()
    tg.nn.clip_grad_norm_(lstm.parameters(), 1.0)
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:2}: error {loss.item():.4f}")


def bar(share):
    """▏ for 0 to █ for 1."""
    return "▏▎▍▌▋▊▉█"[round(float(np.clip(share, 0, 1)) * 7)]


# Read one sequence cell by cell, and look at the gates: i, f, g, o stand on top of each other.
cell = lstm.cells[0]
xs, first = sequences(1)
state, inputs, forgets, memories = None, [], [], []
with tg.no_grad():
    for x in xs:
        h = np.zeros((1, HIDDEN)) if state is None else state[0].data
        z = x @ cell.W_xh.data.T + h @ cell.W_hh.data.T + cell.b_h.data
        i, f, _, _ = np.split(1 / (1 + np.exp(-z[0])), 4)
        state = cell(x, state)
        inputs.append(i)
        forgets.append(f)
        memories.append(state[1].data[0])

answer = lstm.W_hy.data[0] * state[0].data[0]
unit = int(np.abs(answer).argmax())
print(
    f"\nunit {unit}, which has the greatest say in the answer; "
    f"the first number was {first.item():+.0f}"
)
print(f"input gate  i  {''.join(bar(i[unit]) for i in inputs)}   what comes in")
print(f"forget gate f  {''.join(bar(f[unit]) for f in forgets)}   what stays")
top = max(abs(c[unit]) for c in memories)
print(f"|memory|    c  {''.join(bar(abs(c[unit]) / top) for c in memories)}   up to {top:.2f}")
print(f"it says        {(answer.sum() + lstm.b_y.data[0]):+.2f}")
