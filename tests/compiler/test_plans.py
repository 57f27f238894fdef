"""The plans of small programs, to the call and the byte: what is batched, laid out, written over.

Many plans compute the same, so numbers alone cannot tell whether a rewrite or a saving was lost.
`python -m compiler.test_plans`, in tests/, writes the plans anew; look at what has changed.
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from compiler.side_by_side import arrays as arrays_of
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.autograd.origin import base_of
from tinygrad_rnn.compiler import blas

PLANS = Path(__file__).parent.parent / "data" / "plans.txt"
CASES = {}


def case(function):
    """Its arguments say what the program is called with: `name=shape`, or an array."""
    CASES[function.__name__] = function
    return function


def numbers(*shape, dtype=float, seed=0):
    """Numbers that are exact in float32, some of them alike."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-8, 9, shape) / 8).astype(dtype)


def weight(*shape, dtype=float, seed=1):
    return tg.tensor(numbers(*shape, dtype=dtype, seed=seed), requires_grad=True)


def back(loss):
    """Its value, and the gradients it leaves."""
    loss.backward()
    return loss


def times(y, seed=7):
    """A loss in which every element counts differently."""
    return (y * numbers(*y.shape, seed=seed)).sum()


# Recurrent networks


def layer(kind, *, lengths=False, **options):
    net = kind(3, 4, output_size=5, rng=0, **options)
    rng = np.random.default_rng(1)
    dtype = net.W_hy.dtype
    xs = rng.standard_normal((3, 2, 3)).astype(dtype)
    step = lambda xs, targets: back(tg.nn.cross_entropy(net(xs)[0], targets))
    return step, [xs, rng.integers(0, 5, (3, 2))]


@case
def rnn():
    return layer(tg.nn.RNN)


@case
def rnn_float32_relu_without_bias():
    return layer(tg.nn.RNN, dtype=np.float32, nonlinearity="relu", bias=False)


@case
def rnn_two_layers_both_ways():
    return layer(tg.nn.RNN, num_layers=2, bidirectional=True)


@case
def lstm():
    return layer(tg.nn.LSTM)


@case
def gru():
    return layer(tg.nn.GRU)


@case
def a_matrix_for_each_gate():
    Ws, Us = [[weight(4, n, seed=n + k) for k in range(3)] for n in (3, 4)]

    def step(xs):
        h, loss = np.zeros((2, 4)), 0.0
        for x in xs:
            a, b, c = (ops.sigmoid(x @ W.T + h @ U.T) for W, U in zip(Ws, Us, strict=True))
            h = (1 - a) * b + a * h * c
            loss = loss + times(h)
        return back(loss)

    return step, [numbers(3, 2, 3)]


@case
def a_bias_for_each_gate():
    """Biases that are added to gates beside each other are added at once, their sums as well."""
    Ws, Us, bs = [[weight(4, *n, seed=k) for k in range(3)] for n in ((3,), (4,), (1,))]

    def step(xs):
        h = np.zeros((4, 2))
        for x in xs:
            parts = zip(Ws, Us, bs, strict=True)
            a, b, c = (ops.sigmoid(W @ x + U @ h + b) for W, U, b in parts)
            h = (1 - a) * b + a * h * c
        return back(times(h))

    return step, [numbers(3, 3, 2)]


@case
def columns():
    W, U, b = weight(4, 3), weight(4, 4), weight(4, 1)

    def step(xs):
        h = np.zeros((4, 2))
        for x in xs:
            h = ops.tanh(W @ x + U @ h + b)
        return back(times(h))

    return step, [numbers(3, 3, 2)]


@case
def vectors():
    W, U, V = weight(4, 3), weight(4, 4), weight(5, 4)

    def step(xs, targets):
        h, loss = np.zeros(4), 0.0
        for x, target in zip(xs, targets, strict=True):
            h = ops.tanh(W @ x + U @ h)
            loss = loss + tg.nn.cross_entropy(V @ h, target)
        return back(loss)

    return step, [numbers(3, 3), np.array([1, 0, 4])]


