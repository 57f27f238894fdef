"""Tasks that ask for a memory of a given length, and the loop that learns one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from ..nn.recurrent import LAYERS

CELLS = {layer.__name__: layer for layer in LAYERS.values()}
CLIP = 1.0
COPIED, LETTERS, BLANK = 10, 8, 8  # of the task `copying`

Batch = tuple[Array, Array]  # inputs (T, B, I), and the targets


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


def first_of_two(rng: np.random.Generator, steps: int, batch: int) -> Batch:
    """Two symbols at two random steps, blanks elsewhere: which of them came first?

    Inputs (T, B, 3), one-hot: the symbols are 0 and 1, a blank is 2. Targets (B,): 0 or 1. The sum
    of a sequence's inputs is the same whatever the answer is. Guessing has a loss of ln 2.
    """
    places = np.argsort(rng.random((steps, batch)), axis=0)[:2]
    places.sort(axis=0)
    first = rng.integers(0, 2, batch)
    symbols = np.full((steps, batch), 2)
    symbols[places[0], np.arange(batch)] = first
    symbols[places[1], np.arange(batch)] = 1 - first
    return np.eye(3, dtype=np.float32)[symbols], first


def xor_stream(rng: np.random.Generator, steps: int, batch: int) -> Batch:
    """Two random bits, then their exclusive or, and again: what comes next?

    Inputs (T, B, 2), one-hot. Targets (T · B,): the next bit. Of three bits one can be told from
    the two before; the others are chance. Source: Elman, Finding Structure in Time (1990).
    """
    triples = -(-(steps + 1) // 3)
    bits = rng.integers(0, 2, (triples, 3, batch))
    bits[:, 2] = bits[:, 0] ^ bits[:, 1]
    stream = bits.reshape(-1, batch)
    return np.eye(2, dtype=np.float32)[stream[:steps]], stream[1 : steps + 1].reshape(-1)


def counting(rng: np.random.Generator, steps: int, batch: int, most: int) -> Batch:
    """Streams of aⁿbⁿ, with n from 1 to `most`: what comes next?

    Inputs (T, B, 2), one-hot: 0 is a, 1 is b. Targets (T · B,): the next letter. Once b has begun,
    all that follows up to the next a can be told by who has counted. Source: Gers, Schmidhuber,
    LSTM Recurrent Networks Learn Simple Context-Free and Context-Sensitive Languages (2001).
    """
    streams = np.empty((steps + 1, batch), int)
    for column in range(batch):
        words: list[int] = []
        while len(words) <= steps:
            n = int(rng.integers(1, most + 1))
            words += [0] * n + [1] * n
        streams[:, column] = words[: steps + 1]
    return np.eye(2, dtype=np.float32)[streams[:-1]], streams[1:].reshape(-1)


def brackets(rng: np.random.Generator, steps: int, batch: int) -> Batch:
    """Letters at random, some of them in brackets: what comes next?

    Inputs (T, B, 6), one-hot: 0 to 3 are letters, 4 opens and 5 closes a bracket. A letter
    says nothing of where it stands: to tell which bracket may come, one must remember the last.
    Targets (T · B,): the next symbol.
    """
    symbols = np.empty((steps + 1, batch), int)
    inside = np.zeros(batch, bool)
    for row in symbols:
        turns = rng.random(batch) < 0.15
        row[:] = rng.integers(0, 4, batch)
        row[turns] = np.where(inside[turns], 5, 4)
        inside = inside ^ turns
    return np.eye(6, dtype=np.float32)[symbols[:-1]], symbols[1:].reshape(-1)


def copying(rng: np.random.Generator, gap: int, batch: int) -> Batch:
    """Ten letters, then blanks, then a signal: say the letters, in their order.

    Inputs (gap + 20, B, 10), one-hot: 0 to 7 are letters, 8 is a blank, and 9 the signal, ten steps
    from the end. Targets ((gap + 20) · B,): a blank at every step but the last ten, which ask for
    the letters. One who remembers nothing says blanks when they are due, guesses each letter, and
    has a loss of 10 ln 8 / (gap + 20). Source: Hochreiter, Schmidhuber (1997), in the form of
    Arjovsky, Shah, Bengio, Unitary Evolution Recurrent Neural Networks (2016), sec. 4.1.
    """
    letters = rng.integers(0, LETTERS, (COPIED, batch))
    symbols = np.full((gap + 2 * COPIED, batch), BLANK)
    targets = symbols.copy()
    symbols[:COPIED] = letters
    symbols[gap + COPIED - 1] = BLANK + 1
    targets[-COPIED:] = letters
    return np.eye(BLANK + 2, dtype=np.float32)[symbols], targets.reshape(-1)


def register(rng: np.random.Generator, steps: int, batch: int) -> Batch:
    """A memory cell: keep the number that came with the last "write", say it at each "read".

    Inputs (T, B, 3): a number from U(-1, 1), whether to write (at step 0 always, else one time in
    five), whether to read (one time in two). Targets (T · B, 1): the number kept at a read, 0 at
    any other step. Saying 0 each time has the squared error 1/6: half of Var U(-1, 1).
    """
    numbers = rng.uniform(-1, 1, (steps, batch))
    write, read = rng.random((steps, batch)) < 0.2, rng.random((steps, batch)) < 0.5
    write[0] = True
    kept = numbers.copy()
    for t in range(1, steps):
        kept[t] = np.where(write[t], numbers[t], kept[t - 1])
    inputs = np.stack([numbers, write, read], axis=-1).astype(np.float32)
    return inputs, np.where(read, kept, 0).reshape(-1, 1).astype(np.float32)


def last(network: Any, inputs: Array) -> Tensor:
    """The answer of the last step, (B, O)."""
    return network(inputs)[0][-1]


def each(network: Any, inputs: Array) -> Tensor:
    """The answers of all steps, (T · B, O)."""
    ys = network(inputs)[0]
    return ys.reshape(-1, ys.shape[-1])


@dataclass(frozen=True, slots=True)
class Learner:
    """A network, its optimiser, which of its outputs answer, and how wrong an answer is."""

    network: Any
    error: Callable[[Tensor, Array], Tensor]
    optimizer: nn.optim.Optimizer
    read: Callable[[Any, Array], Tensor]

    @classmethod
    def of(
        cls,
        network: Any,
        error: Callable[[Tensor, Array], Tensor],
        lr: float,
        read: Callable[[Any, Array], Tensor] = last,
    ) -> "Learner":
        return cls(network, error, nn.optim.Adam(network.parameters(), lr=lr), read)

    def answer(self, inputs: Array) -> Tensor:
        """What is held against the targets."""
        return self.read(self.network, inputs)

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
