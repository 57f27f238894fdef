"""An actor-critic with a memory: two heads on one LSTM, and three terms in the loss.

V. Mnih et al., Asynchronous Methods for Deep Reinforcement Learning (2016), the LSTM agent.
The LSTM remembers what has been seen. From its state at each step a policy and a value are read;
the rollout, with its returns and advantages, was made before.
"""

import numpy as np

import tinygrad_rnn as tg

SIGHTS, FEATURES, HIDDEN, ACTIONS = 4, 5, 6, 3


class Agent(tg.nn.Module):
    def __init__(self, rng):
        self.features = tg.nn.Linear(SIGHTS, FEATURES, rng=rng)
        self.lstm = tg.nn.LSTMCell(FEATURES, HIDDEN, rng=rng)
        self.policy = tg.nn.Linear(HIDDEN, ACTIONS, rng=rng)
        self.value = tg.nn.Linear(HIDDEN, 1, rng=rng)

    def forward(self, sight, state):
        h, c = self.lstm(tg.ops.relu(self.features(sight)), state)
        return tg.ops.log_softmax(self.policy(h)), self.value(h)[0], (h, c)


rng = np.random.default_rng(0)
agent = Agent(rng)
PARAMS = list(agent.parameters())


def loss_fn(sights, actions, returns, advantages):
    state = (np.zeros(HIDDEN), np.zeros(HIDDEN))
    policy_loss, value_loss, entropy = 0.0, 0.0, 0.0
    for t, sight in enumerate(sights):
        log_policy, value, state = agent(sight, state)
        policy_loss = policy_loss - (actions[t] * log_policy).sum() * advantages[t]
        value_loss = value_loss + 0.5 * (returns[t] - value) ** 2
        entropy = entropy - (np.exp(log_policy) * log_policy).sum()
    return policy_loss + 0.5 * value_loss - 0.01 * entropy


def scaled(steps):
    """Sights, one-hot actions, discounted returns, and how much better these were than expected."""
    sights = rng.standard_normal((steps, SIGHTS))
    actions = np.eye(ACTIONS)[rng.integers(0, ACTIONS, steps)]
    returns = 0.9 ** np.arange(steps)[::-1]
    return sights, actions, returns, returns - returns.mean()


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.005)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_norm_(PARAMS, 40.0)
        optimizer.step()
        print(step, loss.item())