@case
def input_and_state_joined():
    W, b = weight(8, 7), weight(8)

    def step(xs):
        h = np.zeros((2, 4))
        for x in xs:
            a, c = ops.split(np.concatenate([x, h], 1) @ W.T + b, 2, 1)
            h = ops.tanh(a) * ops.sigmoid(c)
        return back(times(h))

    return step, [numbers(3, 2, 3)]


@case
def input_and_state_joined_in_columns():
    """A matrix for each gate; what the loss reads of the inputs goes back to a lower layer."""
    W, F, G = weight(4, 3), weight(4, 8), weight(4, 8)

    def step(xs):
        h, hs = np.zeros((4, 2)), []
        for x in xs:
            both = np.concatenate([ops.tanh(W @ x), h], 0)
            h = ops.tanh(F @ both) * ops.sigmoid(G @ both)
            hs.append(h)
        return back(times(ops.stack(hs)))

    return step, [numbers(3, 3, 2)]


@case
def layers_joined():
    W, U = weight(7, 4), weight(8, 4)

    def step(xs):
        h, k, total = np.zeros(4), np.zeros(4), 0.0
        for x in xs:
            h = ops.tanh(np.concatenate([x, h]) @ W)
            k = ops.tanh(np.concatenate([h, k]) @ U)
            total = total + times(k)
        return back(total)

    return step, [numbers(3, 3)]


@case
def arguments_in_lists():
    W, U = weight(4, 3), weight(4, 4)

    def step(xs, targets):
        h, loss = np.zeros((2, 4)), 0.0
        for x, target in zip(xs, targets, strict=True):
            h = ops.tanh(ops.linear(x, W) + ops.linear(h, U))
            loss = loss + tg.nn.cross_entropy(h, target)
        return back(loss)

    rng = np.random.default_rng(0)
    return step, [[*numbers(3, 2, 3)], [*rng.integers(0, 4, (3, 2))]]


@case
def data_from_outside():
    """A tensor and arrays that the function sees are its data, as its arguments would be."""
    W, U, V = weight(4, 3), weight(4, 4), weight(5, 4)
    xs, targets = tg.tensor(numbers(3, 2, 3)), np.array([[0, 4], [1, 0], [4, 4]])
    others = np.eye(3)[[[0, 1], [2, 2], [0, 1]]]

    def step():
        h, loss = np.zeros((2, 4)), 0.0
        for x, y, target in zip(xs, others, targets, strict=True):
            h = ops.tanh((x + y) @ W.T + y @ W.T + h @ U.T)
            loss = loss - ops.log_softmax(h @ V.T)[np.arange(2), target].mean()
        return back(loss)

    return step, []


@case
def products_by_letters():
    W, U, V = weight(4, 3), weight(4, 4), weight(5, 4)

    def step(xs):
        h, hs = np.zeros((2, 4)), []
        for x in xs:
            h = ops.tanh(np.einsum("hi,bi->bh", W, x) + np.einsum("bk,hk->bh", h, U))
            hs.append(h)
        return back(times(np.einsum("tbh,oh->tbo", ops.stack(hs), V)))

    return step, [numbers(3, 2, 3)]


@case
def letters_of_all_kinds():
    A, B, C = weight(3, 4), weight(4, 2), weight(3, 2)

    def step(a, stack):
        made = (
            np.einsum("ij,jk,ik->", A, B, C),
            np.einsum("ij->j", A),
            np.einsum("ik,i->ki", C, a),
            np.einsum("ij,j", A, B[:, 0]),
            np.einsum("sij,...jk->sik", stack, B),
            np.einsum("ij,kj->ijk", A, stack[0]),
        )
        diagonals = np.einsum("iij->j", stack[:, :2]), np.einsum("ii,i->i", A[:, :3], a)
        return back(sum(times(y, seed) for seed, y in enumerate(made + diagonals)))

    return step, [numbers(3), numbers(2, 3, 4, seed=2)]


