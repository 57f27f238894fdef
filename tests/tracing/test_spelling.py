"""How a formula writes an expression of a program."""

import ast

import pytest

from tinygrad_rnn.tracing.recording.spelling import spelled


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("W @ x + W_in @ u", "W x + W_in u"),
        ("W @ (x + u)", "W (x + u)"),
        ("A @ (B @ x)", "A (B x)"),
        ("a - (b - c)", "a − (b − c)"),
        ("a / (b * c)", "a / (b ⊙ c)"),
        ("(a + b) * c ** 2", "(a + b) ⊙ c²"),
        ("2 * (x + u)", "2 (x + u)"),
        ("x * 2 / u", "2 x / u"),
        ("-x[t]", "−x"),
        ("x[t - 1]", "x[t - 1]"),
        ("F @ P @ F.T", "F P Fᵀ"),
        ("np.concatenate([x, [float(n == 1)]])", "[x; 1[n = 1]]"),
        ("n == 1", "n = 1"),
        ("np.round(9.0 * h.numpy())", "round(9 h)"),
        ("lengths.sum()", "sum(lengths)"),
        ("letters.index(letter)", "index(letter)"),
        ("rng.normal(size=3)", "normal(…)"),
        ("encode(a_long_argument, another_long_argument)", "encode(…)"),
        ("(lambda: 1)", ""),
        ("a_long_name + another_long_name + a_third_one", ""),
        (" + ".join(["a"] * 2000), ""),  # deeper than Python calls may be nested
    ],
)
def test_an_expression_is_written_as_a_formula(said, written):
    assert spelled(ast.parse(said, mode="eval").body) == written
