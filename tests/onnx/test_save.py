"""What is written runs the same in onnxruntime, and comes back as it was."""

import json
import re
import runpy
from inspect import signature
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OnnxError

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
NAMES = sorted(path.stem for path in MUSEUM.glob("*.py"))
# Few, but among them: layers of two kinds, and plain ops.
QUICK = ("gru", "min_char_rnn", "peephole_lstm")
# Their inputs decide what is computed, so these are written as they are.
LOOK_AT_NUMBERS = ("act", "deep_blstm", "min_char_rnn", "phased_lstm")
WITHOUT_COPIES = ("transformer",)
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


@pytest.mark.rest
@pytest.mark.parametrize("name", [name for name in NAMES if name not in QUICK])
def test_every_program_of_the_museum_comes_back(name, tmp_path):
    comes_back(name, tmp_path)


# The picture


def pictures(name, folder, **options):
    """The picture of a program of the museum, and that of the file that was written of it."""
    loss_fn, batch = museum(name)
    tg.onnx.save(folder / "m.onnx", loss_fn, *batch)
    arguments = [
        tg.Tensor(x.data if isinstance(x, tg.Tensor) else x, name=argument)
        for x, argument in zip(batch, signature(loss_fn).parameters, strict=False)
    ]
    drawn = []
    for function in (loss_fn, tg.onnx.load(folder / "m.onnx")):
        with tg.trace() as run:
            function(*arguments).backward()
        drawn.append(tg.draw(run, **options))
    return drawn


# A layer of ours; a plain loop, with numbers beside the tensors and a loss of several nodes.
@pytest.mark.parametrize("name", ["gru", "forget_gate"])
def test_the_picture_is_the_same(name, tmp_path):
    """To the last letter: blocks, rows, columns, arrows, labels, ids, what stands in a tooltip."""
    before, after = pictures(name, tmp_path)
    assert after.svg == before.svg
    assert after.dot == before.dot


@pytest.mark.rest
@pytest.mark.parametrize("name", [name for name in NAMES if name != "rwkv"])
def test_every_picture_is_the_same(name, tmp_path):
    before, after = pictures(name, tmp_path, gradients=name not in WITHOUT_COPIES)
    assert after.svg == before.svg
    assert after.dot == before.dot


@pytest.mark.rest
def test_a_file_has_one_name_for_an_array_that_a_program_calls_by_two(tmp_path):
    """All else that the picture says is the same: rwkv begins with x_before = y_before."""
    before, after = (
        [
            re.sub(r"(, |\b)[xy]_before\b", "", title).strip()
            for title in re.findall("<title>(.*)</title>", picture.svg)
        ]
        for picture in pictures("rwkv", tmp_path, gradients=True)
    )
    assert after == before


def recorded(function, *arguments):
    """The ops that a function runs, with what they read: numbers, options and names."""
    with tg.trace() as run:
        function(*arguments)
    return [
        (node.op, node.numbers, str(node.options), node.name or node.source.variable, node.shape)
        for node in (event.output for event in run.events if event.kind == "forward")
    ]


class Tied(tg.nn.Module):
    """Modules that are called inside scopes, one of them under two names."""

    def __init__(self):
        self.first = tg.nn.Linear(3, 3, rng=0)
        self.again = self.first
        self.layers = [tg.nn.GRUCell(3, 3, rng=1), tg.nn.Linear(3, 3, rng=2)]

    def forward(self, x):
        h = self.first(x)
        for _ in range(3):
            with tg.scope("step"):
                h = self.layers[0](self.again(x), h)
                h = self.layers[1](h)
        return h


def test_modules_come_back_where_they_were(tmp_path):
    tied, x = Tied(), tg.tensor(np.ones(3), name="x")

    def loss_fn(x):
        h = tied(x)
        cut = (h * 2).detach()
        return (tg.ops.where(h > 0, h, 1e-3) * cut).sum()

    tg.onnx.save(tmp_path / "m.onnx", loss_fn, x)
    network = tg.onnx.load(tmp_path / "m.onnx")
    assert recorded(network, x) == recorded(loss_fn, x)
    names = [f"tied.{name}" for name, _ in tied.named_parameters()]
    assert [name for name, _ in network.named_parameters()] == names
    drawn = [tg.draw(function(x)).svg for function in (loss_fn, network)]
    assert drawn[1] == drawn[0]
    grads = [tg.grad(f(x), list(m.parameters())) for f, m in ((loss_fn, tied), (network, network))]
    for ours, theirs in zip(*grads, strict=True):
        np.testing.assert_allclose(theirs.data, ours.data, rtol=1e-12)


