"""Graphs without copies, the backward view, sizes on paper."""

import re
import time
from contextlib import ExitStack
from importlib.util import find_spec

import numpy as np
import pytest
from diagrams.reading import Picture, overlapping_parts
from diagrams.recorded import trained, truncated
from diagrams.test_geometry import check_shapes_and_edges, check_texts
from tables import one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.picture import dot_layout, dot_process
from tinygrad_rnn.errors import DrawError
from tinygrad_rnn.tracing.network.copies.cells import looks_like_a_loop


def perceptron():
    first, second = tg.nn.Linear(3, 8, rng=0), tg.nn.Linear(8, 2, rng=1)
    x = tg.tensor(np.ones((4, 3)), name="x")
    return tg.nn.cross_entropy(second(tg.ops.tanh(first(x))), [0, 1, 1, 0])


def formula():
    a = tg.tensor(2.0, requires_grad=True, name="a")
    b = tg.tensor(3.0, requires_grad=True, name="b")
    return tg.ops.sin(a * b) + a**2 / (1.0 + tg.ops.exp(-b))


@pytest.mark.parametrize("make", [perceptron, formula])
@pytest.mark.parametrize("view", ["unrolled", "ops", "backward"])
def test_every_op_is_drawn_apart_from_the_others(make, view):
    diagram = tg.draw(make(), view=view)
    drawn = Picture(diagram.svg)
    assert overlapping_parts(drawn.all("op", "input", "output", "loss")) == []
    check_texts(diagram.drawing)
    assert all(diagram.render(format) for format in (".png", ".pdf", ".dot"))
    with pytest.raises(DrawError, match=r"player.*nothing recurrent"):
        diagram.render(".html")


def test_parameters_are_chips_with_the_sign_between_or_before():
    shapes = {shape.id: shape for shape in tg.draw(formula()).drawing.shapes}
    product = next(
        shape for shape in shapes.values() if shape.cls == "op" and shape.tooltip.startswith("mul")
    )
    sign = product.texts[0]
    chips = sorted(
        (s for s in shapes.values() if s.cls == "chip" and abs(s.y - product.y) < 1),
        key=lambda s: s.x,
    )[:2]
    assert [chip.texts[0].text for chip in chips] == ["a", "b"]
    assert (sign.text, chips[0].x < sign.x < chips[1].x) == ("×", True)


def test_of_a_large_graph_the_newest_ops_are_drawn_and_the_others_counted():
    x = tg.tensor(1.0, requires_grad=True)
    for _ in range(300):
        x = tg.ops.tanh(x)
    diagram = tg.draw(x)
    drawn = Picture(diagram.svg)
    assert len(drawn.all("op")) == 200
    assert drawn.all("fold")[0].texts == ("… 100 earlier ops",)
    assert "300 ops" in diagram.description
    assert "100 earlier ops are left out" in diagram.description


class Gate(tg.nn.Module):
    """x + tanh(W x) σ(V x), where a mask of its own lets it."""

    def __init__(self):
        self.one, self.two = tg.nn.Linear(4, 4, rng=0), tg.nn.Linear(4, 4, rng=1)

    def forward(self, x):
        y = tg.ops.tanh(self.one(x)) * tg.ops.sigmoid(self.two(x))
        return x + tg.ops.where(np.eye(4, dtype=bool), y, 0.0)


class Gates(tg.nn.Module):
    def __init__(self, count):
        self.first, self.gates = tg.nn.Linear(4, 4, rng=0), [Gate() for _ in range(count)]

    def forward(self, x):
        x = tg.ops.relu(self.first(x))
        for gate in self.gates:
            x = gate(x)
        return x


def labels(diagram, *kinds):
    return [part.texts for part in Picture(diagram.svg).all(*kinds)]


