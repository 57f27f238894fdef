"""Recurrent layers: each a plain loop over its cells.

Layers and timesteps count from 0. A state has the shape torch.nn gives it: (cells, B, H), or
(cells, H) unbatched, with one cell a layer and direction.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from ..errors import OpError
from .arguments import fraction, positive, switch
from .cells import Cell, GRUCell, LSTMCell, RNNCell, plus, state_of, state_parts, unusual
from .init import RandomState, by_fan
from .layers import drop
from .module import Parameter
from .torch_names import Table, TorchNamed, unknown_to_torch


class Recurrent(TorchNamed):
    """A stack of layers, each a loop over its cell: what `RNN`, `LSTM` and `GRU` have in common.

    `ys, state = layer(xs, state=None, lengths=None)`. A layer of your own needs no more than its
    `cell_type`; `variant` is what its cells take beside the arguments that every cell has.

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
        self.cells: list[Cell] = []  # the first attribute: each call of a cell looks here for it
        self.num_layers = positive(name, "num_layers", num_layers)
        self.batch_first = switch(name, "batch_first", batch_first)
        self.bidirectional = switch(name, "bidirectional", bidirectional)
        self.dropout = fraction(name, "dropout", dropout)
        self.rng = np.random.default_rng(rng)
        cell = self.cell_type.__name__
        hidden_size = positive(cell, "hidden_size", hidden_size)
        input_size = positive(cell, "input_size", input_size)
        width = hidden_size * self.directions
        self.cells += [
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
        """Each cell, with what follows its parameters' names: "", "_reverse", "_l1" and so on."""
        for i, cell in enumerate(self.cells):
            layer, direction = divmod(i, self.directions)
            suffix = f"_l{layer}" if layer else ""
            yield suffix + "_reverse" * direction, cell

    def _named_members(self) -> Iterator[tuple[str, Any]]:
        for suffix, cell in self._suffixed():
            for name, part in cell._walk("", set()):
                yield name + suffix, part
        for name, part in self._members():
            if not name.startswith("cells."):
                yield name, part

    def extra_repr(self) -> str:
        return unusual(self.config, type(self))

    def __getattr__(self, name: str) -> Parameter:
        if "cells" in vars(self):
            for own, parameter in self._named_members():
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
            OpError: another shape, or lengths that are not integers in 0..T.
        """
        if not isinstance(xs, Tensor):
            xs = Tensor(xs)
        time_axis = self._check(xs)
        batch = (xs.shape[1 - time_axis],) if xs.ndim == 3 else ()
        alive: Sequence[Array | None] = [None] * xs.shape[time_axis]
        if lengths is not None:
            living = self._living(lengths, xs.shape[time_axis], batch)
            alive = [None if row.all() else row for row in living]
            xs = self._without_padding(xs, living)
        states = self._split(state, batch)
        loop = self._both_ways if self.bidirectional else self._one_way
        ys = loop(ops.unstack(xs, time_axis), states, alive)
        return ops.stack(ys, time_axis), self._join(states)

    def _without_padding(self, xs: Tensor, living: Array) -> Tensor:
        """xs with 0 in the padding: a NaN there would survive a product with 0."""
        if living.all():
            return xs
        alive = (living.T if self.batch_first else living)[..., None]
        return ops.where(alive, xs, np.zeros((), xs.dtype))

    def _one_way(
        self, xs: Sequence[Tensor], states: list[Any], alive: Sequence[Array | None]
    ) -> list[Tensor]:
        """All layers at one timestep, then at the next; `states` become the new ones."""
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
        """Layer by layer, as each reads all of the one below; `states` become the new ones."""
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
            expected = f"{layout} or (T, I) with I = {size}"
            raise OpError(f"{name}: xs must be {expected}, got shape {xs.shape}")
        axis = 1 if self.batch_first and xs.ndim == 3 else 0
        if xs.shape[axis] == 0:
            raise OpError(
                f"{name}: xs of shape {xs.shape} has no timesteps; there must be one at least"
            )
        return axis

    def _living(self, lengths: Any, steps: int, batch: tuple[int, ...]) -> Array:
        """For each step, which sequences are not over yet."""
        name, given = type(self).__name__, np.asarray(lengths)
        if given.shape != batch or not batch or given.dtype.kind not in "iu":
            raise OpError(
                f"{name}: lengths must be one integer for each sequence of a batch, "
                f"shape {batch or '(B,)'}, got {given.dtype} of shape {given.shape}"
            )
        if given.size and not (given.min() >= 0 and given.max() <= steps):
            found = f"{given.min()}..{given.max()}"
            raise OpError(f"{name}: lengths must be in 0..{steps}, got {found}")
        return np.arange(steps)[:, None] < given

    def _split(self, state: Any, batch: tuple[int, ...]) -> list[Any]:
        """The initial state of each cell: zeros, or the rows of what the caller gave."""
        if state is None:
            return [cell.initial_state(batch) for cell in self.cells]
        parts, names = state_parts(state), self.cell_type.states
        expected = (len(self.cells), *batch, self.cells[0].hidden_size)
        if [part.shape for part in parts] != [expected] * len(names):
            got = ", ".join(str(part.shape) for part in parts)
            raise OpError(
                f"{type(self).__name__}: the state must be {', '.join(names)}, "
                f"each of shape {expected}, got {got}"
            )
        rows = [ops.unstack(part) for part in parts]
        return [state_of(parts) for parts in zip(*rows, strict=True)]

    def _join(self, states: Sequence[Any]) -> Any:
        return state_of([ops.stack(parts) for parts in zip(*map(state_parts, states), strict=True)])

    def torch_table(self, owner: str) -> Table:
        if self.W_hy is not None:
            raise unknown_to_torch(owner, "output_size: use a Linear layer for W_hy and b_y")
        rows: list[tuple[Parameter, tuple[str, ...]]] = []
        for suffix, cell in self._suffixed():
            layer = "" if "_l" in suffix else "_l0"
            rows += cell.torch_table(owner, layer + suffix)
        return rows


class RNN(Recurrent):
    """Elman's network: h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h), y_t = W_hy h_t + b_y.

    `ys, state = layer(xs, state=None, lengths=None)`: see `forward` for the shapes.

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
        nonlinearity: "tanh" or "relu".
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values and for dropout.

    The parameters are named as in the cell for layer 0 (`W_hh`), with `_l1`, `_l2` … behind for the
    layers above, and `_reverse` for the other direction: `W_hh_l1_reverse`. `W_hy`
    (O, H · directions) and `b_y` (O) exist once.

    Source: J. L. Elman, Finding Structure in Time, Cognitive Science 14 (1990).
    """

    cell_type = RNNCell

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
        nonlinearity: str = "tanh",
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            output_size=output_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            bidirectional=bidirectional,
            dropout=dropout,
            nonlinearity=nonlinearity,
            dtype=dtype,
            rng=rng,
        )


class LSTM(Recurrent):
    """Long short-term memory, by the equations of `LSTMCell`. The state is (h, c).

    `ys, state = layer(xs, state=None, lengths=None)`: see `forward` for the shapes.

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
        peephole: the gates see the memory, too.
        coupled: the input gate is 1 - f.
        forget_bias: added to the first bias of the forget gate: 1 or more keeps it open at first.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values and for dropout.

    The parameters are named as in the cell for layer 0 (`W_hh`), with `_l1`, `_l2` … behind for the
    layers above, and `_reverse` for the other direction: `W_hh_l1_reverse`. `W_hy`
    (O, H · directions) and `b_y` (O) exist once.

    Source: Hochreiter, Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997).
    """

    cell_type = LSTMCell

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
        peephole: bool = False,
        coupled: bool = False,
        forget_bias: float = 0.0,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            output_size=output_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            bidirectional=bidirectional,
            dropout=dropout,
            peephole=peephole,
            coupled=coupled,
            forget_bias=forget_bias,
            dtype=dtype,
            rng=rng,
        )


class GRU(Recurrent):
    """Gated recurrent units, by the equations of `GRUCell`.

    `ys, state = layer(xs, state=None, lengths=None)`: see `forward` for the shapes.

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
        reset_after: the reset gate comes after the matrix W_hn, as in cuDNN; False: before it, as
            in the first paper.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values and for dropout.

    The parameters are named as in the cell for layer 0 (`W_hh`), with `_l1`, `_l2` … behind for the
    layers above, and `_reverse` for the other direction: `W_hh_l1_reverse`. `W_hy`
    (O, H · directions) and `b_y` (O) exist once.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014).
    """

    cell_type = GRUCell

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
        reset_after: bool = True,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            output_size=output_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            bidirectional=bidirectional,
            dropout=dropout,
            reset_after=reset_after,
            dtype=dtype,
            rng=rng,
        )


LAYERS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
"""Every layer by its short name: the one list of which cells there are."""
