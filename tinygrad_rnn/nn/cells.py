"""Recurrent cells: one step of a recurrent network, which is used again at every timestep.

A state is h, or (h, c) for an LSTM.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ..autograd import ops
from ..autograd.ops.parts import plain_part
from ..autograd.tensor import Array, Tensor
from ..errors import OpError
from .arguments import number, positive, switch
from .init import RandomState, by_fan
from .torch_names import Table, TorchNamed, table, unknown_to_torch

NONLINEARITIES = {"tanh": ops.tanh, "relu": ops.relu}


class Cell(TorchNamed):
    """One step of a recurrent network. Subclasses write `step`.

    Parameters: W_xh (gates·H, I), W_hh (gates·H, H) and, with bias, b_h (gates·H), from U(±1/√H)
    as torch's. The gates' matrices stand on top of each other.
    """

    # How many matrices W_xh and W_hh hold.
    gates: int = 1
    # What one copy passes to the next: h first, what carries the memory last.
    states: ClassVar[tuple[str, ...]] = ("h",)
    # The options of a variant that torch.nn has only with these values.
    torch_has: ClassVar[Mapping[str, Any]] = {}
    # The new states, from x and each of the old ones.
    step: Callable[..., tuple[Tensor, ...]]

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
        self.bias = switch(name, "bias", bias)
        generator = np.random.default_rng(rng)
        rows = self.gates * self.hidden_size
        self.W_xh = by_fan(generator, (rows, self.input_size), self.hidden_size, dtype)
        self.W_hh = by_fan(generator, (rows, self.hidden_size), self.hidden_size, dtype)
        self.b_h = by_fan(generator, (rows,), self.hidden_size, dtype) if self.bias else None

    @property
    def config(self) -> dict[str, Any]:
        """The arguments with which another cell like this one is made."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "bias": self.bias,
            "dtype": str(self.W_hh.dtype),
            **self.variant,
        }

    @property
    def variant(self) -> dict[str, Any]:
        """The options that this kind of cell has beside those of every cell."""
        return {}

    @property
    def equation(self) -> str | None:
        """One step, as diagrams print it; None when the cell does not say.

        W[n] is the part that belongs to the gate n of what is stacked.
        """
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
        if not isinstance(x, Tensor):
            x = Tensor(x)
        if state is None:
            state = self.initial_state(x.shape[:-1])
        old = self._checked(x, state)
        new = self.step(x, *old)
        if alive is None:
            return state_of(new)
        pairs, alive = zip(new, old, strict=True), alive[:, None]
        return state_of(tuple([ops.where(alive, *pair) for pair in pairs]))

    def initial_state(self, batch: tuple[int, ...]) -> Any:
        """Zeros, for a batch of shape (B,) or ()."""
        zeros = [Tensor(np.zeros((*batch, self.hidden_size), self.W_hh.dtype)) for _ in self.states]
        return state_of(zeros)

    def extra_repr(self) -> str:
        return unusual(self.config, type(self))

    def torch_table(self, owner: str, suffix: str = "") -> Table:
        for option, value in self.variant.items():
            if self.torch_has.get(option, value) != value:
                raise unknown_to_torch(owner, f"{option}={value}")
        return table(dict(self.named_parameters()), suffix)

    def _checked(self, x: Tensor, state: Any) -> tuple[Tensor, ...]:
        size, shape, parts = self.input_size, x.shape, state_parts(state)
        if len(shape) not in (1, 2) or shape[-1] != size:
            name = type(self).__name__
            raise OpError(f"{name}: x must be (B, I) or (I,) with I = {size}, got shape {shape}")
        expected = (*shape[:-1], self.hidden_size)
        if [part.shape for part in parts] != [expected] * len(self.states):
            got = ", ".join(str(part.shape) for part in parts)
            raise OpError(
                f"{type(self).__name__}: for x of shape {shape} the state must be "
                f"{', '.join(self.states)}, each of shape {expected}, got {got}"
            )
        return parts

    @property
    def _products(self) -> str:
        """What all gates read, stacked, as an equation writes it."""
        return f"W_xh xₜ + W_hh hₜ₋₁{' + b_h' if self.bias else ''}"

    def _gates(self, z: Tensor) -> list[Tensor]:
        """The parts of (…, gates·H) that belong to each gate."""
        return [plain_part(z, index) for index in _parts(z.shape[-1], self.hidden_size)]


