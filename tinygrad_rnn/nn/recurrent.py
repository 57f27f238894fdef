"""Recurrent cells, and the layers that are a plain loop over their cells.

Layers and timesteps count from 0. A state has the shape torch.nn gives it: (cells, B, H), or
(cells, H) unbatched, with one cell a layer and direction.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from ..errors import OpError
from . import torch_names
from .init import RandomState, by_fan
from .layers import drop
from .module import Module, Parameter

NONLINEARITIES = {"tanh": ops.tanh, "relu": ops.relu}


class Cell(Module):
    """One step of a recurrent network: the copy that time makes many of. Subclasses write `step`.

    Parameters: W_xh (gates·H, I), W_hh (gates·H, H) and, with bias, b_h (gates·H), from U(±1/√H) as
        torch's. The
    gates' matrices stand on top of each other.
    """

    gates: int = 1
    states: ClassVar[tuple[str, ...]] = ("h",)  # what one copy passes to the next
    step: Callable[..., tuple[Tensor, ...]]  # the new states, from x and each of the old ones

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        name = type(self).__name__
        self.input_size = positive(name, "input_size", input_size)
        self.hidden_size = positive(name, "hidden_size", hidden_size)
        self.bias = bool(bias)
        generator = np.random.default_rng(rng)
        rows = self.gates * self.hidden_size
        self.W_xh = by_fan(generator, (rows, self.input_size), self.hidden_size, dtype)
        self.W_hh = by_fan(generator, (rows, self.hidden_size), self.hidden_size, dtype)
        self.b_h = by_fan(generator, (rows,), self.hidden_size, dtype) if bias else None

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "bias": self.bias,
            "dtype": str(self.W_hh.dtype),
            **self.variant,
        }

    @property
    def variant(self) -> dict[str, Any]:
        """The options that only this kind of cell has."""
        return {}

    @property
    def equation(self) -> str | None:
        """One step, as diagrams print it; None when the cell does not say."""
        return None

    def forward(self, x: Any, state: Any = None, alive: Array | None = None) -> Any:
        """One step.

        Args:
            x: (B, I) or (I,).
            state: as this returns it; zeros when left out.
            alive: (B,) booleans; where False the state stays what it was.

        Returns:
            h, or (h, c) for an LSTM, each (B, H) or (H,).

        Raises:
            OpError: another shape.
        """
        x = x if isinstance(x, Tensor) else Tensor(x)
        old = self._checked(x, self.initial_state(x.shape[:-1]) if state is None else state)
        new = self.step(x, *old)
        if alive is not None:
            column = alive[:, None]
            new = tuple(ops.where(column, *pair) for pair in zip(new, old, strict=True))
        return state_of(new)

    def initial_state(self, batch: tuple[int, ...]) -> Any:
        """Zeros, for a batch of shape (B,) or ()."""
        zeros = [Tensor(np.zeros((*batch, self.hidden_size), self.W_hh.dtype)) for _ in self.states]
        return state_of(zeros)

    def load_torch_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the parameters of a cell of torch.nn: see `Recurrent.load_torch_state_dict`."""
        torch_names.load(type(self).__name__, [("", self)], state)

    def to_torch_state_dict(self) -> dict[str, Array]:
        """The parameters for a cell of torch.nn: see `Recurrent.to_torch_state_dict`."""
        return torch_names.export(type(self).__name__, [("", self)])

    def _checked(self, x: Tensor, state: Any) -> tuple[Tensor, ...]:
        size, shape, parts = self.input_size, x.shape, state_parts(state)
        expected = (*shape[:-1], self.hidden_size)
        if len(shape) not in (1, 2) or shape[-1] != size:
            raise OpError(
                f"{type(self).__name__}: x must be (B, I) or (I,) with I = {size}, got shape {shape}"
            )
        if [part.shape for part in parts] != [expected] * len(self.states):
            raise OpError(
                f"{type(self).__name__}: for x of shape {shape} the state must be {', '.join(self.states)}, each of "
                f"shape {expected}, got {', '.join(str(part.shape) for part in parts)}"
            )
        return parts

    def _gates(self, z: Tensor) -> list[Tensor]:
        """The parts of (…, gates·H) that belong to each gate."""
        size = self.hidden_size
        return [z[..., k * size : (k + 1) * size] for k in range(z.shape[-1] // size)]


class RNNCell(Cell):
    """Elman's cell: h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h).

    `h = cell(x, h)`: x (B, I) or (I,), h (B, H) or (H,), zeros when left out. `nonlinearity` is
    "tanh" or "relu".

    Source: J. L. Elman, Finding Structure in Time, Cognitive Science 14 (1990).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise OpError(
                f'RNNCell: the nonlinearity must be "tanh" or "relu", got {nonlinearity!r}'
            )
        super().__init__(input_size, hidden_size, **options)
        self.nonlinearity = nonlinearity

    @property
    def variant(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}

    @property
    def equation(self) -> str:
        return f"hₜ = {self.nonlinearity}(W_xh xₜ + W_hh hₜ₋₁{' + b_h' if self.bias else ''})"

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        z = plus(ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh), self.b_h)
        return (NONLINEARITIES[self.nonlinearity](z),)


class LSTMCell(Cell):
    """Long short-term memory: the gates i, f, o decide what the memory c takes in, keeps and shows.

        i, f, g, o = W_xh x_t + W_hh h_{t-1} + b_h        (stacked: 4H)
        c_t = σ(f) ⊙ c_{t-1} + σ(i) ⊙ tanh(g)
        h_t = σ(o) ⊙ tanh(c_t)

    `h, c = cell(x, (h, c))`.

    Args:
        input_size: I.
        hidden_size: H.
        peephole: the gates also see the memory: w_c ⊙ c_{t-1} is added to i and f, w_c ⊙ c_t to o.
            w_c is (3H), in the order i, f, o.
        coupled: what is forgotten makes room for what comes in, i = 1 - f. The gates are f, g, o
            (3H), and w_c is (2H), in the order f, o.
        forget_bias: added to the first values of the forget gate's bias; 1.0 makes a network
            remember from the start.
        options: bias, dtype, rng, as every cell's.

    Source: Hochreiter, Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997); Gers,
        Schmidhuber,
    Recurrent Nets that Time and Count (2000) for peepholes; Greff et al., LSTM: A Search Space
    Odyssey (2017) for coupled gates; Jozefowicz et al., An Empirical Exploration of Recurrent
    Network Architectures (2015) for the bias.
    """

    states = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        peephole: bool = False,
        coupled: bool = False,
        forget_bias: float = 0.0,
        bias: bool = True,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        if forget_bias and not bias:
            raise OpError(f"LSTMCell: forget_bias={forget_bias} needs bias=True")
        generator = np.random.default_rng(rng)
        self.peephole, self.coupled = bool(peephole), bool(coupled)
        self.gates = 3 if coupled else 4
        super().__init__(input_size, hidden_size, bias=bias, dtype=dtype, rng=generator)
        size = self.hidden_size
        self.w_c = by_fan(generator, ((self.gates - 1) * size,), size, dtype) if peephole else None
        if self.b_h is not None and forget_bias:
            forget = slice(0, size) if coupled else slice(size, 2 * size)
            first = np.array(self.b_h.data)
            first[forget] += forget_bias
            self.b_h.data = first

    @property
    def variant(self) -> dict[str, Any]:
        return {"peephole": self.peephole, "coupled": self.coupled}

    @property
    def equation(self) -> str:
        take = "(1 - fₜ)" if self.coupled else "iₜ"
        return f"cₜ = fₜ ⊙ cₜ₋₁ + {take} ⊙ gₜ\nhₜ = oₜ ⊙ tanh(cₜ)"

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        z = self._gates(plus(ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh), self.b_h))
        i, f, g, o = [None, *z] if self.coupled else z
        *w_i, w_f, w_o = self._gates(self.w_c) if self.w_c is not None else (None, None, None)
        f = ops.sigmoid(look(f, w_f, c))
        i = 1.0 - f if i is None else ops.sigmoid(look(i, w_i[0], c))
        c = f * c + i * ops.tanh(g)
        return ops.sigmoid(look(o, w_o, c)) * ops.tanh(c), c


class GRUCell(Cell):
    """Gated recurrent unit: r decides what of the past the proposal n sees, z how much of the past is kept.

        r, z = σ(W_x x_t + b_x + W_h h_{t-1} + b_h)            (W_xh and W_hh hold r, z, n stacked: 3H)
        n = tanh(W_xn x_t + b_xn + r ⊙ (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    `h = cell(x, h)`. With `reset_after=False` the gate comes before the matrix, as in the first
    paper: n = tanh(W_xn x_t + W_hn (r ⊙ h_{t-1}) + b_hn), and one bias b_h is enough.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014).
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset_after: bool = True,
        bias: bool = True,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        generator = np.random.default_rng(rng)
        super().__init__(input_size, hidden_size, bias=bias, dtype=dtype, rng=generator)
        self.reset_after = bool(reset_after)
        size = self.hidden_size
        self.b_x = by_fan(generator, (3 * size,), size, dtype) if bias and reset_after else None

    @property
    def variant(self) -> dict[str, Any]:
        return {"reset_after": self.reset_after}

    @property
    def equation(self) -> str:
        past = "rₜ ⊙ (W_hn hₜ₋₁)" if self.reset_after else "W_hn (rₜ ⊙ hₜ₋₁)"
        return f"nₜ = tanh(W_xn xₜ + {past})\nhₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁"

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        z, n = self._reset_after(x, h) if self.reset_after else self._reset_before(x, h)
        return ((1.0 - z) * n + z * h,)

    def _reset_after(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        x_r, x_z, x_n = self._gates(plus(ops.linear(x, self.W_xh), self.b_x))
        h_r, h_z, h_n = self._gates(plus(ops.linear(h, self.W_hh), self.b_h))
        r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
        return z, ops.tanh(x_n + r * h_n)

    def _reset_before(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        W_rz, W_n = self.W_hh[: 2 * self.hidden_size], self.W_hh[2 * self.hidden_size :]
        x_r, x_z, x_n = self._gates(plus(ops.linear(x, self.W_xh), self.b_h))
        h_r, h_z = self._gates(ops.linear(h, W_rz))
        r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
        return z, ops.tanh(x_n + ops.linear(r * h, W_n))


class Recurrent(Module):
    """A stack of layers, each a loop over its cell: `ys, state = layer(xs, state=None, lengths=None)`.

    Args:
        input_size: I, features of each x_t.
        hidden_size: H, features of each h_t.
        output_size: O; when given, y_t = W_hy h_t + b_y of the last layer, else y_t = h_t.
        num_layers: layers, each fed the h_t of the one below.
        bias: whether cells and outputs add a bias.
        batch_first: xs is (B, T, I) and ys (B, T, O), not (T, B, ·).
        bidirectional: each layer has a second cell that reads from the end to the beginning; what
            the layer above, or the output, sees is both h_t side by side (2H).
        dropout: in training, the share of each layer's h_t that the layer above does not get to
            see.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values and for dropout.

    The cells hold the parameters; here they are named as in the cell for layer 0 (`W_hh`), with
    `_l1`, `_l2` … behind for the layers above, and `_reverse` for the other direction:
    `W_hh_l1_reverse`. `W_hy` (O, H · directions) and `b_y` (O) exist once.
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
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: Any = np.float64,
        rng: RandomState = None,
        **variant: Any,
    ) -> None:
        name = type(self).__name__
        self.num_layers = positive(name, "num_layers", num_layers)
        if not 0 <= dropout < 1:
            raise OpError(f"{name}: dropout must be at least 0 and below 1, got {dropout}")
        self.batch_first, self.bidirectional = bool(batch_first), bool(bidirectional)
        self.dropout = float(dropout)
        self.rng = np.random.default_rng(rng)
        width = hidden_size * self.directions
        self.cells = [
            self.cell_type(size, hidden_size, bias=bias, dtype=dtype, rng=self.rng, **variant)
            for size in [input_size] + [width] * (self.num_layers - 1)
            for _ in range(self.directions)
        ]
        self.W_hy = self.b_y = None
        if output_size is not None:
            outputs = positive(name, "output_size", output_size)
            self.W_hy = by_fan(self.rng, (outputs, width), hidden_size, dtype)
            self.b_y = by_fan(self.rng, (outputs,), hidden_size, dtype) if bias else None

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        return {
            **self.cells[0].config,
            "output_size": None if self.W_hy is None else self.W_hy.shape[0],
            "num_layers": self.num_layers,
            "batch_first": self.batch_first,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
        }

    def _suffixed(self) -> Iterator[tuple[str, Cell]]:
        """Each cell, with what follows its parameters' names: nothing, "_reverse", "_l1", "_l1_reverse" and so on."""
        for i, cell in enumerate(self.cells):
            layer, direction = divmod(i, self.directions)
            yield f"{f'_l{layer}' if layer else ''}{'_reverse' if direction else ''}", cell

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        dot = f"{prefix}." if prefix else ""
        for suffix, cell in self._suffixed():
            for name, parameter in cell.named_parameters():
                yield f"{dot}{name}{suffix}", parameter
        for name, parameter in (("W_hy", self.W_hy), ("b_y", self.b_y)):
            if parameter is not None:
                yield dot + name, parameter

    def __getattr__(self, name: str) -> Parameter:
        for own, parameter in self.named_parameters() if "cells" in vars(self) else ():
            if own == name:
                return parameter
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def forward(self, xs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """Read whole sequences.

        Args:
            xs: (T, B, I), or (B, T, I) with batch_first, or (T, I).
            state: as this returns it; zeros when left out.
            lengths: (B,) integers in 0..T, when the sequences of a batch are not equally long:
                beyond its length a sequence's state stays as it is, its y_t is 0, and the reverse
                direction begins at its last step.

        Returns:
            ys, shaped as xs with O, or H · directions, in place of I; and the state after the last
            step: h, or (h, c) for an LSTM, each (layers · directions, B, H) or (layers ·
                directions, H).

        Raises:
            OpError: another shape, or lengths that are no such integers.
        """
        xs = xs if isinstance(xs, Tensor) else Tensor(xs)
        time_axis = self._check(xs)
        batch = (xs.shape[1 - time_axis],) if xs.ndim == 3 else ()
        alive = self._alive(lengths, xs.shape[time_axis], batch)
        states = self._split(state, batch)
        loop = self._both_ways if self.bidirectional else self._one_way
        ys = loop(ops.unstack(xs, time_axis), states, alive)
        return ops.stack(ys, time_axis), self._join(states)

    def _one_way(
        self, xs: Sequence[Tensor], states: list[Any], alive: Sequence[Array | None]
    ) -> list[Tensor]:
        """Step by step, as one would debug it: all layers at one timestep, then at the next; `states` move on."""
        ys: list[Tensor] = []
        for x, living in zip(xs, alive, strict=True):
            for k, cell in enumerate(self.cells):
                states[k] = state = cell(x, states[k], living)
                x = self._upward(k, state if isinstance(state, Tensor) else state[0], living)
            ys.append(x)
        return ys

    def _both_ways(
        self, xs: Sequence[Tensor], states: list[Any], alive: Sequence[Array | None]
    ) -> list[Tensor]:
        """Layer by layer, since each needs the whole of the layer below; `states` move on."""
        steps = range(len(xs))
        for k in range(self.num_layers):
            shown: list[list[Tensor]] = [[] for _ in steps]
            for i, order in ((2 * k, steps), (2 * k + 1, reversed(steps))):
                for t in order:
                    states[i] = self.cells[i](xs[t], states[i], alive[t])
                    shown[t].append(state_parts(states[i])[0])
            xs = [self._upward(k, ops.concatenate(hs, -1), alive[t]) for t, hs in enumerate(shown)]
        return list(xs)

    def _upward(self, k: int, y: Tensor, alive: Array | None) -> Tensor:
        """What layer k shows of its h_t: on top y_t; below the same, thinned by dropout."""
        if k < self.num_layers - 1:
            return drop(y, self.dropout, self.rng) if self.training else y
        if self.W_hy is not None:
            y = plus(ops.linear(y, self.W_hy), self.b_y)
        return y if alive is None else ops.where(alive[:, None], y, np.zeros((), y.dtype))

    def _check(self, xs: Tensor) -> int:
        """Which axis of xs is time."""
        name, size = type(self).__name__, self.cells[0].input_size
        layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
        if xs.ndim not in (2, 3) or xs.shape[-1] != size:
            raise OpError(
                f"{name}: xs must be {layout} or (T, I) with I = {size}, got shape {xs.shape}"
            )
        axis = 1 if self.batch_first and xs.ndim == 3 else 0
        if xs.shape[axis] == 0:
            raise OpError(
                f"{name}: xs of shape {xs.shape} has no timesteps; there must be one at least"
            )
        return axis

    def _alive(self, lengths: Any, steps: int, batch: tuple[int, ...]) -> list[Array | None]:
        """For each step, which sequences are not over yet; None: all of them."""
        if lengths is None:
            return [None] * steps
        given = np.asarray(lengths)
        if given.shape != batch or not batch or given.dtype.kind not in "iu":
            raise OpError(
                f"{type(self).__name__}: lengths must be one integer for each sequence of a batch, shape "
                f"{batch or '(B,)'}, got {given.dtype} of shape {given.shape}"
            )
        if given.size and not (given.min() >= 0 and given.max() <= steps):
            raise OpError(
                f"{type(self).__name__}: lengths must be in 0..{steps}, got {given.min()}..{given.max()}"
            )
        return [None if (t < given).all() else t < given for t in range(steps)]

    def _split(self, state: Any, batch: tuple[int, ...]) -> list[Any]:
        """The initial state of each cell: zeros, or the rows of what the caller gave."""
        if state is None:
            return [cell.initial_state(batch) for cell in self.cells]
        parts = state_parts(state)
        expected = (len(self.cells), *batch, self.cells[0].hidden_size)
        if len(parts) != len(self.cell_type.states) or any(
            part.shape != expected for part in parts
        ):
            raise OpError(
                f"{type(self).__name__}: the state must be {', '.join(self.cell_type.states)}, each of shape "
                f"{expected}, got {', '.join(str(part.shape) for part in parts)}"
            )
        rows = [ops.unstack(part) for part in parts]
        return [state_of(parts) for parts in zip(*rows, strict=True)]

    def _join(self, states: Sequence[Any]) -> Any:
        return state_of([ops.stack(parts) for parts in zip(*map(state_parts, states), strict=True)])

    def load_torch_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the parameters of the torch.nn layer of the same name; nothing is changed unless all of it fits.

        Args:
            state: torch's names (`weight_ih_l0` …) to arrays: the layer's `state_dict()`, or what
                was saved of it.

        b_h becomes bias_ih + bias_hh, which is all that torch ever uses of them; a GRU keeps b_x
        and b_h apart.

        Raises:
            StateDictError: a name is missing or unknown, a shape differs, or torch has no such
                variant.
        """
        torch_names.load(*self._for_torch(), state)

    def to_torch_state_dict(self) -> dict[str, Array]:
        """The parameters under torch's names: bias_ih is b_h and bias_hh is 0, since torch adds them anyway.

        Raises:
            StateDictError: torch has no such variant: output_size, peephole, coupled,
                reset_after=False.
        """
        return torch_names.export(*self._for_torch())

    def _for_torch(self) -> tuple[str, list[tuple[str, Cell]]]:
        name = type(self).__name__
        if self.W_hy is not None:
            raise torch_names.unknown_to_torch(
                name, "output_size: use a Linear layer for W_hy and b_y"
            )
        return name, [
            (suffix if "_l" in suffix else f"_l0{suffix}", cell)
            for suffix, cell in self._suffixed()
        ]


class RNN(Recurrent):
    """Elman's network: h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h), y_t = W_hy h_t + b_y.

    Arguments and shapes are those of `Recurrent`, and `nonlinearity`: "tanh" or "relu".
    """

    cell_type = RNNCell


class LSTM(Recurrent):
    """Long short-term memory: see `LSTMCell` for its equations, `Recurrent` for arguments and shapes.

    Also `peephole`, `coupled` and `forget_bias`, as the cell's. The state is (h, c).
    """

    cell_type = LSTMCell


class GRU(Recurrent):
    """Gated recurrent units: see `GRUCell` for its equations, `Recurrent` for arguments and shapes.

    Also `reset_after`, as the cell's.
    """

    cell_type = GRUCell


def detach(state: Any) -> Any:
    """A state through which no gradient flows back: what truncated backpropagation carries to the next piece.

    h gives h, (h, c) gives (h, c), None gives None.
    """
    return (
        tuple(map(detach, state))
        if isinstance(state, tuple)
        else None
        if state is None
        else state.detach()
    )


def state_parts(state: Any) -> tuple[Tensor, ...]:
    """The tensors of a state: (h,) or (h, c)."""
    if isinstance(state, Tensor):
        return (state,)
    parts = state if isinstance(state, tuple | list) else (state,)
    return tuple([part if isinstance(part, Tensor) else Tensor(part) for part in parts])


def state_of(parts: Sequence[Tensor]) -> Any:
    """The state that its tensors make: h, or (h, c)."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def plus(x: Tensor, bias: Tensor | None) -> Tensor:
    """The sum, where there is a bias."""
    return x if bias is None else x + bias


def look(z: Tensor, w: Tensor | None, c: Tensor) -> Tensor:
    """A gate's input, with a peephole on the memory when it has one."""
    return z if w is None else z + w * c


def positive(name: str, what: str, size: Any) -> int:
    """The size as an int; OpError when it is none, or less than 1."""
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise OpError(f"{name}: {what} must be a positive integer, got {size!r}")
    return int(size)
