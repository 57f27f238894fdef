"""Pictures of the museum: nothing is missing, nothing overlaps, every number is the gradient's."""

import re
import runpy
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from diagrams.flaws import crossing, lying_on_each_other
from diagrams.reading import Picture
from diagrams.test_geometry import check_texts
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.grid.standing import Standing
from tinygrad_rnn.diagrams.grid.unrolled import unrolled_grid
from tinygrad_rnn.diagrams.views.gradients import with_gradients
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.network.quotient import indexed, timeless, without_index
from tinygrad_rnn.tracing.network.words.operands import Read

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
# all but the one that is not recurrent
NAMES = sorted({path.stem for path in MUSEUM.glob("*.py")} - {"transformer"})
SAMPLE = ["residual_stack", "bahdanau", "zoneout", "tree_lstm"]
EVERY = rows(NAMES, SAMPLE)


@cache
def recorded(name):
    program = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
    with tg.trace() as tr:
        program["loss_fn"](*program["BATCH"]).backward()
    return tr


@cache
def network(name):
    return network_of(recorded(name).graph())


@pytest.mark.parametrize("name", EVERY)
def test_every_read_between_blocks_is_on_one_arrow_of_the_picture(name):
    quotient = network(name)
    standing = Standing(quotient)
    grid = unrolled_grid(quotient, None)
    drawn = [read for c in grid.connections if c.kind != "output" for read in c.reads]
    into_moves = {
        read for arrow in quotient.arrows if arrow.target in standing.moves for read in arrow.reads
    }
    legend = {"parameter", "derived", "constant", "target"}
    wanted = {
        read
        for arrow in quotient.arrows
        if arrow.source.kind not in legend and arrow.target in standing.item_of
        for read in arrow.reads
    }
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) == wanted - into_moves


@pytest.mark.parametrize("name", EVERY)
def test_every_norm_of_the_picture_is_that_of_the_gradient(name):
    quotient = network(name)
    overlay = with_gradients(unrolled_grid(quotient, None), quotient)
    for cell in quotient.cells:
        for state, piece in zip(cell.row.states, cell.states, strict=False):
            gradient = quotient.gradients.get(piece.node.id)
            if gradient is not None and piece.node.requires_grad:
                expected = np.linalg.norm(piece.of(np.asarray(gradient)))
                assert overlay.parts[cell.id][state] == pytest.approx(expected, rel=1e-9)
    for connection in overlay.grid.connections:
        if connection.norm == 0 and not connection.cut:
            assert not any(overlay.flow.reads(connection.reads))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("gradients", [False, True])
def test_ids_are_unique_and_no_text_lies_on_another(name, gradients):
    network(name)
    diagram = tg.draw(recorded(name), gradients=gradients)
    ids = [part.id for part in Picture(diagram.svg).parts]
    assert len(set(ids)) == len(ids)
    check_texts(diagram.drawing)


@pytest.mark.parametrize("name", EVERY)
def test_two_values_have_two_labels(name):
    """In one row, and among all inputs and outputs: a label with its step says which it is."""
    quotient = network(name)
    named = defaultdict(set)
    for block in quotient.blocks:
        if block.kind == "cell":
            named[block.row.number, block.label].add(block.called)
        if block.kind == "input" and block.label[-1:] in "₀₁₂₃₄₅₆₇₈₉":
            for label in block.labels:
                named["leaf", label].add(block)
    for output in quotient.outputs:
        row = output.source.row if output.source.kind == "cell" else None
        is_state = output.value in output.source.states
        named[row.number if is_state else "leaf", output.label].add(output.value)
    alike = {label: values for label, values in named.items() if len(values) > 1}
    assert alike == {}


