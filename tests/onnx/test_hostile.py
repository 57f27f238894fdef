"""Files that lie, or are made to hurt: one error that says what is wrong, and no memory lost."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OnnxError, TinygradError

KEPT = Path(__file__).parents[1] / "data" / "onnx"
FLOAT = TensorProto.FLOAT


def of(*nodes, inputs=("x",), outputs=("y",), initializers=(), opset=20, **options):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, FLOAT, ["n"]) for name in inputs],
        [helper.make_tensor_value_info(name, FLOAT, ["n"]) for name in outputs],
        initializers,
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **options)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, name=op, **attributes)


def branch_of(one):
    output = helper.make_tensor_value_info(one.output[0], FLOAT, ["n"])
    return helper.make_graph([one], "b", [], [output])


def nested(depth):
    """An If in an If in an If."""
    one = node("Identity", ["x"], ["inner"])
    flat = branch_of(node("Identity", ["x"], ["flat"]))
    for i in range(depth):
        one = node("If", ["c"], [f"y{i}"], then_branch=branch_of(one), else_branch=flat)
    return of(node("Cast", ["x"], ["c"], to=9), one, outputs=[one.output[0]])


def tensor(name, dims, data=b"", kind=FLOAT, **fields):
    made = TensorProto(name=name, data_type=kind, dims=dims)
    if data is not None:
        made.raw_data = data
    return made


def outside(location, offset="0", length="8"):
    made = tensor("w", [2], None)
    made.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, value in entries.items():
        made.external_data.add(key=key, value=value)
    return of(node("Add", ["x", "w"], ["y"]), initializers=[made])


def calls_itself():
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    inner = [helper.make_node("f", ["a"], ["b"], domain="own") for _ in range(2)]
    inner[1].output[0] = "c"
    function = helper.make_function("own", "f", ["a"], ["b"], inner, opsets)
    model = of(helper.make_node("f", ["x"], ["y"], domain="own"), functions=[function])
    model.opset_import.append(opsets[1])
    return model


def unknown_ops():
    made = [helper.make_node("Strange", ["x"], [f"a{i}"], domain="far.away") for i in range(3)]
    made.append(node("NoSuchOp", ["x"], ["y"]))
    return of(*made)


add = node("Add", ["x", "w"], ["y"])
REFUSED = {
    "a circle": (of(node("Add", ["x", "y"], ["y2"]), node("Neg", ["y2"], ["y"])), "in a circle"),
    "itself": (of(node("Add", ["x", "y"], ["y"])), "in a circle"),
    "nothing makes it": (of(node("Add", ["x", "z"], ["y"])), "reads 'z', which nothing makes"),
    "twice": (of(node("Neg", ["x"], ["y"]), node("Abs", ["x"], ["y"])), "which is there already"),
    "no output": (of(node("Neg", ["x"], ["z"])), "output 'y' is made by nothing"),
    "two of one name": (of(node("Neg", ["x"], ["y"]), inputs=("x", "x")), "two inputs of one name"),
    "new opset": (of(node("Neg", ["x"], ["y"]), opset=99), "opset 99 is not known"),
    "no opset": (of(node("Neg", ["x"], ["y"]), opset=0), "opset 0 is not known"),
    "unknown ops": (unknown_ops(), r"4 nodes of ops .*: NoSuchOp \(1\), far.away.Strange \(3\)"),
    "an attribute": (of(node("Neg", ["x"], ["y"], axis=1)), "has no attribute 'axis'"),
    "its type": (of(node("Softmax", ["x"], ["y"], axis="0")), "'axis' is of another type"),
    "none": (of(node("Cast", ["x"], ["y"])), "attribute 'to' is missing"),
    "inputs": (of(node("Neg", ["x", "x"], ["y"])), "2 inputs, and the op has 1 to 1"),
    "few inputs": (of(node("LSTM", ["x"], ["y"])), "1 inputs, and the op has 3"),
    "deep": (nested(24), "graphs in graphs deeper than|damaged"),
    "functions": (calls_itself(), "functions in functions deeper than"),
    "short data": (of(add, initializers=[tensor("w", [3], b"1234")]), "takes 12"),
    "huge shape": (of(add, initializers=[tensor("w", [2**40, 2**20])]), "0 bytes, but"),
    "negative": (of(add, initializers=[tensor("w", [-1])]), "no shape"),
    "many axes": (of(add, initializers=[tensor("w", [1] * 40, b"1234")]), "no shape"),
    "strings": (of(add, initializers=[tensor("w", [0], None, 8)]), "type STRING cannot be held"),
    "bfloat16": (of(add, initializers=[tensor("w", [1], b"12", 16)]), "BFLOAT16 cannot be held"),
    "no type": (of(add, initializers=[tensor("w", [1], b"12", 99)]), "type number 99"),
    "parent folder": (outside("../secret"), "outside the model's folder: refused"),
    "absolute": (outside("/etc/passwd"), "outside the model's folder: refused"),
    "a link": (outside("link"), "outside the model's folder: refused"),
    "no file": (outside("none.bin"), "'none.bin' is not a file"),
    "cut off": (outside("data.bin", offset="1000"), "'data.bin' is cut off"),
    "no number": (outside("data.bin", offset="x"), "no offset or length"),
    "too long": (outside("data.bin", length="9"), "9 bytes at 0 for"),
    "a pipe": (outside("pipe"), "'pipe' is not a file"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_bytes(b"12345678")
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "data.bin").write_bytes(np.ones(2, np.float32).tobytes())
    os.mkfifo(inside / "pipe")
    return inside


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_lies_is_refused(name, folder):
    model, message = REFUSED[name]
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(OnnxError, match=message) as raised:
        tg.onnx.load(folder / "m.onnx")
    assert len(str(raised.value)) < 600


def test_data_beside_the_model_is_read(folder):
    (folder / "m.onnx").write_bytes(outside("data.bin").SerializeToString())
    assert tg.onnx.load(folder / "m.onnx")(np.zeros(2)).data.tolist() == [1.0, 1.0]
    with pytest.raises(OnnxError, match=r"give load\(\) a path"):
        tg.onnx.load(outside("data.bin").SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"<html>", b"\x08\x07"])
def test_other_files_are_refused(data, tmp_path):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(OnnxError, match=r"m.onnx: not an ONNX file"):
        tg.onnx.load(tmp_path / "m.onnx")
    with pytest.raises(OnnxError, match="No such file"):
        tg.onnx.load(tmp_path / "none.onnx")
    with pytest.raises(OnnxError, match="Is a directory"):
        tg.onnx.load(tmp_path)


def shape(*numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), "s")


def forever():
    body = helper.make_graph(
        [node("Identity", ["c"], ["c2"]), node("Identity", ["h"], ["h2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", FLOAT, ["n"]),
        ],
        [
            helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h2", FLOAT, ["n"]),
        ],
    )
    return of(node("Loop", ["", "", "x"], ["y"], body=body))


HUGE = {
    "ConstantOfShape": of(
        node("ConstantOfShape", ["s"], ["z"]), node("Add", ["x", "z"], ["y"]),
        initializers=[shape(2**40)],
    ),
    "Expand": of(node("Expand", ["x", "s"], ["y"]), initializers=[shape(2**30, 2**10, 1)]),
    "Tile": of(node("Tile", ["x", "s"], ["y"]), initializers=[shape(2**40)]),
    "Pad": of(node("Pad", ["x", "s"], ["y"]), initializers=[shape(0, 2**40)]),
}  # fmt: skip


@pytest.mark.parametrize("op", HUGE)
def test_a_small_file_makes_no_huge_value(op):
    network = tg.onnx.load(HUGE[op].SerializeToString())
    tracemalloc.start()
    with pytest.raises(OnnxError, match=f"{op}.*elements"):
        network(np.ones(1))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.slow
def test_a_loop_without_an_end_is_ended():
    network = tg.onnx.load(forever().SerializeToString())
    with pytest.raises(OnnxError, match="more than 100000 steps"):
        network(np.ones(1))


NAMES = ["forward", "__class__", "parameters", "a" * 300, "\x1b[31m", "<b>", "..", "a..b", "_x"]


def test_names_of_a_file_are_names_and_nothing_else():
    arrays = [numpy_helper.from_array(np.ones(2, np.float32), name) for name in NAMES]
    nodes = [node("Add", ["x", NAMES[0]], ["v0"])]
    for i, name in enumerate(NAMES[1:], 1):
        nodes.append(node("Add", [f"v{i - 1}", name], [f"v{i}"]))
        nodes[-1].name = f"/{name}/{name}/Add"
    model = of(*nodes, outputs=[f"v{len(NAMES) - 1}"], initializers=arrays)
    network = tg.onnx.load(model.SerializeToString())
    with tg.trace() as run:
        y = network(np.zeros(2))
        (y * y).sum().backward()
    assert y.data.tolist() == [len(NAMES)] * 2
    assert len(list(network.parameters())) == len(NAMES)
    assert callable(network.forward)
    picture = tg.draw(run, view="ops").svg
    assert "\x1b" not in picture
    assert "<b>" not in picture


def survives(data):
    """Whatever a file holds, loading and running it ends with a result or with our error."""
    try:
        network = tg.onnx.load(data)
        shapes = [[n if isinstance(n, int) else 2 for n in v.shape or ()] for v in network.inputs]
        if all(np.prod(shape, dtype=float) < 1e5 for shape in shapes):
            pairs = zip(network.inputs, shapes, strict=True)
            network(*(np.zeros(shape, value.dtype or np.float32) for value, shape in pairs))
    except TinygradError:
        pass


def mutants(data, count, rng):
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(len(changed)))
            match int(rng.integers(3)):
                case 0:
                    changed[place] = int(rng.integers(256))
                case 1:
                    del changed[place : place + int(rng.integers(1, 9))]
                case _:
                    end = place + int(rng.integers(1, 30))
                    changed[place:place] = changed[place:end]
        yield bytes(changed)


@pytest.mark.parametrize("name", ["char_lstm", "loop"])
def test_mutants_of_a_file_raise_our_error_or_run(name):
    data = (KEPT / f"{name}.onnx").read_bytes()
    for mutant in mutants(data, 25, np.random.default_rng(0)):
        survives(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["char_lstm", "loop", "tagger", "seq2seq"])
def test_many_mutants_of_a_file_raise_our_error_or_run(name):
    data = (KEPT / f"{name}.onnx").read_bytes()
    for mutant in mutants(data, 1000, np.random.default_rng(1)):
        survives(mutant)


# What a file of ours says of its nodes

LIES = (
    None, True, -1, 0, 10**9, 2**70, 1.5, "", "x" * 5000, "repeat", "lstm", [], {}, ["array", 99],
    ["slice", 0, 10**12, 1], ["value", 3], ["number", 1e308], [[10**9] * 3],
)  # fmt: skip


def places_in(value):
    """Every place in a value of JSON, as what holds it and its key there."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places_in(value[key])


