"""Jordan's network: a plan unfolds into a sequence of actions.

M. I. Jordan, Serial Order: A Parallel Distributed Processing Approach (1986).
The plan is the same at each step. State units add up the outputs that have been, each time fading
a little, and the hidden units see plan and state: the recurrence runs through the output.
"""

import numpy as np

import tinygrad_rnn as tg

PLAN, HIDDEN, ACTIONS, FADING = 2, 8, 3, 0.5

rng = np.random.default_rng(0)
W_plan = tg.tensor(rng.normal(0, 0.5, (PLAN, HIDDEN)), requires_grad=True)
W_state = tg.tensor(rng.normal(0, 0.5, (ACTIONS, HIDDEN)), requires_grad=True)
W_out = tg.tensor(rng.normal(0, 0.5, (HIDDEN, ACTIONS)), requires_grad=True)
PARAMS = {"W_plan": W_plan, "W_state": W_state, "W_out": W_out}


def loss_fn(plan, actions):
    state = np.zeros((len(plan), ACTIONS))
    error = 0.0
    for wanted in actions:
        hidden = tg.ops.sigmoid(plan @ W_plan + state @ W_state)
        output = tg.ops.sigmoid(hidden @ W_out)
        state = FADING * state + output
        error = error + ((output - wanted) ** 2).sum()
    return error


def scaled(steps):
    """Two plans, and what to do at each step: the actions in turn, forwards or backwards."""
    forwards = np.arange(steps) % ACTIONS
    return np.eye(PLAN), np.eye(ACTIONS)[np.stack([forwards, ACTIONS - 1 - forwards], axis=1)]


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS.values(), lr=0.2)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