def test_a_model_without_time_is_the_graph_of_its_modules():
    """As deep as it can be read; a module of one op is that op, with its weights."""
    loss = (Gates(5)(tg.tensor(np.ones((4, 4)), name="x")) ** 2).mean()
    diagram = tg.draw(loss)
    drawn = labels(diagram, "op")
    assert [text for text in drawn if text[-1] == "Gate"] == [
        (f"gates.{k}", "Gate") for k in range(5)
    ]
    assert len(drawn) == 9  # × W + b, relu, five gates, the square and the mean
    assert labels(diagram, "input") == [("x",)]  # the masks are in the gates
    assert len(labels(diagram, "chip")) == len(labels(diagram, "parameter")) == 2
    said = "the 2 of 22 that are not closed or left out:"
    assert any(said in text for (*_, text) in labels(diagram, "legend"))
    assert "with 5 closed calls of modules" in diagram.description
    check_shapes_and_edges(diagram)
    check_texts(diagram.drawing)
    assert labels(tg.draw(loss, depth=1), "op")[0] == ("Gates",)
    everything = tg.draw(loss, view="ops")
    assert len(labels(everything, "op")) == 2 + 5 * 7 + 2
    assert len(labels(everything, "parameter")) == 22
    deep = tg.draw(loss, depth=3)
    assert Picture(deep.svg).ids("op") == Picture(everything.svg).ids("op")


def test_an_index_that_counts_is_called_by_what_it_holds():
    table = tg.nn.Embedding(9, 3, rng=0)
    assert labels(tg.draw((table(np.arange(4)) ** 2).sum()), "input") == [("0 … 3",)]


def test_layers_of_one_kind_are_no_loop_that_nobody_marked():
    with tg.trace() as tr:
        Gates(5)(tg.tensor(np.ones((4, 4)))).sum().backward()
    assert not looks_like_a_loop(tr.graph())
    w = tg.tensor(0.5, requires_grad=True)
    with tg.trace() as tr:
        tg.ops.stack([tg.ops.tanh(w * k) for k in range(5)]).sum().backward()
    assert not looks_like_a_loop(tr.graph())


def test_the_backward_view_of_modules_is_the_way_of_the_gradient_through_them():
    model, values = Gates(5), []
    h = tg.ops.relu(model.first(tg.tensor(np.ones((4, 4)))))
    for gate in model.gates:
        h = gate(h)
        values.append(h)
    expected = [np.linalg.norm(g.data) for g in tg.grad(h.sum(), values)]
    diagram = tg.draw(model(tg.tensor(np.ones((4, 4)), name="x")).sum(), view="backward")
    assert "closed calls of modules" in diagram.description
    kinds = {s.id: s.texts[-1].text for s in diagram.drawing.shapes if s.cls == "op"}
    between = [
        float(re.search(r"= (\S+)", edge.tooltip)[1])
        for edge in sorted(diagram.drawing.edges, key=lambda edge: edge.points[-1][1])
        if edge.cls == "gradient" and kinds.get(edge.target) == "Gate"
    ]
    assert between == pytest.approx(expected, rel=1e-3)
    check_texts(diagram.drawing)


def test_in_a_long_chain_of_modules_the_middle_is_folded():
    loss = Gates(20)(tg.tensor(np.ones((4, 4)), name="x")).sum()
    diagram = tg.draw(loss)
    gates = [name for name, *kind in labels(diagram, "op") if kind == ["Gate"]]
    assert gates == [f"gates.{k}" for k in (0, 1, 2, 17, 18, 19)]
    assert labels(diagram, "fold") == [("… 14 more Gate",)]
    assert "14 of them" in diagram.description
    joined = {(edge.source, edge.target) for edge in diagram.drawing.edges}
    (into,) = (source for source, target in joined if target == "fold")
    (out,) = (target for source, target in joined if source == "fold")
    shapes = {shape.id: shape.texts[0].text for shape in diagram.drawing.shapes if shape.texts}
    assert (shapes[into], shapes[out]) == ("gates.2", "gates.17")
    assert labels(tg.draw(loss, fold=1), "fold") == [("… 18 more Gate",)]
    assert labels(tg.draw(loss, fold=None), "fold") == []


