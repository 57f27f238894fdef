"""Karpathy's min-char-rnn, whose backward pass is by hand, and ours agree number for number.

Source: A. Karpathy, minimal character-level RNN language model (2015),
gist.github.com/karpathy/d4dee566867f8291f086.
"""

import numpy as np

import tinygrad_rnn as tg

TEXT = "hello world, how are the old words doing in the new world? " * 8
CHARACTERS = sorted(set(TEXT))
INDEX = {character: i for i, character in enumerate(CHARACTERS)}
V, H, T, STEPS, LR = len(CHARACTERS), 16, 12, 100, 0.1


def loss_by_hand(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    """Loss, gradients and the last hidden state, as min-char-rnn's lossFun, but unclipped."""
    xs, hs, ps, loss = {}, {-1: hprev}, {}, 0.0
    for t, index in enumerate(inputs):
        xs[t] = np.zeros(V)
        xs[t][index] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        y = Why @ hs[t] + by
        ps[t] = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
        loss -= np.log(ps[t][targets[t]])
    dWxh, dWhh, dWhy, dbh, dby = (np.zeros_like(w) for w in (Wxh, Whh, Why, bh, by))
    dhnext = np.zeros(H)
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWhy += np.outer(dy, hs[t])
        dby += dy
        dh = Why.T @ dy + dhnext
        draw = (1 - hs[t] ** 2) * dh
        dbh += draw
        dWxh += np.outer(draw, xs[t])
        dWhh += np.outer(draw, hs[t - 1])
        dhnext = Whh.T @ draw
    return loss, (dWxh, dWhh, dWhy, dbh, dby), hs[len(inputs) - 1]


def test_losses_and_gradients_are_the_same_for_100_steps():
    model = tg.nn.RNN(V, H, output_size=V, rng=0)
    parameters = [model.W_xh, model.W_hh, model.W_hy, model.b_h, model.b_y]
    optimizer = tg.optim.Adagrad(parameters, lr=LR, eps=1e-8)
    by_hand = [np.array(p.data) for p in parameters]
    sums = [np.zeros_like(w) for w in by_hand]
    state, h = None, np.zeros(H)
    for step in range(STEPS):
        at = step * T % (len(TEXT) - T - 1)
        inputs = [INDEX[c] for c in TEXT[at : at + T]]
        targets = [INDEX[c] for c in TEXT[at + 1 : at + T + 1]]

        expected_loss, expected, h = loss_by_hand(inputs, targets, h, *by_hand)
        ys, state = model(np.eye(V)[inputs], tg.nn.detach(state))
        loss = tg.nn.cross_entropy(ys, targets, reduction="sum")
        optimizer.zero_grad()
        loss.backward()

        np.testing.assert_allclose(loss.item(), expected_loss, rtol=1e-10)
        for p, gradient in zip(parameters, expected, strict=True):
            np.testing.assert_allclose(p.grad.data, gradient, rtol=1e-10, atol=1e-10)
        tg.nn.clip_grad_value_(parameters, 5.0)
        optimizer.step()
        for i, gradient in enumerate(expected):
            clipped = np.clip(gradient, -5, 5)
            sums[i] += clipped * clipped
            by_hand[i] -= LR * clipped / (np.sqrt(sums[i]) + 1e-8)
    assert loss.item() / T < 1.7  # it learns: at first the loss is ln 19 = 2.94 a character
