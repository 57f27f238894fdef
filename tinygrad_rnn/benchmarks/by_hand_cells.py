"""Three more cells written by hand in NumPy: minGRU, and LSTMs with peepholes and layer norms."""

from typing import Any

import numpy as np

from ..autograd.tensor import Array
from .by_hand import TimeBatched
from .by_hand_gated import TimeBatchedLSTM
from .problem import Problem

EPS = 1e-5  # of a layer norm


class TimeBatchedMinGRU(TimeBatched):
    """h_t = (1 - z) h_{t-1} + z n, z = σ(W_xz x_t), n = W_xn x_t: only the sum is a recurrence."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        N, H = self.N, self.H
        self.z, self.n = self.zx[:, :H], self.zx[:, H:]
        self.kept, self.taken = self._new(N, H), self._new(N, H)
        kept, taken = self._steps(self.kept), self._steps(self.taken)
        self.forward = list(zip(self.hs[:-1], kept, taken, self.hs[1:], strict=True))
        dhs = self._steps(self.dhs)
        self.backward = list(zip(dhs[1:], kept[1:], dhs, strict=False))[::-1]

    def __call__(self) -> tuple[Any, ...]:
        np.dot(self.xs, self.W_xh_T, out=self.zx)
        self._forward()
        loss = self._outputs()
        dzx, _ = self._backward()
        np.dot(dzx.T, self.xs, out=self.dW_xh)
        return loss, self.dW_xh, self.dW_hy

    def _forward(self) -> None:
        add, multiply, z = np.add, np.multiply, self.z
        np.negative(z, out=z)
        np.exp(z, out=z)
        add(z, 1, out=z)
        np.divide(1, z, out=z)
        np.subtract(1, z, out=self.kept)
        multiply(z, self.n, out=self.taken)
        for before, kept, taken, h in self.forward:
            multiply(kept, before, out=h)
            add(h, taken, out=h)

    def _backward(self) -> tuple[Array, Array]:
        add, multiply, carried = np.add, np.multiply, self.carried
        for later, kept, dh in self.backward:
            multiply(later, kept, out=carried)
            add(dh, carried, out=dh)
        multiply(self.kept, self.z, out=self.kept)  # the slope of the sigmoid
        np.subtract(self.n, self.before, out=self.n)
        multiply(self.n, self.kept, out=self.kept)
        multiply(self.z, self.dhs, out=self.n)
        multiply(self.kept, self.dhs, out=self.z)
        return self.zx, self.zx


class TimeBatchedPeepholeLSTM(TimeBatchedLSTM):
    """As the LSTM; w_i c_{t-1}, w_f c_{t-1} and w_o c_t are added to the inputs of the gates."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        shape = self.T, *self.batch, self.H
        self.w = problem.weights["w_c"].reshape(3, self.H)
        self.dw = np.empty_like(problem.weights["w_c"])
        self.look, self.product_N = self._new(*self.batch, 2, self.H), self._new(*shape)
        self.z = self.zx.reshape(*shape[:-1], 4 * self.H)

    def __call__(self) -> tuple[Any, ...]:
        found = super().__call__()
        dw, H = self.dw, self.H
        for gate, cs, part in ((0, self.cs[:-1], 0), (1, self.cs[:-1], 1), (3, self.cs[1:], 2)):
            np.multiply(self.part(self.z, gate), cs, out=self.product_N)
            rows = self.product_N.reshape(-1, H)
            np.add.reduce(rows, 0, out=dw[part * H : (part + 1) * H])
        return *found, dw

    def _forward(self) -> None:
        dot, add, subtract, multiply, tanh = np.dot, np.add, np.subtract, np.multiply, np.tanh
        W, scale, shift = self.W_hh_T, self.part(self.scale, 0, 2), self.part(self.shift, 0, 2)
        gates, slopes, look, product, tanh_c = (
            self.gates, self.slopes, self.look, self.product, self.tanh_c,
        )  # fmt: skip
        half = self.w / 2
        w_if, w_o = half[:2], half[2]
        (i, f, g, o), (slope_i, slope_f, slope_g, slope_o) = self.parts(gates), self.parts(slopes)
        ifg, i_and_f = self.part(gates, 0, 2), self.stacked(self.part(gates, 0, 1))
        for zx, before, h, c_before, c, forget, slope_c, to_i, to_f, to_g, to_o in self.forward:
            dot(before, W, out=gates)
            add(gates, zx, out=gates)
            multiply(c_before[..., None, :], w_if, out=look)
            add(i_and_f, look, out=i_and_f)
            tanh(ifg, out=ifg)
            multiply(ifg, scale, out=ifg)
            add(ifg, shift, out=ifg)
            multiply(f, c_before, out=c)
            multiply(i, g, out=product)
            add(c, product, out=c)
            multiply(c, w_o, out=product)
            add(o, product, out=o)
            tanh(o, out=o)
            multiply(o, 0.5, out=o)
            add(o, 0.5, out=o)
            tanh(c, out=tanh_c)
            multiply(o, tanh_c, out=h)
            multiply(h, tanh_c, out=product)
            subtract(o, product, out=slope_c)
            multiply(gates, gates, out=slopes)
            subtract(1, slope_g, out=to_g)
            subtract(gates, slopes, out=slopes)
            multiply(slope_i, g, out=to_i)
            multiply(slope_f, c_before, out=to_f)
            multiply(to_g, i, out=to_g)
            multiply(slope_o, tanh_c, out=to_o)
            forget[...] = f

    def _backward(self) -> tuple[Array, Array]:
        for gate, row, into in ((0, 0, self.forgets), (1, 1, self.forgets), (3, 2, self.slopes_c)):
            np.multiply(self.part(self.z, gate), self.w[row], out=self.product_N)
            np.add(into, self.product_N, out=into)
        return super()._backward()


