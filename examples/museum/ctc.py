"""Speech is transcribed without saying when each sound begins: a bidirectional LSTM under CTC.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, Connectionist Temporal Classification: Labelling
Unsegmented Sequence Data with Recurrent Neural Networks (2006).
Two LSTMs read the frames both ways. On top runs α over the same steps: the probability to be at
each place of the transcription, which moves on by one, by a blank, or not at all.
"""

import numpy as np

import tinygrad_rnn as tg

FRAMES, HIDDEN, SOUNDS, BLANK, NEVER = 3, 4, 3, 0, -1e9
TRANSCRIPTION = np.array([1, 2])
places = np.insert(TRANSCRIPTION, range(len(TRANSCRIPTION) + 1), BLANK)  # _ 1 _ 2 _
# A sound may follow another one without a blank, unless they are the same.
may_skip = (places != BLANK) & (places != np.concatenate([[BLANK] * 2, places[:-2]]))

lstm = tg.nn.LSTM(FRAMES, HIDDEN, bidirectional=True, rng=0)
sounds = tg.nn.Linear(2 * HIDDEN, SOUNDS, rng=1)
PARAMS = [*lstm.parameters(), *sounds.parameters()]


def shifted(alpha, by):
    return np.concatenate([np.full(by, NEVER), alpha[:-by]])


def ctc_loss(log_probs):
    """log_probs (T, SOUNDS)."""
    emitted = log_probs[:, places]
    alpha = tg.ops.where(np.arange(len(places)) < 2, emitted[0], NEVER)
    for frame in emitted[1:]:
        ways = [alpha, shifted(alpha, 1), tg.ops.where(may_skip, shifted(alpha, 2), NEVER)]
        alpha = tg.ops.logsumexp(np.stack(ways), axis=0) + frame
    return -tg.ops.logsumexp(alpha[-2:], axis=0)


def loss_fn(frames):
    ys, _ = lstm(frames)
    return ctc_loss(tg.ops.log_softmax(sounds(ys)))


def scaled(steps):
    return (np.random.default_rng(0).standard_normal((steps, FRAMES)),)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 3  # two directions, and α from the second frame on

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.1, momentum=0.9)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
