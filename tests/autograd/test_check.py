"""gradcheck and gradgradcheck: what they find, how they say it, what they refuse to check."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor
from tinygrad_rnn.errors import GradcheckError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


def wrong(by):
    @tg.op(lambda g, y, x: g * (1 - y * y) * by)
    def tanh_(x):
        return np.tanh(x)

    return tanh_


def test_true_gradients_pass():
    assert tg.gradcheck(ops.tanh, leaf(0.5, -1.0)) is True
    assert tg.gradgradcheck(ops.tanh, leaf(0.5, -1.0)) is True
    assert tg.gradcheck(ops.mul, [leaf(0.5), tensor([2.0])])


def test_the_report_names_op_input_index_and_both_numbers():
    x = leaf(0.5, 1.0, name="x")
    with pytest.raises(GradcheckError) as caught:
        tg.gradcheck(lambda a, x: wrong(1.1)(x), [leaf(0.0), x])
    report = caught.value.report
    assert [(m.op, m.input, m.index) for m in report] == [
        ("tanh_", "x", (0,)),
        ("tanh_", "x", (1,)),
    ]
    for mismatch in report:
        assert mismatch.analytic == pytest.approx(1.1 * mismatch.numeric)
        assert (
            f"tanh_: gradient at x[{mismatch.index[0]}]: {mismatch.analytic:.9g} from backward"
            in str(caught.value)
        )
        assert f"{mismatch.numeric:.9g} expected" in str(caught.value)
    assert str(caught.value).startswith("gradcheck: 2 wrong (rtol 1e-06, atol 1.11e-09):")


@pytest.mark.parametrize(
    ("first", "op"), [(lambda x: x, "fn"), (lambda x: x * 2.0, "mul"), (wrong(2.0), "tanh_")]
)
@pytest.mark.parametrize("last", [lambda x: x, lambda x: tensor([1.0]), wrong(1.5)])
def test_the_report_names_the_op_of_the_first_output(first, last, op):
    with pytest.raises(GradcheckError, match=f"{op}: gradient at "):
        tg.gradcheck(lambda x: [first(x), wrong(3.0)(x), last(x)], leaf(0.5))


@pytest.mark.parametrize(
    ("wrong_ones", "shown", "rest"),
    [
        (9, 5, ["  … and 4 more"]),
        (12, 5, ["  … and 7 more"]),
        (6, 5, ["  … and 1 more"]),
        (5, 5, []),
    ],
)
def test_a_long_report_is_cut(wrong_ones, shown, rest):
    with pytest.raises(GradcheckError) as caught:
        tg.gradcheck(wrong(2.0), leaf(*np.linspace(0.1, 1.0, wrong_ones)))
    assert len(caught.value.report) == wrong_ones
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(f"gradcheck: {wrong_ones} wrong")
    assert lines == [f"  {mismatch}" for mismatch in caught.value.report[:shown]] + rest


@pytest.mark.parametrize(("by", "passes"), [(1 + 1e-4, False), (1 + 2e-6, False), (1 + 2e-8, True)])
def test_how_small_an_error_is_found(by, passes):
    x = leaf(0.5)
    if passes:
        assert tg.gradcheck(wrong(by), x)
    else:
        with pytest.raises(GradcheckError):
            tg.gradcheck(wrong(by), x)
    assert tg.gradcheck(wrong(by), x, rtol=1e-3)
    assert tg.gradcheck(wrong(by), x, atol=1.0)


@pytest.mark.parametrize(("value", "step"), [(0.5, 6e-6), (-1.5, 9e-6), (-30.0, 1.8e-4)])
def test_the_step_grows_with_the_value(value, step):
    x, seen = leaf(value), set()
    tg.gradcheck(lambda x: seen.add(x.item()) or x * 2.0, x)
    np.testing.assert_allclose(sorted(seen), [value - step, value, value + step], rtol=1e-9)


@pytest.mark.parametrize("check", [tg.gradcheck, tg.gradgradcheck])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_without_a_difference_are_refused(check, value):
    with pytest.raises(
        GradcheckError, match=r"^gradcheck: tensor float64 \(2,\) \(made by mul\) holds NaN or inf"
    ):
        check(lambda x: [x * 2.0, x * tensor([value, 2.0])], leaf(0.5, 1.0))


def test_the_edge_of_what_is_finite_cannot_be_checked():
    assert tg.gradcheck(ops.sqrt, leaf(0.5))
    with pytest.raises(
        GradcheckError,
        match=r"made by sqrt\) holds NaN or inf, which has no difference; try other inputs",
    ):
        tg.gradcheck(ops.sqrt, leaf(1e-6))


def test_a_gradient_of_nan_is_wrong():
    with pytest.raises(
        GradcheckError, match=r"tanh_: gradient at input 0\[0\]: nan from backward, 0\.\d+ expected"
    ):
        tg.gradcheck(wrong(np.nan), leaf(0.5))


def test_a_sum_would_hide_what_random_cotangents_show():
    @tg.op(lambda g, y, x: y * (g - np.sum(g, axis=-1, keepdims=True) / g.shape[-1]))
    def softmax_(x):
        e = np.exp(x)
        return e / np.sum(e, axis=-1, keepdims=True)

    assert tg.gradcheck(lambda x: softmax_(x).sum(), leaf(0.1, 0.2, 0.3))
    with pytest.raises(GradcheckError):
        tg.gradcheck(softmax_, leaf(0.1, 0.2, 0.3))


def test_a_lost_sign_is_found():
    @tg.op(lambda g, y, x: np.abs(g))
    def same(x):
        return x * 1.0

    with pytest.raises(GradcheckError):
        tg.gradcheck(same, leaf(0.1, 0.2, 0.3, 0.4))


def test_second_derivatives_of_float32_are_refused_before_anything_is_computed():
    calls = []
    with pytest.raises(GradcheckError, match="central differences need float64"):
        tg.gradgradcheck(lambda x: calls.append(x) or x * 1.0, leaf(0.5, dtype=np.float32))
    assert calls == []


def test_the_tolerance_is_scaled_to_the_output():
    """The difference of two values near 1e6 carries their rounding error."""
    assert tg.gradcheck(lambda x: x * 1e-6 + 1e6, leaf(1.0))


@pytest.mark.parametrize(("value", "size"), [(1e-6, 1.0), (1.0, 1000.0), (-50.0, 50_000.0)])
def test_the_default_tolerance_is_a_billionth_of_what_the_outputs_add_up_to(value, size):
    @tg.op(lambda g, y, x: g * 2)
    def same(x):
        return x * 1.0

    with pytest.raises(GradcheckError) as caught:
        tg.gradcheck(same, leaf(*[value] * 1000))
    (atol,) = re.findall(r"atol (.*)\):", str(caught.value))
    assert float(atol) == pytest.approx(1e-9 * size, rel=0.1)  # the weights are 1 on the average


def test_a_lost_path_through_the_cotangent_is_found():
    """Whoever differentiates twice needs it: ∂(ȳ cos x)/∂ȳ, though ∂/∂x is right."""

    @tg.op(lambda g, y, x: (g.data if isinstance(g, tg.Tensor) else g) * np.cos(x))
    def sin_(x):
        return np.sin(x)

    x = leaf(*[0.5] * 100)
    assert tg.gradcheck(sin_, x)
    with pytest.raises(
        GradcheckError, match=r"gradient at cotangent 0\[0\]: 0 from backward"
    ) as caught:
        tg.gradgradcheck(sin_, x)
    weights = [abs(m.numeric) / np.cos(0.5) for m in caught.value.report]
    assert len(weights) == 100
    assert all(0.499 < weight < 1.501 for weight in weights)


def test_a_wrong_second_derivative_is_found():
    @tg.op(
        lambda g, y, x: (
            tensor(g.data * np.cos(x.data)) if isinstance(g, tg.Tensor) else g * np.cos(x)
        )
    )
    def sin_(x):
        return np.sin(x)

    assert tg.gradcheck(sin_, leaf(0.5))
    with pytest.raises(GradcheckError):
        tg.gradgradcheck(sin_, leaf(0.5))


def test_a_cut_path_that_equal_cotangents_would_hide_is_found():
    """A softmax adds up to 1: where all cotangents are equal, the cut makes no difference."""

    def cut(y):
        return y.data if isinstance(y, tg.Tensor) else y

    @tg.op(lambda g, y, x: y * (g - np.sum(g * cut(y), axis=-1, keepdims=True)))
    def softmax_(x):
        e = np.exp(x)
        return e / np.sum(e, axis=-1, keepdims=True)

    x = leaf(0.1, 0.2, 0.5)
    assert tg.gradcheck(softmax_, x)
    with pytest.raises(GradcheckError):
        tg.gradgradcheck(softmax_, x)


def test_float32_is_allowed_by_name_alone():
    with pytest.raises(TypeError, match="positional"):
        tg.gradcheck(ops.tanh, leaf(0.5), 1e-6, None, True)


def test_float32_is_compared_with_float64_when_asked():
    x = leaf(0.5, -1.0, dtype=np.float32)
    with pytest.raises(
        GradcheckError,
        match=r"tensor float32 \(2,\): central differences need float64; convert it, or pass",
    ):
        tg.gradcheck(ops.tanh, x)
    assert tg.gradcheck(ops.tanh, x, float32=True)
    with pytest.raises(GradcheckError, match=r"rtol 0\.001"):
        tg.gradcheck(lambda x: wrong(1.0 + float(x.dtype == np.float32))(x), x, float32=True)
    assert x.dtype == np.float32
    for dtype in (np.float16, np.longdouble):
        with pytest.raises(GradcheckError, match="central differences need float64"):
            tg.gradcheck(ops.tanh, leaf(0.5, dtype=dtype), float32=True)


def test_several_outputs_and_outputs_that_need_no_gradient():
    x = leaf(1.0, 2.0)
    assert tg.gradcheck(lambda x: (x * x, ops.tanh(x), tensor([1.0])), x)
    assert tg.gradgradcheck(lambda x: [x * x * x, x.sum()], x)


def test_what_fn_closes_over_is_checked_too():
    W = leaf(1.0, 2.0, name="W")
    assert tg.gradcheck(lambda _: (W * W * W).sum(), W)
    assert W.data.tolist() == [1.0, 2.0]


def test_values_and_gradients_are_left_as_they_were():
    x = leaf(0.5)
    before = x.data
    tg.gradcheck(ops.tanh, x)
    tg.gradgradcheck(ops.tanh, x)
    with pytest.raises(GradcheckError):
        tg.gradcheck(wrong(2.0), x)
    assert x.data is before
    assert x.grad is None


def test_fn_sees_arrays_that_nobody_can_write_into():
    seen = []
    tg.gradcheck(lambda x: seen.append(x.data.flags.writeable) or x * 1.0, leaf(0.5, 1.0))
    assert seen == [False] * 6


def test_values_are_put_back_when_fn_raises():
    x = leaf(0.5)
    before, calls = x.data, []

    def fails(x):
        calls.append(1)
        if len(calls) > 2:
            raise ZeroDivisionError
        return x * 1.0

    with pytest.raises(ZeroDivisionError):
        tg.gradcheck(fails, x)
    assert x.data is before


@pytest.mark.parametrize("check", [tg.gradcheck, tg.gradgradcheck])
@pytest.mark.parametrize(
    ("fn", "inputs", "message"),
    [
        (ops.neg, [tensor([1.0])], "no input requires a gradient"),
        (ops.neg, [tensor([1])], "no input requires a gradient"),
        (ops.neg, [], "no input requires a gradient"),
        (
            ops.neg,
            [leaf(1.0) * 2.0],
            r"tensor float64 \(1,\) \(made by mul\) is not a leaf; detach\(\) it",
        ),
        (ops.neg, [leaf(1.0, dtype=np.float16)], "central differences need float64"),
        (ops.neg, [leaf(1.0, dtype=np.longdouble)], "central differences need float64"),
        (ops.neg, [1.0], "Tensors, not float"),
        (ops.neg, 1.0, "Tensors, not float"),
        (lambda x: x.data, [leaf(1.0)], "Tensors, not float64"),
        (lambda x: None, [leaf(1.0)], "Tensors, not NoneType"),
    ],
)
def test_what_cannot_be_checked_is_refused(check, fn, inputs, message):
    with pytest.raises(GradcheckError, match=f"^gradcheck: .*{message}"):
        check(fn, inputs)


def test_what_draws_at_random_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(
        GradcheckError, match="fn gave two results for the same inputs; fix the seed"
    ):
        tg.gradcheck(lambda x: x * rng.random(), leaf(1.0))


@pytest.mark.parametrize("check", [tg.gradcheck, tg.gradgradcheck])
@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize(
    ("later", "shapes"),
    [
        (lambda x: [x, x], r"\[\(2,\), \(2,\)\]"),
        (lambda x: x.sum(), r"\[\(\)\]"),
        (lambda x: x[:1], r"\[\(1,\)\]"),  # it would broadcast, and so agree with everything
        (lambda x: ops.stack([x, x]), r"\[\(2, 2\)\]"),
    ],
)
def test_what_returns_other_shapes_later_is_refused(check, calls, later, shapes):
    seen = []

    def fn(x):
        seen.append(x)
        return x * 1.0 if len(seen) <= calls else later(x)

    message = rf"fn returned Tensors of the shapes \[\(2,\)\] at first, and {shapes} later; it must"
    with pytest.raises(GradcheckError, match=f"gradcheck: {message}"):
        check(fn, leaf(1.0, 2.0))


@pytest.mark.parametrize("check", [tg.gradcheck, tg.gradgradcheck])
def test_what_returns_nothing_is_refused(check):
    with pytest.raises(GradcheckError, match="fn returned no Tensor"):
        check(lambda x: [], leaf(1.0))
