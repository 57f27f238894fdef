"""Checkpoints: what goes in comes out, and killed writers and hostile files do no harm."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.archive import MAX_HEADER
from tinygrad_rnn.errors import CheckpointError
from tinygrad_rnn.nn.checkpoint import ARCHIVE

MODELS = [
    tg.nn.RNN(2, 3, nonlinearity="relu", output_size=4, rng=0),
    tg.nn.RNN(2, 3, num_layers=3, bias=False, batch_first=True, dropout=0.25, rng=0),
    tg.nn.LSTM(
        2, 3, peephole=True, coupled=True, forget_bias=2.0, bidirectional=True, num_layers=2, rng=0
    ),
    tg.nn.GRU(2, 3, reset_after=False, dtype=np.float32, output_size=1, bias=False, rng=0),
    tg.nn.RNNCell(2, 3, rng=0),
    tg.nn.LSTMCell(2, 3, peephole=True, rng=0),
    tg.nn.GRUCell(2, 3, bias=False, rng=0),
    tg.nn.Linear(2, 3, bias=False, rng=0),
    tg.nn.Sequential(
        tg.nn.Embedding(5, 2, rng=0), tg.nn.Dropout(0.5), tg.nn.GRU(2, 3, rng=0), tg.nn.Linear(3, 5)
    ),
]


class Theirs(tg.nn.Module):
    """A module of a user's."""

    def __init__(self, size=3, rng=0):
        self.inner = tg.nn.Linear(2, size, rng=rng)

    def forward(self, x):
        return self.inner(x)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def assert_same_parameters(model, other):
    for (name, p), (other_name, q) in zip(
        model.named_parameters(), other.named_parameters(), strict=True
    ):
        assert (name, p.dtype) == (other_name, q.dtype)
        np.testing.assert_array_equal(p.data, q.data)


# There and back


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_is_built_again(model, path):
    tg.save(path, model)
    found = tg.load(path)
    assert type(found.model) is type(model)
    assert (found.optimizer, found.metadata) == (None, {})
    assert_same_parameters(model, found.model)
    if hasattr(model, "config"):
        assert found.model.config == model.config


def test_a_loaded_model_draws_its_own_dropout(path):
    tg.save(path, tg.nn.RNN(2, 3, num_layers=2, dropout=0.5))
    assert tg.load(path).model(np.ones((4, 2)))[0].shape == (4, 3)


@pytest.mark.parametrize("kind", tg.optim.KINDS)
def test_training_goes_on_bit_for_bit(kind, path):
    def step(model, optimizer):
        model.zero_grad()
        (model(np.ones((2, 2))) ** 2).sum().backward()
        optimizer.step()

    model = tg.nn.Sequential(tg.nn.Linear(2, 3, rng=0), tg.nn.Linear(3, 1, rng=1))
    optimizer = tg.optim.KINDS[kind](model.parameters(), lr=0.05)
    for _ in range(2):
        step(model, optimizer)
    tg.save(path, model, optimizer)
    found = tg.load(path)
    assert type(found.optimizer) is type(optimizer)
    for _ in range(2):
        step(model, optimizer)
        step(found.model, found.optimizer)
    assert_same_parameters(model, found.model)


def test_metadata(path):
    rng = np.random.default_rng(3)
    rng.random(5)
    given = {
        "step": np.int64(7),
        "vocabulary": "aé\n\U0001f600",
        "rng": rng.bit_generator.state,
        "history": [{"loss": 0.1 + 0.2}, None, True],
    }
    tg.save(path, MODELS[0], state=tg.tensor([[1.0, 2.0]]), counts=np.array([1, 2]), **given)
    found = tg.load(path).metadata
    assert {name: found[name] for name in given} == given
    assert (found["state"].tolist(), found["counts"].dtype) == ([[1.0, 2.0]], np.int64)
    again = np.random.default_rng()
    again.bit_generator.state = found["rng"]
    assert again.random() == rng.random()


