"""A saved run answers every question as the run itself did; a file that lies is one error."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from functools import partial, reduce
from operator import getitem
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from op_cases import CASES
from tables import examples, one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn import manual
from tinygrad_rnn.autograd.op import PUBLIC, Op
from tinygrad_rnn.debugger import views
from tinygrad_rnn.debugger.commands import execute
from tinygrad_rnn.debugger.events import name_written
from tinygrad_rnn.debugger.session import Session
from tinygrad_rnn.errors import TinygradError, TraceError
from tinygrad_rnn.tracing.file.options import plain, restored
from tinygrad_rnn.tracing.file.saving import ARCHIVE
from tinygrad_rnn.tracing.questions.checks import check_gradients
from tinygrad_rnn.tracing.script import run_script
from tinygrad_rnn.tracing.trace import load_trace, traced


@tg.op(lambda g, y, x: 3 * g * x**2)
def cube(x):
    """The cube, elementwise: y = x³; x̄ = 3 x² ȳ."""
    return x**3


def network(kind, **options):
    def run():
        rnn = kind(3, 4, output_size=2, rng=0, **options)
        optimizer = tg.optim.Adam(rnn.parameters(), lr=0.1)
        xs = np.random.default_rng(0).standard_normal((4, 2, 3))
        for _ in range(2):
            ys, _ = rnn(xs)
            loss = tg.nn.cross_entropy(ys, np.zeros((4, ys.shape[1]), int))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def users_loop():
    W = tg.tensor(np.eye(3), requires_grad=True)
    h = tg.tensor(np.zeros(3))
    hs = []
    for x in tg.tensor(np.eye(3), name="xs"):
        with tg.scope("cell"):
            h = tg.ops.tanh(W @ h + x * 2)
            hs.append(h)
    loss = tg.ops.stack(hs)[::-1, [0, 2]].T.mean(axis=0)[..., 1] * np.float32(2.0)
    loss.backward()


def ops_of_all_kinds():
    a = tg.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    b = cube(a.T).clip(max=500.0).astype(np.float32).sum(axis=(0, 1), keepdims=True)
    c = tg.ops.where(np.array([True, False, True, False]), a, 0.0) / (a - 1.0)
    d = tg.ops.concatenate([c, tg.ops.broadcast_to(b, (3, 4)), a[:, ::-1]], axis=1)
    (e, f) = tg.ops.split(tg.ops.log(d[np.array([0, 2])]), 2, axis=1)
    (e * f).max(axis=1).sum().backward()
    (g,) = tg.grad(cube(a).sum(), [a], create_graph=True)
    (g * g).sum().backward()


def huge():
    """Squares and sums of such numbers overflow; to look at them says nothing of it."""
    W = tg.tensor([1e200, 1e308], requires_grad=True, name="W")
    h = tg.tensor([1.0, 1.0])
    for _ in range(3):
        with tg.scope("cell"):
            h = W * h * 1e-200
    (h * W).sum().backward()


def refused():
    h = tg.tensor(np.ones((2, 3)), name="h") * 1.5
    with suppress(TinygradError):
        h @ h


RUNS = {
    "rnn": network(tg.nn.RNN),
    "lstm": network(tg.nn.LSTM, num_layers=2),
    "gru": network(tg.nn.GRU, bidirectional=True),
    "loop": users_loop,
    "ops": ops_of_all_kinds,
    "huge": huge,
    "refused": refused,
}


def recorded(name, max_memory=None):
    with tg.trace(max_memory=max_memory) as tr:
        RUNS[name]()
    return tr


def saved(tr, path):
    tr.save(path)
    return load_trace(path)


QUESTIONS = (
    "why",
    "origin",
    "diff",
    "ledger",
    "verify",
    "info",
    "list",
    "print out + 0",
    "print norm(G)",
    "last",
    "next",
)


def text(lines):
    return [line.plain for line in lines]


def transcript(tr, questions=QUESTIONS, every=1):
    """All that the debugger shows and answers, at every event."""
    session = Session(tr)
    for at in range(0, len(tr.events), every):
        for question in ("step t", "back layer", "flip", *questions):
            session.move(at)
            try:
                reply = execute(session, question)
                yield at, question, session.cursor, text(views.answer(session, reply.answer, 120))
            except TinygradError as error:
                yield at, question, session.cursor, str(error)
        session.move(at)
        yield text(views.step(session, 100, 40))
        yield text(views.side(session, 36, 40))
        yield text([views.status(session, 200), views.timeline(session, 100)])
    execute(session, "break nonfinite")
    yield execute(session, "continue").answer, session.cursor
    yield text(views.Tree(session).lines(0, 100, 10_000))
    yield session.queries.names.known(), [name_written(session.queries, e) for e in tr.events]
    yield [
        (
            repr(e),
            e.copy,
            e.layer,
            e.nans,
            getattr(e, "message", None),
            str(e.source),
            tr.printed.get(e.index),
        )
        for e in tr.events
    ]


@pytest.mark.parametrize("name", rows(list(RUNS), ["rnn", "loop", "refused"]))
def test_a_loaded_run_is_that_run(name, tmp_path):
    tr = recorded(name)
    every = 1 + len(tr.events) // 15
    assert list(transcript(saved(tr, tmp_path / "run.tgtrace"), every=every)) == list(
        transcript(tr, every=every)
    )


@pytest.mark.rest
@settings(max_examples=examples(5))
@given(share=st.floats(0.05, 1.0), name=st.sampled_from(["rnn", "loop"]))
def test_with_a_budget_what_is_gone_stays_gone_and_what_can_be_computed_again_is(
    tmp_path_factory, share, name
):
    tr = recorded(name, int(share * recorded(name).memory().held) + 1)
    loaded = saved(tr, tmp_path_factory.mktemp("saved") / "run.tgtrace")
    assert loaded.memory() == tr.memory()
    assert list(transcript(loaded, every=29)) == list(transcript(tr, every=29))


@pytest.mark.parametrize(
    "name", rows([name for name in RUNS if name != "refused"], RUNS.keys() - {"gru"})
)
def test_every_number_is_the_same_to_the_last_bit(name, tmp_path):
    tr = recorded(name)
    loaded = saved(tr, tmp_path / "run.tgtrace")
    for one, other in zip(tr.events, loaded.events, strict=True):
        a, b = tr.queries.written_by(one), loaded.queries.written_by(other)
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.dtype, a.shape, a.strides) == (b.dtype, b.shape, b.strides)
            assert a.tobytes() == b.tobytes()
            assert other.value is None or not b.flags.writeable
    for node in (n for n in tr.queries.names.places if n.is_parameter):
        parameter = tr.queries.names.of(node)
        assert loaded.ledger(parameter).is_exact
        assert np.array_equal(
            loaded.ledger(parameter).total, tr.ledger(parameter).total, equal_nan=True
        )


@pytest.mark.parametrize("name", rows(["lstm", "loop", "ops"], ["loop"]))
@pytest.mark.parametrize("options", [{}, {"gradients": True, "values": True}, {"view": "ops"}])
def test_pictures_are_the_same(name, options, tmp_path):
    tr = recorded(name)
    loaded = saved(tr, tmp_path / "run.tgtrace")
    try:
        picture = tg.draw(tr, **options).svg
    except TinygradError as error:
        with pytest.raises(type(error)):
            _ = tg.draw(loaded, **options).svg
    else:
        assert tg.draw(loaded, **options).svg == picture


def test_a_loaded_run_can_be_saved_again(tmp_path):
    first = saved(recorded("lstm"), tmp_path / "one.tgtrace")
    second = saved(first, tmp_path / "two.tgtrace")
    assert list(transcript(second, every=61)) == list(transcript(first, every=61))


SCRIPT = """
import numpy as np
import tinygrad_rnn as tg

