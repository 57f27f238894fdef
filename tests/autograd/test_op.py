"""Ops of one's own: what they may be, and what is said when they are wrong."""

import gc
import warnings
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor
from tinygrad_rnn.autograd.op import Op, unbroadcast
from tinygrad_rnn.errors import GradcheckError, GradientError, OpError, TinygradError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


def made(*vjps, **options):
    @tg.op(*vjps, **options)
    def mine(x):
        return x * 2.0

    return mine


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_error_whose_text_cannot_be_had_is_refused_like_others(failure):
    class Mute(ValueError):
        def __str__(self):
            raise failure

    @tg.op(None)
    def mute(x):
        raise Mute

    text = rf"mute\(float64 \(1,\)\): \(its message could not be read: {failure.__name__}\)"
    with pytest.raises(OpError, match=text.replace("float64", ".*float64")):
        mute(tg.tensor([1.0]))


class Endless:
    def __repr__(self):
        return "\x1b[31m" * 1_000_000


class NoRepr:
    def __repr__(self):
        raise TypeError


@pytest.mark.parametrize("value", [Endless(), NoRepr(), "\x1b[31m" * 1_000_000, [7] * 100_000])
@pytest.mark.parametrize(
    "refused",
    [
        lambda value: leaf(1.0).reshape(value),
        lambda value: leaf(1.0)[value],
        lambda value: leaf(1.0).sum(axis=value),
        lambda value: tg.scope(value if isinstance(value, list) else [value]),
    ],
    ids=["reshape", "index", "axis", "scope"],
)
def test_an_error_shows_as_much_of_a_value_as_anyone_reads(refused, value):
    with pytest.raises((TinygradError, TypeError)) as caught:
        refused(value)
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_what_an_error_repeats_acts_on_no_terminal_and_ends():
    assert str(TinygradError("a\x1b[31m\u200b\nb")) == "a␛[31m<U+200B>\nb"
    assert len(str(TinygradError("W" * 1_000_000))) == 4000


def test_an_op_with_a_true_gradient_is_checked_and_differentiated_twice():
    @tg.op(lambda g, y, x: g / (1 + np.exp(-x)))
    def softplus(x):
        """Softplus: y = ln(1 + eˣ); x̄ = ȳ / (1 + e⁻ˣ)."""
        return np.logaddexp(0, x)

    x = leaf(-1.0, 0.0, 2.0)
    assert tg.gradcheck(softplus, x)
    assert tg.gradgradcheck(softplus, x)
    assert softplus.__name__ == softplus.op.name == "softplus"
    assert softplus.__doc__.startswith("Softplus")
    assert softplus(x).op is softplus.op


def test_an_op_with_options_and_operands_of_its_own():
    @tg.op(lambda g, y, a, b, power, scale: g * scale * power * a ** (power - 1), None)
    def weighted(a, b, power, scale=3.0):
        return scale * a**power + b

    a = leaf(2.0)
    y = weighted(a, 1.0, 2)
    assert y.item() == 13.0
    assert weighted(a, 1.0, power=2, scale=1.0).item() == 5.0
    y.backward()
    assert a.grad.item() == 12.0
    assert y.options == {"power": 2, "scale": 3.0}
    with pytest.raises(
        OpError, match=r"weighted\(tensor float64 \(1,\), 1.0, scale=3.0\): .*missing 1 required"
    ):
        weighted(a, 1.0)
    with pytest.raises(TypeError, match="weighted takes at most 4 arguments, got 5"):
        weighted(a, 1.0, 2, 3.0, 4)
    with pytest.raises(TypeError, match="sum takes at most 3 arguments, got 4"):
        tg.ops.sum(a, 0, True, 1)
    with pytest.raises(
        TypeError, match=r"weighted has the options \['power', 'scale'\], not \['cube'\]"
    ):
        weighted(a, 1.0, cube=2)
    with pytest.raises(
        TypeError, match=r"weighted has the options .*, not \['power'\] beside \['power'\]"
    ):
        weighted(a, 1.0, 2, power=3)


def test_an_option_is_kept_as_it_was():
    index = np.array([0, 1])
    x = leaf(1.0, 2.0, 3.0)
    y = x[index]
    index[:] = 2
    y.sum().backward()
    assert x.grad.data.tolist() == [1.0, 1.0, 0.0]
    nested = [0, 1]
    y = x[(nested,)]
    nested[0] = 2
    (kept,) = y.options["index"]
    assert kept.tolist() == [0, 1]