@pytest.mark.parametrize("name", rows(NAMES, ["names", "rwkv", "elman"]))
def test_a_copy_is_called_as_its_row_or_as_a_value_that_leaves_it(name):
    quotient = network(name)
    for row in quotient.rows:
        cells = [block for block in row.blocks if block.kind == "cell"]
        usual = {cell.states.index(cell.called) for cell in cells if cell.called in cell.states}
        assert len(usual) <= 1
        for cell in cells:
            read = {value.node for arrow in quotient.leaving[cell] for value in arrow.values}
            read |= {quotient.root} & set(cell.nodes)
            shown = {one.value.node for one in quotient.outputs}  # read or not
            called = cell.called.node
            names = {quotient.name_of(called)}
            names |= {one.label for one in quotient.outputs if one.value.node is called}
            assert {cell.label, cell.label.rstrip("₋₀₁₂₃₄₅₆₇₈₉")} & names, (cell, names)
            makes_it = any(k < len(cell.states) for k in usual)
            assert cell.called in cell.states if makes_it else called in read | shown
            assert cell.outputs[0].node in read


@pytest.mark.parametrize("name", rows(NAMES, ["siamese", "word_char", "slstm"]))
def test_a_chain_counts_its_steps_from_what_it_begins_with(name):
    """In a row several chains that count alike are told apart by a prime at the names of states."""
    quotient = network(name)
    for chain in quotient.chains:
        if chain.row.tree:
            continue
        first, way = chain.copies[0], chain.direction
        assert [copy.time for copy in chain.copies] == [
            first.time + way * k for k in range(len(chain.copies))
        ]
        assert {copy.prime for copy in chain.copies} == {first.prime}
        assert all(copy.label == indexed_as(copy.label, copy.time) for copy in chain.copies)
        for initial in chain.initial:
            begun = [label for label in initial.label.split(", ") if initial.prime == first.prime]
            assert all(label == indexed_as(label, first.time - way) for label in begun)


# Rows of several clocks, and the nodes of a tree: no step is that of all that stands in a column.
UNHEADED = {"act", "hierarchical_rnn", "tree_lstm", "word_char"}
# An input has its place in its sequence: here it is read backwards, or later than in its turn.
REORDERED = {"encoder_decoder", "pointer_network", "scheduled_sampling", "seq2seq"}
CLOCKS = [*SAMPLE, *UNHEADED, *REORDERED, "siamese", "learned_optimizer", "hmm"]


@pytest.mark.parametrize("name", rows(NAMES, CLOCKS))
def test_what_stands_in_a_column_is_of_the_step_that_this_is_headed_by(name):
    shapes = tg.draw(recorded(name)).drawing.shapes
    columns = [shape for shape in shapes if shape.cls == "column"]
    headed = [column for column in columns if column.texts]
    assert len(headed) == (0 if name in UNHEADED else len(columns))
    classes = {"cell", "output"} if name in REORDERED else {"cell", "output", "input"}
    for shape in (shape for shape in shapes if shape.cls in classes):
        (_, number) = without_index(shape.texts[0].text)
        for column in headed:
            if column.left < shape.x < column.right and number is not None:
                assert column.texts[0].text == f"t = {number}"


@pytest.mark.parametrize(
    ("name", "told"),
    [("seq2seq", ["encoder", "decoder"]), ("luong", ["encoder", "cell"]), ("lstm", [])],
)
def test_chains_that_follow_each_other_are_told_apart_below_their_columns(name, told):
    shapes = tg.draw(recorded(name)).drawing.shapes
    assert [shape.texts[0].text for shape in shapes if shape.cls == "bracket"] == told


def test_what_a_list_is_called_is_not_said_again_at_each_of_its_values():
    texts = [t.text for s in tg.draw(recorded("s4d")).drawing.shapes for t in s.texts]
    assert "y₀" in texts
    assert "ys" not in texts


def test_all_states_that_a_chain_begins_with_are_named():
    shapes = tg.draw(recorded("slstm")).drawing.shapes
    (start,) = (shape for shape in shapes if shape.cls == "state")
    assert [text.text for text in start.texts] == ["h₋₁", "c₋₁", "n₋₁", "m₋₁"]


