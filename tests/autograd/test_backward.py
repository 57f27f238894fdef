"""The rules of a backward pass: what it computes, skips, keeps, and refuses."""

import gc
import re
import threading
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor
from tinygrad_rnn.autograd.switches import observed, switched
from tinygrad_rnn.errors import GradientError, OpError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


def counted(calls, together=None):
    """An op y = x that counts how often its VJP runs."""

    def vjp(g, y, x):
        calls.append("vjp")
        return g

    @tg.op(vjp, together=together or {})
    def count(x):
        return x * 1.0

    return count


def test_a_pass_on_tensors_adds_to_the_gradient_that_is_there():
    """As it runs while a function is compiled."""
    x = leaf(2.0, 3.0)
    with switched(symbolic=True):
        for _ in range(2):
            (x * x).sum().backward()
    assert x.grad.data.tolist() == [8.0, 12.0]


@pytest.mark.parametrize("ops", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_chain_of_many_ops_builds_differentiates_prints_and_is_freed(ops):
    x = y = leaf(1.0)
    for _ in range(ops):
        y = -y
    y.backward()
    assert x.grad.item() == 1.0
    assert repr(y) == "tensor([1.], op=neg)"
    assert hash(y) == object.__hash__(y)
    assert (y == 1.0).item()
    root = weakref.ref(y)
    del y
    gc.collect()
    assert root() is None


def test_a_second_derivative_through_a_long_chain_does_not_recurse():
    x = y = tensor(0.5, requires_grad=True)
    for _ in range(5_000):
        y = y * 1.0001
    first = tg.grad(y * y, x, create_graph=True)
    np.testing.assert_allclose(tg.grad(first, x).item(), 2 * 1.0001**10_000, rtol=1e-9)


def test_a_graph_is_freed_without_the_collector():
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = ops.tanh(x * 2.0)
        reference = weakref.ref(y)
        loss = (y * y).sum()
        loss.backward()
        del y, loss
        assert reference() is None
    finally:
        gc.enable()


def test_backward_twice_adds_exactly_the_same_again():
    W, x = leaf(0.1, 0.2), leaf(1.0, 2.0)
    h = ops.tanh(W * x)
    y = (h * h + h).sum()
    y.backward()
    first = W.grad.data.copy()
    y.backward()
    np.testing.assert_array_equal(W.grad.data, 2 * first)
    assert h.grad is None


def test_backward_adds_to_what_is_in_grad_and_none_clears_it():
    x = leaf(3.0)
    x.grad = [10.0]
    (x * x).backward()
    assert x.grad.data.tolist() == [16.0]
    x.grad = None
    (x * x).backward()
    assert x.grad.data.tolist() == [6.0]


def test_accumulating_is_no_step_of_the_program():
    """What is in `.grad` is a value without history: observers are told of no forward."""
    x = leaf(3.0)
    x.grad = leaf(10.0)
    y, told = x * x, []
    with observed(lambda kind, *facts: told.append(kind)):
        y.backward()
    assert told == ["seed", "vjp", "vjp", "accumulate"]
    assert x.grad.item() == 16.0
    assert not x.grad.requires_grad


def test_a_diamond_is_differentiated_once_per_edge():
    x = leaf(3.0)
    y = x * x
    z = y + y * y
    z.backward()
    assert x.grad.item() == 2 * 3 + 4 * 27


def test_the_same_input_twice():
    x = leaf(3.0)
    (x + x).backward()
    (x * x).backward()
    assert x.grad.item() == 2 + 6


def test_rebinding_data_between_forward_and_backward_changes_no_gradient():
    W, x = leaf(2.0), leaf(5.0)
    y = W * x
    W.data = [100.0]
    y.backward()
    assert x.grad.item() == 2.0
    assert W.grad.item() == 5.0


def test_rebinding_data_then_create_graph_raises():
    W, x = leaf(2.0, name="W"), leaf(5.0)
    y = W * x
    W.data = W.data.copy()
    with pytest.raises(
        GradientError,
        match=r"'W': float64 \(1,\) was replaced after tensor float64 \(1,\) \(made by mul\)",
    ):
        tg.grad(y, x, create_graph=True)
    assert tg.grad(y, x).item() == 2.0


def test_grad_leaves_grad_alone_and_returns_what_it_was_given():
    x, unreached = leaf(3.0), leaf(1.0, 2.0)
    y = x * x
    assert tg.grad(y, x).item() == 6.0
    found = tg.grad(y, [x, unreached])
    assert isinstance(found, list)
    assert found[1].data.tolist() == [0.0, 0.0]
    assert tg.grad(y, (x,))[0].item() == 6.0
    assert tg.grad(y, []) == []
    assert x.grad is None
    assert unreached.grad is None


def test_grad_of_an_inner_tensor_and_of_the_output_itself():
    x = leaf(3.0)
    h = x * 2.0
    y = h * h
    dh, dx, dy = tg.grad(y, [h, x, y])
    assert (dh.item(), dx.item(), dy.item()) == (12.0, 24.0, 1.0)


def test_grad_does_not_walk_past_its_targets():
    calls = []
    x = leaf(3.0)
    h = counted(calls)(x)
    tg.grad(h * h, h)
    assert calls == []
    tg.grad(h * h, x)
    assert calls == ["vjp"]


def test_a_vjp_that_nobody_needs_is_not_computed():
    calls = []

    @tg.op(
        lambda g, y, a, b: calls.append("a") or g * b, lambda g, y, a, b: calls.append("b") or g * a
    )
    def product(a, b):
        return a * b

    product(tensor([2.0]), leaf(3.0)).backward()
    assert calls == ["b"]
    product(leaf(2.0), 3.0).backward()
    assert calls == ["b", "a"]
    a, b = leaf(2.0), leaf(3.0)
    tg.grad(product(a, b), [a])
    assert calls == ["b", "a", "a"]


def test_branches_that_do_not_reach_the_output_cost_nothing():
    calls = []
    x = leaf(1.0)
    unused = counted(calls)(x)
    (x * 2.0).backward()
    assert calls == []
    assert unused.requires_grad


@pytest.mark.parametrize("row", [lambda x, t: x[t], lambda x, t: ops.embedding(x, t)])
def test_indexing_in_a_loop_is_linear(monkeypatch, row):
    """One array of zeros for all T terms: the work is counted in elements, not timed."""
    made, zeros = [], np.zeros

    def counted_zeros(shape, *arguments, **options):
        made.append(np.prod(shape))
        return zeros(shape, *arguments, **options)

    monkeypatch.setattr(np, "zeros", counted_zeros)
    for length in (10, 100):
        made.clear()
        x = tensor(np.arange(2.0 * length).reshape(length, 2), requires_grad=True)
        h = tensor([0.0, 0.0])
        for t in range(length):
            h = h + row(x, t) * float(t)
        h.sum().backward()
        assert sum(made) == 2 * length
        expected = np.repeat(np.arange(float(length)), 2).reshape(length, 2)
        np.testing.assert_array_equal(x.grad.data, expected)


@pytest.mark.parametrize("create_graph", [False, True])
def test_deferred_sums_equal_the_sums_of_their_terms(create_graph):
    rng = np.random.default_rng(0)
    W = tensor(rng.standard_normal((3, 2)), requires_grad=True)
    xs = [tensor(rng.standard_normal((4, 2)), requires_grad=True) for _ in range(5)]
    gs = [rng.standard_normal((4, 3)) for _ in xs]
    y = tensor(0.0)
    for x, g in zip(xs, gs, strict=True):
        y = y + (ops.linear(x, W) * g).sum()
    y = y + (W * W).sum()
    expected = sum(g.T @ x.data for x, g in zip(xs, gs, strict=True)) + 2 * W.data
    np.testing.assert_allclose(tg.grad(y, W, create_graph=create_graph).data, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "slot"),
    [
        (lambda x, W: ops.linear(x, W), 1),
        (lambda x, W: x * W[0], 0),
        (lambda x, W: x * ops.embedding(W, 1), 0),
    ],
)
def test_what_every_step_shares_gets_its_terms_at_the_end(step, slot):
    """One product or one array of zeros for all steps, which is what a long sequence needs."""
    W, x = tensor(np.ones((2, 2)), requires_grad=True), leaf(0.5, -0.5)
    told = []
    with observed(lambda kind, *facts: told.append(facts) if kind == "vjp" else None):
        (step(x, W) + step(x, W)).sum().backward()
    to_W = [(number, term) for node, number, _, term in told if node.inputs[number] is W]
    assert to_W == [(slot, None)] * 2


