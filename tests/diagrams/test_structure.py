"""What is in the picture: every copy, message and parameter, once, under its stable id."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from diagrams.flaws import flaws, lying_on_each_other
from diagrams.networks import bidirectional, draw, encoder_decoder, lstm, stack
from diagrams.reading import Picture
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.errors import DrawError

EVERY_NETWORK = pytest.mark.parametrize(
    "network",
    [
        stack(1),
        stack(4, 2, loss="last"),
        stack(4, captions=("hell", "ello"), loss="each"),
        stack(3, 2, inputs=3),
        stack(40, 2, loss="each"),
        lstm(20, 2),
        bidirectional(5),
        bidirectional(30),
        encoder_decoder(attention=True),
    ],
    ids=[
        "one",
        "stack",
        "hello",
        "inputs",
        "folded",
        "lstm",
        "bidirectional",
        "folded-both",
        "attention",
    ],
)
VIEWS = ["unrolled", "rolled", "both"]
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS)


def picture(network, **options):
    return Picture(draw(network, **options).svg)


def test_every_copy_message_and_parameter_is_there_once():
    drawn = picture(stack(4, 2, loss="last"))
    assert drawn.ids("cell") == [f"cell-{layer}-{t}" for layer in range(2) for t in range(4)]
    assert len(drawn.all("message")) == 2 * 3
    assert len(drawn.all("initial")) == 2
    names = ["W_xh", "W_hh", "b_h", "W_xh_l1", "W_hh_l1", "b_h_l1", "W_hy"]
    assert drawn.ids("parameter") == [f"parameter-{name}" for name in names]
    assert drawn.ids("input") == [f"input-{t}" for t in range(4)]
    assert drawn.ids("output") == [f"output-{t}" for t in range(4)]
    assert drawn.ids("loss") == ["loss"]


@EVERY_NETWORK
@pytest.mark.parametrize("view", rows(VIEWS, ["both"]))  # which has both of the others
def test_ids_are_unique(network, view):
    ids = [
        element.get("id")
        for element in picture(network, view=view).root.iter()
        if element.get("id")
    ]
    assert [id for id, count in Counter(ids).items() if count > 1] == []


def test_cells_and_messages_say_what_they_are():
    drawn = picture(lstm(4))
    cell = drawn.all("cell")[2]
    assert cell.texts == ("h₂", "(1, 5)")
    assert cell.title == "layer 0, call 2 of rnn (LSTMCell): h₂ (1, 5)"
    assert [message.texts for message in drawn.all("message")] == [
        (f"h{t}, c{t}", "(1, 5)") for t in "₀₁₂"
    ]
    assert drawn.all("initial")[0].texts == ("h₋₁, c₋₁", "(1, 5)")


def test_captions_stand_under_inputs_and_over_outputs():
    drawn = picture(stack(4, captions=("hell", "ello")))
    assert [part.texts[1] for part in drawn.all("input")] == list("hell")
    assert [part.texts[1] for part in drawn.all("output")] == list("ello")


@pytest.mark.parametrize(
    ("fold", "steps", "shown"),
    [
        ("auto", 16, [*range(16)]),
        ("auto", 17, [0, 1, 2, 14, 15, 16]),
        (1, 4, [0, 3]),
        (2, 4, [0, 1, 2, 3]),
        (2, 5, [0, 1, 3, 4]),
        (None, 40, [*range(40)]),
    ],
)
def test_fold_keeps_the_ends(fold, steps, shown):
    drawn = picture(stack(steps, 2, loss="each"), fold=fold)
    assert drawn.ids("column") == [f"column-{t}" for t in shown]
    assert drawn.ids("cell") == [f"cell-{layer}-{t}" for layer in range(2) for t in shown]
    hidden = steps - len(shown)
    assert len(drawn.all("message")) == 2 * (len(shown) if hidden else steps - 1)
    folds = [part for part in drawn.all("fold") if part.id == "fold"]
    noun = "copy" if hidden == 1 else "copies"
    assert [part.texts for part in folds] == (
        [("…", f"{hidden} more {noun}", "same parameters")] if hidden else []
    )


def skipping(back, steps=12):
    """A loop whose state is read by the next step, and by a later one too."""
    W = tg.tensor(np.eye(2), requires_grad=True, name="W")
    with tg.trace() as tr:
        states = [tg.tensor(np.ones(2))]
        for _ in range(steps):
            earlier = states[-back] if len(states) >= back else 0.0
            states.append(tg.ops.tanh(states[-1] @ W) + earlier)
        (states[-1] ** 2).sum().backward()
    return tr


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("back", [2, 3, 4, 7])
def test_what_skips_steps_lies_on_nothing_and_is_counted_where_it_leads_into_the_fold(
    back, gradients
):
    shown, tr = {-1, 0, 1, 10, 11}, skipping(back)
    for fold in (None, 2):
        drawing = tg.draw(tr, fold=fold, gradients=gradients).drawing
        assert [*flaws(drawing), *lying_on_each_other(drawing)] == []
    ends = [(edge.source, edge.target) for edge in drawing.edges if edge.cls == "message"]
    assert ("cell-0-1", "fold") in ends
    assert ("fold", "cell-0-10") in ends
    assert sum("fold" in pair for pair in ends) == 2
    reads = {(t - k, t) for t in range(12) for k in (1, back) if t - k >= -1}
    hidden = {(a, t) for a, t in reads if (a in shown) != (t in shown)}
    hidden -= {(1, 2), (1, 1 + back), (9, 10)}
    (fold,) = (shape for shape in drawing.shapes if shape.id == "fold")
    assert f"{len(hidden)} more links" in {text.text for text in fold.texts}


def test_what_is_written_beside_two_rows_does_not_meet_however_long_it_is():
    """The upper layer of a dilated network reads another state of the lower one in each chain."""
    cells = [tg.nn.RNNCell(3, 3, rng=k) for k in range(3)]
    made = [[], [], []]
    for x in np.random.default_rng(0).standard_normal((24, 3)):
        for k, (cell, states) in enumerate(zip(cells, made, strict=True)):
            x = cell(x, states[-(2**k)] if len(states) >= 2**k else None)
            states.append(x)
    drawing = tg.draw((tg.ops.stack(made[-1]) ** 2).sum(), fold=3).drawing
    assert flaws(drawing) == []


def test_rolled_has_one_cell_a_layer_and_a_loop_on_each():
    drawn = picture(stack(4, 2), view="rolled")
    assert drawn.ids("cell") == ["cell-0", "cell-1"]
    assert [message.texts for message in drawn.all("message")] == [("hₜ₋₁",), ("hₜ₋₁",)]
    assert [part.texts for part in drawn.all("input", "output")] == [("xₜ",), ("yₜ",)]
    assert len(drawn.all("parameter")) == 7


def test_both_counts_only_the_unrolled_copies():
    drawn = picture(stack(4, 2), view="both")
    assert len(drawn.all("cell")) == 8
    assert len(drawn.all("message")) == 6
    assert drawn.ids("rolled-cell") == ["rolled-cell-0", "rolled-cell-1"]
    assert len(drawn.all("rolled-message")) == 2
    assert len(drawn.all("parameter")) == 7


def test_both_stands_at_the_same_heights():
    drawn = picture(encoder_decoder(), view="both")
    heights = {part.id.removeprefix("rolled-"): part.box[1] for part in drawn.all("rolled-cell")}
    for cell in drawn.all("cell"):
        assert heights[cell.id.rsplit("-", 1)[0]] == pytest.approx(cell.box[1], abs=0.02)


def test_a_reverse_row_runs_from_right_to_left():
    drawn = picture(bidirectional(3))
    backward = [message for message in drawn.all("message") if "cell-1" in message.id]
    assert len(backward) == 2
    assert all(message.points[0][0] > message.points[-1][0] for message in backward)
    state = next(part for part in drawn.all("state") if part.id == "initial-1")
    assert state.box[0] > max(part.box[2] for part in drawn.all("cell"))


def test_cells_stand_in_their_column():
    drawn = picture(encoder_decoder("ab", "xyz"))
    boxes = {part.id: part.box for part in drawn.parts if part.points}
    for number in range(3):
        left, _, right, _ = boxes[f"column-{2 + number}"]
        assert left < boxes[f"cell-1-{number}"][0] < boxes[f"cell-1-{number}"][2] < right


def test_accessible_and_self_contained():
    drawn = picture(stack(2), title="What h remembers")
    assert drawn.root.get("role") == "img"
    assert [child.tag.rpartition("}")[2] for child in drawn.root][:2] == ["title", "desc"]
    assert drawn.root[0].text == "What h remembers"
    assert "W_hh 5×5" in drawn.root[1].text
    assert "What h remembers" in drawn.all("title")[0].texts
    assert picture(stack(2)).root[0].text == "Unrolled RNNCell: 2 steps, 1 layer"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "sideways"}, "no view 'sideways': use one of unrolled, rolled, "),
        ({"theme": "pink"}, "no theme 'pink': use one of light, dark, print"),
        ({"fold": 0}, r"at least 1\), not 0"),
        ({"fold": True}, "not True"),
        ({"fold": "all"}, "not 'all'"),
    ],
)
def test_what_cannot_be_drawn_says_what_can(options, message):
    with pytest.raises(DrawError, match=message):
        draw(stack(2), **options)


def test_no_cells():
    with pytest.raises(DrawError, match="no cells"):
        draw(replace(stack(1), columns=0))