def test_an_option_may_be_a_tensor_without_a_gradient():
    x = leaf(1.0, 2.0)
    assert x[tensor([1, 0])].data.tolist() == [2.0, 1.0]
    assert x[tensor(1)].item() == 2.0
    with pytest.raises(
        OpError,
        match=r"getitem: index = tensor float64 \(1,\) would lose its gradient; detach\(\) it",
    ):
        x[leaf(1.0)]
    with pytest.raises(OpError, match=r"getitem: index = .*would lose its gradient"):
        x[(leaf(1.0),)]


@pytest.mark.parametrize(
    ("vjp", "message"),
    [
        (
            lambda g, y, x: g[:1],
            r"mine: the VJP of input 0 returned shape \(1,\), but the input has shape \(2,\)",
        ),
        (
            lambda g, y, x: np.zeros(3),
            r"mine: the VJP of input 0 returned shape \(3,\), but the input has shape \(2,\)",
        ),
        (
            lambda g, y, x: g.sum(),
            r"mine: the VJP of input 0 returned shape \(\), but the input has shape \(2,\)",
        ),
        (
            lambda g, y, x: (g, g),
            r"mine: the VJP of input 0 returned a <class 'tuple'>, not one array; give @op one VJP",
        ),
        (lambda g, y, x: None, r"returned a <class 'NoneType'>, not one array"),
        (lambda g, y, x: 0.0, r"returned a <class 'float'>, not one array"),
        (
            lambda g, y, x: g + 1j,
            r"mine: the VJP of input 0 returned dtype complex128, but the input has float64",
        ),
        (lambda g, y, x: g.astype(object), r"returned dtype object, but the input has float64"),
        (lambda g, y, x: g.astype(str), r"returned dtype <U32, but the input has float64"),
    ],
)
def test_a_vjp_of_the_wrong_shape_dtype_or_count_is_named(vjp, message):
    y = made(vjp)(leaf(1.0, 2.0))
    with pytest.raises(GradientError, match=message):
        y.backward([1.0, 1.0])


def test_what_a_vjp_returns_is_summed_over_what_was_broadcast_and_cast():
    row = tensor(np.ones((1, 2)), requires_grad=True)
    made(lambda g, y, x: np.ones((3, 4, 2), np.float32))(row).sum().backward()
    assert row.grad.dtype == np.float64
    assert row.grad.data.tolist() == [[12.0, 12.0]]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("returned", "wanted"), [(np.float32, np.float64), (np.float64, np.float32)]
)
def test_what_a_vjp_returns_has_its_inputs_dtype_afterwards(returned, wanted, create_graph):
    x = leaf(1.0, 2.0, dtype=wanted)
    y = made(lambda g, y, x: (2.0 * g).astype(returned))(x)
    found = tg.grad(y, x, gradient=[1.0, 1.0], create_graph=create_graph)
    assert found.dtype == wanted
    assert found.data.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("shape", "like"),
    [((3, 2), (3, 2)), ((3, 2), (2,)), ((3, 2), (1, 2)), ((3, 2), ()), ((4, 3, 2), (3, 1))],
)
def test_unbroadcasting_is_the_adjoint_of_broadcasting(shape, like):
    rng = np.random.default_rng(0)
    term, x = rng.standard_normal(shape), rng.standard_normal(like)
    summed = unbroadcast(term, x)
    assert summed.shape == like
    assert np.sum(summed * x) == pytest.approx(np.sum(term * np.broadcast_to(x, shape)))


def test_unbroadcasting_gives_the_dtype_of_the_input():
    assert unbroadcast(np.ones((2, 3)), np.zeros(3, np.float32)).dtype == np.float32


def test_an_op_says_what_it_is():
    kinds = {function.op.name: function.op.kind for function in (ops.add, ops.linear, ops.sum)}
    assert kinds == {"add": "elementwise", "linear": "product", "sum": "reduction"}
    assert (ops.stack.op.kind, ops.softmax.op.kind, ops.matmul.op.kind) == (
        "move", "along", "product",
    )  # fmt: skip
    assert (ops.add.op.sign, ops.tanh.op.sign, ops.linear.op.sign) == ("+", "tanh", "×")
    assert made(None).op.kind == "other"
    assert ops.tanh.op.function is ops.tanh
    assert [ops.where.op.differentiable(slot) for slot in range(3)] == [False, True, True]


