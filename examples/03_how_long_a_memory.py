"""How far back can each cell learn to look? One task and budget, longer and longer gaps.

Which of two symbols came first? In between are blanks. A plain RNN's gradient shrinks on the way
back through them, so that it takes longer to learn; given the time it learns this gap, too.
"""

import numpy as np

import tinygrad_rnn as tg

CELLS = {
    "RNN": lambda: tg.nn.RNN(3, 12, output_size=2, rng=0),
    "GRU": lambda: tg.nn.GRU(3, 12, output_size=2, rng=0),
    "LSTM": lambda: tg.nn.LSTM(3, 12, output_size=2, forget_bias=2.0, rng=0),
}
BLANK, STEPS, BATCH = 2, 80, 16


def batch(gap, rng):
    """One-hot symbols (gap + 1, B, 3), and which symbol came first, (B,)."""
    first = rng.integers(0, 2, BATCH)
    symbols = np.full((gap + 1, BATCH), BLANK)
    symbols[0] = first
    return np.eye(3)[symbols], first


def accuracy_after_training(make, gap, steps=STEPS):
    """The share of right answers in the last ten batches."""
    model, rng, right = make(), np.random.default_rng(0), []
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        xs, first = batch(gap, rng)
        ys, _ = model(xs)
        tg.nn.cross_entropy(ys[-1], first).backward()
        tg.nn.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        right.append((ys.data[-1].argmax(-1) == first).mean())
    return np.mean(right[-10:])


print(f"right answers after {STEPS} steps; guessing gives 50%")
for gap in (6, 24):
    print(f"\n{gap} blanks between the symbol and the question")
    for name, make in CELLS.items():
        share = accuracy_after_training(make, gap)
        print(f"  {name:4} {'█' * round(40 * share):40} {share:.0%}")

share = accuracy_after_training(CELLS["RNN"], 24, steps=4 * STEPS)
print(f"\nThe plain RNN over 24 blanks, given {4 * STEPS} steps: {share:.0%}")
