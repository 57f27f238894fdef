"""Laws that every gradient obeys, whatever the program: Hypothesis looks for a counterexample."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import broadcasts, programs, seeds, shapes
from tables import examples

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor
from tinygrad_rnn.autograd.backward import cotangents_of

# A second derivative of a whole program costs much; test_ops.py and the oracle look at them too.
FEW = settings(max_examples=examples(20))
ELEMENTWISE = st.sampled_from([ops.tanh, ops.sigmoid, ops.exp, ops.sin, ops.cos, ops.neg])
BINARY = st.sampled_from([ops.add, ops.sub, ops.mul, ops.div, ops.maximum, ops.minimum])


def random(seed, *all_shapes):
    """Values at least 0.02 from 0 and from each other, as kinks need it."""
    rng = np.random.default_rng(seed)
    count = sum(int(np.prod(shape)) for shape in all_shapes)
    values = 0.05 * rng.permutation(np.arange(1, count + 1)) * rng.choice([-1.0, 1.0], count)
    parts = np.split(values, np.cumsum([int(np.prod(shape)) for shape in all_shapes])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, all_shapes, strict=True)]


def leaves_of(program):
    return [tensor(a, requires_grad=True) for a in program.arrays()]


@given(programs())
def test_random_programs_agree_with_finite_differences(program):
    assert tg.gradcheck(lambda *xs: program.run(ops, xs), leaves_of(program), rtol=2e-6, atol=1e-7)


@given(programs(most=8))
@FEW
def test_random_programs_agree_with_finite_differences_twice(program):
    assert tg.gradgradcheck(
        lambda *xs: program.run(ops, xs), leaves_of(program), rtol=1e-5, atol=1e-6
    )


@given(programs())
def test_the_pass_computes_what_its_definition_says(program):
    xs = leaves_of(program)
    y = program.run(ops, xs).sum()
    defined = cotangents_of(y)
    for x, g in zip(xs, tg.grad(y, xs), strict=True):
        expected = defined.get(x, np.zeros(x.shape))
        np.testing.assert_allclose(g.data, expected, rtol=1e-12, atol=1e-12)


@given(programs(), seeds)
def test_backward_is_linear_in_the_cotangent(program, seed):
    xs = leaves_of(program)
    y = program.run(ops, xs)
    u, v = np.random.default_rng(seed).standard_normal((2, *y.shape))
    mixed = tg.grad(y, xs, gradient=2 * u - 3 * v)
    for whole, a, b in zip(
        mixed, tg.grad(y, xs, gradient=u), tg.grad(y, xs, gradient=v), strict=True
    ):
        np.testing.assert_allclose(whole.data, 2 * a.data - 3 * b.data, rtol=1e-9, atol=1e-9)


@given(programs(least=4), st.data())
def test_the_chain_rule_holds_at_every_cut(program, data):
    """A pass to any values that separate output and leaves, and on from there, is the whole."""
    cut = data.draw(st.integers(1, len(program.steps) - 1))
    xs = leaves_of(program)
    first = type(program)(program.seed, program.leaves, program.steps[:cut])
    values = list(xs)
    for k in range(cut):
        part = type(program)(program.seed, len(values), (program.steps[k],))
        values.append(part.run(ops, values))
    middle = [tensor(v.data, requires_grad=True) for v in values]
    rest = type(program)(program.seed, len(values), program.steps[cut:])
    y = rest.run(ops, middle)
    g = np.random.default_rng(0).standard_normal(y.shape)
    through = sum(
        (v * m.data).sum() for v, m in zip(values, tg.grad(y, middle, gradient=g), strict=True)
    )
    whole = tg.grad(program.run(ops, xs), xs, gradient=g)
    assert first.steps + rest.steps == program.steps
    for a, b in zip(whole, tg.grad(through, xs), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-9)


@given(programs())
def test_no_input_is_changed_and_no_gradient_shares_memory(program):
    xs = leaves_of(program)
    before = [x.data.copy() for x in xs]
    y = program.run(ops, xs)
    seed = np.ones(y.shape)
    y.backward(seed)
    found = [x.grad.data for x in xs if x.grad is not None]
    for x, values in zip(xs, before, strict=True):
        np.testing.assert_array_equal(x.data, values)
    arrays = [*found, seed, *(x.data for x in xs)]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
    np.testing.assert_array_equal(seed, 1.0)


@given(programs())
def test_backward_twice_doubles_exactly(program):
    xs = leaves_of(program)
    y = program.run(ops, xs).sum()
    y.backward()
    once = [None if x.grad is None else x.grad.data for x in xs]
    y.backward()
    for x, first in zip(xs, once, strict=True):
        if first is not None:
            np.testing.assert_array_equal(x.grad.data, 2 * first)


@given(programs())
def test_recording_changes_no_value_and_create_graph_no_gradient(program):
    xs = leaves_of(program)
    y = program.run(ops, xs)
    with tg.no_grad():
        np.testing.assert_array_equal(program.run(ops, xs).data, y.data)
    plain, recorded = tg.grad(y.sum(), xs), tg.grad(y.sum(), xs, create_graph=True)
    for a, b in zip(plain, recorded, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12, atol=1e-12)


@given(BINARY, broadcasts(), seeds)
def test_broadcasting_is_explicit_tiling(op, drawn, seed):
    a_shape, b_shape, whole = drawn
    a, b = (tensor(x, requires_grad=True) for x in random(seed, a_shape, b_shape))
    implicit, explicit = op(a, b), op(ops.broadcast_to(a, whole), ops.broadcast_to(b, whole))
    np.testing.assert_array_equal(implicit.data, explicit.data)
    g = np.random.default_rng(seed).standard_normal(whole)
    for x, y in zip(
        tg.grad(implicit, [a, b], gradient=g), tg.grad(explicit, [a, b], gradient=g), strict=True
    ):
        np.testing.assert_allclose(x.data, y.data, rtol=1e-9, atol=1e-9)


@given(ELEMENTWISE, shapes(), seeds)
def test_elementwise_ops_do_not_see_the_shape(op, shape, seed):
    (values,) = random(seed, shape)
    x = tensor(values, requires_grad=True)
    y, flat = op(x), op(x.reshape(-1)).reshape(shape)
    np.testing.assert_array_equal(y.data, flat.data)
    g = np.random.default_rng(seed).standard_normal(shape)
    np.testing.assert_array_equal(tg.grad(y, x, gradient=g).data, tg.grad(flat, x, gradient=g).data)


@given(shapes(least=1), st.data(), seeds)
def test_reductions_follow_a_permutation_of_the_axes(shape, data, seed):
    order = data.draw(st.permutations(range(len(shape))))
    op = data.draw(st.sampled_from([ops.sum, ops.mean, ops.max, ops.min, ops.logsumexp]))
    axis = data.draw(st.sampled_from([None, *range(len(shape))]))
    (values,) = random(seed, shape)
    x = tensor(values, requires_grad=True)
    moved = None if axis is None else order.index(axis)
    y, z = op(x, axis=axis).sum(), op(x.transpose(tuple(order)), axis=moved).sum()
    np.testing.assert_allclose(y.data, z.data, rtol=1e-12)
    np.testing.assert_allclose(tg.grad(y, x).data, tg.grad(z, x).data, rtol=1e-9, atol=1e-12)


@given(shapes(least=1).filter(bool), st.data(), seeds)
def test_split_and_concatenate_are_inverses(shape, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[axis]), max_size=3)))
    (values,) = random(seed, shape)
    x = tensor(values, requires_grad=True)
    y = ops.concatenate(ops.split(x, cuts, axis), axis)
    z = ops.stack(ops.unstack(x, axis), axis)
    g = np.random.default_rng(seed).standard_normal(shape)
    for whole in (y, z):
        np.testing.assert_array_equal(whole.data, values)
        np.testing.assert_array_equal(tg.grad(whole, x, gradient=g).data, g)


@given(shapes(least=1).filter(bool), st.data(), seeds)
def test_scattering_is_the_adjoint_of_indexing(shape, data, seed):
    """⟨x[i], g⟩ = ⟨x, scatter(g, i)⟩ for every x, i and g."""
    index = data.draw(
        st.integers(-shape[0], shape[0] - 1)
        | st.slices(shape[0])
        | st.lists(st.integers(0, shape[0] - 1), min_size=1, max_size=4)
    )
    (values,) = random(seed, shape)
    x = tensor(values, requires_grad=True)
    y = x[index]
    g = np.random.default_rng(seed).standard_normal(y.shape)
    back = tg.grad(y, x, gradient=g).data
    np.testing.assert_allclose(np.sum(y.data * g), np.sum(values * back), rtol=1e-9, atol=1e-12)
