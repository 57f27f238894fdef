"""A trace says everything that happened, in order, and keeps values as they were."""

import inspect
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd.switches import observed
from tinygrad_rnn.errors import OpError, TraceError
from tinygrad_rnn.tracing.script import run_script


def kinds(tr):
    return [event.kind for event in tr.events]


def test_every_kind_of_event_in_order():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    with tg.trace() as tr:
        loss = (w * w).sum()
        loss.backward()
        w.data = w.data - 0.1 * w.grad.data
        w.grad = None
    assert kinds(tr) == [
        "forward",
        "forward",
        "seed",
        "vjp",
        "vjp",
        "vjp",
        "accumulate",
        "update",
        "zero",
    ]
    assert [event.index for event in tr.events] == list(range(9))


def test_values_are_those_of_the_moment():
    w = tg.tensor(3.0, requires_grad=True)
    with tg.trace() as tr:
        (w * w).backward()
        w.data = 10.0
        (w * w).backward()
    forwards = [event for event in tr.events if event.kind == "forward"]
    assert [event.value.item() for event in forwards] == [9.0, 100.0]
    assert [event.inputs[0].data.item() for event in forwards] == [3.0, 10.0]


def test_an_event_knows_module_call_and_line():
    rnn = tg.nn.RNN(3, 4)
    with tg.trace() as tr:
        rnn(np.eye(3))
    tanh = [event for event in tr.events if event.op == "tanh"]
    assert [[call.name for call in event.scope.chain()] for event in tanh] == [
        ["RNN", "cells.0"]
    ] * 3
    assert len({event.scope.id for event in tanh}) == 3
    assert tanh[0].source.text == "rnn(np.eye(3))"


def test_names_are_the_tensors_own_or_the_variables():
    weights = tg.tensor(2.0, requires_grad=True)
    with tg.trace() as tr:
        doubled = weights * 2
        (doubled + tg.tensor(1.0, name="one")) * 3
    by_op = {event.op: event for event in tr.events}
    add = by_op["add"]
    assert [tr.name(node) for node in add.inputs] == ["doubled", "one"]
    assert tr.name(tr.events[0].inputs[0]) == "weights"
    assert tr.name(add.output).startswith("add#")


def test_a_tensor_that_has_a_name_is_found_by_it_where_it_is_a_state_too():
    """In a picture an initial state is h₋₁, with its own name below it."""
    cell, features = tg.nn.GRUCell(3, 4, rng=0), tg.tensor(np.arange(4.0), name="features")
    with tg.trace() as tr:
        for _ in range(2):  # two training steps
            h = features
            for x in np.eye(3):
                h = cell(x, h)
            h.sum().backward()
    assert tr["features"].tolist() == tr["h@-1"].tolist() == [0, 1, 2, 3]
    with pytest.raises(TraceError, match="there is no 'feature'"):
        tr["feature"]


def test_a_name_given_later_counts():
    with tg.trace() as tr:
        y = tg.tensor(1.0, requires_grad=True) * 2
        y.name = "y"
        del y
    assert tr.name(tr.events[0].output) == "y"


def test_a_refused_op_is_the_last_event_and_its_error_says_where_the_operands_were_made():
    with tg.trace() as tr:
        a = tg.tensor(np.ones((2, 3)), requires_grad=True) * 1
        with pytest.raises(OpError) as caught:
            a @ a
    assert kinds(tr) == ["forward", "error"]
    assert "matmul" in tr.events[-1].message
    assert any(__file__ in note and "made by mul" in note for note in caught.value.__notes__)


def test_nothing_is_recorded_outside():
    with tg.trace() as tr:
        pass
    _ = tg.tensor(1.0) + 1
    assert tr.events == []
    with pytest.raises(TraceError, match="nothing was recorded"):
        tr.graph()
    assert repr(tr) == "<trace of 0 events>"


def test_traces_nest_and_end_with_an_exception():
    with tg.trace() as outer:
        try:
            with tg.trace() as inner:
                _ = tg.tensor(1.0) + 1
                raise KeyError
        except KeyError:
            pass
        _ = tg.tensor(1.0) * 2
    assert [event.op for event in inner.events] == ["add"]
    assert [event.op for event in outer.events] == ["add", "mul"]


def test_a_traced_run_computes_the_very_same_numbers():
    def run():
        rnn = tg.nn.RNN(3, 4, output_size=2, rng=0)
        loss = tg.nn.cross_entropy(rnn(np.eye(3))[0], [0, 1, 0])
        loss.backward()
        return [loss.data, *(p.grad.data for p in rnn.parameters())]

    plain = run()
    with tg.trace():
        traced = run()
    assert all(np.array_equal(a, b) for a, b in zip(plain, traced, strict=True))


