"""What is written runs the same in onnxruntime, and comes back as it was."""

import runpy
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OnnxError

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
NAMES = sorted(path.stem for path in MUSEUM.glob("*.py"))
# Few, but among them: layers of two kinds, and plain ops.
QUICK = ("gru", "min_char_rnn", "peephole_lstm")
# Their inputs decide what is computed, so these are written as they are.
LOOK_AT_NUMBERS = ("act", "deep_blstm", "min_char_rnn", "phased_lstm")
LAYERS = {"rnn": tg.nn.RNN, "lstm": tg.nn.LSTM, "gru": tg.nn.GRU}


def in_onnxruntime(path, *inputs):
    session = onnxruntime.InferenceSession(str(path))
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, map(as_single, inputs), strict=True)))


def as_single(x):
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype.kind == "f" else x


def museum(name):
    """The loss function of a program, and its arguments: none, where it looks at their numbers."""
    here = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
    batch = here["scaled"](3) if "scaled" in here else here["BATCH"]
    loss_fn = here["loss_fn"]
    if name in LOOK_AT_NUMBERS:
        return (lambda: loss_fn(*batch)), ()
    return loss_fn, batch


def comes_back(name, folder):
    loss_fn, batch = museum(name)
    loss = loss_fn(*batch).item()
    tg.onnx.save(folder / "single.onnx", loss_fn, *batch, dtype=np.float32)
    (single,) = in_onnxruntime(folder / "single.onnx", *batch)
    assert single == pytest.approx(loss, rel=1e-5)
    tg.onnx.save(folder / "double.onnx", loss_fn, *batch)
    network = tg.onnx.load(folder / "double.onnx")
    again = network(*batch)
    assert again.item() == pytest.approx(loss, rel=1e-12)
    again.backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", QUICK)
def test_a_program_of_the_museum_comes_back(name, tmp_path):
    comes_back(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in QUICK])
def test_every_program_of_the_museum_comes_back(name, tmp_path):
    comes_back(name, tmp_path)


def groups(trace):
    """How many of each thing a picture has."""
    parts = tg.draw(trace).svg.split('<g id="')[1:]
    kinds = Counter(part.partition('"')[0].partition("-")[0] for part in parts)
    return {kind: kinds[kind] for kind in ("column", "cell", "message", "output", "loss")}


@pytest.mark.parametrize("name", ["gru", "world_model", "min_char_rnn"])
def test_the_picture_is_the_same(name, tmp_path):
    """Columns and rows of copies, of layers, of cells and of plain loops."""
    loss_fn, batch = museum(name)
    tg.onnx.save(tmp_path / "m.onnx", loss_fn, *batch)
    network = tg.onnx.load(tmp_path / "m.onnx")
    with tg.trace() as before:
        loss_fn(*batch).backward()
    with tg.trace() as after:
        network(*batch).backward()
    assert groups(before)["cell"] > 0
    assert groups(after) == groups(before)


# Recurrent layers


FORMS = list(product(LAYERS, [1, 2], [False, True], [False, True]))
QUICK_FORMS = [("rnn", 1, False, False), ("lstm", 2, True, True), ("gru", 1, True, False)]


@pytest.mark.parametrize(
    ("kind", "num_layers", "bidirectional", "batch_first"),
    [
        pytest.param(*form, marks=[] if form in QUICK_FORMS else [pytest.mark.slow])
        for form in FORMS
    ],
)
def test_a_layer_becomes_a_node(kind, num_layers, bidirectional, batch_first, tmp_path):
    rng = np.random.default_rng(0)
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "rng": 1}
    layer = LAYERS[kind](3, 4, batch_first=batch_first, output_size=2, **options)
    xs = rng.standard_normal((5, 5, 3))
    held_to(layer, tmp_path, kind, num_layers, xs)
    state = rng.standard_normal((2 if kind == "lstm" else 1, len(layer.cells), 5, 4))
    held_to(with_state(layer), tmp_path, kind, num_layers, xs, *state)


def with_state(layer):
    def run(xs, *state):
        return layer(xs, state if len(state) > 1 else state[0], lengths=np.array([5, 1, 3, 2, 5]))

    return run


@pytest.mark.parametrize(
    "layer",
    [
        tg.nn.RNN(3, 4, nonlinearity="relu", rng=0),
        tg.nn.LSTM(3, 4, peephole=True, rng=0),
        tg.nn.LSTM(3, 4, coupled=True, peephole=True, rng=0),
        tg.nn.LSTM(3, 4, bias=False, bidirectional=True, rng=0),
        tg.nn.GRU(3, 4, reset_after=False, rng=0),
        tg.nn.GRU(3, 4, bias=False, rng=0),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3)])
def test_a_variant_becomes_a_node(layer, shape, tmp_path):
    xs = np.random.default_rng(0).standard_normal(shape)
    held_to(layer, tmp_path, type(layer).__name__.lower(), 1, xs)