@case
def a_stack_of_all_steps():
    """What is done with the steps before or after the loop is one product, forward and back."""
    W, U, V = weight(4, 3), weight(4, 4), weight(5, 4)

    def step(xs):
        h, hs = np.zeros((2, 4)), []
        for x in xs @ W.T:
            h = ops.tanh(x + h @ U.T)
            hs.append(h)
        return back(times(ops.stack(hs) @ V.T) + times(V @ ops.stack(hs).mT, 3))

    return step, [numbers(3, 2, 3)]


# Losses, and integers that pick


@case
def losses_written_out():
    def step(y, t):
        p = np.exp(y) / np.sum(np.exp(y), axis=-1, keepdims=True)
        rows = np.arange(2)
        hot = ops.one_hot(t, 3)
        return (
            back(-np.log(p[rows, t]).mean()),
            back((ops.logsumexp(y) - (hot * y).sum(-1)).mean()),
            back(-ops.log_softmax(y.T, 0)[t, rows].sum()),
            back(-np.take_along_axis(ops.log_softmax(y), t[:, None], -1).mean()),
            back(tg.nn.cross_entropy(y, t, "sum") + tg.nn.cross_entropy(y, t, "none").sum()),
            back(((y - hot) ** 2).mean()),
        )

    return step, [tg.tensor(numbers(2, 3), requires_grad=True), np.array([2, 0])]


@case
def integers_that_pick():
    x = weight(3, 4, 2)

    def step(i, j, k):
        # Of bytes, where 0..2 are few of what they can be: rows, places, an element of each row.
        chosen = x[i], x[i, j[:, :2]], x[np.arange(3), j[0], k], x[:, 0][np.arange(3), k]
        return back(sum(times(y, seed) for seed, y in enumerate(chosen)))

    i, j = np.array([[0, -1], [2, 0]], np.int8), np.array([[3, 0, 1], [0, -4, 1]])
    return step, [i, j, np.array([1, 0, 1], np.uint16)]


@case
def integers_that_are_just_large_enough():
    """-128 is a byte, and -129 is not; of a broadcast index no place is one element of a row."""
    table, rows = weight(200, 2), np.arange(2)

    def step(x, y, i, j, k, u):
        square = y[:4].reshape(2, 2)
        return (
            x[i], y[i], table[k], ops.embedding(table, k), ops.one_hot(k, 130)[:, 125:],
            table[:2, :][rows, u] * 2.0, square[u, rows], square[:, j[0]],
            ops.take_along_axis(x[None], i[None], 1), np.take_along_axis(square, j, 1),
            np.take_along_axis(square, j, 0),
        )  # fmt: skip

    i = np.array([0, -1, 5], np.int8)
    k, u = np.array([127, 0], np.int8), np.array([1, 0], np.uint64)
    return step, [numbers(127), numbers(128), i, np.array([[1]]), k, u]


@case
def rows_of_a_table():
    table = weight(4, 3)

    def step(ids):
        first, second = ops.embedding(table, ids[0]), ops.embedding(table, ids[1])
        return back(times(ops.concatenate([first, second], 1)))

    return step, [np.array([[0, 3, 0], [1, 1, 2]])]


@case
def rows_that_data_names():
    """Looked up as rows, columns or by name; the sums of all are one."""
    E, W, U = weight(4, 3), weight(3, 4), weight(3, 3)
    ids = np.array([[0, 3], [1, 0], [0, -1]])

    def step():
        h, loss = np.zeros((2, 3)), 0.0
        for i in ids:
            h = ops.tanh(E[i] + W[:, i].T + W.T[i] + E[i % 2, :] + h @ U.T)
            loss = loss + times(h)
        return back(loss + times(U[ids % 3, 1]))

    return step, []


# Sums of many terms


