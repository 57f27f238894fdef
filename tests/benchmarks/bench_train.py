"""One training step of a character RNN: eager, compiled, in NumPy written by hand, and in PyTorch where installed.

Run it with `python tests/benchmarks/bench_train.py`. A step is forward, softmax cross-entropy at every timestep,
backward, and the gradients of all three parameters; no optimiser. Gradients are compared before anything is timed,
rounds are interleaved, and medians of CPU time on one thread compared: the ratios survive a busy machine, the
milliseconds do not.
"""

# ruff: noqa: E402  (threads are counted when NumPy is imported)
import argparse
import contextlib
import os
import statistics
import time
from dataclasses import dataclass

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when NumPy is imported

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import ops

V = 65


@dataclass(frozen=True)
class Size:
    name: str
    H: int
    T: int
    B: int
    rounds: int


SIZES = [Size("Karpathy", 100, 25, 1, 300), Size("medium", 256, 50, 32, 30), Size("large", 512, 100, 64, 7)]


class Data:
    """Parameters, one-hot inputs (T, B, V) and targets (T, B)."""

    def __init__(self, size, dtype):
        rng = np.random.default_rng(0)
        self.size, self.dtype = size, np.dtype(dtype)
        shapes = {"W_xh": (size.H, V), "W_hh": (size.H, size.H), "W_hy": (V, size.H)}
        self.weights = {n: (rng.standard_normal(s) / np.sqrt(s[1])).astype(dtype) for n, s in shapes.items()}
        self.xs = np.eye(V, dtype=dtype)[rng.integers(0, V, (size.T, size.B))]
        self.targets = rng.integers(0, V, (size.T, size.B))


def time_batched(data):
    """By hand: both projections of all timesteps in one product each, both sums of outer products as well."""
    (T, B), H = data.targets.shape, data.size.H
    W_xh, W_hh, W_hy = data.weights.values()
    xs, rows, flat = data.xs.reshape(T * B, V), np.arange(T * B), data.targets.reshape(-1)
    projected, hs = np.empty((T, B, H), data.dtype), np.zeros((T + 1, B, H), data.dtype)
    ys, dhs, slopes = np.empty((T * B, V), data.dtype), np.empty((T, B, H), data.dtype), np.empty((T, B, H), data.dtype)
    dzs, dh = np.empty((T, B, H), data.dtype), np.empty((B, H), data.dtype)

    def step():
        W_T = np.ascontiguousarray(W_hh.T)
        np.matmul(xs, W_xh.T, out=projected.reshape(T * B, H))
        for t in range(T):
            np.matmul(hs[t], W_T, out=hs[t + 1])
            np.add(hs[t + 1], projected[t], out=hs[t + 1])
            np.tanh(hs[t + 1], out=hs[t + 1])
        after = hs[1:].reshape(T * B, H)
        np.matmul(after, W_hy.T, out=ys)
        np.subtract(ys, ys.max(axis=1, keepdims=True), out=ys)
        picked = ys[rows, flat]
        np.exp(ys, out=ys)
        totals = ys.sum(axis=1, keepdims=True)
        loss = (np.log(totals[:, 0]) - picked).mean()
        np.divide(ys, totals, out=ys)
        ys[rows, flat] -= 1
        np.divide(ys, T * B, out=ys)
        dW_hy = ys.T @ after
        np.matmul(ys, W_hy, out=dhs.reshape(T * B, H))
        np.multiply(hs[1:], hs[1:], out=slopes)
        np.subtract(1, slopes, out=slopes)
        for t in range(T - 1, -1, -1):
            if t < T - 1:
                np.matmul(dzs[t + 1], W_hh, out=dh)
                np.add(dhs[t], dh, out=dhs[t])
            np.multiply(dhs[t], slopes[t], out=dzs[t])
        flat_dz = dzs.reshape(T * B, H)
        return loss, flat_dz.T @ xs, flat_dz.T @ hs[:-1].reshape(T * B, H), dW_hy

    return step


def min_char_rnn(data):
    """By hand, a timestep at a time, as in Karpathy's min-char-rnn; B columns side by side."""
    T, B = data.targets.shape
    W_xh, W_hh, W_hy = data.weights.values()
    columns = np.arange(B)

    def step():
        xs, hs, ps, loss = {}, {-1: np.zeros((data.size.H, B), data.dtype)}, {}, 0.0
        for t in range(T):
            xs[t] = data.xs[t].T
            hs[t] = np.tanh(np.dot(W_xh, xs[t]) + np.dot(W_hh, hs[t - 1]))
            e = np.exp(np.dot(W_hy, hs[t]))
            ps[t] = e / e.sum(axis=0)
            loss -= np.log(ps[t][data.targets[t], columns]).sum()
        gradients = dW_xh, dW_hh, dW_hy = [np.zeros_like(W) for W in (W_xh, W_hh, W_hy)]
        dh_next = np.zeros_like(hs[0])
        for t in reversed(range(T)):
            dy = np.copy(ps[t])
            dy[data.targets[t], columns] -= 1
            dy /= T * B
            dW_hy += np.dot(dy, hs[t].T)
            dh = np.dot(W_hy.T, dy) + dh_next
            dz = (1 - hs[t] * hs[t]) * dh
            dW_xh += np.dot(dz, xs[t].T)
            dW_hh += np.dot(dz, hs[t - 1].T)
            dh_next = np.dot(W_hh.T, dz)
        return loss / (T * B), *gradients

    return step


