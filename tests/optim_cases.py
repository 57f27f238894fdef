"""Optimisers and settings to hold against torch's: five steps, one gradient absent."""

import numpy as np
from recurrent_cases import waves

import tinygrad_rnn as tg

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {}),
    (
        "Adagrad",
        {
            "lr": 0.1,
            "lr_decay": 0.3,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.2,
            "eps": 1e-3,
        },
    ),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.8, "momentum": 0.7, "centered": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.2, "eps": 1e-2}),
    ("Adam", {"amsgrad": True, "betas": (0.5, 0.6), "lr": 0.1, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
]
SHAPES = [(2, 3), (4,)]
STEPS = 5


def gradient(step, i):
    """The gradient of parameter i at a step; parameter 1 has none at step 2."""
    return None if (step, i) == (2, 1) else waves(SHAPES[i], step * 7 + i) * (1 + step)


def ours(kind, settings, resume_at=None):
    """The parameters after all steps; at `resume_at` a fresh optimiser takes up the old state."""
    params = [tg.nn.Parameter(waves(shape, i)) for i, shape in enumerate(SHAPES)]
    optimizer = getattr(tg.optim, kind)(params, **settings)
    for step in range(STEPS):
        if step == resume_at:
            state = optimizer.state_dict()
            optimizer = getattr(tg.optim, kind)(params)
            optimizer.load_state_dict(state)
        for i, p in enumerate(params):
            p.grad = gradient(step, i)
        optimizer.step()
    return [np.array(p.data) for p in params]
