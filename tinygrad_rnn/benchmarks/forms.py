"""The same step as different people write it, and cells that are written from ops alone.

A form is a function `form(weights, xs, targets)` that returns the loss. `weights` are those of the
problem, by name; in a form with `separate` matrices each gate's are a list's. The inputs (T, B, V)
are (T, V, B) in a form of `columns`, and the numbers (T, B) of the ones in these one-hot rows where
`ids` are given. A form that sees its data from `outside` has none as arguments.
"""

# NumPy's functions are declared for arrays alone.
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from ..compiler import compile
from ..errors import BenchmarkError
from ..nn import Parameter, cross_entropy
from . import by_hand_cells
from .by_hand import TimeBatchedRNN
from .by_hand_gated import TimeBatchedGRU, TimeBatchedLSTM
from .problem import GATES, Problem

linear, sigmoid, tanh = ops.linear, ops.sigmoid, ops.tanh

BY_HAND, EAGER = "by hand, time-batched", ", eager"
TOLERANCE = {"float64": 1e-12, "float32": 1e-3}  # of the greatest element

Loss = Callable[[Mapping[str, Any], Any, Any], Tensor]

REFERENCES: dict[str, Callable[[Problem], Any]] = {
    "rnn": TimeBatchedRNN,
    "lstm": TimeBatchedLSTM,
    "gru": TimeBatchedGRU,
    "mingru": by_hand_cells.TimeBatchedMinGRU,
    "peephole": by_hand_cells.TimeBatchedPeepholeLSTM,
    "layernorm": by_hand_cells.TimeBatchedNormLSTM,
}


@dataclass(frozen=True)
class Form:
    """One way to write the step of a cell."""

    name: str
    cell: str
    loss: Loss
    columns: bool = False
    separate: bool = False
    ids: bool = False
    outside: bool = False

    def steps(self, problem: Problem) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """The step, compiled and eager; each returns the loss and the gradients."""
        return self._step(problem, compile), self._step(problem, lambda step: step)

    def _step(self, problem: Problem, wrap: Callable[[Any], Any]) -> Callable[[], Any]:
        weights = {name: self._parameters(name, W, problem) for name, W in problem.weights.items()}
        parameters = [p for part in weights.values() for p in _listed(part)]
        xs = problem.xs.transpose(0, 2, 1) if self.columns else problem.xs
        if self.ids:
            xs = xs.argmax(-1)
        data = np.ascontiguousarray(xs), problem.targets
        given = () if self.outside else tuple(map(Tensor, data))

        def differentiated(*given: Tensor) -> Tensor:
            loss = self.loss(weights, *(given or data))
            loss.backward()
            return loss

        function = wrap(differentiated)

        def step() -> Any:
            for parameter in parameters:
                parameter.grad = None
            loss = function(*given)
            return loss, *(_gradient(part) for part in weights.values())

        return step

    def _parameters(self, name: str, W: Array, problem: Problem) -> Any:
        if not self.separate or name not in ("W_xh", "W_hh"):
            return Parameter(W)
        return [Parameter(part) for part in np.split(W, GATES[problem.cell])]


