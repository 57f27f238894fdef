"""What recording costs: one training step of an RNN, traced and untraced in turn.

Run it with `python tests/benchmarks/bench_trace.py`. Rounds are interleaved and medians compared, so that the ratio
survives a busy machine; the milliseconds do not.
"""

import argparse
import statistics
import time
from contextlib import nullcontext

import numpy as np

import tinygrad_rnn as tg


def training_step(steps: int, batch: int, hidden: int):
    rng = np.random.default_rng(0)
    rnn = tg.nn.RNN(hidden, hidden, output_size=hidden, rng=0)
    xs = rng.standard_normal((steps, batch, hidden))
    targets = rng.integers(0, hidden, (steps, batch))

    def step() -> None:
        rnn.zero_grad()
        tg.nn.cross_entropy(rnn(xs)[0], targets).backward()

    return step


def seconds(step, recorder) -> float:
    start = time.perf_counter()
    with recorder():
        step()
    return time.perf_counter() - start


def measure(rounds: int, steps: int, batch: int, hidden: int) -> tuple[float, float]:
    """The median seconds of a step, untraced and traced."""
    step = training_step(steps, batch, hidden)
    taken: dict[object, list[float]] = {nullcontext: [], tg.trace: []}
    for _ in range(rounds):
        for recorder, times in taken.items():
            times.append(seconds(step, recorder))
    untraced, traced = (statistics.median(times) for times in taken.values())
    return untraced, traced


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=100, help="T")
    parser.add_argument("--batch", type=int, default=32, help="B")
    parser.add_argument("--hidden", type=int, default=128, help="H")
    options = parser.parse_args()
    untraced, traced = measure(options.rounds, options.steps, options.batch, options.hidden)
    shape = f"T={options.steps} B={options.batch} H={options.hidden}"
    print(f"{shape}: {1e3 * untraced:.1f} ms untraced, {1e3 * traced:.1f} ms traced, {traced / untraced:.2f}×")


if __name__ == "__main__":
    main()
