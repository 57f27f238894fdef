"""Cells and layers: torch's numbers from a stored table, our own variants, what is refused."""

import json
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from recurrent_cases import KINDS, Case, ours
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OpError, StateDictError

TABLE = json.loads(Path(__file__).with_name("torch_reference.json").read_text("utf-8"))
VARIANTS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "bias": False}),
    ("LSTM", {}),
    ("LSTM", {"peephole": True, "forget_bias": 1.0}),
    ("LSTM", {"coupled": True}),
    ("LSTM", {"coupled": True, "peephole": True, "bias": False}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": False, "bias": False}),
]
EVERY_VARIANT = pytest.mark.parametrize(("kind", "options"), VARIANTS)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def make(kind, *sizes, **options):
    return KINDS[kind](*sizes, rng=0, **options)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def equal(states, others, **tolerance):
    for a, b in zip(parts(states), parts(others), strict=True):
        np.testing.assert_allclose(a.data, b.data, **{"rtol": 1e-12, "atol": 1e-14} | tolerance)


# Against torch


@pytest.mark.parametrize(
    "entry", TABLE, ids=lambda entry: " ".join(map(str, entry["case"].values()))
)
def test_outputs_states_and_gradients_are_torchs(entry):
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["case"].items()}
    for name, value in ours(Case(**given)).items():
        np.testing.assert_allclose(
            value, entry["torch"][name], rtol=1e-10, atol=1e-10, err_msg=name
        )


@EVERY_VARIANT
def test_what_torch_has_goes_there_and_back(kind, options):
    layer = make(kind, 2, 3, num_layers=2, bidirectional=True, **options)
    if options.keys() & {"peephole", "coupled", "reset_after"}:
        with pytest.raises(
            StateDictError, match=f"{kind}: torch.nn.{kind} has no (peephole|coupled|reset_after)="
        ):
            layer.to_torch_state_dict()
        return
    other = make(kind, 2, 3, num_layers=2, bidirectional=True, **options)
    for p in other.parameters():
        p.data = np.zeros(p.shape)
    other.load_torch_state_dict(layer.to_torch_state_dict())
    for (name, p), q in zip(layer.named_parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data, err_msg=name)


def test_a_torch_state_that_does_not_fit_changes_nothing():
    layer = make("RNN", 2, 3)
    state = layer.to_torch_state_dict()
    state["weight_hh_l0"] = np.zeros((2, 2))
    state["weight_ih_l1"] = state.pop("bias_hh_l0")
    before = layer.state_dict()
    with pytest.raises(StateDictError) as caught:
        layer.load_torch_state_dict(state)
    assert str(caught.value) == (
        "load_torch_state_dict: RNN: missing 'bias_hh_l0'; unknown 'weight_ih_l1'; "
        "'weight_hh_l0' has shape (2, 2), needs (3, 3)"
    )
    assert all(layer.state_dict()[name] is value for name, value in before.items())