def _listed(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [part]


def _gradient(part: Any) -> list[Any]:
    return [parameter.grad for parameter in _listed(part)]


def contenders(problem: Problem) -> dict[str, Callable[[], Any]]:
    """The cell's step by hand, which stands first, and every form of it, compiled and eager.

    Raises:
        BenchmarkError: they do not take the same step.
    """
    steps: dict[str, Callable[[], Any]] = {BY_HAND: REFERENCES[problem.cell](problem)}
    for form in FORMS:
        if form.cell == problem.cell:
            compiled, eager = form.steps(problem)
            steps |= {form.name: compiled, f"{form.name}{EAGER}": eager}
    expected = _flat(steps[BY_HAND]())
    for name, step in steps.items():
        for _ in range(2):
            step()
        for a, b in zip(_flat(step()), expected, strict=True):
            worst = float(np.abs(a - b).max() / np.abs(b).max())
            if not worst <= TOLERANCE[problem.dtype.name]:
                raise BenchmarkError(
                    f"bench: {problem.cell}: {name}: the loss or a gradient is {worst:.2g} of the "
                    "greatest element away from that by hand: nothing was timed"
                )
    return steps


def _flat(found: Any) -> list[Array]:
    """The loss and the gradients, those of separate matrices below each other."""
    return [np.concatenate([_array(x).reshape(-1) for x in _listed(part)]) for part in found]


def _array(x: Any) -> Array:
    return np.array(x.data if isinstance(x, Tensor) else x)


FORMS: list[Form] = []


def form(name: str, cell: str = "rnn", **options: bool) -> Callable[[Loss], Loss]:
    """Add a way to write the step."""

    def decorate(loss: Loss) -> Loss:
        FORMS.append(Form(name, cell, loss, **options))
        return loss

    return decorate


def _start(x: Tensor, size: int) -> Tensor:
    return Tensor(np.zeros((x.shape[0], size), x.dtype))


# The plain cell, by those who write it


def _states(weights: Mapping[str, Any], xs: Any) -> Iterator[Tensor]:
    h = _start(xs[0], weights["W_hh"].shape[1])
    for x in xs:
        h = tanh(linear(x, weights["W_xh"]) + linear(h, weights["W_hh"]))
        yield h


@form("outputs stacked, one cross-entropy")
def stacked(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """h = tanh(linear(x, W) + linear(h, U)), as `bench --part step` times it."""
    ys = [linear(h, weights["W_hy"]) for h in _states(weights, xs)]
    return cross_entropy(ops.stack(ys), targets)


@form("loss added up in the loop")
def added(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """A loss for each timestep, added to those before."""
    loss: Any = 0.0
    for h, target in zip(_states(weights, xs), targets, strict=True):
        loss = loss + cross_entropy(linear(h, weights["W_hy"]), target)
    return loss / len(xs)


@form("losses in a list, sum()")
def listed(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """A loss for each timestep, summed by Python."""
    hs = _states(weights, xs)
    pairs = zip(hs, targets, strict=True)
    losses = [cross_entropy(linear(h, weights["W_hy"]), target) for h, target in pairs]
    return sum(losses) / len(losses)  # pyright: ignore[reportReturnType]


@form("losses stacked, mean()")
def stacked_losses(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """A loss for each timestep, and their mean."""
    hs = _states(weights, xs)
    pairs = zip(hs, targets, strict=True)
    return ops.stack([cross_entropy(linear(h, weights["W_hy"]), y) for h, y in pairs]).mean()


@form("x @ W.T + h @ U.T")
def transposed(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """The products as PyTorch's tutorials write them."""
    W, U, V = weights.values()
    h, ys = _start(xs[0], U.shape[1]), []
    for x in xs:
        h = tanh(x @ W.T + h @ U.T)
        ys.append(h @ V.T)
    return cross_entropy(ops.stack(ys), targets)


@form("x @ W.T + h @ U.T, loss added up")
def transposed_added(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """The same, and a loss for each timestep."""
    W, U, V = weights.values()
    h, loss = _start(xs[0], U.shape[1]), 0.0
    for x, target in zip(xs, targets, strict=True):
        h = tanh(x @ W.T + h @ U.T)
        loss = loss + cross_entropy(h @ V.T, target)
    return loss / len(xs)


def _columns(weights: Mapping[str, Any], xs: Any) -> Iterator[Tensor]:
    W, U, V = weights.values()
    h = np.zeros((U.shape[1], xs.shape[2]), xs.dtype)
    for x in xs:
        h = tanh(W @ x + U @ h)
        yield V @ h


@form("columns, W @ h", columns=True)
def columns(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Columns, as in the equations."""
    loss: Any = 0.0
    for y, target in zip(_columns(weights, xs), targets, strict=True):
        loss = loss + cross_entropy(y.T, target)
    return loss / len(xs)


@form("columns, softmax and log written out", columns=True)
def written_out(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """As min-char-rnn writes its loss, the targets an index."""
    loss, each = 0.0, np.arange(xs.shape[2])
    for y, target in zip(_columns(weights, xs), targets, strict=True):
        p = np.exp(y) / np.sum(np.exp(y), axis=0)
        loss = loss - np.log(p[target, each]).sum()
    return loss / targets.size


@form("columns, softmax written out, one-hot targets", columns=True)
def written_out_one_hot(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """The same, the targets one-hot rows."""
    loss: Any = 0.0
    for y, target in zip(_columns(weights, xs), targets, strict=True):
        p = np.exp(y) / np.sum(np.exp(y), axis=0)
        loss = loss - (ops.one_hot(target, len(y)).T * np.log(p)).sum()
    return loss / targets.size


@form("log_softmax, picked by take_along_axis")
def picked(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Log-probabilities, of which each timestep's target is taken."""
    loss: Any = 0.0
    for h, target in zip(_states(weights, xs), targets, strict=True):
        scores = ops.log_softmax(linear(h, weights["W_hy"]))
        loss = loss - np.take_along_axis(scores, target[:, None], -1).mean()
    return loss / len(xs)


@form("np.einsum")
def by_letters(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """The products by letters."""
    W, U, V = weights.values()
    h, ys = _start(xs[0], U.shape[1]), []
    for x in xs:
        h = tanh(np.einsum("bi,hi->bh", x, W) + np.einsum("bk,hk->bh", h, U))
        ys.append(np.einsum("bh,oh->bo", h, V))
    return cross_entropy(ops.stack(ys), targets)


@form("concatenate([x, h]) @ W.T")
def joined(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """One matrix for what stands side by side, as in many textbooks."""
    both, V = ops.concatenate([weights["W_xh"], weights["W_hh"]], 1), weights["W_hy"]
    h, ys = _start(xs[0], V.shape[1]), []
    for x in xs:
        h = tanh(ops.concatenate([x, h], -1) @ both.T)
        ys.append(h @ V.T)
    return cross_entropy(ops.stack(ys), targets)


@form("xs @ W.T before the loop, hs @ V.T after it")
def projected(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """All inputs are projected before the loop, all states after it."""
    W, U, V = weights.values()
    h, hs = _start(xs[0], U.shape[1]), []
    for x in xs @ W.T:
        h = tanh(x + h @ U.T)
        hs.append(h)
    return cross_entropy(ops.stack(hs) @ V.T, targets)


@form("columns of W looked up, W[:, ids]", ids=True)
def looked_up(weights: Mapping[str, Any], ids: Any, targets: Any) -> Tensor:
    """In place of one-hot inputs their numbers are given."""
    W, U, V = weights.values()
    h, ys = np.zeros((ids.shape[1], len(U)), U.dtype), []
    for i in ids:
        h = tanh(W[:, i].T + h @ U.T)
        ys.append(h @ V.T)
    return cross_entropy(ops.stack(ys), targets)


@form("data from outside, x @ W.T", outside=True)
def outside(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Arrays that the function sees, and no arguments."""
    return transposed_added(weights, xs, targets)


@form("data from outside, rows of W.T looked up", ids=True, outside=True)
def looked_up_outside(weights: Mapping[str, Any], ids: Any, targets: Any) -> Tensor:
    """The same with the numbers of one-hot inputs."""
    W, U, V = weights.values()
    h, loss = np.zeros((ids.shape[1], len(U)), U.dtype), 0.0
    for i, target in zip(ids, targets, strict=True):
        h = tanh(W.T[i] + h @ U.T)
        loss = loss + cross_entropy(h @ V.T, target)
    return loss / len(ids)


# Gated cells, with a matrix for all gates or for each


def _read(weights: Mapping[str, Any], xs: Any, targets: Any, cell: Any, start: Any) -> Tensor:
    """The loss of a cell, which makes a new state of x and the old one; h stands first in it."""
    state, ys = start, []
    for x in xs:
        state = cell(x, *state)
        ys.append(linear(state[0], weights["W_hy"]))
    return cross_entropy(ops.stack(ys), targets)


def _parts(z: Tensor, count: int) -> list[Tensor]:
    size = z.shape[-1] // count
    return [z[..., k * size : (k + 1) * size] for k in range(count)]


def _lstm(i: Tensor, f: Tensor, g: Tensor, o: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


@form("LSTM, stacked", "lstm")
def lstm(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """All gates are columns of one product."""
    W, U = weights["W_xh"], weights["W_hh"]
    cell = lambda x, h, c: _lstm(*_parts(linear(x, W) + linear(h, U), 4), c)
    zeros = _start(xs[0], U.shape[1])
    return _read(weights, xs, targets, cell, (zeros, zeros))


@form("LSTM, a matrix for each gate", "lstm", separate=True)
def lstm_separate(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Eight matrices."""
    W, U = weights["W_xh"], weights["W_hh"]

    def cell(x: Any, h: Any, c: Any) -> Any:
        return _lstm(*(linear(x, a) + linear(h, b) for a, b in zip(W, U, strict=True)), c)

    zeros = _start(xs[0], U[0].shape[1])
    return _read(weights, xs, targets, cell, (zeros, zeros))


@form("LSTM, a matrix for each gate, @ .T", "lstm", separate=True)
def lstm_transposed(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Eight matrices, transposed."""
    W, U = weights["W_xh"], weights["W_hh"]

    def cell(x: Any, h: Any, c: Any) -> Any:
        return _lstm(*(x @ a.T + h @ b.T for a, b in zip(W, U, strict=True)), c)

    zeros = _start(xs[0], U[0].shape[1])
    return _read(weights, xs, targets, cell, (zeros, zeros))


def _gru(xr: Any, xz: Any, xn: Any, hr: Any, hz: Any, hn: Any, h: Any) -> tuple[Tensor]:
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    return ((1 - z) * n + z * h,)


@form("GRU, stacked", "gru")
def gru(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """All gates are columns of one product."""
    W, U = weights["W_xh"], weights["W_hh"]
    cell = lambda x, h: _gru(*_parts(linear(x, W), 3), *_parts(linear(h, U), 3), h)
    return _read(weights, xs, targets, cell, (_start(xs[0], U.shape[1]),))


@form("GRU, a matrix for each gate", "gru", separate=True)
def gru_separate(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Six matrices."""
    W, U = weights["W_xh"], weights["W_hh"]
    cell = lambda x, h: _gru(*(linear(x, a) for a in W), *(linear(h, b) for b in U), h)
    return _read(weights, xs, targets, cell, (_start(xs[0], U[0].shape[1]),))


@form("minGRU", "mingru")
def mingru(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """Only an average is carried."""

    def cell(x: Any, h: Any) -> tuple[Tensor]:
        z, n = _parts(linear(x, weights["W_xh"]), 2)
        z = sigmoid(z)
        return ((1 - z) * h + z * n,)

    return _read(weights, xs, targets, cell, (_start(xs[0], weights["W_hy"].shape[1]),))


@form("LSTM with peepholes", "peephole")
def peephole(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """The gates look at the memory."""
    W, U = weights["W_xh"], weights["W_hh"]
    w_i, w_f, w_o = _parts(weights["w_c"], 3)

    def cell(x: Any, h: Any, c: Any) -> tuple[Tensor, Tensor]:
        i, f, g, o = _parts(linear(x, W) + linear(h, U), 4)
        new = sigmoid(f + w_f * c) * c + sigmoid(i + w_i * c) * tanh(g)
        return sigmoid(o + w_o * new) * tanh(new), new

    zeros = _start(xs[0], U.shape[1])
    return _read(weights, xs, targets, cell, (zeros, zeros))


def _norm(x: Tensor) -> Tensor:
    moved = x - x.mean(axis=-1, keepdims=True)
    return moved / np.sqrt((moved * moved).mean(axis=-1, keepdims=True) + by_hand_cells.EPS)


@form("LSTM with layer norms", "layernorm")
def layernorm(weights: Mapping[str, Any], xs: Any, targets: Any) -> Tensor:
    """As Ba, Kiros and Hinton (2016), without biases."""
    W, U, _, g_x, g_h, g_c = weights.values()

    def cell(x: Any, h: Any, c: Any) -> tuple[Tensor, Tensor]:
        z = _norm(linear(x, W)) * g_x + _norm(linear(h, U)) * g_h
        i, f, g, o = _parts(z, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(_norm(c) * g_c), c

    zeros = _start(xs[0], U.shape[1])
    return _read(weights, xs, targets, cell, (zeros, zeros))