@case
def many_products():
    """Outer products, one factor for all, two factors, products of a vector, both signs."""
    a, b = weight(4, 3), weight(4, 2, seed=2)

    def step(x):
        outer = sum(a[i][:, None] * b[i] for i in range(4))
        one = sum(a[i][:, None] @ x[:1, :2] for i in range(4))
        taken = x[0] * a[0] - x[1] * a[1] - x[2] * a[2] + x[3] * a[3] - b[0, 0]
        return outer, one, taken, back(times(outer) + times(taken))

    return step, [numbers(4, 3)]


@case
def many_terms():
    """More than three of other kinds; products with a vector, and of a column in many rows."""
    W = weight(3, 3)

    def step(x, v):
        others = sum(ops.tanh(x[i]) * x[i + 1] for i in range(5))
        of_vectors = sum(ops.sin(x[i : i + 2]) @ v for i in range(4))
        of_columns = sum(x[i][:, None] * v[:, None] for i in range(4))
        rows = [ops.tanh(x[i : i + 1] * v) for i in range(4)]
        return others, of_vectors, of_columns, back(sum(times(row @ W, 2) for row in rows))

    return step, [numbers(6, 3), numbers(3, seed=4)]


@case
def products_with_what_follows_from_parameters():
    """They are one if their parameters are there before the first."""
    W, U = weight(3, 3), weight(3, 3, seed=2)

    def step(x):
        V = ops.tanh(U)
        first, second = x @ V, x @ ops.sin(V)
        later = ops.exp(U)
        h = x
        for _ in range(3):
            h = ops.tanh(h @ W) * (h @ later) + h @ ops.cos(W)
        return first, second, x @ later, x @ ops.sin(later), h

    return step, [numbers(2, 3)]


@case
def few_products():
    """Two are added as they are, and so are terms of several kinds."""
    a, W = weight(4, 3), weight(3, 3, seed=2)

    def step(x):
        y = a[0] * x[0] + a[1] * x[1]
        z = x @ W + ops.tanh(x) @ W.T + ops.sin(x) - x
        return back(times(y) + times(z))

    return step, [numbers(4, 3)]


@case
def projections_that_are_added():
    W, U, V = (weight(3, 3, seed=k) for k in range(3))

    def step(x, h):
        apart = x @ W + h @ U + ops.sin(x) @ V
        same = x @ W + h @ W + ops.sin(h) @ W
        for _ in range(3):
            h = ops.tanh(h @ W + x @ U + ops.sin(h) @ V)
        for _ in range(3):
            x = ops.tanh(x @ W + ops.sin(x) @ V + ops.cos(x) @ W)
        return apart, same, h, x

    return step, [numbers(2, 3), numbers(2, 3, seed=3)]


@case
def gradient_that_is_added_to():
    W = weight(3, 3)
    W.grad = tg.tensor(numbers(3, 3, seed=5))
    return lambda x: back(times(x @ W) + times(x @ W, 3)), [numbers(4, 3)]


# Parts and wholes


@case
def sequences_that_overlap():
    W = weight(3, 3)

    def step(xs):
        h = [xs[0]]
        for x in xs[1:]:
            h.append(ops.tanh(h[-1] @ W + x))
        before, after = ops.stack(h[:-1]), ops.stack(h[1:])
        turned = ops.stack(h[:0:-1])
        return back(times(before * after) + times(turned)), ops.stack(h[::2])

    return step, [numbers(4, 2, 3)]


@case
def stacks_of_parts_of_wholes():
    def step(xs):
        gates = [(ops.tanh(x), ops.sin(x), ops.exp(x)) for x in xs]
        sides = [ops.concatenate([*three], -1) for three in gates]
        turned = [ops.tanh(sides[0])]
        for side in sides[1:]:
            turned.append(ops.tanh(turned[-1] * side))
        few = [ops.cos(x) for x in xs]
        apart = ops.concatenate([few[0], gates[0][0]], -1), ops.stack(few), ops.concatenate(few, -1)
        return turned[-1], apart, *(ops.stack([*one]) for one in zip(*gates, strict=True))

    return step, [[*numbers(3, 2, 3)]]