def test_deferred_terms_are_summed_in_one_call():
    calls = []

    def together(gs, inputs, options):
        calls.append((len(gs), [x.tolist() for (x,) in inputs], options))
        return sum(gs)

    count = counted(calls, together={0: together})
    x = leaf(1.0)
    (count(x) + count(x) + count(x)).backward()
    ((count_of_terms, seen, options),) = calls
    assert (count_of_terms, seen, list(options)) == (3, [[1.0]] * 3, [{}] * 3)
    assert x.grad.item() == 3.0


def test_gradients_alias_neither_each_other_nor_any_input():
    x, y, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), np.array([5.0, 6.0])
    (x + y).backward(seed)
    found = [x.grad.data, y.grad.data, seed, x.data, y.data]
    for i, a in enumerate(found):
        for b in found[:i]:
            assert not np.shares_memory(a, b)
    assert not x.grad.data.flags.writeable
    before = x.grad.data
    (x * 1.0).sum().backward()
    assert before.tolist() == [5.0, 6.0]
    one, other = tg.grad(x + y, [x, y], gradient=seed)
    assert not np.shares_memory(one.data, other.data)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: leaf(1.0, 2.0).backward(),
            GradientError,
            r"tensor float64 \(2,\) is not a single number; reduce it",
        ),
        (
            lambda: tensor([], requires_grad=True).backward(),
            GradientError,
            r"\(0,\) is not a single number; reduce it",
        ),
        (
            lambda: tensor([1.0]).backward(),
            GradientError,
            r"tensor float64 \(1,\) depends on nothing that requires",
        ),
        (
            lambda: (tensor([1.0]) * 2.0).backward(),
            GradientError,
            "depends on nothing that requires a gradient; make",
        ),
        (
            lambda: leaf(1.0).detach().backward(),
            GradientError,
            "depends on nothing that requires a gradient",
        ),
        (
            lambda: leaf(1.0, 2.0).backward([1.0]),
            OpError,
            r"the gradient has shape \(1,\), but tensor.* needs \(2,\)",
        ),
        (
            lambda: leaf(1.0).backward([1.0, 2.0]),
            OpError,
            r"the gradient has shape \(2,\), but tensor.* needs \(1,\)",
        ),
        (
            lambda: leaf(1.0).backward(1.0),
            OpError,
            r"the gradient has shape \(\), but tensor.* needs \(1,\)",
        ),
        (lambda: leaf(1.0).backward("x"), OpError, "a str of dtype <U1"),
        (lambda: tg.grad(1.0, leaf(1.0)), GradientError, "backward: 1.0 depends on nothing"),
        (
            lambda: tg.grad(leaf(1.0), tensor([1.0])),
            GradientError,
            "grad: the input tensor .* requires no gradient",
        ),
        (lambda: tg.grad(leaf(1.0), [3]), GradientError, "grad: the input 3 requires no gradient"),
        (lambda: tg.grad(leaf(1.0, 2.0), leaf(1.0)), GradientError, "not a single number"),
    ],
)
def test_bad_passes_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_seed_takes_the_outputs_dtype():
    x = leaf(1.0, dtype=np.float32)
    (x * x).backward([2])
    assert x.grad.dtype == np.float32
    assert x.grad.item() == 4.0