def test_an_arrow_out_of_what_a_chain_begins_with_names_all_that_it_is_there():
    """RWKV's states are one array of zeros with what its two halves read of the token before."""
    grid = unrolled_grid(network("rwkv"), None)
    labels = {one.target: one.label for one in grid.connections if one.source == "initial-0"}
    assert labels == {
        "cell-0-0": "numerator₋₁, denominator₋₁, x_before",
        "between-2-0": "y_before",
    }


def test_an_input_that_is_learned_has_the_colour_of_its_parameter():
    shapes = tg.draw(recorded("pointer_network")).drawing.shapes
    first, chip = (shape for shape in shapes if shape.texts and shape.texts[0].text == "go")
    assert (first.cls, chip.cls) == ("input", "parameter")
    assert first.fill == chip.fill


def test_an_input_that_is_data_has_no_parameter_s_colour():
    """Not even where it is joined with what a trained state begins with."""
    shapes = tg.draw(recorded("ntm")).drawing.shapes
    inputs = [shape for shape in shapes if shape.cls == "input"]
    assert {shape.fill for shape in inputs} == {"input.fill"}


def test_what_all_copies_read_comes_to_each_in_the_same_order():
    edges = tg.draw(recorded("memory_network")).drawing.edges
    arriving = defaultdict(dict)
    for edge in edges:
        if edge.cls == "link" and edge.target.startswith("cell"):
            arriving[edge.target][edge.source] = edge.points[-1][0]
    assert len(arriving) == 3
    assert len({tuple(sorted(ends, key=ends.get)) for ends in arriving.values()}) == 1


@pytest.mark.parametrize("name", EVERY)
def test_what_is_handed_on_to_another_column_is_blue_whatever_made_it(name):
    quotient = network(name)
    made = {b.id: b.columns for b in quotient.blocks if b.kind in ("cell", "between")}
    for edge in tg.draw(recorded(name)).drawing.edges:
        columns = made.get(edge.source, ()), made.get(edge.target, ())
        if all(len(found) == 1 for found in columns) and len(set(columns)) == 2:
            assert edge.color == "message", edge.id


@pytest.mark.parametrize(
    ("name", "labels", "straight"),
    [
        ("rwkv", ["xₜ₋₁", "t − 1"], [("between-0", "cell-0"), ("between-1", "between-2")]),
        ("luong", ["attentionalₜ₋₁", "hₜ₋₁cₜ₋₁"], []),
    ],
)
def test_a_rolled_picture_tells_what_is_of_its_step_from_what_is_of_another(name, labels, straight):
    drawing = tg.draw(recorded(name), view="rolled").drawing
    circles = {s.id: "".join(t.text for t in s.texts) for s in drawing.shapes if s.cls == "state"}
    assert sorted(circles.values()) == sorted(labels)
    joined = {(edge.source, edge.target): edge.color for edge in drawing.edges}
    assert {joined[ends] for ends in straight} <= {"text"}
    assert {joined[ends] for ends in joined if not circles.keys().isdisjoint(ends)} == {"message"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("luong", ["attentional₋₁", "attentional₀", "attentional₁"]),
        # x + y is called y there, too: as what the copies make; y_before are zeros of the states
        ("rwkv", ["x₀", "x₁", "x₂", "y_before"]),
        ("encoder_decoder", ["c"]),  # to six readers, and made once
        ("memory_network", ["keys", "values"]),
        ("qrnn", []),  # windows of it are an input's name
    ],
)
def test_what_is_handed_on_beside_the_copies_is_named_once_if_nothing_else_is_called_so(name, told):
    edges = tg.draw(recorded(name)).drawing.edges
    states = {state for row in network(name).rows for state in row.states}
    named = [edge.label.text for edge in edges if edge.label and edge.color == "message"]
    others = [one for one in named if not states & {without_index(n)[0] for n in one.split(", ")}]
    assert sorted(others) == sorted(told)