def lied(model, rng):
    """The model, with a few of the things changed that it says of itself."""
    changed = onnx.ModelProto.FromString(model)
    entries = [one for node in changed.graph.node for one in node.metadata_props]
    for _ in range(int(rng.integers(1, 5))):
        entry = entries[rng.integers(len(entries))]
        said = [json.loads(entry.value)]
        places = list(places_in(said))
        holder, key = places[rng.integers(len(places))]
        holder[key] = LIES[rng.integers(len(LIES))]
        entry.value = json.dumps(said[0])
        if rng.random() < 0.2:
            entry.value = entries[rng.integers(len(entries))].value
    return changed.SerializeToString()


class TwoLayers(tg.nn.Module):
    def __init__(self):
        self.rnn = tg.nn.LSTM(2, 3, output_size=2, rng=0)
        self.cell = tg.nn.GRUCell(2, 2, rng=1)

    def forward(self, xs):
        ys, h = self.rnn(xs)[0], np.zeros((1, 2))
        for y in ys:
            with tg.scope("step"):
                h = self.cell(y, h)
        return tg.nn.cross_entropy(h, np.array([1])) + (h * 0.5).sum()


def says_what_its_nodes_say(count, seed, folder):
    xs, model, rng = np.ones((3, 1, 2)), TwoLayers(), np.random.default_rng(seed)
    tg.onnx.save(folder / "m.onnx", model, xs)
    data, expected = (folder / "m.onnx").read_bytes(), model(xs).item()
    for _ in range(count):
        try:
            made = tg.onnx.load(lied(data, rng))(xs).item()
        except TinygradError:
            continue
        assert made == pytest.approx(expected, rel=1e-12)


def test_a_file_that_lies_of_its_nodes_computes_what_they_say(tmp_path):
    says_what_its_nodes_say(8, 0, tmp_path)


@pytest.mark.slow
def test_many_lies_change_no_number(tmp_path):
    says_what_its_nodes_say(1000, 1, tmp_path)


def test_without_the_package_one_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(OnnxError, match=r"pip install 'tinygrad-rnn\[onnx\]'"):
        tg.onnx.load(b"")


def test_the_checker_of_onnx_agrees_with_what_is_loaded():
    for path in KEPT.glob("*.onnx"):
        onnx.checker.check_model(str(path))