@pytest.mark.parametrize("g", [np.ones((2, 3)), tensor(np.ones((2, 3)))])
def test_a_vjp_is_of_the_shape_of_its_input(g):
    x, b = np.ones((2, 3)), np.ones(3)
    assert ops.mul.op.vjp(1, g, x * b, (x, b), {}).shape == (3,)
    assert ops.where.op.vjp(0, g, x, (x > 0, x, b), {}) is None
    assert ops.stack.op.vjp(1, g, x, (b, b), {"axis": 0}).shape == (3,)


def test_fewer_inputs_than_vjps():
    with pytest.raises(
        OpError, match="@op: mine takes fewer inputs than it has VJPs: give one each"
    ):
        made(lambda g, y, x: g, lambda g, y, x: g)


def test_the_wrong_number_of_operands():
    with pytest.raises(TypeError, match="mine takes 1 operands, got 2"):
        made(lambda g, y, x: g)(leaf(1.0), leaf(1.0))
    with pytest.raises(TypeError, match="add takes 2 operands, got 3"):
        ops.add(leaf(1.0), leaf(1.0), leaf(1.0))
    with pytest.raises(TypeError, match="where takes 3 operands, got 1"):
        np.where(leaf(1.0))


def test_a_wrong_formula_is_found():
    with pytest.raises(
        GradcheckError, match=r"gradcheck: 2 wrong .*\n  mine: gradient at input 0\[0\]: "
    ):
        tg.gradcheck(made(lambda g, y, x: g * 3.0), leaf(1.0, 2.0))


def test_a_forward_that_returns_a_number_gives_a_tensor():
    @tg.op(lambda g, y, x: g * np.ones(x.shape))
    def total(x):
        return float(np.sum(x))

    y = total(leaf(1.0, 2.0))
    assert type(y.data) is np.ndarray
    assert y.shape == ()


def test_a_forward_that_writes_into_its_input_is_stopped():
    @tg.op(lambda g, y, x: g)
    def careless(x):
        x += 1.0
        return x

    with pytest.raises(
        OpError, match=r"careless\(tensor float64 \(1,\)\): output array is read-only"
    ):
        careless(leaf(1.0))


def test_a_vjp_that_writes_into_its_cotangent_is_stopped():
    """It may be the cotangent of another, too, and a recording keeps it."""

    @tg.op(lambda g, y, x: np.multiply(g, 2.0, out=g))
    def twice(x):
        return x * 2.0

    @tg.op(lambda i, g, y, xs: np.multiply(g, 2.0, out=g), variadic=True)
    def twice_the_sum(xs):
        return 2.0 * sum(xs)

    for y in (twice(leaf(1.0)), twice_the_sum([leaf(1.0)])):
        with pytest.raises(ValueError, match="read-only"):
            y.sum().backward()


@pytest.mark.filterwarnings("always")
def test_numpy_warns_unless_the_op_is_quiet():
    """An op of the table is quiet outside its domain; an op of one's own decides."""

    def reciprocal(x):
        return 1 / x

    x = leaf(0.0)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert tg.op(None)(reciprocal)(x).item() == np.inf
    with warnings.catch_warnings(record=True) as said:
        assert tg.op(None, quiet=True)(reciprocal)(x).item() == np.inf
    assert said == []


OF_ONE = [
    name
    for name in ops.__all__
    if isinstance(op := getattr(getattr(ops, name), "op", None), Op)
    and (op.kind, len(op.vjps)) == ("elementwise", 1)
    and name != "invert"  # of integers alone
]


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("name", OF_ONE)
def test_a_function_of_the_table_is_quiet_at_its_poles_and_outside_its_domain(name):
    x = leaf(-np.inf, -2.0, -1.0, 0.0, 1.0, 2.0, np.inf, np.nan)
    with warnings.catch_warnings(record=True) as said:
        y = getattr(ops, name)(x)
        if y.requires_grad:  # not so isnan
            y.backward(np.ones(x.shape))
    assert said == []