def test_a_layer_comes_back_as_it_is(tmp_path):
    layer = tg.nn.LSTM(2, 3, num_layers=2, peephole=True, coupled=True, output_size=2, rng=0)
    xs = tg.tensor(np.ones((4, 2, 2)), name="xs")

    def shown(xs):
        ys, _ = layer(xs, lengths=np.array([4, 2]))
        return ys

    tg.onnx.save(tmp_path / "m.onnx", shown, xs)
    network = tg.onnx.load(tmp_path / "m.onnx")
    assert recorded(network, xs) == recorded(shown, xs)
    assert network.state_dict().keys() == {f"layer.{name}" for name in layer.state_dict()}
    np.testing.assert_array_equal(network(xs).data, shown(xs).data)


def test_a_layer_whose_weights_are_read_elsewhere_is_written_op_by_op(tmp_path):
    layer = tg.nn.RNN(2, 3, rng=0)
    xs = np.ones((2, 1, 2))

    def regularised(xs):
        return (layer(xs)[0] ** 2).sum() + (layer.W_hh**2).sum()

    tg.onnx.save(tmp_path / "m.onnx", regularised, xs)
    network = tg.onnx.load(tmp_path / "m.onnx")
    assert [p.shape for p in network.parameters()] == [p.shape for p in layer.parameters()]
    for model in (network, layer):
        model.zero_grad()
    network(xs).backward()
    regularised(xs).backward()
    for ours, theirs in zip(layer.parameters(), network.parameters(), strict=True):
        np.testing.assert_allclose(theirs.grad.data, ours.grad.data, rtol=1e-12)


def altered(path, change):
    """The file, with what is said of one node changed."""
    proto = onnx.load(str(path))
    changed = 0
    for node in proto.graph.node:
        for entry in node.metadata_props:
            if entry.key == "tinygrad_rnn.origin":
                facts = json.loads(entry.value)
                changed += bool(change(facts))
                entry.value = json.dumps(facts)
    assert changed
    onnx.save(proto, str(path))


def swapped(facts):
    if facts.get("op") == "tanh":
        facts["op"] = "sigmoid"
        return True
    return False


def stretched(facts):
    if facts.get("op") == "reshape":
        facts.update(op="repeat", options={"repeats": 10**12, "axis": None})
        return True
    return False


def other_number(facts):
    if facts.get("op") == "mul":
        facts["operands"][1] = ["number", 3.0]
        return True
    return False


@pytest.mark.parametrize("change", [swapped, stretched, other_number])
def test_what_a_file_says_of_itself_is_not_believed(change, tmp_path):
    """The nodes are what is run: here they are said to be another op, or one of another number."""

    def function(x):
        return (tg.ops.tanh(x) * 2.0).reshape(2, 2)

    x = np.array([0.5, -1.0, 2.0, 0.1])
    tg.onnx.save(tmp_path / "m.onnx", function, x)
    altered(tmp_path / "m.onnx", change)
    made = tg.onnx.load(tmp_path / "m.onnx")(x)
    np.testing.assert_allclose(made.data, function(x).data, rtol=1e-12)


def lies_of_the_layer(facts):
    if "layer" in facts:
        facts["config"]["reset_after"] = False
        return True
    return False


def test_a_layer_that_is_another_one_runs_as_its_nodes_say(tmp_path):
    layer, xs = tg.nn.GRU(2, 3, rng=0), np.ones((3, 1, 2))
    tg.onnx.save(tmp_path / "m.onnx", layer, xs)
    altered(tmp_path / "m.onnx", lies_of_the_layer)
    ys, h = tg.onnx.load(tmp_path / "m.onnx")(xs)
    np.testing.assert_allclose(ys.data, layer(xs)[0].data, rtol=1e-12)
    np.testing.assert_allclose(h.data, layer(xs)[1].data, rtol=1e-12)


# Recurrent layers


FORMS = list(product(LAYERS, [1, 2], [False, True], [False, True]))
QUICK_FORMS = [("rnn", 1, False, False), ("lstm", 2, True, True), ("gru", 1, True, False)]


@pytest.mark.parametrize(
    ("kind", "num_layers", "bidirectional", "batch_first"),
    rows(FORMS, QUICK_FORMS),
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
    xs = tg.tensor(xs, name="xs")
    drawn = [tg.draw((model(xs) ** 2).sum()).svg for model in (twice, network)]
    assert drawn[0] == drawn[1]


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