def ours(data, wrap=lambda fn: fn, layer=False):
    """The loop a person writes (or the layer), eager or compiled."""
    T, B = data.targets.shape
    W_xh, W_hh, W_hy = (tg.nn.Parameter(W) for W in data.weights.values())
    network = tg.nn.RNN(V, data.size.H, output_size=V, bias=False, dtype=data.dtype)
    if layer:
        network.load_state_dict(data.weights)
        W_xh, W_hh, W_hy = network.W_xh, network.W_hh, network.W_hy

    def loop(xs, targets):
        h, ys = tg.tensor(np.zeros((B, data.size.H), data.dtype)), []
        for t in range(T):
            h = ops.tanh(ops.linear(xs[t], W_xh) + ops.linear(h, W_hh))
            ys.append(ops.linear(h, W_hy))
        loss = tg.nn.cross_entropy(ops.stack(ys), targets)
        loss.backward()
        return loss

    def by_layer(xs, targets):
        loss = tg.nn.cross_entropy(network(xs)[0], targets)
        loss.backward()
        return loss

    function = wrap(by_layer if layer else loop)
    xs, targets = tg.tensor(data.xs), tg.tensor(data.targets)

    def step():
        for p in (W_xh, W_hh, W_hy):
            p.grad = None
        loss = function(xs, targets)
        return loss.data, W_xh.grad.data, W_hh.grad.data, W_hy.grad.data

    return step


def torch_layer(data):
    """torch.nn.RNN, then one product for all outputs."""
    import torch

    torch.set_num_threads(1)
    W_xh, W_hh, W_hy = (torch.tensor(W) for W in data.weights.values())
    rnn = torch.nn.RNN(V, data.size.H, bias=False, dtype=W_xh.dtype)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(W_xh)
        rnn.weight_hh_l0.copy_(W_hh)
    W_hy.requires_grad_()
    xs, targets = torch.tensor(data.xs), torch.tensor(data.targets).reshape(-1)
    parameters = [rnn.weight_ih_l0, rnn.weight_hh_l0, W_hy]

    def step():
        for p in parameters:
            p.grad = None
        loss = torch.nn.functional.cross_entropy((rnn(xs)[0] @ W_hy.T).reshape(-1, V), targets)
        loss.backward()
        return loss.detach().numpy(), *(p.grad.numpy() for p in parameters)

    return step


def torch_loop(data):
    """The loop a person writes, in PyTorch."""
    import torch

    T, B = data.targets.shape
    parameters = [torch.tensor(W, requires_grad=True) for W in data.weights.values()]
    xs, targets = torch.tensor(data.xs), torch.tensor(data.targets).reshape(-1)

    def step():
        for p in parameters:
            p.grad = None
        h, ys = torch.zeros(B, data.size.H, dtype=xs.dtype), []
        for t in range(T):
            h = torch.tanh(xs[t] @ parameters[0].T + h @ parameters[1].T)
            ys.append(h @ parameters[2].T)
        loss = torch.nn.functional.cross_entropy(torch.stack(ys).reshape(-1, V), targets)
        loss.backward()
        return loss.detach().numpy(), *(p.grad.numpy() for p in parameters)

    return step


def candidates(data):
    found = {
        "by hand, time-batched": time_batched(data),
        "compiled": ours(data, tg.compile),
        "eager layer": ours(data, layer=True),
        "eager loop": ours(data),
        "by hand, min-char-rnn": min_char_rnn(data),
    }
    with contextlib.suppress(ImportError):
        found |= {"PyTorch nn.RNN": torch_layer(data), "PyTorch loop": torch_loop(data)}
    return found


def measure(size, dtype, rounds):
    """Medians of the CPU time of each candidate, in seconds."""
    steps = candidates(Data(size, dtype))
    expected = steps["by hand, time-batched"]()
    tolerance = 1e-9 if dtype == "float64" else 3e-4
    for name, step in steps.items():
        for _ in range(3):  # a compiled step is recorded twice
            found = step()
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(), err_msg=name)
    taken = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.process_time()
            step()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=[size.name for size in SIZES], action="append")
    parser.add_argument("--dtype", choices=["float64", "float32"], action="append")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    for size in SIZES:
        if options.size and size.name not in options.size:
            continue
        for dtype in options.dtype or ["float64", "float32"]:
            print(f"{size.name} {dtype}: H={size.H} T={size.T} B={size.B} V={V}")
            medians = measure(size, dtype, options.rounds or size.rounds)
            for name, seconds in medians.items():
                print(f"  {name:24}{1e3 * seconds:9.3f} ms  {seconds / medians['by hand, time-batched']:5.2f}")


if __name__ == "__main__":
    main()
