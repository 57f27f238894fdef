"""What a branch costs: at the first event of a long run, and at its last.

Run it with `python tests/benchmarks/bench_what_if.py`. The first is beside the recorded run's own
time, the second beside a step of the debugger, both in CPU time; they take turns, and of the rounds
the median counts, so that other programs on the machine matter little.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.commands import execute
from tinygrad_rnn.debugger.session import Session

EVENTS_A_TIMESTEP = 21
FIRST_MOST, LAST_MOST = 1.5, 1.0  # the targets, as ratios


def recorded(events: int) -> tg.trace:
    """A training step of an RNN, over a sequence long enough for so many events."""
    rnn = tg.nn.RNN(8, 32, output_size=8, rng=0)
    xs = np.random.default_rng(0).standard_normal((events // EVENTS_A_TIMESTEP + 1, 4, 8))
    with tg.trace() as tr:
        tg.nn.cross_entropy(rnn(xs)[0], np.zeros(xs.shape[:2], int)).backward()
    return tr


def step(session: Session, tree: views.Tree) -> None:
    """A step of the debugger, and all that is drawn for it."""
    execute(session, "step")
    tree.lines(tree.position(session.cursor), 140, 45)
    views.step(session, 72, 41)
    views.side(session, 36, 41)
    views.status(session, 140)
    views.timeline(session, 140)


def seconds(work: Callable[[], object]) -> float:
    """CPU time; the collector's turns are left to nobody."""
    gc.collect()
    gc.disable()
    began = time.process_time()
    made = work()
    taken = time.process_time() - began
    gc.enable()
    del made
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    run = recorded(options.events)
    last = run.events[-1].output
    first_name, last_name = run.queries.names.of(run.events[0].output), run.queries.names.of(last)
    run.what_if({"W_hh": lambda w: 1.01 * w, f"d.{last_name}": 0})  # what is made once for a run
    first: list[float] = []
    at_last: list[float] = []
    for _ in range(options.rounds):
        own = seconds(lambda: recorded(options.events))
        branch = seconds(lambda: run.what_if({first_name: lambda z: 1.01 * z}))
        first.append(branch / own)
        session = Session(run, run.events[-1].index - 2)
        tree = views.Tree(session)
        step(session, tree)
        session.move(run.events[-1].index - 2)
        taken = seconds(lambda session=session, tree=tree: step(session, tree))
        branch_at_last = seconds(lambda: run.what_if({f"d.{last_name}": 0}))
        at_last.append(branch_at_last / taken)
        print(
            f"{len(run.events):,} events: run {own:.2f} s, branch at the first {branch:.2f} s; "
            f"a step {1e3 * taken:.1f} ms, branch at the last {1e3 * branch_at_last:.1f} ms"
        )
    ratios = statistics.median(first), statistics.median(at_last)
    print(f"at the first event {ratios[0]:.2f} of the run's own time, at most {FIRST_MOST} wanted")
    print(f"at the last event {ratios[1]:.2f} of a step, at most {LAST_MOST} wanted")


if __name__ == "__main__":
    main()