def held_to(function, folder, kind, count, *inputs):
    """One node a layer; the numbers of onnxruntime in single, and of `load` in double precision."""
    expected = flat(function(*inputs))
    tg.onnx.save(folder / "single.onnx", function, *inputs, dtype=np.float32)
    graph = onnx.load(str(folder / "single.onnx")).graph
    assert [node.op_type for node in graph.node].count(kind.upper()) == count
    for got, wanted in zip(in_onnxruntime(folder / "single.onnx", *inputs), expected, strict=True):
        np.testing.assert_allclose(got, wanted.data, rtol=1e-4, atol=1e-5)
    tg.onnx.save(folder / "double.onnx", function, *inputs)
    made = flat(tg.onnx.load(folder / "double.onnx")(*inputs))
    for got, wanted in zip(made, expected, strict=True):
        np.testing.assert_allclose(got.data, wanted.data, rtol=1e-12, atol=1e-13)


def flat(made):
    if isinstance(made, tg.Tensor):
        return [made]
    return [x for part in made for x in flat(part)]


def test_a_layer_that_is_called_twice_is_one(tmp_path):
    layer = tg.nn.LSTM(3, 3, rng=0)
    xs = np.random.default_rng(0).standard_normal((2, 2, 3))

    def twice(xs):
        ys, state = layer(xs)
        return layer(ys, state)[0]

    tg.onnx.save(tmp_path / "m.onnx", twice, xs)
    network = tg.onnx.load(tmp_path / "m.onnx")
    assert [p.shape for p in network.parameters()] == [(12, 3), (12, 3), (12,)]
    np.testing.assert_allclose(network(xs).data, twice(xs).data, rtol=1e-12)
    pictures = []
    for model in (twice, network):
        with tg.trace() as run:
            (model(tg.tensor(xs)) ** 2).sum().backward()
        pictures.append(groups(run))
    assert pictures[0] == pictures[1]


def test_unrolled_is_plain_ops(tmp_path):
    layer = tg.nn.LSTM(2, 3, rng=0)
    xs = np.ones((2, 1, 2))
    tg.onnx.save(tmp_path / "m.onnx", layer, xs, unrolled=True)
    ops = {node.op_type for node in onnx.load(str(tmp_path / "m.onnx")).graph.node}
    assert "LSTM" not in ops
    assert {"Gemm", "Sigmoid"} <= ops
    network = tg.onnx.load(tmp_path / "m.onnx")
    assert {name for name, _ in network.named_parameters()} == {"W_xh", "W_hh", "b_h"}
    np.testing.assert_allclose(network(xs)[0].data, layer(xs)[0].data, rtol=1e-12)


def test_names_and_scopes_are_kept(tmp_path):
    model = tg.nn.Sequential(tg.nn.Embedding(5, 3, rng=0), tg.nn.Linear(3, 2, rng=1))
    tg.onnx.save(tmp_path / "m.onnx", model, np.array([0, 4]))
    proto = onnx.load(str(tmp_path / "m.onnx"))
    assert [one.version for one in proto.opset_import] == [20]
    assert {one.name for one in proto.graph.initializer} == {"0.weight", "1.weight", "1.bias"}
    network = tg.onnx.load(tmp_path / "m.onnx")
    assert [name for name, _ in network.named_parameters()] == ["0.weight", "1.weight", "1.bias"]
    assert network.state_dict().keys() == model.state_dict().keys()


def test_an_index_may_be_an_input(tmp_path):
    table = tg.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    tg.onnx.save(tmp_path / "m.onnx", lambda i: tg.ops.tanh(table[i]), np.array([0, 1]))
    other = np.array([3, 2])
    made = tg.onnx.load(tmp_path / "m.onnx")(other)
    np.testing.assert_array_equal(made.data, np.tanh(table.data[other]))


# What cannot be written


@tg.op(lambda g, y, x: g)
def unheard(x):
    """The same: y = x; x̄ = ȳ."""
    return x.copy()


x = np.ones(3)


@pytest.mark.parametrize(
    ("function", "example", "message"),
    [
        (lambda x: unheard(unheard(x)) + tg.ops.tanh(x), x, r"no form in ONNX here: unheard \(2\)"),
        (lambda x: x * float(x.sum()), x, "looks at the numbers of .*comes from the input 'x'"),
        (lambda x: 3.0, x, "must return what it computes"),
        (tg.nn.Dropout(0.5), x, r"dropout_mask \(1\); .*model.eval\(\)"),
    ],
)
def test_what_cannot_be_written_is_said(function, example, message, tmp_path):
    with pytest.raises(OnnxError, match=message):
        tg.onnx.save(tmp_path / "m.onnx", function, example)
    assert not (tmp_path / "m.onnx").exists()


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(OnnxError, match="No such file"):
        tg.onnx.save(tmp_path / "no" / "m.onnx", tg.ops.tanh, x)


def test_floats_are_written_as_floats(tmp_path):
    with pytest.raises(OnnxError, match="floats cannot be written as"):
        tg.onnx.save(tmp_path / "m.onnx", tg.ops.tanh, x, dtype=int)