class Norm:
    """A layer norm's kept numbers for all timesteps, and its way back for one or for all."""

    def __init__(self, rows: tuple[int, ...], size: int, dtype: Any) -> None:
        self.size = size
        self.n = np.empty((*rows, size), dtype)  # of mean 0 and variance 1
        self.deviation = np.empty((*rows, 1), dtype)
        self.room, self.number = np.empty_like(self.n), np.empty_like(self.deviation)

    def forward(self, x: Array, at: Any = ...) -> Array:
        """Of x; kept at these timesteps."""
        n, deviation, room = self.n[at], self.deviation[at], self.room[at]
        np.add.reduce(x, -1, keepdims=True, out=deviation)
        np.divide(deviation, self.size, out=deviation)
        np.subtract(x, deviation, out=n)
        np.multiply(n, n, out=room)
        np.add.reduce(room, -1, keepdims=True, out=deviation)
        np.divide(deviation, self.size, out=deviation)
        np.add(deviation, EPS, out=deviation)
        np.sqrt(deviation, out=deviation)
        return np.divide(n, deviation, out=n)

    def backward(self, dn: Array, out: Array, at: Any = ...) -> Array:
        """∂L/∂x from ∂L/∂n, which is written over."""
        n, room, number = self.n[at], self.room[at], self.number[at]
        np.multiply(dn, n, out=room)
        np.add.reduce(room, -1, keepdims=True, out=number)
        np.divide(number, self.size, out=number)
        np.multiply(n, number, out=room)
        np.add.reduce(dn, -1, keepdims=True, out=number)
        np.divide(number, self.size, out=number)
        np.subtract(dn, number, out=dn)
        np.subtract(dn, room, out=dn)
        return np.divide(dn, self.deviation[at], out=out)


