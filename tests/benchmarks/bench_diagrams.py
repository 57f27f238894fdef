"""How long pictures take, from the recorded run to SVG.

Run it with `python tests/benchmarks/bench_diagrams.py`; with `museum` behind it, or names of its
programs, it draws each program at two lengths: ten times the ops may take twelve times as long.

CPU time, Graphviz' processes included, the best of three. Peers on the same loops (torchviz,
torchview, mygrad by way of dot) need minutes, or do not finish, at T = 50 to 100.
"""

import os
import runpy
import sys
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg


def recorded(steps, layer=tg.nn.LSTM, num_layers=2):
    """A trace of a network, forward and backward."""
    net = layer(3, 8, num_layers=num_layers, output_size=2, rng=0)
    with tg.trace() as tr:
        ys, _ = net(np.random.default_rng(1).standard_normal((steps, 3)))
        (ys * ys).sum().backward()
    return tr


MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
SHORT, GROWTH = 12, 10  # steps of a program, and how many times more there are of its ops


def cpu():
    """Seconds of this process, and of those that it waited for."""
    return sum(os.times()[:4])


def seconds(trace, **options):
    start = cpu()
    diagram = tg.draw(trace, **options)
    diagram.svg  # noqa: B018
    return cpu() - start


def of_program(program, steps):
    """A trace of a program of the museum at a length."""
    with tg.trace() as tr:
        program["loss_fn"](*program["scaled"](steps)).backward()
    return tr


def museum(names):
    """Draw each program at two lengths, and say how its time grows with its ops."""
    for name in names or sorted(path.stem for path in MUSEUM.glob("*.py")):
        program = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
        if "scaled" not in program:
            continue
        short, long = (of_program(program, steps) for steps in (SHORT, GROWTH * SHORT))
        ops = len(long.graph().nodes) / len(short.graph().nodes)
        growth = best(long, 2) / best(short)
        share = growth / ops * GROWTH
        mark = "" if share <= 1.2 * GROWTH else "   too slow"
        print(f"{name:22} {ops:5.1f} × the ops, {growth:5.1f} × the time{mark}", flush=True)


def best(trace, times=3, **options):
    return min(seconds(trace, **options) for _ in range(times))


def main():
    if len(sys.argv) > 1:
        museum([name for name in sys.argv[1:] if name != "museum"])
        return
    seconds(recorded(2))  # the first picture also starts Graphviz and fontconfig
    runs = {steps: recorded(steps) for steps in (100, 1000, 10_000)}
    views = {
        "unrolled": ({}, 0.5),
        "ops": ({"view": "ops"}, 2.0),
        "ops with gradients": ({"view": "ops", "gradients": True}, 2.0),
        "gradients and values": ({"gradients": True, "values": True}, 2.0),
    }
    for name, (options, goal) in views.items():
        hundred = best(runs[100], fold=None, **options)
        growth = best(runs[1000], 1, fold=None, **options) / hundred
        print(f"{name + ', T = 100, all copies':36} {hundred:7.3f} s   (goal {goal} s)")
        print(f"{name + ', T = 1,000 ÷ T = 100':36} {growth:7.1f} ×   (goal 12 ×)")
    print(f"{'unrolled, T = 10,000, folded':36} {best(runs[10_000]):7.3f} s   (goal 1.0 s)")
    print(f"{'gradients, T = 10,000, folded':36} {best(runs[10_000], 1, gradients=True):7.3f} s")
    print(f"{'one RNN, T = 10,000, folded':36} {best(recorded(10_000, tg.nn.RNN, 1)):7.3f} s")


if __name__ == "__main__":
    main()
