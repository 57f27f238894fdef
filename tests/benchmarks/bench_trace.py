"""What recording costs, and what the engine's readiness for it costs where nobody records.

Run it with `python tests/benchmarks/bench_trace.py`. One training step of an RNN is timed traced,
untraced, and on a copy of the package whose engine had every call of an observer taken out of its
source. They take turns in both orders; what is compared is CPU time within a round, and of the
rounds the median, so that the ratios survive a busy machine.
"""

import os

if __name__ == "__main__":
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # before NumPy comes: threads that wait would count as work

import argparse
import ast
import gc
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import numpy as np

import tinygrad_rnn

BARE = "bare_rnn"


class WithoutObservers(ast.NodeTransformer):
    """Takes out every call of `notify`, and the loops over the observers."""

    def visit_Expr(self, node):
        call = node.value
        told = (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "notify"
        )
        return ast.copy_location(ast.Pass(), node) if told else node

    def visit_If(self, node):
        return self.without(node, node.test)

    def visit_For(self, node):
        return self.without(node, node.iter)

    def without(self, node, asked):
        if "observers" in ast.unparse(asked):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


def bare_package(folder: Path):
    """A copy of the package, its engine without observers."""
    shutil.copytree(
        Path(tinygrad_rnn.__file__).parent,
        folder / BARE,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    changed = 0
    for path in (folder / BARE / "autograd").glob("*.py"):
        source = path.read_text("utf-8")
        bare = ast.unparse(WithoutObservers().visit(ast.parse(source)))
        changed += bare != ast.unparse(ast.parse(source))
        path.write_text(bare, "utf-8")
    assert changed >= 3, "the engine's source does not call its observers as this looks for them"
    sys.path.insert(0, str(folder))
    return import_module(BARE)


def training_step(tg, steps: int, batch: int, hidden: int):
    rng = np.random.default_rng(0)
    rnn = tg.nn.RNN(hidden, hidden, output_size=hidden, rng=0)
    xs = rng.standard_normal((steps, batch, hidden))
    targets = rng.integers(0, hidden, (steps, batch))

    def step() -> None:
        rnn.zero_grad()
        tg.nn.cross_entropy(rnn(xs)[0], targets).backward()

    return step


def seconds(step, recorder) -> float:
    gc.collect()
    start = time.process_time()
    with recorder():
        step()
    return time.process_time() - start


def measure(rounds: int, *sizes: int) -> dict[str, list[float]]:
    """The CPU seconds of a step in each round, by kind."""
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = (
            training_step(tg, *sizes) for tg in (tinygrad_rnn, bare_package(Path(folder)))
        )
    kinds = {
        "bare": (bare, nullcontext),
        "untraced": (ours, nullcontext),
        "traced": (ours, tinygrad_rnn.trace),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + 2):
        for kind in kinds if number % 2 else reversed(kinds):
            taken[kind].append(seconds(*kinds[kind]))
    return {kind: times[2:] for kind, times in taken.items()}


def ratio(times: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=100, help="T")
    parser.add_argument("--batch", type=int, default=32, help="B")
    parser.add_argument("--hidden", type=int, default=128, help="H")
    options = parser.parse_args()
    found = measure(options.rounds, options.steps, options.batch, options.hidden)
    traced = ratio(found["traced"], found["untraced"])
    unobserved = ratio(found["untraced"], found["bare"])
    took = 1e3 * statistics.median(found["untraced"])
    print(
        f"T={options.steps} B={options.batch} H={options.hidden}: {took:.1f} ms; traced "
        f"{traced:.2f}×; unobserved, {unobserved:.3f}× an engine without observers"
    )


if __name__ == "__main__":
    main()
