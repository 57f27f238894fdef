"""What the values of a network are called, where programs are written in other ways."""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of

SIZE = 3


def network(program):
    with tg.trace() as tr:
        program().backward()
    return network_of(tr.graph())


def states(found):
    return [row.states for row in found.rows if row.kind in ("cell", "loop")]


def a_layer_a_step():
    lstm, state, loss = tg.nn.LSTM(SIZE, SIZE, num_layers=2, rng=0), None, 0.0
    for x in np.eye(SIZE):
        ys, state = lstm(x[None], state)
        loss = loss + (ys**2).sum()
    return loss


def a_module_around_a_cell():
    class Decoder(tg.nn.Module):
        def __init__(self):
            self.cell = tg.nn.LSTMCell(2 * SIZE, SIZE, rng=0)

        def forward(self, x, carried):
            last, state = carried
            state = self.cell(np.concatenate([x, last]), state)
            return np.tanh(state[0]), state

    decoder, carried = Decoder(), (tg.tensor(np.zeros(SIZE)), None)
    for x in np.eye(SIZE):
        carried = decoder(x, carried)
    return (carried[0] ** 2).sum()


@pytest.mark.parametrize(
    ("program", "expected"),
    [(a_layer_a_step, ("h", "c")), (a_module_around_a_cell, ("h′", "h", "c"))],
)
def test_states_of_a_cell_in_a_copy_are_called_as_the_cell_calls_them(program, expected):
    """`state` is a tuple in the program: it gives its parts no names."""
    assert states(network(program)) == [expected]


def two_sequences():
    """A question of two words and an answer of four, read by one cell, then compared."""
    cell, ends = tg.nn.GRUCell(SIZE, SIZE, rng=0), []
    for steps in (2, 4):
        h = None
        for word in np.random.default_rng(steps).standard_normal((steps, SIZE)):
            h = cell(word, h)
        ends.append(h)
    return ((ends[0] - ends[1]) ** 2).sum()


def test_all_inputs_of_a_second_sequence_are_primed():
    """Also those of steps that the first one does not have."""
    labels = [block.label for block in network(two_sequences).blocks if block.kind == "input"]
    assert labels == ["word₀", "word₁", "word′₀", "word′₁", "word′₂", "word′₃"]


class State(NamedTuple):
    hidden: object
    memory: object


@dataclass(frozen=True)
class Memory:
    hidden: object
    memory: object


WEIGHT = tg.tensor(np.eye(2 * SIZE) * 0.5, requires_grad=True, name="W")


def gated(x, hidden, memory):
    keep, new = np.split(WEIGHT @ np.concatenate([hidden, x]), 2)
    return tg.ops.sigmoid(keep) * memory + np.tanh(new)


def in_a_dict():
    s = {"hidden": np.zeros(SIZE), "memory": np.zeros(SIZE)}
    for x in np.eye(SIZE):
        with tg.scope("step"):
            s["memory"] = gated(x, s["hidden"], s["memory"])
            s["hidden"] = np.tanh(s["memory"])
    return (s["hidden"] ** 2).sum()


def in_a_new_dict():
    s = {"hidden": np.zeros(SIZE), "memory": np.zeros(SIZE)}
    for x in np.eye(SIZE):
        with tg.scope("step"):
            memory = gated(x, s["hidden"], s["memory"])
            s = {"memory": memory, "hidden": np.tanh(memory)}
    return (s["hidden"] ** 2).sum()


def in_a_tuple_with_names():
    s = State(np.zeros(SIZE), np.zeros(SIZE))
    for x in np.eye(SIZE):
        with tg.scope("step"):
            memory = gated(x, s.hidden, s.memory)
            s = State(hidden=np.tanh(memory), memory=memory)
    return (s.hidden**2).sum()


def in_a_changed_tuple():
    s = State(np.zeros(SIZE), np.zeros(SIZE))
    for x in np.eye(SIZE):
        with tg.scope("step"):
            s = s._replace(memory=gated(x, s.hidden, s.memory))
            s = s._replace(hidden=np.tanh(s.memory))
    return (s.hidden**2).sum()


def in_a_copy_of_an_object():
    s = Memory(np.zeros(SIZE), np.zeros(SIZE))
    for x in np.eye(SIZE):
        with tg.scope("step"):
            s = replace(s, memory=gated(x, s.hidden, s.memory))
            s = replace(s, hidden=np.tanh(s.memory))
    return (s.hidden**2).sum()


@pytest.mark.parametrize(
    "program",
    [in_a_dict, in_a_new_dict, in_a_tuple_with_names, in_a_changed_tuple, in_a_copy_of_an_object],
)
def test_states_that_an_object_holds_are_called_as_it_calls_them(program):
    assert [set(names) for names in states(network(program))] == [{"hidden", "memory"}]


