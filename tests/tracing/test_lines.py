"""What a line calls the values that it unpacks, whoever made them."""

import numpy as np
import pytest

import tinygrad_rnn as tg

tanh, relu = tg.ops.tanh, tg.ops.relu


def squashed(W, x):
    return tanh(W @ x)


def either(W, x):
    if W[0, 0].item() < 0:
        return relu(W @ x)
    return tanh(W @ x)


def by_name(W, x):
    made = tanh(W @ x)
    return made  # noqa: RET504  (the name is what matters)


def in_a_list(Ws, x):
    return [tanh(W @ x) for W in Ws]


def in_a_tuple(Ws, x):
    return tuple(tanh(W @ x) for W in Ws)


def parts(z):
    return [z[2 * k : 2 * k + 2] for k in range(3)]


def one_by_one(Ws, x):
    for W in Ws:
        yield tanh(W @ x)


def of_one_op(Ws, x):
    a, b, c = [W @ x for W in Ws]
    return a, b, c


def of_two_ops(Ws, x):
    a, b, c = [tanh(W @ x) for W in Ws]
    return a, b, c


def of_a_generator(Ws, x):
    a, b, c = (tanh(W @ x) for W in Ws)
    return a, b, c


def of_a_tuple(Ws, x):
    a, b, c = tuple(tanh(W @ x) for W in Ws)
    return a, b, c


def of_a_map(Ws, x):
    a, b, c = map(lambda W: tanh(W @ x), Ws)  # noqa: C417  (people write it)
    return a, b, c


def of_a_helper_for_each(Ws, x):
    a, b, c = [squashed(W, x) for W in Ws]
    return a, b, c


def of_either_branch(Ws, x):
    a, b, c = [either(W, x) for W in Ws]
    return a, b, c


def of_a_choice(Ws, x):
    a, b, c = [relu(W @ x) if k == 1 else tanh(W @ x) for k, W in enumerate(Ws)]
    return a, b, c


def of_a_helper_that_lists(Ws, x):
    a, b, c = in_a_list(Ws, x)
    return a, b, c


def of_a_helper_that_packs(Ws, x):
    a, b, c = in_a_tuple(Ws, x)
    return a, b, c


def of_parts(Ws, x):
    a, b, c = parts(tg.ops.concatenate([W @ x for W in Ws]))
    return a, b, c


def of_a_split(Ws, x):
    a, b, c = np.split(tg.ops.concatenate([W @ x for W in Ws]), 3)
    return a, b, c


def one_line_again_and_again(Ws, x):
    found = []
    for _ in range(7):
        a, b, c = [W @ x for W in Ws]
        found += [a, b, c]
    return found


def lists_within(Ws, x):
    a, b, c = [tanh(sum(W @ y for y in (x, x))) for W in Ws]
    return a, b, c


NAMED = [
    of_one_op,
    of_two_ops,
    of_a_generator,
    of_a_tuple,
    of_a_map,
    of_a_helper_for_each,
    of_either_branch,
    of_a_choice,
    of_a_helper_that_lists,
    of_a_helper_that_packs,
    of_parts,
    of_a_split,
    one_line_again_and_again,
    lists_within,
]


def names_of(function):
    """What the values that a function returns are called by the lines that made them."""
    Ws = [tg.tensor(np.full((2, 2), k), requires_grad=True) for k in (1.0, -1.0, 2.0)]
    with tg.trace() as run:
        made = function(Ws, tg.tensor(np.ones(2)))
    variable = {event.output.id: event.output.source.variable for event in run.events}
    return [variable[x.id] for x in made]


@pytest.mark.parametrize("function", NAMED)
def test_each_value_that_a_line_unpacks_has_the_name_of_its_own(function):
    names = names_of(function)
    assert names == ["a", "b", "c"] * (len(names) // 3)


def of_a_helper_with_a_name_for_it(Ws, x):
    a, b, c = [by_name(W, x) for W in Ws]
    return a, b, c


def of_lists(Ws, x):
    a, b, c = [[tanh(W @ x) for W in Ws] for _ in range(3)]
    return a[1], b[1], c[1]


def after_a_rest(Ws, x):
    *a, b = [tanh(W @ x) for W in Ws]
    return *a, b


def of_some_of_a_list(Ws, x):
    a, b, c = [tanh(W @ x) for W in (Ws[0], *Ws)][1:]
    return a, b, c


def of_a_list_that_is_turned(Ws, x):
    a, b, c = reversed([tanh(W @ x) for W in Ws])
    return a, b, c


def of_a_function_that_yields(Ws, x):
    a, b, c = one_by_one(Ws, x)
    return a, b, c


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (of_a_helper_with_a_name_for_it, "made"),
        (of_lists, None),
        (after_a_rest, None),
        (of_some_of_a_list, None),
        (of_a_list_that_is_turned, None),
        (of_a_function_that_yields, None),
    ],
)
def test_no_value_has_the_name_of_another(function, name):
    assert names_of(function) == [name] * 3
