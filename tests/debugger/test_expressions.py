"""Expressions: what they mean, what they refuse, and the caret at the spot."""

import random
import re
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.debugger.expressions import MAX_ELEMENTS, CommandError, parse
from tinygrad_rnn.errors import TinygradError

VALUES = {
    "h": np.array([[3.0, 4.0]]),
    "h@3": np.array([[1.0, -2.0]]),
    "d.h@3": np.array([0.5]),
    "rnn.0.W_hh": np.eye(2),
    "W": np.arange(4.0).reshape(2, 2),
    "tanh#12": np.array(7.0),
    "t": np.array(0.0),
}


def value(text):
    return parse(text)(VALUES.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("norm(h)", 5.0),
        ("-h@3", [[-1.0, 2.0]]),
        ("h@3 * 2", [[2.0, -4.0]]),
        ("h @ W", [[8.0, 15.0]]),
        ("h@3.T", [[1.0], [-2.0]]),
        ("h.shape == (1, 2)", True),
        ("W.size + W.ndim", 6),
        ("rnn.0.W_hh[0, 1:]", [0.0]),
        ("rnn.0.W_hh.T[0]", [1.0, 0.0]),
        ("d.h@3 / 2", [0.25]),
        ("tanh#12 + 1", 8.0),
        ("tanh(t)", 0.0),
        ("2 ** 10", 1024.0),
        ("1 < norm(h) < 6", True),
        ("norm(h) > 6 or not has_nan(h)", True),
        ("absmax(h@3) == 2 and sat(h@3, 1.5) == 0.5", True),
        ("frac(h@3 > 0)", 0.5),
        ("nonfinite(W / 0)", True),
        ("7 // 2 % 2", 1),
        ("W[-1, -1]", 3.0),
        ("1e3 + .5", 1000.5),
        ("mean(W, 0)", [1.0, 2.0]),
        ("max(W, (0, 1))", 3.0),
        ("any(mean(W[:0]) == 1) or not has_nan(W)", True),
        ("(1, 2)[1]", 2),
    ],
)
def test_values(text, expected):
    assert np.array_equal(value(text), expected)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("norm(h", 4, "never closed"),
        ("h +", 3, "invalid syntax"),
        ("h ! 2", 2, "invalid syntax"),
        ("__import__('os')", 0, "the functions are"),
        ("[x for x in h]", 0, "is not allowed"),
        ("lambda: 1", 0, "is not allowed"),
        ("norm(h, ord=3)", 0, "the functions are"),
        ("open(h)", 0, "the functions are"),
        ("h if h else h", 0, "is not allowed"),
        ("(h := 3)", 1, "is not allowed"),
        ("99999999999999999999", 0, "53 bits"),
        ("'text'", 0, "is not allowed"),
        ("", 0, "missing"),
        ("€ + 1", 0, "invalid"),
        ("f'{h}'", 1, "invalid syntax"),
        ("2h", 1, "directly"),
        ("2h@3", 1, "directly"),
        ("3W + 1", 1, "directly"),
        ("h@3W", 3, "directly"),
        ("tanh#12x", 7, "directly"),
        ("1_000_000", 1, "directly"),
        ("0x10", 1, "directly"),
        ("1j", 1, "directly"),
        ("1e", 1, "directly"),
        ("5e+", 1, "directly"),
        ("1and 2", 1, "directly"),
        ("1 < 2 # or not", 6, "directly"),
        ("h@٣", 2, "invalid"),
        ("1.2.3", 3, "invalid syntax"),
        ("abs(h, h)", 0, r"abs\(x\): too many"),
        ("sum(h, 0, W, h)", 0, r"sum\(x, axis=None\): too many"),
        ("norm()", 0, "missing"),
    ],
)
def test_what_is_no_expression_is_refused_at_the_spot(text, column, message):
    with pytest.raises(CommandError, match=message) as caught:
        parse(text)
    if text != "é + 1":
        assert caught.value.lines()[1] == " " * column + "^"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 501, "500 characters"),
        ("+".join("1" * 150), "200 parts"),
        ("(" * 240 + "1" + ")" * 240, r"nested|parts|too many"),
        ("exp(big @ big.T)", "elements, more than"),
        ("big * big.T", "elements, more than"),
        ("norm(huge)", "is more than"),
        ("h + W[0] + wide", "broadcast"),
        ("h[9]", "out of bounds"),
        ("h[1.5]", "integer"),
        ("any(h) + h.shape", "compared and indexed"),
        ("not h", "neither true nor false"),
        ("sat(h, 1, 2, 3)", "argument"),
        ("big == big.T", "elements, more than"),
        ("1 < big < big.T", "elements, more than"),
        ("norm((many, many, many))", "is more than"),
        ("(many, many, many) == h", "is more than"),
        ("(many, many, many)[0]", "is more than"),
        ("+".join(["tanh(many)"] * 15), "steps"),
        ("+".join(["square @ square"] * 3), "steps"),
        ("sum(h, 0.5)", "integer"),
    ],
)
def test_what_would_cost_too_much_or_does_not_fit_is_refused(text, message):
    values = VALUES | {
        "big": np.zeros((3000, 1)),
        "huge": np.broadcast_to(1.0, 5_000_000),
        "wide": np.zeros(3),
        "many": np.zeros(2_000_000),
        "square": np.zeros((700, 700)),
    }
    with pytest.raises(CommandError, match=message):
        parse(text)(values.__getitem__)