@pytest.mark.parametrize(("dtype", "other"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_a_gradient_has_its_tensors_dtype_whatever_the_seeds(dtype, other):
    x = leaf(1.0, dtype=dtype)
    x.backward(np.array([2.0], other))
    assert x.grad.dtype == dtype
    assert tg.grad(x, x, gradient=tensor([2.0], dtype=other)).dtype == dtype


def test_a_given_gradient_that_is_a_tensor():
    x = leaf(3.0)
    (x * x).backward(tensor([0.5]))
    assert x.grad.item() == 3.0


def test_an_output_that_is_a_leaf():
    x = leaf(3.0)
    x.backward()
    x.backward([2.0])
    assert x.grad.item() == 3.0


def test_mixed_dtypes_give_each_input_its_own():
    a, b = leaf(1.0, 2.0), leaf(1.0, 2.0, dtype=np.float32)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float64, np.float32)


def test_what_is_broadcast_along_a_long_axis():
    """Longer than the numbers that Python keeps once: a comparison by identity would fail."""
    row = tensor(np.ones(1000), requires_grad=True)
    column = tensor(np.ones((3, 1)), requires_grad=True)
    (row * column).sum().backward()
    assert row.grad.data.tolist() == [3.0] * 1000
    assert column.grad.data.tolist() == [[1000.0]] * 3


def test_an_input_without_a_vjp_gets_no_gradient():
    condition, x = leaf(1.0, 0.0), leaf(2.0, 3.0)
    ops.where(condition * 1.0, x, 0.0).sum().backward()
    assert condition.grad is None
    assert x.grad.data.tolist() == [1.0, 0.0]
    assert tg.grad(ops.where(condition, x, 0.0).sum(), condition).data.tolist() == [0.0, 0.0]


# Gradients of gradients


def test_third_derivative():
    x = tensor(2.0, requires_grad=True)
    y = x**4.0
    for expected in (32.0, 48.0, 48.0):
        y = tg.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_without_create_graph_the_result_is_a_leaf():
    x = tensor(2.0, requires_grad=True)
    assert tg.grad(x * x, x).is_leaf
    assert not tg.grad(x * x, x).requires_grad


def test_create_graph_works_inside_no_grad():
    x = tensor(2.0, requires_grad=True)
    y = x * x * x
    with tg.no_grad():
        first = tg.grad(y, x, create_graph=True)
    assert tg.grad(first, x).item() == 12.0


def test_a_recorded_pass_holds_the_formulas_and_nothing_else():
    a, b = leaf(1.0, 2.0), tensor([[3.0], [4.0]], requires_grad=True)
    of_a, of_b = tg.grad(a * b, [a, b], gradient=np.ones((2, 2)), create_graph=True)
    for found in (of_a, of_b):
        summed = found.inputs[0]
        product = summed.inputs[0]
        assert [t.op.name for t in (found, summed, product)] == ["reshape", "sum", "mul"]
    c = leaf(5.0, 6.0)
    of_a, of_c = tg.grad(a * c, [a, c], gradient=[1.0, 1.0], create_graph=True)
    assert (of_a.op.name, of_c.op.name) == ("mul", "mul")
    assert (of_a.inputs[1], of_c.inputs[1]) == (c, a)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "part", [lambda x, i: x[i : i + 1], lambda x, i: ops.embedding(x.reshape(3, 1), [i])]
)
def test_a_vjp_may_return_an_array_though_the_pass_is_recorded(part, order):
    """A term without a graph, added to one that has a graph, leaves that graph as it is."""

    @tg.op(lambda g, y, x: np.ones(x.shape))
    def total(x):
        return np.sum(x)

    x = leaf(1.0, 2.0, 3.0)
    terms = [lambda: total(part(x, 0)), lambda: (part(x, 1) ** 2).sum()][::order]
    found = tg.grad(terms[0]() + terms[1](), x, create_graph=True)
    assert found.data.tolist() == [1.0, 4.0, 0.0]
    assert tg.grad(found.sum(), x).data.tolist() == [0.0, 2.0, 0.0]