def test_a_torch_state_of_layers_that_are_shared_here():
    layer, other = make("RNN", 3, 3, num_layers=2), make("RNN", 3, 3, num_layers=2)
    layer.cells[1].W_hh = layer.cells[0].W_hh
    layer.load_torch_state_dict(layer.to_torch_state_dict())
    with pytest.raises(StateDictError, match="'weight_hh_l1' is shared here"):
        layer.load_torch_state_dict(other.to_torch_state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_goes_to_torch_and_back(kind):
    cell, other = (getattr(tg.nn, f"{kind}Cell")(2, 3, rng=seed) for seed in (0, 1))
    state = cell.to_torch_state_dict()
    assert list(state) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    other.load_torch_state_dict(state)
    equal(cell(np.ones(2)), other(np.ones(2)))


def test_a_cell_of_the_users_own_needs_only_a_step():
    class Leaky(tg.nn.cells.Cell):
        def step(self, x, h):
            return (
                0.5 * h
                + 0.5 * tg.ops.tanh(tg.ops.linear(x, self.W_xh) + tg.ops.linear(h, self.W_hh)),
            )

    class LeakyRNN(tg.nn.recurrent.Recurrent):
        cell_type = Leaky

    ys, last = LeakyRNN(2, 3, num_layers=2, rng=0)(numbers(4, 2))
    assert (ys.shape, last.shape) == ((4, 3), (2, 3))
    ys.sum().backward()
    tg.draw(ys.sum())


def test_torch_has_no_output_layer():
    with pytest.raises(
        StateDictError, match=r"torch.nn.RNN has no output_size: use a Linear layer"
    ):
        make("RNN", 2, 3, output_size=4).to_torch_state_dict()


# The equations


def test_an_lstm_with_peepholes_by_hand():
    cell = tg.nn.LSTMCell(2, 3, peephole=True, rng=0)
    x, h, c = numbers(4, 2), numbers(4, 3, seed=1), numbers(4, 3, seed=2)
    z_i, z_f, z_g, z_o = np.split(
        x @ cell.W_xh.data.T + h @ cell.W_hh.data.T + cell.b_h.data, 4, axis=1
    )
    w_i, w_f, w_o = np.split(cell.w_c.data, 3)
    after = sigmoid(z_f + w_f * c) * c + sigmoid(z_i + w_i * c) * np.tanh(z_g)
    expected = sigmoid(z_o + w_o * after) * np.tanh(after), after
    for found, value in zip(cell(x, (h, c)), expected, strict=True):
        np.testing.assert_allclose(found.data, value, rtol=1e-12)


def test_an_lstm_with_coupled_gates_by_hand():
    cell = tg.nn.LSTMCell(2, 3, coupled=True, peephole=True, rng=0)
    x, h, c = numbers(2), numbers(3, seed=1), numbers(3, seed=2)
    z_f, z_g, z_o = np.split(x @ cell.W_xh.data.T + h @ cell.W_hh.data.T + cell.b_h.data, 3)
    w_f, w_o = np.split(cell.w_c.data, 2)
    f = sigmoid(z_f + w_f * c)
    after = f * c + (1 - f) * np.tanh(z_g)
    np.testing.assert_allclose(cell(x, (h, c))[1].data, after, rtol=1e-12)
    np.testing.assert_allclose(
        cell(x, (h, c))[0].data, sigmoid(z_o + w_o * after) * np.tanh(after), rtol=1e-12
    )


def test_a_gru_that_resets_before_the_product_by_hand():
    cell = tg.nn.GRUCell(2, 3, reset_after=False, rng=0)
    x, h = numbers(4, 2), numbers(4, 3, seed=1)
    x_r, x_z, x_n = np.split(x @ cell.W_xh.data.T + cell.b_h.data, 3, axis=1)
    W_r, W_z, W_n = np.split(cell.W_hh.data, 3)
    r, z = sigmoid(x_r + h @ W_r.T), sigmoid(x_z + h @ W_z.T)
    expected = (1 - z) * np.tanh(x_n + (r * h) @ W_n.T) + z * h
    np.testing.assert_allclose(cell(x, h).data, expected, rtol=1e-12)


@EVERY_VARIANT
def test_gradients_of_every_variant(kind, options):
    layer = make(kind, 1, 2, bidirectional=True, output_size=1, **options)
    xs = tg.tensor(numbers(3, 2, 1), requires_grad=True)
    parameters = list(layer.parameters())

    def run(xs, *values):
        ys, state = layer(xs, lengths=[3, 2])
        return tg.ops.stack([ys.sum(), *((part * part).sum() for part in parts(state))])

    assert tg.gradcheck(run, [xs, *parameters], atol=1e-7)


@EVERY_VARIANT
def test_a_layer_is_a_loop_over_its_cell(kind, options):
    layer, xs = make(kind, 2, 3, **options), numbers(5, 4, 2)
    state, hs = None, []
    for x in xs:
        state = layer.cells[0](x, state)
        hs.append(parts(state)[0])
    ys, last = layer(xs)
    equal(ys, tg.ops.stack(hs))
    equal(last, tuple(part[None] for part in parts(state)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_forget_bias_is_added_to_one_gate(kind):
    if kind != "LSTM":
        with pytest.raises(TypeError, match="forget_bias"):
            make(kind, 2, 3, forget_bias=1.0)
        return
    for coupled, gate in ((False, 1), (True, 0)):
        plain, biased = (
            make(kind, 2, 3, coupled=coupled, forget_bias=b).b_h.data for b in (0.0, 1.5)
        )
        expected = np.zeros(len(plain))
        expected[3 * gate : 3 * gate + 3] = 1.5
        np.testing.assert_allclose(biased - plain, expected, rtol=1e-12)
    with pytest.raises(OpError, match=r"forget_bias=1\.0 needs bias=True"):
        make(kind, 2, 3, bias=False, forget_bias=1.0)


@EVERY_VARIANT
def test_a_cell_states_its_equation_in_lines_that_fit_a_figure(kind, options):
    cell = make(kind, 2, 3, **options).cells[0]
    lines = cell.equation.splitlines()
    assert 1 <= len(lines) <= 5
    assert all(len(line) <= 40 for line in lines)
    assert lines[-1].startswith("hₜ = ")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("cell", "options", "biases"),
    [
        (tg.nn.RNNCell, {}, ["b_h"]),
        (tg.nn.LSTMCell, {}, ["b_h"]),
        (tg.nn.GRUCell, {}, ["b_x", "b_h"]),
        (tg.nn.GRUCell, {"reset_after": False}, ["b_h"]),
    ],
)
def test_an_equation_that_has_the_matrices_has_the_biases_too(cell, options, biases, bias):
    equation = cell(2, 3, bias=bias, **options).equation
    assert re.findall(r"b_\w+", equation) == (biases if bias else [])


@EVERY_VARIANT
def test_an_equation_has_each_parameter_and_says_what_it_reads(kind, options):
    cell = make(kind, 2, 3, **options).cells[0]
    said = re.sub(r"\[\w\]", "", cell.equation)
    assert set(re.findall(r"[Wwb]_\w+", said)) == {name for name, _ in cell.named_parameters()}
    made = {name for line in said.splitlines() for name in line.partition(" = ")[0].split(", ")}
    read = set(re.findall(r"\w+ₜ(?![₋₊])", said))
    assert read - made == {"xₜ"}


# Names and shapes


def shapes(layer):
    return {name: p.shape for name, p in layer.named_parameters()}


def test_names_and_shapes():
    assert shapes(make("RNN", 2, 3, output_size=5)) == {
        "W_xh": (3, 2), "W_hh": (3, 3), "b_h": (3,), "W_hy": (5, 3), "b_y": (5,)
    }  # fmt: skip
    assert shapes(make("LSTM", 2, 3, peephole=True)) == {
        "W_xh": (12, 2), "W_hh": (12, 3), "b_h": (12,), "w_c": (9,)
    }  # fmt: skip
    assert shapes(make("GRU", 2, 3)) == {"W_xh": (9, 2), "W_hh": (9, 3), "b_h": (9,), "b_x": (9,)}
    layer = make("GRU", 2, 3, num_layers=2, bidirectional=True, bias=False, output_size=5)
    ways = ("", "_reverse")
    assert shapes(layer) == {
        **{f"W_xh{way}": (9, 2) for way in ways},
        **{f"W_xh_l1{way}": (9, 6) for way in ways},
        **{f"W_hh{layer}{way}": (9, 3) for layer in ("", "_l1") for way in ways},
        "W_hy": (5, 6),
    }


def test_every_parameter_is_an_attribute():
    layer = make("GRU", 2, 3, num_layers=2, bidirectional=True, output_size=4)
    assert all(getattr(layer, name) is p for name, p in layer.named_parameters())
    with pytest.raises(AttributeError, match="GRU has no attribute 'W_hh_l2'"):
        _ = layer.W_hh_l2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("output_size", [None, 7])
def test_shapes_of_outputs_and_states(kind, batch_first, bidirectional, output_size):
    layer = make(
        kind,
        2,
        3,
        num_layers=2,
        batch_first=batch_first,
        bidirectional=bidirectional,
        output_size=output_size,
    )
    width, cells = output_size or (6 if bidirectional else 3), 4 if bidirectional else 2
    ys, state = layer(numbers(5, 4, 2))
    batch = 5 if batch_first else 4
    assert (ys.shape, {part.shape for part in parts(state)}) == ((5, 4, width), {(cells, batch, 3)})
    ys, state = layer(numbers(5, 2), state=None)
    assert (ys.shape, {part.shape for part in parts(state)}) == ((5, width), {(cells, 3)})


@EVERY_VARIANT
def test_a_layer_in_float32_computes_in_float32(kind, options):
    layer = make(kind, 2, 3, dtype=np.float32, bidirectional=True, output_size=2, **options)
    ys, state = layer(numbers(4, 2, 2).astype(np.float32), lengths=[4, 2])
    ys.sum().backward()
    assert {ys.dtype, *(part.dtype for part in parts(state))} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


# Sequences


@EVERY_VARIANT
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_sequence_of_a_batch_is_read_as_if_alone(kind, options, bidirectional):
    layer = make(kind, 2, 3, num_layers=2, bidirectional=bidirectional, output_size=2, **options)
    xs, lengths = numbers(5, 4, 2), [3, 5, 1, 0]
    ys, state = layer(xs, lengths=lengths)
    for b, length in enumerate(lengths):
        assert not ys.data[length:, b].any()
        if length:
            alone, last = layer(xs[:length, b])
            equal(ys[:length, b], alone)
            equal(tuple(part[:, b] for part in parts(state)), last)
        else:
            assert not any(part.data[:, b].any() for part in parts(state))


def test_no_gradient_comes_from_beyond_the_end():
    xs = tg.tensor(numbers(5, 2, 2), requires_grad=True)
    layer = make("LSTM", 2, 3, bidirectional=True)
    ys, (h, c) = layer(xs, lengths=[2, 5])
    (ys.sum() + h.sum() + c.sum()).backward()
    assert xs.grad.data[:2].all()
    assert not xs.grad.data[2:, 0].any()


@EVERY_VARIANT
@pytest.mark.parametrize(
    ("bidirectional", "batch_first", "padding"),
    one_in(3, list(product((False, True), (True, False), (np.nan, -np.inf)))),
)
def test_whatever_stands_in_the_padding_reaches_nothing(
    kind, options, bidirectional, batch_first, padding
):
    shape = {"num_layers": 2, "bidirectional": bidirectional, "batch_first": batch_first}
    layer = make(kind, 2, 3, output_size=2, **shape, **options)
    lengths = [2, 5, 0]
    beyond = np.arange(5)[:, None] >= lengths
    beyond = (beyond.T if batch_first else beyond)[..., None]
    values = numbers(*beyond.shape[:2], 2)
    found = []
    for filled in (0.0, padding):
        xs = tg.tensor(np.where(beyond, filled, values), requires_grad=True)
        ys, state = layer(xs, lengths=lengths)
        layer.zero_grad()
        # A loss against targets that are padded as well: what comes back there stops.
        loss = ((ys - np.where(beyond, filled, 1.0)) ** 2).sum()
        (loss + sum((part * part).sum() for part in parts(state))).backward()
        found.append([ys.data, *(part.data for part in parts(state)), xs.grad.data])
        found[-1] += [p.grad.data for p in layer.parameters()]
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_in_pieces_is_reading_at_once(kind):
    layer, xs = make(kind, 2, 3, num_layers=2), numbers(6, 4, 2)
    whole, last = layer(xs)
    first, state = layer(xs[:2])
    second, state = layer(xs[2:], tg.nn.detach(state))
    equal(whole, tg.ops.concatenate([first, second]))
    equal(last, state)


GROWN = 2 * tg.tensor(1.0, requires_grad=True)


@pytest.mark.parametrize("state", [GROWN, (GROWN, 2 * GROWN)])
def test_detach(state):
    assert tg.nn.detach(None) is None
    detached = tg.nn.detach(state)
    assert type(detached) is type(state)
    assert not any(part.requires_grad for part in parts(detached))


def test_a_sequence_of_layers_is_a_stack():
    stack = make("GRU", 2, 3, num_layers=2)
    first, second = make("GRU", 2, 3), make("GRU", 3, 3)
    state = stack.state_dict()
    first.load_state_dict({name: value for name, value in state.items() if "_l1" not in name})
    second.load_state_dict({name[:-3]: value for name, value in state.items() if "_l1" in name})
    xs = numbers(5, 4, 2)
    equal(tg.nn.Sequential(first, second)(xs)[0], stack(xs)[0])


def test_a_stack_that_reads_one_way_goes_step_by_step():
    called = []
    layer = make("RNN", 2, 3, num_layers=2)
    for k, cell in enumerate(layer.cells):
        cell.step = lambda x, h, k=k, step=cell.step: called.append(k) or step(x, h)
    layer(numbers(3, 2))
    assert called == [0, 1] * 3


# Dropout


def test_dropout_lies_between_the_layers_and_only_in_training():
    make_one = lambda p, layers: make("RNN", 2, 64, num_layers=layers, dropout=p)
    xs = numbers(4, 2)
    plain, thinned = make_one(0.0, 2), make_one(0.5, 2)
    equal(plain(xs)[0], thinned.eval()(xs)[0])
    assert not np.allclose(plain(xs)[0].data, thinned.train()(xs)[0].data)
    equal(make_one(0.0, 1)(xs)[0], make_one(0.5, 1)(xs)[0])


def test_dropout_keeps_the_mean_and_draws_anew():
    layer = make("RNN", 1, 2000, num_layers=2, dropout=0.25)
    seen = []
    layer.cells[1].step = lambda x, h: (seen.append(x.data), h)[1:]
    layer(np.ones((2, 1)))
    kept = seen[0] != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.05)
    assert (kept != (seen[1] != 0)).any()
    np.testing.assert_allclose(
        seen[0][kept] * 0.75, layer.cells[0](np.ones(1)).data[kept], rtol=1e-12
    )


# What is refused


SIZE = "must be a positive integer, got"


@pytest.mark.parametrize(
    ("kind", "sizes", "options", "message"),
    [
        ("RNN", (0, 3), {}, f"RNNCell: input_size {SIZE} 0"),
        ("LSTM", (2, 3.5), {}, f"LSTMCell: hidden_size {SIZE} 3.5"),
        ("GRU", (2, 3), {"num_layers": True}, f"GRU: num_layers {SIZE} True"),
        ("GRU", (2, 3), {"output_size": -1}, f"GRU: output_size {SIZE} -1"),
        ("GRU", (2, 3), {"dropout": 1.0}, "GRU: dropout must be at least 0 and below 1, got 1.0"),
        ("RNN", (2, 3), {"nonlinearity": "sin"}, 'must be "tanh" or "relu", got \'sin\''),
    ],
)
def test_arguments_that_are_refused(kind, sizes, options, message):
    with pytest.raises(OpError, match=re.escape(message)):
        make(kind, *sizes, **options)


def ones(*shape):
    return np.ones(shape)


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        (tg.nn.RNNCell, [ones(3)], "x must be (B, I) or (I,) with I = 2, got shape (3,)"),
        (tg.nn.LSTMCell, [ones(2), ones(3)], "the state must be h, c, each of shape (3,)"),
        (tg.nn.GRUCell, [ones(4, 2), ones(1, 3)], "each of shape (4, 3), got (1, 3)"),
        (tg.nn.RNN, [ones(4, 5, 3)], "RNN: xs must be (T, B, I) or (T, I) with I = 2"),
        (tg.nn.RNN, [ones(0, 2)], "xs of shape (0, 2) has no timesteps"),
        (tg.nn.LSTM, [ones(4, 2), ones(1, 3)], "must be h, c, each of shape (1, 3)"),
        (tg.nn.RNN, [ones(4, 2), None, [4]], "lengths must be one integer for each"),
        (tg.nn.RNN, [ones(4, 2, 2), None, [1.0, 2.0]], "got float64 of shape"),
        (tg.nn.RNN, [ones(4, 2, 2), None, [5, 1]], "lengths must be in 0..4, got 1..5"),
    ],
)
def test_calls_that_are_refused(module, arguments, message):
    with pytest.raises(OpError, match=re.escape(message)):
        module(2, 3)(*arguments)


def test_a_layer_names_the_layout_it_was_made_for():
    with pytest.raises(OpError, match=r"xs must be \(B, T, I\) or \(T, I\)"):
        make("RNN", 2, 3, batch_first=True)(ones(2))
