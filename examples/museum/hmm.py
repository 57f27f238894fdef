"""A hidden Markov model, trained by the gradient of its forward algorithm.

L. R. Rabiner, A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition
(1989).
α sums the probabilities of all ways to be in a state after the observations so far. Each step
multiplies it by the transitions and by how likely the new observation is; all in logarithms.
"""

import numpy as np

import tinygrad_rnn as tg

STATES, SYMBOLS = 3, 4

rng = np.random.default_rng(0)
start = tg.tensor(rng.standard_normal(STATES), requires_grad=True)
transition = tg.tensor(rng.standard_normal((STATES, STATES)), requires_grad=True)
emission = tg.tensor(rng.standard_normal((STATES, SYMBOLS)), requires_grad=True)
PARAMS = {"start": start, "transition": transition, "emission": emission}


def loss_fn(observations):
    log_pi = tg.ops.log_softmax(start)
    log_A = tg.ops.log_softmax(transition)  # from, to
    log_B = tg.ops.log_softmax(emission)
    emitted = tg.ops.embedding(log_B.T, observations)  # (T, STATES)
    alpha = log_pi + emitted[0]
    for t in range(1, len(observations)):
        alpha = tg.ops.logsumexp(alpha[:, None] + log_A, axis=0) + emitted[t]
    return -tg.ops.logsumexp(alpha, axis=0)


def scaled(steps):
    return (np.resize([0, 0, 1, 2, 2, 3], steps),)


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1  # five copies; before them α₀, of the first observation

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS.values(), lr=0.3)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