def test_the_gradient_is_a_function_of_the_seed():
    x = leaf(1.0, 2.0)
    seed = leaf(1.0, 1.0)
    first = tg.grad(x * x, x, gradient=seed, create_graph=True)
    np.testing.assert_array_equal(tg.grad(first.sum(), seed).data, [2.0, 4.0])


def test_second_derivative_where_a_number_is_an_operand():
    x = tensor(3.0, requires_grad=True)
    first = tg.grad(2.0 * x * x + x * 3.0, x, create_graph=True)
    assert first.item() == 15.0
    assert tg.grad(first, x).item() == 4.0


# Hooks and retain_grad


def test_retain_grad_keeps_an_inner_gradient():
    x = leaf(3.0)
    h = x * 2.0
    assert not x.retains_grad
    assert not h.retains_grad
    h.retain_grad()
    assert h.retains_grad
    (h * h).backward()
    assert h.grad.item() == 12.0
    (h * h).backward()
    assert h.grad.item() == 24.0


def test_a_hook_sees_the_complete_gradient_and_may_replace_it():
    x = leaf(3.0)
    h = x * 2.0
    seen = []
    remove = h.register_hook(lambda g: seen.append(g.item()))
    h.register_hook(lambda g: g * 10.0)
    h.register_hook(lambda g: np.array([g.item() + 1.0]))
    (h + h).backward()
    assert seen == [2.0]
    assert x.grad.item() == 2 * (2 * 10 + 1)
    remove()
    remove()
    (h + h).backward()
    assert seen == [2.0]


