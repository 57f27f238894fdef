"""The programs of examples/museum, compiled and eager, at 50 steps.

Run it with `python tests/benchmarks/bench_museum.py [steps]`; it prints a table in Markdown.

CPU time on one thread, medians of interleaved rounds. Losses and gradients are compared first, to
1e-12 of the greatest element.
"""

import runpy
import sys
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tg
from tinygrad_rnn.benchmarks.jobs import interleaved

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
ROUNDS = 7
WARM = 130  # calls: at the next one that is a power of two the function is run again, and compared


def measured(path, steps):
    """(eager, compiled) seconds of a program's step, or None where it does not compile."""
    names = runpy.run_path(str(path), run_name=path.stem)
    if not names.get("COMPILES", True):
        return None
    parameters = names["PARAMS"]
    parameters = [*(parameters.values() if isinstance(parameters, dict) else parameters)]
    batch = names["scaled"](steps) if "scaled" in names else names["BATCH"]
    given = [tg.tensor(array) for array in batch]

    def differentiated(*batch):
        loss = names["loss_fn"](*batch)
        loss.backward()
        return loss

    def step(function):
        for p in parameters:
            p.grad = None
        return [function(*given).data, *(p.grad.data for p in parameters)]

    fast = tg.compile(differentiated)
    expected = step(differentiated)
    for _ in range(WARM):
        found = step(fast)
    for a, b in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(b).max(initial=0.0)))
        assert np.abs(a - b).max(initial=0.0) <= 1e-12 * scale, path.stem
    runs = {"eager": lambda: step(differentiated), "compiled": lambda: step(fast)}
    taken = interleaved(runs, ROUNDS, lambda: None)
    return median(taken["eager"]), median(taken["compiled"])


def main():
    warnings.simplefilter("ignore")
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print("| program | eager, ms | compiled, ms | eager ÷ compiled |\n|---|---|---|---|")
    gains = []
    for path in sorted(MUSEUM.glob("*.py")):
        found = measured(path, steps)
        if found is None:
            print(f"| {path.stem} | is not compiled | | |", flush=True)
            continue
        eager, compiled = found
        gains.append(eager / compiled)
        print(f"| {path.stem} | {eager * 1e3:.3g} | {compiled * 1e3:.3g} | {gains[-1]:.1f} |")
        sys.stdout.flush()
    print(f"\nmedian {median(gains):.1f}, least {min(gains):.1f}, of {len(gains)} programs")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
