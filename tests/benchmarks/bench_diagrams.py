"""How long pictures take, from the recorded run to SVG. Run it with `python tests/benchmarks/bench_diagrams.py`.

Peers on the same loops (torchviz, torchview, mygrad by way of dot) need minutes, or do not finish, at T = 50 to 100.
"""

import time

import numpy as np

import tinygrad_rnn as tg


def recorded(steps):
    """A trace of two layers of LSTM, forward and backward."""
    net = tg.nn.LSTM(3, 8, num_layers=2, output_size=2, rng=0)
    with tg.trace() as tr:
        ys, _ = net(np.random.default_rng(1).standard_normal((steps, 3)))
        (ys * ys).sum().backward()
    return tr


def seconds(trace, **options):
    start = time.process_time()
    tg.draw(trace, **options).svg  # noqa: B018
    return time.process_time() - start


def main():
    seconds(recorded(2))  # the first picture also starts Graphviz and fontconfig
    runs = {steps: recorded(steps) for steps in (100, 1000, 10_000)}
    hundred = min(seconds(runs[100], fold=None) for _ in range(3))
    rows = [
        ("unrolled, T = 100, all copies", hundred, 0.5),
        ("ops, T = 100, all copies", min(seconds(runs[100], fold=None, view="ops") for _ in range(3)), 2.0),
        ("gradients, T = 100, all copies", min(seconds(runs[100], fold=None, gradients=True) for _ in range(3)), 2.0),
        ("unrolled, T = 10,000, folded", seconds(runs[10_000]), 1.0),
    ]
    for name, took, goal in rows:
        print(f"{name:34} {took:7.3f} s   (goal {goal} s)")
    print(f"{'T = 1,000 takes as long as T = 100':34} {seconds(runs[1000], fold=None) / hundred:7.1f} ×   (goal 12 ×)")


if __name__ == "__main__":
    main()