class RNNCell(Cell):
    """Elman's cell: h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h).

    `h = cell(x, h)`: x (B, I) or (I,), h (B, H) or (H,), zeros when left out.

    Args:
        input_size: I, features of each x_t.
        hidden_size: H, features of each h_t.
        nonlinearity: "tanh" or "relu".
        bias: whether b_h is added.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values.

    Source: J. L. Elman, Finding Structure in Time, Cognitive Science 14 (1990).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise OpError(
                f'RNNCell: the nonlinearity must be "tanh" or "relu", got {nonlinearity!r}'
            )
        super().__init__(input_size, hidden_size, bias=bias, dtype=dtype, rng=rng)
        self.nonlinearity = nonlinearity

    @property
    def variant(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}

    @property
    def equation(self) -> str:
        return f"hₜ = {self.nonlinearity}({self._products})"

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        z = plus(ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh), self.b_h)
        return (NONLINEARITIES[self.nonlinearity](z),)


class LSTMCell(Cell):
    """Long short-term memory: gates i, f, o decide what the memory c takes in, keeps and shows.

        i, f, g, o = W_xh x_t + W_hh h_{t-1} + b_h        (stacked: 4H)
        c_t = σ(f) ⊙ c_{t-1} + σ(i) ⊙ tanh(g)
        h_t = σ(o) ⊙ tanh(c_t)

    `h, c = cell(x, (h, c))`.

    Args:
        input_size: I, features of each x_t.
        hidden_size: H, features of each h_t.
        peephole: the gates also see the memory: w_c ⊙ c_{t-1} is added to i and f, w_c ⊙ c_t to o.
            w_c is (3H), in the order i, f, o.
        coupled: what is forgotten makes room for what comes in, i = 1 - f. The gates are f, g, o
            (3H), and w_c is (2H), in the order f, o.
        forget_bias: added to the first values of the forget gate's bias; 1.0 makes a network
            remember from the start.
        bias: whether b_h is added.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values.

    Source: Hochreiter, Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997); Gers,
    Schmidhuber, Recurrent Nets that Time and Count (2000) for peepholes; Greff et al., LSTM: A
    Search Space Odyssey (2017) for coupled gates; Jozefowicz et al., An Empirical Exploration of
    Recurrent Network Architectures (2015) for the bias.
    """

    gates = 4
    states = ("h", "c")
    torch_has: ClassVar = {"peephole": False, "coupled": False}

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
        self.peephole = switch("LSTMCell", "peephole", peephole)
        self.coupled = switch("LSTMCell", "coupled", coupled)
        forget_bias = number("LSTMCell", "forget_bias", forget_bias)
        if forget_bias and not bias:
            raise OpError(f"LSTMCell: forget_bias={forget_bias} needs bias=True")
        generator = np.random.default_rng(rng)
        if self.coupled:
            self.gates = 3
        super().__init__(input_size, hidden_size, bias=bias, dtype=dtype, rng=generator)
        size = self.hidden_size
        self.w_c = (
            by_fan(generator, ((self.gates - 1) * size,), size, dtype) if self.peephole else None
        )
        if self.b_h is not None and forget_bias:
            forget = 0 if self.coupled else size
            first = np.array(self.b_h.data)
            first[forget : forget + size] += forget_bias
            self.b_h.data = first

    @property
    def variant(self) -> dict[str, Any]:
        return {"peephole": self.peephole, "coupled": self.coupled}

    @property
    def equation(self) -> str:
        z = f"zₜ = {self._products}"
        take = "(1 − fₜ)" if self.coupled else "iₜ"
        if self.peephole:
            gates = "f" if self.coupled else "if"
            looking = [f"{gate}ₜ = σ(zₜ[{gate}] + w_c[{gate}] ⊙ cₜ₋₁)" for gate in gates]
            c = f"cₜ = fₜ ⊙ cₜ₋₁ + {take} ⊙ tanh(zₜ[g])"
            return "\n".join((z, *looking, c, "hₜ = σ(zₜ[o] + w_c[o] ⊙ cₜ) ⊙ tanh(cₜ)"))
        gates = "iₜ, fₜ, gₜ, oₜ = (σ, σ, tanh, σ)(zₜ)"
        if self.coupled:
            gates = "fₜ, gₜ, oₜ = (σ, tanh, σ)(zₜ)"
        return f"{z}\n{gates}\ncₜ = fₜ ⊙ cₜ₋₁ + {take} ⊙ gₜ\nhₜ = oₜ ⊙ tanh(cₜ)"

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        z = self._gates(plus(ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh), self.b_h))
        return self._coupled(c, *z) if self.coupled else self._separate(c, *z)

    def _separate(
        self, c: Tensor, i: Tensor, f: Tensor, g: Tensor, o: Tensor
    ) -> tuple[Tensor, Tensor]:
        w_i, w_f, w_o = self._peepholes()
        f = ops.sigmoid(look(f, w_f, c))
        i = ops.sigmoid(look(i, w_i, c))
        g = ops.tanh(g)
        c = f * c + i * g
        o = ops.sigmoid(look(o, w_o, c))
        return o * ops.tanh(c), c

    def _coupled(self, c: Tensor, f: Tensor, g: Tensor, o: Tensor) -> tuple[Tensor, Tensor]:
        w_f, w_o = self._peepholes()
        f = ops.sigmoid(look(f, w_f, c))
        i = 1.0 - f
        g = ops.tanh(g)
        c = f * c + i * g
        o = ops.sigmoid(look(o, w_o, c))
        return o * ops.tanh(c), c

    def _peepholes(self) -> Sequence[Tensor | None]:
        """The part of w_c for each gate that may look at the memory."""
        return [None] * (self.gates - 1) if self.w_c is None else self._gates(self.w_c)


class GRUCell(Cell):
    """Gated recurrent unit: r decides what of the past the proposal n sees, z how much is kept.

        r, z = σ(W_x x_t + b_x + W_h h_{t-1} + b_h)        (r, z, n stacked: 3H)
        n = tanh(W_xn x_t + b_xn + r ⊙ (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    `h = cell(x, h)`: x (B, I) or (I,), h (B, H) or (H,), zeros when left out.

    Args:
        input_size: I, features of each x_t.
        hidden_size: H, features of each h_t.
        reset_after: False: the gate comes before the matrix, as in the first paper,
            n = tanh(W_xn x_t + W_hn (r ⊙ h_{t-1}) + b_hn), and one bias b_h is enough.
        bias: whether the biases are added.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014).
    """

    gates = 3
    torch_has: ClassVar = {"reset_after": True}

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
        self.reset_after = switch("GRUCell", "reset_after", reset_after)
        size, two = self.hidden_size, self.bias and self.reset_after
        self.b_x = by_fan(generator, (3 * size,), size, dtype) if two else None

    @property
    def variant(self) -> dict[str, Any]:
        return {"reset_after": self.reset_after}

    @property
    def equation(self) -> str:
        b_x, b_h = (" + b_x", " + b_h") if self.bias else ("", "")
        if self.reset_after:
            lines = (
                f"x_rₜ, x_zₜ, x_nₜ = W_xh xₜ{b_x}",
                f"h_rₜ, h_zₜ, h_nₜ = W_hh hₜ₋₁{b_h}",
                "rₜ, zₜ = σ(x_rₜ + h_rₜ), σ(x_zₜ + h_zₜ)",
                "nₜ = tanh(x_nₜ + rₜ ⊙ h_nₜ)",
            )
        else:
            lines = (
                f"x_rₜ, x_zₜ, x_nₜ = W_xh xₜ{b_h}",
                "rₜ = σ(x_rₜ + W_hh[r] hₜ₋₁)",
                "zₜ = σ(x_zₜ + W_hh[z] hₜ₋₁)",
                "nₜ = tanh(x_nₜ + W_hh[n] (rₜ ⊙ hₜ₋₁))",
            )
        return "\n".join((*lines, "hₜ = (1 − zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁"))

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


@cache
def _parts(length: int, size: int) -> list[Any]:
    """The indices of the parts of a last axis, each of this size."""
    return [(..., slice(first, first + size)) for first in range(0, length, size)]


def detach(state: Any) -> Any:
    """The state without its history: no gradient flows back through it.

    Truncated backpropagation through time hands this to the next stretch.

    h gives h, (h, c) gives (h, c), None gives None.
    """
    if state is None:
        return None
    if isinstance(state, tuple):
        return tuple(map(detach, state))
    return state.detach()


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
    """x + bias, or x where there is no bias."""
    return x if bias is None else x + bias


def unusual(config: Mapping[str, Any], kind: type) -> str:
    """What `print` shows of a cell or layer: its sizes, and options other than the defaults."""
    defaults: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        parameters = inspect.signature(base.__init__).parameters
        defaults |= {name: parameter.default for name, parameter in parameters.items()}
    defaults["dtype"] = "float64"
    others = dict(config)
    shown = [str(others.pop(name)) for name in ("input_size", "hidden_size")]
    for name, value in others.items():
        if value != defaults.get(name):
            shown.append(f"{name}={value}")
    return ", ".join(shown)


def look(z: Tensor, w: Tensor | None, c: Tensor) -> Tensor:
    """A gate's input, with a peephole on the memory when it has one."""
    return z if w is None else z + w * c