def test_several_results_are_drawn_together():
    first, second = tg.nn.Linear(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)
    hidden = first(tg.tensor(np.ones((5, 3)), name="x"))
    scores = second(tg.ops.tanh(hidden))
    hidden.name, scores.name = "hidden", "scores"
    drawn = Picture(tg.draw((hidden, [scores, None])).svg)
    assert [part.title for part in drawn.all("output")] == ["hidden (5, 4)", "scores (5, 2)"]
    ops = {part.title.split()[0] for part in drawn.all("op")}
    assert ops == {"linear", "tanh"}  # and none that nobody wrote
    assert Picture(tg.draw(scores).svg).ids("op") == Picture(tg.draw([scores]).svg).ids("op")


def test_several_results_of_a_recurrent_network():
    ys, (_, c) = tg.nn.LSTM(3, 4, rng=0)(np.eye(3))
    drawn = Picture(tg.draw((ys, c)).svg)
    assert len(drawn.all("cell")) == 3
    assert {"h₀", "h₁", "h₂"} <= {part.texts[0] for part in drawn.all("output")}
    with pytest.raises(DrawError, match="those of one number, and here are 2"):
        tg.draw((ys, c), gradients=True)
    with pytest.raises(DrawError, match="no Tensor"):
        tg.draw(((), None))
    with pytest.raises(DrawError, match="not str"):
        tg.draw((ys, "c"))


def test_a_layout_that_takes_too_long_is_stopped():
    with pytest.raises(DrawError, match=r"no layout after 0\.001 seconds"):
        dot_layout.arrange({"a": (10, 10)}, [], seconds=0.001)


@pytest.mark.rest
@pytest.mark.skipif(find_spec("resource") is None, reason="no limits of a process's time")
def test_the_time_of_a_layout_is_the_processors(monkeypatch):
    busy = "import sys, resource\nwhile True: pass"
    limit = dot_process.WORKER.partition("import pygraphviz")[0]
    monkeypatch.setattr(dot_process, "WORKER", limit + busy)
    with pytest.raises(DrawError, match="no layout after 1 seconds"):
        dot_layout.arrange({"a": (10, 10)}, [], seconds=1)


@pytest.mark.parametrize(
    "options", [{"view": "rolled"}, {"view": "both"}, {"gradients": True}, {"values": True}]
)
def test_what_only_copies_have(options):
    with pytest.raises(DrawError, match=r"nothing recurrent was found.*tg\.scope"):
        tg.draw(perceptron(), **options)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"view": "nonsense"}, "no view 'nonsense'"),
        ({"fold": 0}, 'fold is "auto", None or'),
        ({"fold": "all"}, 'fold is "auto", None or'),
        ({"scale": (-6, 0)}, "a scale is that of gradients"),
        ({"scale": (0, -6), "view": "backward"}, "two powers of ten, the lower one first"),
        ({"scale": 3, "view": "backward"}, "two powers of ten"),
        ({"scale": (0, True), "view": "backward"}, "two powers of ten"),
        ({"scale": (-1000, 0), "view": "backward"}, "two powers of ten"),
    ],
)
def test_what_nobody_has_is_not_taken_without_a_word(option, says):
    with pytest.raises(DrawError, match=re.escape(says)):
        tg.draw(formula(), **option)


BACKWARD = {
    "last": lambda: trained(layers=2, last=True),
    "lstm": lambda: trained(tg.nn.LSTM, 30),
    "cut": truncated,
}


@pytest.mark.parametrize("name", BACKWARD)
def test_the_backward_view_is_mirrored(name):
    diagram = tg.draw(BACKWARD[name](), view="backward")
    check_shapes_and_edges(diagram)
    check_texts(diagram.drawing)
    drawn = Picture(diagram.svg)
    columns = [
        int(part.id.removeprefix("column-"))
        for part in sorted(drawn.all("column"), key=lambda p: p.box[0])
    ]
    assert columns == sorted(columns, reverse=True)
    messages = [edge for edge in drawn.all("gradient") if edge.id.startswith("gradient-message")]
    assert messages
    assert all(edge.points[0][0] < edge.points[-1][0] for edge in messages)
    assert not drawn.all("message", "link", "initial")