def test_a_removed_hook_leaves_those_registered_later():
    x = leaf(1.0)
    seen = []
    remove = x.register_hook(lambda g: seen.append("first"))
    x.register_hook(lambda g: seen.append("second"))
    remove()
    x.backward()
    assert seen == ["second"]


def test_a_hook_on_a_leaf_changes_what_is_accumulated():
    x = leaf(3.0)
    x.register_hook(lambda g: g * 0.5)
    (x * x).backward()
    assert x.grad.item() == 3.0
    assert tg.grad(x * x, x).item() == 3.0


def test_a_hook_is_differentiated_with_create_graph():
    x = tensor(3.0, requires_grad=True)
    h = x * x
    h.register_hook(lambda g: g * x)
    first = tg.grad(h, x, create_graph=True)  # x · 2x
    assert first.item() == 18.0
    assert tg.grad(first, x).item() == 12.0


@pytest.mark.parametrize("returned", [[], [1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]]])
def test_a_hook_that_returns_another_shape_is_refused(returned):
    x = leaf(1.0, 2.0, name="x")
    x.register_hook(lambda g: tensor(returned))
    got = re.escape(f"{np.shape(returned)}")
    with pytest.raises(
        GradientError, match=rf"hook: 'x': float64 \(2,\) needs a gradient of its shape, got {got}"
    ):
        x.backward([1.0, 1.0])


@pytest.mark.parametrize("method", ["retain_grad", "register_hook"])
def test_hooks_need_a_gradient(method):
    with pytest.raises(
        GradientError, match=rf"{method}: tensor float64 \(1,\) requires no gradient"
    ):
        getattr(tensor([1.0]), method)(*([lambda g: None] if method == "register_hook" else []))


# Threads


def test_eight_threads_are_independent():
    shared = tensor(np.linspace(0.1, 0.9, 5), requires_grad=True)
    barrier = threading.Barrier(8)
    wrong = []

    def work(k):
        barrier.wait()
        for _ in range(50):
            if k % 2:
                with tg.no_grad():
                    if (shared * 2.0).requires_grad:
                        wrong.append(k)
            x = tensor([float(k)], requires_grad=True)
            y = x
            for _ in range(20):
                y = y * 1.0 + ops.tanh(shared).sum() * 0.0
            y.backward() if k == 0 else None
            if tg.grad(y, x).item() != 1.0:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# NaN and inf


@pytest.mark.parametrize(
    ("call", "values"),
    [
        (lambda x: x - x, [np.inf]),
        (lambda x: x * 0.0, [np.inf, np.nan]),
        (ops.log, [0.0, -1.0, np.inf]),
        (lambda x: x / 0.0, [1.0, 0.0]),
        (ops.exp, [1e4, np.inf, -np.inf]),
        (ops.sqrt, [-1.0, 0.0]),
        (ops.softmax, [np.inf, 1.0]),
        (ops.logsumexp, [np.nan, 1.0]),
        (lambda x: ops.concatenate([x, x * 1e300]), [1e300]),
        (lambda x: x.sum(), [np.inf, -np.inf]),
        (lambda x: x @ x, [np.inf, -np.inf, 0.0]),
        (lambda x: x.mean(), []),
        (lambda x: x ** np.array(-0.5), [0.0, -1.0]),
    ],
)
def test_nan_and_inf_are_numpys_result_without_a_warning(call, values):
    x = tensor(values, dtype=float, requires_grad=True)  # warnings are errors in these tests
    y = call(x)
    with np.errstate(all="ignore"):
        y.sum().backward()
    assert x.grad.shape == x.shape
    first = tg.grad(call(x).sum(), x, create_graph=True)
    if first.requires_grad:
        assert tg.grad(first.sum(), x).shape == x.shape