@case
def rows_in_all_orders():
    """Equally spaced rows are a view; neighbours are one part; others are laid together."""

    def step(x):
        y = ops.tanh(x)
        orders = [0, 1, 2], [4, 3, 2], [0, 2, 4], [4, 2, 0], [0, 1, 4, 3], [0, 0, 1], [2, 0, 3]
        return [ops.stack([y[i] for i in order]) for order in orders] + [
            ops.stack([y[:, 0], y[:, 1]]),
            ops.stack([y[0, 1:], y[1, 1:]]),
            ops.stack([y[0].reshape(2, 2), y[1].reshape(2, 2)]),
            ops.stack([y[:2].T, y[2:4].T]),
            ops.stack([y[0], ops.sin(x[1]), y[1], y[2]]),
            ops.stack([y[3], y[4], x[0], y[1], y[0], y[2]]),
            ops.stack([y[:, 2], y[:, 1], y[:, 0], y[:, 3]]),
            ops.stack([y[0:1], y[1:2]]),
            ops.stack([y[0, ::2], y[1, ::2]]),
            ops.stack([np.broadcast_to(y[0], (2, 4)), np.broadcast_to(y[1], (2, 4))]),
            ops.stack([y[0] + 1.0, y[1] + 1.0, y[2] * 2.0, y[4] + 1.0]),
        ]

    return step, [numbers(5, 4)]


@case
def columns_beside_each_other():
    """Of one kind and beside each other they are one call; with a gap, or a row between, not."""
    W = weight(12, 3)

    def step(x, s):
        y = x @ W.T
        parts = [ops.sigmoid(y[:, a:b]) for a, b in ((0, 3), (3, 6), (7, 9))]
        scaled = [y[:, 9:10] * s, y[:, 10:12] * s, y[:, 6:9] * y[:, 3:6], y[:, 0:2] * s.T]
        kinds = [ops.tanh(y[:1, :2]), ops.tanh(y[:1, 2:4]), ops.tanh(y[:, 4]), ops.tanh(y[:, 5])]
        less = [y[:, 0:3] - y[:, 6:9], y[:, 3:6] - y[:, 9:12]]
        steps = [ops.exp(y[:, 0:6:2]), ops.exp(y[:, 6:12:2])]
        steps += [ops.tanh(y[None, :, k : k + 2] * s) for k in (2, 4, 6)]
        steps += [y[:, k : k + 2] * y[:, k + 4 : k + 6] * y[:, 10:] for k in (0, 2)]
        steps += [ops.sin(y[:, 0:2]) + y[:, 8:10], ops.sin(y[:, 2:4]) + y[:, 4:6]]
        deep = ops.stack([y[:, :6], y[:, 6:]])
        deep = deep + ops.cos(deep)
        steps += [ops.tanh(deep[:, :, k : k + 2]) * s for k in (0, 2)]
        return parts, scaled, kinds, less, steps, back(times(parts[0]) + times(parts[1]))

    return step, [numbers(2, 3), numbers(2, 1)]


@case
def places_that_are_left_zero():
    x = weight(4, 3)

    def step(s):
        y = x[1:3] * s
        z = x[::2, 1] * s + x[3, :2].sum()
        w = x[1] * s + x[1] * x[2]
        return back(times(y) + times(z) + times(w))

    return step, [np.array(2.0)]


@case
def wholes_of_unlike_parts():
    def step(x):
        y = ops.tanh(x)
        return (
            ops.concatenate([y, x[:1], y[:2]]),
            ops.concatenate([y, 2 * x], 1),
            ops.stack([y, y, x], 1),
            ops.stack([y, x], -1),
            ops.concatenate([y]),
            ops.concatenate([y, np.zeros((1, 4), np.float32)]),
            ops.stack([y[:, :2], ops.sin(x[:, :2])])[0],
            ops.concatenate([y, ops.sin(x)], 1)[:, 4:],
            ops.concatenate([y, ops.sin(x)])[2:4],
        )

    return step, [numbers(3, 4)]


# Order of axes


