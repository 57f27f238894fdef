"""What the values of a network are called, where programs are written in other ways."""

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
