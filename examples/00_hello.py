"""Four copies of one network read "hell" and are asked for "ello": draw and train them.

x_0 … x_3 = h e l l        h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)        y_t = W_hy h_t + b_y
"""

import numpy as np

import tinygrad_rnn as tg

text = "hello"
vocabulary = sorted(set(text))
numbers = [vocabulary.index(character) for character in text]
one_hot = np.eye(len(vocabulary))

xs = tg.ops.stack([tg.tensor(one_hot[n], name=vocabulary[n]) for n in numbers[:-1]])
rnn = tg.nn.RNN(len(vocabulary), 8, output_size=len(vocabulary), rng=0)
optimizer = tg.optim.Adagrad(rnn.parameters(), lr=0.1)

for step in range(100):
    ys, _ = rnn(xs)
    loss = tg.nn.cross_entropy(ys, numbers[1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3}: {loss.item():.4f} nats a character")

predicted = "".join(vocabulary[n] for n in ys.data.argmax(axis=-1))
print(f"{text[:-1]} → {predicted}")

tg.draw(ys, view="both").save("hello.svg")
print("hello.svg: the network, rolled and unrolled")
