"""Asking a recorded run: names, why, origin, who wrote a value, what each use of it added."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TraceError
from tinygrad_rnn.tracing.questions.formulas import rule_of, substituted

KINDS = {"RNN": tg.nn.RNN, "LSTM": tg.nn.LSTM, "GRU": tg.nn.GRU}


def recorded(kind="RNN", layers=1, steps=4, batch=2, passes=1):
    rng = np.random.default_rng(0)
    rnn = KINDS[kind](3, 4, output_size=2, num_layers=layers, rng=0)
    xs = rng.standard_normal((steps, batch, 3))
    with tg.trace() as tr:
        for _ in range(passes):
            ys, _ = rnn(xs)
            loss = tg.nn.cross_entropy(ys, np.zeros((steps, batch), int))
            loss.backward()
    return tr, rnn


def names(tr):
    return {tr.queries.names.of(event.output) for event in tr.events if event.kind == "forward"}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_values_inside_the_cells_are_named_by_their_variables_and_timesteps(kind, layers):
    tr, _ = recorded(kind, layers)
    expected = {"RNN": ["h", "z"], "LSTM": ["h", "c", "i", "f"], "GRU": ["h", "r", "z"]}[kind]
    found = names(tr)
    assert {f"{name}@{t}" for name in [*expected, "x", "y"] for t in range(4)} <= found
    if layers == 2:
        assert {f"{name}_l1@{t}" for name in expected for t in range(4)} <= found
    assert "loss" in found


def test_a_users_loop_of_plain_ops_counts_its_rounds():
    W = tg.tensor(np.eye(3), requires_grad=True)
    with tg.trace() as tr:
        h = tg.tensor(np.zeros(3))
        for x in tg.tensor(np.eye(3)):
            z = W @ h + x
            h = tg.ops.tanh(z)
    assert {"x@0", "z@0", "h@1", "x@2", "z@2"} <= names(tr)
    assert np.array_equal(tr.queries.value("h@2", 99), tr.events[-1].value)
    assert not tr.queries.value("h@-1", 99).any()  # the start


def test_results_of_helper_functions_are_named_where_they_are_called():
    def step(a, b):
        return tg.ops.tanh(a), (a * b if True else b)

    with tg.trace() as tr:
        first, second = step(tg.tensor(1.0), tg.tensor(2.0))
        second += 1.0
    assert [tr.name(event.output) for event in tr.events] == ["first", "second", "second"]
    assert first.item() < second.item()


def test_a_parameter_has_the_name_that_the_outermost_call_knows_it_by():
    """Also where that is a key or an attribute: a helper's argument has other values, too."""

    def times(M, v):
        return M @ v

    def in_a_list(a, b):
        return times(a, times(b, np.ones(3)))

    Ws = [tg.tensor(np.ones((3, 3)), requires_grad=True) for _ in range(5)]
    keys, own = {"W_x": Ws[0]}, SimpleNamespace(W_h=Ws[1])
    with tg.trace() as tr:
        times(keys["W_x"], times(own.W_h, np.ones(3)))
        in_a_list(*Ws[2:4])
        np.tanh(Ws[4])
    read = [event.inputs[0].id for event in tr.events if event.op == "matmul"]
    leaves = {x.id: tr.name(x) for event in tr.events for x in event.inputs if x is not None}
    assert [leaves[id] for id in read] == ["W_h", "W_x", "b", "a"]
    assert leaves[Ws[4].id] == "Ws.4"


def test_events_know_their_copy_and_layer():
    tr, _ = recorded(layers=2)
    tanhs = [event for event in tr.events if event.op == "tanh" and event.kind == "forward"]
    assert [(event.copy, event.layer) for event in tanhs] == [
        (t, k) for t in range(4) for k in range(2)
    ]
    vjps = [event for event in tr.events if event.op == "tanh" and event.kind == "vjp"]
    assert [(event.copy, event.layer) for event in vjps] == [
        (t, k) for t in (3, 2, 1, 0) for k in (1, 0)
    ]
    assert len(vjps[0].saved) == 3
    assert tanhs[0].stats.shape == (2, 4)
    assert tanhs[0].stats.nans == 0