@case
def transposes():
    W = weight(4, 3)

    def step(x, c):
        y, z = ops.tanh(x), ops.sin(x)
        return (
            (y.T + z.T) * c,
            y.T + z,
            (y.T * c[:, :1] + z.T).sum(0),
            (y.T + 1).sum(1),
            ops.where(y.T > 0, y.T, z.T).T,
            (y.T @ z.T).T,
            (W @ y[:, :2]).T,
            (W @ x[0]),
            (y.T + z.T)[1],
            (y.T + z.T)[:2, 1:],
            np.broadcast_to(y[0], (2, 3)).T + 1,
            y.T.astype(np.float32),
            y[:1].T.reshape(3),
            (y[0][:, None] * z[1]).T,
            ops.transpose(y[None] * x[:, :, None], (2, 0, 1)) + 1,
            sum(
                ops.transpose(k * y[:, None] * z[..., None], order)
                for k, order in enumerate([(1, 2, 0), (2, 0, 1), (2, 0, 1), (0, 2, 1)], 1)
            ),
            (ops.transpose(y[:, None] * z, (2, 1, 0)) + y[0]).sum((0, 2)),
            ops.transpose(y[:, None] * z[..., None], (1, 2, 0))[1, :, 1:].T,
            y[:1].T + z.T,
            y[:1].T * z[1:2].T,
            (y.T + c).reshape(9),
            y.T.max(0) - z.T.max(1),
        )

    return step, [numbers(3, 3), numbers(3, 3, seed=2)]


@case
def parts_of_what_is_repeated():
    def step(x):
        y = ops.tanh(x)
        wide = np.broadcast_to(y[:, None], (2, 3, 4))
        return wide[:, 1] + 1, wide[0] * 2, wide[:, 1:] * y[:, None], wide[..., 1:3].sum(-1)

    return step, [numbers(2, 4)]


# Products


@case
def products_of_all_layouts():
    def step(a, b, c, v):
        return (
            a @ b, a @ c.T, a.T @ a, a @ v, v @ b, v @ v, a[:, ::2] @ b[::2], a[::-1] @ b,
            ops.stack([a, 2 * a]) @ b, ops.stack([a, a + 1]) @ ops.stack([b, b - 1]),
            np.stack([a, a]) @ v, a[:1] @ b, a @ b[:, :1], (a[:0] @ b), a @ b.astype("f4"),
        )  # fmt: skip

    return step, [numbers(3, 5), numbers(5, 4), numbers(4, 5), numbers(5)]


@case
def small_products_with_a_transposed_matrix():
    wide = lambda n, dtype=float: numbers(n, 65, dtype=dtype)
    step = lambda a, b, c: (a @ b.T, a[:15] @ b.T, c @ c.T, [c[i] @ c.T for i in range(3)])
    return step, [wide(25), wide(100), numbers(25, 64)]


@case
def a_transposed_matrix_that_many_read():
    """Of vectors twenty, of rows three, make a copy pay; 32 bits: forty."""

    def step(m, n, x):
        rows, h = [], x
        for _ in range(3):
            h = ops.tanh(h @ m.T)
            rows.append(h)
        v = x[0].astype(np.float32)
        for _ in range(4):
            v = ops.tanh(v @ n.T)
        return rows, v

    return step, [numbers(3, 3), numbers(3, 3, dtype=np.float32), numbers(2, 3)]


@case
def twenty_vectors_read_a_transposed_matrix():
    def step(m, x):
        for _ in range(20):
            x = ops.tanh(x @ m.T)
        return x

    return step, [numbers(3, 3), numbers(3)]


def of_each_step(*products):
    """Of a matrix, and a vector and a matrix for each step, which few may read to be alike."""

    def step(a, vs, ms):
        one = ops.tanh(a)
        return [[product(one, v, m) for v, m in zip(vs, ms, strict=True)] for product in products]

    return step, [numbers(3, 3), [*numbers(3, 3, seed=4)], [*numbers(3, 3, 3, seed=5)]]


