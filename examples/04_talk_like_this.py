"""Train a small network on a poem, the Zen of Python, and let it go on by itself."""

import codecs
import contextlib
import io

import numpy as np

import tinygrad_rnn as tg

with contextlib.redirect_stdout(io.StringIO()):
    import this

TEXT = codecs.decode(this.s, "rot13")
vocabulary = sorted(set(TEXT))
numbers = np.array([vocabulary.index(character) for character in TEXT])
one_hot = np.eye(len(vocabulary), dtype=np.float32)

SEQUENCE, STREAMS, STEPS = 24, 16, 120
gru = tg.nn.GRU(len(vocabulary), 64, output_size=len(vocabulary), dtype=np.float32, rng=0)
optimizer = tg.optim.Adam(gru.parameters(), lr=0.01)


def say(prime, length, temperature, rng):
    """What the network says after `prime`: each character drawn is what it reads next."""
    text, state = prime, None
    with tg.no_grad():
        ys, state = gru(one_hot[[vocabulary.index(c) for c in prime]])
        for _ in range(length):
            scores = ys.data[-1] / temperature + rng.gumbel(
                size=len(vocabulary)
            )  # a draw from the softmax
            text += vocabulary[scores.argmax()]
            ys, state = gru(one_hot[[scores.argmax()]], state)
    return text


state, starts = None, np.linspace(0, len(numbers), STREAMS, endpoint=False).astype(int)
for step in range(STEPS):
    window = numbers[(starts + step * SEQUENCE + np.arange(SEQUENCE + 1)[:, None]) % len(numbers)]
    ys, state = gru(
        one_hot[window[:-1]], tg.nn.detach(state)
    )  # the state goes on, its gradient does not
    loss = tg.nn.cross_entropy(ys, window[1:])
    optimizer.zero_grad()
    loss.backward()
    tg.nn.clip_grad_norm_(gru.parameters(), 1.0)
    optimizer.step()
    if step % 30 == 0 or step == STEPS - 1:
        said = say("\n", 60, 0.5, np.random.default_rng(step)).replace("\n", " ")
        print(f"step {step:3}  {loss.item():.2f} nats a character: {said.strip()}")

tg.save("zen.safetensors", gru, optimizer, vocabulary="".join(vocabulary))
print("\nzen.safetensors: the network; tg.load brings it back. It says:")
print(say("Beautiful", 230, 0.3, np.random.default_rng(1)))