@given(st.text(max_size=60))
def test_no_text_at_all_does_more_than_raise_our_error(text):
    with suppress(TinygradError):
        parse(text)(lambda name: np.ones(2))


@given(st.text(alphabet="h@3.dW[](),+-*/<>= 01:andortnm_", max_size=40))
def test_nothing_that_resembles_an_expression_does_either(text):
    with suppress(TinygradError):
        parse(text)(lambda name: np.ones((2, 2)))


WORDS = re.findall(
    r"\S+",
    """
    h h@3 d.h@3 W tanh#12 t 0 1 2.5 .5 1e3 1e400 9007199254740991 nan inf pi True ( ) [ ] , : + - *
    / // % ** @ < <= == != > >= and or not . .T .shape .size # _ ٣ ' \\ x 0x1 is in if lambda
    norm( absmax( mean( std( sum( min( max( any( all( abs( exp( log( sqrt( tanh( sat( frac( has_nan(
    """,
)


def mutant(rng):
    """An expression that may be one, and what people could mistype."""
    if rng.random() < 0.5:
        return "".join(
            rng.choice(WORDS) + rng.choice(["", " "]) for _ in range(rng.randrange(1, 40))
        )
    text = "1"
    for _ in range(rng.randrange(1, 12)):
        other = rng.choice(WORDS[:16])
        text = rng.choice(
            [
                f"({text}) {rng.choice(['+', '*', '@', '**', '==', '<', 'and', '//'])} {other}",
                f"{rng.choice(WORDS[-15:])}{text})",
                f"({text}, {other})",
                f"({text})[{other}]",
                f"{other} - ({text}).T",
            ]
        )
    return text


def check_mutants(number, seed):
    rng, values = (
        random.Random(seed),
        {
            "h": np.ones((1500, 1500)),
            "h@3": np.ones((1, 0)),
            "d.h@3": np.arange(3),
            "W": np.ones((2, 2, 500, 1), np.float32),
            "tanh#12": np.array(True),
            "t": np.array(2),
        },
    )
    for value in values.values():
        value.setflags(write=False)
    slowest = computed = 0
    tracemalloc.start()
    for _ in range(number):
        text, begun = mutant(rng), time.process_time()
        with suppress(TinygradError):
            parse(text)(values.get)
            computed += 1
        slowest = max(slowest, time.process_time() - begun)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert computed > number / 20
    assert slowest < 10
    assert most < 10 * 8 * MAX_ELEMENTS


def test_three_hundred_mutants():
    check_mutants(300, seed=1)


@pytest.mark.slow
def test_five_thousand_mutants():
    check_mutants(5000, seed=2)