@case
def one_matrix_with_vectors():
    return of_each_step(lambda a, v, m: a @ v, lambda a, v, m: v @ a, lambda a, v, m: v @ v)


@case
def a_matrix_for_each_vector():
    return of_each_step(
        lambda a, v, m: m @ v, lambda a, v, m: v @ m, lambda a, v, m: m[:, :2] @ v[:2]
    )


@case
def one_matrix_with_matrices():
    return of_each_step(lambda a, v, m: a @ m, lambda a, v, m: m @ a, lambda a, v, m: m @ m.T)


# Reductions, and elementwise calls


@case
def reductions():
    def step(x, long, flags):
        return (
            [x.sum(axis) for axis in (None, 0, 1, 2, (0, 1), (1, 2), (0, 2))],
            [x.max(axis) for axis in (None, 0, 2, (1, 2))],
            [x.T.sum(0), x.T.max(-1), x[:, ::2].sum(-1), x[:, :, :1].sum(2), x[:0].sum(0)],
            [long.sum(), long[:128].sum(), long[:129].sum(), x.mean((0, 1)), x.min(0)],
            [x.astype("f4").sum(-1), flags.sum(0), flags.astype("i4").sum(), x[..., 0].sum(())],
            (ops.tanh(x).T.sum((0, 1)), x.sum(0, keepdims=True) + x),
        )

    return step, [numbers(2, 3, 4), numbers(130), numbers(3, 2) > 0]


@case
def over_as_few_axes_as_possible():
    def step(x, row, column):
        y = x + 1.0
        return (
            y * row, y * column, y[:, 1:] * 2.0, y[:, :, 0] * y[:, :, 1], y[:, ::2] - row,
            ops.maximum(y, row), ops.minimum(y, 0.5), ops.clip(x, -0.5, None), y[:1] * row[:1],
            ops.where(y > row, y, 0.0), y.astype(np.float32), y[:, 0] + column[0], x[:0] + row,
        )  # fmt: skip

    return step, [numbers(2, 3, 4), numbers(4), numbers(2, 1, 1)]


@case
def written_over_an_operand():
    def step(x, i):
        y = ops.tanh(x)
        z = ops.sin(y) * y  # y is needed no more
        kept = ops.exp(z)
        both = kept * kept + 1
        picked = ops.softmax(both) - ops.one_hot(i, 3)
        return kept, ops.sum(both) + ops.cos(z[0]), picked, (y[0] * 2).astype(np.float32)

    return step, [numbers(3, 3), np.array([0, 2, 1])]


@case
def what_follows_from_constants():
    def step(x):
        c = tg.tensor(numbers(2, 3))
        same = tg.tensor(numbers(2, 3)) * 1.0
        return x * (ops.exp(c[:1] * 0) + 1), x + same, x * 1.0, 1.0 * x, x * np.ones((2, 3)), c

    return step, [numbers(2, 3)]


@case
def casts_and_kinds():
    def step(x, n):
        return (
            x.astype(np.float64) + x, n * 0.5, n + 1, n.astype(bool), (n > 0) * x, x**2, -x,
            ops.sqrt(abs(x)), ops.softplus(x), ops.log_sigmoid(x), ops.gelu(x), x.clip(0, 1),
            ops.var(x), ops.cumsum(x, 0), ops.flip(x), np.repeat(x, 2, 1), ops.logsumexp(x, 0),
        )  # fmt: skip

    return step, [numbers(2, 3), np.arange(6).reshape(2, 3)]


@tg.op(lambda g, y, x, by: g * by)
def scaled(x, by):
    return x * by


@case
def ops_as_they_are():
    dropout, W = tg.nn.Dropout(0.5, rng=0), weight(3, 3)

    def step(x):
        h = x
        for _ in range(3):
            h = dropout(scaled(ops.tanh(h @ W), 3.0)) + x
        return back(times(h))

    return step, [tg.tensor(numbers(2, 3), requires_grad=True)]


# Memory