def test_every_weight_is_used_once_a_step_and_its_gradient_has_as_many_terms():
    rnn = tg.nn.RNN(3, 4, rng=0)
    with tg.trace() as tr:
        rnn(np.eye(3))[0].sum().backward()
    terms = Counter(event.output.id for event in tr.events if event.kind == "vjp")
    assert [terms[p.id] for p in rnn.parameters()] == [3, 3, 3]


def test_two_scripts_of_one_name_are_two_scripts(tmp_path, monkeypatch):
    names = []
    for folder, line in (("one", "loss = w * w"), ("two", "\nother = w * w")):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        text = f"import tinygrad_rnn as tg\nw = tg.tensor(2.0, requires_grad=True)\n{line}\n"
        Path("script.py").write_text(text, "utf-8")
        recorded = run_script(Path("script.py")).trace
        names.append(recorded.name(recorded.events[0].output))
    assert names == ["loss", "other"]


def test_steps_that_carry_their_state_on(tmp_path):
    script = tmp_path / "carries.py"
    script.write_text(
        "import numpy as np, tinygrad_rnn as tg\n"
        "net, h = tg.nn.RNN(2, 3, rng=0), None\n"
        "for step in range(4):\n"
        "    ys, h = net(np.ones((2, 2)), h)\n"
        "    (ys * ys).sum().backward()\n"
    )
    tr = run_script(script, steps=(1, 2)).trace
    handed = [event for event in tr.events if event.kind == "vjp"]
    assert (
        Counter(event.op for event in handed)["tanh"] == 2 * 2 + 2 * 3
    )  # back to the beginning each time
    assert all(event.of.rule is not None for event in handed)
    tr.save(tmp_path / "run.tgtrace")
    assert len(tg.load_trace(tmp_path / "run.tgtrace").events) == len(tr.events)


@pytest.mark.parametrize("max_memory", [None, "1G"])
def test_no_recorded_array_can_be_written_into(max_memory):
    w = tg.tensor(np.ones((2, 2)), requires_grad=True)
    with tg.trace(max_memory) as run:
        for _ in range(2):
            (tg.ops.tanh(w @ w) + w[0] * 2.0).sum().backward()
        w.data = np.zeros((2, 2))
        tg.grad((w * w).sum(), w, create_graph=True)
    arrays = [x for event in run.events for x in (*event.arrays, event.value, *event.saved)]
    arrays += [run.queries.written_by(event) for event in run.events]
    writable = [x for x in arrays if isinstance(x, np.ndarray) and x.flags.writeable]
    assert len(arrays) > 100
    assert not writable


def test_a_line_is_one_place_however_often_it_ran():
    """Python names an instruction otherwise once it has run often: the loop would fall apart."""
    x = tg.tensor(np.ones(4), requires_grad=True, name="x")

    def shifted(h, by):
        return np.concatenate([np.zeros(by), h[:-by]])

    with tg.trace() as tr:
        h = x
        for _ in range(60):
            h = shifted(h, 1)
    sources = {id(e.output.source) for e in tr.events if e.output.op == "getitem"}
    assert len(sources) == 1


class Square(tg.nn.Module):
    def forward(self, x):
        return x * x


class Twice(tg.nn.Module):
    """Calls another module at two lines, or resumes what another one began."""

    def __init__(self):
        self.inner = Square()

    def forward(self, x, begun=None):
        if begun is not None:
            return next(begun)
        x = self.inner(x)
        with tg.scope("here"):
            return self.inner(x) + x

    def begin(self, x):
        for _ in range(3):
            with tg.scope("turn"):
                x = self.inner(x)
                yield x + 1.0


def test_every_op_has_the_lines_that_led_to_it():
    """Also where the same module is called at several, and a generator goes on in another one."""
    own = Path(__file__).name
    walked = []

    def lines_now(kind, *facts):
        frame, lines = inspect.currentframe().f_back, []
        while kind == "forward" and frame is not None:
            if Path(frame.f_code.co_filename).name == own:
                lines.append(frame.f_lineno)
            frame = frame.f_back
        walked.extend([lines] if lines else [])

    first, second, x = Twice(), Twice(), tg.tensor([2.0], requires_grad=True)
    with tg.trace() as run, observed(lines_now):
        for _ in range(3):
            first(first(x))
            second(x)
            begun = first.begin(x)
            first(x, begun)
            second(x, begun)
            next(begun)
    found = [[at for file, at, _ in e.source.calls() if Path(file).name == own] for e in run.events]
    assert len(found) == len(walked) > 40
    assert all(lines[: len(at)] == at and at for lines, at in zip(walked, found, strict=True))
    assert len({tuple(lines) for lines in found}) > 10
