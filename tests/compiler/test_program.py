"""Values and their equality: within a program, and between two recordings."""

import numpy as np
import pytest
from compiler.side_by_side import CALLS, compare

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.compiler.program import Program
from tinygrad_rnn.errors import CompileError


def test_values_whose_keys_have_one_hash_stay_apart():
    class Same(str):
        def __hash__(self):
            return 1

        __eq__ = str.__eq__

    program = Program()
    x = program.constant(np.ones(2))
    details = [Same(letter) for letter in "abcde"]
    # the hash of a tuple is made of those of its parts, and of a key only the detail differs
    made = [program.add("call", (x,), detail, (2,), np.float64) for detail in details]
    assert len({value.id for value in made}) == 5
    assert [program.add("call", (x,), detail, (2,), np.float64) for detail in details] == made


def test_what_would_be_baked_in_is_refused():
    rows = iter(np.random.default_rng(0).random((2, 3)))
    fast = tg.compile(lambda x: x * next(rows))
    fast(np.ones(3))
    with pytest.raises(CompileError, match=r"test_program.py:\d+: constant .* random numbers"):
        fast(np.ones(3))


def in_another_order(x):
    return ops.exp(x), ops.tanh(x)


def more(x):
    return ops.tanh(x), ops.exp(x), ops.sin(x)


def with_another_mask(x):
    return ops.tanh(x), x[np.array([False, True])]


@pytest.mark.parametrize("second", [in_another_order, more, with_another_mask])
def test_an_op_that_is_another_at_the_second_run_is_refused_where_it_is_called(second):
    runs = iter([lambda x: (ops.tanh(x), ops.exp(x)), second])
    fast = tg.compile(lambda x: next(runs)(x))
    fast(np.ones(2))
    line = second.__code__.co_firstlineno + 1
    with pytest.raises(
        CompileError,
        match=rf"test_program.py:{line}: [a-z]+ \(\d,\) is not what it was at the first call",
    ):
        fast(np.ones(2))


@pytest.mark.parametrize(
    ("first", "second"), [(ops.exp, ops.log), (ops.tanh, ops.sin), (ops.sub, ops.div)]
)
def test_another_ufunc_at_the_second_run_is_refused_by_its_name(first, second):
    runs = iter([first, second])
    fast = tg.compile(lambda *given: next(runs)(*given))
    given = [np.ones(2)] * (2 if first is ops.sub else 1)
    fast(*given)
    name = {"div": "divide"}.get(second.op.name, second.op.name)
    with pytest.raises(CompileError, match=rf"{name} \(2,\) is not what it was at the first call"):
        fast(*given)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda x: x * -1, lambda x: x * -2),  # hash(-1) is hash(-2)
        (lambda x: x + 1, lambda x: x + 1.0),
        (lambda x: x * 0.0, lambda x: x * -0.0),
        (lambda x: ops.sum(x, axis=-1), lambda x: ops.sum(x, axis=-2)),
        (lambda x: x[-1], lambda x: x[-2]),
        (lambda x: x[:1], lambda x: x[-2:-1]),
        (lambda x: ops.softmax(x, axis=0), lambda x: ops.softmax(x, axis=1)),
        (ops.sigmoid, ops.relu),  # which both are made of others
        (lambda x: x @ np.eye(2), lambda x: x @ np.ones((2, 2))),
        (lambda x: x[np.array([0, 1])], lambda x: x[np.array([1, 0])]),
        (lambda x: ops.stack([x, x * 2]), lambda x: ops.stack([x * 2, x])),
    ],
)
def test_a_second_run_that_differs_by_little_is_refused(first, second):
    runs = iter([first, second])
    fast = tg.compile(lambda x: next(runs)(x))
    fast(np.ones((2, 2)))
    with pytest.raises(CompileError, match=r"not what it was|did not compute and return the same"):
        fast(np.ones((2, 2)))


def test_what_is_known_of_integers_later_is_not_known_earlier_at_the_second_run():
    def fn(x, index):
        less = x - (np.expand_dims(index, -1) == np.arange(3))
        return less, ops.cross_entropy(x, index)  # which checks the index

    compare(fn, [], [(np.eye(3) + k, np.array([0, 1, 2])) for k in range(CALLS)])