@pytest.mark.parametrize(
    ("name", "told"),
    [("lstmp", "r₀, p₀"), ("fast_weights", "y₀ (4,)"), ("sru", "h₀"), ("lstm", None)],
)
def test_what_leaves_a_copy_is_named_where_it_is_not_what_the_copy_is_called_by(name, told):
    edges = tg.draw(recorded(name)).drawing.edges
    notes = [edge.note for edge in edges if edge.source == "cell-0-0" and edge.cls == "link"]
    assert [note.text for note in notes if note is not None] == ([told] if told else [])


def test_an_input_that_is_turned_is_written_so_and_not_by_its_own_name_alone():
    formulas = {block.formula for block in network("learned_optimizer").blocks}
    assert "gradient = Wᵀ (2 out)" in formulas


def test_zeros_that_fill_up_are_muted():
    shapes = tg.draw(recorded("qrnn")).drawing.shapes
    inputs = {shape.texts[0].text: shape.fill for shape in shapes if shape.cls == "input"}
    assert inputs.pop("0") == "state.fill"
    assert set(inputs.values()) == {"input.fill"}


@pytest.mark.parametrize("name", rows(NAMES, ["luong", "neural_ode", "tree_lstm", "zoneout"]))
def test_no_two_ways_lie_on_each_other(name):
    assert lying_on_each_other(tg.draw(recorded(name)).drawing) == []


def indexed_as(label, time):
    return indexed(label.rstrip("₋₀₁₂₃₄₅₆₇₈₉"), time)


@pytest.mark.parametrize("name", ["birnn", "bilstm_crf", "handwriting", "residual_stack"])
def test_what_goes_around_crosses_nothing_within_its_column(name):
    assert crossing(tg.draw(recorded(name)).drawing) == []


@pytest.mark.parametrize("name", EVERY)
def test_an_equation_s_state_before_is_that_of_its_messages(name):
    quotient = network(name)
    for row in quotient.rows:
        if not row.equation or "ₚ" in row.equation:
            continue
        names = "|".join(re.escape(timeless(name)) for name in row.states)
        steps = re.findall(rf"\b(?:{names})ₜ([₋₊][₀-₉]+)(?!⁽)", row.equation)
        said = set(map(_number, steps))
        arrows = [arrow for arrow in quotient.arrows if arrow.kind == "message"]
        told = {
            a.source.time - a.target.time for a in arrows if a.source.row is a.target.row is row
        }
        assert not told or said == told


def _number(written):
    return int(written.translate(str.maketrans("₋₊₀₁₂₃₄₅₆₇₈₉", "-+0123456789")))


@pytest.mark.parametrize("name", EVERY)
def test_no_letter_of_a_formula_means_two_things(name, monkeypatch):
    """But for what is the same array, cut up or made anew at each step."""
    found = []

    def told_apart(self, operands, **options):
        found.append(real(self, operands, **options))
        return found[-1]

    real = Read.told_apart
    monkeypatch.setattr(Read, "told_apart", told_apart)
    blocks = network_of(recorded(name).graph()).blocks
    assert [block for block in blocks if block.formula]
    assert found
    for names in found:
        meant = defaultdict(list)
        for operand, text in names.items():
            meant[text].append(operand.node)
        for text, nodes in meant.items():
            assert len({(x.op, x.data.tobytes()) for x in nodes}) == 1, text


def test_what_is_derived_of_parameters_is_not_among_them():
    log_a = tg.tensor(np.zeros(2), requires_grad=True, name="log_a")
    with tg.trace() as run:
        a, h = tg.ops.exp(log_a), np.zeros(2)
        for x in np.eye(3, 2):
            h = tg.ops.tanh(a * h + x)
        h.sum().backward()
    legend = Picture(tg.draw(run).svg).all("legend", "parameter")
    texts = [part.texts[0] for part in legend]
    assert texts == ["Parameters", "log_a", "Derived", "a = exp(log_a)"]