def test_an_option_is_as_it_was_when_the_op_ran():
    @tg.op(lambda g, y, x, weights: g * weights[0])
    def weighed(x, weights):
        return x * weights[0]

    weights, x = [2.0], leaf(3.0)
    y = weighed(x, weights)
    weights[0] = 5.0
    y.backward()
    assert x.grad.item() == 2.0


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("call", "values", "result"),
    [
        (ops.exp, [1000.0], [np.inf]),
        (ops.log, [0.0, -1.0], [-np.inf, np.nan]),
        (ops.sqrt, [-1.0], [np.nan]),
        (lambda x: x / x, [0.0], [np.nan]),
        (lambda x: x**-1.0, [0.0], [np.inf]),
        (lambda x: x.mean(), [], np.nan),
        (ops.softmax, [np.inf, 0.0], [np.nan, np.nan]),
        (ops.log_softmax, [np.inf, 0.0], [np.nan, np.nan]),
        (ops.logsumexp, [np.inf, 0.0], np.inf),
        (ops.logsumexp, [-np.inf, -np.inf], -np.inf),
        (lambda x: ops.cross_entropy(x, 1), [np.inf, 0.0], np.nan),
    ],
)
def test_what_has_a_limited_domain_gives_nan_and_inf_without_a_warning(call, values, result):
    with warnings.catch_warnings(record=True) as said:
        np.testing.assert_array_equal(
            call(leaf(*values) if values else tensor(np.zeros(0))).data, result
        )
    assert said == []


def test_an_error_that_is_no_refusal_is_left_alone():
    @tg.op(None)
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        broken(leaf(1.0))


def test_an_op_may_serve_a_numpy_function():
    @tg.op(lambda g, y, x: g / (1 + x * x), numpy=np.arctan)
    def arctan(x):
        """Inverse tangent: y = arctan x; x̄ = ȳ / (1 + x²)."""

    try:
        assert tg.gradcheck(np.arctan, leaf(0.5, -2.0))
    finally:
        from tinygrad_rnn.autograd.op import NUMPY

        del NUMPY[np.arctan]


def test_a_variadic_op_is_told_the_inputs_number():
    @tg.op(lambda i, g, y, xs: g * (i + 1), variadic=True)
    def ranked(xs):
        return sum((k + 1) * x for k, x in enumerate(xs))

    assert tg.gradcheck(lambda *xs: ranked(xs), [leaf(1.0), leaf(2.0), leaf(3.0)])
    x = leaf(1.0)
    ranked([x, 1.0, x]).backward()
    assert x.grad.item() == 4.0


def test_the_vjp_of_a_variadic_op_gets_its_inputs_unpacked_by_nobody():
    """Unpacked for each of T inputs, they would cost T² in a stack of all timesteps."""
    seen = []

    @tg.op(lambda i, g, y, xs: seen.append(xs) or g, variadic=True)
    def added(xs):
        return sum(xs)

    y = added([leaf(1.0), leaf(2.0), leaf(3.0)])
    y.backward()
    assert [xs is y.arrays for xs in seen] == [True] * 3


def test_unneeded_results_keep_no_history():
    y = tensor([1.0]) * 2.0
    assert (y.inputs, y.arrays, y.options, y.op) == ((), (), {}, None)
    with tg.no_grad():
        y = leaf(1.0) * 2.0
    assert (y.requires_grad, y.inputs, y.is_leaf) == (False, (), True)


def test_a_node_keeps_the_arrays_that_its_forward_saw():
    x = leaf(1.0)
    y = x * 2.0
    assert y.inputs == (x, None)
    assert y.arrays[0] is x.data
    assert y.arrays[1] == 2.0
    assert y.id > x.id


def test_nan_is_a_value_where_numpy_raises_errors():
    with np.errstate(all="raise"):
        assert np.isnan((tg.tensor(np.inf) - tg.tensor(np.inf)).data)
        assert (tg.tensor(1e308) * tg.tensor(10.0)).item() == np.inf


def test_ops_that_are_defined_in_a_loop_are_freed():
    def define(k):
        @tg.op(lambda g, y, x: g * k)
        def scaled(x):
            return x * k

        scaled(leaf(1.0)).backward()
        return weakref.ref(scaled)

    defined = [define(k) for k in range(2_000)]
    gc.collect()
    assert not [reference for reference in defined if reference() is not None]


@pytest.mark.parametrize(
    "made",
    [None, (1.0, 2.0), [np.ones(2), np.ones(2)], "text", 1j, np.ma.array([1.0]), (i for i in "a")],
)
def test_an_op_that_makes_no_array_of_numbers_is_told_at_once(made):
    wrong = tg.op(lambda g, y, x: g)(lambda x: made)
    with pytest.raises(OpError, match=r"it makes a .* of dtype .*, and an op makes one array of n"):
        wrong(tensor([1.0, 2.0]))
