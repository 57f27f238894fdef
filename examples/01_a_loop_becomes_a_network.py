"""Write Elman's network as a loop of plain ops, and find that tg.nn.RNN is that very loop.

h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)        y_t = W_hy h_t + b_y
"""

import numpy as np

import tinygrad_rnn as tg

TEXT = "to be or not to be"
vocabulary = sorted(set(TEXT))
numbers = [vocabulary.index(character) for character in TEXT]
xs = np.eye(len(vocabulary))[numbers[:-1]]  # (T, V): one-hot characters
targets = numbers[1:]

rnn = tg.nn.RNN(len(vocabulary), 12, output_size=len(vocabulary), rng=0)

# The network as tg.nn has it.
ys, _ = rnn(xs)
loss = tg.nn.cross_entropy(ys, targets)
loss.backward()
gradients = {name: p.grad.data for name, p in rnn.named_parameters()}

# The same by hand: one cell, called once for each character, handing h to the next call.
rnn.zero_grad()
h, by_hand = tg.tensor(np.zeros(12)), []
for x in xs:
    with tg.scope("cell"):
        h = tg.ops.tanh(rnn.W_xh @ x + rnn.W_hh @ h + rnn.b_h)
    by_hand.append(rnn.W_hy @ h + rnn.b_y)
loop_loss = tg.nn.cross_entropy(tg.ops.stack(by_hand), targets)
loop_loss.backward()

print(f"loss    as a module {loss.item():.12f}    as a loop {loop_loss.item():.12f}")
for name, p in rnn.named_parameters():
    difference = np.abs(p.grad.data - gradients[name]).max()
    print(f"∂L/∂{name:5} differs by at most {difference:.1e}")
    assert difference < 1e-12

tg.draw(loop_loss).save("loop.svg")
print(f"loop.svg: the {len(xs)} copies that the loop has left behind")