@case
def large_arrays_are_read_and_given_where_they_lie():
    def step(x, y, z):
        a = x * 2.0
        b = a + y
        return b, b[:8].sum(), (z @ b)[:, :4], a.T

    return step, [numbers(32, 32), numbers(32, 32)[:, ::-1], numbers(32, 32, seed=3)]


@case
def small_arrays_are_copied():
    return lambda x, y: (x + y, x * y, x - y, x @ y.T), [numbers(4, 4), numbers(4, 4)]


@case
def pieces_of_all_sizes():
    """Those needed at the same time lie apart, and fit where others are no longer needed."""

    def step(x):
        a = ops.exp(x)
        b = ops.sin(a[:20]) @ x[:30]
        c = a.sum(0)
        d = ops.tanh(b @ x)
        e = ops.concatenate([a, d])
        for _ in range(30):
            c = ops.tanh(c @ x * 0.1)
        return ops.sum(e, 1), c, b[3] * 2

    return step, [numbers(30, 30)]


# What is written down


@cache
def planned(name):
    """The report and the calls of a program after three calls, as text."""
    step, given = CASES[name]()
    fast = tg.compile(step)
    for _ in range(3):
        for x in given:
            if isinstance(x, tg.Tensor):
                x.grad = None
        results = fast(*given)
    _, plan = fast.latest()
    letters = {}
    lines = [" ".join(call_as_text(call, letters)) for call in plan.calls]
    return "\n".join([*numbers_of(fast.report()), *lines, ""]), step, given, results


def numbers_of(report):
    """What was saved; what is called is written down below."""
    lines = str(report).splitlines()
    rewritten = lines.index("rewritten:") if "rewritten:" in lines else len(lines)
    return [*lines[:5], *lines[rewritten:]]


def call_as_text(call, letters):
    function, *arguments = call
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(owner, np.ndarray):
        arguments = [owner, *arguments]
    elif isinstance(owner, np.ufunc):
        name = f"{owner.__name__}.{name}"
    elif hasattr(function, "op"):
        name = function.op.name
    yield name
    for x in arguments:
        yield array_as_text(x, letters) if isinstance(x, np.ndarray) else repr(x)


def array_as_text(x, letters):
    """Its memory, a letter each; from which byte; its form, and its strides where it has gaps."""
    base = base_of(x)
    start = base.ctypes.data
    if base.dtype == np.uint8:  # the arena, which begins at the first line of the cache
        start += -start % 64
    letter, _ = letters.setdefault(id(base), (len(letters), base))
    lie = "" if x.flags.c_contiguous else f"|{','.join(map(str, x.strides))}"
    shape = "x".join(map(str, x.shape))
    return f"m{letter}+{x.ctypes.data - start}:{x.dtype.str[1:]}[{shape}{lie}]"


def stored():
    sections = PLANS.read_text(encoding="utf-8").split("\n== ")
    return {name: text for name, _, text in (part.partition(" ==\n") for part in sections[1:])}


@pytest.fixture(autouse=True)
def kernels_for_small_products(monkeypatch):
    monkeypatch.setattr(blas, "HAS_SMALL_KERNELS", True)


@pytest.mark.parametrize("name", one_in(2, list(CASES)))
def test_a_plan_is_as_it_was(name):
    text, step, given, results = planned(name)
    assert text.rstrip("\n") == stored()[name].rstrip("\n")
    if name != "ops_as_they_are":  # it draws
        for a, b in zip(arrays_of(results), arrays_of(step(*map(as_tensors, given))), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5 if a.itemsize < 8 else 1e-12, atol=1e-12)


def as_tensors(x):
    if isinstance(x, list):
        return [tg.tensor(part) for part in x]
    return x if isinstance(x, tg.Tensor) else tg.tensor(x)


if __name__ == "__main__":
    blas.HAS_SMALL_KERNELS = True
    parts = [f"== {name} ==\n{planned(name)[0]}" for name in CASES]
    PLANS.write_text("\n" + "\n".join(parts), encoding="utf-8")
    sys.stdout.write(f"{len(CASES)} plans\n")
