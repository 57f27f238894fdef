"""Recurrent cells, and the layers that are a plain loop over a cell.

Layers and timesteps count from 0. A state has the shape torch.nn gives it: (layers, B, H), or (layers, H) unbatched.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Tensor
from ..errors import OpError
from .init import RandomState, uniform
from .module import Module, Parameter

NONLINEARITIES = {"tanh": ops.tanh, "relu": ops.relu}


class Cell(Module):
    """One step of a recurrent network: the copy that time makes many of.

    Parameters: W_xh (gates·H, I), W_hh (gates·H, H) and, with bias, b_h (gates·H), from U(±1/√H) as torch's.
    """

    gates: ClassVar[int] = 1
    states: ClassVar[tuple[str, ...]] = ("h",)  # what one copy passes to the next

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int | np.integer) or size < 1:
                raise OpError(f"{type(self).__name__}: {what} must be a positive integer, got {size!r}")
        generator = np.random.default_rng(rng)
        self.input_size, self.hidden_size = int(input_size), int(hidden_size)
        rows = self.gates * self.hidden_size
        self.W_xh = uniform(generator, (rows, self.input_size), self.hidden_size, dtype)
        self.W_hh = uniform(generator, (rows, self.hidden_size), self.hidden_size, dtype)
        self.b_h = uniform(generator, (rows,), self.hidden_size, dtype) if bias else None

    @property
    def equation(self) -> str:
        """One step, as diagrams print it."""
        raise NotImplementedError

    def initial_state(self, batch: tuple[int, ...]) -> Any:
        """Zeros, for a batch of shape (B,) or ()."""
        zeros = [Tensor(np.zeros((*batch, self.hidden_size), self.W_hh.dtype)) for _ in self.states]
        return zeros[0] if len(zeros) == 1 else tuple(zeros)


class RNNCell(Cell):
    """Elman's cell: h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h).

    x (B, I) or (I,), h (B, H) or (H,), zeros when left out. `nonlinearity` is "tanh" or "relu".

    Source: J. L. Elman, Finding Structure in Time, Cognitive Science 14 (1990).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise OpError(f'RNNCell: the nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, **options)
        self.nonlinearity = nonlinearity

    @property
    def equation(self) -> str:
        return f"hₜ = {self.nonlinearity}(W_xh xₜ + W_hh hₜ₋₁{' + b_h' if self.b_h is not None else ''})"

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        if h is None:
            h = self.initial_state(x.shape[:-1])
        z = ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh)
        return NONLINEARITIES[self.nonlinearity](z if self.b_h is None else z + self.b_h)


class Recurrent(Module):
    """A stack of layers, each a loop over its cell: `ys, state = layer(xs, state=None)`.

    Args:
        input_size: I, features of each x_t.
        hidden_size: H, features of each h_t.
        output_size: O; when given, y_t = W_hy h_t + b_y of the last layer, else y_t = h_t.
        num_layers: layers, each fed the h_t of the one below.
        bias: whether cells and outputs add a bias.
        batch_first: xs is (B, T, I) and ys (B, T, O), not (T, B, ·).
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values.

    xs is (T, B, I) or (T, I). ys is (T, B, O) or (T, O). A state is (layers, B, H) or (layers, H).

    The cells hold the parameters; here they are named as in the cell for layer 0 (`W_hh`), and with `_l1`, `_l2` …
    behind for the layers above. `W_hy` and `b_y` exist once.
    """

    cell_type: ClassVar[type[Cell]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_size: int | None = None,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Any = np.float64,
        rng: RandomState = None,
        **cell_options: Any,
    ) -> None:
        if not isinstance(num_layers, int) or num_layers < 1:
            raise OpError(f"{type(self).__name__}: num_layers must be a positive integer, got {num_layers!r}")
        generator = np.random.default_rng(rng)
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        make = self.cell_type
        self.cells = [
            make(n, hidden_size, bias=bias, dtype=dtype, rng=generator, **cell_options) for n in sizes
        ]
        self.batch_first = batch_first
        self.W_hy = self.b_y = None
        if output_size is not None:
            self.W_hy = uniform(generator, (output_size, hidden_size), hidden_size, dtype)
            self.b_y = uniform(generator, (output_size,), hidden_size, dtype) if bias else None

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        dot = f"{prefix}." if prefix else ""
        for k, cell in enumerate(self.cells):
            for name, parameter in cell.named_parameters():
                yield f"{dot}{name}{f'_l{k}' if k else ''}", parameter
        for name, parameter in (("W_hy", self.W_hy), ("b_y", self.b_y)):
            if parameter is not None:
                yield dot + name, parameter

    def __getattr__(self, name: str) -> Parameter:
        for own, parameter in self.named_parameters() if "cells" in vars(self) else ():
            if own == name:
                return parameter
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def forward(self, xs: Any, state: Any = None) -> tuple[Tensor, Any]:
        xs = xs if isinstance(xs, Tensor) else Tensor(xs)
        self._check(xs)
        time_axis = 1 if self.batch_first and xs.ndim == 3 else 0
        steps = ops.unstack(xs, time_axis)
        states = self._split(state, xs.shape[1 - time_axis : -1] if xs.ndim == 3 else ())
        ys = []
        for x in steps:
            for k, cell in enumerate(self.cells):
                states[k] = cell(x, states[k])
                x = states[k][0] if isinstance(states[k], tuple) else states[k]
            ys.append(self._output(x))
        return ops.stack(ys, time_axis), self._join(states)

    def _output(self, h: Tensor) -> Tensor:
        if self.W_hy is None:
            return h
        y = ops.linear(h, self.W_hy)
        return y if self.b_y is None else y + self.b_y

    def _check(self, xs: Tensor) -> None:
        name, size = type(self).__name__, self.cells[0].input_size
        layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
        if xs.ndim not in (2, 3) or xs.shape[-1] != size:
            raise OpError(f"{name}: xs must be {layout} or (T, I) with I = {size}, got shape {xs.shape}")
        if xs.shape[1 if self.batch_first and xs.ndim == 3 else 0] == 0:
            raise OpError(f"{name}: xs of shape {xs.shape} has no timesteps; there must be one at least")

    def _split(self, state: Any, batch: tuple[int, ...]) -> list[Any]:
        """The initial state of each layer: zeros, or the rows of what the caller gave."""
        if state is None:
            return [cell.initial_state(batch) for cell in self.cells]
        parts = state if isinstance(state, tuple) else (state,)
        expected = (len(self.cells), *batch, self.cells[0].hidden_size)
        if len(parts) != len(self.cell_type.states) or any(np.shape(part) != expected for part in parts):
            wanted = ", ".join(self.cell_type.states)
            raise OpError(
                f"{type(self).__name__}: the state must be {wanted}, each of shape {expected}, "
                f"got {', '.join(str(np.shape(part)) for part in parts)}"
            )
        rows = [ops.unstack(part if isinstance(part, Tensor) else Tensor(part)) for part in parts]
        return rows[0] if len(rows) == 1 else list(zip(*rows, strict=True))

    def _join(self, states: Sequence[Any]) -> Any:
        if not isinstance(states[0], tuple):
            return ops.stack(states)
        return tuple(ops.stack(parts) for parts in zip(*states, strict=True))


class RNN(Recurrent):
    """Elman's network: h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h), y_t = W_hy h_t + b_y.

    Arguments and shapes are those of `Recurrent`, and `nonlinearity`: "tanh" or "relu".
    """

    cell_type = RNNCell