@tg.op(lambda g, y, x: 2 * g * x)
def square(x):
    "The square, elementwise: y = x²; x̄ = 2 x ȳ."
    return x * x

class Head(tg.nn.Module):
    def __init__(self):
        self.W = tg.nn.Parameter(np.full((2, 3), 0.5))

    def forward(self, h):
        scores = self.W @ h
        return square(scores)

head = Head()
h = tg.tensor([1.0, -2.0, 3.0], name="h")
total = head(h).sum()
print("total is", total.item())
total.backward()
raise KeyError("here")
"""


def test_a_script_is_looked_at_elsewhere(tmp_path, monkeypatch):
    """In a process without the script its lines are there, and its own op says that it is not."""
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT, "utf-8")
    tr = run_script(Path("script.py"), keep_output=True).trace
    tr.save("run.tgtrace")
    Path("script.py").unlink()
    Path("elsewhere").mkdir()
    done = elsewhere(
        "debug",
        "--commands",
        "-",
        commands="jump end\nlist\nback\nlist\nwhy W[0,0]\nprint d.W\njump 1\nprint out\nwhy\n",
    )
    assert 'raise KeyError("here")' in done.stdout
    assert "total.backward()" in done.stdout
    assert done.stdout.count("not here") == 1
    assert "the op 'square' is not here, and a recording holds no code" in done.stdout
    assert done.returncode == 2, done.stderr  # for the last command alone
    drawn = elsewhere("draw", "-o", "x.svg")
    assert drawn.returncode == 0, drawn.stderr


def elsewhere(*words, commands=""):
    """A command on the recording, run in the folder beside it."""
    command = [sys.executable, "-m", "tinygrad_rnn", *words, "../run.tgtrace"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, input=commands, capture_output=True, encoding="utf-8", cwd="elsewhere",
        timeout=60, check=False, env=environment,
    )  # fmt: skip


def test_without_its_op_a_value_is_shown_but_not_explained(tmp_path):
    def run():
        @tg.op(lambda g, y, x: g * 2)
        def twice(x):
            return x * 2

        w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
        with tg.trace() as tr:
            twice(w).sum().backward()
        return tr, twice

    tr, twice = run()
    tr.save(tmp_path / "run.tgtrace")
    del PUBLIC[id(twice)]
    loaded = load_trace(tmp_path / "run.tgtrace")
    assert np.array_equal(loaded.queries.value("d.w", len(loaded.events)), [2.0, 2.0])
    with pytest.raises(TraceError, match="the op 'twice' is not here"):
        loaded.why("d.w", (0,))


def test_a_parameter_is_known_by_name_and_not_by_another_programs_tensor(tmp_path):
    rnn = tg.nn.RNN(2, 2, rng=0)
    with tg.trace() as tr:
        rnn(np.eye(2))[0].sum().backward()
    with pytest.raises(TraceError, match="by name"):
        saved(tr, tmp_path / "run.tgtrace").ledger(rnn.cells[0].W_hh)


# Values


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -2.5, float("inf"), "mean", (1, (2, None)), [0, [1]], slice(1, None, -2),
        Ellipsis, np.float32(0.1), np.int64(3), np.bool_(True), np.dtype("f4"), np.float64,
        (slice(None), Ellipsis, -1),
    ],
)  # fmt: skip
def test_options_come_back_as_they_were(value):
    again = restored(json.loads(json.dumps(plain(value, lambda array: 0))), lambda number: None)
    assert again == value
    assert type(again) is type(value)


def test_what_no_file_can_hold_keeps_its_text():
    assert repr(restored(plain(print, lambda array: 0), lambda number: None)) == repr(print)
    assert repr(restored(plain(object, lambda array: 0), lambda number: None)) == repr(object)


# Files that are no such thing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.tgtrace"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "run.tgtrace"
    recorded("loop").save(path)
    return path.read_bytes()


def loads_or_refuses(path, data):
    """Either the whole run can be looked at, or loading it is one error."""
    path.write_bytes(data)
    try:
        tr = load_trace(path)
    except TraceError as error:
        tr, refusal = None, str(error)
    if tr is None:
        assert str(path) in refusal
        assert "\n" not in refusal
    else:
        assert list(transcript(tr, every=11))


def test_paths_that_cannot_be_read_or_written(tmp_path, path, monkeypatch):
    tr = recorded("loop")
    with pytest.raises(TraceError, match=r"load_trace: .*missing: No such file"):
        load_trace(tmp_path / "missing")
    with pytest.raises(TraceError, match=r"load_trace: .*: Is a directory"):
        load_trace(tmp_path)
    with pytest.raises(TraceError, match=r"load_trace: .*A path cannot have a null character"):
        load_trace("a\0b")
    with pytest.raises(
        TraceError, match=r"save: .*No such file or directory; what was there before is unchanged"
    ):
        tr.save(tmp_path / "no" / "run.tgtrace")
    path.write_bytes(b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        TraceError, match="No space left on device; what was there before is unchanged"
    ):
        tr.save(path)
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("limit", rows([None, 200, 2000], [None, 200]))
def test_a_backward_pass_over_what_was_made_before_the_recording(path, limit):
    W = tg.tensor(np.eye(3) / 2, requires_grad=True, name="W")
    h = tg.tensor(np.ones(3), name="x")
    for _ in range(3):
        h = tg.ops.tanh(W @ h)
    with tg.trace(max_memory=limit) as tr:
        h.grad = None
        ((h * 2 + W @ h) ** 2).sum().backward()
        (h * h).sum().backward()
    handed = [event for event in tr.events if event.kind == "vjp"]
    assert [event.op for event in handed if event.of.rule is None] == []
    assert [event.op for event in handed].count("tanh") == 6
    assert list(transcript(tr, every=5))
    tr.save(path)
    assert list(transcript(load_trace(path), every=5)) == list(transcript(tr, every=5))


@pytest.mark.parametrize("keep", one_in(6, range(1, 8)))
def test_a_backward_pass_over_what_was_forgotten(path, keep):
    W = tg.tensor(np.eye(3) / 2, requires_grad=True, name="W")
    h = tg.tensor(np.ones(3), name="x")
    with traced(None) as (tr, recorder):
        for t in range(6):
            if t == 4:
                recorder.forget(keep)
            h = tg.ops.tanh(W @ h)
        (h * h).sum().backward()
    assert [event.op for event in tr.events if event.kind == "vjp"].count("tanh") == 6
    tr.save(path)
    assert list(transcript(load_trace(path), every=5)) == list(transcript(tr, every=5))


def test_other_files_and_other_versions(path):
    tg.save(path, tg.nn.Linear(1, 1))
    with pytest.raises(TraceError, match=r"is a safetensors file, but not one that tr\.save wrote"):
        load_trace(path)
    recorded("loop").save(path)
    with pytest.raises(tg.errors.CheckpointError, match=r"not one that tg\.save wrote"):
        tg.load(path)
    path.write_bytes(ARCHIVE.encode({"format": 4}, {}))
    with pytest.raises(
        TraceError,
        match="has format 4, this version reads 1 to 3; a newer tinygrad_rnn may read it",
    ):
        load_trace(path)
    path.write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(TraceError, match="is not a safetensors file, or it was cut off"):
        load_trace(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_was_cut_off(path, good, data):
    cut = data.draw(st.integers(0, len(good) - 1))
    path.write_bytes(good[:cut])
    with pytest.raises(TraceError, match=r"load_trace: .*run\.tgtrace"):
        load_trace(path)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
flat = scalars | st.lists(scalars, max_size=3)
anything = (
    flat | st.lists(flat, max_size=3) | st.dictionaries(st.text(max_size=5), flat, max_size=3)
)


somewhere = st.integers(0, 2**16)  # taken modulo how many places there are


def places(value, here=()):
    """Every place in a JSON value."""
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*here, key))


# `-m slow` looks at thousands more, in tests/hostile.
FEW = settings(
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FEW
@given(place=somewhere, value=anything)
def test_a_description_that_lies_anywhere(path, good, place, value):
    description, arrays = ARCHIVE.decode("good", good)
    inside = [found for found in places(description) if found]
    *outer, last = inside[place % len(inside)]
    inner = description
    for key in outer:
        inner = inner[key]
    inner[last] = value
    loads_or_refuses(path, ARCHIVE.encode(description, arrays))


@pytest.mark.parametrize(("at", "other"), [(3, 12), (18, 21), (19, 3)])
def test_two_tensors_of_one_id(path, good, at, other):
    description, arrays = ARCHIVE.decode("good", good)
    ids = arrays["node.id"].copy()
    ids[at] = ids[other]
    path.write_bytes(ARCHIVE.encode(description, arrays | {"node.id": ids}))
    with pytest.raises(
        TraceError, match=rf"load_trace: .*run\.tgtrace.*two tensors of id {ids[at]}"
    ):
        load_trace(path)


def test_a_cell_that_passes_nothing_on(path):
    """Pictures of it would have no name for what goes from copy to copy."""
    with tg.trace() as tr:
        tg.nn.RNN(1, 1)(np.ones((2, 1, 1)))
    tr.save(path)
    description, arrays = ARCHIVE.decode("good", path.read_bytes())
    inside = [here for here in places(description) if here and here[-1] == "cell"]
    for *outer, last in inside:
        inner = reduce(getitem, outer, description)
        if inner[last] is not None:
            equation, _, W_xh = inner[last]
            inner[last] = [equation, [], W_xh]
    path.write_bytes(ARCHIVE.encode(description, arrays))
    with pytest.raises(TraceError, match=r"is damaged: .*a cell that passes nothing on"):
        load_trace(path)


@FEW
@given(
    table=somewhere,
    row=somewhere,
    value=st.integers(-5, 60) | st.integers(-(2**63), 2**63 - 1),
)
def test_a_table_that_lies_anywhere(path, good, table, row, value):
    description, arrays = ARCHIVE.decode("good", good)
    names = [name for name in sorted(arrays) if name != "memory" and arrays[name].size]
    name = names[table % len(names)]
    column = arrays[name].copy()
    column[row % len(column)] = value
    loads_or_refuses(path, ARCHIVE.encode(description, arrays | {name: column}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("array.shape.flat", 2**40),
        ("array.strides.flat", 2**40),
        ("array.offset", 10**6),
        ("array.offset", -8),
    ],
)
def test_arrays_that_reach_out_of_their_memory(path, good, name, value):
    description, arrays = ARCHIVE.decode("good", good)
    path.write_bytes(
        ARCHIVE.encode(description, arrays | {name: np.full_like(arrays[name], value)})
    )
    with pytest.raises(TraceError, match="is damaged"):
        load_trace(path)


def test_names_of_a_megabyte_are_cut(path, good):
    description, arrays = ARCHIVE.decode("good", good)
    endless = "W\u0301" * 100_000
    description["names"] = [[id, endless] for id, _ in description["names"]]
    for at in set(arrays["scope.name"].tolist()):
        description["strings"][at] = endless
    path.write_bytes(ARCHIVE.encode(description, arrays))
    svg = tg.draw(load_trace(path)).svg
    assert "W\u0301" * 499 in svg
    assert "W\u0301" * 501 not in svg


def test_an_array_that_is_all_one_number_but_petabytes_of_it(path, good):
    description, arrays = ARCHIVE.decode("good", good)
    bomb = {
        "array.shape.flat": np.full_like(arrays["array.shape.flat"], 10**9),
        "array.strides.flat": np.zeros_like(arrays["array.strides.flat"]),
    }
    path.write_bytes(ARCHIVE.encode(description, arrays | bomb))
    with pytest.raises(
        TraceError, match=r"is damaged: ValueError: an array of shape \(1000000000,"
    ):
        load_trace(path)


def test_an_error_of_a_damaged_file_whose_text_cannot_be_had_is_a_short_one_all_the_same():
    """As that of a table that has no entry for a half-made module, whose repr needs its sizes."""
    half_made = tg.nn.GRUCell.__new__(tg.nn.GRUCell)
    said = r"run.tgtrace is damaged: KeyError: \(its message could not"
    with pytest.raises(TraceError, match=said), ARCHIVE.blaming("run.tgtrace"):
        raise KeyError(half_made)


def test_a_broadcast_array_too_large_for_its_memory_is_written_out(path):
    with tg.trace() as tr:
        wide = tg.ops.broadcast_to(tg.tensor(np.ones((1, 1))), (1024, 1024))
        wide.sum()
    loaded = saved(tr, path)
    assert np.array_equal(loaded.events[0].value, np.ones((1024, 1024)))


@pytest.mark.parametrize("words", [("--until", "nan"), ("--steps", "1")])
def test_a_recording_is_not_run(path, words):
    from click.testing import CliRunner

    from tinygrad_rnn.cli import cli

    recorded("loop").save(path)
    assert CliRunner().invoke(cli, ["debug", *words, str(path)]).exit_code == 2
    result = CliRunner().invoke(cli, ["debug", "--commands", "-", str(path), "more"], input="")
    assert result.exit_code == 2
    assert "takes no arguments: more" in result.output
    path.write_bytes(b"no such thing")
    result = CliRunner().invoke(cli, ["debug", "--commands", "-", str(path)], input="")
    assert result.exit_code in (1, 2)
    assert "is not a safetensors file" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "cases", rows([CASES[::8], CASES], [CASES[::8]]), ids=["one in eight", "all"]
)
def test_every_op_can_be_saved_and_read_with_the_options_that_it_has(path, cases):
    with tg.trace() as tr:
        for case in cases:
            case.call(*case.tensors())
    loaded = saved(tr, path)
    for one, other in zip(tr.events, loaded.events, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


# What a file may make its reader do


def lied(path, text=lambda text: None, **columns):
    """The file with its description changed, and with other columns."""
    description, arrays = ARCHIVE.decode(str(path), path.read_bytes())
    text(description)
    changed = {name: make(arrays[name]) for name, make in columns.items()}
    path.write_bytes(ARCHIVE.encode(description, arrays | changed))


@tg.op(lambda g, y, x, calls: g)
def counted(x, calls):
    """The same, and a note of the call."""
    CALLS.append(calls)
    return x * 1.0


CALLS = []


def test_loading_and_drawing_call_no_op_of_the_program_and_say_what_the_file_chose(path):
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.trace() as tr:
        counted(w, calls="mine").sum().backward()
    tr.save(path)
    CALLS.clear()
    lied(path, lambda text: text["options"].__setitem__(1, {"calls": "theirs"}))
    with pytest.warns(UserWarning, match="counted\\(calls='theirs'\\)"):
        loaded = load_trace(path)
    _ = tg.draw(loaded).svg
    assert CALLS == []


def test_strides_that_overflow_are_refused_and_memory_is_not_left(path):
    recorded("loop").save(path)

    def far(strides):
        return np.where(np.arange(len(strides)) == 0, -(2**62), strides)

    lied(path, **{"array.strides.flat": far})
    with pytest.raises(TraceError, match="is damaged: ValueError"):
        load_trace(path)


def test_what_a_file_grows_to_is_bounded_by_its_size_or_by_trust(path):
    w = tg.tensor(np.ones((3, 3)), requires_grad=True)
    with tg.trace() as tr:
        for _ in range(40):
            w @ w
    tr.save(path)
    lied(
        path,
        **{
            "array.shape.flat": lambda shapes: np.where(shapes == 3, 400, shapes),
            "array.strides.flat": np.zeros_like,
        },
    )
    with pytest.raises(TraceError, match=r"grows to .* trust it with more"):
        load_trace(path)
    assert len(load_trace(path, trust="1G").events) == 40


def of_many_operands(n):
    w = tg.tensor([1.0], requires_grad=True)
    tg.ops.concatenate([w * 2.0 for _ in range(n)]).sum().backward()


def in_calls_inside_of_calls(n):
    w = tg.tensor([1.0], requires_grad=True)
    with ExitStack() as calls:
        for _ in range(n // 2):
            calls.enter_context(tg.scope("cell"))
        for _ in range(n):
            w = w * 2.0


def calls_in(function):
    """How many functions are called: the work that something is, whatever else the machine does."""
    count = 0

    def see(frame, event, arg):
        nonlocal count
        count += event == "call"

    sys.setprofile(see)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("program", [of_many_operands, in_calls_inside_of_calls])
def test_what_loading_does_grows_as_the_file(path, program):
    counts = []
    for n in (100, 400):
        with tg.trace() as run:
            program(n)
        run.save(path)
        counts.append(calls_in(partial(load_trace, path)))
    assert counts[1] < 6 * counts[0], counts


def test_ops_are_known_by_a_version_and_by_their_code(path, monkeypatch):
    recorded("ops").save(path)
    monkeypatch.setattr(tg.ops.tanh, "__doc__", "reworded")
    monkeypatch.setattr(cube, "__doc__", None)
    loaded = load_trace(path)
    assert {type(node.rule) for node in loaded.run.nodes.values() if node.rule} == {Op}
    lied(path, lambda text: [op.__setitem__(3, 2) for op in text["ops"] if op[0] == "sum"])
    missing = [node.rule for node in load_trace(path).graph().nodes if node.op == "sum"]
    with pytest.raises(TraceError, match="the rule of 'sum' is version 1 here, 2 there"):
        missing[0].forward()
    lied(path, lambda text: [op.__setitem__(3, "0") for op in text["ops"] if op[0] == "cube"])
    (rule,) = [node.rule for node in load_trace(path).run.nodes.values() if node.op == "cube"][:1]
    with pytest.raises(TraceError, match="the rule of 'cube' is not the one it was recorded with"):
        rule.forward()


def test_a_file_of_format_1_knew_ops_by_their_docstrings(path):
    def older(text):
        text["format"] = 1
        text["ops"] = [
            [name, "tinygrad_rnn.autograd.ops.x", name, "prose"] for name, *_ in text["ops"]
        ]

    tr = recorded("loop")
    tr.save(path)
    lied(path, older)
    assert list(transcript(load_trace(path), every=11)) == list(transcript(tr, every=11))


@pytest.mark.parametrize("entry", one_in(4, manual.table()), ids=lambda entry: entry.name)
def test_every_op_is_read_again(path, entry):
    example = manual.example(entry)
    operands = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in example.inputs]
    with tg.trace() as tr:
        y = entry.op.function(*entry.op.given(operands), **example.options)
        if y.requires_grad:
            y.backward(np.ones(y.shape))
    tr.save(path)
    loaded = load_trace(path)
    assert str(loaded.table()) == str(tr.table())
    name, place = tr.table()["name"][0], (0,) * y.ndim
    assert str(loaded.why(name, place)) == str(tr.why(name, place))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.update(gone=10**400),
        lambda text: text.update(gone=-1),
        lambda text: text.update(limit=True),
        lambda text: text["sources"][0].__setitem__(1, 10**30),
        lambda text: text["names"].append([-1, "x"]),
    ],
)
def test_numbers_that_no_run_has(path, change):
    recorded("loop").save(path)
    lied(path, change)
    with pytest.raises(
        TraceError, match=r"run\.tgtrace is damaged: ValueError: .* is not a number from"
    ):
        load_trace(path)


def test_a_result_larger_than_its_operands_is_refused_before_it_is_made(path):
    with tg.trace() as tr:
        tg.ops.repeat(tg.tensor(np.ones(3)), 2)
    tr.save(path)
    lied(path, lambda text: text["options"][1].update(repeats=10**12))
    with pytest.raises(TraceError, match="repeat makes 3000000000000 elements"):
        load_trace(path)


def test_an_op_of_the_program_that_the_file_calls_wrongly_is_one_error(path):
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.trace() as tr:
        counted(w, calls="mine").sum().backward()
    tr.save(path)
    lied(path, lambda text: text["options"].__setitem__(1, {"axis": 0}))
    with pytest.warns(UserWarning, match="counted"):
        loaded = load_trace(path)
    with pytest.raises(TraceError, match="counted cannot be run again on what was recorded"):
        list(check_gradients(loaded.graph()))
    with pytest.raises(TraceError, match="counted cannot be run again on what was recorded"):
        loaded.why("d.w", (0,))