def test_a_module_of_the_users_own(path):
    tg.save(path, Theirs(rng=1))
    with pytest.raises(
        CheckpointError, match=r"is of 'Theirs', which is not a module of tg\.nn: .* into=model"
    ):
        tg.load(path)
    model = Theirs(rng=2)
    assert tg.load(path, into=model).model is model
    assert_same_parameters(model, Theirs(rng=1))


def test_a_class_that_borrows_a_name_of_ours_is_the_users(path):
    borrowed = type("Linear", (tg.nn.Linear,), {})(2, 3)
    tg.save(path, tg.nn.Sequential(borrowed))
    with pytest.raises(CheckpointError, match="'Sequential', which is not a module"):
        tg.load(path)


def test_other_readers_of_safetensors_can_read_it(path):
    from safetensors.numpy import load_file

    tg.save(path, MODELS[0])
    assert load_file(path).keys() == {f"model.{name}" for name in MODELS[0].state_dict()}


# What is shared, frozen or fixed


def tied_weight():
    model = tg.nn.Sequential(tg.nn.Embedding(5, 3), tg.nn.RNN(3, 3), tg.nn.Linear(3, 5))
    model[2].weight = model[0].weight
    return model


def twice():
    layer = tg.nn.Linear(3, 3)
    return tg.nn.Sequential(layer, tg.nn.Tanh(), tg.nn.Sequential(layer, tg.nn.LayerNorm(3)), layer)


def tied_cells():
    layer = tg.nn.LSTM(3, 3, num_layers=3)
    layer.cells[1].W_hh = layer.cells[0].W_hh
    layer.cells[2].b_h = layer.cells[1].b_h
    return tg.nn.Sequential(layer)


def everything_tied():
    first = tg.nn.GRU(3, 3, num_layers=2, rng=0)
    second = tg.nn.GRU(3, 3, num_layers=2, rng=1)
    for cell, other in zip(first.cells, second.cells, strict=True):
        for name, p in cell.named_parameters():
            setattr(other, name, p)
    return tg.nn.Sequential(first, second)


@pytest.mark.parametrize("make", [tied_weight, twice, tied_cells, everything_tied])
def test_what_is_shared_comes_back_shared(make, path):
    model = make()
    optimizer = tg.optim.Adam(model.parameters())
    tg.save(path, model, optimizer)
    found = tg.load(path)
    again = found.model
    assert_same_parameters(model, again)
    ties = [[ps.index(p) for p in ps] for ps in (everything_in(model), everything_in(again))]
    assert ties[0] == ties[1]
    modules = [[ms.index(m) for m in ms] for ms in (modules_of(model), modules_of(again))]
    assert modules[0] == modules[1]
    assert len(found.optimizer.params) == len(list(model.parameters()))
    tg.load(path, into=make())


def modules_of(model):
    return [module for _, module in model.named_modules()]


def everything_in(model):
    """Every place of a parameter: what is shared stands there several times."""
    places = [v for m in modules_of(model) for v in vars(m).values()]
    return [Same(value) for value in places if isinstance(value, tg.Tensor)]


