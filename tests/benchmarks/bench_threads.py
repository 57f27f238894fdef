"""What a second core gives: the RNN's step on one thread of BLAS and on two, and PyTorch's.

Run it with `python tests/benchmarks/bench_threads.py [size …]` on a machine where nothing else
runs; it prints a table in Markdown. Wall time, medians of interleaved rounds.
"""

import sys
import time
from statistics import median

from threadpoolctl import threadpool_limits

from tinygrad_rnn.benchmarks import contenders
from tinygrad_rnn.benchmarks.problem import SIZES, Problem

NAMES = (
    contenders.BY_HAND,
    contenders.COMPILED,
    contenders.LOOP,
    contenders.LAYER,
    contenders.TORCH_LAYER,
    contenders.TORCH_LOOP,
)
ROUNDS = 5


def seconds(step, threads):
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    with threadpool_limits(threads):
        step()  # not counted: the threads start
        begin = time.perf_counter()
        step()
        return time.perf_counter() - begin


def measured(size, dtype):
    """Median seconds by contender and number of threads."""
    steps = contenders.installed(Problem(SIZES[size], dtype), NAMES)
    contenders.require_agreement(steps, dtype)
    taken = {(name, threads): [] for name in steps for threads in (1, 2)}
    for _ in range(ROUNDS):
        for name, threads in taken:
            taken[name, threads].append(seconds(steps[name], threads))
    return {key: median(values) for key, values in taken.items()}


def main():
    print("| size, dtype | | one thread, ms | two threads, ms | gain |\n|---|---|---|---|---|")
    for size in sys.argv[1:] or ("medium", "large"):
        for dtype in ("float64", "float32"):
            found = measured(size, dtype)
            for name in dict.fromkeys(name for name, _ in found):
                one, two = found[name, 1], found[name, 2]
                row = f"{one * 1e3:.3g} | {two * 1e3:.3g} | {one / two:.2f}"
                print(f"| {size}, {dtype} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
