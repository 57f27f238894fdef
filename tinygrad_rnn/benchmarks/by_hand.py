"""The step written by hand in NumPy: a timestep at a time, and as well as NumPy can do it."""

import numpy as np

from ..autograd.tensor import Array
from .problem import Problem, Step, V


def min_char_rnn(problem: Problem) -> Step:
    """A timestep at a time, as in Karpathy's min-char-rnn; B columns side by side."""
    T, B = problem.targets.shape
    H, dtype, targets = problem.size.H, problem.dtype, problem.targets
    W_xh, W_hh, W_hy = problem.weights.values()
    columns = np.arange(B)

    def step() -> tuple[float, Array, Array, Array]:
        xs, hs, ps, loss = {}, {-1: np.zeros((H, B), dtype)}, {}, 0.0
        for t in range(T):
            xs[t] = problem.xs[t].T
            hs[t] = np.tanh(np.dot(W_xh, xs[t]) + np.dot(W_hh, hs[t - 1]))
            e = np.exp(np.dot(W_hy, hs[t]))
            ps[t] = e / e.sum(axis=0)
            loss -= np.log(ps[t][targets[t], columns]).sum()
        dW_xh, dW_hh, dW_hy = np.zeros_like(W_xh), np.zeros_like(W_hh), np.zeros_like(W_hy)
        dh_next = np.zeros_like(hs[0])
        for t in reversed(range(T)):
            dy = np.copy(ps[t])
            dy[targets[t], columns] -= 1
            dy /= T * B
            dW_hy += np.dot(dy, hs[t].T)
            dh = np.dot(W_hy.T, dy) + dh_next
            dz = (1 - hs[t] * hs[t]) * dh
            dW_xh += np.dot(dz, xs[t].T)
            dW_hh += np.dot(dz, hs[t - 1].T)
            dh_next = np.dot(W_hh.T, dz)
        return loss / (T * B), dW_xh, dW_hh, dW_hy

    return step


class TimeBatched:
    """What the time-batched versions share: projections and weight gradients.

    Of each there is one product for all timesteps.

    All arrays and views are made before the first step; a step allocates nothing of their size.
    Subclasses write `_forward`, from `self.zx` to `self.hs`, and `_backward`, from `self.dhs` to
    the factors of the two other gradients.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.dtype = problem, problem.dtype
        self.T, self.B, self.H = problem.size.T, problem.size.B, problem.size.H
        # Vectors for a batch of one: a product with a vector is quicker.
        self.batch = () if self.B == 1 else (self.B,)
        self.N = self.T * self.B
        gates = problem.W_xh.shape[0]
        self.xs = problem.xs.reshape(self.N, V)
        self.zx = self._new(self.N, gates)
        # The first is the initial state.
        self.hs = np.zeros((self.T + 1, *self.batch, self.H), self.dtype)
        self.after = self.hs[1:].reshape(self.N, self.H)
        self.before = self.hs[:-1].reshape(self.N, self.H)
        self.dhs = self._new(self.N, self.H)
        self.carried = self._new(*self.batch, self.H)
        self.W_hh_T = self._new(self.H, gates)
        self.W_xh_T, self.W_hy_T = problem.W_xh.T, problem.W_hy.T
        empty = {name: np.empty_like(W) for name, W in problem.weights.items()}
        self.dW_xh, self.dW_hy = empty["W_xh"], empty["W_hy"]
        self.dW_hh = empty.get("W_hh", self.dW_xh)
        self.ys, self.column = self._new(self.N, V), self._new(self.N, 1)
        self.targets = np.arange(self.N) * V + problem.targets.reshape(-1)

    def _new(self, *shape: int) -> Array:
        return np.empty(shape, self.dtype)

    def _steps(self, array: Array) -> list[Array]:
        """A view of each timestep's rows."""
        return list(array.reshape(self.T, *self.batch, array.shape[-1]))

    def __call__(self) -> tuple[float, Array, Array, Array]:
        self._project()
        self._forward()
        loss = self._outputs()
        dzx, dzh = self._backward()
        np.dot(dzx.T, self.xs, out=self.dW_xh)
        np.dot(dzh.T, self.before, out=self.dW_hh)
        return loss, self.dW_xh, self.dW_hh, self.dW_hy

    def _project(self) -> None:
        np.dot(self.xs, self.W_xh_T, out=self.zx)
        np.copyto(self.W_hh_T, self.problem.W_hh.T)  # each step: training changes W_hh

    def _forward(self) -> None:
        raise NotImplementedError

    def _backward(self) -> tuple[Array, Array]:
        """∂L/∂z for W_xh and for W_hh, (N, gates·H) each: times x, or h₋₁, they are gradients."""
        raise NotImplementedError

    def _outputs(self) -> float:
        """The loss of all timesteps, and back to each h."""
        ys, column, flat = self.ys, self.column, self.ys.reshape(-1)
        np.dot(self.after, self.W_hy_T, out=ys)
        np.max(ys, axis=1, keepdims=True, out=column)
        np.subtract(ys, column, out=ys)
        picked = flat[self.targets].sum()
        np.exp(ys, out=ys)
        np.sum(ys, axis=1, keepdims=True, out=column)
        loss = (np.log(column).sum() - picked) / self.N
        np.multiply(column, self.N, out=column)
        np.divide(ys, column, out=ys)
        flat[self.targets] -= 1 / self.N
        np.dot(ys.T, self.after, out=self.dW_hy)
        np.dot(ys, self.problem.W_hy, out=self.dhs)
        return loss


class TimeBatchedRNN(TimeBatched):
    """h_t = tanh(W_xh x_t + W_hh h_{t-1})."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.slopes, self.dz = self._new(self.N, self.H), self._new(self.N, self.H)
        self.forward = list(zip(self.hs[:-1], self._steps(self.zx), self.hs[1:], strict=True))
        dhs, slopes, dzs = self._steps(self.dhs), self._steps(self.slopes), self._steps(self.dz)
        self.last = dhs[-1], slopes[-1], dzs[-1]
        self.backward = list(zip(dzs[1:], dhs, slopes, dzs, strict=False))[::-1]

    def _forward(self) -> None:
        dot, add, tanh, W = np.dot, np.add, np.tanh, self.W_hh_T
        for before, zx, h in self.forward:
            dot(before, W, out=h)
            add(h, zx, out=h)
            tanh(h, out=h)

    def _backward(self) -> tuple[Array, Array]:
        dot, add, multiply = np.dot, np.add, np.multiply
        W, carried = self.problem.W_hh, self.carried
        multiply(self.after, self.after, out=self.slopes)
        np.subtract(1, self.slopes, out=self.slopes)
        dh, slope, dz = self.last
        multiply(dh, slope, out=dz)
        for later, dh, slope, dz in self.backward:
            dot(later, W, out=carried)
            add(dh, carried, out=dh)
            multiply(dh, slope, out=dz)
        return self.dz, self.dz