class Same:
    """Equal to the same object alone, since == of Tensors compares elements."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value is other.value

    __hash__ = None


def test_what_is_not_shared_does_not_fit_what_is(path):
    model = tied_weight()
    tg.save(path, model)
    model[2].weight = tg.nn.Parameter(model[0].weight.data)
    with pytest.raises(CheckpointError, match=r"does not fit Sequential: missing '2\.weight'"):
        tg.load(path, into=model)


def test_what_is_frozen_or_fixed_comes_back_so(path):
    model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.GRU(3, 2), tg.nn.Linear(2, 1))
    model[0].weight = tg.nn.Buffer(model[0].weight.data)
    model[1].W_hh.requires_grad = False
    optimizer = tg.optim.SGD([{"params": model[1].parameters(), "lr": 0.5}], momentum=0.5)
    optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.25})
    for p in model[2].parameters():
        p.requires_grad = False
    tg.save(path, model, optimizer)
    found = tg.load(path)
    assert [name for name, _ in found.model.named_buffers()] == ["0.weight"]
    expected = [(name, p.requires_grad) for name, p in model.named_parameters()]
    assert [(name, p.requires_grad) for name, p in found.model.named_parameters()] == expected
    groups = [
        [{**group, "params": None} for group in one.param_groups]
        for one in (optimizer, found.optimizer)
    ]
    assert groups[0] == groups[1]


def test_a_schedule_is_saved_beside_its_optimiser(path):
    model = tg.nn.Linear(2, 2)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.8)
    schedule = tg.optim.CosineAnnealingLR(optimizer, 10)
    for _ in range(3):
        schedule.step()
    tg.save(path, model, optimizer, schedule=schedule.state_dict())
    found = tg.load(path)
    again = tg.optim.CosineAnnealingLR(found.optimizer, 10, last_epoch=0)
    again.load_state_dict(found.metadata["schedule"])
    found.optimizer.lr = optimizer.lr
    for _ in range(5):
        schedule.step()
        again.step()
        assert again.get_last_lr() == schedule.get_last_lr()


class Buffered(tg.nn.Module):
    def __init__(self):
        self.mask, self.rest = tg.nn.Buffer([True, False]), {"k": [tg.nn.Linear(2, 2)]}
        self.scale = tg.nn.Parameter(np.float32(1.5))


def test_buffers_nests_and_numbers_without_axes_come_back(path):
    model, other = Buffered(), Buffered()
    optimizer = tg.optim.Adam(model.parameters())
    model.scale.grad = 1.0
    optimizer.step()
    tg.save(path, model, optimizer)
    other.mask.data = np.array([False, False])
    found = tg.load(path, into=other)
    assert other.mask.data.tolist() == [True, False]
    assert (other.scale.shape, other.scale.dtype, other.scale.item()) == (
        (),
        np.float32,
        model.scale.item(),
    )
    states = (one.state_dict()["state"] for one in (optimizer, found.optimizer))
    for before, after in zip(*states, strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            assert np.shape(value) == np.shape(after[name])
            assert np.asarray(value).dtype == np.asarray(after[name]).dtype


def changed(change):
    model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.LSTM(3, 3))
    change(model)
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model[0], "extra", tg.nn.Parameter([1.0])),
        lambda model: setattr(model[0], "weight", tg.tensor(np.ones((3, 2)))),
        lambda model: setattr(model[0], "bias", tg.nn.Parameter(np.ones(4))),
        lambda model: setattr(model[0], "bias", tg.nn.Parameter(np.ones(3, np.float32))),
        lambda model: setattr(model[1].cells[0], "b_h", None),
        lambda model: model[1].cells.append(tg.nn.LSTMCell(3, 3)),
        lambda model: setattr(model, "2", model),
    ],
)
def test_what_would_not_come_back_is_refused_when_saved(change, path):
    with pytest.raises(CheckpointError, match=r"save: .* (could not be loaded|holds itself)"):
        tg.save(path, changed(change))
    assert not path.exists()


# Metadata: right, or refused when saved


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.5), np.array(True), np.float32(2), np.zeros((0, 3)), np.zeros((2, 0), np.int8),
        np.arange(6).reshape(2, 3).T, np.arange(3)[::-1], np.array([1, 2], ">i4"),
        np.array([1.5], ">f8"), np.array([np.nan, -np.inf, -0.0]), np.arange(3, dtype=np.uint64),
        np.array([1.5], np.float16), np.array([True, False]), tg.tensor(2.0),
        tg.nn.Parameter([1.0]), tg.tensor([1.0], requires_grad=True),
    ],
)  # fmt: skip
def test_arrays_come_back_as_they_were(array, path):
    tg.save(path, MODELS[0], given=array)
    found = tg.load(path).metadata["given"]
    expected = array.data if isinstance(array, tg.Tensor) else np.asarray(array)
    if isinstance(array, np.generic):
        assert found == array
        return
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "value",
    ["", "é\n\0\ud800\U0001f600", 10**30, -0.0, float("inf"), [], {}, [[{"a": None}]], "x" * 10**5],
)
def test_what_json_holds_comes_back_as_it_was(value, path):
    tg.save(path, MODELS[0], given=value)
    assert tg.load(path).metadata["given"] == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array(["a", "b"]), "'metadata.given' is an array of <U1"),
        (np.array([b"a"]), r"is an array of \|S1"),
        (np.array([1j]), "is an array of complex128, and a file holds floats, integers and bool"),
        (np.array(1, np.complex64), "is an array of complex64"),
        (np.array([None]), "is an array of object"),
        (np.array(["2020"], "M8[Y]"), "is an array of datetime64"),
        (np.zeros(2, [("a", "i4")]), r"is an array of \[\('a'"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "is a masked array"),
        (1j, "complex is neither"),
        ([1j], "complex is neither"),
        ({1, 2}, "set is neither"),
        (b"bytes", "bytes is neither"),
        ([np.ones(2)], "ndarray is neither"),
        ({"a": tg.tensor(1.0)}, "Tensor is neither"),
        ({1: "a"}, "metadata can have texts as keys, not 1"),
        ([{"a": {(1, 2): 3}}], r"texts as keys, not \(1, 2\)"),
        ({None: 1}, "texts as keys, not None"),
        (np.datetime64("2020"), "date.* is neither"),
        ([10**5000], "Exceeds the limit"),
        (json.loads("[" * 900 + "]" * 900), None),
    ],
)
def test_what_no_file_can_hold_is_refused_when_saved(value, message, path):
    if message is None:
        tg.save(path, MODELS[0], given=value)
        assert tg.load(path).metadata["given"] == value
        return
    with pytest.raises(CheckpointError, match=f"save: .*{message}"):
        tg.save(path, MODELS[0], given=value)
    assert not path.exists()


def test_names_that_take_more_than_is_read_are_refused_when_saved(path):
    module = tg.nn.Module()
    module.x = {f"{k}" + "n" * 10**6: tg.nn.Linear(1, 1) for k in range(9)}
    with pytest.raises(CheckpointError, match=r"names and shapes take \d+ bytes"):
        tg.save(path, module)


# What does not fit


def test_names_shapes_and_dtypes_are_verified_and_nothing_is_changed(path):
    tg.save(path, Theirs())
    model = Theirs(size=4)
    before = model.state_dict()
    with pytest.raises(CheckpointError) as caught:
        tg.load(path, into=model)
    assert str(path) in str(caught.value)
    assert "'inner.weight' has shape (3, 2), needs (4, 2)" in str(caught.value)
    assert all(model.state_dict()[name] is value for name, value in before.items())
    with pytest.raises(CheckpointError, match=r"'inner\.bias' has dtype float64, needs float32"):
        tg.load(path, into=Theirs().astype(np.float32))
    with pytest.raises(CheckpointError, match=r"missing 'W_xh'.*unknown 'inner\.weight'"):
        tg.load(path, into=tg.nn.RNNCell(2, 3))


def test_what_cannot_be_saved(path):
    model = tg.nn.Linear(2, 3)
    with pytest.raises(
        CheckpointError, match=r"metadata can hold what JSON can, and arrays .* object is neither"
    ):
        tg.save(path, model, what=object())
    with pytest.raises(CheckpointError, match="SGD has a parameter that is not one of Linear's"):
        tg.save(path, model, tg.optim.SGD(MODELS[0].parameters()))
    with pytest.raises(CheckpointError, match=r"the metadata takes \d+ bytes"):
        tg.save(path, model, text="x" * (MAX_HEADER // 2))
    with pytest.raises(CheckpointError, match="Mine is not an optimiser of"):
        tg.save(path, model, type("Mine", (tg.optim.SGD,), {})(model.parameters()))
    assert not path.exists()


def test_paths_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"load: .*missing: No such file"):
        tg.load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"load: .*: Is a directory"):
        tg.load(tmp_path)
    with pytest.raises(
        CheckpointError,
        match=r"save: .*No such file or directory; what was there before is unchanged",
    ):
        tg.save(tmp_path / "no" / "such" / "folder", MODELS[0])
    with pytest.raises(CheckpointError, match="/dev/null is not a regular file"):
        tg.load("/dev/null")


# Hostile files


def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "model.safetensors"
    model = tg.nn.RNN(2, 3, output_size=2, rng=0)
    optimizer = tg.optim.Adam(model.parameters())
    model(np.ones((2, 2)))[0].sum().backward()
    optimizer.step()
    tg.save(path, model, optimizer, vocabulary="ab")
    return path


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    path = saved(tmp_path_factory)
    return path, path.read_bytes()


def loads_or_refuses(path, data):
    path.write_bytes(data)
    raised = None
    try:
        tg.load(path)
    except CheckpointError as error:
        raised = error
    assert raised is None or str(path) in str(raised)


@given(data=st.data())
def test_bytes_changed_anywhere(victim, data):
    path, good = victim
    edits = st.lists(
        st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=8
    )
    changed = bytearray(good)
    for at, value in data.draw(edits):
        changed[at] = value
    loads_or_refuses(path, bytes(changed))


@given(length=st.integers(0, 4000), tail=st.binary(max_size=40))
def test_a_file_cut_off_or_grown(victim, length, tail):
    path, good = victim
    loads_or_refuses(path, good[:length] + tail)


@given(st.binary(max_size=200))
def test_any_bytes(victim, data):
    loads_or_refuses(victim[0], data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, here=()):
    """Every place in a JSON value."""
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*here, key))


@given(data=st.data())
def test_a_description_that_lies_anywhere(victim, data):
    path, good = victim
    description, arrays = ARCHIVE.decode("victim", good)
    *outer, last = data.draw(st.sampled_from([place for place in places(description) if place]))
    inner = description
    for key in outer:
        inner = inner[key]
    inner[last] = data.draw(anything)
    loads_or_refuses(path, ARCHIVE.encode(description, arrays))


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_size": 10**12},
        {"num_layers": 10**9},
        {"input_size": 30, "hidden_size": 30},
        {"num_layers": 40},
        {"output_size": 45},
        {"dtype": "V1000000000"},
        {"dtype": "float32"},
        {"rng": 0},
        {"hidden_size": ["array", 10**9]},
        {"hidden_size": [10**9] * 10**4},
    ],
)
def test_sizes_that_lie_allocate_nothing(path, config):
    model = tg.nn.RNN(2, 3, output_size=2, rng=0)
    tg.save(path, model)
    description, arrays = ARCHIVE.decode("x", path.read_bytes())
    description["model"]["modules"]["config"] |= config
    path.write_bytes(ARCHIVE.encode(description, arrays))
    with pytest.raises(CheckpointError, match=r"is damaged|does not fit"):
        tg.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"ties": {"0.weight": "9.weight"}},
        {"ties": {f".W_{k}": ".W_hh" for k in range(100)}},
        {"ties": 3},
        {"fixed": ["nowhere"]},
        {"frozen": ["nowhere"]},
        {"modules": {"class": "RNN", "same": 0}},
        {"modules": {"class": "LayerNorm", "config": {"normalized_shape": [10**6, 10**6]}}},
        {"modules": {"class": "LayerNorm", "config": {"normalized_shape": [8]}}},
        {"modules": {"class": "Tanh", "config": {"rng": 1}}},
    ],
)
def test_a_structure_that_lies_allocates_nothing(path, change):
    tg.save(path, tg.nn.RNN(2, 3, output_size=2, rng=0))
    description, arrays = ARCHIVE.decode("x", path.read_bytes())
    description["model"] |= change
    path.write_bytes(ARCHIVE.encode(description, arrays))
    with pytest.raises(CheckpointError, match=r"is damaged|does not fit"):
        tg.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x" * 10**5},
        {"model": {"modules": {"class": "x" * 10**5}, "ties": {}, "fixed": [], "frozen": []}},
        {"optimizer": {"class": "y" * 10**5, "groups": [], "numbers": []}},
        {"metadata": ["z" * 10**5] * 3},
        {"class": "x" * 10**5, "model": None},
    ],
)
def test_errors_are_short_whatever_the_file_says(path, change):
    tg.save(path, tg.nn.RNN(2, 3, output_size=2, rng=0))
    description, arrays = ARCHIVE.decode("x", path.read_bytes())
    path.write_bytes(ARCHIVE.encode({**description, **change}, arrays))
    with pytest.raises(CheckpointError) as caught:
        tg.load(path)
    assert len(str(caught.value)) < 600 + len(str(path))


def test_an_error_names_a_few_of_many_misfits(path):
    many = {f"layer {k}": tg.nn.Linear(1, 1) for k in range(1000)}
    one, other = tg.nn.Module(), tg.nn.Module()
    one.x, other.y = many, many
    tg.save(path, one)
    with pytest.raises(CheckpointError, match=r"missing 'y\.layer 0\.weight'.* and 3995 more"):
        tg.load(path, into=other)


def test_a_header_that_claims_gigabytes(path):
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="not a safetensors file, or it was cut off"):
        tg.load(path)
    header = b" " * (MAX_HEADER + 1)
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        tg.load(path)


def test_modules_are_taken_from_a_list_of_ours(path):
    description = {"class": "os", "metadata": {}, "optimizer": None}
    for kind in ("os.system", "Module"):
        model = {"modules": {"class": kind, "config": {}}, "ties": {}, "fixed": [], "frozen": []}
        path.write_bytes(ARCHIVE.encode(description | {"model": model}, {}))
        with pytest.raises(CheckpointError, match="no such module"):
            tg.load(path)


def test_nesting_without_end(path):
    model = {"class": "Dropout", "config": {"p": 0.5}}
    text = json.dumps(model)
    for _ in range(100_000):
        text = f'{{"class":"Sequential","modules":[{text}]}}'
        if len(text) > 100_000:
            break
    from safetensors.numpy import save as encode

    deep = "[" * 50_000 + "]" * 50_000
    whole = f'{{"format":2,"class":"x","metadata":{{}},"optimizer":null,"model":{deep}}}'
    for described in (whole, text):
        path.write_bytes(encode({}, {"tinygrad_rnn": described}))
        with pytest.raises(CheckpointError, match="is damaged"):
            tg.load(path)


def test_other_safetensors_files_and_newer_versions(path):
    from safetensors.numpy import save as encode

    path.write_bytes(encode({"w": np.ones(3)}))
    with pytest.raises(CheckpointError, match=r"not one that tg\.save wrote"):
        tg.load(path)
    path.write_bytes(ARCHIVE.encode({"format": 3}, {}))
    with pytest.raises(CheckpointError, match="has format 3, this version reads 2; a newer"):
        tg.load(path)
    path.write_bytes(ARCHIVE.encode({"format": 1}, {}))
    with pytest.raises(CheckpointError, match="has format 1, this version reads 2; an older"):
        tg.load(path)


# Killed, and out of space


SAVES_FOR_EVER = """
    import os, random, signal, sys, time
    import numpy as np
    import tinygrad_rnn as tg

    path, rounds = sys.argv[1], int(sys.argv[2])
    model = tg.nn.Linear(300, 300, rng=0)
    tg.save(path, model, step=-1)
    random.seed(0)
    for round in range(rounds):
        child = os.fork()
        if not child:
            step = 0
            while True:
                model.weight.data = np.full((300, 300), float(step))
                tg.save(path, model, step=step)
                step += 1
        time.sleep(random.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = tg.load(path)
        step = found.metadata["step"]
        assert step == -1 or (found.model.weight.data == step).all()
    strays = len(os.listdir(os.path.dirname(path))) - 1
    tg.save(path, model)
    print(strays, len(os.listdir(os.path.dirname(path))) - 1)
"""


def run(source, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(path, rounds):
    done = run(SAVES_FOR_EVER, path, rounds)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) == 0


FILLS_THE_DISK = """
    import resource, sys
    import tinygrad_rnn as tg

    path = sys.argv[1]
    tg.save(path, tg.nn.Linear(3, 3), note="old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        tg.save(path, tg.nn.Linear(300, 300), note="new")
    except tg.errors.CheckpointError as error:
        print(error)
    assert tg.load(path).metadata == {"note": "old"}
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs RLIMIT_FSIZE")
def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(path):
    done = run(FILLS_THE_DISK, path)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.strip() == f"save: {path}: File too large; what was there before is unchanged"
    )
    assert os.listdir(path.parent) == [path.name]