def test_a_name_answers_where_it_will_be_written():
    tr, _ = recorded()
    with pytest.raises(TraceError, match=r"h@3 is first written at event \d+ \(now 0\)"):
        tr.queries.value("h@3", 0)
    with pytest.raises(TraceError, match=r"∂L/∂h@3 is first written at event \d+ \(now 10\)"):
        tr.queries.value("d.h@3", 10)
    with pytest.raises(TraceError, match="there is no 'hh' in this run; perhaps h"):
        tr.why("hh")
    with pytest.raises(TraceError, match="there is no h@9: only h@-1 to h@3"):
        tr.why("h@9", (0, 0))
    with pytest.raises(TraceError, match=r"shape \(2, 4\); h@1\[0,0\] is one"):
        tr.why("h@1", (7, 0))
    for step in ("x", "-1", "²", "9" * 5000):
        for name in (f"h@{step}:", f"h@{step}:1", f"d.W_hh@{step}:"):
            with pytest.raises(TraceError, match="a training step is a whole number, as in h@30:3"):
                tr.why(name, (0, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_is_what_its_explanation_says(kind):
    """Exact for every op, forward and backward: the terms sum to the value of what is linear."""
    tr, _ = recorded(kind)
    for event in tr.events:
        if event.kind == "vjp":
            value = tr.queries.written_by(event)
            index = tuple(n - 1 for n in value.shape)
            why = tr.explainer.event(event, index)
            assert sum(term.product for term in why.terms) == pytest.approx(
                value[index], rel=1e-9, abs=1e-15
            )
        if event.op == "linear" and event.kind == "forward":
            why = tr.explainer.event(event, (1, 1))
            assert sum(term.product for term in why.terms) == pytest.approx(event.value[1, 1])


@pytest.mark.parametrize("largest", [9.0, np.inf])
def test_of_very_many_terms_the_largest_are_listed_and_the_others_counted(largest):
    x = np.random.default_rng(0).standard_normal((40, 50))
    x[3, 4] = largest
    with tg.trace() as tr:
        total = tg.tensor(x, name="x").sum()
        total.name = "total"
    why = tr.why("total")
    assert len(why.terms) + why.terms.others == x.size
    assert "  and 1996 smaller" in why.lines
    least = np.sort(np.abs(x), None)[-len(why.terms)]
    assert {term.index for term in why.terms} == {
        tuple(i) for i in np.argwhere(np.abs(x) >= least).tolist()
    }
    assert sum(term.product for term in why.terms) + why.terms.rest == pytest.approx(x.sum())
    step = tr.origin("total")[1]
    assert (step.index, step.value) == ((3, 4), largest)
    assert step.share == (pytest.approx(largest / np.abs(x).sum()) if np.isfinite(largest) else 1.0)


def test_the_origin_of_a_zero_is_itself():
    with tg.trace() as tr:
        x = tg.tensor([[0.0, 2.0]], requires_grad=True, name="x")
        y = x * tg.tensor([[3.0, 0.0]], name="w")
        y.name = "y"
    assert [str(step) for step in tr.origin("y", (0, 0))] == ["y[0,0] = +0  (100%, event 0)"]


def test_why_shows_the_formula_with_the_numbers():
    z = tg.tensor([[0.5, -1.0]], requires_grad=True, name="z")
    with tg.trace() as tr:
        h = tg.ops.tanh(z)
        h.backward(np.array([[2.0, -0.5]]))
    assert str(tr.why("h", (0, 1))).splitlines() == [
        "y = tanh x", "h = tanh z", "h[0,1] = tanh -1", "       = -0.761594", "slope ∂h/∂z = +0.42",
    ]  # fmt: skip
    assert str(tr.why("d.z", (0, 1))).splitlines() == [
        "x̄ = ȳ (1 - y²)",
        "∂L/∂z = ∂L/∂h · (1 - h²)",
        "∂L/∂z[0,1] = -0.5 · (1 - (-0.7616)²)",
        "           = -0.5 · +0.42",
        "           = -0.209987",
    ]


def test_why_says_when_a_unit_is_saturated_and_when_broadcasting_was_summed():
    b = tg.tensor([4.0, 0.0], requires_grad=True, name="b")
    with tg.trace() as tr:
        h = tg.ops.tanh(np.zeros((3, 2)) + b)
        h.sum().backward()
    seen = [e for e in tr.events if e.kind == "vjp"]
    assert "saturated: it lets 0.1% of the steepest slope 1 through" in str(
        tr.explainer.event(seen[1], (0, 0))
    )
    assert "saturated" not in str(tr.explainer.event(seen[1], (0, 1)))
    assert "summed over axis 0 (of 3)" in str(tr.explainer.event(seen[2], (0,)))


def test_the_gradient_of_h_is_split_into_what_came_from_y_and_from_the_next_step():
    tr, _ = recorded(layers=2)
    at = len(tr.events) - 1
    for t in range(3):
        node = tr.queries.find(f"h_l1@{t}", at).node
        parts = tr.queries.contributions(node, at)
        assert {part.source for part in parts} == {f"h_l1@{t + 1}", f"y@{t}"}
        assert np.allclose(
            sum(part.value for part in parts), tr.queries.gradient(node, at), rtol=1e-12
        )
        assert tr.queries.expected(node, at) == 2
    text = str(tr.why("d.h_l1@1", (0, 0)))
    assert "from y@1" in text
    assert "from h_l1@2" in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_has_a_row_a_timestep_and_adds_up_to_grad(kind):
    tr, rnn = recorded(kind, passes=2)
    for name, parameter in rnn.named_parameters():
        ledger = tr.ledger(name)
        assert sorted(row.t for row in ledger.rows) == [0, 1, 2, 3]
        assert ledger.is_exact
        assert ledger.difference < 1e-15
        assert np.array_equal(ledger.before + ledger.recorded, parameter.grad.data)
        assert np.array_equal(
            tr.queries.value(f"d.{name}", len(tr.events) - 1), parameter.grad.data
        )
        assert [row.t for row in tr.ledger(parameter).rows] == [row.t for row in ledger.rows]
    assert np.array_equal(tr.queries.value("d.rnn.W_hh", len(tr.events)), rnn.W_hh.grad.data)


def test_a_gradient_grows_term_by_term_and_zero_clears_it():
    w = tg.tensor(3.0, requires_grad=True, name="w")
    with tg.trace() as tr:
        (w * w).backward()
        (w * w).backward()
        w.grad = None
    held = [tr.queries.gradient(tr.queries.find("w", at).node, at) for at in range(len(tr.events))]
    shown = [None if g is None else float(g) for g in held]
    assert shown == [None, None, 3.0, 6.0, 6.0, 6.0, 6.0, 9.0, 12.0, 12.0, None]


def test_origin_follows_the_largest_contribution_to_the_loss_or_to_the_data():
    tr, _ = recorded()
    steps = tr.origin("d.h@0", (0, 0))
    assert steps[-1].name == "∂L/∂loss"
    assert {step.name for step in steps} & {"∂L/∂h@1", "∂L/∂y@0"}
    forward = tr.origin("h@3", (0, 0))
    assert forward[0].name == "h@3"
    assert all(0 <= step.share <= 1 for step in forward)


def test_last_next_and_diff():
    tr, _ = recorded()
    write = tr.next("h@2")
    assert write.op == "tanh"
    assert tr.last("h@2") is write
    assert tr.last("h@2", at=0) is None
    assert tr.next("d.h@2").kind == "vjp"
    assert tr.next("h", at=write.index).copy == 3
    diff = tr.diff("h", 1, 2)
    assert np.array_equal(diff.change, tr.queries.value("h@2", 99) - tr.queries.value("h@1", 99))
    assert diff.names == ("h@1", "h@2")


def test_every_op_states_a_rule():
    for name in ("tanh", "mul", "linear", "cross_entropy", "where", "getitem"):
        rule = rule_of(getattr(tg.ops, name).op)
        assert rule.summary
    assert rule_of(tg.ops.mul.op).of_slot(1).startswith("b̄ = ")
    assert substituted("y = 1 / (1 + e^-x)", {"x": "+2"}) == "1 / (1 + e^-(+2))"


def test_a_table_has_a_row_an_event():
    tr, _ = recorded(layers=2)
    table = tr.table()
    assert {len(column) for column in table.values()} == {len(tr.events)}
    for i, event in enumerate(tr.events):
        row = {name: column[i] for name, column in table.items()}
        assert (row["index"], row["kind"], row["op"]) == (i, event.kind, event.op)
        assert (row["t"], row["layer"]) == (event.copy, event.layer)
        assert row["name"].removeprefix("d.") == tr.queries.names.of(event.output)
        assert row["name"].startswith("d.") == (event.kind != "forward")
        value = tr.queries.written_by(event)
        assert (row["shape"], row["dtype"]) == (value.shape, "float64")
        assert row["norm"] == pytest.approx(np.sqrt(np.sum(value**2)))
        assert (row["min"], row["max"]) == (value.min(), value.max())
        assert row["mean"] == pytest.approx(value.mean(), abs=1e-15)
        assert row["non_finite"] == 0
        if event.kind in ("forward", "vjp"):
            assert row["file"] == __file__
            assert row["source"] in ("ys, _ = rnn(xs)", "loss = tg.nn.cross_entropy(ys, np.zeros("
                                     "(steps, batch), int))")  # fmt: skip


def test_a_table_counts_what_is_not_finite_and_leaves_out_what_is_not_there():
    with tg.trace() as tr:
        x = tg.tensor([0.0, np.nan, 2.0], name="x")
        tg.ops.log(x)
        with pytest.raises(tg.errors.OpError):
            tg.ops.add(x, tg.tensor([1.0, 2.0]))
    table = tr.table()
    assert table["kind"] == ["forward", "error"]
    assert table["non_finite"] == [2, None]
    assert table["min"][0] == table["max"][0] == np.log(2.0)
    assert table["name"][1] is table["shape"][1] is None
    assert np.isnan(table["norm"][1])


def test_a_table_says_what_is_known_of_what_is_gone():
    with tg.trace(max_memory="4K") as tr:
        x = tg.tensor(np.ones(256))
        for _ in range(4):
            x = x + 1.0
    table = tr.table()
    assert [event.is_gone for event in tr.events] == [bool(np.isnan(n)) for n in table["norm"]]
    assert np.isnan(table["norm"][0])
    assert table["shape"] == [(256,)] * 4
    assert table["non_finite"] == [None, None, None, 0]


@pytest.mark.parametrize("kind", [tg.nn.RNN, tg.nn.GRU, tg.nn.LSTM])
def test_the_one_input_of_a_timestep_is_its_x_whatever_the_program_calls_it(kind):
    xs, state, layer = np.ones((3, 1, 1, 2)), None, kind(2, 3, rng=0)
    with tg.trace() as tr:
        for t in range(3):
            y, state = layer(tg.tensor(xs[t]), state)
        y.sum().backward()
    names = tr.queries.names
    assert [names.of(one.node) for one in names.all_of("x")] == ["xs@0", "xs@1", "xs@2"]
    assert names.find("x@1", 10**6).node is names.find("xs@1", 10**6).node
