"""What recording costs: chains of one op, forward and backward, beside the same chain written by hand in NumPy.

Run it with `python tests/benchmarks/bench_ops.py`. Rounds are interleaved, CPU time is taken and medians are
compared, so that the ratios survive a busy machine; the microseconds do not.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import tinygrad_rnn as tg

SIZE = 10
FACTOR = np.linspace(0.999, 1.001, SIZE)


def add_by_hand(x, length):
    kept = []
    for _ in range(length):
        kept.append(x)
        x = x + FACTOR
    g = np.ones(SIZE)
    for _x in reversed(kept):
        pass  # ∂(x + c)/∂x = 1: the cotangent is handed on as it is
    return g


def mul_by_hand(x, length):
    kept = []
    for _ in range(length):
        kept.append(x)
        x = x * FACTOR
    g = np.ones(SIZE)
    for _x in reversed(kept):
        g = g * FACTOR
    return g


def tanh_by_hand(x, length):
    kept = []
    for _ in range(length):
        x = np.tanh(x)
        kept.append(x)
    g = np.ones(SIZE)
    for y in reversed(kept):
        g = g * (1 - y * y)
    return g


def recorded(step: Callable[[tg.Tensor], tg.Tensor]):
    def run(x, length):
        leaf = y = tg.tensor(x, requires_grad=True)
        for _ in range(length):
            y = step(y)
        y.backward(np.ones(SIZE))
        return leaf.grad.data

    return run


CONSTANT = tg.tensor(FACTOR)
CHAINS = {
    "add": (add_by_hand, recorded(lambda x: x + CONSTANT)),
    "mul": (mul_by_hand, recorded(lambda x: x * CONSTANT)),
    "tanh": (tanh_by_hand, recorded(tg.ops.tanh)),
}


@dataclass(frozen=True)
class Cost:
    """Microseconds an op, forward and backward together: medians over the rounds."""

    op: str
    by_hand: float
    recorded: float

    @property
    def ratio(self) -> float:
        return self.recorded / self.by_hand

    def __str__(self) -> str:
        return f"{self.op:>5}  {self.by_hand:6.2f} µs by hand  {self.recorded:6.2f} µs recorded  {self.ratio:5.2f}×"


def seconds(run, x, length: int) -> float:
    start = time.thread_time()
    run(x, length)
    return time.thread_time() - start


def measure(rounds: int, length: int) -> list[Cost]:
    """Every chain, by hand and recorded in turn, `rounds` times; their gradients are compared first."""
    x = np.linspace(-1.0, 1.0, SIZE)
    for by_hand, engine in CHAINS.values():
        np.testing.assert_allclose(engine(x, length), by_hand(x, length), rtol=1e-12)
    taken = {name: ([], []) for name in CHAINS}
    for _ in range(rounds):
        for name, runs in CHAINS.items():
            for run, times in zip(runs, taken[name], strict=True):
                times.append(seconds(run, x, length))
    per_op = 1e6 / length
    return [Cost(name, *(statistics.median(times) * per_op for times in both)) for name, both in taken.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--length", type=int, default=1000, help="ops in a chain")
    options = parser.parse_args()
    for cost in measure(options.rounds, options.length):
        print(cost)


if __name__ == "__main__":
    main()
