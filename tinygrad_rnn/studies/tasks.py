"""Tasks that ask for a memory of a given length, and the loop that learns one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from ..nn.recurrent import LAYERS, Recurrent

CELLS = {layer.__name__: layer for layer in LAYERS.values()}
CLIP = 1.0

Batch = tuple[Array, Array]  # inputs (T, B, I), and the targets of the last step


def adding(rng: np.random.Generator, steps: int, batch: int) -> Batch:
    """Two of `steps` numbers from U(0, 1) are marked, one in each half: what is their sum?

    Inputs (T, B, 2) are number and mark, targets (B, 1). Saying 1 each time has the squared error
    2 · Var U(0, 1) = 1/6. Source: Hochreiter, Schmidhuber (1997), task 4; this form: Le, Jaitly,
    Hinton (2015).
    """
    values, marks, each = rng.random((steps, batch)), np.zeros((steps, batch)), np.arange(batch)
    marks[rng.integers(0, steps // 2, batch), each] = 1
    marks[rng.integers(steps // 2, steps, batch), each] = 1
    inputs = np.stack([values, marks], axis=-1).astype(np.float32)
    return inputs, (values * marks).sum(0)[:, None].astype(np.float32)


def recall(rng: np.random.Generator, gap: int, batch: int) -> Batch:
    """A bit, then `gap` steps of noise: which bit was it?

    Inputs (gap + 1, B, 2): ±1 in the first feature at step 0, noise from N(0, 0.2²) in the second
    at all others. Targets (B,): 0 or 1. Guessing has a loss of ln 2. Source: the latching problem
    of Bengio, Simard, Frasconi (1994).
    """
    bits = rng.integers(0, 2, batch)
    inputs = np.zeros((gap + 1, batch, 2), np.float32)
    inputs[0, :, 0] = 2 * bits - 1
    inputs[1:, :, 1] = rng.normal(0, 0.2, (gap, batch))
    return inputs, bits


@dataclass(frozen=True, slots=True)
class Learner:
    """A network whose last output answers, its optimiser, and how wrong an answer is."""

    network: Recurrent
    error: Callable[[Tensor, Array], Tensor]
    optimizer: nn.optim.Optimizer

    @classmethod
    def of(
        cls, network: Recurrent, error: Callable[[Tensor, Array], Tensor], lr: float
    ) -> "Learner":
        return cls(network, error, nn.optim.Adam(network.parameters(), lr=lr))

    def answer(self, inputs: Array) -> Tensor:
        """y of the last step."""
        return self.network(inputs)[0][-1]

    def backward(self, inputs: Array, targets: Array) -> Tensor:
        """The gradients of one batch; `tg.compile` makes a flat list of NumPy calls of it."""
        loss = self.error(self.answer(inputs), targets)
        loss.backward()
        return loss

    def step(self, backward: Callable[[Array, Array], Tensor], batch: Batch) -> None:
        """Learn from one batch."""
        self.optimizer.zero_grad()
        backward(*batch)
        nn.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()

    def test(self, inputs: Array, targets: Array) -> float:
        """The error on a batch that is not learned from."""
        with no_grad():
            return self.error(self.answer(inputs), targets).item()

    def learn(
        self, batches: Iterator[Batch], test: Batch, updates: int, every: int, goal: float
    ) -> dict[str, Any]:
        """Learn for so many updates, or until the test's error is below `goal`.

        The error is looked at after each `every` updates.

        Returns:
            {"updates": [...], "errors": [...]}: the error of each look.
        """
        from ..compiler import compile

        backward = compile(self.backward)
        seen, errors = [0], [self.test(*test)]
        while errors[-1] >= goal and seen[-1] < updates:
            for _ in range(every):
                self.step(backward, next(batches))
            seen.append(seen[-1] + every)
            errors.append(self.test(*test))
        return {"updates": seen, "errors": errors}


def endless(
    task: Callable[[np.random.Generator, int, int], Batch], *arguments: Any
) -> Iterator[Batch]:
    """A new batch of a task each time."""
    while True:
        yield task(*arguments)