def test_what_is_derived_is_said_in_full():
    rate = tg.tensor(np.ones(2), requires_grad=True, name="rate")
    with tg.trace() as run:
        gain, h = (np.exp(rate) - 1) / rate + np.sin(rate) * np.cos(rate), np.zeros(2)
        for x in np.eye(8, 2):
            h = tg.ops.tanh(gain * h + x)
        h.sum().backward()
    *_, chip = Picture(tg.draw(run).svg).all("parameter")
    assert chip.texts[0] == "gain = (exp(rate) − 1) / rate + sin(rate) ⊙ cos(rate)"


def test_steps_of_training_run_on_below_the_fold_that_says_how_often_a_state_is_detached_there():
    cell, chunk = tg.nn.RNNCell(3, 3, rng=0), 5
    with tg.trace() as tr:
        h = tg.tensor(np.zeros(3))
        for _ in range(4):
            h, total = h.detach(), 0.0
            for x in np.eye(3)[[0, 1, 2, 0, 1]][:chunk]:
                h = cell(x, h)
                total = total + (h * h).sum()
            total.backward()
    shapes = tg.draw(tr, fold=2).drawing.shapes
    brackets = [shape for shape in shapes if shape.cls == "bracket"]
    assert {shape.texts[0].text for shape in brackets} == {"step 0", "step 1 … step 2", "step 3"}
    (fold,) = (shape for shape in shapes if shape.id == "fold")
    assert [text.text for text in fold.texts][2:] == ["same parameters", "detached 3 times"]
    inner = sorted(brackets, key=lambda shape: shape.x)
    assert inner[0].right < inner[1].left < inner[1].right < inner[2].left
    assert fold.left < inner[0].right
    assert inner[2].left < fold.right + 20


_BESIDE_A_NAME = re.compile(r"[₀-₉₋₊ₜ⁰-⁹¹²³⁽⁾ᵀ]+|\[[a-z]\]|\b\w+\.(?=h\b)")  # a gate, a module
_NAME = re.compile(r"(?<!\w)[^\W\dΣπσ]\w*(?:\.\w+)*(?![\w(]|\.\w)")  # and no function
_SAID_OF_A_LINE = {"in", "for", "where", "not", "of", "layer", "axis", "None", "tanh"}
# What a picture still says and binds nowhere: shrink it.
_UNBOUND = {"deep_blstm": {"lengths"}, "qrnn": {"f", "z"}}


def names_in(text):
    return _NAME.findall(_BESIDE_A_NAME.sub(" ", text or ""))


def bound(quotient):
    """The names that stand in a picture alone, or before a sign of equality."""
    for block in quotient.blocks:
        yield block.label if block.label != block.formula else ""
        yield from (block.caption, block.trained, *block.state_names)
        yield from (*block.circles, *block.labels, *block.begun)
    yield from (output.label for output in quotient.outputs)
    for text in said(quotient):
        names, _, formula = text.rpartition(" = ")
        yield names if formula else ""


def said(quotient):
    """All formulas and equations of a picture, each by itself."""
    texts = [block.formula for block in quotient.blocks if not block.sign]
    texts += [block.equation for block in quotient.blocks]
    texts += [row.equation or "" for row in quotient.rows]
    for text in texts:
        yield from re.split("; (?![^[]*])|\\n", text)


@pytest.mark.parametrize("name", EVERY)
def test_every_name_in_a_formula_is_bound_in_the_picture(name):
    quotient = network(name)
    known = {found for text in bound(quotient) for found in names_in(text)}
    known |= {path[dot.end() :] for path in known for dot in re.finditer(r"\.", path)}
    known |= _SAID_OF_A_LINE
    formulas = (text.rpartition(" = ")[2] for text in said(quotient))
    unbound = {found for text in formulas for found in names_in(text)} - known
    assert unbound <= _UNBOUND.get(name, set())