def test_the_rows_of_a_table_that_an_array_says_have_its_name():
    """Also where the loss reads a row of it first."""
    table = tg.tensor(np.eye(5, SIZE), requires_grad=True, name="table")
    weight = tg.tensor(np.eye(SIZE), requires_grad=True, name="W")
    tokens = np.array([[0, 3, 1], [2, 2, 4]])

    def program():
        h, loss = np.zeros((2, SIZE)), 0.0
        for t in range(2):
            with tg.scope("step"):
                h = np.tanh(table[tokens[:, t]] + h @ weight)
            loss = loss + tg.nn.cross_entropy(h @ table.T, tokens[:, t + 1])
        return loss

    labels = [block.label for block in network(program).blocks if block.kind == "input"]
    assert labels == ["tokens₀", "tokens₁"]


def test_a_row_of_a_trained_table_that_a_chain_begins_with_is_the_table():
    """And nothing that is derived of the state."""
    table = tg.nn.Parameter(np.full((2, SIZE), 0.1), name="table")

    def program():
        y, loss = table[1], 0.0
        for x in np.eye(SIZE):
            with tg.scope("step"):
                y = np.tanh(WEIGHT[:SIZE, :SIZE] @ y + x)
            loss = loss + (y**2).sum()
        return loss

    found = network(program)
    assert sorted(block.trained for block in found.parameters) == ["W", "table"]
    assert [b.label for b in found.blocks if b.kind == "initial"] == ["y₋₁"]
    assert not [block for block in found.blocks if block.kind == "derived"]


def test_a_state_that_the_last_copy_makes_alone_has_its_own_name():
    """Its other one nobody reads, and so that is not in the graph."""
    stiffness = tg.nn.Parameter(np.array(2.0), name="k")

    def program():
        x, v, loss = tg.tensor(np.ones(SIZE)), tg.tensor(np.zeros(SIZE)), 0.0
        for _ in range(3):
            with tg.scope("step"):
                x, v = x + 0.1 * v, v - 0.1 * stiffness * x
            loss = loss + (x**2).sum()
        return loss

    found = network(program)
    assert [output.label for output in found.outputs][-1] == "x₂"
    assert found.cells[-1].label == "x₂"


def of_two_encoders():
    read, scan, answer = (tg.nn.GRUCell(SIZE, n, rng=k) for k, n in enumerate((2, 2, 4)))
    question = document = None
    for word in np.eye(2, SIZE):
        question = read(word, question)
    for word in np.eye(4, SIZE):
        document = scan(word, document)
    s = np.concatenate([question, document])
    for word in np.eye(2, SIZE):
        s = answer(word, s)
    return (s**2).sum()


def zoned_out():
    """What is kept of both states is weighed by numbers that no tensor holds."""
    cell, keep = tg.nn.LSTMCell(SIZE, SIZE, rng=0), np.random.default_rng(0).random((3, SIZE))
    h, c, loss = tg.tensor(np.zeros(SIZE)), tg.tensor(np.zeros(SIZE)), 0.0
    for t in range(3):
        h_new, c_new = cell(np.ones(SIZE), (h, c))
        h, c = keep[t] * h + (1 - keep[t]) * h_new, keep[t] * c + (1 - keep[t]) * c_new
        loss = loss + (h**2).sum() + (c**2).sum()
    return loss


def two_named_layers():
    lower, upper = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.LSTMCell(SIZE, SIZE, rng=1)
    below, (above, memory) = np.zeros(SIZE), (np.zeros(SIZE), np.zeros(SIZE))
    for x in np.eye(SIZE):
        below = lower(x, below)
        above, memory = upper(below, (above, memory))
    return (above * memory).sum()


@pytest.mark.parametrize("program", [of_two_encoders, zoned_out, two_named_layers])
def test_what_a_picture_calls_states_and_outputs_the_debugger_does_too(program):
    """No row stands behind the name of what no lower row has: "s@1" for s₁, not "s_l2@1"."""
    with tg.trace() as tr:
        program().backward()
    found = network_of(tr.graph())
    shown = [(cell.label, cell.called) for cell in found.cells]
    shown += [(output.label, output.value) for output in found.outputs]
    for label, piece in shown:
        name, t = re.fullmatch("([a-z_]+)([₀-₉]+)", label).groups()
        place = f"{name}@{t.translate(str.maketrans('₀₁₂₃', '0123'))}"
        assert np.array_equal(tr[place], piece.of(piece.node.data)), place


def test_a_row_may_stand_behind_a_name_of_its_own():
    with tg.trace() as tr:
        two_named_layers()
    assert np.array_equal(tr["memory_l1@2"], tr["memory@2"])


def feeds_back_x():
    lstm, out = tg.nn.LSTM(SIZE, 4, rng=0), tg.nn.Linear(4, SIZE, rng=1)
    x, state, loss = tg.tensor(np.zeros((1, SIZE))), None, 0.0
    for target in np.eye(SIZE):
        made, state = lstm(x, state)
        x = out(made)
        loss = loss + ((x - target) ** 2).sum()
    return loss