class TimeBatchedNormLSTM(TimeBatchedLSTM):
    """As the LSTM, of gates g_x norm(W_xh x_t) + g_h norm(W_hh h_{t-1}).

    h_t = σ(o) tanh(g_c norm(c_t)).
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        H, rows = self.H, (self.T, *self.batch)
        self.gains = [problem.weights[name] for name in ("g_x", "g_h", "g_c")]
        self.dgains = [np.empty_like(gain) for gain in self.gains]
        self.of_x, self.of_h = (Norm(rows, 4 * H, self.dtype) for _ in range(2))
        self.of_c = Norm(rows, H, self.dtype)
        self.shown = self._new(*rows, H)  # tanh(g_c norm(c))
        self.dzh, self.dzx = self._new(*rows, 4 * H), self._new(*rows, 4 * H)
        self.dnc, self.dshown = self._new(*rows, H), self._new(*rows, H)

    def __call__(self) -> tuple[Any, ...]:
        np.dot(self.xs, self.problem.W_xh.T, out=self.zx)
        np.copyto(self.W_hh_T, self.problem.W_hh.T)
        self._forward()
        loss = self._outputs()
        dzx, dzh = self._backward()
        np.dot(dzx.T, self.xs, out=self.dW_xh)
        np.dot(dzh.T, self.before, out=self.dW_hh)
        return loss, self.dW_xh, self.dW_hh, self.dW_hy, *self.dgains

    def _forward(self) -> None:
        dot, add, multiply, tanh = np.dot, np.add, np.multiply, np.tanh
        g_x, g_h, g_c = self.gains
        scale, shift, W = self.scale, self.shift, self.W_hh_T
        zx = self.of_x.forward(self.zx.reshape(self.of_x.n.shape))
        zx = multiply(zx, g_x, out=self.of_x.room)
        multiply(zx, scale, out=zx)
        scaled = g_h * scale
        gates, slopes, product = self.gates, self.slopes, self.product
        (i, f, g, o), (slope_i, slope_f, slope_g, slope_o) = self.parts(gates), self.parts(slopes)
        for t, row in enumerate(self.forward):
            _, before, h, c_before, c, forget, slope_c, to_i, to_f, to_g, to_o = row
            dot(before, W, out=gates)
            multiply(self.of_h.forward(gates, t), scaled, out=gates)
            add(gates, zx[t], out=gates)
            tanh(gates, out=gates)
            multiply(gates, scale, out=gates)
            add(gates, shift, out=gates)
            multiply(f, c_before, out=c)
            multiply(i, g, out=product)
            add(c, product, out=c)
            shown = self.shown[t]
            multiply(self.of_c.forward(c, t), g_c, out=shown)
            tanh(shown, out=shown)
            multiply(o, shown, out=h)
            multiply(h, shown, out=product)
            np.subtract(o, product, out=slope_c)
            multiply(gates, gates, out=slopes)
            np.subtract(1, slope_g, out=to_g)
            np.subtract(gates, slopes, out=slopes)
            multiply(slope_i, g, out=to_i)
            multiply(slope_f, c_before, out=to_f)
            multiply(to_g, i, out=to_g)
            multiply(slope_o, shown, out=to_o)
            forget[...] = f

    def _backward(self) -> tuple[Array, Array]:
        dot, add, multiply, W = np.dot, np.add, np.multiply, self.problem.W_hh
        g_x, g_h, g_c = self.gains
        carried, product, dc = self.carried, self.product, self.dc
        every = dc[..., None, :]
        dc.fill(0)
        later, dnc, dzh = None, self.dnc, self.dzh
        dz = self.zx.reshape(dzh.shape)
        for t, (_, dh, forget, slope_c, ifg, o) in zip(
            reversed(range(self.T)), self.backward, strict=True
        ):
            if later is not None:
                dot(later, W, out=carried)
                add(dh, carried, out=dh)
            multiply(dh, slope_c, out=self.dshown[t])  # ∂L/∂(g_c norm(c))
            multiply(self.dshown[t], g_c, out=dnc[t])
            add(dc, self.of_c.backward(dnc[t], product, t), out=dc)
            multiply(ifg, every, out=ifg)
            multiply(o, dh, out=o)
            multiply(dc, forget, out=dc)
            multiply(dz[t], g_h, out=self.gates)
            later = self.of_h.backward(self.gates, dzh[t], t)
        for into, d, norm in zip(
            self.dgains, (dz, dz, self.dshown), (self.of_x, self.of_h, self.of_c), strict=True
        ):
            multiply(d, norm.n, out=norm.room)
            np.add.reduce(norm.room.reshape(self.N, -1), 0, out=into)
        multiply(dz, g_x, out=self.dzx)
        dzx = self.of_x.backward(self.dzx, self.dzx)
        return dzx.reshape(self.N, -1), dzh.reshape(self.N, -1)
