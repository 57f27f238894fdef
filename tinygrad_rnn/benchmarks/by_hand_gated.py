"""LSTM and GRU written by hand in NumPy, as well as NumPy can do it.

Sigmoids are taken as (1 + tanh(z/2))/2, with the half in the matrices. What the backward pass
multiplies by is computed while its operands are still in the processor's cache, and kept where the
gates' inputs were, which nobody needs again.
"""

import numpy as np

from ..autograd.tensor import Array
from .by_hand import TimeBatched
from .problem import Problem


class Gated(TimeBatched):
    """What both share: matrices whose rows of sigmoids are halved, and the slices of a gate."""

    tanh_gate: int  # the one that is no sigmoid

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        gates = problem.W_hh.shape[0] // self.H
        self.scale = np.full(gates * self.H, 0.5, self.dtype)
        self.part(self.scale, self.tanh_gate)[...] = 1
        self.shift = 1 - self.scale
        self.W_xh_scaled = np.empty_like(problem.W_xh)
        self.W_xh_T = self.W_xh_scaled.T
        self.gates, self.slopes = (self._new(*self.batch, gates * self.H) for _ in range(2))
        self.product = self._new(*self.batch, self.H)

    def part(self, array: Array, first: int, last: int | None = None) -> Array:
        """The columns of a gate, or of several."""
        if last is None:
            last = first
        return array[..., first * self.H : (last + 1) * self.H]

    def parts(self, array: Array) -> list[Array]:
        return [self.part(array, gate) for gate in range(array.shape[-1] // self.H)]

    def stacked(self, array: Array) -> Array:
        """(…, gates, H), for one operand of all gates."""
        return array.reshape(*array.shape[:-1], -1, self.H)

    def _project(self) -> None:
        np.multiply(self.problem.W_xh, self.scale[:, None], out=self.W_xh_scaled)
        np.dot(self.xs, self.W_xh_T, out=self.zx)
        np.multiply(self.problem.W_hh.T, self.scale, out=self.W_hh_T)


class TimeBatchedLSTM(Gated):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t).

    i, f, g, o = W_xh x_t + W_hh h_{t-1}.
    """

    tanh_gate = 2

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        shape = self.T, *self.batch, self.H
        self.cs = np.zeros((self.T + 1, *self.batch, self.H), self.dtype)
        self.forgets, self.slopes_c = self._new(*shape), self._new(*shape)
        self.tanh_c, self.dc = (self._new(*self.batch, self.H) for _ in range(2))
        zx = self._steps(self.zx)
        states = zip(self.hs[:-1], self.hs[1:], self.cs[:-1], self.cs[1:], strict=True)
        kept = list(zip(self.forgets, self.slopes_c, strict=True))
        self.forward = [
            (z, *s, *k, *self.parts(z)) for z, s, k in zip(zx, states, kept, strict=True)
        ]
        stacked = [self.stacked(self.part(z, 0, 2)) for z in zx]
        outs = [self.part(z, 3) for z in zx]
        later = [*zx[1:], None]
        rows = zip(later, self._steps(self.dhs), kept, stacked, outs, strict=True)
        self.backward = [(z, dh, *k, ifg, o) for z, dh, k, ifg, o in rows][::-1]

    def _forward(self) -> None:
        dot, add, subtract, multiply, tanh = np.dot, np.add, np.subtract, np.multiply, np.tanh
        W, scale, shift = self.W_hh_T, self.scale, self.shift
        gates, slopes = self.gates, self.slopes
        product, tanh_c = self.product, self.tanh_c
        (i, f, g, o), (slope_i, slope_f, slope_g, slope_o) = self.parts(gates), self.parts(slopes)
        for zx, before, h, c_before, c, forget, slope_c, to_i, to_f, to_g, to_o in self.forward:
            dot(before, W, out=gates)
            add(gates, zx, out=gates)
            tanh(gates, out=gates)
            multiply(gates, scale, out=gates)
            add(gates, shift, out=gates)
            multiply(f, c_before, out=c)
            multiply(i, g, out=product)
            add(c, product, out=c)
            tanh(c, out=tanh_c)
            multiply(o, tanh_c, out=h)
            # ∂h/∂c, and what ∂L/∂c, or ∂L/∂h for o, is multiplied by on its way to each gate's
            # input.
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
        dot, add, multiply, W = np.dot, np.add, np.multiply, self.problem.W_hh
        carried, product, dc = self.carried, self.product, self.dc
        every = dc[..., None, :]
        dc.fill(0)
        for later, dh, forget, slope_c, ifg, o in self.backward:
            if later is not None:
                dot(later, W, out=carried)
                add(dh, carried, out=dh)
            multiply(dh, slope_c, out=product)
            add(dc, product, out=dc)
            multiply(ifg, every, out=ifg)
            multiply(o, dh, out=o)
            multiply(dc, forget, out=dc)
        return self.zx, self.zx


class TimeBatchedGRU(Gated):
    """n = tanh(W_xn x_t + r (W_hn h_{t-1})), h_t = (1 - z) n + z h_{t-1}; r and z are sigmoids."""

    tanh_gate = 2

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.rz = self._new(self.T, *self.batch, 2 * self.H)
        self.n = self._new(*self.batch, self.H)
        self.dzh = self._new(self.N, 3 * self.H)
        zx = self._steps(self.zx)
        self.forward = [
            (before, h, self.part(z, 0, 1), *self.parts(z), gates, *self.parts(gates))
            for before, h, z, gates in zip(self.hs[:-1], self.hs[1:], zx, self.rz, strict=True)
        ]
        dhs, dzh = self._steps(self.dhs), self._steps(self.dzh)
        self.backward = [
            (dh, *self._factors(x), h, *self._split(h), *self.parts(rz))
            for dh, x, h, rz in zip(dhs, zx, dzh, self.rz, strict=True)
        ][::-1]

    def _factors(self, x: Array) -> tuple[Array, ...]:
        z_and_n = self.stacked(self.part(x, 1, 2))
        return z_and_n, self.part(x, 0), self.part(x, 2), self.part(x, 0, 1)

    def _split(self, h: Array) -> tuple[Array, Array]:
        return self.part(h, 0, 1), self.part(h, 2)

    def _forward(self) -> None:
        dot, add, subtract, multiply, tanh = np.dot, np.add, np.subtract, np.multiply, np.tanh
        W, projected, product, n = self.W_hh_T, self.gates, self.product, self.n
        projected_rz, projected_n = self.part(projected, 0, 1), self.part(projected, 2)
        slopes = self.part(self.slopes, 0, 1)
        slope_r, slope_z = self.parts(slopes)
        difference = self.carried
        for before, h, x_rz, x_r, x_z, x_n, rz, r, z in self.forward:
            dot(before, W, out=projected)
            add(x_rz, projected_rz, out=rz)
            tanh(rz, out=rz)
            multiply(rz, 0.5, out=rz)
            add(rz, 0.5, out=rz)
            multiply(r, projected_n, out=n)
            add(n, x_n, out=n)
            tanh(n, out=n)
            subtract(before, n, out=difference)
            multiply(z, difference, out=h)
            add(h, n, out=h)
            # What ∂L/∂h is multiplied by on its way to z's and n's inputs, and that of n on its way
            # to r's.
            multiply(rz, rz, out=slopes)
            subtract(rz, slopes, out=slopes)
            multiply(slope_z, difference, out=x_z)
            multiply(slope_r, projected_n, out=x_r)
            multiply(n, n, out=n)
            subtract(1, n, out=n)
            multiply(z, n, out=product)
            subtract(n, product, out=x_n)

    def _backward(self) -> tuple[Array, Array]:
        dot, add, multiply, W = np.dot, np.add, np.multiply, self.problem.W_hh
        carried, product = self.carried, self.product
        later = None
        for dh, zn, dr, dn, rz, dzh, dzh_rz, dzh_n, r, z in self.backward:
            if later is not None:
                dot(later, W, out=carried)
                add(dh, carried, out=dh)
                add(dh, product, out=dh)
            multiply(zn, dh[..., None, :], out=zn)
            multiply(dr, dn, out=dr)
            dzh_rz[...] = rz
            multiply(dn, r, out=dzh_n)
            multiply(dh, z, out=product)
            later = dzh
        return self.zx, self.dzh