def feeds_back_y():
    cell, out = tg.nn.GRUCell(SIZE, 4, rng=0), tg.nn.Linear(4, SIZE, rng=1)
    y, h, loss = np.zeros(SIZE), tg.tensor(np.zeros(4)), 0.0
    for target in np.eye(SIZE):
        h = cell(y, h)
        y = out(h)
        loss = loss + ((y - target) ** 2).sum()
    return loss


@pytest.mark.parametrize(("program", "name"), [(feeds_back_x, "x"), (feeds_back_y, "y")])
def test_what_stands_for_the_first_of_what_is_fed_back_is_of_the_step_before(program, name):
    with tg.trace() as tr:
        program().backward()
    found = network_of(tr.graph())
    assert [b.label for b in found.blocks if b.kind == "input"] == [f"{name}₋₁"]
    assert [output.label for output in found.outputs] == [f"{name}₀", f"{name}₁", f"{name}₂"]
    assert not tr[f"{name}@-1"].any()


def test_what_a_module_makes_is_not_called_as_what_it_reads():
    """`x = layer(x, hs[k])`: x₀ is one value in the picture, what the lowest layer reads."""

    def program():
        cells = [tg.nn.GRUCell(SIZE, SIZE, rng=k) for k in range(2)]
        hs, loss = [None, None], 0.0
        for x in np.eye(SIZE):
            for k, cell in enumerate(cells):
                x = hs[k] = cell(x, hs[k])
            loss = loss + (x**2).mean()
        return loss

    found = network(program)
    assert states(found) == [("h",), ("h",)]
    assert [b.label for b in found.blocks if b.kind == "input"] == ["x₀", "x₁", "x₂"]
    assert [output.label for output in found.outputs] == ["h₀", "h₁", "h₂"]


def test_what_numpy_joined_of_an_input_and_a_first_state_is_not_called_as_that():
    def program():
        h = np.zeros(SIZE)
        for x in np.eye(SIZE):
            with tg.scope("step"):
                h = np.tanh(WEIGHT[:SIZE] @ np.concatenate([x, h]))
        return (h**2).sum()

    with tg.trace() as tr:
        program()
    assert tr["h@0"].shape == (SIZE,)
    with pytest.raises(tg.errors.TraceError, match="only h@0 to h@2"):
        tr["h@-1"]


def by_number():
    cells = [tg.nn.GRUCell(SIZE, SIZE, rng=k) for k in range(2)]
    hs = [None, None]
    for x in np.eye(SIZE):
        for k, cell in enumerate(cells):
            x = hs[k] = cell(x, hs[k])
    return cells, (x**2).sum()


def by_variable():
    lower, upper = tg.nn.GRUCell(SIZE, SIZE, rng=0), tg.nn.GRUCell(SIZE, SIZE, rng=1)
    cells, hs = [lower, upper], [None, None]
    for x in np.eye(SIZE):
        for k, cell in enumerate(cells):
            x = hs[k] = cell(x, hs[k])
    return (lower, upper), (x**2).sum()


def by_a_generator():
    gates, h = [tg.nn.Linear(SIZE, SIZE, rng=k) for k in range(2)], np.zeros(SIZE)
    for x in np.eye(SIZE):
        keep, new = (np.tanh(gate(x + h)) for gate in gates)
        h = keep * h + new
    return gates, (h**2).sum()


@pytest.mark.parametrize(
    ("program", "names"),
    [
        (by_number, ["cells.0", "cells.1"]),
        (by_variable, ["lower", "upper"]),
        (by_a_generator, ["gates.0", "gates.1"]),
    ],
)
def test_modules_of_a_list_are_called_by_their_numbers_and_not_by_the_variable_of_a_loop(
    program, names
):
    """The same in a trace and in a picture of a tensor, which knows what the last turn left."""
    with tg.trace() as tr:
        modules, loss = program()  # they are kept
        loss.backward()
    found = [block.trained.rpartition(".")[0] for block in network_of(tr.graph()).parameters]
    assert list(dict.fromkeys(found)) == names
    assert len(modules) == 2


def test_a_picture_of_a_tensor_calls_modules_of_a_list_as_the_trace_does():
    cells, hs = [tg.nn.RNNCell(SIZE, SIZE, rng=k) for k in range(2)], [None, None]
    with tg.trace() as tr:
        for x in np.eye(SIZE):
            for k, cell in enumerate(cells):
                x = hs[k] = cell(x, hs[k])
        loss = (x**2).sum()
    of_tensor, of_trace = tg.draw(loss), tg.draw(tr)
    assert of_tensor.description == of_trace.description
    assert "cells.0.W_xh 3×3" in of_trace.description
    assert "cells.1.W_xh 3×3" in of_trace.description
