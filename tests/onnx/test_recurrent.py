"""Random RNN, LSTM and GRU nodes: as onnxruntime computes them, differentiated as they compute."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tables import rows

import tinygrad_rnn as tg

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
# Smooth, so that a central difference holds; with constants where they take some.
SMOOTH = ("Tanh", "Sigmoid", "Softsign", "Softplus", "ScaledTanh", "Affine")
CONSTANTS = {"ScaledTanh": (0.8, 0.7), "Affine": (0.6, 0.1)}


def random_model(rng):
    """A file of one node, and its inputs: weights in the file, or inputs themselves."""
    op = rng.choice(list(GATES))
    direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
    D = 2 if direction == "bidirectional" else 1
    T, B, I, H = (int(n) for n in rng.integers(1, 5, 4))
    attributes = {"hidden_size": H, "direction": direction}
    weights = {
        "W": drawn(rng, D, GATES[op] * H, I),
        "R": drawn(rng, D, GATES[op] * H, H),
        "B": maybe(rng, lambda: drawn(rng, D, 2 * GATES[op] * H)),
    }
    lengths = maybe(rng, lambda: rng.integers(1, T + 1, B).astype(np.int32))
    states = {"h": maybe(rng, lambda: drawn(rng, D, B, H))}
    if op == "LSTM":
        states["c"] = maybe(rng, lambda: drawn(rng, D, B, H))
        weights["P"] = maybe(rng, lambda: drawn(rng, D, 3 * H))
    if op == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    if rng.random() < 0.4:
        names = [str(rng.choice(SMOOTH)) for _ in range(FUNCTIONS[op] * D)]
        pairs = [CONSTANTS[name] for name in names if name in CONSTANTS]
        attributes["activations"] = names
        attributes["activation_alpha"] = [a for a, _ in pairs]
        attributes["activation_beta"] = [b for _, b in pairs]
    given = {"X": drawn(rng, T, B, I), **weights, "lengths": lengths, **states}
    order = ["X", "W", "R", "B", "lengths", "h", "c", "P"]
    names = [name if given.get(name) is not None else "" for name in order]
    while not names[-1]:
        names.pop()
    outputs = ["Y", "Y_h"] + ["Y_c"] * (op == "LSTM")
    attributes = {key: value for key, value in attributes.items() if value not in ([], None)}
    node = helper.make_node(str(op), names, outputs, name="layer", **attributes)
    there = {name: given[name] for name in names if name}
    are_inputs = rng.random() < 0.3
    initializers = [] if are_inputs else [name for name in weights if name in there]
    graph = helper.make_graph(
        [node],
        "random",
        [info(name, array) for name, array in there.items() if name not in initializers],
        [output(name) for name in outputs],
        [numpy_helper.from_array(there[name], name) for name in initializers],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    inputs = {name: array for name, array in there.items() if name not in initializers}
    return model.SerializeToString(), inputs


def output(name):
    axes = [None] * (4 if name == "Y" else 3)
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)


def drawn(rng, *shape):
    return rng.uniform(-0.7, 0.7, shape).astype(np.float32)


def maybe(rng, make):
    return make() if rng.random() < 0.6 else None


def info(name, array):
    number = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, number, list(array.shape))


def agrees(seed):
    data, inputs = random_model(np.random.default_rng(seed))
    session = onnxruntime.InferenceSession(data)
    made = tg.onnx.load(data)(**inputs)
    for ours, theirs in zip(made, session.run(None, inputs), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-4, atol=1e-5, err_msg=f"{seed}")
    is_differentiated(data, inputs)


def is_differentiated(data, inputs):
    """By central differences, in double precision, of the inputs and of what the file holds."""
    network = tg.onnx.load(data, dtype=np.float64)
    floats = {name: x for name, x in inputs.items() if x.dtype.kind == "f"}
    others = {name: x for name, x in inputs.items() if name not in floats}
    leaves = [tg.tensor(x, dtype=float, requires_grad=True) for x in floats.values()]
    parameters = list(network.parameters())

    def loss(*xs):
        given = dict(zip(floats, xs, strict=False))
        return sum((y * y).sum() for y in network(**given, **others))

    assert tg.gradcheck(loss, [*leaves, *parameters])


@pytest.mark.parametrize("seed", rows([0, 1, 2, 3, 5], [0, 2]))
def test_a_random_node_is_as_in_onnxruntime(seed):
    agrees(seed)


@pytest.mark.parametrize(
    "seed", [*rows([4, *range(6, 55)], ()), *rows(range(55, 155), (), pytest.mark.slow)]
)
def test_many_random_nodes_are_as_in_onnxruntime(seed):
    agrees(seed)


@pytest.mark.parametrize("op", GATES)
def test_layout_1_is_layout_0_with_the_batch_first(op):
    rng = np.random.default_rng(0)
    weights = {"W": drawn(rng, 2, GATES[op] * 3, 2), "R": drawn(rng, 2, GATES[op] * 3, 3)}
    X, h = drawn(rng, 4, 5, 2), drawn(rng, 2, 5, 3)

    def run(layout, X, h):
        node = helper.make_node(
            op, ["X", "W", "R", "", "", "h"], ["Y", "Y_h"], layout=layout, hidden_size=3,
            direction="bidirectional",
        )  # fmt: skip
        graph = helper.make_graph(
            [node], "g", [info("X", X), info("h", h)],
            [output("Y"), output("Y_h")],
            [numpy_helper.from_array(w, name) for name, w in weights.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
        return [y.data for y in tg.onnx.load(model.SerializeToString())(X, h)]

    Y, Y_h = run(0, X, h)
    of_batch = run(1, X.swapaxes(0, 1), h.swapaxes(0, 1))
    np.testing.assert_array_equal(of_batch[0], Y.transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(of_batch[1], Y_h.swapaxes(0, 1))


@pytest.mark.parametrize("op", GATES)
def test_clip_and_input_forget_are_as_in_onnxruntime(op):
    rng = np.random.default_rng(1)
    attributes = {"hidden_size": 3, "clip": 0.3}
    if op == "LSTM":
        attributes["input_forget"] = 1
    arrays = {
        "X": drawn(rng, 4, 2, 2) * 3, "W": drawn(rng, 1, GATES[op] * 3, 2),
        "R": drawn(rng, 1, GATES[op] * 3, 3),
    }  # fmt: skip
    node = helper.make_node(op, ["X", "W", "R"], ["Y"], **attributes)
    graph = helper.make_graph(
        [node], "g", [info("X", arrays["X"])],
        [output("Y")],
        [numpy_helper.from_array(arrays[name], name) for name in ("W", "R")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    data = model.SerializeToString()
    (theirs,) = onnxruntime.InferenceSession(data).run(None, {"X": arrays["X"]})
    np.testing.assert_allclose(tg.onnx.load(data)(arrays["X"]).data, theirs, rtol=1e-5, atol=1e-6)