@pytest.mark.parametrize(
    "loss",
    one_in(
        2,
        [
            lambda a, b: (a * 3).sum() + tg.ops.tanh(b).sum(),
            lambda a, b: (a * b).sum(),
            lambda a, b: (a + b).sum(),
            lambda a, b: tg.ops.relu(a).sum() - b.mean(),
        ],
    ),
)
def test_the_backward_view_shows_parameters_whose_gradient_is_a_constant(loss):
    a, b = (tg.tensor([1.0, -2.0], requires_grad=True, name=name) for name in ("alpha", "beta"))
    drawn = Picture(tg.draw(loss(a, b), view="backward").svg)
    assert {"alpha", "beta"} <= {text for chip in drawn.all("chip") for text in chip.texts}
    one = Picture(tg.draw(tg.ops.relu(a).sum(), view="backward").svg)
    assert [op.texts[0] for op in one.all("op")] == ["constant"]


@pytest.mark.parametrize(
    ("layers", "scale", "title"),
    [
        (3, None, "Gradient computation"),
        (3, (-6, 0), "Backward pass of the graph"),
        (60, None, "Backward pass of the graph"),
    ],
    ids=["few", "in colours of a scale", "too many"],
)
def test_ops_of_a_backward_pass_that_cannot_be_drawn_leave_the_way_of_the_gradient(
    layers, scale, title
):
    x = tg.tensor(np.ones(3))
    for number in range(layers):
        W = tg.tensor(np.eye(3), requires_grad=True, name=f"W{number}")
        x = tg.ops.tanh(W @ x) if number % 2 else tg.ops.relu(W @ x)
    diagram = tg.draw(x.sum(), view="backward", scale=scale)
    assert diagram.title == title
    drawn = Picture(diagram.svg)
    assert bool(drawn.all("gradient")) == (title != "Gradient computation")
    assert not drawn.all("fold")


def joined():
    a, b = (tg.tensor([1.0, 2.0], requires_grad=True, name=name) for name in "ab")
    return (tg.ops.concatenate([a * 2, tg.ops.tanh(b)])[1:] ** 2).sum()


@pytest.mark.parametrize("make", rows([perceptron, formula, joined], [joined]))
def test_the_backward_view_of_a_recorded_formula_is_that_of_the_formula(make, tmp_path):
    with tg.trace() as tr:
        loss = make()
        loss.backward()
    kinds = lambda diagram: [op.title for op in Picture(diagram.svg).all("op")]
    expected = kinds(tg.draw(loss, view="backward"))
    assert len(expected) > 5
    assert kinds(tg.draw(tr, view="backward")) == expected
    tr.save(tmp_path / "run.tgtrace")
    assert kinds(tg.draw(tg.load_trace(tmp_path / "run.tgtrace"), view="backward")) == expected


@pytest.mark.parametrize(
    ("width", "points"), [("8.5cm", 240.94), ("85mm", 240.94), ("2in", 144), ("99pt", 99), (50, 50)]
)
def test_a_width_on_paper(width, points):
    svg = tg.draw(trained()).fitted(width).svg
    assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) == pytest.approx(points, abs=1)


def test_a_picture_of_a_width_is_saved_with_so_many_dots(tmp_path):
    tg.draw(trained()).save(tmp_path / "x.png", width="2in", dpi=300)
    assert int.from_bytes((tmp_path / "x.png").read_bytes()[16:20], "big") == pytest.approx(
        600, abs=4
    )


@pytest.mark.parametrize(
    "width", ["8,5cm", "wide", "0cm", "5 furlongs", 0, -1, float("inf"), float("nan"), ""]
)
def test_a_bad_width(width):
    with pytest.raises(DrawError, match="such as"):
        tg.draw(trained()).fitted(width)


def test_bad_dots():
    with pytest.raises(DrawError, match="dpi"):
        tg.draw(trained()).render(".png", dpi=0)


def test_calls_inside_of_calls_without_end_are_looked_through_once():
    """A recording may have a thousand: drawing asked for all of them again at each."""
    a = tg.tensor([1.0], requires_grad=True, name="a")
    with tg.trace() as run, ExitStack() as calls:
        for number in range(300):
            calls.enter_context(tg.scope(f"call {number}"))
        for _ in range(300):
            a = a * 2.0
    before = time.process_time()
    assert tg.draw(run).svg
    assert time.process_time() - before < 2
