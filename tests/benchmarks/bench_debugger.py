"""What opening the debugger costs, and a step in it, on short and on long runs.

Run it with `python tests/benchmarks/bench_debugger.py`. The screen is Textual's own, 140 columns by
45 rows, without a terminal behind it. Medians of CPU time, so that other programs on the machine
matter little.
"""

import argparse
import asyncio
import statistics
import time
from itertools import pairwise

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.app import Debugger
from tinygrad_rnn.debugger.commands import execute
from tinygrad_rnn.debugger.session import Session

SIZE = (140, 45)
EVENTS_A_TIMESTEP = 21


def recorded(events: int) -> tg.trace:
    """A training step of an RNN, over a sequence long enough for so many events."""
    rnn = tg.nn.RNN(8, 32, output_size=8, rng=0)
    xs = np.random.default_rng(0).standard_normal((events // EVENTS_A_TIMESTEP + 1, 4, 8))
    with tg.trace() as tr:
        tg.nn.cross_entropy(rnn(xs)[0], np.zeros(xs.shape[:2], int)).backward()
    return tr


def training(steps: int = 300) -> None:
    """Print what a run of many training steps costs: to record, to open, and to step through."""
    rnn = tg.nn.RNN(8, 16, output_size=8, rng=0)
    optimizer, state = tg.optim.Adam(rnn.parameters()), None
    xs = np.random.default_rng(0).standard_normal((10, 4, 8))
    moments = [time.process_time()]
    with tg.trace() as tr:
        for _ in range(steps):
            ys, state = rnn(xs, tg.nn.detach(state))
            loss = tg.nn.cross_entropy(ys, np.zeros((10, 4), int))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    moments.append(time.process_time())
    session = Session(tr)
    tree = views.Tree(session)
    for line in ("jump 1", "step", f"jump step {steps - 1}"):
        execute(session, line)
        tree.lines(tree.position(session.cursor), *SIZE)
        views.step(session, 72, 41)
        views.side(session, 36, 41)
        views.status(session, SIZE[0])
        views.timeline(session, SIZE[0])
        moments.append(time.process_time())
    recording, opening, step, jump = (after - before for before, after in pairwise(moments))
    taken = f"{1e3 * recording:6.0f} ms to record, {1e3 * opening:6.0f} ms to open, "
    taken += f"{1e3 * step:5.1f} ms a step at the first, {1e3 * jump:5.1f} ms a jump to the last"
    print(f"{len(tr.events):>8,} events of {steps} training steps: {taken}")


async def measure(events: int, keys: list[str]) -> list[float]:
    """CPU seconds to the first screen, to the end of the run, and for each key and its drawing."""
    run = recorded(events)
    moments = [time.process_time()]
    app = Debugger(Session(run))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        moments.append(time.process_time())
        for key in ["G", *keys]:
            await pilot.press(key)
            moments.append(time.process_time())
    return [after - before for before, after in pairwise(moments)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, nargs="*", default=[5_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    asyncio.run(measure(100, ["n"]))  # imports
    for events in options.events:
        rounds = [
            asyncio.run(measure(events, ["p"] * options.steps)) for _ in range(options.rounds)
        ]
        opening, jump = (statistics.median(round[i] for round in rounds) for i in (0, 1))
        step = statistics.median(step for round in rounds for step in round[2:])
        taken = f"{1e3 * opening:6.0f} ms to open, {1e3 * jump:5.1f} ms to the end, "
        taken += f"{1e3 * step:5.1f} ms a step"
        print(f"{events:>8,} events: {taken}")
    training()


if __name__ == "__main__":
    main()
